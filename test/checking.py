# SPDX-License-Identifier: MIT
"""What the checks in test/*/check.* share.

A check is a program that test/run starts in the repository's root with the
build directory as its argument. It prints one line per case, and below a
failed one, indented, what is needed to understand it:

    ok NAME
    not ok NAME
      details

Anything else that it prints is shown when it fails and passed over otherwise,
but for lines that start with `# `: those are shown always.
"""
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True  # leave no __pycache__ in the tree

JOBS = 2


def run(command, timeout=120, **options):
    """Runs a command; returns (exit status, stdout, stderr) as text.

    The exit status is negative for a signal, as in subprocess, and None when
    the time was up (the whole process group is killed then).
    """
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, errors='replace',
        start_new_session=True, **options)
    try:
        out, err = process.communicate(timeout=timeout)
        return process.returncode, out, err
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        return None, out, err


def status_text(status, timeout=120):
    """An exit status in words."""
    if status is None:
        return f'still running after {timeout} s'
    if status < 0:
        return f'killed by {signal.Signals(-status).name}'
    return f'exit status {status}'


def difference(expected, actual):
    """The lines of two texts side by side, from the first that differs."""
    want, got = expected.splitlines(), actual.splitlines()
    same = 0
    while same < min(len(want), len(got)) and want[same] == got[same]:
        same += 1
    text = [f'first difference in line {same + 1} of stdout']
    text += [f'  expected: {line}' for line in want[same:same + 5]]
    text += [f'  printed:  {line}' for line in got[same:same + 5]]
    return text


def report(name, problem):
    """Prints a case's line. `problem` is a list of lines, empty if all is well."""
    print(f'not ok {name}' if problem else f'ok {name}')
    for line in problem:
        print('  ' + line)
    sys.stdout.flush()
    return not problem


def check_all(cases, problem_of):
    """Reports problem_of(case) of every (name, case), JOBS at a time, in order.

    Returns the exit status for the check: 0 if all are well.
    """
    with ThreadPoolExecutor(JOBS) as pool:
        problems = pool.map(lambda item: problem_of(item[1]), cases)
        results = [report(name, problem)
                   for (name, _), problem in zip(cases, problems)]
    return 0 if all(results) else 1
