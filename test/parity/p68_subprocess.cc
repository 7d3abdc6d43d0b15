// SPDX-License-Identifier: MIT
// shows: create_subprocess_exec/shell, communicate, exit codes, signals,
//   timeouts, two children at once, errors. The commands used are sh, cat,
//   sleep, true, false.
#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "futures/wait_for.h"
#include "net/process.h"
#include "test/parity/python_words.h"

using python::Bytes;
using python::print;
using rondo::argv;
using rondo::Coro;
using rondo::create_subprocess_exec;
using rondo::create_subprocess_shell;
using rondo::CreateSubprocess;
using rondo::DEVNULL;
using rondo::Future;
using rondo::gather;
using rondo::PIPE;
using rondo::Process;
using rondo::ProcessOutput;
using rondo::STDOUT;
using rondo::SubprocessOptions;
using rondo::Task;
using rondo::TimeoutError;
using rondo::wait_for;

/// Bytes or None.
static std::string bytes(const std::optional<std::string>& data) {
  return data ? python::repr(Bytes(*data)) : "None";
}

/// What communicate() gives, as the tuple that it is in Python.
static std::string tuple(const ProcessOutput& output) {
  return "(" + bytes(output.stdout) + ", " + bytes(output.stderr) + ")";
}

template <class Stream>
static const char* stream(const Stream& s) {
  return s ? "a stream" : "None";
}

static std::string returncode(const Process& p) {
  return p.returncode() ? std::to_string(*p.returncode()) : "None";
}

static Coro<> main_coroutine() {
  const SubprocessOptions in_out = SubprocessOptions().stdin(PIPE).stdout(PIPE);
  Process p = co_await create_subprocess_exec(argv("cat"), in_out);
  print("returncode while it runs:", returncode(p), "pid is int:", p.pid() > 0);
  ProcessOutput output = co_await p.communicate("through cat");
  print(tuple(output), returncode(p));
  p = co_await create_subprocess_shell(
      "echo out; echo err >&2; exit 3",
      SubprocessOptions().stdout(PIPE).stderr(PIPE));
  output = co_await p.communicate();
  print(tuple(output), returncode(p));
  p = co_await create_subprocess_shell(
      "echo out; echo err >&2",
      SubprocessOptions().stdout(PIPE).stderr(STDOUT));
  output = co_await p.communicate();
  print(tuple(output), returncode(p));
  p = co_await create_subprocess_exec(argv("true"));
  const int first = co_await p.wait();
  const int second = co_await p.wait();
  print("wait:", first, second, "streams:", stream(p.stdin), stream(p.stdout),
        stream(p.stderr));
  p = co_await create_subprocess_exec(argv("false"),
                                      SubprocessOptions().stdout(DEVNULL));
  int code = co_await p.wait();
  print("false:", code);
  p = co_await create_subprocess_exec(argv("sleep", "10"));
  p.terminate();
  code = co_await p.wait();
  print("terminate:", code);
  p = co_await create_subprocess_exec(argv("sleep", "10"));
  p.kill();
  code = co_await p.wait();
  print("kill:", code);
  try {
    p.kill();
  } catch (const std::system_error& e) {
    // Python's has no arguments.
    if (e.code().value() != ESRCH) throw;
    print("kill after the end: ProcessLookupError", "()");
  }
  try {
    co_await create_subprocess_exec(argv("no-such-command-here"));
  } catch (const std::system_error& error) {
    const python::Error e;
    const std::string program = "'no-such-command-here'";
    const bool is_named =
        std::string(error.what()).find(program) != std::string::npos;
    print(e.type, e.text + (is_named ? ": " + program : ""));
  }
  p = co_await create_subprocess_shell("no-such-command-here 2>/dev/null");
  code = co_await p.wait();
  print("shell, unknown command:", code);
  p = co_await create_subprocess_exec(argv("sleep", "10"));
  bool timed_out = false;
  try {
    co_await wait_for(p.wait(), 0.1);
  } catch (const TimeoutError&) {
    timed_out = true;
  }
  if (timed_out) {
    print("TimeoutError does not kill the child:", returncode(p));
    p.kill();
    co_await p.wait();
  }
  const auto t0 = std::chrono::steady_clock::now();
  std::vector<Task<Process>> starting;
  for (int i = 0; i < 3; ++i) {
    starting.push_back(
        create_task(create_subprocess_exec(argv("sleep", "0.5"))));
  }
  const std::vector<Process> ps = co_await gather(starting);
  std::vector<Future<int>> waiting;
  for (const Process& each : ps) waiting.push_back(each.wait());
  co_await gather(waiting);
  print("three children of 0.5 s take less than 1 s together:",
        std::chrono::steady_clock::now() - t0 < std::chrono::seconds(1));
  p = co_await create_subprocess_exec(argv("cat"), in_out);
  p.stdin.write("line 1\n");
  std::string data = co_await p.stdout.readline();
  print(Bytes(data));
  p.stdin.write("line 2\nrest");
  p.stdin.close();
  data = co_await p.stdout.read();
  code = co_await p.wait();
  print(Bytes(data), code);
  p = co_await create_subprocess_exec(argv("true"),
                                      SubprocessOptions().stdin(PIPE));
  co_await p.wait();
  output = co_await p.communicate(std::string(1'000'000, 'x'));
  print("communicate to a child that is gone:", tuple(output), returncode(p));
  std::string big;
  for (int i = 0; i < 50'000; ++i) big += "0123456789";
  p = co_await create_subprocess_exec(argv("cat"), in_out);
  output = co_await p.communicate(big);
  print("500 kB both ways without deadlock:", output.stdout == big,
        bytes(output.stderr));
  p = co_await create_subprocess_shell(
      "sleep 0.05; echo \"late output\"; exit 5",
      SubprocessOptions().stdout(PIPE));
  code = co_await p.wait();
  data = co_await p.stdout.read();
  print("wait before reading:", code, Bytes(data));
}

int main() { rondo::run(main_coroutine()); }
