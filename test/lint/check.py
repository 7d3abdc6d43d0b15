#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The house rules themselves: .ci/lint finds each fault, and only faults."""
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import checking

SPDX = '// SPDX-License-Identifier: MIT\n'

# (name, path, text, what the output must hold; None: nothing to complain of)
CASES = [
    ('accepts a clean header', 'reactor/a.h',
     SPDX + '/// Says it.\nint a();\n', None),
    ('wants the licence first', 'reactor/a.cc', '#include <string>\n',
     'reactor/a.cc:1: does not begin with its SPDX'),
    ('wants the licence in scripts', 'test/run', '#!/bin/sh\necho\n',
     'test/run:2: does not begin with its SPDX'),
    ('knows the top level', 'docs/a.md', 'x\n', 'docs: does not belong'),
    ('keeps reactor below futures', 'reactor/examples/a.cc',
     SPDX + '#include "futures/future.h"\n', 'a.cc:2: reactor includes futures'),
    ('keeps futures below net', 'test/futures/a_test.cc',
     SPDX + '#include "net/socket.h"\n', 'a_test.cc:2: futures includes net'),
    ('lets net use what is below', 'net/a.cc',
     SPDX + '#include "reactor/a.h"\n#include "futures/a.h"\n', None),
    ('finds a system call', 'reactor/a.cc',
     SPDX + 'void f() { ::close(3); }\n', 'a.cc:2: ::close() outside'),
    ('allows it in the kernel source', 'reactor/linux_kernel.cc',
     SPDX + 'void f() { ::close(3); }\n', None),
    ('allows a member of that name', 'reactor/a.cc',
     SPDX + 'void f() { k.close(3); Kernel::close(4); }  // not ::close(5)\n', None),
    ('wants a function documented', 'reactor/a.h', SPDX + 'int a();\n',
     'a.h:2: a has no /// comment'),
    ('wants a method documented', 'reactor/a.h',
     SPDX + '/// A.\nclass A {\n public:\n  int b() const { return 1; }\n};\n',
     'a.h:5: A::b has no /// comment'),
    ('wants a member documented', 'reactor/a.h',
     SPDX + '/// A.\nstruct A {\n  int b = 1;  ///< B.\n  int c{2};\n};\n',
     'a.h:5: A::c has no /// comment'),
    ('wants an enum documented', 'reactor/a.h',
     SPDX + 'enum class A : int { kB = 1 << 2, kC };\n/// D.\nint d();\n',
     'a.h:2: A has no /// comment'),
    ('wants a template documented', 'reactor/a.h',
     SPDX + 'template <class T>\n  requires(sizeof(T) > 1)\nvoid a(T t = {});\n',
     'a.h:3: a has no /// comment'),
    ('wants an alias documented', 'reactor/a.h', SPDX + 'using A = int;\n',
     'a.h:2: A has no /// comment'),
    ('passes over what is private', 'reactor/a.h',
     SPDX + '/// A.\nclass A {\n  int b();\n protected:\n  int c() noexcept {}\n'
     ' private:\n  class D {\n   public:\n    int e;\n  };\n};\n', None),
    ('passes over what needs no doc', 'reactor/a.h',
     SPDX + 'class B;\nnamespace detail {\nint c();\n}\n/// A.\nclass A : B {\n'
     ' public:\n  ~A() { b = {}; }\n  A(const A&) = delete;\n'
     '  bool operator==(const A&) const;\n  void f() override;\n'
     '  friend int g(A);\n  using B::B;\n};\ninline void A::f() {}\n', None),
    ('finds a co_await that is taken apart', 'futures/a.cc',
     SPDX + 'Coro<> f() {\n  const auto& [a,\n  b] = co_await g();\n}\n',
     'a.cc:3: co_await taken apart'),
    ('allows what a variable holds to be', 'futures/a.cc',
     SPDX + 'Coro<> f() {\n  auto c = co_await g();\n  auto& [a, b] = c;\n}\n', None),
    ('finds a capturing lambda in a co_await', 'futures/a.cc',
     SPDX + 'Coro<> f() {\n  co_await g(\n      [s] { return s; });\n}\n',
     'a.cc:3: a capturing lambda inside co_await'),
    ('finds braces in a co_await', 'futures/examples/a.cc',
     SPDX + 'Coro<> f() { co_await g(Options{.a = 1}); }\n', 'a.cc:2: braces inside'),
    ('finds a conditional in a co_await', 'test/futures/a_test.cc',
     SPDX + 'Coro<> f() { co_await (b ? g() : h()); }\n', 'a_test.cc:2: a conditional'),
    ('finds it in a document', 'futures/README.md',
     'x\n```cpp\nco_await g({1, 2});\n```\n', 'README.md:3: braces inside'),
    ('lets a document show the fault', 'futures/README.md',
     '```cpp\nco_await g({1, 2});  // unsafe on g++ 12\n```\nco_await {x} in prose\n', None),
    ('accepts the safe shapes', 'futures/a.cc',
     SPDX + 'Coro<> f() {\n  if (co_await g(a[i], [&] { return b ? 1 : 2; })) {\n    h();\n  }\n'
     '  auto call = [s] { return s; };\n  co_await g(call, [](int) { return 1; });\n'
     '  co_await wait(fs, Options().timeout(1));\n}\n', None),
    ('passes over private headers', 'reactor/internal/a.h', SPDX + 'int a();\n', None),
]


def problem_of(case):
    path, text, wanted = case
    with tempfile.TemporaryDirectory() as root:
        os.makedirs(os.path.join(root, os.path.dirname(path)))
        with open(os.path.join(root, path), 'w', encoding='utf-8') as file:
            file.write(text)
        status, out, err = checking.run(['.ci/lint', root])
    good = (status == 0) if wanted is None else (status == 1 and wanted in out)
    return [] if good else [f'wanted: {wanted}', *out.splitlines(), *err.splitlines()]


if __name__ == '__main__':
    sys.exit(checking.check_all(
        [(f'lint {name}', tuple(case)) for name, *case in CASES], problem_of))
