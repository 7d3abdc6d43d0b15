# SPDX-License-Identifier: MIT
"""Several results of one machine: is who comes before whom the same in each?"""
from itertools import combinations

from kit import Failed


def medians(results):
    """{case: (noise, {contestant: median})}."""
    return {row['case']: (row['noise'], {one['name']: one['median']
                                         for one in row['contestants']
                                         if one['role'] != 'again'})
            for row in results['rows']}


def order_of(first, second, noise):
    """-1 if the first takes less, 1 if the second does, 0 for a tie."""
    if abs(first / second - 1) <= noise:
        return 0
    return -1 if first < second else 1


def compared(runs):
    """(case, first, second, order in each run) of each pair that all runs
    have. Within the noise of the row, whichever run had most, is a tie."""
    tables = [medians(run) for run in runs]
    for case in tables[0]:
        rows = [table[case] for table in tables if case in table]
        if len(rows) < len(tables):
            continue
        noise = max(row[0] for row in rows)
        names = [name for name in rows[0][1] if all(name in row[1] for row in rows)]
        for first, second in combinations(names, 2):
            yield case, first, second, [
                order_of(row[1][first], row[1][second], noise) for row in rows]


def print_ranking(runs):
    """Which pairs change places. Returns whether none does."""
    if len(runs) < 2:
        raise Failed('--ranking compares two results or more')
    total = ties = 0
    changed = []
    for case, first, second, orders in compared(runs):
        total += 1
        ties += 0 in orders
        if -1 in orders and 1 in orders:
            changed.append(f"{case}: {first}, {second}: "
                           + ' '.join({-1: '<', 0: '=', 1: '>'}[order] for order in orders))
    print(*changed, sep='\n')
    print(f'{total} pairs in {len(runs)} runs: {total - len(changed)} in one order'
          f' ({ties} of them a tie in some run), {len(changed)} change places')
    return total > 0 and not changed
