// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>

#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/snapshot.h"
#include "reactor/testing/scripted_kernel.h"
#include "test/support/descriptors.h"
#include "test/support/passes.h"

namespace rondo {
namespace {

TEST(AddWriter, RunsInEveryPassThatFindsTheDescriptorWritable) {
  EventLoop loop;
  Pipe pipe;
  int calls = 0;
  loop.add_writer(pipe.writer.get(), [&] { ++calls; });
  run_passes(loop, 3);
  EXPECT_EQ(calls, 3);
  fill(pipe.writer.get());
  run_passes(loop, 3);
  EXPECT_EQ(calls, 3);
  read_text(pipe.reader.get());
  run_one_pass(loop);
  EXPECT_EQ(calls, 4);
}

// "When both are ready, the reader runs first."
TEST(AddWriter, RunsAfterTheReaderInWhateverOrderTheyWereAdded) {
  EventLoop loop;
  SocketPair pair;
  std::string order;
  loop.add_writer(pair.a.get(), [&] { order += 'w'; });
  loop.add_reader(pair.a.get(), [&] { order += 'r'; });
  write_text(pair.b.get(), "x");
  run_passes(loop, 2);
  EXPECT_EQ(order, "rwrw");
}

TEST(AddWriter, LetsEachRunForItsOwnReadinessAlone) {
  EventLoop loop;
  SocketPair pair;
  std::string order;
  loop.add_reader(pair.a.get(), [&] { order += 'r'; });
  loop.add_writer(pair.a.get(), [&] { order += 'w'; });
  run_one_pass(loop);
  EXPECT_EQ(order, "w");
  fill(pair.a.get());
  write_text(pair.b.get(), "x");
  run_one_pass(loop);
  EXPECT_EQ(order, "wr");
}

// FAULTS 2.0: EPOLLERR comes instead of what was asked; both must learn.
TEST(AddWriter, RunsForAnError) {
  EventLoop loop;
  Pipe pipe;
  fill(pipe.writer.get());
  std::string order;
  loop.add_reader(pipe.writer.get(), [&] { order += 'r'; });
  loop.add_writer(pipe.writer.get(), [&] { order += 'w'; });
  run_one_pass(loop);
  EXPECT_EQ(order, "");
  pipe.reader.reset();
  run_one_pass(loop);
  EXPECT_EQ(order, "rw");
}

// FAULTS 2.0: EPOLLHUP comes unasked.
TEST(AddWriter, RunsForAHangUp) {
  EventLoop loop;
  SocketPair pair;
  fill(pair.a.get());
  int calls = 0;
  loop.add_writer(pair.a.get(), [&] { ++calls; });
  pair.b.reset();
  run_one_pass(loop);
  EXPECT_EQ(calls, 1);
}

// FAULTS 2.0: "half-close must not kill the write side".
TEST(AddWriter, GoesOnAfterThePeerHasClosedItsHalf) {
  EventLoop loop;
  SocketPair pair;
  bool ended = false;
  loop.add_reader(pair.a.get(), [&] {
    ended = true;
    loop.remove_reader(pair.a.get());
  });
  ::shutdown(pair.b.get(), SHUT_WR);
  loop.add_writer(pair.a.get(), [&] {
    write_text(pair.a.get(), "answer");
    loop.remove_writer(pair.a.get());
  });
  run_passes(loop, 2);
  EXPECT_TRUE(ended);
  EXPECT_EQ(read_text(pair.b.get()), "answer");
}

// R7
TEST(AddWriter, ReplacesAnEarlierWriterAndKeepsTheReader) {
  EventLoop loop;
  SocketPair pair;
  std::string order;
  auto held = std::make_shared<int>();
  loop.add_reader(pair.a.get(), [&] { order += 'r'; });
  loop.add_writer(pair.a.get(), [&order, held] { order += '1'; });
  loop.add_writer(pair.a.get(), [&] { order += '2'; });
  EXPECT_EQ(held.use_count(), 1);
  write_text(pair.b.get(), "x");
  run_one_pass(loop);
  EXPECT_EQ(order, "r2");
}

// R2: the two callbacks of one descriptor, both queued.
TEST(AddWriter, DoesNotRunOnceTheReaderOfTheSamePassHasRemovedIt) {
  EventLoop loop;
  SocketPair pair;
  std::string order;
  loop.add_reader(pair.a.get(), [&] {
    order += 'r';
    loop.remove_writer(pair.a.get());
  });
  loop.add_writer(pair.a.get(), [&] { order += 'w'; });
  write_text(pair.b.get(), "x");
  run_passes(loop, 2);
  EXPECT_EQ(order, "rr");
}

// R8: a failure changes nothing, for the reader of the same descriptor either.
TEST(AddWriter, ThatFailsLeavesTheReaderAlone) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  SocketPair pair;
  std::string order;
  loop.add_reader(pair.a.get(), [&] { order += 'r'; });
  kernel.fail(KernelCall::kEpollModify, ENOMEM);
  EXPECT_THROW(loop.add_writer(pair.a.get(), [] {}), std::system_error);
  EXPECT_EQ(loop.snapshot().descriptors[0].interest, Events::kRead);
  write_text(pair.b.get(), "x");
  run_one_pass(loop);
  EXPECT_EQ(order, "r");
  EXPECT_FALSE(loop.remove_writer(pair.a.get()));
}

// R9
TEST(AddWriter, RefusesARegularFile) {
  EventLoop loop;
  const UniqueFd file = make_regular_file();
  try {
    loop.add_writer(file.get(), [] {});
    FAIL() << "a regular file was accepted";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::operation_not_permitted);
    EXPECT_EQ(std::string(error.what()).rfind("add_writer: fd ", 0), 0u)
        << error.what();
  }
}

TEST(AddWriter, RefusesWhatAddReaderRefuses) {
  EventLoop loop;
  const UniqueFd fd = make_eventfd();
  EXPECT_THROW(loop.add_writer(-1, [] {}), std::invalid_argument);
  EXPECT_THROW(loop.add_writer(fd.get(), Callback()), std::invalid_argument);
  loop.watch(fd.get(), Events::kRead, [](Events) {});
  EXPECT_THROW(loop.add_writer(fd.get(), [] {}), RuntimeError);
  loop.close();
  EXPECT_THROW(loop.add_writer(fd.get(), [] {}), RuntimeError);
}

TEST(RemoveWriter, ReturnsWhetherThereWasOneAndKeepsTheReader) {
  EventLoop loop;
  SocketPair pair;
  int reads = 0;
  EXPECT_FALSE(loop.remove_writer(pair.a.get()));
  loop.add_reader(pair.a.get(), [&] { ++reads; });
  EXPECT_FALSE(loop.remove_writer(pair.a.get()));
  loop.add_writer(pair.a.get(), [] {});
  EXPECT_TRUE(loop.remove_writer(pair.a.get()));
  EXPECT_EQ(loop.snapshot().descriptors[0].interest, Events::kRead);
  write_text(pair.b.get(), "x");
  run_one_pass(loop);
  EXPECT_EQ(reads, 1);
  loop.close();
  EXPECT_FALSE(loop.remove_writer(pair.a.get()));
}

// R8: the kernel may refuse even to forget (epoll_ctl(2): ENOMEM). Then the
// reader cannot be kept; that is said, and nothing is left in the set.
TEST(RemoveWriter, ReportsAReaderThatTheKernelWouldNotKeep) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  SocketPair pair;
  int reads = 0;
  std::vector<std::string> reports;
  loop.set_exception_handler([&](EventLoop&, const ExceptionContext& context) {
    reports.push_back(context.message);
  });
  loop.add_reader(pair.a.get(), [&] { ++reads; });
  loop.add_writer(pair.a.get(), [] {});
  kernel.fail(KernelCall::kEpollModify, ENOMEM);
  EXPECT_TRUE(loop.remove_writer(pair.a.get()));
  write_text(pair.b.get(), "x");
  run_passes(loop, 3);
  EXPECT_EQ(reads, 0);
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_NE(reports[0].find("fd " + std::to_string(pair.a.get())),
            std::string::npos)
      << reports[0];
  EXPECT_EQ(loop.stats().events, 0u);
  // And it can be asked for again.
  loop.add_reader(pair.a.get(), [&] { ++reads; });
  run_one_pass(loop);
  EXPECT_EQ(reads, 1);
}

}  // namespace
}  // namespace rondo
