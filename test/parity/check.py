#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs every twin and compares it with what CPython printed.

A twin, test/parity/NAME.cc, is a Python program on asyncio written again on
rondo. test/parity/expected/NAME.txt is what CPython did with the original:

    program: ...
    exit status: 0
    --- stdout
    every line of stdout
    --- stderr                  (and other sections: for people, not compared)

names.txt lists the texts that we mean to be different (`python => ours`).
"""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import checking


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
    names = []
    path = os.path.join(HERE, 'names.txt')
    if not os.path.exists(path):
        return names
    with open(path, encoding='utf-8') as file:
        for line in map(str.rstrip, file):
            if line and not line.startswith('#'):
                python, ours = line.split(' => ', 1)
                names.append((python, ours))
    return names


def read_transcript(path, names):
    """What must come out: (exit status, stdout)."""
    with open(path, encoding='utf-8') as file:
        text = file.read()
    status = int(re.search(r'(?m)^exit status: (-?\d+)$', text).group(1))
    stdout = re.search(
        r'(?ms)^--- stdout\n(.*?)(?=^--- (?:stderr|both streams|order:)|\Z)', text)
    expected = stdout.group(1) if stdout else ''
    for python, ours in names:
        expected = expected.replace(python, ours)
    return status, normalise(expected)


def problem_of(twin):
    program, transcript, names = twin
    if not os.path.exists(transcript):
        return [f'{os.path.relpath(transcript)} is missing']
    want_status, want = read_transcript(transcript, names)
    status, out, err = checking.run([program])
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


def main(build):
    names = read_names()
    twins = sorted(f[:-3] for f in os.listdir(HERE) if f.endswith('.cc'))
    cases = [(f'parity {name}',
              (os.path.join(build, 'parity', name),
               os.path.join(HERE, 'expected', name + '.txt'), names))
             for name in twins]
    status = checking.check_all(cases, problem_of)
    print(f'# {len(twins)} twins')
    return status


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
