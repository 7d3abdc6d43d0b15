# SPDX-License-Identifier: MIT
"""Links that go down, addresses that disappear, cables that are cut: a
connection recovers or fails, once; the server goes on, and does not spin."""
import contextlib
import math
import re
import socket
import time
from functools import partial

from cases import Skipped, case
from checking import run
from ends import (PATIENCE, EchoServer, Exchange, Node, ask_by_datagrams, asks, connect,
                  eventually, exchange, expect, keep_alive, pattern,
                  quick_retransmissions, say_goodbye, small_talk, together)
from namespaces import FAR, NEAR, NEAR_TOO, default_route, setting, tool

SIZE = 1_000_000
RATE = 150_000     # bytes a second: the middle of a transfer takes a while
AWHILE = 1.0       # seconds of misery
IDLE = 0.15        # seconds of a processor that they may cost


def in_the_middle(connection):
    """A transfer that has begun and is far from its end."""
    return Exchange(connection, pattern(SIZE)).run(until=SIZE // 20)


def talks_at_home(world, node):
    """Who is not concerned is answered: a connection within the near end."""
    asks(world, ['talk', '127.0.0.1', node.port('callbacks')], 1000)


def misery(world, node):
    """Lets it last, and looks at the server meanwhile."""
    with node.uses_at_most(IDLE):
        time.sleep(AWHILE)
    talks_at_home(world, node)


@case
def a_link_that_was_down_goes_on(world):
    quick_retransmissions(world)
    node = Node(world, '0.0.0.0')
    world.link.trouble(rate=RATE)
    with connect((NEAR, node.port('callbacks'))) as first, \
            connect((NEAR, node.port('streams'))) as second:
        transfers = [in_the_middle(first), in_the_middle(second)]
        with world.near():
            tool('ip', 'link', 'set', 'wire', 'down')
        misery(world, node)
        world.link.trouble()
        with world.near():
            tool('ip', 'link', 'set', 'wire', 'up')
            default_route(NEAR)
        together(*(transfer.run for transfer in transfers))
    exchange((NEAR, node.port('streams')), SIZE)
    node.stop_and_expect()


@case
def an_address_that_was_gone_goes_on(world):
    quick_retransmissions(world)
    node = Node(world, '0.0.0.0')
    world.link.trouble(rate=RATE)
    with connect((NEAR_TOO, node.port('callbacks'))) as first, \
            connect((NEAR_TOO, node.port('streams'))) as second, \
            connect((NEAR, node.port('callbacks'))) as other:
        transfers = [in_the_middle(first), in_the_middle(second)]
        with world.near():
            tool('ip', 'address', 'delete', NEAR_TOO + '/32', 'dev', 'wire')
        misery(world, node)
        world.link.trouble()
        small_talk((NEAR, node.port('callbacks')), 3)
        Exchange(other, pattern(SIZE)).run()
        with world.near():
            tool('ip', 'address', 'add', NEAR_TOO + '/32', 'dev', 'wire')
        together(*(transfer.run for transfer in transfers))
    exchange((NEAR_TOO, node.port('streams')), SIZE)
    node.stop_and_expect()


@case
def packets_that_may_be_less_long_are(world):
    """The device's MTU changes in the middle, down and up."""
    node = Node(world, NEAR)
    world.link.trouble(rate=RATE)
    with connect((NEAR, node.port('callbacks'))) as first, \
            connect((NEAR, node.port('streams'))) as second:
        transfers = [in_the_middle(first), in_the_middle(second)]
        world.link.trouble(rate=4 * RATE)
        for size in '576', '9000', '300', '1500':
            with world.near():
                tool('ip', 'link', 'set', 'wire', 'mtu', size)
            for transfer in transfers:
                transfer.run(until=transfer.came + SIZE // 10)
        world.link.trouble()
        together(*(transfer.run for transfer in transfers))
    node.stop_and_expect()


@case
def a_route_that_is_gone_is_an_error_of_a_datagram_only(world):
    node = Node(world, NEAR)
    there = NEAR, node.port('datagrams')
    ask_by_datagrams(there, 3)
    with world.near():
        tool('ip', 'route', 'delete', 'default')
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.sendto(b'nobody answers', there)
        eventually(lambda: '! datagrams Network is unreachable' in node.said(),
                   'it hears that its answer cannot be sent')
    with world.near():
        default_route(NEAR)
    ask_by_datagrams(there, 3)
    node.stop_and_expect()


@case
def a_cable_that_is_cut_ends_a_connection_once(world):
    """One that sends, one that is kept alive; one that says nothing lives."""
    quick_retransmissions(world)
    with world.near():
        setting('ipv4/tcp_retries2', 3)
        setting('ipv4/tcp_syn_retries', 1)
        keep_alive(idle=1, probes=1)
    node = Node(world, '0.0.0.0')
    kept_alive, silent = (NEAR, node.port('streams')), (NEAR, node.port('callbacks'))
    far_server = EchoServer(world, FAR)
    with connect(silent) as first, connect(silent) as second, \
            connect(kept_alive) as third:
        Exchange(second, b'before', finish=False).run()
        Exchange(third, b'before', finish=False).run()
        world.link.trouble(rate=RATE)
        transfer = in_the_middle(first)
        # What it answers from now on does not arrive: so it has to ask again.
        world.link.silence()
        before = bytes_received(world, first)
        transfer.send()
        eventually(lambda: bytes_received(world, first) > before, 'it still hears')
        world.link.trouble(cut=True)
        misery(world, node)
        expect_no_connection(world, far_server.address)
        with node.uses_at_most(IDLE):
            eventually(lambda: node.errors().get('open') == 1, 'both have ended', 30)
        world.link.trouble()
        Exchange(second, b'afterwards').run()
    exchange(kept_alive, SIZE)
    node.stop_and_expect({'Connection timed out': 2})


def bytes_received(world, connection):
    """By the near end of it; more than ever once that has ended."""
    with world.near():
        said = tool('ss', '-Htni', 'dst', FAR, 'dport', '=',
                    str(connection.getsockname()[1]))
    found = re.search(r'bytes_received:(\d+)', said)
    return int(found[1]) if found else math.inf


def expect_no_connection(world, address):
    """Our client says why, and does not wait for ever."""
    with world.near():
        status, out, err = run([world.node, 'talk', *map(str, address), '10'],
                               PATIENCE)
    expect((status, out), (1, ''))
    assert 'Connection timed out' in err, err


@case
def connections_that_the_kernel_kills_end_once(world):
    node = Node(world, NEAR)
    world.link.trouble(rate=RATE)
    ways = 'callbacks', 'streams', 'tls'
    with contextlib.ExitStack() as stack:
        killed = [stack.enter_context(connect((NEAR, node.port(way)), way == 'tls'))
                  for way in ways]
        others = [stack.enter_context(connect((NEAR, node.port(way)), way == 'tls'))
                  for way in ways]
        for connection in killed:
            in_the_middle(connection)
        for connection in killed:
            kill(world, connection.getsockname()[1])
        eventually(lambda: node.errors().get('open') == len(others), 'they have ended')
        world.link.trouble()
        for way, connection in zip(ways, others):
            Exchange(connection, pattern(10_000), finish=way != 'tls').run()
            if way == 'tls':
                say_goodbye(connection)
    together(*(partial(small_talk, (NEAR, node.port(way)), 3, way == 'tls')
               for way in ways))
    node.stop_and_expect({'Software caused connection abort': len(ways)})


def kill(world, port):
    """The near end of the connection from that port of the far end."""
    with world.near():
        tool('ss', '-K', 'dst', FAR, 'dport', '=', str(port))
        left = tool('ss', '-Htn', 'dst', FAR, 'dport', '=', str(port))
    if 'ESTAB' in left:
        raise Skipped('the kernel lets nobody kill a connection (ss -K)')
