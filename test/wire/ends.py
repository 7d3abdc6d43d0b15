# SPDX-License-Identifier: MIT
"""Both ends: our programs at the near one, Python's sockets at the far one."""
import collections
import contextlib
import os
import re
import select
import signal
import socket
import ssl
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from namespaces import die_with_parent, setting

PATIENCE = 45      # seconds without a byte, or for an end, that are too long


def expect(actual, wanted, what='got'):
    assert actual == wanted, f'{what} {actual!r}, not {wanted!r}'


def eventually(condition, what, within=15):
    """Waits for what must come about, without being told when."""
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, f'{what}: not within {within} s'
        time.sleep(0.01)


def together(*actions):
    """Does them at once, each in a thread; raises what one has raised."""
    with ThreadPoolExecutor(len(actions)) as pool:
        for done in [pool.submit(action) for action in actions]:
            done.result()


def pattern(size):
    """What is sent: the same in node.cc."""
    state, period = 1, bytearray()
    for _ in range(min(size, 65521)):
        state = (state * 1664525 + 1013904223) & 0xffffffff
        period.append(state >> 24)
    return bytes((period * (size // 65521 + 1))[:size])


def quick_retransmissions(world):
    """TCP does not ask again later and later, but at least once a second; and
    not less often for who has said all and closed."""
    def here():
        with contextlib.suppress(OSError):  # Linux 6.15 and newer have it
            setting('ipv4/tcp_rto_max_ms', 1000)
        setting('ipv4/tcp_orphan_retries', 30)
    here()
    with world.near():
        here()


def keep_alive(idle, probes):
    """How SO_KEEPALIVE looks for a sign of life: after so many seconds without
    one, and then so often, every second. Our streams have it."""
    setting('ipv4/tcp_keepalive_time', idle)
    setting('ipv4/tcp_keepalive_intvl', 1)
    setting('ipv4/tcp_keepalive_probes', probes)


# ---- Our programs ----------------------------------------------------------

class Program:
    """A program of ours that runs until it is stopped.

    Its stdout and stderr go to files: nobody has to read them while it runs.
    """

    def __init__(self, world, command, ready, descriptors=None):
        def limit():
            die_with_parent()
            if descriptors:
                import resource
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors,) * 2)
        number = len(os.listdir(world.folder))
        self.out = os.path.join(world.folder, f'out{number}')
        self.err = os.path.join(world.folder, f'err{number}')
        with open(self.out, 'wb') as out, open(self.err, 'wb') as err, \
                world.near():
            self.process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL,
                stdout=out, stderr=err, preexec_fn=limit)
        world.programs.append(self)
        self.pid = self.process.pid
        eventually(lambda: re.search(ready, self.said()) or self.ended(),
                   f'{command[0]} says {ready!r}')
        assert not self.ended(), f'{command} has ended: {self.complaints()}'

    def ended(self):
        return self.process.poll() is not None

    def said(self):
        with open(self.out, encoding='utf-8', errors='replace') as file:
            return file.read()

    def complaints(self):
        with open(self.err, encoding='utf-8', errors='replace') as file:
            return file.read()

    def port(self, way=''):
        """The number at the end of a line that begins so."""
        return int(re.search(rf'(?m)^{way}.*\b(\d+)\)?$', self.said()).group(1))

    def stop(self, how=signal.SIGTERM, status=0, complaints=''):
        """Ends it in order, as it must end."""
        assert not self.ended(), f'it has ended: {self.complaints()}'
        self.process.send_signal(how)
        self.process.wait(PATIENCE)
        expect((self.process.returncode, self.complaints()), (status, complaints))

    def kill(self):
        if not self.ended():
            self.process.kill()
            self.process.wait()

    def cpu_seconds(self):
        with open(f'/proc/{self.pid}/stat', encoding='ascii') as file:
            fields = file.read().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def descriptors(self):
        return len(os.listdir(f'/proc/{self.pid}/fd'))

    def memory_kib(self):
        with open(f'/proc/{self.pid}/status', encoding='ascii') as file:
            return int(re.search(r'VmRSS:\s+(\d+)', file.read()).group(1))

    @contextlib.contextmanager
    def uses_at_most(self, seconds):
        """Of a processor, until the end of the block: it does not spin."""
        before = self.cpu_seconds()
        yield
        used = self.cpu_seconds() - before
        assert used <= seconds, f'it used {used:.2f} s of a processor'


class Node(Program):
    """node serve: an echo in every way."""

    def __init__(self, world, host='127.0.0.1', **options):
        self.path = os.path.join(world.folder, 'socket')
        self.name = f'rondo-wire-{os.getpid()}'
        super().__init__(world, [world.node, 'serve', host, self.path, self.name],
                         r'(?m)^ready$', **options)

    def connections(self):
        """{(way, peer, which of that name): [error of each end]}; no ends: it
        is open."""
        found, last = {}, collections.Counter()
        for line in self.said().splitlines():
            parts = re.match(r"([-+]) (\w+) (\([^)]*\)|\S*) ?(.*)", line)
            if not parts:
                continue
            what, way, peer, error = parts.groups()
            if what == '+':
                before = found.get((way, peer, last[way, peer]))
                assert before != [], f'made before it has ended: {line}'
                last[way, peer] += 1
                found[way, peer, last[way, peer]] = []
            else:
                found[way, peer, last[way, peer]].append(error)
        return found

    def errors(self):
        """How often which error has ended a connection; 'open': it has not."""
        return dict(collections.Counter(
            ends[0] if ends else 'open' for ends in self.connections().values()))

    def stop_and_expect(self, errors=None):
        """Ends it, and looks back: each connection has ended once, and with no
        error, but for so many with those in {a part of its text: how many}."""
        self.stop()
        wanted = dict(errors or {})
        for peer, ends in self.connections().items():
            expect(len(ends), 1, f'{peer} has ended so often:')
            if ends != ['none']:
                known = [key for key in wanted if key in ends[0]]
                assert known, f'{peer} has ended with {ends[0]!r}'
                wanted[known[0]] -= 1
        expect(wanted, dict.fromkeys(wanted, 0), 'errors that are missing:')


def serving(world, name, *arguments):
    """An example that says, in a line that ends with its port, that it serves."""
    return Program(world, [world.example('net/' + name), *arguments], r'\d\)?\n')


def asks(world, command, size):
    """Runs `node talk...`, whose answer must be right."""
    with world.near():
        process = subprocess.Popen(
            [world.node, *map(str, command), str(size)], text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, preexec_fn=die_with_parent)
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    expect((process.returncode, out, err),
           (0, f'{size} bytes there and back\n', ''), command)


# ---- Python's end ----------------------------------------------------------

def certificate():
    """The examples' throwaway certificate and key."""
    with open('net/examples/throwaway_certificate.h', encoding='ascii') as file:
        lines = re.findall(r'(?m)^ +"(.*)\\n"', file.read())
    both = '\n'.join(lines) + '\n'
    middle = both.index('-----BEGIN PRIVATE')
    return both[:middle], both[middle:]


def connect(address, tls=False):
    """A connection to what listens at the near end."""
    plain = socket.create_connection(address, timeout=PATIENCE)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not tls:
        return plain
    context = ssl.create_default_context(cadata=certificate()[0])
    return context.wrap_socket(plain, server_hostname='localhost')


def say_goodbye(connection):
    """The orderly end of an encrypted connection."""
    connection.settimeout(PATIENCE)
    connection.unwrap()


class Exchange:
    """Sends `data`, and expects it back (or `answer`), both at once. `finish`:
    says that this was all, and expects to hear the same."""

    def __init__(self, connection, data, finish=True, answer=None):
        self.connection, self.data, self.finish = connection, data, finish
        self.answer = data if answer is None else answer
        self.sent = self.came = 0
        self.over = False
        connection.setblocking(False)

    def run(self, until=None):
        """To the end, or until so many bytes have come."""
        wanted = len(self.answer) if until is None else until
        poll = select.poll()
        quiet_since = time.monotonic()
        while not (self.came >= wanted and (until or self.over or not self.finish)):
            before = self.sent, self.came, self.over
            self.send()
            self.receive()
            if (self.sent, self.came, self.over) != before:
                quiet_since = time.monotonic()
                continue
            assert time.monotonic() < quiet_since + PATIENCE, \
                f'nothing for {PATIENCE} s after {self.came} of {wanted} bytes'
            sending = self.sent < len(self.data)
            poll.register(self.connection,
                          select.POLLIN | (select.POLLOUT if sending else 0))
            poll.poll(1000)
        return self

    def send(self):
        if self.sent == len(self.data):
            return
        with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError,
                                 ssl.SSLWantWriteError):
            self.sent += self.connection.send(self.data[self.sent:self.sent + 65536])
        if self.sent == len(self.data) and self.finish:
            self.connection.shutdown(socket.SHUT_WR)

    def receive(self):
        with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError,
                                 ssl.SSLWantWriteError):
            part = self.connection.recv(65536)
            if not part:
                self.over = True
                assert self.came == len(self.answer), \
                    f'the end after {self.came} of {len(self.answer)} bytes'
                return
            assert part == self.answer[self.came:self.came + len(part)], \
                f'other bytes after {self.came} of {len(self.answer)}'
            self.came += len(part)


def exchange(address, size, tls=False):
    """A connection of its own for `size` bytes there and back."""
    with connect(address, tls) as connection:
        Exchange(connection, pattern(size), finish=not tls).run()
        if tls:
            say_goodbye(connection)


def small_talk(address, count, tls=False):
    """Waits for each answer before it says the next."""
    with connect(address, tls) as connection:
        for number in range(count):
            Exchange(connection, b'%d and a little more\n' % number, False).run()
        if tls:
            say_goodbye(connection)


def ask_by_datagrams(address, count, patience=0.3):
    """Each question again until it is answered; answers are as they were sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect(address)
        asking.settimeout(patience)
        questions = {number: b'%d:' % number + pattern(1 + 37 * number % 1400)
                     for number in range(count)}
        missing, end = set(questions), time.monotonic() + PATIENCE
        while missing:
            assert time.monotonic() < end, f'no answer to {sorted(missing)}'
            for number in missing:
                asking.send(questions[number])
            with contextlib.suppress(TimeoutError):
                while missing:
                    answer = asking.recv(65536)
                    number = int(answer.partition(b':')[0])
                    expect(answer, questions[number], 'a datagram is')
                    missing.discard(number)


class EchoServer:
    """Python's own, for our clients."""

    def __init__(self, world, address, tls=False):
        self.listener = socket.create_server((address, 0))
        self.address = self.listener.getsockname()
        self.context = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            chain = os.path.join(world.folder, 'chain.pem')
            with open(chain, 'w', encoding='ascii') as file:
                file.write(''.join(certificate()))
            self.context.load_cert_chain(chain)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,),
                             daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError):  # our client will say so
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            while data := connection.recv(65536):
                connection.sendall(data)
            connection.close()
