# SPDX-License-Identifier: MIT
"""Servers, and the pipe chain."""
import asyncio
import socket

from worker import Timed, check


# -- pipe chain ---------------------------------------------------------------

IDLE_S = 10


def pipe_chain(count, active, idle=False):
    """A byte that is read from a pair is written into the next. With `idle`,
    each event moves a timeout of its pair."""
    def start():
        loop = asyncio.get_running_loop()
        pairs = [socket.socketpair() for _ in range(count)]
        for pair in pairs:
            for end in pair:
                end.setblocking(False)
        to_write = events = operations = timeouts = 0
        timers = []
        done = None

        def send(write):
            nonlocal to_write
            if to_write > 0:
                to_write -= 1
                write(b'x')

        def relay(read, write):
            nonlocal events
            events += len(read(1))
            send(write)
            if events == operations:
                done.set_result(None)

        def time_out():
            nonlocal timeouts
            timeouts += 1

        def relay_and_move(n, read, write):
            timers[n].cancel()
            timers[n] = loop.call_later(IDLE_S, time_out)
            relay(read, write)

        for n, (reader, _) in enumerate(pairs):
            ends = reader.recv, pairs[(n + 1) % count][1].send
            if idle:
                loop.add_reader(reader.fileno(), relay_and_move, n, *ends)
            else:
                loop.add_reader(reader.fileno(), relay, *ends)

        async def do(wanted):
            nonlocal to_write, events, operations, done, timers
            to_write = operations = wanted
            events = 0
            done = loop.create_future()
            if idle:
                timers = [loop.call_later(IDLE_S, time_out) for _ in pairs]
            for n in range(active):
                send(pairs[n * (count // active)][1].send)
            with Timed() as timed:
                await done
            for timer in timers:
                timer.cancel()
            check(timeouts, 0, 'idle timeouts')
            return timed.took_ns, events
        return do
    return start


# -- servers ------------------------------------------------------------------

BACKLOG = 1024
HERE = ('127.0.0.1', 0)


class Echo(asyncio.Protocol):
    """The echo server of asyncio's documentation. TCP_NODELAY is on by
    default."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class Greeter(asyncio.Protocol):
    """A byte for everyone."""

    def connection_made(self, transport):
        transport.write(b'x')
        transport.close()


async def echo_stream(reader, writer):
    """The echo server by streams, of the same documentation."""
    try:
        while data := await reader.read(64 * 1024):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


async def protocol_server(protocol):
    """A Server of `protocol`."""
    return await asyncio.get_running_loop().create_server(
        protocol, *HERE, backlog=BACKLOG)


async def stream_server():
    """A Server by streams."""
    return await asyncio.start_server(echo_stream, *HERE, backlog=BACKLOG)
