#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""TLS with programs that are not ours: net/examples/06_echo_tls serves and is
served by openssl, curl and Python's asyncio, with certificates made for the
occasion.
"""
import asyncio
import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import checking

PATIENCE = 30  # seconds; all of it takes a fraction of one
LINES = ['first', 'second ' + 1000 * 'x', '']  # what is echoed


# ---- Certificates ----------------------------------------------------------

class Certificates:
    """An authority, and what it says of localhost and of a client."""

    def __init__(self, folder):
        self.folder = folder
        self.authority = self.issue('authority', '/CN=a test authority',
                                    'basicConstraints=critical,CA:TRUE')
        self.server = self.issue(
            'server', '/CN=localhost', 'basicConstraints=critical,CA:FALSE\n'
            'subjectAltName=DNS:localhost,IP:127.0.0.1', 'authority')
        # Signed by the right authority for another host.
        self.other = self.issue(
            'other', '/CN=other', 'basicConstraints=critical,CA:FALSE\n'
            'subjectAltName=DNS:other.example', 'authority')

    def path(self, name):
        return os.path.join(self.folder, name)

    def key(self, name):
        return self.path(name + '.key')

    def issue(self, name, subject, extensions, issuer=None):
        """Makes NAME.pem and NAME.key; returns the certificate's path."""
        def openssl(*arguments):
            subprocess.run(['openssl', *arguments], check=True, cwd=self.folder,
                           stdin=subprocess.DEVNULL, capture_output=True,
                           timeout=PATIENCE)
        with open(self.path(name + '.ext'), 'w', encoding='utf-8') as file:
            file.write(extensions + '\n')
        openssl('req', '-new', '-newkey', 'ec', '-pkeyopt',
                'ec_paramgen_curve:P-256', '-nodes', '-keyout', name + '.key',
                '-subj', subject, '-out', name + '.csr')
        signer = (['-CA', issuer + '.pem', '-CAkey', issuer + '.key',
                   '-CAcreateserial'] if issuer else ['-signkey', name + '.key'])
        openssl('x509', '-req', '-in', name + '.csr', '-out', name + '.pem',
                '-days', '2', '-extfile', name + '.ext', *signer)
        return self.path(name + '.pem')


# ---- Programs --------------------------------------------------------------

@contextlib.contextmanager
def program(command, ready, **options):
    """Runs `command` until the end of the block; waits for the line on stdout
    that has `ready` in it, and gives the process and that line."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True,
                               errors='replace', **options)
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if ready in line:
                break
        else:
            raise AssertionError(f'{command[0]} said only {said}')
        yield process, line.rstrip('\n')
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=5)
        process.kill()
        process.wait()
        watchdog.cancel()


class Ours:
    """net/examples/06_echo_tls, as a server or as a client."""

    def __init__(self, build, certificates):
        self.binary = os.path.join(build, 'examples', 'net', '06_echo_tls')
        self.certificates = certificates

    @contextlib.contextmanager
    def server(self, name='server'):
        """Gives its port."""
        command = [self.binary, 'serve', self.certificates.path(name + '.pem'),
                   self.certificates.key(name)]
        with program(command, 'listening', stdin=subprocess.DEVNULL) as (
                process, line):
            yield int(line.rsplit(':', 1)[1])
            assert process.poll() is None, 'the server has ended'

    def client(self, port, host='localhost', authorities=None):
        """What it prints for LINES, and how it ends."""
        command = [self.binary, 'connect', host, str(port),
                   authorities or self.certificates.authority]
        done = subprocess.run(command, input=''.join(x + '\n' for x in LINES),
                              capture_output=True, text=True, timeout=PATIENCE)
        return done.returncode, done.stdout.splitlines(), done.stderr


def expect(actual, expected):
    assert actual == expected, f'{actual!r} instead of {expected!r}'


def expect_echo(answer, version='TLSv1.3'):
    status, lines, errors = answer
    expect(lines, [f'{version} CN=localhost'] + [f"client: '{x}'" for x in LINES])
    expect((status, errors), (0, ''))


# ---- Cases -----------------------------------------------------------------

CASES = []


def case(function):
    """Registers a case, named by a sentence."""
    CASES.append(('tls ' + function.__name__.replace('_', ' '), function))
    return function


def s_client(ours, port, *more):
    """openssl s_client, which sends LINES; what it printed, and its status."""
    command = ['openssl', 's_client', '-connect', f'127.0.0.1:{port}', '-CAfile',
               ours.certificates.authority, '-verify_return_error',
               '-verify_hostname', 'localhost', '-servername', 'localhost',
               '-quiet', '-no_ign_eof', *more]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        watchdog = threading.Timer(PATIENCE, process.kill)
        watchdog.start()
        got = []
        try:
            for line in LINES:
                process.stdin.write(line + '\n')
                process.stdin.flush()
                got.append(process.stdout.readline().rstrip('\n'))
        except BrokenPipeError:
            pass
        with contextlib.suppress(BrokenPipeError):  # what it did not read
            process.stdin.close()
        errors = process.stderr.read()
        status = process.wait()
        watchdog.cancel()
    return status, got, errors


@case
def serves_openssl_s_client(ours):
    with ours.server() as port:
        for version in ('-tls1_2', '-tls1_3'):
            status, got, errors = s_client(ours, port, version)
            expect((status, got), (0, LINES))
            assert 'verify error' not in errors, errors


@case
def refuses_openssl_with_an_old_version(ours):
    with ours.server() as port:
        status, got, errors = s_client(ours, port, '-tls1_1', '-cipher',
                                       'ALL:@SECLEVEL=0')
        assert status != 0 and 'alert' in errors, (status, got, errors)
        expect(s_client(ours, port)[:2], (0, LINES))  # it goes on


@case
def refuses_to_renegotiate_with_openssl(ours):
    with ours.server() as port:
        command = ['openssl', 's_client', '-connect', f'127.0.0.1:{port}',
                   '-CAfile', ours.certificates.authority, '-tls1_2']
        done = subprocess.run(command, input='R\n', capture_output=True,
                              text=True, timeout=PATIENCE)
        assert 'RENEGOTIATING' in done.stdout + done.stderr, done.stderr
        assert 'no renegotiation' in done.stderr, done.stderr


@case
def gives_openssl_a_session_to_go_on_with(ours):
    with ours.server() as port:
        for version in ('-tls1_2', '-tls1_3'):
            file = ours.certificates.path('session' + version)
            s_client(ours, port, version, '-sess_out', file)
            command = ['openssl', 's_client', '-connect', f'127.0.0.1:{port}',
                       '-CAfile', ours.certificates.authority, version,
                       '-sess_in', file]
            done = subprocess.run(command, input='', capture_output=True,
                                  text=True, timeout=PATIENCE)
            assert '\nReused, ' in done.stdout, done.stdout


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def s_server(ours, *more, name='server'):
    """openssl s_server that sends each line back reversed. Gives its port."""
    port = free_port()
    command = ['openssl', 's_server', '-accept', f'127.0.0.1:{port}', '-cert',
               ours.certificates.path(name + '.pem'), '-key',
               ours.certificates.key(name), '-rev', *more]
    with program(command, 'ACCEPT', stdin=subprocess.DEVNULL):
        yield port


@case
def is_served_by_openssl_s_server(ours):
    for version in ('TLSv1.2', 'TLSv1.3'):
        with s_server(ours, '-' + version.lower().replace('v', '').replace(
                '.', '_')) as port:
            status, lines, errors = ours.client(port)
            expect(lines, [f'{version} CN=localhost']
                   + [f"client: '{x[::-1]}'" for x in LINES])
            expect((status, errors), (0, ''))


@case
def does_not_believe_a_stranger(ours):
    with s_server(ours) as port:
        status, lines, errors = ours.client(
            port, authorities=ours.certificates.other)
        expect((status, lines), (1, []))
        assert 'unable to get local issuer certificate' in errors, errors


@case
def does_not_take_one_host_for_another(ours):
    with s_server(ours, name='other') as port:
        status, lines, errors = ours.client(port)
        expect((status, lines), (1, []))
        assert 'hostname mismatch' in errors, errors


@case
def serves_curl(ours):
    if shutil.which('curl') is None:
        return
    with ours.server() as port:
        # An echo of the request is no answer, but it comes.
        done = subprocess.run(
            ['curl', '--silent', '--show-error', '--http0.9', '--max-time', '2',
             '--cacert', ours.certificates.authority,
             f'https://localhost:{port}/path'],
            capture_output=True, text=True, timeout=PATIENCE)
        assert done.stdout.startswith('GET /path HTTP/1.1'), done


def python_client(ours, **options):
    """asyncio's streams; the answers to LINES."""
    async def talk(port):
        context = ssl.create_default_context(cafile=ours.certificates.authority)
        for name, value in options.items():
            setattr(context, name, value)
        reader, writer = await asyncio.open_connection(
            'localhost', port, ssl=context, family=socket.AF_INET)
        got = []
        for line in LINES:
            writer.write(line.encode() + b'\n')
            await writer.drain()
            got.append((await reader.readline()).decode().rstrip('\n'))
        version = writer.get_extra_info('ssl_object').version()
        writer.close()
        await writer.wait_closed()
        return version, got
    return lambda port: asyncio.run(asyncio.wait_for(talk(port), PATIENCE))


@case
def serves_pythons_asyncio(ours):
    with ours.server() as port:
        expect(python_client(ours)(port), ('TLSv1.3', LINES))
        expect(python_client(ours, maximum_version=ssl.TLSVersion.TLSv1_2)(port),
               ('TLSv1.2', LINES))


@case
def is_not_believed_by_asyncio_with_anothers_certificate(ours):
    with ours.server('other') as port:
        try:
            python_client(ours)(port)
        except ssl.SSLCertVerificationError as error:
            assert 'mismatch' in str(error), error
        else:
            raise AssertionError('it was believed')


def with_python_server(ours, talk, **options):
    """Calls talk(port) in a thread while asyncio's server echoes."""
    async def echo(reader, writer):
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
        writer.close()

    async def serve():
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(ours.certificates.server,
                                ours.certificates.key('server'))
        for name, value in options.items():
            setattr(context, name, value)
        server = await asyncio.start_server(echo, '127.0.0.1', 0, ssl=context)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await asyncio.to_thread(talk, port)
    return asyncio.run(asyncio.wait_for(serve(), PATIENCE))


@case
def is_served_by_pythons_asyncio(ours):
    expect_echo(with_python_server(ours, ours.client))
    expect_echo(with_python_server(
        ours, ours.client, maximum_version=ssl.TLSVersion.TLSv1_2), 'TLSv1.2')
    expect_echo(with_python_server(
        ours, lambda port: ours.client(port, '127.0.0.1')))


@case
def survives_clients_that_speak_no_tls(ours):
    with ours.server() as port:
        for garbage in (b'', b'GET / HTTP/1.1\r\n\r\n', bytes(70000),
                        b'\x16\x03\x01\x02\x00\x01'):
            with socket.create_connection(('127.0.0.1', port),
                                          timeout=PATIENCE) as client:
                client.sendall(garbage)
        # One that stalls holds nobody else up.
        with socket.create_connection(('127.0.0.1', port)):
            expect(s_client(ours, port)[:2], (0, LINES))


@case
def says_what_it_cannot_use(ours):
    certificates = ours.certificates
    for arguments, words in (
            (['serve', certificates.server, certificates.key('other')],
             'key values mismatch'),
            (['serve', certificates.path('missing'), certificates.key('other')],
             'No such file or directory'),
            (['connect', 'localhost', '1', certificates.key('server')],
             'no start line')):
        done = subprocess.run([ours.binary, *arguments], capture_output=True,
                              text=True, timeout=PATIENCE,
                              stdin=subprocess.DEVNULL)
        assert done.returncode == 1 and words in done.stderr, done


def main(build):
    if shutil.which('openssl') is None:
        print('no openssl: nothing to check with')
        return
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(os.path.abspath(build), Certificates(folder))
        for name, function in CASES:
            problem = []
            try:
                function(ours)
            except Exception as error:  # pylint: disable=broad-except
                problem = f'{type(error).__name__}: {error}'.splitlines()
            checking.report(name, problem)
            sys.stdout.flush()


if __name__ == '__main__':
    main(sys.argv[1])
