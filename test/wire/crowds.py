# SPDX-License-Identifier: MIT
"""More clients than there is room for, and clients that never were: the server
stays, answers afterwards, and its memory is bounded."""
import contextlib
import itertools
import os
import random
import resource
import select
import signal
import socket
import struct
import time

from cases import case
from ends import PATIENCE, Node, eventually, expect, small_talk
from namespaces import NEAR, counters, setting

CONNECTIONS = 10_000
SYNS = 40_000
BACKLOG = 100        # create_server()'s own


def descriptors():
    """As many as this process may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


# ---- Connections -----------------------------------------------------------

def begin(address):
    """A connect() that has begun."""
    beginning = socket.socket()
    beginning.setblocking(False)
    number = beginning.connect_ex(address)
    assert number in (0, 115), os.strerror(number)  # EINPROGRESS
    return beginning


def connected(one):
    try:
        one.getpeername()
        return True
    except OSError:
        return False


class Crowd:
    """Connections that are made at once, and speak when they are made. The
    kernel asks again for those that are not let in, but each time later; so
    those give up after a while and begin anew, some at a time."""

    AWHILE = 3      # seconds
    ANEW = 200      # at a time

    def __init__(self, address, count):
        self.address = address
        self.poll = select.epoll()
        self.outside = {}   # descriptor: (socket, what to say, since when)
        self.inside = {}    # descriptor: [socket, what is to come]
        self.answered = []
        for number in range(count):
            self.begin(b'%d\n' % number)

    def begin(self, words):
        one = begin(self.address)
        self.poll.register(one, select.EPOLLOUT)
        self.outside[one.fileno()] = one, words, time.monotonic()

    def run(self):
        """Until every one of them has had its answer."""
        end = time.monotonic() + PATIENCE
        while self.outside or self.inside:
            now = time.monotonic()
            assert now < end, (f'{len(self.outside)} are waiting for a connection, '
                               f'{len(self.inside)} for an answer')
            for number, _ in self.poll.poll(0.05, 1024):
                if number in self.outside:
                    self.enter(number)
                else:
                    self.listen(number)
            oldest = itertools.islice(self.outside.items(), self.ANEW)
            for number in [number for number, (one, _, since) in oldest
                           if since < now - self.AWHILE and not connected(one)]:
                one, words, _ = self.outside.pop(number)
                one.close()
                self.begin(words)

    def enter(self, number):
        one, words, _ = self.outside.pop(number)
        one.send(words)  # raises what connecting has failed with
        self.poll.modify(one, select.EPOLLIN)
        self.inside[number] = [one, words]

    def listen(self, number):
        one, rest = self.inside[number]
        answer = one.recv(100)
        assert answer and rest.startswith(answer), (rest, answer)
        self.inside[number][1] = rest[len(answer):]
        if answer == rest:
            self.poll.unregister(one)
            self.answered.append(self.inside.pop(number)[0])

    def close(self):
        for one, *_ in [*self.outside.values(), *self.inside.values()]:
            one.close()
        for one in self.answered:
            one.close()
        self.poll.close()


@case
def ten_thousand_at_once_find_their_way_in(world):
    limit = descriptors()
    count = min(CONNECTIONS, limit - 200)
    if count < CONNECTIONS:
        print(f'# wire: descriptors for {count} connections only (ulimit -n)')
    with world.near():
        setting('ipv4/tcp_max_syn_backlog', 2 * BACKLOG)
        # With SYN cookies a late copy of an ACK can make a connection again
        # that has ended already; nobody is at the other end of it.
        setting('ipv4/tcp_syncookies', 0)
    node = Node(world, NEAR, descriptors=limit)
    address = NEAR, node.port('callbacks')
    small_talk(address, 1)
    memory, open_ones = node.memory_kib(), node.descriptors()
    with contextlib.closing(Crowd(address, count)) as crowd:
        crowd.run()
        with world.near():
            counted = counters()
        assert counted['TcpExtListenOverflows'] + counted['TcpExtListenDrops'] > 0, \
            'the backlog was never full'
        grown = node.memory_kib() - memory
        assert grown < 2 * count, f'{count} connections cost {grown} KiB'
        with node.uses_at_most(0.05):
            time.sleep(0.3)
    eventually(lambda: node.descriptors() <= open_ones, 'all are closed', 30)
    small_talk(address, 3)
    node.stop_and_expect()
    assert len(node.connections()) >= count + 2


@case
def connections_that_are_reset_before_they_are_accepted_hurt_nobody(world):
    node = Node(world, NEAR)
    for way in 'callbacks', 'streams', 'tls':
        address = NEAR, node.port(way)
        os.kill(node.pid, signal.SIGSTOP)
        queued = [socket.create_connection(address, PATIENCE) for _ in range(BACKLOG)]
        for number, connection in enumerate(queued):
            if number % 3 == 0:
                connection.sendall(b'unread')
            if number % 2 == 0:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                      struct.pack('ii', 1, 0))  # a reset
            connection.close()
        os.kill(node.pid, signal.SIGCONT)
        small_talk(address, 2, tls=way == 'tls')
    eventually(lambda: 'open' not in node.errors(), 'all have ended')
    resets = node.errors()
    resets.pop('none')
    assert all('reset by peer' in error for error in resets), resets
    node.stop_and_expect(resets)


# ---- SYNs ------------------------------------------------------------------

def checksum(data):
    total = sum(struct.unpack(f'!{len(data) // 2}H', data))
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def syn(source, source_port, address):
    """A packet that begins a connection, from whoever it says."""
    target = socket.inet_aton(address[0])

    def tcp(check):
        return struct.pack('!HHIIBBHHH', source_port, address[1], 1, 0, 5 << 4, 0x02,
                           65535, check, 0)

    def ip(check):
        return struct.pack('!BBHHHBBH4s4s', 0x45, 0, 40, 1, 0, 64, 6, check, source,
                           target)
    pseudo = source + target + struct.pack('!HH', 6, 20)
    return ip(checksum(ip(0))) + tcp(checksum(pseudo + tcp(0)))


@case
def a_flood_of_SYNs_drowns_nobody(world):
    with world.near():
        setting('ipv4/tcp_max_syn_backlog', 2 * BACKLOG)
        setting('ipv4/tcp_syncookies', 1)
    node = Node(world, NEAR)
    address = NEAR, node.port('callbacks')
    small_talk(address, 1)
    chance = random.Random(1)
    memory = node.memory_kib()
    with node.uses_at_most(0.2):
        for number in range(SYNS):
            source = struct.pack('!I', 0xc6120000 + chance.randrange(1 << 17))
            os.write(world.namespaces.near_device,  # 198.18.0.0/15: nobody's
                     syn(source, 1024 + number % 60000, address))
            if number % (SYNS // 4) == SYNS // 8:
                small_talk(address, 1)  # SYN cookies let an honest one in
    with world.near():
        counted = counters()
    assert counted['TcpExtSyncookiesSent'] + counted['TcpExtTCPReqQFullDrop'] > 0, \
        'that was no flood'
    assert node.memory_kib() - memory < 1024, 'it remembers who never came'
    small_talk(address, 3)
    node.stop_and_expect()
    expect(len(node.connections()), 6)
