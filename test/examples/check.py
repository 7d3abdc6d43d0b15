#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs every example and compares it with what its first comment promises.

The comment, right after the SPDX line, may hold

    // Run with: ARGUMENTS
    // Exit status: N                (0 when it says nothing)
    // Expected output:
    //   a line of stdout            (until the first line of another shape;
    //                                a bare `//` is an empty line)

or `// Runs until stopped.` (a server: it has a test of its own). In a line of
output <number> stands for a number, <address> for 0x..., <line> for digits,
<any> for anything within the line; all else is literal.
"""
import os
import re
import shlex
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import checking

PLACEHOLDERS = {
    '<number>': r'[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?',
    '<address>': r'0x[0-9a-fA-F]+',
    '<line>': r'\d+',
    '<any>': r'.*',
}


class Promise:
    """What an example's first comment says."""

    def __init__(self, source):
        self.arguments, self.status = [], 0
        self.lines, self.stays = None, False
        collecting = False
        for line in first_comment(source):
            if collecting and (line == '//' or line.startswith('//   ')):
                self.lines.append(line[5:])
                continue
            collecting = False
            text = line[2:].strip()
            if text == 'Expected output:':
                self.lines, collecting = [], True
            elif text.startswith('Run with:'):
                self.arguments = shlex.split(text[len('Run with:'):])
            elif text.startswith('Exit status:'):
                self.status = int(text[len('Exit status:'):])
            elif text == 'Runs until stopped.':
                self.stays = True
        # A bare `//` between the output and what follows it is no output.
        while self.lines and not self.lines[-1]:
            self.lines.pop()


def first_comment(source):
    """The lines of the first comment block, without the SPDX line."""
    lines = []
    with open(source, encoding='utf-8') as file:
        for line in map(str.rstrip, file):
            if line.startswith('//'):
                if 'SPDX-License-Identifier' not in line:
                    lines.append(line)
            elif lines or line:
                break
    return lines


def pattern(line):
    """A promised line as a regular expression."""
    parts = re.split('(' + '|'.join(PLACEHOLDERS) + ')', line)
    return ''.join(PLACEHOLDERS.get(part, re.escape(part)) for part in parts)


def matches(promised, printed):
    return (len(promised) == len(printed) and
            all(re.fullmatch(pattern(p), q) for p, q in zip(promised, printed)))


def problem_of(example):
    program, promise = example
    if promise.lines is None:
        return ['its first comment has neither `// Expected output:` nor '
                '`// Runs until stopped.`']
    command = [program] + promise.arguments
    status, out, err = checking.run(command)
    # Trailing blanks cannot stand in a comment, so they do not count.
    printed = [line.rstrip() for line in out.splitlines()]
    while printed and not printed[-1]:
        printed.pop()
    problem = []
    if not matches(promise.lines, printed):
        same = 0
        while same < min(len(promise.lines), len(printed)) and matches(
                promise.lines[same:same + 1], printed[same:same + 1]):
            same += 1
        problem += [f'first difference in line {same + 1} of stdout']
        problem += [f'  expected: {line}' for line in promise.lines[same:same + 5]]
        problem += [f'  printed:  {line}' for line in printed[same:same + 5]]
    if status != promise.status:
        problem += [f'{checking.status_text(status)}, not {promise.status}']
    if problem:
        problem += ['reproduce: ' + shlex.join(command)]
        problem += ['stderr: ' + line for line in err.splitlines()[-40:]]
    return problem


def main(build):
    cases = []
    for layer in ('reactor', 'futures', 'net'):
        folder = os.path.join(layer, 'examples')
        for file in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            name, extension = os.path.splitext(file)
            if extension != '.cc':
                continue
            promise = Promise(os.path.join(folder, file))
            program = os.path.join(build, 'examples', layer, name)
            if not promise.stays:
                cases.append((f'example {layer}/{name}', (program, promise)))
    return checking.check_all(cases, problem_of)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
