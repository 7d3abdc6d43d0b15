# SPDX-License-Identifier: MIT
"""CPython's asyncio, with its own loop or with uvloop: peer.py LOOP ARGUMENTS.

Nothing here is of one loop only: uvloop is another loop for the same
programs.
"""
import asyncio
import platform
import random
import resource
import sys
import threading
import time

from sockets import Echo, Greeter, pipe_chain, protocol_server, stream_server
from worker import Case, Program, Timed, check, fail


def batches(count, size):
    """`count` in parts of at most `size`."""
    for done in range(0, count, size):
        yield min(size, count - done)


# -- soon ---------------------------------------------------------------------

def soon_batch():
    """A callback that schedules 1,000 and itself."""
    loop = asyncio.get_running_loop()
    ran = 0

    def count():
        nonlocal ran
        ran += 1

    def pump(left, done):
        if left == 0:
            done.set_result(None)
            return
        size = min(left, 1000)
        for _ in range(size):
            loop.call_soon(count)
        loop.call_soon(pump, left - size, done)

    async def do(operations):
        nonlocal ran
        ran = 0
        done = loop.create_future()
        with Timed() as timed:
            loop.call_soon(pump, operations, done)
            await done
        return timed.took_ns, ran
    return do


def soon_chain():
    """A callback that schedules itself."""
    loop = asyncio.get_running_loop()
    ran = 0

    def link(left, done):
        nonlocal ran
        ran += 1
        if left == 1:
            done.set_result(None)
        else:
            loop.call_soon(link, left - 1, done)

    async def do(operations):
        nonlocal ran
        ran = 0
        done = loop.create_future()
        with Timed() as timed:
            loop.call_soon(link, operations, done)
            await done
        return timed.took_ns, ran
    return do


# -- timers -------------------------------------------------------------------

def insert_cancel(live):
    """Timers that never fire."""
    def start():
        loop = asyncio.get_running_loop()
        numbers = random.Random(1)
        delays = [numbers.uniform(1, 60) for _ in range(live)]
        fired = 0

        def fire():
            nonlocal fired
            fired += 1

        async def do(operations):
            cancelled = 0
            timed = Timed()
            took_ns = 0
            for size in batches(operations, live):
                with timed:
                    handles = [loop.call_later(delays[n], fire)
                               for n in range(size)]
                    for handle in handles:
                        handle.cancel()
                    # A cancelled timer is left for the loop to sweep up.
                    await asyncio.sleep(0)
                took_ns += timed.took_ns
                cancelled += sum(handle.cancelled() for handle in handles)
            check(fired, 0, 'timers that fired though cancelled')
            return took_ns, cancelled
        return do
    return start


def insert_expire(live):
    """Timers that all fire within 10 ms."""
    def start():
        loop = asyncio.get_running_loop()
        numbers = random.Random(1)
        delays = [numbers.uniform(0, 0.01) for _ in range(live)]
        fired = 0

        def fire(until, done):
            nonlocal fired
            fired += 1
            if fired == until:
                done.set_result(None)

        async def do(operations):
            nonlocal fired
            fired = 0
            with Timed() as timed:
                for size in batches(operations, live):
                    done = loop.create_future()
                    until = fired + size
                    for n in range(size):
                        loop.call_later(delays[n], fire, until, done)
                    await done
            return timed.took_ns, fired
        return do
    return start


def reschedule(live):
    """A handle can't be moved: it is cancelled, and another one made."""
    def start():
        loop = asyncio.get_running_loop()
        numbers = random.Random(1)
        fired = 0

        def fire():
            nonlocal fired
            fired += 1

        handles = [loop.call_later(numbers.uniform(3600, 3660), fire)
                   for _ in range(live)]
        position = 0

        async def do(operations):
            nonlocal position
            moved = 0
            with Timed() as timed:
                for size in batches(operations, 1000):
                    for _ in range(size):
                        old = handles[position]
                        old.cancel()
                        handles[position] = loop.call_later(3660, fire)
                        moved += old.cancelled()
                        position = (position + 1) % live
                    # Cancelled timers are left for the loop to sweep up.
                    await asyncio.sleep(0)
            check(fired, 0, 'timers that fired too early')
            return timed.took_ns, moved
        return do
    return start


# -- remote -------------------------------------------------------------------

AHEAD = 16_384  # how far the poster may run ahead


def remote_post():
    """One thread posts, the loop runs."""
    loop = asyncio.get_running_loop()
    ran = 0

    def count(until, done):
        nonlocal ran
        ran += 1
        if ran == until:
            done.set_result(None)

    def post(operations, done, begin):
        begin.wait()
        for n in range(operations):
            if n % 256 == 0:
                while n > ran + AHEAD:
                    time.sleep(0)
            loop.call_soon_threadsafe(count, operations, done)

    async def do(operations):
        nonlocal ran
        ran = 0
        begin = threading.Event()
        done = loop.create_future()
        poster = threading.Thread(target=post, args=(operations, done, begin))
        poster.start()
        with Timed('process') as timed:
            begin.set()
            await done
        poster.join()
        return timed.took_ns, ran
    return do


def remote_ping_pong():
    """Two loops in two threads; the far one lives as long as the program."""
    near = asyncio.get_running_loop()
    far = asyncio.new_event_loop()  # of the policy's kind
    threading.Thread(target=far.run_forever, daemon=True).start()
    hits = {near: 0, far: 0}

    def hit_far(operations, done):
        hits[far] += 1
        near.call_soon_threadsafe(hit_near, operations, done)

    def hit_near(operations, done):
        hits[near] += 1
        if hits[near] == operations:
            done.set_result(None)
        else:
            far.call_soon_threadsafe(hit_far, operations, done)

    async def do(operations):
        hits[near] = hits[far] = 0
        done = near.create_future()
        with Timed('process') as timed:
            far.call_soon_threadsafe(hit_far, operations, done)
            await done
        check(hits[far], operations, 'calls on the far side')
        return timed.took_ns, hits[near]
    return do


# -- tasks --------------------------------------------------------------------

TASKS = 100


def tasks_yield():
    """100 tasks that sleep(0)."""
    done = 0

    async def yield_times(times):
        nonlocal done
        for _ in range(times):
            await asyncio.sleep(0)
            done += 1

    async def do(operations):
        nonlocal done
        done = 0
        with Timed() as timed:
            tasks = [
                asyncio.create_task(yield_times((operations + n) // TASKS))
                for n in range(TASKS)]
            await asyncio.gather(*tasks)
        return timed.took_ns, done
    return do


def tasks_ping_pong():
    """Two tasks that wake each other through futures."""
    loop = asyncio.get_running_loop()
    hits = 0

    async def play(sides, side, times):
        nonlocal hits
        for _ in range(times):
            await sides[side]
            sides[side] = loop.create_future()
            hits += 1
            sides[1 - side].set_result(None)

    async def do(operations):
        nonlocal hits
        hits = 0
        sides = [loop.create_future(), loop.create_future()]
        with Timed() as timed:
            tasks = [
                asyncio.create_task(play(sides, 0, (operations + 1) // 2)),
                asyncio.create_task(play(sides, 1, operations // 2))]
            sides[0].set_result(None)
            for task in tasks:
                await task
        return timed.took_ns, hits
    return do


def tasks_spawn_join():
    """100 tasks are made, and awaited."""
    ran = 0

    async def count():
        nonlocal ran
        ran += 1

    async def do(operations):
        nonlocal ran
        ran = 0
        with Timed() as timed:
            for size in batches(operations, TASKS):
                tasks = [asyncio.create_task(count()) for _ in range(size)]
                for task in tasks:
                    await task
        return timed.took_ns, ran
    return do


async def sleeping(count):
    """Tasks that sleep for an hour. They outlive this call: the loop has their
    timers."""
    for _ in range(count):
        asyncio.create_task(asyncio.sleep(3600))
    await asyncio.sleep(0)


# -- all of it ----------------------------------------------------------------

CASES = [
    Case('soon/batch_1000', 50_000, soon_batch),
    Case('soon/chain_1', 20_000, soon_chain),
    Case('timers/insert_cancel_10000', 20_000, insert_cancel(10_000)),
    Case('timers/insert_cancel_100000', 100_000, insert_cancel(100_000)),
    Case('timers/insert_expire_10000', 10_000, insert_expire(10_000)),
    Case('timers/insert_expire_100000', 100_000, insert_expire(100_000)),
    Case('timers/reschedule_10000', 20_000, reschedule(10_000)),
    Case('timers/reschedule_100000', 100_000, reschedule(100_000)),
    Case('remote/post_1', 10_000, remote_post, 'process'),
    Case('remote/ping_pong', 1_000, remote_ping_pong, 'process'),
    Case('tasks/yield_100', 50_000, tasks_yield),
    Case('tasks/ping_pong', 20_000, tasks_ping_pong),
    Case('tasks/spawn_join_100', 20_000, tasks_spawn_join),
    Case('pipe_chain/1000_1', 10_000, pipe_chain(1_000, 1)),
    Case('pipe_chain/1000_100', 10_000, pipe_chain(1_000, 100)),
    Case('pipe_chain/9900_1', 10_000, pipe_chain(9_900, 1)),
    Case('pipe_chain/9900_100', 10_000, pipe_chain(9_900, 100)),
    Case('pipe_chain/1000_1_idle', 10_000, pipe_chain(1_000, 1, True)),
    Case('pipe_chain/1000_100_idle', 10_000, pipe_chain(1_000, 100, True)),
    Case('pipe_chain/9900_1_idle', 10_000, pipe_chain(9_900, 1, True)),
    Case('pipe_chain/9900_100_idle', 10_000, pipe_chain(9_900, 100, True)),
]


def free_a_large_block():
    """asyncio reads into a new block of 256 KiB each time. Until a process has
    freed a block as large as that, glibc maps and unmaps every one of them,
    and an echo costs four times as much. Large programs have; so do we."""
    bytes(1 << 20)


def main(name, arguments):
    """peer.py LOOP ARGUMENTS."""
    free_a_large_block()
    version = platform.python_version()
    if name == 'uvloop':
        import uvloop
        version = f'{uvloop.__version__} (CPython {version})'
        uvloop.install()
    elif name != 'asyncio':
        fail(f'no loop {name}')
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    servers = {
        ('echo', name): lambda: protocol_server(Echo),
        ('echo', f'{name}_streams'): stream_server,
        ('accept', name): lambda: protocol_server(Greeter),
    }
    program = Program(name, version, CASES, servers,
                      {'tasks/sleeping': sleeping})
    program.run(loop, arguments)


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2:])
