// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/subprocess.h"
#include "reactor/snapshot.h"
#include "test/net/transport_pair.h"

namespace rondo::test {

/// A SubprocessProtocol that writes down what it is called with, then does what
/// it is told.
class ChildRecorder : public SubprocessProtocol {
 public:
  void connection_made(SubprocessTransport& t) override {
    transport = &t;
    record("made");
  }
  void pipe_data_received(int fd, std::string_view data) override {
    received[fd] += data;
    record("data " + std::to_string(fd));
  }
  void pipe_connection_lost(int fd, std::exception_ptr e) override {
    pipe_errors[fd] = std::move(e);
    record("lost " + std::to_string(fd));
  }
  void process_exited() override { record("exited"); }
  void connection_lost(std::exception_ptr e) override {
    error = std::move(e);
    transport = nullptr;
    record("lost");
  }
  void pause_writing() override { record("pause"); }
  void resume_writing() override { record("resume"); }

  /// How often it was called so.
  std::ptrdiff_t count(std::string_view call) const {
    return std::count(calls.begin(), calls.end(), call);
  }
  /// When it was first.
  std::ptrdiff_t index(std::string_view call) const {
    return std::find(calls.begin(), calls.end(), call) - calls.begin();
  }

  Calls calls;
  SubprocessTransport* transport = nullptr;  // until its end
  std::string received[3];
  std::exception_ptr pipe_errors[3];
  std::exception_ptr error;
  std::function<void(std::string_view)> on;

 private:
  void record(std::string call) {
    calls.push_back(std::move(call));
    const std::string last = calls.back();
    if (on) on(last);
  }
};

/// Whether this process has a child, running or not waited for.
inline bool has_children() {
  ::siginfo_t info;
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 ||
         errno != ECHILD;
}

/// A child of its own loop. At the end nothing is left open, nothing was closed
/// twice, nobody is kept, and there is no child.
struct SubprocessPair {
  explicit SubprocessPair(std::string command,
                          SubprocessOptions options = SubprocessOptions())
      : SubprocessPair(argv("/bin/sh", "-c", std::move(command)),
                       std::move(options)) {}
  explicit SubprocessPair(std::vector<std::string> words,
                          SubprocessOptions options = SubprocessOptions()) {
    transport =
        finish(loop, subprocess_exec([this] { return recorder; },
                                     std::move(words), std::move(options)))
            .transport;
  }
  ~SubprocessPair() {
    transport.reset();
    loop.close();
    EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
    EXPECT_EQ(kernel.ledger_errors(), Calls());
    EXPECT_EQ(recorder.use_count(), 1);
  }
  /// Runs until connection_lost() was called.
  bool run_to_end() {
    return run_until(loop, [&] { return recorder->count("lost") > 0; }) &&
           (run_passes(loop, 2), loop.snapshot().descriptors.empty());
  }

  ScriptedKernel kernel;
  EventLoop loop{LoopOptions().kernel(kernel)};
  Reports reports{loop};
  std::shared_ptr<ChildRecorder> recorder = std::make_shared<ChildRecorder>();
  std::shared_ptr<SubprocessTransport> transport;
};

}  // namespace rondo::test
