# SPDX-License-Identifier: MIT
"""The processes of a run: workers, servers, the load generator."""
import json
import os
import re
import resource
import select
import signal
import subprocess
import tempfile
import time

from kit import Failed

PATIENCE = 90  # seconds for one answer


def processors():
    """Those that we may use."""
    return sorted(os.sched_getaffinity(0))


def all_descriptors():
    """As many as are allowed, for us and for what we start."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Process:
    """A program that answers lines with lines, on processor `cpu` (None: all)."""

    def __init__(self, command, cpu, entry=None):
        self.command = command
        self.entry = entry  # whose work it is
        self.errors = tempfile.TemporaryFile('w+', encoding='utf-8', errors='replace')
        pin = (lambda: os.sched_setaffinity(0, {cpu})) if cpu is not None else None
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
                preexec_fn=pin, start_new_session=True)
        except OSError as error:
            raise Failed(f'{command[0]}: {error}', entry) from error
        self.buffer = b''

    def said(self):
        """The last that it complained of."""
        self.errors.seek(0)
        return self.errors.read().strip().splitlines()[-5:]

    def fail(self, what):
        """Raises, with the last it said."""
        time.sleep(0.05)
        who = f'{self.entry.name}: ' if self.entry else ''
        raise Failed('\n  '.join([f'{who}{" ".join(self.command)}: {what}', *self.said()]),
                     self.entry)

    def tell(self, line):
        try:
            self.process.stdin.write(line.encode() + b'\n')
            self.process.stdin.flush()
        except OSError:
            self.fail('has ended')

    def read(self, timeout=PATIENCE):
        """The next line."""
        limit = time.monotonic() + timeout
        descriptor = self.process.stdout.fileno()
        while b'\n' not in self.buffer:
            left = limit - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                self.fail(f'no answer in {timeout} s')
            more = os.read(descriptor, 1 << 16)
            if not more:
                self.fail(f'has ended with status {self.process.wait()}')
            self.buffer += more
        line, self.buffer = self.buffer.split(b'\n', 1)
        return line.decode(errors='replace').strip()

    def close(self):
        """Ends its input and waits; kills it if it does not go."""
        try:
            self.process.stdin.close()
        except OSError:
            pass
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Worker(Process):
    """Does operations of one case."""

    def __init__(self, entry, case, cpu):
        super().__init__([entry.program, '--worker', case, entry.name], cpu, entry)

    def wait_ready(self):
        said = self.read()
        if said != 'ready':
            self.fail(f'said {said!r} instead of "ready"')

    def ask(self, operations):
        """Nanoseconds that it took, by its own clock."""
        self.tell(str(operations))
        said = self.read()
        words = said.split()
        if len(words) != 2 or not all(re.fullmatch(r'\d+', word) for word in words):
            self.fail(f'said {said!r} instead of "NS DONE"')
        if int(words[1]) != operations:
            self.fail(f'did {words[1]} instead of {operations} operations')
        return int(words[0])


def descendants(pid):
    """`pid` and what it has started."""
    found = [pid]
    for task in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{task}/children', encoding='ascii') as file:
            for child in file.read().split():
                found += descendants(int(child))
    return found


class Server(Process):
    """Listens; what it costs is read from /proc."""

    def __init__(self, entry, kind, cpu, tracer=()):
        super().__init__([*tracer, entry.program, '--server', kind, entry.name], cpu, entry)
        self.port = None

    def wait_listening(self):
        """The port; the first time it is waited for."""
        if self.port is None:
            said = self.read()
            match = re.fullmatch(r'listening (\d+)', said)
            if match is None:
                self.fail(f'said {said!r} instead of "listening PORT"')
            self.port = int(match[1])
        return self.port

    def cpu_ns(self):
        """Processor time of all its threads, to the nanosecond."""
        total = 0
        try:
            for pid in descendants(self.process.pid):
                for task in os.listdir(f'/proc/{pid}/task'):
                    with open(f'/proc/{pid}/task/{task}/schedstat', encoding='ascii') as file:
                        total += int(file.read().split()[0])
        except (OSError, IndexError):
            self.fail('has ended')
        return total

    def resident(self):
        """Bytes of its memory."""
        total = 0
        try:
            for pid in descendants(self.process.pid):
                with open(f'/proc/{pid}/smaps_rollup', encoding='ascii') as file:
                    total += 1024 * int(re.search(r'(?m)^Rss:\s*(\d+)', file.read())[1])
        except OSError:
            self.fail('has ended')
        return total


class Load(Process):
    """bench/load/, asking `server`."""

    def __init__(self, program, server, cpu, options, entry):
        port = server.wait_listening()
        super().__init__([program, '--port', str(port), *options], cpu, entry)
        self.server = server

    def said(self):
        """And what the server did: its fault it may be."""
        status = self.server.process.poll()
        state = 'still running' if status is None else f'ended with status {status}'
        return [*super().said(), f'the server, {" ".join(self.server.command)}: {state}',
                *self.server.said()]

    def wait_begin(self):
        said = self.read()
        if said != 'begin':
            self.fail(f'said {said!r} instead of "begin"')

    def ask(self, order):
        self.tell(order)
        return json.loads(self.read())
