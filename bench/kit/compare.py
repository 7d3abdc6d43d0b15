# SPDX-License-Identifier: MIT
"""Two results, row by row: has ours become slower?"""

LIMIT_MIN = 0.03  # two runs of one program differ by less


def ours_of(results):
    """{(case, contestant): (row, contestant)} of what is ours."""
    return {(row['case'], one['name']): (row, one) for row in results['rows']
            for one in row['contestants'] if one['role'] == 'ours'}


def figure_of(one):
    """What is compared: the ratio to the floor, which another hour and another
    machine change little; without a floor, the figure itself."""
    return one.get('ratio', one)


def compared(before, after):
    """(case, contestant, figures of both, B/A, the limit, verdict) of each row
    that both have."""
    old, new = ours_of(before), ours_of(after)
    for key in old:
        if key not in new:
            continue
        (row_a, a), (row_b, b) = old[key], new[key]
        if ('ratio' in a) != ('ratio' in b):
            continue
        one, two = figure_of(a), figure_of(b)
        change = two['median'] / one['median']
        limit = max(LIMIT_MIN, row_a['noise'] + row_b['noise'])
        apart = two['low'] > one['high'] or two['high'] < one['low']
        verdict = 'same'
        if abs(change - 1) > limit and apart:
            verdict = 'better' if change < 1 else 'REGRESSION'
        yield *key, one['median'], two['median'], change, limit, verdict


def print_comparison(before, after):
    """The table. Returns whether nothing has become worse."""
    print(f"A  {before['date']}  {before['commit']}\nB  {after['date']}  {after['commit']}")
    for name in ('machine', 'compiler', 'build'):
        if before[name] != after[name] and name != 'machine':
            print(f'{name} differs: {before[name]} | {after[name]}')
    if before['machine']['processor'] != after['machine']['processor']:
        print('The machines differ: the ratios to the floor may still be read.')
    print(f"\n{'row':36} {'ours':14} {'A':>9} {'B':>9} {'B/A':>7} {'limit':>7}  verdict")
    worse = total = 0
    for case, name, one, two, change, limit, verdict in compared(before, after):
        print(f'{case:36} {name:14} {one:9.3f} {two:9.3f} {change:7.3f} {100 * limit:5.1f} %'
              f'  {verdict}')
        worse += verdict == 'REGRESSION'
        total += 1
    missing = sorted(set(ours_of(before)) - set(ours_of(after)))
    for case, name in missing:
        print(f'{case:36} {name:14} only in A')
    print(f'\n{total} rows compared, {worse} worse')
    return worse == 0 and total > 0
