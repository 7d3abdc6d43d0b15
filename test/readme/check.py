#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the READMEs show compiles, and what they point to is there.

Each ```cpp block is compiled, in a namespace of its own, below all public
headers of reactor/ and futures/. So it may be a class, a function or a program,
but not loose statements. A block that includes <rondo/...> is for users of the
installed library; here it finds the same header in the tree.

Each link to a file or a heading of this repository must lead there.
"""
import glob
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import checking

STANDARD = ['cctype', 'chrono', 'cstdio', 'functional', 'memory', 'string', 'tuple', 'vector']


def cpp_blocks(text):
    """(line, code) of each block."""
    for block in re.finditer(r'^```cpp\n(.*?)^```$', text, re.DOTALL | re.MULTILINE):
        yield text[:block.start()].count('\n') + 2, block.group(1)


def program_of(blocks, path):
    """One source for all blocks of a file."""
    headers = sorted(h for layer in ('reactor', 'futures', 'net')
                     for h in glob.glob(f'{layer}/**/*.h', recursive=True)
                     if '/internal/' not in h and '/examples/' not in h)
    lines = [f'#include <{name}>' for name in STANDARD]
    lines += [f'#include "{header}"' for header in headers]
    lines += ['using namespace rondo;', 'using namespace std::chrono_literals;']
    for line, code in blocks:
        includes = re.compile(r'^\s*#include\s*[<"](?:rondo/)?([^>"]+)[>"]',
                              re.MULTILINE)
        for name in includes.findall(code):
            if '/' in name and name not in headers:
                raise ValueError(f'{path}:{line}: {name} is no public header')
        lines += [f'namespace block_{line} {{', f'#line {line} "{path}"',
                  includes.sub('//', code) + '}']
    return '\n'.join(lines) + '\n'


def compile_problem(path):
    """Compiler's complaints about the blocks of `path`."""
    with open(path, encoding='utf-8') as file:
        blocks = list(cpp_blocks(file.read()))
    if not blocks:
        return []
    with tempfile.TemporaryDirectory() as scratch:
        source = os.path.join(scratch, 'blocks.cc')
        with open(source, 'w', encoding='utf-8') as file:
            file.write(program_of(blocks, path))
        status, _, err = checking.run(
            [os.environ.get('CXX', 'g++'), '-std=c++20', '-fsyntax-only', '-Wall',
             '-I.', source])
    return [] if status == 0 else err.splitlines()[:20]


def prose(path):
    """A page without its blocks of code."""
    with open(path, encoding='utf-8') as file:
        return re.sub(r'^```.*?^```$', '', file.read(), flags=re.DOTALL | re.MULTILINE)


def headings(path):
    """The anchors that GitHub makes of a page's headings."""
    return {re.sub(r'[^\w\- ]', '', title.lower()).replace(' ', '-')
            for title in re.findall(r'^#+ (.*)$', prose(path), re.MULTILINE)}


def link_problem(path):
    """Links that lead nowhere."""
    problem = []
    for link in re.findall(r'\]\(([^)\s]+)\)', re.sub(r'`[^`\n]*`', '', prose(path))):
        if '://' in link:
            continue
        name, _, anchor = link.partition('#')
        target = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
        if not os.path.exists(target):
            problem.append(f'{link}: no such file')
        elif anchor and anchor not in headings(target):
            problem.append(f'{link}: no such heading')
    return problem


def main():
    pages = ['README.md'] + sorted(glob.glob('*/README.md') + glob.glob('test/*/README.md'))
    cases = [(f'code of {page}', (compile_problem, page)) for page in pages]
    cases += [(f'links of {page}', (link_problem, page)) for page in pages]
    return checking.check_all(cases, lambda case: case[0](case[1]))


if __name__ == '__main__':
    sys.exit(main())
