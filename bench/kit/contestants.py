# SPDX-License-Identifier: MIT
"""Who takes part: our programs, and the peers that can be built here."""
import glob
import os
import subprocess

from kit import Failed

BENCH = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ABSENT = 3  # what a peer's build exits with if its tool or package is not here


class Entry:
    """A contestant in one case."""

    def __init__(self, program, name, clock, role='peer', target='-'):
        self.program = program  # the path
        self.name = name
        self.clock = clock      # thread, process, wall, server or memory
        self.role = role        # ours, floor or peer; `again` is the second of ours
        self.target = '' if target == '-' else target

    def again(self):
        """The same program a second time, for the noise."""
        return Entry(self.program, self.name, self.clock, 'again')

    @property
    def label(self):
        return self.name + ' again' if self.role == 'again' else self.name


def output_of(command, timeout=120):
    """What `command` prints."""
    try:
        return subprocess.run(command, check=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise Failed(f'{" ".join(command)}: {error}') from error


def our_programs(directory):
    """The programs of ours that were built in `directory`."""
    found = sorted(path for path in glob.glob(f'{directory}/bench/*')
                   if os.path.isfile(path) and os.access(path, os.X_OK))
    if not found:
        raise Failed(f'no programs in {directory}/bench: make benches')
    return found


def places():
    """Where peers are."""
    return os.environ.get('PEERS', os.path.join(BENCH, 'peers')).split(':')


def build_peers(directory, say):
    """Builds each peer: ({name: path}, {name of one that is absent: why}).

    The peers are the folders of bench/peers, or of PEERS= (with colons)."""
    present, absent = {}, {}
    for script in sorted(path for place in places() for path in glob.glob(f'{place}/*/build')):
        name = os.path.basename(os.path.dirname(script))
        say(f'building {name}')
        built = subprocess.run([script, os.path.abspath(directory)], text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, check=False)
        lines = built.stderr.strip().splitlines() or ['it does not say why']
        if built.returncode == 0:
            present[name] = os.path.join(directory, 'bench', 'peers', name)
        elif built.returncode == ABSENT:
            absent[name] = lines[-1].removeprefix(f'{name}: ')
        else:
            raise Failed(f'{script} is broken:\n  ' + '\n  '.join(lines[-20:]))
    return present, absent


def clock_of(case, clock, operations):
    """Servers and memory are told by their names: a peer need not know more."""
    if clock in ('server', 'memory'):
        return clock
    if case == 'tasks/sleeping':
        return 'memory'
    if case.startswith(('echo/', 'accept/', 'idle/')) and operations >= 0:
        return 'server'
    return clock


def cases_of(program, is_peer):
    """(case, Entry) of what `program --list` says."""
    for line in output_of([program, '--list']).splitlines():
        words = line.split()
        if len(words) < 4:
            raise Failed(f'{program} --list says {line!r}')
        case, name, operations, clock = words[:4]
        if is_peer:
            yield case, Entry(program, name, clock_of(case, clock, int(operations)))
        else:
            role, target = (words + ['ours', '-'])[4:6] if len(words) >= 6 else ('ours', '-')
            yield case, Entry(program, name, clock, role, target)


def derived(cases):
    """The echo cases that only the driver knows: the load on a processor of
    its own, and at a fixed rate."""
    for case in ('echo/64_c1', 'echo/64_c64', 'echo/64_c1000'):
        if case in cases:
            plain = [Entry(one.program, one.name, one.clock, one.role) for one in cases[case]]
            cases[case + '_2cpu'] = plain
            if case == 'echo/64_c64':
                cases[case + '_rate'] = plain


# What a program includes that uses the loop, by callbacks and by coroutines;
# and what it would include without one.
INCLUDES = [('std', 'floor', '#include <sys/epoll.h>\n#include <functional>\n'
             '#include <memory>\n#include <string>\n#include <vector>\n'),
            ('ours', 'ours', '#include "reactor/event_loop.h"\n'),
            ('streams', 'ours', '#include "futures/coro/coro.h"\n#include "net/streams.h"\n')]


def includes(present):
    """The entries of compile/include: a peer has its lines in a file beside its
    build, with the flags for them in the first, as a comment."""
    for name, role, text in INCLUDES:
        yield Entry(text, name, 'compile', role)
    for path in sorted(path for place in places() for path in glob.glob(f'{place}/*/includes')):
        name = os.path.basename(os.path.dirname(path))
        if name in present:
            with open(path, encoding='utf-8') as file:
                yield Entry(file.read(), name, 'compile')


def all_cases(programs, peers, pattern, two_cpus):
    """`peers`: {name: path}. {case: [Entry...]}: floors first, then ours, then the peers."""
    cases = {}
    for is_peer, paths in ((False, programs), (True, peers.values())):
        for path in paths:
            for case, entry in cases_of(path, is_peer):
                cases.setdefault(case, []).append(entry)
    if two_cpus:
        derived(cases)
    cases['compile/include'] = list(includes(peers))
    order = {'floor': 0, 'ours': 1, 'peer': 2}
    for entries in cases.values():
        entries.sort(key=lambda entry: order[entry.role])
    return {case: entries for case, entries in cases.items() if pattern in case}
