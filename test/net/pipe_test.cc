// SPDX-License-Identifier: MIT
#include "net/pipe.h"

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

#include "test/net/pipe_pair.h"
#include "test/support/allocation.h"
#include "test/support/child_process.h"

namespace rondo {
namespace {

using test::allocations_of;
using test::BufferedRecorder;
using test::Calls;
using test::errno_of;
using test::finish;
using test::pipe_of;
using test::ReadPipe;
using test::Recorder;
using test::thrown_by;
using test::WritePipe;

// -- reading ------------------------------------------------------------------

TEST(ReadPipe, GivesWhatIsWrittenThenTheEnd) {
  ReadPipe pair;
  write_text(pair.peer.get(), "one");
  ASSERT_TRUE(
      run_until(pair.loop, [&] { return pair.protocol->received == "one"; }));
  write_text(pair.peer.get(), "two");
  pair.peer.reset();
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.protocol->received, "onetwo");
  EXPECT_EQ(pair.protocol->calls,
            (Calls{"made", "data", "data", "eof", "lost"}));
  EXPECT_EQ(pair.protocol->error, nullptr);
  EXPECT_TRUE(pair.transport->is_closing());
  EXPECT_EQ(pair.transport->fd(), -1);
  EXPECT_EQ(pair.reports.messages, Calls());
}

TEST(ReadPipe, WhatEofReceivedAnswersDoesNotMatter) {
  ReadPipe pair;
  pair.protocol->on_eof = [] { return true; };
  pair.peer.reset();
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.protocol->calls, (Calls{"made", "eof", "lost"}));
}

TEST(ReadPipe, ReadsIntoABufferedProtocol) {
  EventLoop loop;
  auto [mine, theirs] = pipe_of(linux_kernel());
  const auto protocol = std::make_shared<BufferedRecorder>();
  const auto transport =
      finish(loop, connect_read_pipe([&] { return protocol; }, std::move(mine)))
          .transport;
  write_text(theirs.get(), "a longer text");
  theirs.reset();
  ASSERT_TRUE(run_until(loop, [&] { return protocol->losses > 0; }));
  EXPECT_EQ(protocol->received, "a longer text");
}

TEST(ReadPipe, AnEmptyBufferEndsIt) {
  EventLoop loop;
  const Reports reports(loop);
  auto [mine, theirs] = pipe_of(linux_kernel());
  const auto protocol = std::make_shared<BufferedRecorder>();
  protocol->size = 0;
  finish(loop, connect_read_pipe([&] { return protocol; }, std::move(mine)));
  write_text(theirs.get(), "x");
  ASSERT_TRUE(run_until(loop, [&] { return protocol->losses > 0; }));
  EXPECT_EQ(describe(protocol->error),
            "rondo::RuntimeError: get_buffer() returned an empty buffer");
  EXPECT_EQ(reports.messages,
            Calls{"Fatal error: protocol.get_buffer() call failed."});
}

TEST(ReadPipe, ItsProtocolMayBeChanged) {
  ReadPipe pair;
  EXPECT_EQ(pair.transport->get_protocol(), pair.protocol);
  const auto set = [&](std::shared_ptr<BaseProtocol> protocol) {
    return thrown_by([&] { pair.transport->set_protocol(protocol); });
  };
  EXPECT_EQ(set(nullptr), "std::invalid_argument: set_protocol: no protocol");
  EXPECT_EQ(set(std::make_shared<BaseProtocol>()),
            "std::invalid_argument: set_protocol: neither a Protocol nor a "
            "BufferedProtocol");
  EXPECT_EQ(pair.transport->get_protocol(), pair.protocol);
  const auto other = std::make_shared<Recorder>();
  EXPECT_EQ(set(other), "nothing");
  write_text(pair.peer.get(), "x");
  pair.peer.reset();
  ASSERT_TRUE(run_until(pair.loop, [&] { return other->losses > 0; }));
  EXPECT_EQ(other->received, "x");
  EXPECT_EQ(pair.protocol->calls, Calls{"made"});
}

TEST(ReadPipe, MakesTheDescriptorNonBlocking) {
  const ReadPipe pair;
  EXPECT_NE(::fcntl(pair.transport->fd(), F_GETFL) & O_NONBLOCK, 0);
}

TEST(ReadPipe, PausedItReadsNothingAndDoesNotSpin) {
  ReadPipe pair;
  pair.transport->pause_reading();
  pair.transport->pause_reading();
  EXPECT_FALSE(pair.transport->is_reading());
  write_text(pair.peer.get(), "x");
  pair.peer.reset();  // a hangup, which epoll reports unasked
  const std::uint64_t reads = pair.kernel.calls(KernelCall::kRead);
  const std::uint64_t passes = pair.kernel.spins_max();
  run_passes(pair.loop, 5);
  EXPECT_EQ(pair.kernel.calls(KernelCall::kRead), reads);
  EXPECT_EQ(pair.kernel.spins_max(), passes);
  pair.transport->resume_reading();
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.protocol->received, "x");
}

TEST(ReadPipe, MayBePausedByConnectionMade) {
  auto protocol = std::make_shared<Recorder>();
  Recorder& recorder = *protocol;
  recorder.on_made = [&] { recorder.transport->pause_reading(); };
  ReadPipe pair(std::move(protocol));
  write_text(pair.peer.get(), "x");
  run_passes(pair.loop, 3);
  EXPECT_EQ(recorder.received, "");
  pair.transport->resume_reading();
  EXPECT_TRUE(run_until(pair.loop, [&] { return recorder.received == "x"; }));
  recorder.on_made = nullptr;
}

TEST(ReadPipe, CloseAndAbortReadNoMore) {
  for (const bool abort : {false, true}) {
    ReadPipe pair;
    write_text(pair.peer.get(), "x");
    abort ? pair.transport->abort() : pair.transport->close();
    EXPECT_EQ(pair.protocol->losses, 0);  // never out of its own call
    pair.transport->close();
    ASSERT_TRUE(pair.run_to_end());
    run_passes(pair.loop, 2);
    EXPECT_EQ(pair.protocol->calls, (Calls{"made", "lost"}));
    EXPECT_EQ(pair.protocol->error, nullptr);
  }
}

TEST(ReadPipe, CannotWrite) {
  ReadPipe pair;
  EXPECT_FALSE(pair.transport->can_write_eof());
  EXPECT_EQ(pair.transport->get_write_buffer_size(), 0u);
  EXPECT_EQ(pair.transport->get_write_buffer_limits().high,
            WriteBufferLimits().high);
  for (const auto& call : std::vector<std::function<void()>>{
           [&] { pair.transport->write("x"); },
           [&] { pair.transport->write_eof(); },
           [&] { pair.transport->set_write_buffer_limits(); },
           [&] { pair.transport->set_write_buffer_cap(1); }}) {
    EXPECT_EQ(thrown_by(call),
              "rondo::RuntimeError: a reading pipe transport cannot write");
  }
}

TEST(ReadPipe, AReadThatFailsIsToldToConnectionLost) {
  ReadPipe pair;
  pair.kernel.fail(KernelCall::kRead, EIO);
  write_text(pair.peer.get(), "x");
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(describe(pair.protocol->error),
            "std::system_error: read: Input/output error");
  EXPECT_EQ(pair.reports.messages, Calls());
}

TEST(ReadPipe, AnInterruptedReadIsMadeAgain) {
  for (const int error_number : {EINTR, EAGAIN}) {
    ReadPipe pair;
    pair.kernel.fail(KernelCall::kRead, error_number);
    write_text(pair.peer.get(), "x");
    pair.peer.reset();
    ASSERT_TRUE(pair.run_to_end());
    EXPECT_EQ(pair.protocol->received, "x");
    EXPECT_EQ(pair.protocol->error, nullptr);
  }
}

TEST(ReadPipe, WhatACallbackThrowsEndsIt) {
  for (const char* where : {"data_received", "eof_received"}) {
    ReadPipe pair;
    if (where == std::string_view("data_received")) {
      pair.protocol->on_data = [](std::string_view) { throw 42; };
      write_text(pair.peer.get(), "x");
    } else {
      pair.protocol->on_eof = []() -> bool { throw 42; };
      pair.peer.reset();
    }
    ASSERT_TRUE(pair.run_to_end());
    EXPECT_EQ(describe(pair.protocol->error), "int");
    EXPECT_EQ(pair.reports.messages,
              Calls{"Fatal error: protocol." + std::string(where) +
                    "() call failed."});
  }
}

TEST(ReadPipe, SystemExitOutOfEofReceivedLeavesTheLoopAndItEnds) {
  ReadPipe pair;
  pair.protocol->on_eof = []() -> bool { throw SystemExit(3); };
  pair.peer.reset();
  EXPECT_THROW(run_until(pair.loop, [] { return false; }), SystemExit);
  ASSERT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.protocol->calls, (Calls{"made", "eof", "lost"}));
}

TEST(ReadPipe, ASocketAndATerminalWillDo) {
  EventLoop loop;
  SocketPair sockets;
  const auto protocol = std::make_shared<Recorder>();
  finish(loop,
         connect_read_pipe([&] { return protocol; }, std::move(sockets.a)));
  write_text(sockets.b.get(), "x");
  sockets.b.reset();
  ASSERT_TRUE(run_until(loop, [&] { return protocol->losses > 0; }));
  EXPECT_EQ(protocol->received, "x");

  UniqueFd terminal(::posix_openpt(O_RDWR | O_NOCTTY));
  ASSERT_TRUE(terminal);
  ASSERT_EQ(::grantpt(terminal.get()), 0);
  ASSERT_EQ(::unlockpt(terminal.get()), 0);
  UniqueFd theirs(::open(::ptsname(terminal.get()), O_RDWR | O_NOCTTY));
  ASSERT_TRUE(theirs);
  const auto reader = std::make_shared<Recorder>();
  finish(loop, connect_read_pipe([&] { return reader; }, std::move(terminal)));
  write_text(theirs.get(), "y");
  ASSERT_TRUE(run_until(loop, [&] { return reader->received == "y"; }));
  theirs.reset();  // Linux says EIO
  ASSERT_TRUE(run_until(loop, [&] { return reader->losses > 0; }));
  EXPECT_EQ(errno_of(reader->error), EIO);
}

// -- what is refused ----------------------------------------------------------

TEST(ConnectPipe, RefusesARegularFile) {
  EventLoop loop;
  const auto factory = [] { return std::make_shared<Recorder>(); };
  EXPECT_EQ(thrown_by([&] {
              finish(loop, connect_read_pipe(factory, make_regular_file()));
            }),
            "std::invalid_argument: Pipe transport is for pipes/sockets only.");
  EXPECT_EQ(thrown_by([&] {
              finish(loop, connect_write_pipe(factory, make_regular_file()));
            }),
            "std::invalid_argument: Pipe transport is only for pipes, sockets "
            "and character devices");
  EXPECT_THROW(static_cast<void>(connect_read_pipe(factory, UniqueFd())),
               std::invalid_argument);
  EXPECT_THROW(static_cast<void>(connect_write_pipe(factory, UniqueFd())),
               std::invalid_argument);
}

TEST(ConnectPipe, TellsThatADeviceCannotBeWatched) {
  EventLoop loop;
  const Reports reports(loop);
  const auto protocol = std::make_shared<Recorder>();
  UniqueFd null(::open("/dev/null", O_RDONLY));
  EXPECT_THROW(finish(loop, connect_read_pipe([&] { return protocol; },
                                              std::move(null))),
               std::system_error);
  run_passes(loop, 2);
  EXPECT_EQ(protocol->calls, (Calls{"made", "lost"}));
  EXPECT_EQ(errno_of(protocol->error), EPERM);
}

TEST(ConnectPipe, WritesToADeviceThatCannotBeWatched) {
  EventLoop loop;
  const auto protocol = std::make_shared<Recorder>();
  UniqueFd null(::open("/dev/null", O_WRONLY));
  const auto transport =
      finish(loop,
             connect_write_pipe([&] { return protocol; }, std::move(null)))
          .transport;
  transport->write(std::string(100'000, 'x'));
  transport->write("y");
  transport->close();
  ASSERT_TRUE(run_until(loop, [&] { return protocol->losses > 0; }));
  EXPECT_EQ(protocol->error, nullptr);
}

// Each call fails once: the operation throws, or the protocol is told, and
// nothing is left.
TEST(ConnectPipe, AnyCallMayFail) {
  for (const bool reads : {true, false}) {
    for (const KernelCall call : {KernelCall::kFstat, KernelCall::kSetBlocking,
                                  KernelCall::kEpollAdd}) {
      ScriptedKernel kernel;
      EventLoop loop(LoopOptions().kernel(kernel));
      const Reports reports(loop);
      auto [theirs, mine] = pipe_of(kernel);
      if (reads) std::swap(theirs, mine);
      const auto protocol = std::make_shared<Recorder>();
      const auto factory = [&] { return protocol; };
      kernel.fail(call, ENOMEM);
      const std::string thrown = thrown_by([&] {
        if (reads) {
          finish(loop, connect_read_pipe(factory, std::move(mine)));
        } else {
          finish(loop, connect_write_pipe(factory, std::move(mine)));
        }
      });
      EXPECT_TRUE(thrown.ends_with("Cannot allocate memory")) << thrown;
      EXPECT_EQ(kernel.failures(), 1u);
      run_passes(loop, 2);
      theirs.reset();
      EXPECT_EQ(protocol->calls, call == KernelCall::kEpollAdd
                                     ? (Calls{"made", "lost"})
                                     : Calls());
      loop.close();
      EXPECT_EQ(kernel.open_descriptors(), std::vector<int>());
      EXPECT_EQ(kernel.ledger_errors(), Calls());
    }
  }
}

TEST(ConnectPipe, WhatConnectionMadeThrowsIsThrown) {
  EventLoop loop;
  const Reports reports(loop);
  auto [theirs, mine] = pipe_of(linux_kernel());
  const auto protocol = std::make_shared<Recorder>();
  protocol->on_made = [] { throw std::runtime_error("boom"); };
  EXPECT_EQ(thrown_by([&, &pipe = mine] {
              finish(loop, connect_write_pipe([&] { return protocol; },
                                              std::move(pipe)));
            }),
            "std::runtime_error: boom");
  run_passes(loop, 3);
  EXPECT_EQ(protocol->calls, (Calls{"made", "lost"}));
}

TEST(ConnectPipe, SystemExitOutOfConnectionMadeLeavesTheLoopAndItIsOpen) {
  EventLoop loop;
  auto [mine, theirs] = pipe_of(linux_kernel());
  const auto protocol = std::make_shared<Recorder>();
  protocol->on_made = [] { throw SystemExit(3); };
  auto task =
      connect_read_pipe([&] { return protocol; }, std::move(mine)).start(loop);
  EXPECT_THROW(run_until(loop, [] { return false; }), SystemExit);
  ASSERT_TRUE(run_until(loop, [&] { return task.done(); }));
  EXPECT_EQ(task.exception(), nullptr);
  write_text(theirs.get(), "x");
  theirs.reset();
  ASSERT_TRUE(run_until(loop, [&] { return protocol->losses > 0; }));
  EXPECT_EQ(protocol->received, "x");
}

TEST(ConnectPipe, WhatConnectionLostThrowsIsReported) {
  ReadPipe pair;
  pair.protocol->on_lost = [] { throw 42; };
  pair.transport->close();
  ASSERT_TRUE(pair.run_to_end());
  ASSERT_EQ(pair.reports.messages.size(), 1u);
  EXPECT_TRUE(pair.reports.messages[0].starts_with(
      "Exception in callback _UnixPipeTransport._call_connection_lost()"))
      << pair.reports.messages[0];
}

TEST(ConnectPipe, CancelledItClosesThePipe) {
  ScriptedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  auto [mine, theirs] = pipe_of(kernel);
  const auto protocol = std::make_shared<Recorder>();
  auto task =
      connect_read_pipe([&] { return protocol; }, std::move(mine)).start(loop);
  task.cancel();
  EXPECT_TRUE(run_until(loop, [&] { return task.done(); }));
  EXPECT_TRUE(task.cancelled());
  run_passes(loop, 3);
  theirs.reset();
  EXPECT_EQ(protocol->calls, (Calls{"made", "lost"}));
  EXPECT_EQ(kernel.open_descriptors().size(), 2u);  // the loop's own
}

TEST(ConnectPipe, ALoopThatIsClosedKeepsNothing) {
  ReadPipe reading;
  WritePipe writing;
  writing.fill_up(1);
  std::weak_ptr<Transport> gone = reading.transport;
  reading.transport.reset();
  EXPECT_FALSE(gone.expired());  // it is the loop's
  reading.loop.close();
  writing.loop.close();
  EXPECT_TRUE(gone.expired());
  EXPECT_EQ(reading.protocol->losses + writing.protocol->losses, 0);
}

TEST(ConnectPipe, SaysWhatItIs) {
  ReadPipe reading;
  const std::string number = std::to_string(reading.transport->fd());
  EXPECT_EQ(to_string(*reading.transport),
            "<_UnixReadPipeTransport fd=" + number + " polling>");
  EXPECT_EQ(reading.transport->get_extra_info("pipe"), number);
  EXPECT_EQ(reading.transport->get_extra_info("peername"), "None");
  EXPECT_EQ(to_string(reading.transport->peername()),
            to_string(reading.transport->sockname()));
  reading.transport->close();
  EXPECT_EQ(to_string(*reading.transport),
            "<_UnixReadPipeTransport closing fd=" + number + " idle>");
  ASSERT_TRUE(reading.run_to_end());
  EXPECT_EQ(to_string(*reading.transport),
            "<_UnixReadPipeTransport closed fd=-1 closed>");
  EXPECT_EQ(reading.transport->get_extra_info("pipe", "gone"), "gone");

  WritePipe writing;
  EXPECT_EQ(to_string(*writing.transport),
            "<_UnixWritePipeTransport fd=" +
                std::to_string(writing.transport->fd()) + " idle bufsize=0>");
}

TEST(ConnectPipe, AMessageAllocatesNothing) {
  ReadPipe reading;
  WritePipe writing;
  const std::string text = "a message of some forty bytes, or nearly so";
  reading.protocol->on_data = [&](std::string_view data) {
    reading.protocol->received.clear();
    reading.protocol->calls.clear();
    writing.transport->write(data);
  };
  const auto message = [&] {
    write_text(reading.peer.get(), text);
    while (reading.protocol->received.empty()) run_one_pass(reading.loop);
    reading.protocol->received.clear();
    run_one_pass(writing.loop);
    char memory[64];
    EXPECT_EQ(::read(writing.peer.get(), memory, sizeof memory),
              static_cast<ssize_t>(text.size()));
  };
  reading.protocol->received.reserve(1000);
  reading.protocol->on_data = [&](std::string_view data) {
    reading.protocol->calls.clear();
    writing.transport->write(data);
  };
  for (int count = 0; count < 10; ++count) message();
  EXPECT_EQ(allocations_of([&] {
              for (int count = 0; count < 100; ++count) message();
            }),
            0u);
}

}  // namespace
}  // namespace rondo
