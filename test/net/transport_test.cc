// SPDX-License-Identifier: MIT
#include "net/transport.h"

#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <limits>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reactor/snapshot.h"
#include "test/net/transport_pair.h"
#include "test/support/allocation.h"
#include "test/support/log_capture.h"

namespace rondo {
namespace {

using test::BufferedRecorder;
using test::Calls;
using test::connect;
using test::connected_pair;
using test::errno_of;
using test::Recorder;
using test::thrown_by;
using test::TransportPair;

constexpr std::size_t kLarge = 16 * 1024;  // what is not gathered any more

/// Whether the peer has seen the end of the stream.
bool at_end(int fd) {
  char byte;
  return ::recv(fd, &byte, 1, MSG_PEEK) == 0;
}

TEST(Transport, CallsItsProtocolInOrder) {
  TransportPair pair;
  EXPECT_EQ(pair.protocol->calls, Calls{"made"});
  EXPECT_EQ(pair.protocol->transport, pair.transport.get());
  write_text(pair.peer.get(), "hello");
  EXPECT_TRUE(
      run_until(pair.loop, [&] { return pair.protocol->received == "hello"; }));
  pair.peer.reset();
  EXPECT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.protocol->calls, (Calls{"made", "data", "eof", "lost"}));
  EXPECT_EQ(pair.protocol->error, nullptr);
  EXPECT_EQ(pair.reports.messages, Calls());
}

// -- when what is written leaves ----------------------------------------------

TEST(Transport, SendsTheSmallWritesOfOnePassTogether) {
  TransportPair pair;
  std::uint64_t between = 0;
  pair.loop.call_soon([&] {
    pair.transport->write("one ");
    pair.transport->write("two ");
  });
  pair.loop.call_soon([&] {
    between = pair.sends();
    pair.transport->write("three");
  });
  run_one_pass(pair.loop);
  EXPECT_EQ(between, 0u);
  EXPECT_EQ(pair.sends(), 1u);
  EXPECT_EQ(read_text(pair.peer.get()), "one two three");
}

TEST(Transport, SendsTheWritesOfDataReceivedWhenItReturns) {
  TransportPair pair;
  std::uint64_t inside = 0;
  std::uint64_t after = 0;
  pair.protocol->on_data = [&](std::string_view) {
    pair.transport->write("one ");
    pair.transport->write("two");
    inside = pair.sends();
    // A timer that is due runs behind the events of the same pass.
  };
  pair.loop.call_later(0, [&] { after = pair.sends(); });
  write_text(pair.peer.get(), "?");
  run_one_pass(pair.loop);
  EXPECT_EQ(inside, 0u);
  EXPECT_EQ(after, 1u);
  EXPECT_EQ(read_text(pair.peer.get()), "one two");
}

TEST(Transport, SendsALargeWriteAtOnce) {
  TransportPair pair;
  pair.transport->write(std::string(kLarge - 1, 'a'));
  EXPECT_EQ(pair.sends(), 0u);
  pair.transport->write("");
  EXPECT_EQ(pair.sends(), 0u);
  EXPECT_EQ(pair.transport->get_write_buffer_size(), 0u);
  EXPECT_EQ(pair.sends(), 1u);
  pair.transport->write(std::string(kLarge, 'b'));
  EXPECT_EQ(pair.sends(), 2u);
  EXPECT_EQ(pair.kernel.calls(KernelCall::kSendmsg), 0u);
  EXPECT_EQ(read_text(pair.peer.get()),
            std::string(kLarge - 1, 'a') + std::string(kLarge, 'b'));
}

TEST(Transport, SendsWhatWaitsTogetherWithALargeWrite) {
  TransportPair pair;
  pair.transport->write("head ");
  pair.transport->write(std::string(kLarge, 'b'));
  EXPECT_EQ(pair.kernel.calls(KernelCall::kSend), 0u);
  EXPECT_EQ(pair.kernel.calls(KernelCall::kSendmsg), 1u);
  EXPECT_EQ(read_text(pair.peer.get()), "head " + std::string(kLarge, 'b'));
  run_passes(pair.loop, 2);
  EXPECT_EQ(pair.sends(), 1u);
}

TEST(Transport, SendsSmallWritesAtOnceWhenTheyAreManyTogether) {
  TransportPair pair;
  const std::string piece(1000, 'p');
  for (int count = 0; count < 16; ++count) pair.transport->write(piece);
  EXPECT_EQ(pair.sends(), 0u);
  pair.transport->write(piece);  // 17,000 bytes
  EXPECT_EQ(pair.sends(), 1u);
  EXPECT_EQ(read_text(pair.peer.get()), std::string(17000, 'p'));
}

TEST(Transport, SendsWhatWasWrittenBeforeTheLoopRuns) {
  TransportPair pair;
  pair.transport->write("early");
  EXPECT_EQ(pair.sends(), 0u);
  run_one_pass(pair.loop);
  EXPECT_EQ(read_text(pair.peer.get()), "early");
}

TEST(Transport, SendsWhatWasWrittenBeforeClose) {
  TransportPair pair;
  pair.transport->write("the end");
  pair.transport->close();
  EXPECT_TRUE(pair.transport->is_closing());
  EXPECT_FALSE(pair.transport->is_reading());
  pair.transport->close();
  EXPECT_EQ(pair.protocol->losses, 0);
  EXPECT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.protocol->error, nullptr);
  EXPECT_EQ(read_text(pair.peer.get()), "the end");
  EXPECT_TRUE(at_end(pair.peer.get()));
}

TEST(Transport, ClosesWhenTheKernelHasTakenAll) {
  TransportPair pair;
  pair.block();
  const std::string much(100'000, 'm');
  pair.transport->write(much);
  pair.transport->close();
  run_passes(pair.loop, 5);
  EXPECT_EQ(pair.protocol->losses, 0);
  // As asyncio's, it takes more while it has not come to the end.
  pair.transport->write("more");
  pair.kernel.stop_failing();
  EXPECT_EQ(pair.read(much.size() + 4), much + "more");
  EXPECT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.protocol->calls, (Calls{"made", "pause", "resume", "lost"}));
}

TEST(Transport, WritesLinesOneBehindTheOther) {
  TransportPair pair;
  const std::array<std::string_view, 3> pieces = {"a", "", "bc"};
  pair.transport->writelines(pieces);
  run_one_pass(pair.loop);
  EXPECT_EQ(pair.sends(), 1u);
  EXPECT_EQ(read_text(pair.peer.get()), "abc");
}

TEST(Transport, EchoesWithoutAllocationAndWithoutEpollCtl) {
  TransportPair pair;
  pair.protocol->on_data = [&](std::string_view data) {
    pair.transport->write(data);
    pair.protocol->received.clear();
    pair.protocol->calls.clear();
  };
  const auto echo = [&] {
    const char message[100] = "hello";
    char answer[200];
    ASSERT_EQ(::send(pair.peer.get(), message, sizeof message, 0), 100);
    run_one_pass(pair.loop);
    ASSERT_EQ(::recv(pair.peer.get(), answer, sizeof answer, 0), 100);
  };
  for (int count = 0; count < 10; ++count) echo();
  const auto calls = [&] {
    return pair.kernel.calls(KernelCall::kEpollModify) +
           pair.kernel.calls(KernelCall::kEpollAdd) +
           pair.kernel.calls(KernelCall::kEpollRemove);
  };
  const std::uint64_t ctl_before = calls();
  const std::uint64_t recv_before = pair.kernel.calls(KernelCall::kRecv);
  const std::uint64_t sends_before = pair.sends();
  const auto made = test::allocations_of([&] {
    for (int count = 0; count < 10; ++count) echo();
  });
  EXPECT_EQ(made, 0u);
  EXPECT_EQ(calls(), ctl_before);
  EXPECT_EQ(pair.kernel.calls(KernelCall::kRecv) - recv_before, 10u);
  EXPECT_EQ(pair.sends() - sends_before, 10u);
}

// -- water marks --------------------------------------------------------------

TEST(Transport, PausesAboveTheHighMarkAndResumesAtTheLowOne) {
  TransportPair pair;
  const Calls& calls = pair.protocol->calls;
  pair.transport->set_write_buffer_limits(100, 40);
  pair.block();
  pair.transport->write("x");
  EXPECT_EQ(pair.transport->get_write_buffer_size(), 1u);
  pair.transport->write(std::string(99, 'x'));
  EXPECT_EQ(calls, Calls{"made"});  // 100 are not more than 100
  pair.transport->write("x");
  EXPECT_EQ(calls, (Calls{"made", "pause"}));
  pair.transport->write("x");
  EXPECT_EQ(calls, (Calls{"made", "pause"}));
  EXPECT_EQ(pair.transport->get_write_buffer_size(), 102u);
  pair.kernel.stop_failing();
  pair.kernel.shorten(KernelCall::kSend, 61);
  run_one_pass(pair.loop);
  EXPECT_EQ(pair.transport->get_write_buffer_size(), 41u);
  EXPECT_EQ(calls, (Calls{"made", "pause"}));
  pair.kernel.shorten(KernelCall::kSend, 1);
  run_one_pass(pair.loop);
  EXPECT_EQ(pair.transport->get_write_buffer_size(), 40u);
  EXPECT_EQ(calls, (Calls{"made", "pause", "resume"}));
  pair.kernel.shorten(KernelCall::kSend, 0);
  EXPECT_EQ(pair.read(102), std::string(102, 'x'));
  run_passes(pair.loop, 3);
  EXPECT_EQ(calls, (Calls{"made", "pause", "resume"}));
}

TEST(Transport, DoesNotPauseForWhatTheKernelTakes) {
  TransportPair pair;
  pair.transport->set_write_buffer_limits(0);
  pair.transport->write("small");
  pair.transport->write(std::string(kLarge, 'x'));
  pair.transport->write("small");
  // The limits hold for what the kernel has not taken.
  pair.transport->set_write_buffer_limits(0);
  run_passes(pair.loop, 3);
  EXPECT_EQ(pair.protocol->calls, Calls{"made"});
}

TEST(Transport, PausesWhenALargeWriteLeavesARest) {
  TransportPair pair;
  pair.kernel.shorten(KernelCall::kSend, 1000);
  pair.transport->write(std::string(1000 + 64 * 1024, 'x'));
  EXPECT_EQ(pair.protocol->calls, Calls{"made"});
  pair.transport->write("x");
  EXPECT_EQ(pair.protocol->calls, (Calls{"made", "pause"}));
}

TEST(Transport, PausesWhenTheGatheredWritesDoNotLeave) {
  TransportPair pair;
  pair.transport->set_write_buffer_limits(3);
  pair.block();
  pair.transport->write("four");
  EXPECT_EQ(pair.protocol->calls, Calls{"made"});
  run_one_pass(pair.loop);
  EXPECT_EQ(pair.protocol->calls, (Calls{"made", "pause"}));
}

TEST(Transport, PausesWhenTheMarkSinksBelowTheBuffer) {
  TransportPair pair;
  pair.block();
  pair.transport->write("0123456789");
  pair.transport->set_write_buffer_limits(10);
  EXPECT_EQ(pair.protocol->calls, Calls{"made"});
  pair.transport->set_write_buffer_limits(9);
  EXPECT_EQ(pair.protocol->calls, (Calls{"made", "pause"}));
  // asyncio does not resume for a higher mark either; the low one counts.
  pair.transport->set_write_buffer_limits(1000, 1000);
  EXPECT_EQ(pair.protocol->calls, (Calls{"made", "pause"}));
  pair.kernel.stop_failing();
  EXPECT_EQ(pair.read(10), "0123456789");
  EXPECT_EQ(pair.protocol->calls, (Calls{"made", "pause", "resume"}));
}

TEST(Transport, DerivesALimitThatIsNotGivenFromTheOther) {
  TransportPair pair;
  Transport& t = *pair.transport;
  const auto limits = [&] {
    const WriteBufferLimits now = t.get_write_buffer_limits();
    return std::pair(now.low, now.high);
  };
  using Limits = std::pair<std::size_t, std::size_t>;
  EXPECT_EQ(limits(), Limits(16384, 65536));
  t.set_write_buffer_limits(100);
  EXPECT_EQ(limits(), Limits(25, 100));
  t.set_write_buffer_limits(std::nullopt, 100);
  EXPECT_EQ(limits(), Limits(100, 400));
  t.set_write_buffer_limits(7, 7);
  EXPECT_EQ(limits(), Limits(7, 7));
  EXPECT_EQ(thrown_by([&] { t.set_write_buffer_limits(7, 8); }),
            "std::invalid_argument: high (7) must be >= low (8) must be >= 0");
  EXPECT_EQ(limits(), Limits(7, 7));
  t.set_write_buffer_limits(0);
  EXPECT_EQ(limits(), Limits(0, 0));
  t.set_write_buffer_limits();
  EXPECT_EQ(limits(), Limits(16384, 65536));
  const std::size_t most = std::numeric_limits<std::size_t>::max();
  t.set_write_buffer_limits(std::nullopt, most / 2);
  EXPECT_EQ(limits(), Limits(most / 2, most));
}

TEST(Transport, TakesMoreInResumeWriting) {
  TransportPair pair;
  pair.protocol->on_resume = [&] {
    if (pair.protocol->calls.size() < 10) {
      pair.transport->write(std::string(70'000, 'y'));
    }
  };
  pair.block();
  pair.transport->write(std::string(70'000, 'x'));
  pair.kernel.stop_failing();
  pair.kernel.shorten(KernelCall::kSend, 30'000);
  const std::string text = pair.read(5 * 70'000);
  EXPECT_EQ(text, std::string(70'000, 'x') + std::string(280'000, 'y'));
  EXPECT_EQ(pair.protocol->calls,
            (Calls{"made", "pause", "resume", "pause", "resume", "pause",
                   "resume", "pause", "resume", "pause", "resume"}));
}

TEST(Transport, MayBeClosedInResumeWriting) {
  for (const bool abort : {false, true}) {
    TransportPair pair;
    const int fd = pair.transport->fd();
    pair.transport->set_write_buffer_limits(0);
    pair.protocol->on_resume = [&] {
      abort ? pair.transport->abort() : pair.transport->close();
    };
    pair.block();
    pair.transport->write("x");
    run_one_pass(pair.loop);
    pair.kernel.stop_failing();
    ASSERT_TRUE(pair.run_to_end());
    EXPECT_EQ(pair.protocol->error, nullptr);
    // The loop has forgotten the descriptor, which others may have now.
    EXPECT_EQ(pair.loop.snapshot().descriptors.size(), 0u);
    EXPECT_FALSE(pair.loop.remove_writer(fd));
    EXPECT_EQ(read_text(pair.peer.get()), "x");
  }
}

TEST(Transport, MayBeUsedInPauseWriting) {
  using Use = void (*)(Transport&);
  for (const Use use : {Use([](Transport& t) { t.abort(); }),
                        Use([](Transport& t) { t.close(); }),
                        Use([](Transport& t) { t.write_eof(); }),
                        Use([](Transport& t) { t.write("more"); })}) {
    for (const Use trigger :
         {Use([](Transport& t) { t.get_write_buffer_size(); }),
          Use([](Transport& t) { t.close(); }),
          Use([](Transport& t) { t.write_eof(); }),
          Use([](Transport& t) { t.write(std::string(kLarge, 'l')); })}) {
      TransportPair pair;
      pair.transport->set_write_buffer_limits(0);
      pair.protocol->on_pause = [&] { use(*pair.transport); };
      pair.block();
      pair.transport->write("x");
      trigger(*pair.transport);
      pair.kernel.stop_failing();
      pair.transport->close();
      EXPECT_TRUE(run_until(pair.loop, [&] {
        read_text(pair.peer.get());
        return pair.protocol->losses > 0;
      }));
      run_passes(pair.loop, 2);
      EXPECT_EQ(pair.protocol->losses, 1);
      EXPECT_EQ(pair.loop.snapshot().descriptors.size(), 0u);
    }
  }
}

TEST(Transport, TellsOfWhatPauseAndResumeWritingThrow) {
  TransportPair pair;
  pair.transport->set_write_buffer_limits(0);
  pair.protocol->on_pause = [] { throw std::runtime_error("no"); };
  pair.protocol->on_resume = [] { throw 42; };
  pair.block();
  pair.transport->write("x");
  run_one_pass(pair.loop);
  pair.kernel.stop_failing();
  EXPECT_EQ(pair.read(1), "x");
  EXPECT_EQ(pair.reports.messages, (Calls{"protocol.pause_writing() failed",
                                          "protocol.resume_writing() failed"}));
  EXPECT_FALSE(pair.transport->is_closing());
}

TEST(Transport, AbortsAWriteBeyondTheCap) {
  TransportPair pair;
  pair.transport->set_write_buffer_cap(100);
  pair.block();
  pair.transport->write(std::string(60, 'x'));
  EXPECT_EQ(pair.transport->get_write_buffer_size(), 60u);
  pair.transport->write(std::string(40, 'x'));
  EXPECT_FALSE(pair.transport->is_closing());
  pair.transport->write("x");
  EXPECT_TRUE(pair.transport->is_closing());
  EXPECT_EQ(pair.transport->get_write_buffer_size(), 0u);
  EXPECT_TRUE(pair.run_to_end());
  EXPECT_EQ(errno_of(pair.protocol->error), ENOBUFS);
}

TEST(Transport, AbortsGatheredWritesBeyondTheCap) {
  TransportPair pair;
  pair.transport->set_write_buffer_cap(5);
  pair.transport->write("0123456789");  // the kernel takes it
  run_one_pass(pair.loop);
  EXPECT_FALSE(pair.transport->is_closing());
  pair.block();
  pair.transport->write("0123456789");
  EXPECT_TRUE(pair.run_to_end());
  EXPECT_EQ(errno_of(pair.protocol->error), ENOBUFS);
}

TEST(Transport, HandsOverWhatWaitsBeforeItTellsHowMuchThatIs) {
  TransportPair pair;
  pair.transport->write("hello");
  EXPECT_EQ(pair.transport->get_write_buffer_size(), 0u);
  EXPECT_EQ(read_text(pair.peer.get()), "hello");
  pair.kernel.shorten(KernelCall::kSend, 2);
  pair.transport->write("hello");
  EXPECT_EQ(pair.transport->get_write_buffer_size(), 3u);
  EXPECT_EQ(pair.transport->get_write_buffer_size(), 3u);  // it is full
}

// -- the end ------------------------------------------------------------------

TEST(Transport, DropsWhatIsWrittenAfterTheEnd) {
  const LogCapture captured;
  TransportPair pair;
  pair.transport->close();
  for (int count = 0; count < 4; ++count) pair.transport->write("lost");
  EXPECT_EQ(captured.lines(), Calls());
  pair.transport->write("lost");
  // asyncio's words, from the fifth on.
  EXPECT_EQ(captured.lines(),
            Calls{"warning: socket.send() raised exception."});
  EXPECT_TRUE(pair.run_to_end());
  pair.transport->write("lost");
  EXPECT_EQ(captured.lines().size(), 2u);
  EXPECT_EQ(pair.transport->get_write_buffer_size(), 0u);
  EXPECT_EQ(read_text(pair.peer.get()), "");
  EXPECT_EQ(pair.sends(), 0u);
}

TEST(Transport, LosesWhatWaitsInAnAbort) {
  TransportPair pair;
  pair.transport->write("gone");
  pair.transport->abort();
  EXPECT_TRUE(pair.transport->is_closing());
  EXPECT_EQ(pair.protocol->losses, 0);
  EXPECT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.protocol->error, nullptr);
  EXPECT_EQ(read_text(pair.peer.get()), "");
  EXPECT_TRUE(at_end(pair.peer.get()));
}

TEST(Transport, MayBeAbortedWhileItCloses) {
  TransportPair pair;
  pair.block();
  pair.transport->write(std::string(kLarge, 'x'));
  pair.transport->close();
  run_passes(pair.loop, 2);
  EXPECT_EQ(pair.protocol->losses, 0);
  pair.transport->abort();
  EXPECT_TRUE(pair.run_to_end());
  pair.transport->abort();
  run_passes(pair.loop, 2);
  EXPECT_EQ(pair.protocol->losses, 1);
}

TEST(Transport, MayEndBeforeThePassInWhichItWasToSend) {
  // Nobody keeps it, and the end of the pass has it in its list.
  for (const bool abort : {false, true}) {
    TransportPair pair;
    pair.transport->write("x");
    abort ? pair.transport->abort() : pair.transport->close();
    const std::weak_ptr<Transport> gone = pair.transport;
    pair.transport.reset();
    run_passes(pair.loop, 3);
    EXPECT_EQ(pair.protocol->losses, 1);
    EXPECT_TRUE(gone.expired());
    EXPECT_EQ(read_text(pair.peer.get()), abort ? "" : "x");
  }
}

TEST(Transport, CanBeAskedAfterItsEnd) {
  TransportPair pair;
  const Address name = pair.transport->sockname();
  EXPECT_EQ(name.family(), AF_UNIX);
  pair.transport->close();
  EXPECT_TRUE(pair.run_to_end());
  Transport& t = *pair.transport;
  EXPECT_TRUE(t.is_closing());
  EXPECT_FALSE(t.is_reading());
  EXPECT_EQ(t.fd(), -1);
  EXPECT_EQ(t.get_protocol(), nullptr);
  EXPECT_EQ(t.sockname(), name);
  EXPECT_EQ(t.peername().family(), AF_UNIX);
  EXPECT_EQ(&t.loop(), &pair.loop);
  t.close();
  t.abort();
  t.pause_reading();
  t.resume_reading();
  t.write_eof();
  t.set_write_buffer_limits(1);
  t.set_write_buffer_cap(1);
  t.set_protocol(std::make_shared<Recorder>());
  EXPECT_EQ(t.get_protocol(), nullptr);
  EXPECT_EQ(t.get_write_buffer_size(), 0u);
  run_passes(pair.loop, 3);
  EXPECT_EQ(pair.protocol->calls, (Calls{"made", "lost"}));
}

TEST(Transport, IsGoneWhenNobodyKeepsItAfterItsEnd) {
  TransportPair pair;
  const std::weak_ptr<Transport> transport = pair.transport;
  const std::weak_ptr<Recorder> protocol = pair.protocol;
  pair.transport->close();
  pair.transport.reset();
  pair.protocol.reset();
  EXPECT_FALSE(transport.expired());
  run_passes(pair.loop, 3);
  EXPECT_TRUE(transport.expired());
  EXPECT_TRUE(protocol.expired());
}

TEST(Transport, EndsSilentlyWithItsLoop) {
  TransportPair pair;
  pair.block();
  pair.transport->write(std::string(100'000, 'x'));
  pair.loop.close();
  EXPECT_EQ(pair.transport->fd(), -1);
  EXPECT_TRUE(pair.transport->is_closing());
  EXPECT_EQ(pair.transport->get_protocol(), nullptr);
  EXPECT_EQ(pair.transport->get_write_buffer_size(), 0u);
  pair.transport->write("x");
  pair.transport->close();
  pair.transport->abort();
  EXPECT_EQ(pair.protocol->losses, 0);  // nothing can be called any more
  EXPECT_EQ(pair.protocol.use_count(), 1);
}

// -- half close ---------------------------------------------------------------

TEST(Transport, GoesOnReadingAfterWriteEof) {
  TransportPair pair;
  EXPECT_TRUE(pair.transport->can_write_eof());
  pair.transport->write("all");
  pair.transport->write_eof();
  pair.transport->write_eof();
  EXPECT_EQ(read_text(pair.peer.get()), "all");
  EXPECT_TRUE(at_end(pair.peer.get()));
  EXPECT_EQ(thrown_by([&] { pair.transport->write("more"); }),
            "rondo::RuntimeError: Cannot call write() after write_eof()");
  EXPECT_THROW(pair.transport->write(""), RuntimeError);
  EXPECT_FALSE(pair.transport->is_closing());
  write_text(pair.peer.get(), "answer");
  EXPECT_TRUE(run_until(pair.loop,
                        [&] { return pair.protocol->received == "answer"; }));
  pair.peer.reset();
  EXPECT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.protocol->calls, (Calls{"made", "data", "eof", "lost"}));
  EXPECT_EQ(pair.protocol->error, nullptr);
}

TEST(Transport, SendsWhatWaitsBeforeTheEndOfTheStream) {
  TransportPair pair;
  pair.block();
  pair.transport->write(std::string(50'000, 'x'));
  pair.transport->write_eof();
  run_passes(pair.loop, 2);
  EXPECT_FALSE(at_end(pair.peer.get()));
  pair.kernel.stop_failing();
  EXPECT_EQ(pair.read(50'000), std::string(50'000, 'x'));
  EXPECT_TRUE(run_until(pair.loop, [&] { return at_end(pair.peer.get()); }));
  EXPECT_EQ(pair.protocol->losses, 0);
}

TEST(Transport, DoesNothingInWriteEofAfterClose) {
  TransportPair pair;
  pair.transport->close();
  pair.transport->write_eof();
  EXPECT_EQ(pair.kernel.calls(KernelCall::kShutdown), 0u);
  pair.transport->write("dropped, not refused");
  EXPECT_TRUE(pair.run_to_end());
}

TEST(Transport, GoesOnWritingIfEofReceivedSaysSo) {
  TransportPair pair;
  pair.protocol->on_eof = [&] {
    pair.transport->write("I have heard. ");
    return true;
  };
  ::shutdown(pair.peer.get(), SHUT_WR);
  EXPECT_EQ(pair.read(14), "I have heard. ");
  EXPECT_FALSE(pair.transport->is_closing());
  // What is at its end is not watched any more: the loop does not spin.
  EXPECT_EQ(pair.loop.snapshot().descriptors.size(), 0u);
  pair.transport->pause_reading();
  pair.transport->resume_reading();
  EXPECT_EQ(pair.loop.snapshot().descriptors.size(), 0u);
  run_passes(pair.loop, 3);
  pair.transport->write("Bye.");
  pair.transport->close();
  EXPECT_TRUE(pair.run_to_end());
  EXPECT_EQ(read_text(pair.peer.get()), "Bye.");
  EXPECT_EQ(pair.protocol->calls, (Calls{"made", "eof", "lost"}));
}

TEST(Transport, SendsWhatEofReceivedHasWrittenIfItCloses) {
  TransportPair pair;
  pair.protocol->on_eof = [&] {
    pair.transport->write("Bye.");
    return false;
  };
  ::shutdown(pair.peer.get(), SHUT_WR);
  EXPECT_TRUE(pair.run_to_end());
  EXPECT_EQ(read_text(pair.peer.get()), "Bye.");
}

// -- pausing ------------------------------------------------------------------

TEST(Transport, ReadsNothingWhilePaused) {
  TransportPair pair;
  EXPECT_TRUE(pair.transport->is_reading());
  pair.transport->pause_reading();
  pair.transport->pause_reading();
  EXPECT_FALSE(pair.transport->is_reading());
  write_text(pair.peer.get(), "wait");
  run_passes(pair.loop, 3);
  EXPECT_EQ(pair.protocol->received, "");
  pair.transport->resume_reading();
  pair.transport->resume_reading();
  EXPECT_TRUE(pair.transport->is_reading());
  run_one_pass(pair.loop);
  EXPECT_EQ(pair.protocol->received, "wait");
}

TEST(Transport, DoesNotSeeTheEndWhilePaused) {
  TransportPair pair;
  pair.transport->pause_reading();
  write_text(pair.peer.get(), "last words");
  pair.peer.reset();
  run_passes(pair.loop, 5);
  EXPECT_EQ(pair.protocol->calls, Calls{"made"});
  pair.transport->resume_reading();
  EXPECT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.protocol->received, "last words");
  EXPECT_EQ(pair.protocol->calls, (Calls{"made", "data", "eof", "lost"}));
}

TEST(Transport, MayBePausedInEachCallback) {
  const auto protocol = std::make_shared<Recorder>();
  protocol->on_made = [&] { protocol->transport->pause_reading(); };
  TransportPair pair(protocol);
  write_text(pair.peer.get(), "one");
  run_passes(pair.loop, 3);
  EXPECT_EQ(protocol->received, "");
  protocol->on_data = [&](std::string_view) {
    protocol->transport->pause_reading();
  };
  pair.transport->resume_reading();
  run_one_pass(pair.loop);
  write_text(pair.peer.get(), "two");
  run_passes(pair.loop, 3);
  EXPECT_EQ(protocol->received, "one");
  EXPECT_FALSE(pair.transport->is_reading());
  protocol->on_data = nullptr;
  pair.transport->resume_reading();
  run_one_pass(pair.loop);
  EXPECT_EQ(protocol->received, "onetwo");
}

TEST(Transport, MayBePausedAndResumedInConnectionMade) {
  const auto protocol = std::make_shared<Recorder>();
  protocol->on_made = [&] {
    protocol->transport->pause_reading();
    protocol->transport->resume_reading();
  };
  TransportPair pair(protocol);
  write_text(pair.peer.get(), "x");
  run_passes(pair.loop, 2);
  EXPECT_EQ(protocol->received, "x");
}

TEST(Transport, MayBeClosedInConnectionMade) {
  for (const bool abort : {false, true}) {
    const auto protocol = std::make_shared<Recorder>();
    protocol->on_made = [&] {
      protocol->transport->write("hello");
      abort ? protocol->transport->abort() : protocol->transport->close();
    };
    TransportPair pair(protocol);
    EXPECT_TRUE(pair.run_to_end());
    EXPECT_EQ(protocol->calls, (Calls{"made", "lost"}));
    EXPECT_EQ(read_text(pair.peer.get()), abort ? "" : "hello");
  }
}

TEST(Transport, CannotBeResumedOnceItCloses) {
  TransportPair pair;
  pair.transport->pause_reading();
  pair.transport->close();
  pair.transport->resume_reading();
  EXPECT_FALSE(pair.transport->is_reading());
  write_text(pair.peer.get(), "late");
  EXPECT_TRUE(pair.run_to_end());
  EXPECT_EQ(pair.protocol->received, "");
}

// -- protocols ----------------------------------------------------------------

TEST(Transport, ReadsIntoTheBufferOfABufferedProtocol) {
  const auto buffered = std::make_shared<BufferedRecorder>();
  TransportPair pair(buffered);
  write_text(pair.peer.get(), "0123456789");
  EXPECT_TRUE(
      run_until(pair.loop, [&] { return buffered->received == "0123456789"; }));
  EXPECT_EQ(buffered->calls, (Calls{"made", "data", "data", "data"}));
  EXPECT_EQ(buffered->hints.at(0), 256u * 1024);
  buffered->on_eof = [&] {
    pair.transport->write("bye");
    return false;
  };
  ::shutdown(pair.peer.get(), SHUT_WR);
  EXPECT_TRUE(run_until(pair.loop, [&] { return buffered->losses > 0; }));
  EXPECT_EQ(read_text(pair.peer.get()), "bye");
  EXPECT_EQ(buffered->calls.back(), "lost");
  EXPECT_EQ(buffered->error, nullptr);
}

TEST(Transport, FailsIfABufferedProtocolHasNoRoom) {
  const auto buffered = std::make_shared<BufferedRecorder>();
  buffered->size = 0;
  TransportPair pair(buffered);
  write_text(pair.peer.get(), "x");
  EXPECT_TRUE(run_until(pair.loop, [&] { return buffered->losses > 0; }));
  EXPECT_EQ(describe(buffered->error),
            "rondo::RuntimeError: get_buffer() returned an empty buffer");
  EXPECT_EQ(pair.reports.messages,
            Calls{"Fatal error: protocol.get_buffer() call failed."});
}

TEST(Transport, TakesAnotherProtocolInACallback) {
  TransportPair pair;
  const std::weak_ptr<Recorder> old = pair.protocol;
  const auto second = std::make_shared<Recorder>();
  const auto third = std::make_shared<BufferedRecorder>();
  pair.protocol->on_data = [&, self = pair.protocol.get()](std::string_view) {
    self->transport->set_protocol(second);
    self->calls.emplace_back("still there");
  };
  second->on_data = [&](std::string_view) {
    pair.transport->set_protocol(third);
  };
  pair.protocol.reset();  // the transport keeps it
  for (const char* text : {"1", "2", "3"}) {
    write_text(pair.peer.get(), text);
    run_one_pass(pair.loop);
  }
  EXPECT_TRUE(old.expired());
  EXPECT_EQ(second->received, "2");
  EXPECT_EQ(third->received, "3");
  EXPECT_EQ(second->calls, Calls{"data"});  // no second connection_made()
  EXPECT_EQ(pair.transport->get_protocol(), third);
  pair.transport->set_protocol(second);
  pair.transport->close();
  EXPECT_TRUE(run_until(pair.loop, [&] { return second->losses > 0; }));
  EXPECT_EQ(third->losses, 0);
}

TEST(Transport, TakesAnotherProtocolEvenInConnectionLost) {
  TransportPair pair;
  const auto second = std::make_shared<Recorder>();
  const std::weak_ptr<Recorder> old = pair.protocol;
  bool alive_behind = false;
  pair.protocol->on_lost = [&, self = pair.protocol.get()] {
    self->transport->set_protocol(second);
    alive_behind = !old.expired();
  };
  pair.protocol.reset();
  pair.transport->abort();
  run_passes(pair.loop, 3);
  EXPECT_TRUE(alive_behind);
  EXPECT_TRUE(old.expired());
  EXPECT_EQ(second->losses, 0);
  EXPECT_EQ(second.use_count(), 1);
}

TEST(Transport, RefusesWhatIsNoProtocol) {
  TransportPair pair;
  EXPECT_EQ(thrown_by([&] { pair.transport->set_protocol(nullptr); }),
            "std::invalid_argument: set_protocol: no protocol");
  EXPECT_EQ(thrown_by([&] {
              pair.transport->set_protocol(std::make_shared<BaseProtocol>());
            }),
            "std::invalid_argument: set_protocol: neither a Protocol nor a "
            "BufferedProtocol");
  EXPECT_EQ(pair.transport->get_protocol(), pair.protocol);
}

TEST(Transport, DoesNothingOfItsOwnForAnEmptyProtocol) {
  TransportPair pair;
  pair.transport->set_write_buffer_limits(0);
  pair.transport->set_protocol(std::make_shared<Protocol>());
  pair.block();
  pair.transport->write("x");
  run_one_pass(pair.loop);
  pair.kernel.stop_failing();
  EXPECT_EQ(pair.read(1), "x");
  write_text(pair.peer.get(), "ignored");
  run_passes(pair.loop, 2);
  EXPECT_FALSE(pair.transport->is_closing());
  ::shutdown(pair.peer.get(), SHUT_WR);
  EXPECT_TRUE(run_until(pair.loop, [&] { return pair.transport->fd() == -1; }));
}

// -- what it says of itself ---------------------------------------------------

TEST(Transport, DescribesItself) {
  TransportPair pair;
  const std::string fd = std::to_string(pair.transport->fd());
  EXPECT_EQ(to_string(*pair.transport),
            "<_SelectorSocketTransport fd=" + fd +
                " read=polling write=<idle, bufsize=0>>");
  pair.transport->pause_reading();
  pair.block();
  pair.transport->write("hello");
  run_one_pass(pair.loop);
  EXPECT_EQ(to_string(*pair.transport),
            "<_SelectorSocketTransport fd=" + fd +
                " read=idle write=<polling, bufsize=5>>");
  pair.transport->close();
  EXPECT_EQ(to_string(*pair.transport),
            "<_SelectorSocketTransport closing fd=" + fd +
                " read=idle write=<polling, bufsize=5>>");
  pair.transport->abort();
  EXPECT_TRUE(pair.run_to_end());
  EXPECT_EQ(to_string(*pair.transport),
            "<_SelectorSocketTransport closed fd=-1>");
}

TEST(Transport, GivesExtraInfoAsText) {
  TransportPair pair;
  Transport& t = *pair.transport;
  EXPECT_EQ(t.get_extra_info("peername"), "");  // a socket without a name
  EXPECT_EQ(t.get_extra_info("sockname"), "");
  EXPECT_EQ(t.get_extra_info("socket"), std::to_string(t.fd()));
  EXPECT_EQ(t.get_extra_info("cipher"), "None");
  EXPECT_EQ(t.get_extra_info("cipher", "no TLS"), "no TLS");
  t.abort();
  EXPECT_TRUE(pair.run_to_end());
  EXPECT_EQ(t.get_extra_info("socket"), "None");
}

TEST(Transport, HasNoNamesIfTheKernelDoesNotTell) {
  TransportPair pair;
  pair.kernel.fail(KernelCall::kGetsockname, ENOBUFS);
  EXPECT_EQ(pair.transport->get_extra_info("sockname"), "None");
  EXPECT_EQ(pair.transport->get_extra_info("sockname"), "");  // asked again
  pair.kernel.fail(KernelCall::kGetpeername, ENOTCONN);
  auto [mine, theirs] = connected_pair(pair.kernel);
  const auto second =
      connect(pair.loop, std::move(mine), std::make_shared<Recorder>());
  EXPECT_EQ(second->get_extra_info("peername"), "None");
}

}  // namespace
}  // namespace rondo
