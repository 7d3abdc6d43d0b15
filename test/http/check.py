#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Attacks reactor/examples/http_callbacks as real and unreal clients would.

Each case starts a server of its own on a free port, with a short /block, and
leaves it by SIGINT: it must then end with status 0 and without a word on
stderr that the case did not expect.
"""
import contextlib
import os
import random
import re
import resource
import shutil
import signal
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import checking  # first: it keeps __pycache__ out of the tree
from ends import (AT_ONCE, BLOCK, BLOCKED, GET, GET_BLOCK, HELLO, PATIENCE, Client,
                  Server, eventually, expect, expect_at_once, expect_hello, in_threads,
                  timed)
from garbage import REFUSED


# ---- Cases: functions of a server, named by sentences ----------------------

CASES = []


def case(*arguments, status=0, stderr='', **options):
    """Registers a case, with what its server is to be started with."""
    def register(function):
        name = 'http ' + function.__name__.replace('_', ' ')
        CASES.append((name, function, arguments, options, status, stderr))
        return function
    return register


@case()
def says_how_to_try_it(server):
    for path, line in zip(('', 'block'), server.greeting[1:]):
        assert line.startswith(f'  curl http://127.0.0.1:{server.port}/{path}'), line


@case()
def answers_at_once(server):
    with Client(server) as client:
        status, headers, body = expect_at_once(client.ask)
        expect((status, headers, body),
               (200, {'content-type': 'text/html', 'content-length': '20'}, HELLO))


@case()
def answers_any_other_path(server):
    with Client(server) as client:
        for path in ('/x/y?z=1', '/block?x', '/block/', '/BLOCK', '*', '//', '/%20',
                     'http://x/', '/\u4f60'):
            expect_hello(client.ask(f'GET {path} HTTP/1.1\r\n\r\n'.encode()))


@case()
def keeps_connections_alive(server):
    with Client(server) as client:
        for _ in range(500):
            expect_hello(client.ask())
    _, out, _ = server.stop()
    assert '500 requests on 1 connections' in out, out
    # One turn of the loop for each request: no wait that finds nothing.
    polls = int(re.search(r'polls=(\d+)', out).group(1))
    assert polls < 500 + 10, out


@case()
def block_holds_nobody_up(server):
    with Client(server, GET_BLOCK) as blocked, Client(server) as other:
        start = time.monotonic()
        for _ in range(50):
            expect_hello(expect_at_once(other.ask))
        assert time.monotonic() - start < BLOCK, 'the requests took too long to tell'
        expect_at_once(lambda: Client(server, GET).answer())
        expect(blocked.answer()[2], BLOCKED)
        assert time.monotonic() - start >= BLOCK - 0.05, 'answered too soon'


@case()
def blocks_overlap(server):
    def work(_):
        with Client(server) as client:
            expect(client.ask(GET_BLOCK)[2], BLOCKED)
    took, _ = timed(lambda: in_threads(50, work))
    assert took < 4 * BLOCK, f'50 at once took {took:.1f} s'


@case()
def answers_pipelined_requests_in_order(server):
    with Client(server, GET + GET_BLOCK + GET + GET_BLOCK + GET) as client:
        expect([client.answer()[2] for _ in range(5)],
               [HELLO, BLOCKED, HELLO, BLOCKED, HELLO])
        expect_hello(client.ask())


@case()
def takes_requests_byte_by_byte(server):
    with Client(server) as client:
        for byte in 2 * GET:
            client.send(bytes([byte]))
            time.sleep(0.0005)
        expect_hello(client.answer())
        expect_hello(client.answer())


@case()
def takes_requests_cut_anywhere(server):
    request = b'GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\nHEAD /2 HTTP/1.1\r\n\r\n'
    with Client(server) as client:
        for cut in range(1, len(request)):
            client.send(request[:cut])
            time.sleep(0.001)
            client.send(request[cut:])
            expect_hello(client.answer())
            expect(client.answer(body=False)[0], 200)
        expect(client.rest, b'')


@case()
def answers_HEAD_without_a_body(server):
    with Client(server) as client:
        client.send(GET.replace(b'GET', b'HEAD') + GET)
        status, headers, _ = client.answer(body=False)
        expect((status, headers['content-length']), (200, '20'))
        expect_hello(client.answer())
        client.send(b'HEAD / HTTP/1.1\r\nContent-Length: 1\r\n\r\n')
        expect(client.answer(body=False)[0], 413)
        assert client.at_end()


@case()
def closes_when_asked_to(server):
    for request in (b'GET / HTTP/1.0\r\n\r\n', b'GET / HTTP/1.0\r\nHost: x\r\n\r\n',
                    b'GET / HTTP/1.1\r\nConnection: close\r\n\r\n',
                    b'GET / HTTP/1.1\r\ncONNECTION:  TE, Close \t\r\n\r\n'):
        with Client(server, request + GET) as client:  # the second is too late
            status, headers, body = client.answer()
            expect((status, headers['connection'], body), (200, 'close', HELLO))
            assert client.at_end(), request


@case()
def slow_readers_cost_bounded_memory(server):
    count, answer = 600_000, None
    with Client(server, GET) as warm:
        while answer is None or not answer.endswith(HELLO):
            warm.more()
            answer = warm.rest
    before = server.memory_kib()
    with Client(server, receive_buffer=4096) as slow, Client(server) as other:
        requests = memoryview(GET * count)
        sent = slow.push(requests)
        # What the kernel's buffers hold, and a little more.
        assert sent < len(requests), 'it takes requests without end'
        grown = server.memory_kib() - before
        assert grown < 4096, f'it grew by {grown} KiB'
        expect_hello(expect_at_once(other.ask))

        writer = threading.Thread(target=slow.send, args=(requests[sent:],))
        writer.start()
        received, pattern = 0, answer * (2 + (1 << 20) // len(answer))
        while received < count * len(answer):
            data = slow.socket.recv(1 << 20)
            assert data, f'ended after {received} bytes'
            begin = received % len(answer)
            wanted = pattern[begin:begin + len(data)]
            assert data == wanted, f'wrong after {received} bytes'
            received += len(data)
        writer.join()
        expect(received, count * len(answer))
        expect_hello(slow.ask())


@case(0, 1)
def waiting_requests_cost_bounded_memory(server):
    """Behind a /block no more is read than can be held."""
    with Client(server, GET) as client:
        expect_hello(client.answer())
        before = server.memory_kib()
        client.send(GET_BLOCK)
        requests = memoryview(GET * 600_000)
        sent = client.push(requests)
        assert sent < len(requests), 'it reads on while /block waits'
        grown = server.memory_kib() - before
        assert grown < 4096, f'it grew by {grown} KiB'
        expect(client.answer()[2], BLOCKED)
        expect_hello(client.answer())


@case()
def refuses_garbage(server):
    """At once, with a status, in full, and without harm to the server."""
    for name, (text, wanted) in REFUSED.items():
        try:
            with Client(server, text) as client:
                status, headers, _ = client.answer()
                expect((status, headers['connection']), (wanted, 'close'))
                expect(headers.get('allow'), 'GET, HEAD' if wanted == 405 else None)
                assert client.at_end(), 'it goes on'
            with Client(server, GET + text + GET) as client:
                expect_hello(client.answer())
                expect(client.answer()[0], wanted)
                assert client.at_end(), 'it takes what follows for a request'
        except (AssertionError, OSError) as error:
            raise AssertionError(f'{name}: {error!r}') from error


@case()
def survives_random_bytes(server):
    chance = random.Random(20240607)
    before = server.descriptors()
    pieces = [b'GET ', b'/ ', b'HTTP/1.1', b'\r\n', b'\r\n\r\n', b'\n', b'\0', b': ',
              b'Content-Length', b'Connection', b'close', b'-1', b'\xff', b'A' * 9000]
    for _ in range(300):
        if chance.random() < 0.5:
            data = chance.randbytes(chance.randrange(1, 300))
        else:
            data = b''.join(chance.choices(pieces, k=chance.randrange(1, 40)))
        with Client(server, data) as client:
            client.finish_sending()
            while client.more():
                pass
    with Client(server) as client:
        expect_hello(expect_at_once(client.ask))
    eventually(lambda: server.descriptors() == before, 'all connections closed')


@case()
def takes_a_head_of_just_8_KiB(server):
    start = b'GET / HTTP/1.1\r\nA: '
    for size, wanted in ((8192, 200), (8200, 431)):
        head = start + b'b' * (size - len(start) - 4) + b'\r\n\r\n'
        with Client(server, head) as client:
            expect(client.answer()[0], wanted, f'{size} bytes')
    for size in range(8188, 8194):  # an endless line, seen in two pieces
        with Client(server, b'G' * size) as client:
            time.sleep(0.005)
            client.send(b'G' * 10)
            expect(client.answer()[0], 431, f'{size} bytes and 10')


@case()
def an_answer_is_not_lost_to_those_who_send_on(server):
    """Closing with unread data would reset the connection and drop the 400."""
    with Client(server) as client:
        client.send(b'\0' + b'x' * (1 << 20))
        expect(client.answer()[0], 400)
        assert client.at_end()
        client.send(b'x' * 1000)


@case()
def answers_those_who_have_finished_sending(server):
    with Client(server, GET + GET) as client:
        client.finish_sending()
        expect_hello(client.answer())
        expect_hello(client.answer())
        assert client.at_end()
    with Client(server, b'GET / HT') as client:
        client.finish_sending()
        expect(client.answer()[0], 400)
        assert client.at_end()
    with Client(server) as client:
        client.finish_sending()
        assert client.at_end()


@case(0, 0.3)
def forgets_block_when_the_client_goes(server):
    before = server.descriptors()
    for leave in (Client.reset, Client.close, Client.finish_sending):
        clients = [Client(server, GET_BLOCK + GET) for _ in range(20)]
        eventually(lambda: server.descriptors() == before + 20, 'connections accepted')
        time.sleep(0.05)  # for most of them to be asked
        for client in clients:
            leave(client)
        eventually(lambda: server.descriptors() == before, 'connections closed', 0.2)
        for client in clients:
            client.close()
    time.sleep(0.35)
    _, out, _ = server.stop()
    expect(re.search(r'timers_fired=(\d+)', out).group(1), '0', 'timers_fired=')


@case()
def survives_those_who_come_and_go(server):
    before = server.descriptors()
    for number in range(600):
        client = Client(server, GET if number % 3 == 0 else b'')
        client.reset() if number % 2 else client.close()
    with Client(server) as client:
        expect_hello(expect_at_once(client.ask))
    eventually(lambda: server.descriptors() == before, 'all connections closed')


@case(0, BLOCK, 0.5)
def closes_idle_connections(server):
    with Client(server) as silent, Client(server) as drips, Client(server) as busy:
        start = time.monotonic()
        drips.socket.settimeout(0.02)
        with contextlib.suppress(OSError):
            while time.monotonic() < start + 5:  # a byte at a time is no use
                drips.send(b'a')
                with contextlib.suppress(socket.timeout):
                    if not drips.more():
                        break
                if time.monotonic() < start + 1.5:
                    expect_hello(busy.ask())
        took = time.monotonic() - start
        assert 0.4 < took < 1.5, f'a dripping client stays for {took:.1f} s'
        assert silent.at_end()
        expect_hello(busy.ask())


@case(0, 0.5, 0.1)
def block_is_not_idle(server):
    with Client(server, GET + GET_BLOCK) as client:
        expect_hello(client.answer())
        expect(client.answer()[2], BLOCKED)
        assert client.at_end()  # and now it was


@case()
def does_not_wait_for_ever_for_a_refused_client_to_close(server):
    before = server.descriptors()
    with Client(server, b'\0') as client:
        expect(client.answer()[0], 400)
        assert client.at_end()
        eventually(lambda: server.descriptors() == before, 'connection closed')


def many():
    """How many connections to hold: 5000 if the machine allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(5000, hard - 200)


@case()
def five_thousand_idle_connections_cost_nothing(server):
    before = server.descriptors()
    count = many()
    if count < 5000:
        print(f'# http: descriptors for {count} connections only (ulimit -n)')
    clients = [Client(server, GET if number % 2 else b'') for number in range(count)]
    with Client(server) as client:
        expect_hello(client.ask())
        eventually(lambda: server.descriptors() == before + count + 1, 'all accepted')
        for _ in range(20):
            expect_hello(expect_at_once(client.ask))
    for idle in clients[1::100]:
        expect_hello(idle.answer())
    start = server.cpu_seconds()
    time.sleep(0.5)
    assert server.cpu_seconds() - start <= 0.03, 'it works while nothing happens'
    for idle in clients:
        idle.close()
    eventually(lambda: server.descriptors() == before, 'all closed')


@case()
def sixty_four_clients_at_once(server):
    def work(index):
        with Client(server) as client:
            for number in range(50):
                expect_hello(client.ask(b'GET /%d/%d HTTP/1.1\r\n\r\n' % (index, number)))
    in_threads(64, work)
    _, out, _ = server.stop()
    assert f'{64 * 50} requests on 64 connections' in out, out


@case(stderr='cannot accept: Too many open files; trying again every 100 ms\n',
      descriptors=40)
def lives_through_a_lack_of_descriptors(server):  # R11
    clients = [Client(server) for _ in range(100)]
    first = clients[0]
    expect_hello(first.ask())
    start = server.cpu_seconds()
    time.sleep(1)
    used = server.cpu_seconds() - start
    assert used <= 0.05, f'it used {used:.2f} s of a second'
    expect_hello(expect_at_once(first.ask))
    for client in clients[:60]:
        client.close()
    for client in clients[60:]:
        client.send(GET)
        expect_hello(client.answer())
        client.close()
    took, _ = timed(lambda: Client(server, GET).answer())
    assert took < 1, f'it is back after {took:.1f} s'


@case(status=None)
def ends_cleanly_by_signals(server):
    for how in (signal.SIGINT, signal.SIGTERM):
        server = Server()
        with Client(server, GET + GET_BLOCK) as blocked, Client(server) as idle, \
                Client(server, b'GET') as half:
            expect_hello(blocked.answer())
            took, (status, out, err) = timed(lambda: server.stop(how))
            expect((status, err), (0, ''))
            assert took < 1, f'{how.name} took {took:.1f} s'
            assert '1 requests on 3 connections' in out, out
            for name in ('passes', 'polls', 'events', 'callbacks', 'lag_max'):
                assert re.search(rf'\b{name}=[\d.]+', out), f'no {name} in {out!r}'
            for client in (blocked, idle, half):
                with contextlib.suppress(ConnectionResetError):
                    expect(client.more(), b'')


@case()
def says_that_its_port_is_in_use(server):
    status, out, err = checking.run([Server.program, str(server.port)], PATIENCE)
    expect((status, out), (1, ''))
    expect(err, f'http_callbacks: cannot listen on 127.0.0.1:{server.port}: '
                'Address already in use\n')


@case(status=None)
def can_be_started_again_at_once(server):
    with Client(server) as client:
        expect_hello(client.ask())
        server.stop()
        again = Server(server.port)  # the old connection is in TIME_WAIT
        with Client(again) as other:
            expect_hello(other.ask())
        expect(again.stop()[0], 0)


@case()
def refuses_arguments_that_are_no_numbers(_):
    for arguments in (['65536'], ['-1'], ['http'], ['80x'], [''], ['0', 'nan'],
                      ['0', '-1'], ['0', '1', 'inf']):
        status, out, err = checking.run([Server.program, *arguments], PATIENCE)
        expect((status, out), (1, ''), arguments)
        assert re.fullmatch(r'http_callbacks: [^\n]+\n', err), err


@case()
def answers_curl(server):
    if not shutil.which('curl'):
        return
    url = f'http://127.0.0.1:{server.port}'
    status, out, err = checking.run(['curl', '-sv', f'{url}/', f'{url}/block'], PATIENCE)
    expect((status, out), (0, (HELLO + BLOCKED).decode()))
    assert 'Re-using existing connection' in err, err
    expect(checking.run(['curl', '-sI', f'{url}/'], PATIENCE)[0], 0)
    status, out, err = checking.run(['curl', '-si', '-d', 'x=1', f'{url}/'], PATIENCE)
    assert out.startswith('HTTP/1.1 405 '), out


# ---- Running them ----------------------------------------------------------

def problem_of(function, arguments, options, status, stderr):
    server = Server(*arguments, **options)
    try:
        function(server)
        if server.process.returncode is None:
            wanted, (got, _, err) = status, server.stop()
            if wanted is not None:
                expect((got, err), (wanted, stderr), 'at its end')
    except (AssertionError, OSError) as error:
        return [f'{type(error).__name__}: {error}',
                f'in line {error.__traceback__.tb_next.tb_lineno}',
                f'the server\'s status: {server.process.poll()}']
    finally:
        server.kill()
    return []


def main(build):
    Server.program = os.path.join(build, 'examples', 'reactor', 'http_callbacks')
    results = [checking.report(name, problem_of(*how)) for name, *how in CASES]
    print(f'{sum(results)} passed, {len(results) - sum(results)} failed')
    return 0 if all(results) else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
