# SPDX-License-Identifier: MIT
"""The two ends of a conversation: the server that is tested, and a client."""
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import threading
import time

BLOCK = 0.4        # seconds that /block takes here
PATIENCE = 15      # seconds after which a silent server has failed
AT_ONCE = 0.2      # seconds within which an answer counts as immediate

GET = b'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
GET_BLOCK = b'GET /block HTTP/1.1\r\nHost: x\r\n\r\n'
HELLO = b'<h1>hello world</h1>'
BLOCKED = b'<h1>Are you block?</h1>'


class Server:
    """A running http_callbacks."""
    program = None  # set by main()

    def __init__(self, *arguments, descriptors=None):
        def limit():
            if descriptors:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors,) * 2)
        self.process = subprocess.Popen(
            [self.program, *map(str, arguments or (0, BLOCK))], text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, preexec_fn=limit)
        self.pid = self.process.pid
        self.greeting = [self.process.stdout.readline() for _ in range(3)]
        said = re.fullmatch(r'Serving on 127\.0\.0\.1:(\d+)\n', self.greeting[0])
        if not said:
            self.process.kill()
            raise AssertionError(f'it said {self.greeting} and '
                                 f'{self.process.communicate()[1]!r}')
        self.port = int(said.group(1))

    def stop(self, how=signal.SIGINT):
        """Ends it; returns (status, stdout, stderr)."""
        self.process.send_signal(how)
        try:
            out, err = self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f'{how.name} does not end it') from None
        return self.process.returncode, out, err

    def kill(self):
        if self.process.returncode is None:
            self.process.kill()
            self.process.communicate()

    def descriptors(self):
        return len(os.listdir(f'/proc/{self.pid}/fd'))

    def cpu_seconds(self):
        with open(f'/proc/{self.pid}/stat', encoding='ascii') as file:
            fields = file.read().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def memory_kib(self):
        with open(f'/proc/{self.pid}/status', encoding='ascii') as file:
            return int(re.search(r'VmRSS:\s+(\d+)', file.read()).group(1))


class Client:
    """One connection."""

    def __init__(self, server, send=b'', receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(('127.0.0.1', server.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b''
        if send:
            self.send(send)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.sendall(data)

    def push(self, data):
        """Sends until all is taken, or nothing more for 0.15 s; returns how much."""
        self.socket.setblocking(False)
        sent = stuck = 0
        while sent < len(data) and stuck < 15:
            try:
                sent += self.socket.send(data[sent:sent + (1 << 16)])
                stuck = 0
            except BlockingIOError:
                stuck += 1
                time.sleep(0.01)
        self.socket.settimeout(PATIENCE)
        return sent

    def finish_sending(self):
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes as a program does that crashes with data unread."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                               struct.pack('ii', 1, 0))
        self.socket.close()

    def more(self):
        data = self.socket.recv(1 << 16)
        self.rest += data
        return data

    def answer(self, body=True):
        """The next answer: (status, {header: value}, body)."""
        while b'\r\n\r\n' not in self.rest:
            assert self.more(), f'the connection ended within {self.rest!r}'
        head, _, self.rest = self.rest.partition(b'\r\n\r\n')
        line, *headers = head.decode('ascii').split('\r\n')
        version, status = line.split(' ')[:2]
        assert version == 'HTTP/1.1', line
        fields = {name.lower(): value for name, value in
                  (header.split(': ') for header in headers)}
        size = int(fields['content-length']) if body else 0
        while len(self.rest) < size:
            assert self.more(), 'the connection ended within a body'
        content, self.rest = self.rest[:size], self.rest[size:]
        return int(status), fields, content

    def ask(self, request=GET):
        self.send(request)
        return self.answer()

    def at_end(self):
        """Whether nothing but an orderly end comes any more."""
        return not self.rest and self.more() == b''


def expect(actual, wanted, what='got'):
    assert actual == wanted, f'{what} {actual!r}, not {wanted!r}'


def expect_hello(answer):
    expect((answer[0], answer[2]), (200, HELLO))


def timed(action):
    start = time.monotonic()
    result = action()
    return time.monotonic() - start, result


def expect_at_once(action):
    took, result = timed(action)
    assert took < AT_ONCE, f'took {took:.3f} s'
    return result


def eventually(condition, what, within=5):
    """Waits for what must come about, without being told when."""
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, f'{what}: not within {within} s'
        time.sleep(0.005)


def in_threads(count, work):
    """Runs work(index) at once in as many threads; raises what one raised."""
    errors = []

    def guarded(index):
        try:
            work(index)
        except BaseException as error:  # told to the caller, below
            errors.append(error)
    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
