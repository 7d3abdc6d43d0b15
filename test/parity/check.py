#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs every twin and compares it with what CPython printed.

A twin, test/parity/NAME.cc, is a Python program on asyncio written again on
rondo. test/parity/expected/NAME.txt is what CPython did with the original:

    program: ...
    exit status: 0
    compile time: LINE          (a line of stdout that ours cannot have)
    ours: LINE => OURS          (a line of stdout, and what it is in ours)
    --- stdout
    every line of stdout, as CPython wrote it
    --- stderr                  (and other sections: for people, not compared)

Each LINE of the header must stand in stdout, and is looked for from its first
line on; README.md says what they mean. names.txt lists the texts that we mean
to be different (`python => ours`).
"""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import checking


class BadTranscript(Exception):
    """A transcript that contradicts itself."""


def small_time(match):
    seconds = float(match.group(2))
    return match.group(1) + ('<below 0.1>' if seconds < 0.1 else f'<{seconds:.1f}>')


# What differs between two runs, or between the two languages by nature. The
# transcripts were cut down in the same way; both sides get every rule.
RULES = [
    (r' at (?:[^\s:]*/)?(\w+)\.(?:py|cc):\d+', r' at \1:<line>'),
    (r'0x[0-9a-f]{6,}', '0xADDR'),
    (r'when=\d+(\.\d+)?', 'when=<loop time>'),
    (r'(TIME: +)([0-9.e+-]+)', small_time),
    (r'took \d+(\.\d+)? seconds', 'took <seconds>'),
    (r'\bfd=\d+', 'fd=<fd>'),
    (r"(\('(?:127\.0\.0\.1|0\.0\.0\.0)', )[2-6]\d{4}\)", r'\1<port>)'),
    (r'(ThreadPoolExecutor|asyncio)-\d+_(\d+)', r'\1-<n>_\2'),
    # The library's own texts name an exception as C++ does.
    (r'\bstd::invalid_argument\(', 'ValueError('),
    (r'\bstd::out_of_range\(', 'KeyError('),
    (r'\brondo::(\w+Error|Queue\w+)\(', r'\1('),
]


def wall_clock(text):
    """Times of day after hello and world, in seconds since the first one."""
    first = None

    def since_first(match):
        nonlocal first
        hours, minutes, seconds = map(int, match.group(0).split(':'))
        now = hours * 3600 + minutes * 60 + seconds
        first = now if first is None else first
        return f'<T+{(now - first) % 86400}>'
    return re.sub(r'(?m)(?<=^hello |^world )\d\d:\d\d:\d\d$', since_first, text)


def normalise(text):
    for rule, replacement in RULES:
        text = re.sub(rule, replacement, text)
    return wall_clock(text)


def read_names():
    """names.txt as (python, ours) pairs."""
    names = []
    with open(os.path.join(HERE, 'names.txt'), encoding='utf-8') as file:
        for line in map(str.rstrip, file):
            if line and not line.startswith('#'):
                python, ours = line.split(' => ', 1)
                names.append((python, ours))
    return names


def apply_header(header, lines):
    """What ours prints: `lines`, as the header changes them, and the status."""
    status = None
    lines = [(line, False) for line in lines]  # (text, whether it is ours)
    for entry in header:
        key, _, value = entry.partition(': ')
        if key == 'exit status':
            status = int(value)
        elif key in ('compile time', 'ours'):
            python, _, ours = value.partition(' => ')
            if (python, False) not in lines:
                raise BadTranscript(f'no such line of stdout: {entry}')
            at = lines.index((python, False))
            lines[at:at + 1] = [(ours, True)] if key == 'ours' else []
        elif key not in ('program', 'run as'):
            raise BadTranscript(f'no such header: {entry}')
    if status is None:
        raise BadTranscript('no exit status')
    return status, [text for text, _ in lines]


def read_transcript(path, names):
    """What must come out: (exit status, stdout)."""
    with open(path, encoding='utf-8') as file:
        text = file.read()
    header, _, rest = text.partition('--- stdout\n')
    stdout = re.split(r'(?m)^--- (?:stderr|both streams|order:)', rest)[0]
    status, lines = apply_header(header.splitlines(), stdout.splitlines())
    expected = ''.join(line + '\n' for line in lines)
    for python, ours in names:
        expected = expected.replace(python, ours)
    return status, normalise(expected)


def problem_of(twin):
    program, transcript, names = twin
    for path in (transcript, program):
        if not os.path.exists(path):
            return [f'{os.path.relpath(path)} is missing']
    try:
        want_status, want = read_transcript(transcript, names)
    except BadTranscript as error:
        return [f'{os.path.relpath(transcript)}: {error}']
    # As the originals, which find data/ beside them.
    status, out, err = checking.run([os.path.abspath(program)], cwd=HERE)
    out = normalise(out)
    problem = []
    if out != want:
        problem += checking.difference(want, out)
    if status != want_status:
        problem += [f'{checking.status_text(status)}, not {want_status}']
    if problem:
        problem += [f'reproduce: {program}',
                    f'compare with: {os.path.relpath(transcript)}']
        problem += ['stderr: ' + line for line in err.splitlines()[-40:]]
    return problem


def names_in(directory, suffix):
    return {name[:-len(suffix)] for name in os.listdir(directory)
            if name.endswith(suffix)}


def main(build):
    names = read_names()
    expected = os.path.join(HERE, 'expected')
    # A transcript without a twin is a missing program, too.
    twins = sorted(names_in(HERE, '.cc') | names_in(expected, '.txt'))
    cases = [(f'parity {name}',
              (os.path.join(build, 'parity', name),
               os.path.join(expected, name + '.txt'), names))
             for name in twins]
    status = checking.check_all(cases, problem_of)
    print(f'# {len(twins)} twins')
    return status


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
