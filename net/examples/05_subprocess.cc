// SPDX-License-Identifier: MIT
//
// Other programs as filters: what a shell writes as
//
//     sort words | ...          streams, as they come
//     x=$(wc -c < words)        all at once
//
// A child process has up to three pipes, and each is a stream like that of a
// connection: the same back-pressure, the same end. What is easily wrong:
//
//   - To write all and then to read stops both, as soon as the child's pipes
//     are full. Write in a task of its own, or use communicate(), which does.
//   - A child ends when it pleases, so its output may go on after wait(), and
//     wait() may be done long after its output has ended.
//
// New against 03: no socket at all.
//
// Expected output:
//   sort: apple
//   sort: banana
//   sort: cherry
//   sort has ended with 0
//   wc counts 23 characters
//   sh: exit status 3, and 'it went wrong' on stderr
//   sleep was too slow: returncode -15
//   no-such-program: No such file or directory

#include <cstdio>
#include <string>
#include <system_error>

#include "futures/coro/coro.h"
#include "futures/wait_for.h"
#include "net/examples/program.h"
#include "net/process.h"

using rondo::argv;
using rondo::Coro;
using rondo::create_subprocess_exec;
using rondo::create_subprocess_shell;
using rondo::PIPE;
using rondo::Process;
using rondo::ProcessOutput;
using rondo::StreamWriter;
using rondo::SubprocessOptions;

namespace {

SubprocessOptions with_pipes() {
  return SubprocessOptions().stdin(PIPE).stdout(PIPE);
}

Coro<> write_words(StreamWriter to) {
  for (const char* word : {"cherry\n", "apple\n", "banana\n"}) {
    co_await to.write(word);  // waits while the child is slow
  }
  to.close();  // or it would wait for more
}

/// Line by line.
Coro<> sort_words() {
  auto starting = create_subprocess_exec(argv("sort"), with_pipes());
  const Process sort = co_await starting;
  const auto writing = rondo::create_task(write_words(sort.stdin));
  while (true) {
    const std::string line = co_await sort.stdout.readline();
    if (line.empty()) break;  // it has closed its stdout
    std::printf("sort: %s", line.c_str());
  }
  co_await writing;
  const int returncode = co_await sort.wait();
  std::printf("sort has ended with %d\n", returncode);
}

/// All at once.
Coro<> count_characters() {
  auto starting = create_subprocess_exec(argv("wc", "-c"), with_pipes());
  const Process wc = co_await starting;
  const ProcessOutput output =
      co_await wc.communicate("twenty-three characters");
  std::printf("wc counts %d characters\n", std::stoi(output.stdout.value()));
}

Coro<> fail() {
  auto starting = create_subprocess_shell("echo it went wrong >&2; exit 3",
                                          SubprocessOptions().stderr(PIPE));
  const Process sh = co_await starting;
  const std::string line = co_await sh.stderr.readline();
  const int returncode = co_await sh.wait();
  std::printf("sh: exit status %d, and '%s' on stderr\n", returncode,
              line.substr(0, line.find('\n')).c_str());
}

/// A timeout ends the wait, not the child.
Coro<> give_up() {
  auto starting = create_subprocess_exec(argv("sleep", "100"));
  const Process sleep = co_await starting;
  try {
    co_await rondo::wait_for(sleep.wait(), 0.05);
  } catch (const rondo::TimeoutError&) {
    sleep.terminate();
  }
  const int returncode = co_await sleep.wait();
  std::printf("sleep was too slow: returncode %d\n", returncode);
}

Coro<> demonstrate() {
  co_await sort_words();
  co_await count_characters();
  co_await fail();
  co_await give_up();
  try {
    auto starting = create_subprocess_exec(argv("no-such-program"));
    co_await starting;
  } catch (const std::system_error& error) {
    std::printf("no-such-program: %s\n", error.code().message().c_str());
  }
}

}  // namespace

int main() {
  return run_program("05_subprocess", [] { return demonstrate(); });
}
