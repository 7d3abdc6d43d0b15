# SPDX-License-Identifier: MIT
"""Cables that lose, delay and mix up what they carry: every stream comes to
its end, every byte is right, and nobody gives up too soon."""
import signal
from functools import partial

from cases import case
from ends import (EchoServer, Exchange, Node, ask_by_datagrams, asks, connect, exchange,
                  expect, quick_retransmissions, serving, small_talk, together)
from namespaces import FAR, NEAR

HERE = '127.0.0.1'  # the near end's, for both


def everything(world, size, datagrams=40):
    """Our servers and our clients, all at once, with so many bytes each."""
    node = Node(world, NEAR)
    plain, encrypted = EchoServer(world, FAR), EchoServer(world, FAR, tls=True)
    together(
        partial(exchange, (NEAR, node.port('callbacks')), size),
        partial(exchange, (NEAR, node.port('streams')), size),
        partial(exchange, (NEAR, node.port('tls')), size, tls=True),
        partial(ask_by_datagrams, (NEAR, node.port('datagrams')), datagrams),
        partial(asks, world, ['talk', *plain.address], size),
        partial(asks, world, ['talk-tls', *encrypted.address], size))
    expect(len(node.connections()), 3, 'connections:')
    node.stop_and_expect()


def expect_trouble(world, *kinds):
    """The cable has done what it was told to."""
    counts = world.link.counts()
    for kind in kinds:
        assert counts[kind] > 0, f'nothing was {kind}: {counts}'


@case
def a_good_cable_carries_every_byte(world):
    everything(world, 2_000_000)


@case
def sixty_four_kbit_a_second_are_slow_and_nothing_else(world):
    world.link.trouble(rate=8000)
    node = Node(world, NEAR)
    together(
        partial(exchange, (NEAR, node.port('callbacks')), 20_000),
        partial(exchange, (NEAR, node.port('streams')), 20_000),
        partial(exchange, (NEAR, node.port('tls')), 10_000, tls=True))
    node.stop_and_expect()


@case
def thirty_per_cent_lost_arrive_in_the_end(world):
    quick_retransmissions(world)
    world.link.trouble(loss=0.3, delay=0.002)
    everything(world, 8_000, datagrams=20)
    expect_trouble(world, 'lost')


@case
def five_per_cent_lost_arrive_in_the_end(world):
    world.link.trouble(loss=0.05, delay=0.002)
    everything(world, 200_000)
    expect_trouble(world, 'lost')


@case
def late_and_doubled_packets_are_put_in_order(world):
    world.link.trouble(late=0.2, double=0.1, lateness=0.02, delay=0.001)
    everything(world, 600_000)
    expect_trouble(world, 'late', 'doubled')


@case
def half_a_second_each_way_is_no_timeout(world):
    world.link.trouble(delay=0.5)
    node = Node(world, NEAR)
    plain, encrypted = EchoServer(world, FAR), EchoServer(world, FAR, tls=True)
    together(
        partial(small_talk, (NEAR, node.port('callbacks')), 4),
        partial(small_talk, (NEAR, node.port('streams')), 4),
        partial(small_talk, (NEAR, node.port('tls')), 4, tls=True),
        partial(ask_by_datagrams, (NEAR, node.port('datagrams')), 5, patience=1.5),
        partial(asks, world, ['talk', *plain.address], 3_000),
        partial(asks, world, ['talk-tls', *encrypted.address], 3_000))
    node.stop_and_expect()


@case
def the_port_forwarder_forwards_over_a_bad_cable(world):
    """It listens at 127.0.0.1, which the far end reaches by wire, too."""
    world.link.trouble(loss=0.02, late=0.05, delay=0.002)
    upstream = EchoServer(world, FAR)
    forwarder = serving(world, '03_port_forwarder', 0, *upstream.address)
    there = (HERE, forwarder.port())
    together(*3 * [partial(exchange, there, 200_000)])
    forwarder.stop(signal.SIGINT, -signal.SIGINT, 'KeyboardInterrupt\n')
    expect_trouble(world, 'lost', 'late')


@case
def the_command_server_talks_over_a_bad_cable(world):
    world.link.trouble(loss=0.02, double=0.1, late=0.1, delay=0.003)
    server = serving(world, 'command_server_framed', 0)
    total = 0
    with connect((HERE, server.port())) as connection:
        for number in range(100):
            total += number
            Exchange(connection, b'add %d\n' % number, finish=False,
                     answer=b'total: %d\n' % total).run()
    expect_trouble(world, 'doubled', 'late')
    server.stop()
