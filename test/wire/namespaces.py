# SPDX-License-Identifier: MIT
"""Two network namespaces of our own, `near` and `far`, each with one TUN device.

What is sent into a device comes out of a descriptor here, and the other way
round; link.py carries the packets from one to the other. All of it belongs to
this process: when it and its children have ended, the kernel takes it away.
"""
import contextlib
import ctypes
import errno
import fcntl
import os
import struct
import subprocess

from cases import Skipped

NEAR, FAR = '10.77.0.1', '10.77.0.2'
NEAR_TOO = '10.77.0.3'  # a second address of the same device

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454ca
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
PR_SET_PDEATHSIG = 1
SIGKILL = 9

libc = ctypes.CDLL(None, use_errno=True)


def checked(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f'{what}: {os.strerror(number)}')


def die_with_parent():
    """For a child, between fork and its program."""
    libc.prctl(PR_SET_PDEATHSIG, SIGKILL)


def tool(*command):
    """Runs a command where this thread is; returns what it prints."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20,
                              check=False)
    except FileNotFoundError:
        raise Skipped(f'there is no {command[0]}') from None
    if done.returncode != 0:
        raise OSError(f'{" ".join(command)}: {done.stderr.strip()}')
    return done.stdout


def setting(name, value):
    """Sets net/NAME of the namespace of this thread."""
    try:
        with open(f'/proc/sys/net/{name}', 'w', encoding='ascii') as file:
            file.write(str(value))
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        raise Skipped(f'the network cannot be set up: {error}') from None


def counters():
    """What the namespace of this thread has counted (nstat's names)."""
    found = {}
    for name in ('netstat', 'snmp'):
        with open(f'/proc/thread-self/net/{name}', encoding='ascii') as file:
            lines = file.read().splitlines()
        for names, values in zip(lines[::2], lines[1::2]):
            kind, *names = names.split()
            found.update({kind[:-1] + key: int(value) for key, value
                          in zip(names, values.split()[1:])})
    return found


def become_root_of_a_namespace():
    """This process gets a network of its own, and the right to change it."""
    try:
        checked(libc.unshare(CLONE_NEWNET), 'unshare')
        return
    except OSError:
        pass  # not root
    user, group = os.getuid(), os.getgid()
    checked(libc.unshare(CLONE_NEWUSER | CLONE_NEWNET), 'unshare')
    for name, text in (('setgroups', 'deny'), ('uid_map', f'0 {user} 1'),
                       ('gid_map', f'0 {group} 1')):
        with open(f'/proc/self/{name}', 'w', encoding='ascii') as file:
            file.write(text)


def tun_device(name):
    """A TUN device in the namespace of this thread; what to read from."""
    device = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(device, TUNSETIFF,
                struct.pack('16sH22x', name.encode(), IFF_TUN | IFF_NO_PI))
    return device


def set_up(address):
    """Makes the device of this thread's namespace the way to everywhere."""
    with contextlib.suppress(FileNotFoundError):  # a kernel without it
        setting('ipv6/conf/wire/disable_ipv6', 1)
    setting('ipv4/conf/wire/route_localnet', 1)
    # Little fits into the kernel: the programs have to wait, as on long ways.
    setting('ipv4/tcp_wmem', '4096 16384 65536')
    setting('ipv4/tcp_rmem', '4096 65536 131072')
    for which in 'all', 'wire':
        setting(f'ipv4/conf/{which}/rp_filter', 0)
    tool('ip', 'address', 'add', address + '/32', 'dev', 'wire')
    tool('ip', 'link', 'set', 'wire', 'up')
    default_route(address)


def default_route(address):
    """TCP, too, is told that the way is short: it soon asks again."""
    tool('ip', 'route', 'replace', 'default', 'dev', 'wire', 'src', address,
         'rto_min', '50ms')


class Namespaces:
    """Both of them. The thread that makes them is in `far` then: so are the
    sockets that it opens and the programs that it starts."""

    def __init__(self):
        try:
            become_root_of_a_namespace()
            self.home = os.open('/proc/thread-self/ns/net', os.O_RDONLY | os.O_CLOEXEC)
            self.near_device = tun_device('wire')
            checked(libc.unshare(CLONE_NEWNET), 'unshare')
            self.away = os.open('/proc/thread-self/ns/net', os.O_RDONLY | os.O_CLOEXEC)
            self.far_device = tun_device('wire')
        except OSError as error:
            raise Skipped(f'no network namespace with a TUN device: {error}') \
                from None
        set_up(FAR)
        with self.near():
            tool('ip', 'link', 'set', 'lo', 'up')
            set_up(NEAR)
            tool('ip', 'address', 'add', NEAR_TOO + '/32', 'dev', 'wire')
        # 127.0.0.1 is the near one for both: so the far one reaches servers
        # that listen for their own machine only.
        tool('ip', 'route', 'add', '127.0.0.0/8', 'dev', 'wire', 'src', FAR,
             'rto_min', '50ms')

    @contextlib.contextmanager
    def near(self):
        """This thread is in `near` until the end of the block."""
        checked(libc.setns(self.home, CLONE_NEWNET), 'setns')
        try:
            yield
        finally:
            checked(libc.setns(self.away, CLONE_NEWNET), 'setns')
