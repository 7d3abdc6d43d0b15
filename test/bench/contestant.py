#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A contestant for the tests of bench/: honest, or a cheater of one kind.

contestant.py KIND, followed by what bench/run asks of each program.
"""
import os
import selectors
import socket
import sys
import threading
import time

KINDS = ('honest', 'lazy', 'short', 'wrong', 'stale', 'swapped', 'more', 'silent')


def worker(kind):
    """An operation is an addition; the lazy one leaves out one in a hundred."""
    print('ready', flush=True)
    for line in sys.stdin:
        operations = int(line)
        began = time.thread_time_ns()
        done = sum(1 for n in range(operations) if kind != 'lazy' or n % 100)
        print(time.thread_time_ns() - began, done, flush=True)


class Echo:
    """What a server of that kind sends back."""

    def __init__(self, kind):
        self.kind = kind
        self.total = 0
        self.last = {}

    def __call__(self, connection, data):
        """The (connection, bytes) to be sent. The first five messages are
        answered well, as a cheater would who waits for the warm-up to end."""
        self.total += 1
        last, self.last[connection] = self.last.get(connection, data), data
        if self.total <= 5 or self.kind == 'honest':
            return connection, data
        if self.kind == 'short':
            return connection, data[:-1]
        if self.kind == 'wrong':
            return connection, data[:-1] + bytes([data[-1] ^ 1])
        if self.kind == 'stale':
            return connection, last
        if self.kind == 'swapped':
            others = [one for one in self.last if one is not connection]
            return (others or [connection])[0], data
        if self.kind == 'more':
            return connection, data + b'x'
        return connection, b''


def server(kind):
    echo = Echo(kind)
    listener = socket.create_server(('127.0.0.1', 0), backlog=100)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    print('listening', listener.getsockname()[1], flush=True)

    def end():
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=end, daemon=True).start()
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                selector.register(listener.accept()[0], selectors.EVENT_READ)
                continue
            data = key.fileobj.recv(1 << 16)
            if not data:
                selector.unregister(key.fileobj)
                key.fileobj.close()
                continue
            connection, answer = echo(key.fileobj, data)
            connection.sendall(answer)


def main(kind, words):
    if words[0] == '--version':
        print('contestant 1')
    elif words[0] == '--list':
        print(f'soon/chain_1 {kind} 1000 thread\necho/64_c1 {kind} 0 server')
    elif words[0] == '--worker':
        worker(kind)
    elif words[0] == '--server':
        server(kind)


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2:])
