#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""compare.py BUILD_DIR [SEED [COUNT [FIRST]]]: our futures against CPython's.
compare.py BUILD_DIR FILE...: the same for the programs of some files.

Runs programs with BUILD_DIR/fuzz/interpreter and with interpreter.py, compares
what they wrote, and prints the smallest program that it finds for each
difference. Without a COUNT it goes on until it is interrupted.

  -j N              N processes of each kind (1)
  --found N         end after N differences (10)
  --stock NAME      leave out a patch of CPython (patches.py)
  --no-shrink       print the programs as they are
  --save DIR        write each smallest program to a file of this folder
  --against PATCH   no C++: CPython with its patch against CPython without
"""
import argparse
import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = '/usr/bin/python3'  # 3.11.2: Debian's own, not the first in the PATH
BATCH = 1000
SHOWN_MAX = 40  # lines of a trace
BATCHES_A_PROCESS = 20  # CPython's grows slow with what it has run
BATCH_TIMEOUT = 120  # s: thousands of times what a batch takes


class Died(Exception):
    """An interpreter ended, or did not answer."""


class Side:
    """An interpreter: a process that runs batches of programs."""

    def __init__(self, *command):
        self.command = command
        self.process = None
        self.batches = 0

    def run(self, batch):
        """What the interpreter writes for a batch, {head: trace}'s text."""
        self.batches += 1
        if self.batches % BATCHES_A_PROCESS == 0:
            self.close()
        if self.process is None:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE)
        process = self.process
        errors = []
        feeder = threading.Thread(target=self.feed, args=(process, batch))
        watchdog = threading.Timer(BATCH_TIMEOUT, process.kill)
        feeder.start()
        watchdog.start()
        answer = bytearray()
        try:
            while not answer.endswith(b'\n===\n') and answer != b'===\n':
                data = os.read(process.stdout.fileno(), 1 << 20)
                if not data:
                    self.process = None
                    errors = process.stderr.read().decode(errors='replace')
                    process.wait()
                    raise Died(f'ended with status {process.returncode}\n'
                               + errors[-3000:])
                answer += data
        finally:
            watchdog.cancel()
            feeder.join()
        return bytes(answer)

    @staticmethod
    def feed(process, batch):
        try:
            process.stdin.write(batch)
            process.stdin.flush()
        except BrokenPipeError:
            pass

    def run_one(self, program):
        """The trace of one program, as lines. Dying is a trace, too."""
        try:
            answer = self.run(b'=== 0\n' + program.encode() + b'===\n')
        except Died as died:
            return ['died: ' + line for line in str(died).splitlines()]
        return answer.decode().splitlines()[1:-1]

    def close(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()
            self.process.stdout.close()
            self.process.stderr.close()
            self.process = None


# ---- Differences that are meant --------------------------------------------
#
# What can be changed on CPython's side is a patch there (patches.py). What is
# left: name: whether these traces differ (or may differ) for that reason.

INTENDED = {
    # README.md, "ring".
    'ring': lambda expected, printed: (expected == ['ring']
                                       and not died(printed)),
}


def died(trace):
    return trace[:1] and trace[0].startswith('died: ')


def intended(expected, printed):
    """The name of the intended difference of two traces, or None."""
    for name, applies in INTENDED.items():
        if applies(expected, printed):
            return name
    return None


def same(python, ours, program):
    """Whether a program does the same on both sides, as far as it should."""
    expected, printed = python.run_one(program), ours.run_one(program)
    return expected == printed or intended(expected, printed) is not None


# ---- Batches ---------------------------------------------------------------

def split(text):
    """{head: body} of framed programs or traces."""
    parts = {}
    for part in re.split(r'^=== ', text, flags=re.MULTILINE)[1:]:
        head, _, body = part.partition('\n')
        parts[head] = body.removesuffix('===\n')
    return parts


class Tally:
    """What all batches together showed."""

    def __init__(self):
        self.programs = 0
        self.intended = {}
        self.found = []  # (head, program)

    def add(self, programs, found, names):
        self.programs += programs
        self.found += found
        for name in names:
            self.intended[name] = self.intended.get(name, 0) + 1

    def __str__(self):
        text = f'{self.programs} programs, {len(self.found)} differences'
        for name, count in sorted(self.intended.items()):
            text += f', {count} times {name}'
        return text


def without(answer, heads):
    """An answer without the traces under some head lines."""
    for head in heads:
        start = answer.find(head)
        answer = answer[:start] + answer[answer.find(b'\n===', start) + 1:]
    return answer


def compare_batch(python, ours, batch):
    """(number of programs, [(head, program)] that differ, [intended])."""
    answers = {}

    def run(side):
        try:
            answers[side] = side.run(batch)
        except Died:
            pass

    other = threading.Thread(target=run, args=(ours,))
    other.start()
    run(python)
    other.join()
    if len(answers) == 2:  # the usual case, quickly
        rings = re.findall(rb'^(=== .*\n)ring$', answers[python], re.MULTILINE)
        if without(answers[python], rings) == without(answers[ours], rings):
            return batch.count(b'\n=== ') + 1, [], ['ring'] * len(rings)
    programs = split(batch.decode())
    if len(answers) == 2:
        expected, printed = (split(answers[side].decode())
                             for side in (python, ours))
    else:  # one by one, then
        expected, printed = (
            {head: ''.join(line + '\n' for line in side.run_one(program))
             for head, program in programs.items()} for side in (python, ours))
    found, names = [], []
    for head, program in programs.items():
        if expected.get(head) == printed.get(head):
            continue
        name = intended(expected.get(head, '').splitlines(),
                        printed.get(head, '').splitlines())
        if name is None:
            found.append((head, program))
        else:
            names.append(name)
    return len(programs), found, names


def generated(build, seed, first, count):
    """A batch of programs."""
    return subprocess.run(
        [os.path.join(build, 'fuzz', 'generate'), str(seed), str(first),
         str(count)], stdout=subprocess.PIPE, check=True).stdout


# ---- Shrinking -------------------------------------------------------------

def depth(line):
    return len(line) - len(line.lstrip(' '))


def end_of_block(lines, i):
    """The line behind line i and all that is deeper."""
    end = i + 1
    while end < len(lines) and depth(lines[end]) > depth(lines[i]):
        end += 1
    return end


def is_clause(line):
    return line.split()[0] in ('except', 'finally')


def smaller(lines):
    """Smaller programs, the smallest first."""
    tops = [i for i, line in enumerate(lines) if depth(line) == 0]
    # Without a declaration, without an operation and what is in it.
    for i in sorted(range(len(lines)),
                    key=lambda i: i - end_of_block(lines, i)):
        if lines[i] == 'main':
            continue
        end = end_of_block(lines, i)
        if lines[i].strip() == 'try':
            while end < len(lines) and depth(lines[end]) == depth(lines[i]) \
                    and is_clause(lines[end]):
                end = end_of_block(lines, end)
        yield lines[:i] + lines[end:]
    # The block without its head (a try: without its clauses).
    for i, line in enumerate(lines):
        end = end_of_block(lines, i)
        if i in tops or is_clause(line) or end == i + 1:
            continue
        inner = [text[2:] for text in lines[i + 1:end]]
        if line.strip() == 'try':
            while end < len(lines) and depth(lines[end]) == depth(line) \
                    and is_clause(lines[end]):
                end = end_of_block(lines, end)
        yield lines[:i] + inner + lines[end:]
    # A shorter line, a simpler number.
    for i, line in enumerate(lines):
        blanks, words = ' ' * depth(line), line.split()
        if words[0] in ('gather', 'gather_exceptions', 'wait', 'as_completed'):
            first = {'wait': 3}.get(words[0], 2)
            for k in range(first, len(words)):
                if len(words) > first + 1:
                    yield (lines[:i] + [blanks + ' '.join(words[:k] + words[k + 1:])]
                           + lines[i + 1:])
        if words[0] in ('cancel', 'raise_cancelled', 'return') and len(words) > (
                2 if words[0] == 'cancel' else 1):
            yield lines[:i] + [blanks + ' '.join(words[:-1])] + lines[i + 1:]
        for k in range(1, len(words)):
            if words[k] in ('1', '2', '3', '5', '-1') and words[0] not in (
                    'set', 'return', 'semaphore', 'bounded', 'barrier',
                    'queue', 'lifo', 'priority'):
                simpler = {'1': ['0'], '2': ['0', '1'], '3': ['0', '1', '2'],
                           '5': ['0', '1', '2', '3'], '-1': ['0']}[words[k]]
                for number in simpler:
                    yield (lines[:i] + [blanks + ' '.join(
                        words[:k] + [number] + words[k + 1:])] + lines[i + 1:])


def shrink(program, differs, seconds=120):
    """The smallest program found that still differs."""
    lines = program.splitlines()
    deadline = time.monotonic() + seconds
    shrunk = True
    while shrunk and time.monotonic() < deadline:
        shrunk = False
        for candidate in smaller(lines):
            if differs('\n'.join(candidate) + '\n'):
                lines = candidate
                shrunk = True
                break
    return '\n'.join(lines) + '\n'


# ---- What is printed -------------------------------------------------------

def side_by_side(expected, printed):
    """Two traces: what both have, then where each goes on alone."""
    n = 0
    while n < min(len(expected), len(printed)) and expected[n] == printed[n]:
        n += 1
    shown = SHOWN_MAX
    lines = ['  both:     ...'] if n > shown else []
    lines += ['  both:     ' + line for line in expected[max(n - shown, 0):n]]
    for name, trace in (('CPython: ', expected), ('ours:    ', printed)):
        lines += [f'  {name} {line}' for line in trace[n:n + shown]]
        lines += [f'  {name} ...'] if len(trace) > n + shown else []
    return lines


def describe(python, ours, head, program):
    """A difference in words: the program and both traces."""
    return ([f'=== {head}'] + ['  ' + line for line in program.splitlines()]
            + side_by_side(python.run_one(program), ours.run_one(program)))


def sides(build, stock=(), against=None):
    """CPython's interpreter, and ours."""
    interpreter = [PYTHON, '-B', os.path.join(HERE, 'interpreter.py')]
    ours = [os.path.join(build, 'fuzz', 'interpreter')]
    python = interpreter
    for name in stock:
        python += ['--stock', name]
    if against:
        ours = python + ['--stock', against]
    return Side(*python), Side(*ours)


def main():
    parser = argparse.ArgumentParser(
        usage=__doc__, add_help=False, allow_abbrev=False)
    parser.add_argument('build')
    parser.add_argument('what', nargs='*')
    parser.add_argument('-j', type=int, default=1)
    parser.add_argument('--found', type=int, default=10)
    parser.add_argument('--stock', action='append', default=[])
    parser.add_argument('--no-shrink', action='store_true')
    parser.add_argument('--save')
    parser.add_argument('--against')
    options = parser.parse_args()

    tally = Tally()
    lock = threading.Lock()
    start = time.monotonic()

    def pair():
        return sides(options.build, options.stock, options.against)

    def report(python, ours, head, program):
        if not options.no_shrink:
            program = shrink(program, lambda p: not same(python, ours, p))
        with lock:
            print('\n'.join(describe(python, ours, head, program)), flush=True)
        if options.save:
            path = os.path.join(options.save, head.replace(' ', '_') + '.txt')
            with open(path, 'w') as file:
                file.write(f'=== {head}\n{program}')

    def work(batches):
        python, ours = pair()
        for batch in batches:
            count, found, names = compare_batch(python, ours, batch)
            with lock:
                room = options.found - len(tally.found)
                tally.add(count, found, names)
            for head, program in found[:max(room, 0)]:
                report(python, ours, head, program)
            if len(tally.found) >= options.found:
                break
        python.close()
        ours.close()

    if options.what and not options.what[0].isdigit():
        batches = []
        for path in options.what:
            with open(path, 'rb') as file:
                batches.append(file.read() + b'===\n')
        work(batches)
    else:
        seed, count, first = (list(map(int, options.what)) + [1, -1, 0][
            len(options.what):])[:3]
        if not options.what:
            seed = int(time.time())
            print('seed', seed)
        at = first

        def batches():
            nonlocal at
            while count < 0 or at < first + count:
                with lock:
                    mine = at
                    at += BATCH
                size = BATCH if count < 0 else min(BATCH, first + count - mine)
                if size > 0:
                    yield generated(options.build, seed, mine, size)
                if mine % 100_000 == 0 and mine > first:
                    print(f'# {mine - first}: {tally}, '
                          f'{time.monotonic() - start:.0f} s', flush=True)

        try:
            with ThreadPoolExecutor(options.j) as pool:
                for job in [pool.submit(work, batches())
                            for _ in range(options.j)]:
                    job.result()
        except KeyboardInterrupt:
            pass
    print(f'{tally}, {time.monotonic() - start:.1f} s')
    return 1 if tally.found else 0


if __name__ == '__main__':
    sys.exit(main())
