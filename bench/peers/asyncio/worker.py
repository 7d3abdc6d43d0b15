# SPDX-License-Identifier: MIT
"""The command line of a contestant, in Python: what every peer's program
understands, in one place. peer.py says what there is to run."""
import gc
import sys
import threading
import time
from typing import NamedTuple

# The cases of a server, by its kind.
LOADS = {
    'echo': ['echo/64_c1', 'echo/64_c64', 'echo/64_c64_p16', 'echo/64_c1000',
             'echo/16384_c64', 'echo/16384_c1000', 'echo/102400_c64',
             'idle/10000'],
    'accept': ['accept/c1'],
}

CLOCKS = {'thread': time.thread_time_ns, 'process': time.process_time_ns}


class Case(NamedTuple):
    """A case of --worker."""
    name: str
    operations: int
    # start() is called in a running loop and makes what all rounds share: a
    # coroutine function that does n operations and returns what Timed says
    # and how much was done, counted by those who did it.
    start: object
    clock: str = 'thread'


class Timed:
    """with Timed(clock) as timed: ...; timed.took_ns."""

    def __init__(self, clock='thread'):
        self.now_ns = CLOCKS[clock]
        self.took_ns = 0

    def __enter__(self):
        self.took_ns = -self.now_ns()
        return self

    def __exit__(self, *_):
        self.took_ns += self.now_ns()


class Program:
    """What can be asked for, and the answers.

    cases: of Case. servers: {(kind, contestant): a coroutine function that
    returns an asyncio.Server}. memory: {case: a coroutine function of a count}.
    """

    def __init__(self, name, version, cases, servers, memory):
        self.name = name
        self.version = version
        self.cases = cases
        self.servers = servers
        self.memory = memory

    def run(self, loop, arguments):
        """Does what the command line asks for, on `loop`."""
        match arguments:
            case ['--version']:
                print(self.name, self.version)
            case ['--list']:
                self.list()
            case ['--worker', name, contestant]:
                work(loop, self.find(name, contestant))
            case ['--once', name, contestant, count]:
                once(loop, self.find(name, contestant), int(count))
            case ['--server', kind]:
                serve(loop, self.find_server(kind, self.name))
            case ['--server', kind, contestant]:
                serve(loop, self.find_server(kind, contestant))
            case ['--memory', name, count, self.name] if name in self.memory:
                fill(loop, self.memory[name], int(count))
            case _:
                fail(f'nothing known as {arguments}')

    def list(self):
        """One line for each case."""
        for case in self.cases:
            print(case.name, self.name, case.operations, case.clock)
        for name in self.memory:
            print(name, self.name, 0, 'memory')
        for kind, contestant in self.servers:
            for name in LOADS[kind]:
                print(name, contestant, 0, 'server')

    def find(self, name, contestant):
        """The case of that name."""
        for case in self.cases:
            if case.name == name and contestant == self.name:
                return case
        return fail(f'no case {name} of {contestant}')

    def find_server(self, kind, contestant):
        """How that server is started."""
        found = self.servers.get((kind, contestant))
        return found or fail(f'no server {kind} of {contestant}')


def fail(message):
    """Ends the program: the work was not done."""
    sys.exit(f'FAILED: {message}')


def check(done, expected, what):
    """Ends the program if something was not done."""
    if done != expected:
        fail(f'{what}: {done} instead of {expected}')


async def started(case):
    """What does its rounds. A loop is running meanwhile."""
    return case.start()


def work(loop, case):
    """Answers each number on standard input with a round of so many."""
    do = loop.run_until_complete(started(case))
    print('ready', flush=True)
    while line := sys.stdin.readline():
        took_ns, done = loop.run_until_complete(do(int(line)))
        print(took_ns, done, flush=True)


def once(loop, case, count):
    """So many operations, nothing said: for perf and strace."""
    do = loop.run_until_complete(started(case))
    _, done = loop.run_until_complete(do(count))
    check(done, count, 'done')


def serve(loop, start):
    """Serves until standard input ends, for which a thread of its own waits:
    not every loop takes every kind of file."""
    server = loop.run_until_complete(start())
    print('listening', server.sockets[0].getsockname()[1], flush=True)

    def wait():
        sys.stdin.buffer.read()
        loop.call_soon_threadsafe(loop.stop)

    threading.Thread(target=wait, daemon=True).start()
    loop.run_forever()


def fill(loop, make, count):
    """Says how much memory `count` of something take."""
    loop.run_until_complete(make(1))  # what only the first costs is not theirs
    before = resident_bytes()
    loop.run_until_complete(make(count))
    print(resident_bytes() - before)


def resident_bytes():
    """Of this process, garbage collected. smaps_rollup counts pages; the
    quicker files say what a sloppy counter says."""
    gc.collect()
    with open('/proc/self/smaps_rollup', encoding='ascii') as rollup:
        for line in rollup:
            if line.startswith('Rss:'):
                return int(line.split()[1]) * 1024
    return fail('no Rss in smaps_rollup')
