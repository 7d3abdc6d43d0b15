// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/internal/pipe_signal.h"
#include "net/pipe.h"
#include "reactor/snapshot.h"
#include "test/net/pipe_pair.h"
#include "test/support/allocation.h"
#include "test/support/child_process.h"

namespace rondo {
namespace {

using test::Calls;
using test::errno_of;
using test::FailingAllocations;
using test::finish;
using test::pipe_of;
using test::Recorder;
using test::thrown_by;
using test::WritePipe;

TEST(WritePipe, SmallWritesOfAPassLeaveTogether) {
  WritePipe pair;
  const std::uint64_t writes = pair.kernel.calls(KernelCall::kWrite);
  pair.transport->write("one ");
  pair.transport->write("");
  pair.transport->write("two");
  EXPECT_EQ(pair.read(7), "one two");
  EXPECT_EQ(pair.kernel.calls(KernelCall::kWrite), writes + 1);
  EXPECT_FALSE(pair.transport->is_reading());
  pair.transport->pause_reading();  // there is none
  pair.transport->resume_reading();
  EXPECT_EQ(pair.protocol->calls, Calls{"made"});
}

TEST(WritePipe, EverySplitGivesTheSameBytes) {
  const std::string text = "a message of some forty bytes, or nearly so";
  for (std::size_t most = 1; most <= text.size(); ++most) {
    WritePipe pair;
    pair.kernel.shorten(KernelCall::kWrite, most);
    pair.transport->write(text.substr(0, 7));
    pair.transport->write(text.substr(7));
    pair.transport->close();
    ASSERT_TRUE(pair.run_to_end());
    EXPECT_EQ(read_text(pair.peer.get()), text);
  }
}

TEST(WritePipe, LargeAndSmallWritesKeepTheirOrder) {
  for (const std::size_t most : {0u, 1000u, 4096u, 65'536u}) {
    WritePipe pair;
    pair.kernel.shorten(KernelCall::kWrite, most);
    std::string expected;
    std::string text;
    for (int count = 0; count < 40; ++count) {
      const std::string piece =
          std::to_string(count) +
          std::string(count % 4 == 0 ? 100'000 : 10,
                      static_cast<char>('a' + count % 23));
      expected += piece;
      pair.transport->write(piece);
      if (count % 3 == 0) run_one_pass(pair.loop);
      text += read_text(pair.peer.get());
    }
    text += pair.read(expected.size() - text.size());
    EXPECT_TRUE(text == expected) << most;
  }
}

// What was written is thrown away from time to time, not at each write.
TEST(WritePipe, KeepsTheOrderOfWhatIsBehindAPartThatWasWritten) {
  WritePipe pair;
  pair.kernel.shorten(KernelCall::kWrite, 90);
  pair.transport->write(std::string(100, 'a'));
  run_passes(pair.loop, 1);
  pair.kernel.shorten(KernelCall::kWrite, 0);
  pair.transport->write("b");
  EXPECT_EQ(pair.transport->get_write_buffer_size(), 11u);
  EXPECT_EQ(pair.read(101), std::string(100, 'a') + "b");
}

// A device says nothing of its reader: it is watched while there is something
// to write.
TEST(WritePipe, ATerminalThatWasFullIsWatchedNoMore) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  const UniqueFd screen(::posix_openpt(O_RDWR | O_NOCTTY));
  ASSERT_TRUE(screen);
  ASSERT_EQ(::grantpt(screen.get()), 0);
  ASSERT_EQ(::unlockpt(screen.get()), 0);
  UniqueFd theirs(::open(::ptsname(screen.get()), O_RDWR | O_NOCTTY));
  ASSERT_TRUE(theirs);
  const auto protocol = std::make_shared<Recorder>();
  const auto transport =
      finish(loop,
             connect_write_pipe([&] { return protocol; }, std::move(theirs)))
          .transport;
  kernel.fail(KernelCall::kWrite, EAGAIN);
  transport->write("hello");
  EXPECT_EQ(transport->get_write_buffer_size(), 5u);
  EXPECT_EQ(loop.snapshot().descriptors.size(), 1u);
  ASSERT_TRUE(
      run_until(loop, [&] { return transport->get_write_buffer_size() == 0; }));
  EXPECT_EQ(loop.snapshot().descriptors.size(), 0u);
  char shown[8];
  EXPECT_EQ(::read(screen.get(), shown, sizeof shown), 5);
  EXPECT_EQ(std::string_view(shown, 5), "hello");
  transport->close();
  ASSERT_TRUE(run_until(loop, [&] { return protocol->losses > 0; }));
}

TEST(WritePipe, NeedsAProtocol) {
  WritePipe pair;
  EXPECT_EQ(thrown_by([&] { pair.transport->set_protocol(nullptr); }),
            "std::invalid_argument: set_protocol: no protocol");
  EXPECT_EQ(pair.transport->get_protocol(), pair.protocol);
}

TEST(WritePipe, PausesAndResumesItsProtocol) {
  WritePipe pair;
  pair.fill_up(65'537);
  EXPECT_EQ(pair.protocol->calls, (Calls{"made", "pause"}));
  EXPECT_EQ(pair.transport->get_write_buffer_limits().high, 65'536u);
  EXPECT_GT(pair.transport->get_write_buffer_size(), 65'536u);
  EXPECT_EQ(pair.read(pair.filled).size(), pair.filled);
  EXPECT_EQ(pair.protocol->calls, (Calls{"made", "pause", "resume"}));
  EXPECT_EQ(pair.transport->get_write_buffer_size(), 0u);
}

TEST(WritePipe, LimitsFollowFromEachOther) {
  WritePipe pair;
  pair.transport->set_write_buffer_limits(std::nullopt, 100);
  EXPECT_EQ(pair.transport->get_write_buffer_limits().high, 400u);
  pair.transport->set_write_buffer_limits(100);
  EXPECT_EQ(pair.transport->get_write_buffer_limits().low, 25u);
  pair.transport->set_write_buffer_limits(std::nullopt, SIZE_MAX / 2);
  EXPECT_EQ(pair.transport->get_write_buffer_limits().high, SIZE_MAX);
  EXPECT_EQ(thrown_by([&] { pair.transport->set_write_buffer_limits(1, 2); }),
            "std::invalid_argument: high (1) must be >= low (2) must be >= 0");
}

TEST(WritePipe, WhatPauseAndResumeThrowIsReported) {
  WritePipe pair;
  pair.protocol->on_pause = [] { throw 1; };
  pair.protocol->on_resume = [] { throw 2; };
  pair.fill_up(65'537);
  pair.read(pair.filled);
  EXPECT_EQ(pair.reports.messages, (Calls{"protocol.pause_writing() failed",
                                          "protocol.resume_writing() failed"}));
  EXPECT_FALSE(pair.transport->is_closing());
}

TEST(WritePipe, CloseSendsWhatWasWritten) {
  for (const bool eof : {false, true}) {
    WritePipe pair;
    pair.fill_up(10);
    EXPECT_TRUE(pair.transport->can_write_eof());
    eof ? pair.transport->write_eof() : pair.transport->close();
    EXPECT_TRUE(pair.transport->is_closing());
    run_passes(pair.loop, 3);
    EXPECT_EQ(pair.protocol->losses, 0);
    EXPECT_EQ(pair.read(pair.filled).size(), pair.filled);
    ASSERT_TRUE(pair.run_to_end());
    EXPECT_EQ(pair.protocol->error, nullptr);
    char byte;
    EXPECT_EQ(::read(pair.peer.get(), &byte, 1), 0);  // the end of the stream
    if (eof) {
      EXPECT_THROW(pair.transport->write("x"), RuntimeError);
    } else {
      for (int count = 0; count < 10; ++count) pair.transport->write("x");
    }
    pair.transport->write_eof();
    pair.transport->close();
  }
}

TEST(WritePipe, AbortLosesWhatWasNotWritten) {
  WritePipe pair;
  pair.fill_up(10);
  pair.transport->abort();
  EXPECT_EQ(pair.transport->get_write_buffer_size(), 0u);
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.protocol->error, nullptr);
  EXPECT_LT(read_text(pair.peer.get()).size(), pair.filled);
}

TEST(WritePipe, AWriteBeyondTheCapEndsIt) {
  WritePipe pair;
  pair.fill_up(10);
  pair.transport->set_write_buffer_cap(1 << 20);
  pair.transport->write(std::string(1 << 20, 'x'));
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(errno_of(pair.protocol->error), ENOBUFS);
}

// -- the reader's hangup ------------------------------------------------------

TEST(WritePipe, NoticesThatTheReaderHasHungUp) {
  WritePipe pair;
  const std::uint64_t spins = pair.kernel.spins_max();
  pair.peer.reset();
  ASSERT_TRUE(pair.run_to_end());
  run_passes(pair.loop, 5);
  EXPECT_EQ(pair.protocol->calls, (Calls{"made", "lost"}));
  EXPECT_EQ(pair.protocol->error, nullptr);  // nothing was to be written
  EXPECT_LE(pair.kernel.spins_max(), spins + 1);
}

TEST(WritePipe, AHangupBeforeAllIsWrittenIsABrokenPipe) {
  for (const bool closing : {false, true}) {
    WritePipe pair;
    pair.fill_up(10);
    if (closing) pair.transport->close();
    pair.peer.reset();
    ASSERT_TRUE(pair.run_to_end());
    EXPECT_EQ(errno_of(pair.protocol->error), EPIPE);
    EXPECT_EQ(pair.reports.messages, Calls());
  }
}

TEST(WritePipe, AReaderThatWasGoneBeforeIsNoticed) {
  EventLoop loop;
  auto [theirs, mine] = pipe_of(linux_kernel());
  theirs.reset();
  const auto protocol = std::make_shared<Recorder>();
  finish(loop, connect_write_pipe([&] { return protocol; }, std::move(mine)));
  EXPECT_TRUE(run_until(loop, [&] { return protocol->losses > 0; }));
}

TEST(WritePipe, WhatTheReaderOfASocketSaysIsNoHangup) {
  EventLoop loop;
  SocketPair sockets;
  const auto protocol = std::make_shared<Recorder>();
  const auto transport =
      finish(loop,
             connect_write_pipe([&] { return protocol; }, std::move(sockets.a)))
          .transport;
  write_text(sockets.b.get(), "nobody asked");
  transport->write("x");
  run_passes(loop, 3);
  EXPECT_EQ(read_text(sockets.b.get()), "x");
  EXPECT_EQ(protocol->losses, 0);
  ::shutdown(sockets.b.get(), SHUT_WR);
  EXPECT_TRUE(run_until(loop, [&] { return protocol->losses > 0; }));
}

// -- SIGPIPE ------------------------------------------------------------------

std::string story_of_writes_without_reader() {
  std::string told;
  for (const std::size_t size : {std::size_t{1}, std::size_t{100'000}}) {
    WritePipe pair;
    pair.peer.reset();
    pair.transport->write(std::string(size, 'x'));
    pair.run_to_end();
    told += std::to_string(errno_of(pair.protocol->error)) + " ";
  }
  ::sigset_t pending;
  ::sigset_t blocked;
  ::sigpending(&pending);
  ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
  told += ::sigismember(&pending, SIGPIPE) == 1 ? "pending " : "";
  told += ::sigismember(&blocked, SIGPIPE) == 1 ? "blocked " : "";
  return told;
}

const std::string& told_of_epipe() {
  static const std::string told =
      std::to_string(EPIPE) + " " + std::to_string(EPIPE) + " ";
  return told;
}

TEST(WritePipe, AReaderThatIsGoneDoesNotKillTheProcess) {
  EXPECT_EQ(in_child([] {
              ::signal(SIGPIPE, SIG_DFL);
              return story_of_writes_without_reader();
            }),
            told_of_epipe());
}

TEST(WritePipe, AHandlerOfTheProgramHearsNothing) {
  static int heard;
  heard = 0;
  EXPECT_EQ(in_child([] {
              ::signal(SIGPIPE, [](int) { ++heard; });
              return story_of_writes_without_reader() + std::to_string(heard);
            }),
            told_of_epipe() + "0");
}

TEST(WritePipe, WhatTheProgramHasBlockedStaysBlocked) {
  const auto block = [] {
    ::sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  };
  EXPECT_EQ(in_child([&] {
              block();
              return story_of_writes_without_reader();
            }),
            told_of_epipe() + "blocked ");
  // One that was there before is the program's own.
  EXPECT_EQ(in_child([&] {
              block();
              ::raise(SIGPIPE);
              return story_of_writes_without_reader();
            }),
            told_of_epipe() + "pending blocked ");
}

TEST(WritePipe, IsNotWrittenToIfTheSignalCannotBeBlocked) {
  WritePipe pair;
  const std::uint64_t writes = pair.kernel.calls(KernelCall::kWrite);
  pair.kernel.fail(KernelCall::kSignalMask, EINVAL);
  pair.transport->write("x");
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(errno_of(pair.protocol->error), EINVAL);
  EXPECT_EQ(pair.kernel.calls(KernelCall::kWrite), writes);
}

TEST(WritePipe, LeavesTheMaskAsItWasEvenIfThatFailsOnce) {
  EXPECT_EQ(in_child([] {
              WritePipe pair;
              pair.kernel.fail(KernelCall::kSignalMask, EINVAL,
                               {.from_call = 2});
              pair.transport->write("x");
              pair.transport->get_write_buffer_size();
              ::sigset_t blocked;
              ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
              return std::to_string(::sigismember(&blocked, SIGPIPE));
            }),
            "0");
}

// -- errors -------------------------------------------------------------------

TEST(WritePipe, AnInterruptedWriteIsMadeAgain) {
  for (const int error_number : {EINTR, EAGAIN}) {
    for (const std::size_t size : {std::size_t{3}, std::size_t{30'000}}) {
      WritePipe pair;
      pair.kernel.fail(KernelCall::kWrite, error_number);
      pair.transport->write(std::string(size, 'x'));
      EXPECT_EQ(pair.read(size).size(), size);
      EXPECT_EQ(pair.protocol->losses, 0);
    }
  }
}

TEST(WritePipe, AWriteThatFailsIsToldToConnectionLost) {
  for (const std::size_t size : {std::size_t{3}, std::size_t{30'000}}) {
    WritePipe pair;
    pair.loop.set_debug(true);
    pair.kernel.fail(KernelCall::kWrite, EIO);
    pair.transport->write(std::string(size, 'x'));
    ASSERT_TRUE(pair.run_to_end());
    EXPECT_EQ(describe(pair.protocol->error),
              "std::system_error: write: Input/output error");
    EXPECT_EQ(pair.reports.messages, Calls());
  }
}

TEST(WritePipe, EndsIfItCannotBeWatched) {
  WritePipe pair;
  pair.kernel.fail(KernelCall::kEpollModify, ENOMEM);
  pair.fill_up(10);
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(errno_of(pair.protocol->error), ENOMEM);
}

#if !defined(RONDO_TEST_OPERATOR_NEW_IS_TAKEN)
TEST(WritePipe, WithoutMemoryForWhatWasWrittenItEnds) {
  WritePipe pair;
  pair.fill_up(10);
  const std::string large(1 << 20, 'x');
  {
    const FailingAllocations failing(1, FailingAllocations::Mode::kOnce);
    pair.transport->write(large);
    EXPECT_TRUE(failing.fired());
  }
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(describe(pair.protocol->error), "std::bad_alloc: std::bad_alloc");
}

// The end is told in time all the same.
TEST(WritePipe, WithoutMemoryItEndsLater) {
  WritePipe pair;
  {
    const FailingAllocations failing(1, FailingAllocations::Mode::kFromThenOn);
    pair.transport->abort();
  }
  ASSERT_TRUE(pair.run_to_end());
}
#endif

TEST(WritePipe, MayBeAbortedAndDroppedInAnyCallback) {
  for (const char* where : {"made", "pause", "resume", "lost"}) {
    auto protocol = std::make_shared<Recorder>();
    Recorder& recorder = *protocol;
    const auto abort = [&] { recorder.transport->abort(); };
    if (where == std::string_view("made")) recorder.on_made = abort;
    if (where == std::string_view("pause")) recorder.on_pause = abort;
    if (where == std::string_view("resume")) recorder.on_resume = abort;
    if (where == std::string_view("lost")) recorder.on_lost = abort;
    WritePipe pair(std::move(protocol));
    if (recorder.losses == 0) pair.fill_up(65'537);
    pair.transport.reset();
    if (where == std::string_view("lost")) recorder.transport->abort();
    ASSERT_TRUE(run_until(pair.loop, [&] {
      read_text(pair.peer.get());
      return recorder.losses > 0;
    })) << where;
    EXPECT_EQ(recorder.losses, 1);
  }
}

}  // namespace
}  // namespace rondo
