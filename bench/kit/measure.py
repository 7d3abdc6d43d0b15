# SPDX-License-Identifier: MIT
"""Rounds: every contestant of a case once, in an order that rotates."""
import contextlib
import math
import os
import re
import resource
import subprocess
import time

from kit import Failed, stats
from kit.contestants import BENCH, output_of
from kit.processes import Load, Process, Server, Worker

TOTAL_S = 400  # a whole run, after the peers were built


class Plan:
    """How much is done. The whole of it takes `total_s`: each case gets its
    share, by the number of its contestants."""

    def __init__(self, quick, cases):
        # Where memory comes to lie differs from launch to launch, so each
        # case has several; each launch has several rounds.
        self.launches = 1 if quick else 3
        self.rounds = 2 if quick else 5
        self.sample_s = 0.01 if quick else 0.03
        self.served_s = 0.05 if quick else 0.15
        self.sleepers = 10_000 if quick else 50_000
        self.end = time.monotonic() + (200 if quick else TOTAL_S)
        self.left = sum(map(len, cases.values()))
        self.case_end = self.end

    def begin(self, entries):
        """The next case begins."""
        now = time.monotonic()
        share = max(0.0, self.end - now) * len(entries) / max(1, self.left)
        self.case_end = now + 1.5 * share  # what one leaves the others get
        self.left -= len(entries)

    def split(self, launch_s, round_s, launches_max=3):
        """(launches, rounds of each) that there is time for, when the first
        launch has just been made ready in `launch_s`. More launches before
        more rounds."""
        left = self.case_end - time.monotonic()
        for launches in range(min(self.launches, launches_max), 0, -1):
            rounds = int((left - (launches - 1) * launch_s) / launches / max(round_s, 1e-6))
            if rounds >= min(3, self.rounds):
                return launches, min(rounds, self.rounds)
        return 1, max(2, min(self.rounds, int(left / max(round_s, 1e-6))))


def multiple_of(case):
    """What a number of operations has to be a multiple of: the load's size,
    the last number in the case's name."""
    numbers = [int(word) for word in re.findall(r'_(\d+)', case)]
    return math.lcm(1000, numbers[-1]) if numbers and numbers[-1] > 0 else 1000


def with_again(entries):
    """The contestants, and ours a second time."""
    again = [entry.again() for entry in entries if entry.role == 'ours'][:1]
    return entries + again


def rotated(items, turn):
    turn %= len(items)
    return items[turn:] + items[:turn]


# ---- Operations in a worker ------------------------------------------------

def calibrated(worker, case, sample_s):
    """So many operations that a sample takes about `sample_s` on the wall. Who
    is interrupted takes longer, so the quickest of three tries counts."""
    multiple = multiple_of(case)
    operations = multiple
    while True:
        took = math.inf
        for _ in range(3):
            began = time.monotonic()
            worker.ask(operations)
            took = min(took, max(time.monotonic() - began, 1e-6))
            if took < sample_s / 4 or took > 2 * sample_s:
                break
        if took > sample_s / 4 or operations > 1e9:
            return multiple * max(1, round(operations * sample_s / took / multiple))
        operations *= 4


def calibrated_all(running, case, sample_s):
    """The same of each; for the second of ours, what the first does."""
    counts = {}
    for worker in running:
        if worker.entry.name not in counts:
            counts[worker.entry.name] = calibrated(worker, case, sample_s)
    return [counts[worker.entry.name] for worker in running]


def workers(case, entries, plan, cpu):
    """The row of a case whose contestants are workers."""
    everyone = with_again(entries)
    samples = [[] for _ in everyone]
    counts, launches, rounds = None, plan.launches, plan.rounds
    launch = 0
    while launch < launches:
        began = time.monotonic()
        with contextlib.ExitStack() as stack:
            running = [stack.enter_context(Worker(
                entry, case, None if entry.clock == 'wall' else cpu)) for entry in everyone]
            for worker in running:
                worker.wait_ready()
            if counts is None:
                counts = calibrated_all(running, case, plan.sample_s)
            ready = time.monotonic()
            for worker, count in zip(running, counts):
                worker.ask(count)  # warms it up, and is not kept
            if launch == 0:
                warm_s = time.monotonic() - ready
                launches, rounds = plan.split(ready - began + warm_s, warm_s)
            for turn in range(rounds):
                for at in rotated(list(range(len(everyone))), turn + launch):
                    samples[at].append(running[at].ask(counts[at]) / counts[at])
        launch += 1
    what = {'wall': 'wall time'}.get(entries[0].clock, 'processor time')
    return row(case, 'ns', f'{what} an operation', everyone, samples,
               [{'operations': count} for count in counts])


# ---- Servers ---------------------------------------------------------------

def load_options(case):
    """How bench/load is to ask, by the case's name."""
    echo = re.fullmatch(r'echo/(\d+)_c(\d+)(?:_p(\d+))?(_2cpu|_rate)?', case)
    if echo:
        options = ['--bytes', echo[1], '--connections', echo[2], '--depth', echo[3] or '1']
        return 'echo', options + (['--spin'] if echo[4] == '_rate' else []), echo[4] or ''
    accept = re.fullmatch(r'accept/c(\d+)', case)
    if accept:
        return 'accept', ['--mode', 'accept', '--connections', accept[1]], ''
    raise Failed(f'{case}: no such load')


class Pair:
    """A server and who asks it."""

    def __init__(self, stack, load, case, entry, cpus):
        kind, options, where = load_options(case)
        other = cpus[1] if where else cpus[0]
        self.server = stack.enter_context(Server(entry, kind, cpus[0]))
        self.load = stack.enter_context(Load(load, self.server, other, options, entry))

    def ask(self, order):
        """What bench/load says, with the server's time a message."""
        before = self.server.cpu_ns()
        report = self.load.ask(order)
        if report['messages'] == 0:
            self.load.fail('no message was answered')
        report['cpu_each'] = (self.server.cpu_ns() - before) / report['messages']
        return report


def served(case, entries, plan, cpus, load):
    """The row of a case whose contestants are servers."""
    everyone = with_again(entries)
    reports = [[] for _ in everyone]
    fixed = case.endswith('_rate')
    orders, rounds, rate = None, plan.rounds, 0
    launch, launches = 0, plan.launches
    while launch < launches:
        began = time.monotonic()
        with contextlib.ExitStack() as stack:
            pairs = [Pair(stack, load, case, entry, cpus) for entry in everyone]
            for pair in pairs:
                pair.load.wait_begin()
            ready = time.monotonic()
            first = [pair.ask(f'seconds {plan.served_s}') for pair in pairs]
            if orders is None:
                warm_s = time.monotonic() - ready
                launches, rounds = plan.split(ready - began + warm_s, warm_s, 2)
                # Half of what the floor does: a load that leaves room.
                rate = int(first[0]['messages'] / first[0]['seconds'] / 2)
                orders = [f'seconds {plan.served_s} rate {rate}' if fixed else
                          f'messages {one["messages"]}' for one in first]
            for turn in range(rounds):
                for at in rotated(list(range(len(pairs))), turn + launch):
                    reports[at].append(pairs[at].ask(orders[at]))
        launch += 1
    if fixed:
        samples = [[report['p99'] for report in mine] for mine in reports]
        what = f'p99 of the latency at {rate} messages a second, two processors'
    else:
        samples = [[report['cpu_each'] for report in mine] for mine in reports]
        what = "server's processor time a " + (
            'connection' if case.startswith('accept') else 'message')
        what += ', two processors' if case.endswith('_2cpu') else ''
    more = [{'rate': stats.median([one['messages'] / one['seconds'] for one in mine]),
             'late_p99': stats.median([one['late_p99'] for one in mine]),
             'cpu_each': stats.median([one['cpu_each'] for one in mine]),
             'latency': stats.latencies([one['buckets'] for one in mine]),
             'operations': sum(one['messages'] for one in mine)} for mine in reports]
    return row(case, 'ns', what, everyone, samples, more)


def idle(case, entries, plan, cpus, load):
    """Memory of connections that say nothing."""
    count = int(case.split('/')[1])
    everyone = with_again(entries)
    samples = [[] for _ in everyone]
    for _ in range(1 if plan.launches == 1 else 2):
        for mine, entry in zip(samples, everyone):
            with contextlib.ExitStack() as stack:
                server = stack.enter_context(Server(entry, 'echo', cpus[0]))
                with Load(load, server, cpus[0], ['--connections', '100'], entry) as warm:
                    warm.wait_begin()
                    before = server.resident()
                    asks = stack.enter_context(Load(
                        load, server, cpus[0],
                        ['--mode', 'idle', '--connections', str(count)], entry))
                    asks.wait_begin()
                    mine.append(max(1, (server.resident() - before) / count))
    return row(case, 'B', "server's memory a connection", everyone, samples,
               [{'operations': count} for _ in everyone])


def memory(case, entries, plan, cpu):
    """What a program says of its own memory."""
    everyone = with_again(entries)
    samples = [[] for _ in everyone]
    for _ in range(plan.launches):
        for mine, entry in zip(samples, everyone):
            command = [entry.program, '--memory', case, str(plan.sleepers), entry.name]
            with Process(command, cpu, entry) as running:
                said = running.read()
                if not re.fullmatch(r'\d+', said):
                    running.fail(f'said {said!r} instead of a number of bytes')
                mine.append(int(said) / plan.sleepers)
    return row(case, 'B', 'memory each', everyone, samples,
               [{'operations': plan.sleepers} for _ in everyone])


# ---- The compiler ----------------------------------------------------------

def flags_of(entry):
    """The compiler's flags for these lines: in the first, as `// -DX` or as
    `// pkg-config NAME`."""
    words = entry.program.split('\n', 1)[0].split()
    if words[:2] == ['//', 'pkg-config']:
        try:
            return output_of(['pkg-config', '--cflags', *words[2:]]).split()
        except Failed as failure:
            raise Failed(f'{entry.name}: includes: {failure}', entry) from failure
    return words[1:] if words[:1] == ['//'] and ''.join(words[1:]).startswith('-') else []


def compiled(entry, compiler):
    """Nanoseconds of processor time that the compiler takes for a file with
    nothing but these lines."""
    flags = flags_of(entry)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([*compiler, *flags, '-fsyntax-only', '-x', 'c++', '-'], text=True,
                          input=entry.program, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise Failed(f'{entry.name}: what it includes does not compile: '
                     f'{done.stderr[:500].strip()}', entry)
    return 1e9 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def compiling(case, entries, plan, flags):
    """What including a library costs the one who includes it."""
    compiler = [flags.split(' ')[0] or 'c++', '-std=c++20', '-O2', '-I', os.path.dirname(BENCH)]
    everyone = with_again(entries)
    samples = [[] for _ in everyone]
    for turn in range(1 + plan.rounds):
        for at in rotated(list(range(len(everyone))), turn):
            took = compiled(everyone[at], compiler)
            if turn > 0:
                samples[at].append(took)
    return row(case, 'ns', "the compiler's processor time", everyone, samples,
               [{'operations': 1} for _ in everyone])


# ---- Rows ------------------------------------------------------------------

BYTES_MIN = 16  # less is a page or two of all of them


def meets(target, median, ratio):
    """Whether a target such as <=8ns, <=1.05x or <=512B is met."""
    limit = float(re.search(r'[\d.]+', target)[0])
    return (ratio if target.endswith('x') else median) <= limit


def row(case, unit, what, everyone, samples, more):
    """All that is known of a case: what the table, the page and the comparer
    read. Ratios are of the samples of one round."""
    floors = [at for at, entry in enumerate(everyone) if entry.role == 'floor']
    ours = [at for at, entry in enumerate(everyone) if entry.role == 'ours'][:1]
    again = [at for at, entry in enumerate(everyone) if entry.role == 'again']
    if unit == 'B' and floors and stats.median(samples[floors[0]]) < BYTES_MIN:
        floors = []  # it keeps nothing: nothing to be a multiple of
    twice = stats.ratios(samples[again[0]], samples[ours[0]]) if again else []
    noise = stats.noise(twice)
    contestants = []
    for entry, mine, extra in zip(everyone, samples, more):
        one = {'name': entry.name, 'role': entry.role, 'clock': entry.clock,
               **stats.summary(mine), 'samples': mine, **extra}
        if floors:
            one['ratio'] = stats.summary(stats.ratios(mine, samples[floors[0]]))
        if entry.target:
            one['target'] = entry.target
            one['met'] = meets(entry.target, one['median'],
                               one['ratio']['median'] if floors else math.inf)
        if ours and entry.role == 'peer':
            beside = stats.median(stats.ratios(samples[ours[0]], mine))
            one['ours'] = beside  # ours to it: below 1 we are better
            one['verdict'] = stats.verdict(beside, noise)
        contestants.append(one)
    return {'case': case, 'unit': unit, 'what': what, 'noise': noise,
            'again': stats.summary(twice) if twice else None,
            'floor': everyone[floors[0]].name if floors else None,
            'contestants': contestants}
