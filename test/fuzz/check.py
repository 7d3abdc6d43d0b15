#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares 100,000 random programs on our futures with CPython's asyncio.

And those of programs/*.txt: some by hand, and the smallest program of each
difference that was once found. RONDO_TEST_SEED= chooses other random ones,
RONDO_TEST_SCALE= more or fewer of them. Ends early, and says so, when its time
is up (a sanitizer's build is slow).
"""
import glob
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import checking  # first: it keeps __pycache__ out of the tree
import compare

PROGRAMS = 100_000
SECONDS = 120
SHRUNK_MAX = 3


def check_file(build, path):
    """Compares each program of a file."""
    python, ours = compare.sides(build)
    with open(path, encoding='utf-8') as file:
        programs = compare.split(file.read())
    problem = []
    for head, program in programs.items():
        if not compare.same(python, ours, program):
            problem += compare.describe(python, ours, head, program)
    python.close()
    ours.close()
    name = os.path.splitext(os.path.basename(path))[0]
    return checking.report(f'fuzz {name}', problem)


def check_random(build, seed, count):
    """Compares random programs, in as many threads as there are jobs."""
    tally, lock, start = compare.Tally(), Lock(), time.monotonic()
    batches = iter(range(0, count, compare.BATCH))

    def work(_):
        python, ours = compare.sides(build)
        while time.monotonic() - start < SECONDS:
            with lock:
                first = next(batches, None)
            if first is None or len(tally.found) >= SHRUNK_MAX:
                break
            batch = compare.generated(
                build, seed, first, min(compare.BATCH, count - first))
            result = compare.compare_batch(python, ours, batch)
            with lock:
                tally.add(*result)
        python.close()
        ours.close()

    with ThreadPoolExecutor(checking.JOBS) as pool:
        list(pool.map(work, range(checking.JOBS)))
    problem = []
    python, ours = compare.sides(build)
    for head, program in tally.found[:SHRUNK_MAX]:
        program = compare.shrink(
            program, lambda p: not compare.same(python, ours, p), 30)
        problem += compare.describe(python, ours, head, program)
    python.close()
    ours.close()
    if problem:
        problem.append(f'reproduce: test/fuzz/compare.py {build} {seed} {count}')
    passed = checking.report('fuzz random programs', problem)
    time_up = '' if tally.programs >= count else f' of {count}, then time was up'
    print(f'# fuzz: {tally}{time_up}, seed {seed}, '
          f'{time.monotonic() - start:.0f} s')
    return passed


def main(build):
    if not os.path.exists(compare.PYTHON):
        print(f'# fuzz: not run, there is no {compare.PYTHON}')
        return 0
    results = [check_file(build, path)
               for path in sorted(glob.glob(os.path.join(HERE, 'programs', '*.txt')))]
    scale = float(os.environ.get('RONDO_TEST_SCALE') or 1)
    seed = int(os.environ.get('RONDO_TEST_SEED') or 1)
    results.append(check_random(build, seed, max(1, int(PROGRAMS * scale))))
    return 0 if all(results) else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
