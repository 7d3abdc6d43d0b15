# SPDX-License-Identifier: MIT
"""What an operation is made of: system calls (strace), instructions
(callgrind). Both from two runs of different lengths, so that the start, the end
and what a sample sets up do not count."""
import contextlib
import re
import subprocess
import tempfile

from kit import Failed
from kit.measure import load_options, multiple_of
from kit.processes import Load, Server

MESSAGES = 2000


def calls_in(path):
    """{system call: how often} of a table that strace -c has left."""
    with open(path, encoding='utf-8', errors='replace') as table:
        # % time, seconds, usecs/call, calls, [errors,] name
        rows = [line.split() for line in table if line[:1] in ' 1']
    return {row[-1]: int(row[3]) for row in rows
            if len(row) >= 5 and row[-1] != 'total' and row[3].isdecimal()}


def run_worker(command, sizes):
    """A worker under a tool, asked for samples of these sizes; what it said on
    stderr."""
    done = subprocess.run(command, input=''.join(f'{size}\n' for size in sizes), text=True,
                          timeout=600,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    answers = done.stdout.split('\n')[1:-1]
    if done.returncode != 0 or len(answers) != len(sizes):
        raise Failed(f'{" ".join(command)}: ' + done.stderr[-500:])
    return done.stderr


def worker_calls(entry, case, sizes):
    with tempfile.NamedTemporaryFile('r', suffix='.strace') as table:
        run_worker(['strace', '-c', '-f', '-o', table.name, entry.program, '--worker', case,
                    entry.name], sizes)
        return calls_in(table.name)


def server_calls(entry, case, samples, cpus, load):
    kind, options, where = load_options(case)
    with tempfile.NamedTemporaryFile('r', suffix='.strace') as table:
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(Server(
                entry, kind, cpus[0], ['strace', '-c', '-f', '-o', table.name]))
            asks = stack.enter_context(Load(load, server, cpus[1 if where else 0], options,
                                            entry))
            asks.wait_begin()
            for _ in range(samples):
                asks.ask(f'messages {MESSAGES}')
        return calls_in(table.name)


def worker_instructions(entry, case, sizes):
    said = run_worker(['valgrind', '--tool=callgrind', '--callgrind-out-file=/dev/null',
                       entry.program, '--worker', case, entry.name], sizes)
    return {'instructions': int(re.search(r'Collected : (\d+)', said)[1])}


def difference(few, many, operations):
    """What so many more operations have cost, each."""
    return {name: (many[name] - few.get(name, 0)) / operations for name in many}


def of_worker(measure, entry, case):
    """The same of a worker: a sample to warm up, and a short or a long one."""
    size = multiple_of(case)
    long = size * (20 if size <= 10_000 else 3)
    return difference(measure(entry, case, [size, size]), measure(entry, case, [size, long]),
                      long - size)


def is_native(path):
    """Not a script: valgrind looks at what the kernel starts."""
    with open(path, 'rb') as file:
        return file.read(4) == b'\x7fELF'


def syscalls(cases, cpus, load):
    """Prints the system calls of an operation, or of a message."""
    print(f'{"case":34} {"contestant":18} system calls an operation')
    for case, entries in cases.items():
        for entry in entries:
            if (entry.clock in ('memory', 'compile') or case.startswith('idle/')
                    or case.endswith('_rate')):
                continue
            try:
                if entry.clock == 'server':
                    few, many = (server_calls(entry, case, samples, cpus, load)
                                 for samples in (1, 3))
                    found = difference(few, many, 2 * MESSAGES)
                else:
                    found = of_worker(worker_calls, entry, case)
            except Failed as error:
                print(f'{case:34} {entry.name:18} cannot: {str(error).splitlines()[0]}')
                continue
            counts = sorted(found.items(), key=lambda item: -item[1])
            seen = '  '.join(f'{name} {count:.3f}' for name, count in counts
                             if count >= 0.0005)
            total = sum(count for _, count in counts)
            print(f'{case:34} {entry.name:18} {total:6.3f}   {seen}', flush=True)


def instructions(cases):
    """Prints the instructions of an operation, where one thread does it."""
    print(f'{"case":34} {"contestant":18} instructions an operation')
    for case, entries in cases.items():
        for entry in entries:
            if entry.clock != 'thread' or not is_native(entry.program):
                continue
            try:
                found = of_worker(worker_instructions, entry, case)
            except Failed as error:
                print(f'{case:34} {entry.name:18} cannot: {str(error).splitlines()[0]}')
                continue
            print(f'{case:34} {entry.name:18} {found["instructions"]:10.1f}', flush=True)
