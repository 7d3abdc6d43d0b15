# SPDX-License-Identifier: MIT
"""What a run prints, and its table for a page of Markdown."""
import sys

from kit import scenarios, stats


class Progress:
    """One line that says what goes on, if somebody watches."""

    def __init__(self, out=sys.stdout):
        self.out = out
        self.live = out.isatty()

    def say(self, text):
        if self.live:
            self.out.write(f'\r\x1b[K{text[:100]}')
            self.out.flush()

    def clear(self):
        self.say('')


def times(ratio):
    """A ratio below 1 or above, in words."""
    return f'{1 / ratio:.2f}x less' if ratio < 1 else f'{ratio:.2f}x more'


def number(value):
    """Three or four digits that count."""
    if value >= 1e6:
        return f'{value / 1e6:.3g}e6'
    return f'{value:.2f}' if value < 100 else f'{value:.0f}'


def print_heading(results):
    machine = results['machine']
    lines = {'date': results['date'], 'commit': results['commit'],
             'machine': f"{machine['processor']}, {machine['processors']} processors",
             'kernel': machine['kernel'], 'compiler': results['compiler'],
             'build': results['build']}
    for name, text in lines.items():
        print(f'{name:9} {text}')
    print('peers     ' + (', '.join(one['version'] for one in results['peers'].values())
                          or 'none'))
    for name, why in results['absent'].items():
        print(f'absent    {name}: {why}')
    if results['quick']:
        print('QUICK: a little of the work. The figures mean nothing.')
    print(flush=True)


def sorted_contestants(row):
    """Floors, ours, and the peers from the best to the worst."""
    order = {'floor': 0, 'ours': 1, 'again': 2, 'peer': 3}
    return sorted(row['contestants'], key=lambda one: (
        order[one['role']], one['median'] if one['role'] == 'peer' else 0))


def print_row(row):
    """A case: one line for each contestant."""
    print(f"{row['case']}: {row['what']}; two copies of ours differ by "
          f"{100 * row['noise']:.1f} %")
    served = 'latency' in row['contestants'][0]
    print(f"  {'':22} {row['unit']:>9} {'x floor':>8} {'quartiles':>13}"
          + (f" {'a second':>9} {'p50 us':>8} {'p99 us':>8} {'p99.9':>8}" if served else '')
          + '  ours is')
    for one in sorted_contestants(row):
        if one['role'] == 'again':
            continue
        line = f"  {one['name']:22} {number(one['median']):>9}"
        if 'ratio' in one:
            ratio = one['ratio']
            line += f" {ratio['median']:8.3f} {ratio['low']:6.3f}-{ratio['high']:<6.3f}"
        else:
            line += ' ' * 23
        if served:
            latency = one['latency']
            line += f" {one['rate']:9.0f}" + ''.join(
                f' {latency[name] / 1000:8.1f}' for name in ('p50', 'p99', 'p99_9'))
        if one['role'] == 'floor':
            line += '  (floor)'
        elif one['role'] == 'peer' and 'ours' in one:
            line += '  tie' if one['verdict'] == 'tie' else '  ' + times(one['ours'])
        elif 'met' in one:
            line += f"  {one['target']} " + ('met' if one['met'] else 'MISSED')
        print(line)
    print(flush=True)


def lost(results):
    """(case, peer, how many times we are worse) where a peer beats us, in rows
    that can be read."""
    return [(row['case'], one['name'], one['ours']) for row in results['rows']
            for one in row['contestants']
            if one.get('verdict') == 'slower' and row['noise'] < stats.NOISE_MAX]


def print_end(results, took_s):
    rows = results['rows']
    targets = [one['met'] for row in rows for one in row['contestants'] if 'met' in one]
    noises = sorted(abs(row['again']['median'] - 1) for row in rows if row['again'])
    if noises:
        print(f'A/A       the same program twice differs by {100 * noises[len(noises) // 2]:.1f} %'
              f' in the middle case, {100 * noises[-1]:.1f} % in the worst')
    print(f'targets   {sum(targets)} met, {len(targets) - sum(targets)} missed')
    for case, name, ratio in lost(results):
        print(f'behind    {case}: {name} is {ratio:.2f}x ahead')
    for why in results['failed']:
        print(f'FAILED    {why}')
    print(f'time      {took_s:.0f} s')


def table_of(heads, rows):
    """Markdown."""
    lines = [heads, ['---'] * len(heads), *rows]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def targets(results):
    """What was aimed at, and whether it was met."""
    rows = []
    for row in results['rows']:
        for one in row['contestants']:
            if 'met' not in one:
                continue
            ratio = f"{one['ratio']['median']:.2f}x" if 'ratio' in one else ''
            rows.append([f"`{row['case']}`", one['name'],
                         f"{number(one['median'])} {row['unit']}", ratio, one['target'],
                         'met' if one['met'] else '**missed**'])
    return table_of(['row', 'ours', 'cost', "floor's", 'target', ''], rows)


def behind(results):
    """Which peer is ahead of us, and how far."""
    found = {}
    for case, name, ratio in lost(results):
        found.setdefault(case, []).append(f'{name} {ratio:.2f}')
    return table_of(['row', 'ahead'],
                    [[f'`{case}`', ', '.join(sorted(names))] for case, names in found.items()])


def pages(results):
    """The tables of bench/README.md."""
    return markdown(results), targets(results), behind(results)


def markdown(results):
    """The table of ratios to the floor, for a page: the best known peers, the
    rows that any of them has."""
    present = {one['name'] for row in results['rows'] for one in row['contestants']}
    names = [name for name in scenarios.TABLED if name in present]
    starts = [start for start, *_ in scenarios.GROUPS]
    shown = [row for row in results['rows']
             if any(one['role'] == 'peer' for one in row['contestants'])] or results['rows']
    shown = sorted(shown, key=lambda row: next(
        (at for at, start in enumerate(starts) if row['case'].startswith(start)), len(starts)))
    heads = ['row', 'floor', 'ours', 'streams', *names, 'noise']
    rows = []
    for row in shown:
        by_name = {one['name']: one for one in row['contestants'] if one['role'] != 'again'}
        floor = by_name.get(row['floor'])
        cells = [f"{number(floor['median'])} {row['unit']}" if floor else '']
        for name in ['ours', 'streams', *names]:
            one = by_name.get(name)
            if one is None:
                cells.append('')
            elif 'ratio' in one:
                cells.append(f"{one['ratio']['median']:.2f}")
            else:
                cells.append(f"{number(one['median'])} {row['unit']}")
        rows.append([f"`{row['case']}`", *cells, f"{100 * row['noise']:.1f} %"])
    return table_of(heads, rows)
