#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Real links, and what can be wrong with them.

Each case is a process of its own with two network namespaces. Our programs
are at the near end, Python's sockets at the far one, and between them is a
cable (link.py) that loses, delays, doubles and reorders packets, or is cut.
No need to be root: a user namespace makes everybody root of a network of his
own. Where that or TUN devices are forbidden, the cases on the wire are
skipped, which is said.

    test/wire/check.py BUILD [WORDS OF A CASE'S NAME]
"""
import contextlib
import os
import shlex
import subprocess
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import checking  # first: it keeps __pycache__ out of the tree
import broken
import crowds
import peers
import slow
from cases import CASES, Skipped
from link import Link
from namespaces import Namespaces, die_with_parent

CASE_TIMEOUT = 55   # seconds; each takes a fraction of it
AT_ONCE = 6         # cases: they mostly wait
SKIPPED = 77        # the exit status of a case that cannot be run here
SEED = 20           # of what befalls the packets

assert all((broken, crowds, peers, slow))  # they have registered their cases


class World:
    """What a case has: the two ends, the cable, and a folder."""

    def __init__(self, build, folder, needs_wire):
        self.build, self.folder = build, folder
        self.node = os.path.join(build, 'wire', 'node')
        self.programs = []
        self.namespaces = Namespaces() if needs_wire else None
        self.link = Link(self.namespaces, SEED) if needs_wire else None

    def near(self):
        """For `with`: this thread is at the near end."""
        return self.namespaces.near() if self.namespaces else contextlib.nullcontext()

    def example(self, name):
        return os.path.join(self.build, 'examples', name)

    def close(self):
        for program in self.programs:
            program.kill()
        if self.link:
            self.link.close()


# ---- Running them ----------------------------------------------------------

def run_case(build, folder, name):
    """In a process of its own. Returns its exit status."""
    function, needs_wire = CASES[name]
    world = None
    try:
        world = World(build, folder, needs_wire)
        function(world)
        return 0
    except Skipped as reason:
        print(reason)
        return SKIPPED
    except Exception:  # whatever it is: told to the parent
        print(*traceback.format_exc().splitlines()[-12:], sep='\n')
        for program in world.programs if world else ():
            print(f'{program.process.args[0]} has status {program.process.poll()}',
                  *program.complaints().splitlines()[-10:],
                  *program.said().splitlines()[-10:], sep='\n  ')
        if world and world.link:
            with contextlib.suppress(OSError):
                print('the cable:', world.link.counts())
        return 1
    finally:
        if world:
            world.close()
        sys.stdout.flush()


def start_case(build, scratch, name):
    """Runs a case; returns (status, its lines, seconds)."""
    folder = tempfile.mkdtemp(dir=scratch)
    start = time.monotonic()
    status, out, err = checking.run(
        [sys.executable, os.path.join(HERE, 'check.py'), build, '--case', folder, name],
        CASE_TIMEOUT, preexec_fn=die_with_parent)
    lines = (out + err).splitlines()
    if status not in (0, SKIPPED):
        lines.append(checking.status_text(status, CASE_TIMEOUT))
    return status, lines, time.monotonic() - start


def build_node(build):
    """Compiles node.cc unless that was done since the library was built."""
    node = os.path.join(build, 'wire', 'node')
    source, library = os.path.join(HERE, 'node.cc'), os.path.join(build, 'librondo.a')
    if os.path.exists(node) and os.path.getmtime(node) > max(
            map(os.path.getmtime, (source, library))):
        return
    os.makedirs(os.path.dirname(node), exist_ok=True)

    def flags(which):
        return shlex.split(subprocess.run(
            ['pkg-config', which, 'spdlog', 'openssl'], check=True, text=True,
            capture_output=True).stdout)
    subprocess.run(
        [*shlex.split(os.environ.get('CXX', 'g++')), '-std=c++20', '-O1', '-g',
         '-Wall', '-Wextra', '-Werror', '-pthread', '-I.', *flags('--cflags'), source,
         library, *flags('--libs'), '-o', node + '.new'], check=True)
    os.replace(node + '.new', node)


def main(build, words):
    chosen = [name for name in CASES if ' '.join(words) in name]
    build_node(build)
    failed, skipped = 0, {}
    with tempfile.TemporaryDirectory(prefix='rondo-wire-') as scratch, \
            ThreadPoolExecutor(AT_ONCE) as pool:
        started = [(name, pool.submit(start_case, build, scratch, name))
                   for name in chosen]
        for name, case_ in started:
            status, lines, seconds = case_.result()
            if status == SKIPPED:
                skipped.setdefault(lines[0], []).append(name)
                continue
            failed += not checking.report(name, lines if status != 0 else [])
            for line in lines:
                if status == 0 and line.startswith('# '):
                    print(line)
            if words:
                print(f'# {seconds:.1f} s')
    for reason, names in skipped.items():
        what = names[0] if len(names) == 1 else f'wire: {len(names)} cases'
        print(f'# {what}: skipped, {reason}')
    return 1 if failed else 0


if __name__ == '__main__':
    if sys.argv[2:3] == ['--case']:
        sys.exit(run_case(sys.argv[1], *sys.argv[3:]))
    sys.exit(main(sys.argv[1], sys.argv[2:]))
