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
    what = ' '.join(command)
    try:
        return subprocess.run(command, check=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout
    except subprocess.CalledProcessError as error:
        raise Failed(f'{what}: has ended with status {error.returncode}') from error
    except subprocess.TimeoutExpired as error:
        raise Failed(f'{what}: has not ended in {timeout} s') from error
    except OSError as error:
        raise Failed(f'{what}: {error.strerror}') from error


def our_programs(directory):
    """The programs of ours that were built in `directory`, and have a source:
    what an older one has left there is not run."""
    found = sorted(path for path in glob.glob(f'{directory}/bench/*')
                   if os.path.isfile(path) and os.access(path, os.X_OK)
                   and os.path.exists(f'{BENCH}/{os.path.basename(path)}.cc'))
    if not found:
        raise Failed(f'no programs in {directory}/bench: make benches')
    return found


def folders(asked=None):
    """Where the peers are: {name: folder}. The folders of bench/peers, or those
    that are asked for (with colons): a peer's own, or one of peers."""
    asked = os.path.join(BENCH, 'peers') if asked is None else asked
    found = {}
    for place in filter(None, asked.split(':')):
        place = os.path.abspath(place)
        own = [place] if os.path.exists(f'{place}/build') else glob.glob(f'{place}/*/')
        if not own:
            raise Failed(f'PEERS: no peer in {place}: neither build nor a folder with one')
        found.update((os.path.basename(path.rstrip('/')), path.rstrip('/')) for path in own)
    return dict(sorted(found.items()))


def build_peers(places, directory, say):
    """Builds the peers in `places`: ({name: path}, {name of one that is absent:
    why})."""
    present, absent = {}, {}
    for name, folder in places.items():
        script = os.path.join(folder, 'build')
        path = os.path.join(directory, 'bench', 'peers', name)
        if not os.path.exists(script):
            absent[name] = f'{folder} has no script `build`'
            continue
        say(f'building {name}')
        try:
            built = subprocess.run([script, os.path.abspath(directory)], text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, check=False)
        except OSError as error:
            raise Failed(f'{script} cannot be run: {error.strerror}') from error
        lines = built.stderr.strip().splitlines() or ['it does not say why']
        if built.returncode == ABSENT:
            absent[name] = lines[-1].removeprefix(f'{name}: ')
        elif built.returncode != 0:
            raise Failed(f'{script} is broken:\n  ' + '\n  '.join(lines[-20:]))
        elif not os.path.exists(path):
            raise Failed(f'{script} has not made {path}')
        else:
            present[name] = path
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


# What a worker may be timed by, and by what else where ours is timed so: a
# clock that sees less would flatter.
CLOCKS = {'thread': ('process',), 'process': (), 'wall': ()}


def cases_of(program, is_peer):
    """(case, Entry) of what `program --list` says."""
    for line in output_of([program, '--list']).splitlines():
        words = line.split()
        if len(words) < 4 or not words[2].isdecimal() or words[3] not in (
                *CLOCKS, 'server', 'memory'):
            raise Failed(f'{program} --list says {line!r} instead of '
                         '"CASE CONTESTANT OPERATIONS CLOCK"')
        case, name, operations, clock = words[:4]
        if is_peer:
            yield case, Entry(program, name, clock_of(case, clock, int(operations)))
        else:
            role, target = (words + ['ours', '-'])[4:6] if len(words) >= 6 else ('ours', '-')
            yield case, Entry(program, name, clock, role, target)


def check_peers(case, entries):
    """Fails if what a peer lists cannot stand beside the others in `case`."""
    ours = [one.clock for one in entries if one.role != 'peer'][:1]
    known = {}
    for one in entries:
        other = known.setdefault(one.name, one)
        if one.role != 'peer':
            continue
        if other is not one:
            raise Failed(f'{case}: {other.program} and {one.program} '
                         f'both have a contestant {one.name!r}')
        if ours and one.clock not in (ours[0], *CLOCKS.get(ours[0], ())):
            raise Failed(f"{case}: {one.program} times {one.name} by the clock "
                         f"{one.clock!r}, ours is {ours[0]!r}")


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


def includes(present, places):
    """The entries of compile/include: a peer has its lines in a file beside its
    build, with the flags for them in the first, as a comment."""
    for name, role, text in INCLUDES:
        yield Entry(text, name, 'compile', role)
    for name, folder in places.items():
        path = os.path.join(folder, 'includes')
        if name in present and os.path.exists(path):
            with open(path, encoding='utf-8') as file:
                yield Entry(file.read(), name, 'compile')


def all_cases(programs, peers, places, pattern, two_cpus):
    """`peers`: {name: path}, of `places`: {name: folder}. {case: [Entry...]}:
    floors first, then ours, then the peers."""
    cases = {}
    for is_peer, paths in ((False, programs), (True, peers.values())):
        for path in paths:
            for case, entry in cases_of(path, is_peer):
                cases.setdefault(case, []).append(entry)
    if two_cpus:
        derived(cases)
    cases['compile/include'] = list(includes(peers, places))
    order = {'floor': 0, 'ours': 1, 'peer': 2}
    for entries in cases.values():
        entries.sort(key=lambda entry: order[entry.role])
    cases = {case: entries for case, entries in cases.items() if pattern in case}
    for case, entries in cases.items():
        check_peers(case, entries)
    return cases
