// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/run_in_executor.h"
#include "net/sendfile.h"
#include "net/sock.h"
#include "reactor/snapshot.h"
#include "reactor/thread_pool.h"
#include "test/net/transport_pair.h"
#include "test/support/allocation.h"
#include "test/support/child_process.h"
#include "test/support/log_capture.h"

namespace rondo {
namespace {

using test::BufferedRecorder;
using test::Calls;
using test::errno_of;
using test::finish;
using test::Recorder;
using test::thrown_by;
using test::TransportPair;

std::string numbers(std::size_t size) {
  std::string text;
  for (int n = 0; text.size() < size; ++n) text += std::to_string(n) + ",";
  text.resize(size);
  return text;
}

/// A file that holds `text`, and no name any more.
UniqueFd file_of(const std::string& text) {
  UniqueFd file = make_regular_file();
  write_text(file.get(), text);
  return file;
}

/// Runs until `task` is done, reading what comes at the other end.
template <class Task>
std::string read_while(TransportPair& pair, const Task& task) {
  std::string text;
  EXPECT_TRUE(run_until(pair.loop, [&] {
    text += read_text(pair.peer.get());
    return task.done();
  }));
  run_passes(pair.loop, 2);
  text += read_text(pair.peer.get());
  return text;
}

/// A pair whose files are read by threads that end before its kernel does.
struct FilePair : TransportPair {
  template <class... Protocols>
  explicit FilePair(const Protocols&... protocols)
      : TransportPair(protocols...) {
    set_default_executor(loop, readers);
  }
  ~FilePair() {
    loop.close();  // waits for no thread
    if (!readers->shutdown(std::chrono::seconds(20))) std::abort();
  }
  std::shared_ptr<ThreadPool> readers =
      std::make_shared<ThreadPool>(1, "reader", kernel);
};

// -- what is sent -------------------------------------------------------------

TEST(Sendfile, SendsAFileAndSaysHowMuch) {
  FilePair pair;
  const UniqueFd file = file_of("hello, file");
  EXPECT_EQ(finish(pair.loop, sendfile(*pair.transport, file.get())), 11);
  EXPECT_EQ(read_text(pair.peer.get()), "hello, file");
  EXPECT_EQ(pair.kernel.calls(KernelCall::kPread), 0u);
  EXPECT_EQ(pair.sends(), 0u);
}

TEST(Sendfile, SendsAPartOfIt) {
  FilePair pair;
  const UniqueFd file = file_of("hello, file");
  EXPECT_EQ(finish(pair.loop, sendfile(*pair.transport, file.get(), 7)), 4);
  EXPECT_EQ(finish(pair.loop, sendfile(*pair.transport, file.get(), 1, 3)), 3);
  EXPECT_EQ(finish(pair.loop, sendfile(*pair.transport, file.get(), 0, 1)), 1);
  EXPECT_EQ(read_text(pair.peer.get()), "fileellh");
  // Its own position is where write_text() has left it.
  EXPECT_EQ(::lseek(file.get(), 0, SEEK_CUR), 11);
}

TEST(Sendfile, SendsALargeOneThatTheSocketTakesInPieces) {
  for (const std::size_t most : {std::size_t{0}, std::size_t{70'000}}) {
    FilePair pair;
    pair.kernel.shorten(KernelCall::kSendfile, most);
    const std::string text = numbers(5'000'000);
    const UniqueFd file = file_of(text);
    const auto task = sendfile(*pair.transport, file.get()).start(pair.loop);
    EXPECT_FALSE(task.done());
    EXPECT_TRUE(read_while(pair, task) == text);
    EXPECT_EQ(task.result(), 5'000'000);
  }
}

TEST(Sendfile, LetsOthersHaveTheirTurn) {
  FilePair pair;
  pair.kernel.shorten(KernelCall::kSendfile, 4096);
  const UniqueFd file = file_of(std::string(3 << 20, 'x'));
  const int room = 8 << 20;  // for all of it
  ::setsockopt(pair.transport->fd(), SOL_SOCKET, SO_SNDBUFFORCE, &room,
               sizeof room);
  const auto task = sendfile(*pair.transport, file.get()).start(pair.loop);
  EXPECT_LE(pair.kernel.calls(KernelCall::kSendfile), 256u);
  EXPECT_FALSE(task.done());
  read_while(pair, task);
}

TEST(Sendfile, OfNothingIsDone) {
  FilePair pair;
  const UniqueFd empty = file_of("");
  EXPECT_EQ(finish(pair.loop, sendfile(*pair.transport, empty.get())), 0);
  const UniqueFd file = file_of("short");
  EXPECT_EQ(finish(pair.loop, sendfile(*pair.transport, file.get(), 5)), 0);
  EXPECT_EQ(finish(pair.loop, sendfile(*pair.transport, file.get(), 500, 9)),
            0);
}

TEST(Sendfile, AFileThatEndsBeforeIsSentToItsEnd) {
  FilePair pair;
  const UniqueFd file = file_of("short");
  EXPECT_EQ(finish(pair.loop, sendfile(*pair.transport, file.get(), 2, 1000)),
            3);
  EXPECT_EQ(read_text(pair.peer.get()), "ort");
}

TEST(Sendfile, AHugeOffsetIsBeyondTheEnd) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  for (const std::int64_t offset :
       {kMost, kMost - 1, kMost / 2, std::int64_t{1} << 60}) {
    for (const bool native : {true, false}) {
      FilePair pair;
      const UniqueFd file = file_of("short");
      if (!native) pair.kernel.fail(KernelCall::kSendfile, EINVAL);
      EXPECT_EQ(
          finish(pair.loop, sendfile(*pair.transport, file.get(), offset)), 0);
      EXPECT_EQ(finish(pair.loop,
                       sendfile(*pair.transport, file.get(), offset, kMost)),
                0);
    }
  }
}

// The file is cut off when a part of it has been sent.
TEST(Sendfile, AFileThatShrinksIsSentToItsNewEnd) {
  for (const bool native : {true, false}) {
    FilePair pair;
    const std::string text = numbers(4'000'000);
    const UniqueFd file = file_of(text);
    if (!native) pair.kernel.fail(KernelCall::kSendfile, EINVAL);
    const auto task =
        sendfile(*pair.transport, file.get(), 0, 4'000'000).start(pair.loop);
    run_passes(pair.loop, 3);
    ASSERT_FALSE(task.done());
    ASSERT_EQ(::ftruncate(file.get(), 2'000'000), 0);
    const std::string received = read_while(pair, task);
    EXPECT_EQ(task.result(), static_cast<std::int64_t>(received.size()));
    EXPECT_GE(received.size(), 2'000'000u);
    EXPECT_LT(received.size(), 4'000'000u);
    EXPECT_TRUE(text.starts_with(received));
    pair.transport->write("and on");
    EXPECT_EQ(pair.read(6), "and on");
  }
}

TEST(Sendfile, ArgumentsAreChecked) {
  FilePair pair;
  EXPECT_EQ(
      thrown_by([&] { static_cast<void>(sendfile(*pair.transport, 0, 0, 0)); }),
      "std::invalid_argument: count must be a positive integer (got 0)");
  EXPECT_EQ(
      thrown_by([&] { static_cast<void>(sendfile(*pair.transport, 0, -1)); }),
      "std::invalid_argument: offset must be a non-negative integer (got "
      "-1)");
  EventLoop other;
  EXPECT_THROW(finish(other, sendfile(*pair.transport, 0)),
               std::invalid_argument);
}

// -- the order of what is written ---------------------------------------------

TEST(Sendfile, ComesBehindWhatWasWrittenAndBeforeWhatIs) {
  FilePair pair;
  const std::string text = numbers(3'000'000);
  const UniqueFd file = file_of(text);
  pair.kernel.fail(KernelCall::kSend, EAGAIN, {.times = 2});
  pair.transport->write("before ");
  const auto task = sendfile(*pair.transport, file.get()).start(pair.loop);
  pair.transport->write(" after");
  run_passes(pair.loop, 3);
  pair.transport->write(" and after");
  ASSERT_FALSE(task.done());
  EXPECT_EQ(pair.transport->get_write_buffer_size(), 16u);
  EXPECT_TRUE(read_while(pair, task) == "before " + text + " after and after");
  EXPECT_EQ(pair.transport->get_write_buffer_size(), 0u);
  EXPECT_EQ(pair.protocol->calls, Calls{"made"});
}

TEST(Sendfile, WhatWaitsForItCountsForTheMarks) {
  FilePair pair;
  const std::string text = numbers(3'000'000);
  const UniqueFd file = file_of(text);
  pair.transport->set_write_buffer_limits(10);
  const auto task = sendfile(*pair.transport, file.get()).start(pair.loop);
  pair.transport->write("more than ten bytes");
  EXPECT_EQ(pair.protocol->calls, (Calls{"made", "pause"}));
  EXPECT_TRUE(read_while(pair, task) == text + "more than ten bytes");
  ASSERT_TRUE(
      run_until(pair.loop, [&] { return pair.protocol->calls.size() == 3; }));
  EXPECT_EQ(pair.protocol->calls, (Calls{"made", "pause", "resume"}));
}

TEST(Sendfile, WhatWaitsForItIsBelowTheCap) {
  FilePair pair;
  const UniqueFd file = file_of(numbers(3'000'000));
  pair.transport->set_write_buffer_cap(10);
  const auto task = sendfile(*pair.transport, file.get()).start(pair.loop);
  pair.transport->write("0123456789");
  EXPECT_FALSE(pair.transport->is_closing());
  pair.transport->write("x");
  EXPECT_TRUE(pair.transport->is_closing());
  ASSERT_TRUE(run_until(pair.loop, [&] { return task.done(); }));
  EXPECT_EQ(errno_of(task.exception()), ENOBUFS);
  EXPECT_TRUE(pair.run_to_end());
}

#if !defined(RONDO_TEST_OPERATOR_NEW_IS_TAKEN)
TEST(Sendfile, WithoutMemoryForWhatWaitsForItTheConnectionEnds) {
  FilePair pair;
  const UniqueFd file = file_of(numbers(3'000'000));
  const std::string large = numbers(100'000);
  const auto task = sendfile(*pair.transport, file.get()).start(pair.loop);
  {
    const test::FailingAllocations failing(
        1, test::FailingAllocations::Mode::kOnce);
    pair.transport->write(large);
    EXPECT_TRUE(failing.fired());
  }
  ASSERT_TRUE(run_until(pair.loop, [&] { return task.done(); }));
  EXPECT_EQ(describe(task.exception()), "std::bad_alloc: std::bad_alloc");
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(describe(pair.protocol->error), "std::bad_alloc: std::bad_alloc");
  EXPECT_EQ(pair.reports.messages,
            Calls{"Fatal error: no memory for what was written"});
}
#endif

TEST(Sendfile, ACloseWithNothingBehindItWaitsForIt) {
  FilePair pair;
  const std::string text = numbers(3'000'000);
  const UniqueFd file = file_of(text);
  const auto task = sendfile(*pair.transport, file.get()).start(pair.loop);
  pair.transport->close();
  run_passes(pair.loop, 3);
  EXPECT_EQ(pair.protocol->losses, 0);
  EXPECT_TRUE(read_while(pair, task) == text);
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.protocol->error, nullptr);
}

TEST(Sendfile, ACloseWaitsForIt) {
  FilePair pair;
  const std::string text = numbers(3'000'000);
  const UniqueFd file = file_of(text);
  const auto task = sendfile(*pair.transport, file.get()).start(pair.loop);
  pair.transport->write("last");
  pair.transport->close();
  run_passes(pair.loop, 3);
  EXPECT_EQ(pair.protocol->losses, 0);
  EXPECT_TRUE(read_while(pair, task) == text + "last");
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.protocol->error, nullptr);
  EXPECT_EQ(task.result(), 3'000'000);
}

TEST(Sendfile, AWriteEofWaitsForIt) {
  FilePair pair;
  const std::string text = numbers(3'000'000);
  const UniqueFd file = file_of(text);
  const auto task = sendfile(*pair.transport, file.get()).start(pair.loop);
  pair.transport->write_eof();
  run_passes(pair.loop, 3);
  EXPECT_TRUE(read_while(pair, task) == text);
  char byte;
  EXPECT_EQ(::recv(pair.peer.get(), &byte, 1, 0), 0);
  EXPECT_FALSE(pair.transport->is_closing());
}

TEST(Sendfile, ReadingGoesOnMeanwhile) {
  FilePair pair;
  const UniqueFd file = file_of(numbers(3'000'000));
  pair.protocol->on_data = [&](std::string_view data) {
    pair.transport->write(data);
  };
  const auto task = sendfile(*pair.transport, file.get()).start(pair.loop);
  write_text(pair.peer.get(), "echo");
  ASSERT_TRUE(
      run_until(pair.loop, [&] { return pair.protocol->received == "echo"; }));
  EXPECT_FALSE(task.done());
  EXPECT_TRUE(read_while(pair, task).ends_with("echo"));
}

TEST(Sendfile, TwoAtOnceAreRefused) {
  FilePair pair;
  const UniqueFd file = file_of(numbers(3'000'000));
  const auto task = sendfile(*pair.transport, file.get()).start(pair.loop);
  EXPECT_EQ(thrown_by([&] {
              finish(pair.loop, sendfile(*pair.transport, file.get()));
            }),
            "rondo::RuntimeError: unable to write; sendfile is in progress");
  read_while(pair, task);
  EXPECT_EQ(finish(pair.loop, sendfile(*pair.transport, file.get(), 0, 1)), 1);
}

TEST(Sendfile, ATransportThatIsClosingIsRefused) {
  FilePair pair;
  pair.transport->close();
  EXPECT_EQ(thrown_by([&] { finish(pair.loop, sendfile(*pair.transport, 0)); }),
            "rondo::RuntimeError: Transport is closing");
}

// -- the fallback -------------------------------------------------------------

TEST(Sendfile, WithoutTheCallItIsReadAndWritten) {
  for (const int error_number : {EINVAL, ENOSYS, EOPNOTSUPP}) {
    for (const std::size_t most : {0u, 1000u, 100'000u}) {
      FilePair pair;
      const std::string text = numbers(most == 1000 ? 50'000 : 900'000);
      const UniqueFd file = file_of(text);
      pair.kernel.fail(KernelCall::kSendfile, error_number);
      pair.kernel.shorten(KernelCall::kSend, most);
      const auto task =
          sendfile(*pair.transport, file.get(), 1, 899'000).start(pair.loop);
      pair.transport->write(" after");
      const std::string received = read_while(pair, task);
      const std::string expected = text.substr(1, 899'000);
      EXPECT_EQ(task.result(), static_cast<std::int64_t>(expected.size()));
      ASSERT_TRUE(run_until(pair.loop, [&] {
        return pair.transport->get_write_buffer_size() == 0;
      }));
      EXPECT_TRUE(
          (received + read_text(pair.peer.get())).starts_with(expected));
    }
  }
}

TEST(Sendfile, APipeIsReadToItsEnd) {
  FilePair pair;
  int both[2];
  ASSERT_EQ(::pipe2(both, O_CLOEXEC), 0);
  const UniqueFd reader(both[0]);
  UniqueFd writer(both[1]);
  write_text(writer.get(), "through a pipe");
  writer.reset();
  EXPECT_EQ(finish(pair.loop, sendfile(*pair.transport, reader.get())), 14);
  EXPECT_EQ(read_text(pair.peer.get()), "through a pipe");
}

TEST(Sendfile, APipeHasNoOffset) {
  FilePair pair;
  const Pipe pipe;
  EXPECT_EQ(thrown_by([&] {
              finish(pair.loop,
                     sendfile(*pair.transport, pipe.reader.get(), 1));
            }),
            "std::system_error: pread: Illegal seek");
  EXPECT_FALSE(pair.transport->is_closing());
}

TEST(Sendfile, WithoutFallbackItIsNotAvailable) {
  FilePair pair;
  const Pipe pipe;
  EXPECT_EQ(thrown_by([&] {
              finish(pair.loop, sendfile(*pair.transport, pipe.reader.get(), 0,
                                         std::nullopt, false));
            }),
            "rondo::SendfileNotAvailableError: os.sendfile call failed");
  pair.transport->write("goes on");
  EXPECT_EQ(pair.read(7), "goes on");
}

TEST(Sendfile, AThreadThatMayNotHoldSignalsBackReads) {
  FilePair pair;
  const UniqueFd file = file_of("hello");
  pair.kernel.fail(KernelCall::kSignalMask, EINVAL);
  EXPECT_EQ(finish(pair.loop, sendfile(*pair.transport, file.get())), 5);
  EXPECT_EQ(pair.kernel.calls(KernelCall::kSendfile), 0u);
}

// -- errors -------------------------------------------------------------------

TEST(Sendfile, AnErrorOfTheFileLeavesTheConnectionOpen) {
  for (const KernelCall call : {KernelCall::kSendfile, KernelCall::kPread}) {
    FilePair pair;
    const UniqueFd file = file_of("hello");
    if (call == KernelCall::kPread) {
      pair.kernel.fail(KernelCall::kSendfile, EINVAL);
    }
    pair.kernel.fail(call, EIO);
    EXPECT_EQ(thrown_by([&] {
                finish(pair.loop, sendfile(*pair.transport, file.get()));
              }),
              std::string("std::system_error: ") +
                  (call == KernelCall::kPread ? "pread" : "sendfile") +
                  ": Input/output error");
    pair.transport->write("goes on");
    EXPECT_EQ(pair.read(7), "goes on");
  }
}

TEST(Sendfile, AnErrorOfTheSocketEndsTheConnection) {
  for (const int error_number : {EPIPE, ECONNRESET, ETIMEDOUT}) {
    for (const KernelCall call : {KernelCall::kSendfile, KernelCall::kSend}) {
      FilePair pair;
      const UniqueFd file = file_of("hello");
      if (call == KernelCall::kSend) {
        pair.kernel.fail(KernelCall::kSendfile, EINVAL);
      }
      pair.kernel.fail(call, error_number);
      const auto task = sendfile(*pair.transport, file.get()).start(pair.loop);
      ASSERT_TRUE(pair.run_to_end());
      EXPECT_EQ(errno_of(task.exception()), error_number);
      EXPECT_EQ(errno_of(pair.protocol->error), error_number);
      EXPECT_EQ(pair.reports.messages, Calls());
    }
  }
}

TEST(Sendfile, AnInterruptedCallIsMadeAgain) {
  for (const int error_number : {EINTR, EAGAIN}) {
    FilePair pair;
    const UniqueFd file = file_of("hello");
    pair.kernel.fail(KernelCall::kSendfile, error_number, {.times = 3});
    EXPECT_EQ(finish(pair.loop, sendfile(*pair.transport, file.get())), 5);
    EXPECT_EQ(read_text(pair.peer.get()), "hello");
  }
}

TEST(Sendfile, AClosedPeerDoesNotKillTheProcess) {
  const std::string story = in_child([]() -> std::string {
    ::signal(SIGPIPE, SIG_DFL);
    std::string told;
    for (const bool blocked : {false, true}) {
      ::sigset_t sigpipe;
      ::sigemptyset(&sigpipe);
      ::sigaddset(&sigpipe, SIGPIPE);
      if (blocked) ::pthread_sigmask(SIG_BLOCK, &sigpipe, nullptr);
      FilePair pair;
      pair.transport->pause_reading();
      pair.peer.reset();
      const UniqueFd file = file_of("hello");
      told += thrown_by(
          [&] { finish(pair.loop, sendfile(*pair.transport, file.get())); });
      pair.run_to_end();
      told += " " + std::to_string(errno_of(pair.protocol->error)) + "; ";
      // Nothing is left for later, and the mask is what it was.
      ::sigset_t now;
      ::sigpending(&now);
      told += ::sigismember(&now, SIGPIPE) ? "pending " : "";
      ::pthread_sigmask(SIG_BLOCK, nullptr, &now);
      told += ::sigismember(&now, SIGPIPE) ? "blocked " : "open ";
    }
    return told;
  });
  const std::string once = "std::system_error: sendfile: Broken pipe " +
                           std::to_string(EPIPE) + "; ";
  EXPECT_EQ(story, once + "open " + once + "blocked ");
}

TEST(Sendfile, AnAbortMeanwhileIsToldToWhoWaits) {
  FilePair pair;
  const UniqueFd file = file_of(numbers(3'000'000));
  const auto task = sendfile(*pair.transport, file.get()).start(pair.loop);
  run_passes(pair.loop, 2);
  pair.transport->abort();
  ASSERT_TRUE(pair.run_to_end());
  run_passes(pair.loop, 2);
  ASSERT_TRUE(task.done());
  EXPECT_EQ(describe(task.exception()),
            "std::system_error: sendfile: Software caused connection abort");
}

// A cancel, at every pass: what was written goes on, the connection is open.
TEST(Sendfile, ACancelLeavesTheConnectionAndTheOrder) {
  for (const bool native : {true, false}) {
    for (int passes = 0; passes < 8; ++passes) {
      FilePair pair;
      const std::string text = numbers(3'000'000);
      const UniqueFd file = file_of(text);
      if (!native) pair.kernel.fail(KernelCall::kSendfile, EINVAL);
      pair.kernel.fail(KernelCall::kSend, EAGAIN, {.times = 2});
      pair.transport->write("before ");
      auto task = sendfile(*pair.transport, file.get()).start(pair.loop);
      pair.transport->write("after");
      run_passes(pair.loop, passes);
      ASSERT_TRUE(task.cancel());
      const std::string first = read_while(pair, task);
      EXPECT_TRUE(task.cancelled());
      std::string all = first;
      ASSERT_TRUE(run_until(pair.loop, [&] {
        all += read_text(pair.peer.get());
        return all.ends_with("after");
      }));
      EXPECT_TRUE(all.starts_with("before "));
      EXPECT_TRUE(text.starts_with(all.substr(7, all.size() - 12)));
      EXPECT_FALSE(pair.transport->is_closing());
    }
  }
}

TEST(Sendfile, TheLoopMayBeClosedMeanwhile) {
  const LogCapture quiet;  // pending tasks are reported
  for (const bool native : {true, false}) {
    for (int passes = 0; passes < 5; ++passes) {
      FilePair pair;
      const UniqueFd file = file_of(numbers(3'000'000));
      if (!native) pair.kernel.fail(KernelCall::kSendfile, EINVAL);
      const auto task = sendfile(*pair.transport, file.get()).start(pair.loop);
      pair.transport->write("after");
      run_passes(pair.loop, passes);
    }
  }
}

// -- another kind of transport ------------------------------------------------

/// A transport that stands on another one, as TLS does.
class Tunnel final : public Transport {
 public:
  explicit Tunnel(std::shared_ptr<Transport> below)
      : below_(std::move(below)) {}
  void close() override { below_->close(); }
  void abort() override { below_->abort(); }
  bool is_closing() const noexcept override { return below_->is_closing(); }
  void pause_reading() override { below_->pause_reading(); }
  void resume_reading() override { below_->resume_reading(); }
  bool is_reading() const noexcept override { return below_->is_reading(); }
  void write(std::string_view data) override { below_->write(data); }
  void write_eof() override { below_->write_eof(); }
  std::size_t get_write_buffer_size() override {
    return below_->get_write_buffer_size();
  }
  WriteBufferLimits get_write_buffer_limits() const noexcept override {
    return below_->get_write_buffer_limits();
  }
  void set_write_buffer_limits(std::optional<std::size_t> high,
                               std::optional<std::size_t> low) override {
    below_->set_write_buffer_limits(high, low);
  }
  void set_write_buffer_cap(std::size_t bytes) override {
    below_->set_write_buffer_cap(bytes);
  }
  EventLoop& loop() const noexcept override { return below_->loop(); }
  std::shared_ptr<BaseProtocol> get_protocol() const override {
    return below_->get_protocol();
  }
  void set_protocol(std::shared_ptr<BaseProtocol> protocol) override {
    below_->set_protocol(std::move(protocol));
  }
  int fd() const noexcept override { return below_->fd(); }
  const Address& peername() const override { return below_->peername(); }
  const Address& sockname() const override { return below_->sockname(); }
  std::string description() const override { return "<Tunnel>"; }

 private:
  std::shared_ptr<Transport> below_;
};

TEST(Sendfile, GoesThroughATransportThatOnlyItKnows) {
  FilePair pair;
  const auto tunnel = std::make_shared<Tunnel>(pair.transport);
  pair.transport->set_write_buffer_limits(10'000);
  const std::string text = numbers(3'000'000);
  const UniqueFd file = file_of(text);
  const auto task = sendfile(*tunnel, file.get()).start(pair.loop);
  std::string received;
  std::size_t largest = 0;
  ASSERT_TRUE(run_until(pair.loop, [&] {
    largest = std::max(largest, tunnel->get_write_buffer_size());
    EXPECT_FALSE(tunnel->is_reading() && !task.done());
    received += read_text(pair.peer.get());
    return task.done() && received.size() == text.size();
  }));
  EXPECT_TRUE(received == text);
  EXPECT_EQ(task.result(), 3'000'000);
  EXPECT_LE(largest, std::size_t{400} * 1024);  // it waits for the marks
  EXPECT_EQ(pair.kernel.calls(KernelCall::kSendfile), 0u);
  // All is as it was, and the protocol was told in pairs.
  EXPECT_EQ(tunnel->get_protocol(), pair.protocol);
  EXPECT_TRUE(tunnel->is_reading());
  run_passes(pair.loop, 3);
  const Calls& calls = pair.protocol->calls;
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "pause"),
            std::count(calls.begin(), calls.end(), "resume"));
  EXPECT_GT(calls.size(), 2u);
}

TEST(Sendfile, ThroughATunnelItWaitsForWhatIsThereAlready) {
  FilePair pair;
  const auto tunnel = std::make_shared<Tunnel>(pair.transport);
  tunnel->pause_reading();
  pair.block();
  tunnel->write(std::string(100'000, 'b'));
  const UniqueFd file = file_of("file");
  const auto task = sendfile(*tunnel, file.get()).start(pair.loop);
  run_passes(pair.loop, 3);
  EXPECT_EQ(tunnel->get_write_buffer_size(), 100'000u);
  pair.kernel.stop_failing();
  EXPECT_TRUE(read_while(pair, task).ends_with("bfile"));
  EXPECT_FALSE(tunnel->is_reading());  // as it was before
  EXPECT_EQ(pair.protocol->calls, (Calls{"made", "pause", "resume"}));
}

TEST(Sendfile, ThroughATunnelWithoutFallbackItIsNotAvailable) {
  FilePair pair;
  const auto tunnel = std::make_shared<Tunnel>(pair.transport);
  EXPECT_EQ(thrown_by([&] {
              finish(pair.loop, sendfile(*tunnel, 0, 0, std::nullopt, false));
            }),
            "rondo::SendfileNotAvailableError: fallback is disabled and native "
            "sendfile is not supported for transport <Tunnel>");
}

TEST(Sendfile, ATunnelThatEndsIsToldToBoth) {
  for (const bool aborted : {false, true}) {
    FilePair pair;
    const auto tunnel = std::make_shared<Tunnel>(pair.transport);
    const UniqueFd file = file_of(numbers(3'000'000));
    const auto task = sendfile(*tunnel, file.get()).start(pair.loop);
    ASSERT_TRUE(run_until(pair.loop,
                          [&] { return tunnel->get_write_buffer_size() > 0; }));
    if (aborted) {
      tunnel->abort();
    } else {
      pair.kernel.fail(KernelCall::kSend, ECONNRESET);
      read_text(pair.peer.get());  // there is room again
    }
    ASSERT_TRUE(pair.run_to_end());
    ASSERT_TRUE(run_until(pair.loop, [&] { return task.done(); }));
    EXPECT_EQ(errno_of(task.exception()), aborted ? ECONNABORTED : ECONNRESET);
    EXPECT_EQ(pair.protocol->losses, 1);
  }
}

TEST(Sendfile, ACancelPutsTheProtocolOfATunnelBack) {
  for (int passes = 0; passes < 5; ++passes) {
    FilePair pair;
    const auto tunnel = std::make_shared<Tunnel>(pair.transport);
    const UniqueFd file = file_of(numbers(3'000'000));
    auto task = sendfile(*tunnel, file.get()).start(pair.loop);
    run_passes(pair.loop, passes);
    ASSERT_TRUE(task.cancel());
    ASSERT_TRUE(run_until(pair.loop, [&] { return task.done(); }));
    EXPECT_EQ(tunnel->get_protocol(), pair.protocol);
    EXPECT_TRUE(tunnel->is_reading());
  }
}

/// What a tunnel had decrypted when it was paused.
template <class Kind>
void expect_handed_on(const std::shared_ptr<Kind>& protocol) {
  FilePair pair(protocol);
  const auto tunnel = std::make_shared<Tunnel>(pair.transport);
  const UniqueFd file = file_of(numbers(3'000'000));
  const auto task = sendfile(*tunnel, file.get()).start(pair.loop);
  const auto between =
      std::dynamic_pointer_cast<Protocol>(tunnel->get_protocol());
  ASSERT_NE(between, nullptr);
  between->data_received("hello, you");
  EXPECT_FALSE(between->eof_received());
  EXPECT_EQ(protocol->received, "hello, you");
  EXPECT_EQ(protocol->calls.back(), "eof");
}

TEST(Sendfile, WhatComesAllTheSameIsHandedOn) {
  const LogCapture quiet;  // pending tasks are reported
  expect_handed_on(std::make_shared<Recorder>());
  expect_handed_on(std::make_shared<BufferedRecorder>());
}

TEST(Sendfile, WhatComesAllTheSameNeedsABuffer) {
  const LogCapture quiet;  // pending tasks are reported
  const auto protocol = std::make_shared<BufferedRecorder>();
  protocol->size = 0;
  FilePair pair(protocol);
  const auto tunnel = std::make_shared<Tunnel>(pair.transport);
  const UniqueFd file = file_of(numbers(3'000'000));
  const auto task = sendfile(*tunnel, file.get()).start(pair.loop);
  const auto between =
      std::dynamic_pointer_cast<Protocol>(tunnel->get_protocol());
  ASSERT_NE(between, nullptr);
  EXPECT_EQ(thrown_by([&] { between->data_received("x"); }),
            "rondo::RuntimeError: get_buffer() returned an empty buffer");
}

// -- sock_sendfile ------------------------------------------------------------

struct RawPair {
  RawPair() : sockets(test::connected_pair(kernel)) {
    set_default_executor(loop, readers);
  }
  ~RawPair() {
    EXPECT_EQ(loop.snapshot().descriptors.size(), 0u);
    loop.close();
    if (!readers->shutdown(std::chrono::seconds(20))) std::abort();
  }
  int fd() const { return sockets.first.get(); }
  template <class Task>
  std::string read_while(const Task& task) {
    std::string text;
    EXPECT_TRUE(run_until(loop, [&] {
      text += read_text(sockets.second.get());
      return task.done();
    }));
    return text + read_text(sockets.second.get());
  }
  ScriptedKernel kernel;
  std::pair<UniqueFd, UniqueFd> sockets;
  std::shared_ptr<ThreadPool> readers =
      std::make_shared<ThreadPool>(1, "reader", kernel);
  EventLoop loop{LoopOptions().kernel(kernel)};
};

TEST(SockSendfile, SendsAFile) {
  for (const bool native : {true, false}) {
    RawPair pair;
    const std::string text = numbers(3'000'000);
    const UniqueFd file = file_of(text);
    if (!native) pair.kernel.fail(KernelCall::kSendfile, EINVAL);
    const auto task =
        sock_sendfile(pair.fd(), file.get(), 5, 2'900'000).start(pair.loop);
    EXPECT_TRUE(pair.read_while(task) == text.substr(5, 2'900'000));
    EXPECT_EQ(task.result(), 2'900'000);
  }
}

TEST(SockSendfile, LetsOthersHaveTheirTurn) {
  RawPair pair;
  const UniqueFd file = file_of(std::string(3 << 20, 'x'));
  const int room = 8 << 20;  // for all of it
  ::setsockopt(pair.fd(), SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
  const auto task = sock_sendfile(pair.fd(), file.get()).start(pair.loop);
  EXPECT_FALSE(task.done());
  EXPECT_EQ(pair.read_while(task).size(), std::size_t{3} << 20);
}

TEST(SockSendfile, IsForStreamsOnly) {
  EventLoop loop;
  const SocketPair pair(SOCK_DGRAM);
  EXPECT_EQ(thrown_by([&] { finish(loop, sock_sendfile(pair.a.get(), 0)); }),
            "std::invalid_argument: only SOCK_STREAM type sockets are "
            "supported");
  const Pipe pipe;
  EXPECT_EQ(
      thrown_by([&] { finish(loop, sock_sendfile(pipe.writer.get(), 0)); }),
      "std::system_error: sock_sendfile: Socket operation on non-socket");
  EXPECT_THROW(static_cast<void>(sock_sendfile(1, 0, 0, -1)),
               std::invalid_argument);
}

TEST(SockSendfile, FailsAsTheSocketDoes) {
  RawPair pair;
  const UniqueFd file = file_of("hello");
  pair.kernel.fail(KernelCall::kSendfile, ECONNRESET);
  EXPECT_EQ(thrown_by([&] {
              finish(pair.loop, sock_sendfile(pair.fd(), file.get()));
            }),
            "std::system_error: sendfile: Connection reset by peer");
  pair.kernel.fail(KernelCall::kSendfile, EINVAL);
  EXPECT_THROW(finish(pair.loop, sock_sendfile(pair.fd(), file.get(), 0,
                                               std::nullopt, false)),
               SendfileNotAvailableError);
}

TEST(SockSendfile, ACancelLeavesNothingWatched) {
  for (int passes = 0; passes < 4; ++passes) {
    RawPair pair;
    const UniqueFd file = file_of(numbers(3'000'000));
    auto task = sock_sendfile(pair.fd(), file.get()).start(pair.loop);
    run_passes(pair.loop, passes);
    task.cancel();
    run_passes(pair.loop, 2);
    EXPECT_TRUE(task.cancelled());
  }
}

// -- coroutines ---------------------------------------------------------------

Coro<std::int64_t> send_it(Transport& transport, int file) {
  co_return co_await sendfile(transport, file, 0, 5);
}

TEST(Sendfile, CanBeAwaited) {
  FilePair pair;
  const UniqueFd file = file_of("hello, file");
  EXPECT_EQ(run_until_complete(pair.loop, send_it(*pair.transport, file.get())),
            5);
}

}  // namespace
}  // namespace rondo
