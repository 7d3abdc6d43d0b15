# SPDX-License-Identifier: MIT
"""The cable between the two namespaces, and what befalls the packets on it.

A process of its own carries the packets from one TUN device to the other. It
delays, loses, doubles and reorders them as it is told, by a generator of its
own for each direction: the n-th packet of a direction meets with the same in
every run of one seed, but for the limit to how many are lost in a row.
"""
import dataclasses
import heapq
import json
import os
import random
import select
import signal
import socket
import time

from namespaces import die_with_parent

BATCH = 64             # packets read from a device before the other one's turn
HELD_MAX = 4096        # packets on the way, in each direction
LOST_IN_A_ROW = 2      # of one conversation: TCP's patience doubles each time


@dataclasses.dataclass
class Trouble:
    """What happens to packets, in each direction."""
    delay: float = 0      # seconds for each
    loss: float = 0       # the share that never arrives
    double: float = 0     # the share that arrives twice
    late: float = 0       # the share that others overtake
    lateness: float = 0.01  # by so many seconds
    rate: float = 0       # bytes in a second; 0: as fast as can be
    queue: int = 30_000   # bytes that wait for their turn at that rate
    cut: bool = False     # nothing arrives


class Direction:
    """From one device to the other."""

    def __init__(self, source, sink, seed):
        self.source, self.sink = source, sink
        self.random = random.Random(seed)
        self.trouble = Trouble()
        self.lost = {}     # conversation: how many in a row
        self.held = []     # a heap of (when, number, packet)
        self.number = 0
        self.free_at = 0.  # when the cable has sent what waits
        self.counts = dict.fromkeys(
            ('carried', 'lost', 'doubled', 'late', 'refused', 'cut'), 0)

    def read(self, now):
        """Takes what the device sends, a batch at most."""
        for _ in range(BATCH):
            try:
                packet = os.read(self.source, 65536)
            except BlockingIOError:
                return
            except OSError:  # the device is down
                return
            self.take(packet, now)

    def take(self, packet, now):
        trouble, chance = self.trouble, self.random.random
        # Always as many numbers a packet, so that one seed is one fate.
        lost, doubled, late = (chance() < trouble.loss, chance() < trouble.double,
                               chance() < trouble.late)
        if trouble.cut:
            self.counts['cut'] += 1
            return
        if trouble.loss and self.lose(packet, lost):
            return
        at = now + trouble.delay
        if trouble.rate:
            begins = max(now, self.free_at)
            if (begins - now) * trouble.rate > trouble.queue:
                self.counts['refused'] += 1
                return
            self.free_at = begins + len(packet) / trouble.rate
            at += self.free_at - now
        if late:
            self.counts['late'] += 1
            at += trouble.lateness
        self.hold(at, packet)
        if doubled:
            self.counts['doubled'] += 1
            self.hold(at + trouble.lateness / 2, packet)

    def lose(self, packet, lost):
        """Whether `packet` is lost after all, if chance says so."""
        conversation = packet[12:24]  # addresses and ports
        row = self.lost.get(conversation, 0)
        lost = lost and row < LOST_IN_A_ROW
        self.lost[conversation] = row + 1 if lost else 0
        self.counts['lost'] += lost
        return lost

    def hold(self, at, packet):
        if len(self.held) >= HELD_MAX:
            self.counts['refused'] += 1
            return
        self.number += 1
        heapq.heappush(self.held, (at, self.number, packet))

    def write(self, now):
        """Delivers what is due."""
        while self.held and self.held[0][0] <= now:
            packet = heapq.heappop(self.held)[2]
            if self.trouble.cut:
                self.counts['cut'] += 1
                continue
            try:
                os.write(self.sink, packet)
                self.counts['carried'] += 1
            except OSError:  # the device is down
                self.counts['refused'] += 1


class Link:
    """The cable, seen from the case: what it is told, what it has counted."""

    def __init__(self, namespaces, seed):
        self.control, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        self.control.settimeout(20)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                die_with_parent()
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                self.control.close()
                carry(namespaces, theirs, seed)
            finally:
                os._exit(0)
        theirs.close()

    def ask(self, **what):
        self.control.send(json.dumps(what).encode())
        return json.loads(self.control.recv(4096))

    def trouble(self, **what):
        """From now on; nothing: a good cable. What is on the way arrives,
        unless the cable is cut."""
        self.ask(trouble=what)

    def silence(self):
        """Nothing that the near end says arrives any more."""
        self.ask(trouble={'cut': True}, ways=[0])

    def counts(self):
        """What has happened to how many packets, both directions together."""
        there, back = self.ask()
        return {name: there[name] + back[name] for name in there}

    def close(self):
        self.control.close()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def carry(namespaces, control, seed):
    """Until the other end of `control` is closed."""
    directions = [
        Direction(namespaces.near_device, namespaces.far_device, seed),
        Direction(namespaces.far_device, namespaces.near_device, seed + 1)]
    poll = select.poll()
    for waited in control.fileno(), *(way.source for way in directions):
        poll.register(waited, select.POLLIN)
    while True:
        due = [way.held[0][0] for way in directions if way.held]
        wait = max(0, min(due) - time.monotonic()) * 1000 if due else None
        ready = dict(poll.poll(wait))
        if control.fileno() in ready:
            asked = control.recv(4096)
            if not asked:
                return
            if 'trouble' in (what := json.loads(asked)):
                for number in what.get('ways', range(2)):
                    directions[number].trouble = Trouble(**what['trouble'])
            control.send(json.dumps([way.counts for way in directions]).encode())
        now = time.monotonic()
        for way in directions:
            if way.source in ready:
                way.read(now)
            way.write(time.monotonic())
