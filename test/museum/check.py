#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whether the tests that museum.md names are there: a case for each row.

The last cell of a row names tests, `Suite.Name`, or files, `test/...`; or it
says why there is none ("none: ...").
"""
import os
import re
import sys

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(TESTS)
sys.path.insert(0, TESTS)
import checking

DECLARED = re.compile(r'^(?:TYPED_)?TEST(?:_[FP])?\(\s*(\w+),\s*(\w+)\s*\)', re.M)


def declared_tests():
    """Every `Suite.Name` in the sources."""
    found = set()
    for folder, _, names in os.walk(TESTS):
        for name in names:
            if name.endswith('_test.cc'):
                with open(os.path.join(folder, name), encoding='utf-8') as file:
                    found |= {'.'.join(each)
                              for each in DECLARED.findall(file.read())}
    return found


def rows(text):
    """(name, last cell) of each row of each table."""
    name = ''
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip('|').split('|')]
        if not line.startswith('|') or cells[0] in ('bug', 'case'):
            continue
        if set(cells[0]) <= set('- '):
            continue
        name = cells[0] or name  # of the row above
        yield f'{name}: {cells[1]}', cells[-1]


def problem_of(cell, tests):
    named = re.findall(r'`([^`]+)`', cell)
    if not named and not cell.startswith('none: '):
        return ['names no test and gives no reason']
    return [f'there is no {name}' for name in named
            if not (os.path.exists(os.path.join(ROOT, name)) if '/' in name
                    else name in tests)]


def main():
    tests = declared_tests()
    with open(os.path.join(TESTS, 'museum.md'), encoding='utf-8') as file:
        cases = list(rows(file.read()))
    results = [checking.report('museum ' + name, problem_of(cell, tests))
               for name, cell in cases]
    return 0 if results and all(results) else 1


if __name__ == '__main__':
    sys.exit(main())
