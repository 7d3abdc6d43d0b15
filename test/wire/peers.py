# SPDX-License-Identifier: MIT
"""socat at the other end, on this machine's own sockets: ten megabytes there
and back, byte for byte, and halves that are closed while the others are not."""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile

from cases import Skipped, case
from ends import (PATIENCE, Node, asks, eventually, expect, pattern, serving)
from namespaces import die_with_parent

SIZE = 10_000_000
LINGER = ['-t', str(PATIENCE)]  # waits for the answer when it has sent all
ECHO = 'EXEC:cat'


def socat(*words, **options):
    if not shutil.which('socat'):
        raise Skipped('there is no socat')
    return subprocess.Popen(['socat', *words], preexec_fn=die_with_parent, **options)


def sends(address, data):
    """socat sends `data`, closes that half, and has it back to the last byte."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as taken:
        given.write(data)
        given.seek(0)
        with socat('-b', '65536', *LINGER, '-', address, stdin=given, stdout=taken,
                   stderr=subprocess.PIPE) as process:
            try:
                _, err = process.communicate(timeout=PATIENCE)
            finally:
                process.kill()
        taken.seek(0)
        answer = taken.read()
    expect((process.returncode, err, len(answer)), (0, b'', len(data)), address)
    assert answer == data, f'{address}: other bytes'


@contextlib.contextmanager
def echoes(world, address):
    """socat listens at `address`, until the end of the block; gives its port."""
    log = tempfile.NamedTemporaryFile(dir=world.folder)
    with log, socat('-d', '-d', *LINGER, address, ECHO, stdin=subprocess.DEVNULL,
                    stderr=log) as process:
        try:
            eventually(lambda: b'listening on' in _content(log), f'{address} listens')
            yield int(re.search(rb'listening on .*?(\d*)\n', _content(log))[1] or 0)
        finally:
            process.kill()


def _content(file):
    with open(file.name, 'rb') as again:
        return again.read()


@case(needs_wire=False)
def socat_has_ten_megabytes_back(world):
    node = Node(world)
    for address in (f'TCP:127.0.0.1:{node.port("callbacks")}',
                    f'TCP:127.0.0.1:{node.port("streams")}',
                    f'UNIX-CONNECT:{node.path}', f'ABSTRACT-CONNECT:{node.name}'):
        sends(address, pattern(SIZE))
    with socat('-', f'UDP:127.0.0.1:{node.port("datagrams")}',
               stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(b'one datagram\n')
        process.stdin.flush()
        expect(process.stdout.readline(), b'one datagram\n')
        process.kill()
    expect(len(node.connections()), 4)
    node.stop_and_expect()


@case(needs_wire=False)
def ten_megabytes_are_had_back_from_socat(world):
    path = os.path.join(world.folder, 'theirs')
    name = f'rondo-wire-theirs-{os.getpid()}'
    with echoes(world, 'TCP-LISTEN:0,bind=127.0.0.1') as port:
        asks(world, ['talk', '127.0.0.1', port], SIZE)
    with echoes(world, f'UNIX-LISTEN:{path}'):
        asks(world, ['talk-unix', path], SIZE)
    with echoes(world, f'ABSTRACT-LISTEN:{name}'):
        asks(world, ['talk-unix', '@' + name], SIZE)


@case(needs_wire=False)
def the_port_forwarder_stands_between_two_socats(world):
    with echoes(world, 'TCP-LISTEN:0,bind=127.0.0.1') as port:
        forwarder = serving(world, '03_port_forwarder', 0, '127.0.0.1', port)
        sends(f'TCP:127.0.0.1:{forwarder.port()}', pattern(SIZE))
        forwarder.stop(signal.SIGINT, -signal.SIGINT, 'KeyboardInterrupt\n')


@case(needs_wire=False)
def a_socat_that_goes_in_the_middle_ends_its_connection_once(world):
    """It sends and never reads; then it is gone."""
    node = Node(world)
    ways = 'callbacks', 'streams'
    for way in ways:
        with socat('-u', '-', f'TCP:127.0.0.1:{node.port(way)}',
                   stdin=subprocess.PIPE) as process:
            process.stdin.write(pattern(50_000))
            process.stdin.flush()
            eventually(lambda n=way: any(key[0] == n for key in node.connections()),
                       f'{way} has a connection')
            process.kill()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
    eventually(lambda: 'open' not in node.errors(), 'both have ended')
    asks(world, ['talk', '127.0.0.1', node.port('callbacks')], 1000)
    resets = node.errors()
    resets.pop('none')
    assert all('reset by peer' in error or 'Broken pipe' in error for error in resets)
    node.stop_and_expect(resets)
