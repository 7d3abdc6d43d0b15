#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plays the sessions of *.txt with the servers of net/examples.

A file says in its first lines how the server is started, and what it prints
before anybody connects; then come its sessions, each with a server of its own:

    run: command_server 0
    server Serving on ('127.0.0.1', <port>)

    == NAME: what it shows
    A connect               (connect 2: to the second port of those printed)
    A send b'add 5\\n'       Python's literals, with + and *
    A receive b'...'        these bytes, no matter in how many pieces
    A receive b'...' after 1.5      and not within 1.5 s of the last send
    A silent                nothing has come yet
    A finish                shutdown(SHUT_WR)
    A eof                   the end of the stream, and nothing before it
    A end                   finish and eof
    A close, A reset        without a look at what has come
    server LINE             the next line of its stdout; <port> for any number
    signal SIGINT           to the server
    stderr TEXT             a line of its stderr, in this order, has this in it
    curl ARGUMENTS => STATUS b'...'         with <url> for its first port
    again STATUS TEXT       a second server on the first one's port, its stderr
    exit STATUS             how the server ends by itself; SIGINT, if by that

Each client must have ended, and each line of stdout be named, for a session to
pass. Without `exit` the server is still there at the end, and SIGTERM is, as
for any Python program, the end of it; `end: STEP` among a file's first lines is
a step that such sessions have at their end. Without `stderr` that is empty.

000_block_http and 003_command_server* were recorded with the Python programs
that the servers are ports of, on CPython 3.11.
"""
import glob
import os
import queue
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import checking

HERE = os.path.dirname(os.path.abspath(__file__))
AT_ONCE = 8        # sessions; they mostly wait
PATIENCE = 15      # seconds after which what does not come has failed


class Failed(Exception):
    """A step did not go as the file says."""


def literal(text):
    """b'..' * 3 + b'..', as Python reads it. The files are our own."""
    return eval(text, {'__builtins__': {}})


def short(data):
    text = repr(data)
    return text if len(text) < 300 else f'{text[:250]}... ({len(data)} bytes)'


class Server:
    """The process, and a thread that reads what it prints."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors='backslashreplace',
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        self.lines, self.errors = queue.Queue(), []
        self.readers = [threading.Thread(target=self.read_stdout),
                        threading.Thread(target=self.read_stderr)]
        for reader in self.readers:
            reader.start()

    def read_stdout(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip('\n'))
        self.lines.put(None)

    def read_stderr(self):
        self.errors += self.process.stderr.read().splitlines()

    def line(self):
        """Its next line, or None at the end."""
        try:
            return self.lines.get(timeout=PATIENCE)
        except queue.Empty:
            raise Failed(f'it prints nothing for {PATIENCE} s') from None

    def wait(self):
        """How it ended."""
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failed(f'it does not end within {PATIENCE} s') from None
        for reader in self.readers:
            reader.join()
        return str(status) if status >= 0 else signal.Signals(-status).name

    def close(self):
        """Ends it, if it is not at its end. The second time, does nothing."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for reader in self.readers:
            reader.join()
        self.process.stdout.close()
        self.process.stderr.close()


class Client:
    """One connection. Its methods are the steps."""

    def __init__(self, port):
        self.socket = socket.create_connection(('127.0.0.1', port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.is_open, self.came, self.sent_at = True, b'', 0.0

    def more(self):
        try:
            data = self.socket.recv(1 << 16)
        except socket.timeout:
            raise Failed(f'nothing comes for {PATIENCE} s after '
                         f'{short(self.came)}') from None
        self.came += data
        return data

    def send(self, text):
        self.sent_at = time.monotonic()
        self.socket.sendall(literal(text))

    def receive(self, text):
        text, seconds = re.fullmatch(r'(.*?)(?: after ([\d.]+))?', text).groups()
        wanted = literal(text)
        while len(self.came) < len(wanted) and self.more():
            pass
        if not self.came.startswith(wanted):
            raise Failed(f'{short(self.came)} came')
        took = time.monotonic() - self.sent_at
        if took < float(seconds or 0) - 0.02:  # clocks differ
            raise Failed(f'came after {took:.2f} s')
        self.came = self.came[len(wanted):]

    def silent(self, _):
        self.socket.setblocking(False)
        try:
            self.more()
            raise Failed(f'{short(self.came)} came')
        except BlockingIOError:
            self.socket.settimeout(PATIENCE)

    def finish(self, _):
        self.socket.shutdown(socket.SHUT_WR)

    def eof(self, _):
        while self.more():
            pass
        if self.came:
            raise Failed(f'{short(self.came)} came before it')
        self.close(_)

    def end(self, _):
        self.finish(_)
        self.eof(_)

    def close(self, _):
        self.socket.close()
        self.is_open = False

    def reset(self, _):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                               struct.pack('ii', 1, 0))
        self.close(_)


class Session:
    """A server, its clients, and how far the steps have come."""

    def __init__(self, command):
        self.command = command
        self.server = Server(command)
        self.ports, self.clients = [], {}
        self.wanted_errors, self.status = [], None

    def step(self, line):
        """Takes one step: either its own method, or a client's."""
        word, _, rest = line.partition(' ')
        if word.islower():
            getattr(self, 'do_' + word)(rest)
            return
        verb, _, rest = rest.partition(' ')
        if verb == 'connect':
            self.clients[word] = Client(self.ports[int(rest or 1) - 1])
        else:
            getattr(self.clients[word], verb)(rest)
        if not self.clients[word].is_open:
            del self.clients[word]

    def do_server(self, wanted):
        line = self.server.line()
        pattern = re.escape(wanted).replace('<port>', r'\d+')
        if line is None or not re.fullmatch(pattern, line):
            raise Failed(f'it printed {line!r}')
        said = re.search(r"127\.0\.0\.1(?:', |:| )(\d+)", line)
        if said and not line.startswith('Connection from'):
            self.ports.append(int(said.group(1)))

    def do_signal(self, name):
        self.server.process.send_signal(signal.Signals[name])

    def do_stderr(self, text):
        self.wanted_errors.append(text)

    def do_exit(self, status):
        self.status = status

    def do_curl(self, text):
        if not shutil.which('curl'):
            return
        command, _, wanted = text.partition(' => ')
        url = f'http://127.0.0.1:{self.ports[0]}'
        got = subprocess.run(['curl', *shlex.split(command.replace('<url>', url))],
                             stdout=subprocess.PIPE, timeout=PATIENCE, check=False)
        status, _, output = wanted.partition(' ')
        if (got.returncode, got.stdout) != (int(status), literal(output)):
            raise Failed(f'exit status {got.returncode}, {short(got.stdout)}')

    def do_again(self, text):
        status, _, wanted = text.partition(' ')
        command = [self.command[0], str(self.ports[0]), *self.command[2:]]
        got, _, err = checking.run(command, PATIENCE)
        wanted = wanted.replace('<port>', str(self.ports[0]))
        if got != int(status) or wanted not in err:
            raise Failed(f'{checking.status_text(got, PATIENCE)}, {err!r}')

    def end(self):
        """What must hold behind the last step."""
        if self.clients:
            raise Failed(f'still open: {", ".join(self.clients)}')
        if self.status is None:
            if self.server.process.poll() is not None:
                raise Failed('it has ended')
            self.do_signal('SIGTERM')
        ended = self.server.wait()
        if ended != (self.status or 'SIGTERM'):
            raise Failed(f'it ended with {ended}')
        while (line := self.server.line()) is not None:
            raise Failed(f'it also printed {line!r}')
        errors = iter(self.server.errors)
        for wanted in self.wanted_errors:
            if not any(wanted in line for line in errors):
                raise Failed(f'not in its stderr: {wanted}')
        if not self.wanted_errors and self.server.errors:
            raise Failed('its stderr is not empty')

    def close(self):
        for client in self.clients.values():
            client.socket.close()
        self.server.close()


class Script:
    """A session as a file has it: its name, and (line number, step) in order."""

    def __init__(self, path, command, name, steps):
        self.file, self.command = os.path.basename(path), command
        self.name = f'session {os.path.splitext(self.file)[0]}:{name}'
        self.steps = steps


def scripts_of(path, build):
    """All sessions of a file."""
    command, scripts = None, []
    first, last = [], []  # what all have at their beginning and end
    with open(path, encoding='utf-8') as file:
        for number, line in enumerate(map(str.rstrip, file), 1):
            if line.startswith('run: '):
                program, *arguments = line.split()[1:]
                command = [os.path.join(build, 'examples/net', program), *arguments]
            elif line.startswith('end: '):
                last.append((number, line[len('end: '):]))
            elif line.startswith('== '):
                name = line[3:].partition(':')[0]
                scripts.append(Script(path, command, name, list(first)))
            elif line and not line.startswith('#'):
                (scripts[-1].steps if scripts else first).append((number, line))
    for script in scripts:
        if not any(step.startswith('exit ') for _, step in script.steps):
            script.steps += last
    return scripts


def problem_of(script):
    session, number, step = None, 0, ''
    try:
        session = Session(script.command)
        for number, step in script.steps:
            session.step(step)
        step = 'its end'
        session.end()
        return []
    except Exception as error:  # a mistake in the file, too
        problem = [f'{script.file}:{number}: {step}',
                   f'{type(error).__name__}: {error}',
                   'the server: ' + shlex.join(script.command)]
        if session:
            session.close()
            problem += ['stderr: ' + line for line in session.server.errors[-20:]]
        return problem
    finally:
        if session:
            session.close()


def main(build):
    scripts = [script for path in sorted(glob.glob(os.path.join(HERE, '*.txt')))
               for script in scripts_of(path, build)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = [checking.report(script.name, problem)
                   for script, problem in zip(scripts, pool.map(problem_of, scripts))]
    return 0 if all(results) else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
