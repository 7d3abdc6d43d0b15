#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The bench kit itself: does it count right, and does it catch who cheats?

Needs no peers and measures nothing; its contestants are scripts.
"""
import copy
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import checking  # first: it keeps __pycache__ out of the tree
import refusals

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'bench'))
from kit import (Failed, charts, compare, measure, page, processes, ranking, scenarios, stats,
                 table)
from kit.contestants import Entry, clock_of, our_programs

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = list(refusals.CASES)


def case(function):
    """Registers a case, named by its sentence."""
    CASES.append(('bench ' + function.__name__.replace('_', ' '), function))
    return function


def expect(found, wanted):
    assert found == wanted, f'{found!r} instead of {wanted!r}'


# ---- Statistics ------------------------------------------------------------

@case
def medians_and_quartiles_are_right(_):
    expect(stats.median([3, 1, 2]), 2)
    expect(stats.median([4, 1, 2, 3]), 2.5)
    expect(stats.summary([1, 2, 3, 4, 5]), {'median': 3, 'low': 2, 'high': 4})
    expect(stats.summary([7]), {'median': 7, 'low': 7, 'high': 7})


@case
def a_difference_below_the_noise_is_a_tie(_):
    noise = stats.noise([0.97, 1.0, 1.01, 1.02, 1.04])
    assert 0.019 < noise < 0.031, noise
    expect(stats.verdict(1 + noise * 0.9, noise), 'tie')
    expect(stats.verdict(1 - noise * 0.9, noise), 'tie')
    expect(stats.verdict(1 + noise * 1.1, noise), 'slower')
    expect(stats.verdict(0.5, noise), 'faster')
    # Two copies that never differ are luck, not a proof.
    expect(stats.noise([1.0] * 5), stats.NOISE_MIN)
    expect(stats.noise([]), stats.NOISE_MIN)


@case
def histograms_of_several_runs_are_merged(_):
    buckets = stats.merged([[[10, 1], [20, 2]], [[20, 1], [30, 96]]])
    expect(buckets, [[10, 1], [20, 3], [30, 96]])
    expect([stats.percentile(buckets, p) for p in (0.1, 1, 2, 4, 5, 100)],
           [10, 10, 20, 20, 30, 30])


@case
def every_size_is_a_multiple_of_its_load(_):
    for name, wanted in (('soon/batch_1000', 1000), ('timers/insert_cancel_100000', 100_000),
                         ('tasks/ping_pong', 1000), ('pipe_chain/9900_100', 1000),
                         ('soon/chain_1_budget_64', 8000)):
        expect(measure.multiple_of(name), wanted)


# ---- The load generator's histogram ----------------------------------------

@case
def percentiles_are_off_by_less_than_one_percent(build):
    chance = random.Random(1)
    shapes = {'small': [chance.randrange(300) for _ in range(2000)],
              'spread': [int(math.exp(chance.uniform(0, 35))) for _ in range(20000)],
              'tail': [int(20000 + 1e9 * (chance.random() < 0.001)) for _ in range(5000)],
              'one': [123456789]}
    for name, values in shapes.items():
        found = json.loads(subprocess.run(
            [load_program(build), '--mode', 'histogram'], text=True, check=True,
            input='\n'.join(map(str, values)), stdout=subprocess.PIPE).stdout)
        expect(found['messages'], len(values))
        expect(sum(count for _, count in found['buckets']), len(values))
        expect(found['max'], max(values))
        ordered = sorted(values)
        for key, percent in (('p50', 50), ('p99', 99), ('p99_9', 99.9)):
            exact = ordered[max(0, math.ceil(percent / 100 * len(values)) - 1)]
            for value in (found[key], stats.percentile(found['buckets'], percent)):
                assert abs(value - exact) <= 0.01 * exact, (name, key, value, exact)


def load_program(build):
    return os.path.join(build, 'bench', 'load', 'load')


# ---- Cheaters --------------------------------------------------------------

def contestant(folder, kind):
    """A program that plays `kind`."""
    path = os.path.join(folder, kind)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(f'#!/bin/sh\nexec /usr/bin/env python3 -B {HERE}/contestant.py {kind} "$@"\n')
    os.chmod(path, 0o755)
    return path


def asked(build, kind, connections, messages, options=()):
    """What the load generator finds out about a server."""
    with tempfile.TemporaryDirectory() as folder:
        entry = Entry(contestant(folder, kind), kind, 'server')
        with processes.Server(entry, 'echo', None) as server:
            with processes.Load(load_program(build), server, None, [
                    '--connections', str(connections), *options], entry) as load:
                load.wait_begin()
                report = load.ask(f'messages {messages}')
                load.ask(f'messages {messages}')  # what came too late or too much
                return report


def expect_caught(build, kind, words, connections=1, options=(), messages=20):
    try:
        report = asked(build, kind, connections, messages, options)
    except Failed as failure:
        assert words in str(failure), failure
        assert failure.entry.name == kind
        return
    raise AssertionError(f'not caught: {report}')


@case
def an_honest_server_is_believed(build):
    for options in ([], ['--depth', '4'], ['--bytes', '5000']):
        expect(asked(build, 'honest', 3, 200, options)['messages'], 200)


@case
def a_server_that_echoes_a_wrong_byte_is_caught(build):
    expect_caught(build, 'wrong', 'is not what was sent')


@case
def a_server_that_echoes_the_last_message_is_caught(build):
    expect_caught(build, 'stale', 'is not what was sent')


@case
def a_server_that_swaps_connections_is_caught(build):
    expect_caught(build, 'swapped', 'load: FAILED', connections=2)


@case
def a_server_that_echoes_too_much_is_caught(build):
    expect_caught(build, 'more', 'more came back than was sent')


@case
def a_server_that_echoes_short_is_caught(build):
    # Pipelined, what is missing shows at once. Alone, it is waited for.
    expect_caught(build, 'short', 'is not what was sent', options=['--depth', '4'],
                  messages=400)
    expect_caught(build, 'short', 'connection 0: 383 of 384 bytes came back')
    expect_caught(build, 'short', '--server echo short: still running')


@case
def a_worker_that_does_less_is_caught(_):
    with tempfile.TemporaryDirectory() as folder:
        for kind, caught in (('honest', False), ('lazy', True)):
            entry = Entry(contestant(folder, kind), kind, 'thread')
            with processes.Worker(entry, 'soon/chain_1', None) as worker:
                worker.wait_ready()
                try:
                    worker.ask(1000)
                except Failed as failure:
                    assert caught and 'did 990 instead of 1000' in str(failure), failure
                    continue
                assert not caught, 'not caught'


@case
def a_run_with_a_cheater_fails_and_names_it(build):
    """bench/run from end to end, with two scripts for peers."""
    with tempfile.TemporaryDirectory() as folder:
        ours = os.path.join(folder, 'bench')
        os.makedirs(os.path.join(ours, 'load'))
        shutil.copy(os.path.join(build, 'bench', 'soon'), ours)
        shutil.copy(load_program(build), os.path.join(ours, 'load'))
        for kind in ('honest', 'lazy', 'absent'):
            os.makedirs(os.path.join(folder, 'peers', kind))
            with open(os.path.join(folder, 'peers', kind, 'build'), 'w',
                      encoding='utf-8') as file:
                file.write('#!/bin/sh\nmkdir -p "$1/bench/peers"\n' + (
                    'echo "absent: needs what nobody has" >&2; exit 3\n' if kind == 'absent'
                    else f'cp {contestant(folder, kind)} "$1/bench/peers/{kind}"\n'))
            os.chmod(file.name, 0o755)
        results = os.path.join(folder, 'results.json')
        env = dict(os.environ, BENCH='soon/chain_1', QUICK='1', RESULTS=results,
                   PEERS=os.path.join(folder, 'peers'))
        status, out, err = checking.run([os.path.join(ROOT, 'bench', 'run'), folder], env=env)
        expect(status, 1)
        with open(results, encoding='utf-8') as file:
            found = json.load(file)
        assert 'lazy' in found['failed'][0] and len(found['failed']) == 1, found['failed']
        expect(found['absent'], {'absent': 'needs what nobody has'})
        row = next(row for row in found['rows'] if row['case'] == 'soon/chain_1')
        expect({one['name'] for one in row['contestants']}, {'ring', 'ours', 'honest'})
        assert 'absent    absent: needs what nobody has' in out, out + err
        check_page(found)


# ---- Results, page, comparer -----------------------------------------------

def results_of(ours, noise=0.01):
    """Results with one row of workers, one of servers and one of memory."""
    def one(name, role, median, **more):
        return {'name': name, 'role': role, 'clock': 'thread', 'median': median,
                'low': median * 0.99, 'high': median * 1.01, 'samples': [median] * 3,
                'ratio': {'median': median / 10, 'low': median * 0.099,
                          'high': median * 0.101}, **more}

    def row(name, unit, **more):
        return {'case': name, 'unit': unit, 'what': 'time <&> an operation', 'noise': noise,
                'again': {'median': 1.0, 'low': 0.99, 'high': 1.01}, 'floor': 'raw',
                'contestants': [
                    one('raw', 'floor', 10, **more),
                    one('ours', 'ours', ours, target='<=1.05x', met=ours <= 10.5, **more),
                    one('ours', 'again', ours, **more),
                    one('slow<&>', 'peer', 500, ours=ours / 500, verdict='faster', **more),
                    one('quick', 'peer', 5, ours=ours / 5, verdict='slower', **more)]}

    latency = {'rate': 1000.0, 'late_p99': 1, 'cpu_each': 3.0,
               'latency': stats.latencies([[[1000 * n, 1] for n in range(1, 500)]])}
    return {'format': 1, 'date': '2026-01-01T00:00:00+00:00', 'command': 'bench/run <x> & y',
            'quick': True, 'commit': 'abc', 'compiler': 'g++', 'build': '-O2', 'pattern': '',
            'machine': {'processor': 'A <B>', 'processors': 2, 'kernel': 'Linux', 'system': 'D',
                        'memory': '1 kB', 'load_before': 0, 'descriptors': '1'},
            'peers': {'slow': {'version': 'slow 1 & 2'}}, 'absent': {'gone': 'no <tool>'},
            'failed': ['a & b'],
            'rows': [row('soon/chain_1', 'ns'), row('timers/reschedule_10000', 'ns'),
                     row('timers/reschedule_100000', 'ns'), row('idle/10000', 'B'),
                     row('echo/64_c64_rate', 'ns', **latency)]}


def check_page(results):
    """Both are XML, alone in the world, and say what there is."""
    text = page.html(results)
    tree = ElementTree.fromstring(text)
    picture = ElementTree.fromstring(page.picture(results))
    assert picture.tag.endswith('svg')
    for where in ('src=', 'href="http', '@import', 'url('):
        assert where not in text, f'{where} in the page'
    said = ''.join(tree.itertext())
    for row in results['rows']:
        assert row['case'] in said, row['case']
    for _, text in charts.KEY:
        assert text in said and text in ''.join(picture.itertext()), text
    names = [node.get('id') for node in tree.iter() if node.get('id')]
    expect(len(names), len(set(names)))
    for node in tree.iter('{http://www.w3.org/2000/svg}svg'):
        expect(node.get('role'), 'img')
        for name in node.get('aria-labelledby').split():
            assert name in names, f'{name} is no id'


@case
def the_page_is_well_formed_and_needs_no_network(_):
    check_page(results_of(10.2))
    assert 'prefers-color-scheme:dark' in page.html(results_of(10.2))
    assert 'width=device-width' in page.html(results_of(10.2))


@case
def the_page_says_what_a_chart_cannot(_):
    results = results_of(10.2)
    row = results['rows'][0]
    for noise, words in ((0.011, 'Differences below 1.1 % are noise.'),
                         (0.9, 'Not to be read: the same program twice differed by 90.0 %.')):
        row['noise'] = noise
        assert words in page.html(results), words
    row['floor'] = None
    assert 'the floor keeps nothing' in page.html(results)
    row['contestants'] = [one for one in row['contestants'] if one['role'] != 'floor']
    assert 'the floor is missing' in page.html(results)


@case
def curves_of_one_colour_differ_in_their_dashes(_):
    results = results_of(10.2)
    row = results['rows'][-1]
    row['contestants'] += [dict(row['contestants'][-1], name=f'peer{n}') for n in range(16)]
    painted = page.colours(results)
    curved = [painted[one['name']] for one in row['contestants'] if one['role'] == 'peer']
    expect(len(set(curved)), len(curved))
    check_page(results)


@case
def the_table_says_where_we_lose(_):
    results = results_of(10.2)
    expect({name for _, name, _ in table.lost(results)}, {'quick'})
    expect(table.lost(results_of(10.2, 0.9)), [])  # nothing can be read from that
    for text in table.pages(results):
        columns = {line.count('|') for line in text.splitlines()}
        expect(len(columns), 1)
    assert '| `soon/chain_1` | quick 2.04 |' in table.behind(results)
    assert '| `soon/chain_1` | ours | 10.20 ns | 1.02x | <=1.05x | met |' in table.targets(results)


def verdicts(a, b):
    return {verdict for *_, verdict in compare.compared(a, b)}


@case
def the_comparer_finds_a_regression_and_nothing_else(_):
    expect(verdicts(results_of(10.0), results_of(10.0)), {'same'})
    expect(verdicts(results_of(10.0), results_of(10.25)), {'same'})
    expect(verdicts(results_of(10.0), results_of(11.5)), {'REGRESSION'})
    expect(verdicts(results_of(11.5), results_of(10.0)), {'better'})
    # In so much noise that would be luck.
    expect(verdicts(results_of(10.0, 0.1), results_of(11.5, 0.1)), {'same'})


@case
def the_comparer_ends_with_1_for_a_regression(_):
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, ours in (('a', 10.0), ('b', 12.0)):
            paths.append(os.path.join(folder, name + '.json'))
            with open(paths[-1], 'w', encoding='utf-8') as file:
                json.dump(results_of(ours), file)
        run = [os.path.join(ROOT, 'bench', 'run'), '--compare']
        expect(checking.run(run + paths)[0], 1)
        expect(checking.run(run + paths[:1] * 2)[0], 0)
        expect(checking.run(run + paths[::-1])[0], 0)
        with open(paths[0], 'w', encoding='utf-8') as file:
            file.write('{"rows": []}')
        expect(checking.run(run + paths)[0], 1)


@case
def the_ranking_is_the_same_or_says_who_changes_places(_):
    def changed(*runs):
        return {tuple(names) for *names, orders in ranking.compared(runs)
                if {-1, 1} <= set(orders)}
    before, after = results_of(10.2), results_of(9.0)
    expect(changed(before, results_of(10.3)), set())
    expect(changed(before, after), {(row['case'], 'raw', 'ours') for row in after['rows']})
    # In so much noise, in one run of them, it is a tie.
    expect(changed(before, results_of(9.0, 0.3)), set())


@case
def the_ranking_ends_with_1_if_somebody_changes_places(_):
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, ours in (('a', 10.2), ('b', 10.25), ('c', 9.0)):
            paths.append(os.path.join(folder, name + '.json'))
            with open(paths[-1], 'w', encoding='utf-8') as file:
                json.dump(results_of(ours), file)
        run = [os.path.join(ROOT, 'bench', 'run'), '--ranking']
        expect(checking.run(run + paths[:2])[0], 0)
        status, out, _ = checking.run(run + paths)
        expect(status, 1)
        assert 'soon/chain_1: raw, ours: < < >' in out, out
        assert checking.run(run + paths[:1])[0] != 0


@case
def a_row_that_is_gone_is_no_regression_but_named(_):
    less = copy.deepcopy(results_of(10.0))
    less['rows'].pop()
    expect(verdicts(results_of(10.0), less), {'same'})


# ---- Our programs ----------------------------------------------------------

@case
def our_workers_do_as_many_as_they_are_asked_to(build):
    program = os.path.join(build, 'bench', 'soon')
    assert program in our_programs(build)
    listed = subprocess.run([program, '--list'], text=True, check=True,
                            stdout=subprocess.PIPE).stdout.splitlines()
    for line in listed:
        name, who, _, clock, role, target = line.split()
        assert clock in ('thread', 'process', 'wall') and role in ('ours', 'floor'), line
        expect(clock_of(name, clock, 1), clock)
        with processes.Worker(Entry(program, who, clock), name, None) as worker:
            worker.wait_ready()
            assert worker.ask(measure.multiple_of(name)) > 0
    for name in scenarios.CASES:
        assert scenarios.meaning(name), name


def problem_of(job):
    function, build = job
    try:
        function(build)
    except (AssertionError, Failed, OSError, KeyError, ValueError) as error:
        return [f'{type(error).__name__}: {error}'[:1500]]
    return []


def main(build):
    return checking.check_all([(name, (function, os.path.abspath(build)))
                               for name, function in CASES], problem_of)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
