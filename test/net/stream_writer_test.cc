// SPDX-License-Identifier: MIT
#include "net/stream_writer.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "futures/sleep.h"
#include "futures/task.h"
#include "net/internal/stream_protocol.h"
#include "reactor/errors.h"
#include "reactor/testing/scripted_kernel.h"
#include "test/futures/bodies.h"
#include "test/net/stream_pair.h"
#include "test/support/cancel_everywhere.h"
#include "test/support/log_capture.h"
#include "test/support/script.h"

namespace rondo {
namespace {

using test::end_of;
using test::Lines;
using test::Script;
using test::StreamPair;
using test::World;

constexpr std::size_t kMuch = 256 * 1024;  // more than the high-water mark
const char* const kLost =
    "std::system_error('Connection lost: Connection reset by peer')";

// -- writing -----------------------------------------------------------------

TEST(StreamWriter, SendsWhatIsWritten) {
  StreamPair pair;
  pair.writer.write("one ");
  const std::vector<std::string_view> pieces{"two ", "three ", "", "four"};
  pair.writer.writelines(pieces);
  EXPECT_TRUE(pair.read_until([&] { return pair.received.size() >= 18; }));
  EXPECT_EQ(pair.received, "one two three four");
}

TEST(StreamWriter, IsDrainedAtOnceWhileTheBufferIsSmall) {
  StreamPair pair;
  EXPECT_TRUE(pair.writer.write("abc").start(pair.loop).done());
  EXPECT_TRUE(pair.writer.drain().start(pair.loop).done());
  const std::vector<std::string_view> pieces{"d", "e"};
  EXPECT_TRUE(pair.writer.writelines(pieces).start(pair.loop).done());
  EXPECT_TRUE(pair.read_until([&] { return pair.received == "abcde"; }));
}

TEST(StreamWriter, ClosesOneDirection) {
  StreamPair pair;
  EXPECT_TRUE(pair.writer.can_write_eof());
  pair.writer.write("question");
  pair.writer.write_eof();
  EXPECT_THROW(pair.writer.write("more"), RuntimeError);
  EXPECT_FALSE(pair.writer.is_closing());
  EXPECT_TRUE(pair.read_until([&] { return pair.received == "question"; }));
  char byte = 0;
  EXPECT_EQ(::recv(pair.peer.get(), &byte, 1, 0), 0);
  write_text(pair.peer.get(), "answer\n");
  const auto answer = pair.reader.readline().start(pair.loop);
  EXPECT_TRUE(run_until(pair.loop, [&] { return answer.done(); }));
  EXPECT_EQ(answer.result(), "answer\n");
}

TEST(StreamWriter, TellsWhatItsTransportKnows) {
  StreamPair pair;
  EXPECT_EQ(pair.writer.get_extra_info("socket"),
            std::to_string(pair.writer.transport().fd()));
  EXPECT_EQ(pair.writer.get_extra_info("nothing"), "None");
  EXPECT_EQ(pair.writer.get_extra_info("nothing", "else"), "else");
  EXPECT_EQ(
      to_string(pair.writer),
      "<StreamWriter transport=" + to_string(pair.writer.transport()) + ">");
  EXPECT_EQ(to_string(StreamWriter()), "<StreamWriter>");
  EXPECT_FALSE(StreamWriter());
  EXPECT_TRUE(pair.writer);
}

// -- drain -------------------------------------------------------------------

TEST(StreamWriter, WaitsWhileTheBufferIsAboveTheHighWaterMark) {
  StreamPair pair;
  pair.fill_up(kMuch);
  const auto drained = pair.writer.drain().start(pair.loop);
  const auto written = pair.writer.write("end").start(pair.loop);
  run_passes(pair.loop, 3);
  EXPECT_FALSE(drained.done());
  EXPECT_FALSE(written.done());
  EXPECT_TRUE(pair.read_until([&] { return drained.done(); }));
  EXPECT_LE(pair.writer.transport().get_write_buffer_size(), 16u * 1024);
  EXPECT_TRUE(written.done());
  EXPECT_EQ(end_of(drained), "done");
  EXPECT_TRUE(pair.read_until([&] { return pair.received.ends_with("end"); }));
}

// python/cpython#74116: asyncio had one waiter, and an assertion.
TEST(StreamWriter, LetsSeveralTasksDrain) {
  StreamPair pair;
  pair.fill_up(kMuch);
  std::vector<Task<void>> drains;
  for (int i = 0; i < 5; ++i) {
    drains.push_back(pair.writer.drain().start(pair.loop));
  }
  drains[1].cancel();
  run_passes(pair.loop, 3);
  EXPECT_TRUE(drains[1].cancelled());
  EXPECT_FALSE(drains[0].done());
  EXPECT_TRUE(pair.read_until([&] { return drains[4].done(); }));
  for (const int i : {0, 2, 3, 4}) EXPECT_EQ(end_of(drains[i]), "done");
}

TEST(StreamWriter, ForgetsADrainThatIsDestroyed) {
  const std::size_t before = count_open_descriptors();
  {
    const LogCapture captured;  // of the task that was pending
    StreamPair pair;
    pair.fill_up(kMuch);
    const auto pending = pair.writer.drain().start(pair.loop);
    run_passes(pair.loop, 2);
    EXPECT_FALSE(pending.done());
    pair.loop.close();
  }
  EXPECT_EQ(count_open_descriptors(), before);
}

TEST(StreamWriter, MayBePausedAgainBeforeADrainGoesOn) {
  StreamPair pair;
  pair.fill_up(kMuch);
  const auto first = pair.writer.drain().start(pair.loop);
  EXPECT_TRUE(pair.read_until([&] { return first.done(); }));
  pair.fill_up(kMuch);
  const auto second = pair.writer.drain().start(pair.loop);
  run_passes(pair.loop, 2);
  EXPECT_FALSE(second.done());
  EXPECT_TRUE(pair.read_until([&] { return second.done(); }));
}

TEST(StreamWriter, WakesAllDrainsWhenTheConnectionFails) {
  StreamPair pair;
  pair.fill_up(kMuch);
  const auto one = pair.writer.drain().start(pair.loop);
  const auto two = pair.writer.drain().start(pair.loop);
  pair.peer.reset();
  EXPECT_TRUE(run_until(pair.loop, [&] { return one.done() && two.done(); }));
  // EPIPE or ECONNRESET, as send() and recv() come.
  EXPECT_NE(end_of(one).find("std::system_error("), std::string::npos);
  EXPECT_EQ(end_of(one), end_of(two));
  EXPECT_TRUE(pair.reports.messages.empty());
}

TEST(StreamWriter, WakesAllDrainsWhenTheConnectionIsAborted) {
  StreamPair pair;
  pair.fill_up(kMuch);
  const auto drained = pair.writer.drain().start(pair.loop);
  pair.writer.transport().abort();
  EXPECT_TRUE(run_until(pair.loop, [&] { return drained.done(); }));
  EXPECT_EQ(end_of(drained), "done");  // as in asyncio: nothing has failed
  const auto after = pair.writer.drain().start(pair.loop);
  EXPECT_TRUE(run_until(pair.loop, [&] { return after.done(); }));
  EXPECT_EQ(end_of(after), kLost);
}

TEST(StreamWriter, ThrowsInADrainAfterTheEnd) {
  StreamPair pair;
  pair.writer.close();
  const auto before = pair.writer.drain().start(pair.loop);
  EXPECT_FALSE(before.done()) << "it yields, that connection_lost() can come";
  EXPECT_TRUE(run_until(pair.loop, [&] { return before.done(); }));
  EXPECT_EQ(end_of(before), kLost);
  const auto after = pair.writer.write("dropped").start(pair.loop);
  EXPECT_TRUE(run_until(pair.loop, [&] { return after.done(); }));
  EXPECT_EQ(end_of(after), kLost);
}

// A task that does nothing else hears of the end, too.
TEST(StreamWriter, LetsALoopOfWritesHearOfTheEnd) {
  StreamPair pair;
  std::unique_ptr<StreamWriter::Drain> drain;
  int writes = 0;
  const auto task = create_task(
      pair.loop, test::body([&](Resumption& resumption) {
        for (;; ++writes) {
          if (writes > 100'000) throw std::logic_error("for ever");
          if (drain == nullptr) {
            drain =
                std::make_unique<StreamWriter::Drain>(pair.writer.write("x"));
          }
          const Step step = drain->step(resumption);
          if (step.kind() != Step::Kind::kDone) return step;
          drain.reset();
          if (writes == 10) pair.writer.close();
        }
      }));
  EXPECT_TRUE(run_until(pair.loop, [&] { return task.done(); }));
  EXPECT_EQ(end_of(task), kLost);
  EXPECT_LT(writes, 100);
}

TEST(StreamWriter, ThrowsInADrainWhatReadingHasFailedWith) {
  StreamPair pair;
  pair.reader.set_exception(std::make_exception_ptr(std::runtime_error("bad")));
  EXPECT_EQ(end_of(pair.writer.drain().start(pair.loop)),
            "std::runtime_error('bad')");
}

/// A transport of nothing, whose protocol is told what the test likes.
class FakeTransport : public Transport {
 public:
  explicit FakeTransport(EventLoop& loop) : loop_(loop) {}
  void close() override {}
  void abort() override {}
  bool is_closing() const noexcept override { return false; }
  void pause_reading() override {}
  void resume_reading() override {}
  bool is_reading() const noexcept override { return true; }
  void write(std::string_view) override {}
  void write_eof() override {}
  std::size_t get_write_buffer_size() override { return 0; }
  WriteBufferLimits get_write_buffer_limits() const noexcept override {
    return {};
  }
  void set_write_buffer_limits(std::optional<std::size_t>,
                               std::optional<std::size_t>) override {}
  void set_write_buffer_cap(std::size_t) override {}
  EventLoop& loop() const noexcept override { return loop_; }
  std::shared_ptr<BaseProtocol> get_protocol() const override { return {}; }
  void set_protocol(std::shared_ptr<BaseProtocol>) override {}
  int fd() const noexcept override { return -1; }
  const Address& peername() const override { return nowhere_; }
  const Address& sockname() const override { return nowhere_; }
  std::string description() const override { return "<FakeTransport>"; }

 private:
  EventLoop& loop_;
  Address nowhere_;
};

/// Two tasks that write to a connection, of which one is cancelled anywhere.
/// It is paused and resumed, and then it ends.
struct TwoDrain : World {
  explicit TwoDrain(bool fails_at_end) : fails(fails_at_end) {
    protocol->connection_made(*transport);
    protocol->pause_writing();
    const auto drain = [this] { return writer.drain(); };
    const auto closed = [this] { return writer.wait_closed(); };
    victim = create_task(
        loop,
        Script(*this).await(drain).await(drain).await(drain).await(closed));
    create_task(loop, Script(*this)
                          .await(drain)
                          .then([this] { log += "resumed "; })
                          .await([] { return sleep(1); })
                          .on_error([this](const std::exception_ptr& error) {
                            log += "ended " + end_of(error);
                          })
                          .await(drain)
                          .await(closed)
                          .then([this] { log += "ended"; }));
    create_task(loop, Script(*this)
                          .await([] { return sleep(1); })
                          .then([this] { protocol->resume_writing(); })
                          .await([] { return sleep(0.5); })
                          .then([this] { protocol->pause_writing(); })
                          .await([] { return sleep(1); })
                          .then([this] { end(); }));
    may_report = fails;  // the tasks' own end: nobody reads it
  }
  void end() {
    protocol->connection_lost(
        fails ? std::make_exception_ptr(std::runtime_error("gone")) : nullptr);
  }
  void expect_sound() override {
    EXPECT_EQ(log, fails ? "resumed ended std::runtime_error('gone')"
                         : "resumed ended");
  }
  bool fails;
  std::shared_ptr<FakeTransport> transport =
      std::make_shared<FakeTransport>(loop);
  std::shared_ptr<detail::StreamProtocol> protocol =
      std::make_shared<detail::StreamProtocol>(kStreamLimit, nullptr);
  StreamWriter writer{protocol};
  std::string log;
};

TEST(StreamWriter, LosesNoWakeUpInACancel) {
  for (const bool fails : {false, true}) {
    SCOPED_TRACE(fails);
    const auto make = [fails] { return std::make_unique<TwoDrain>(fails); };
    EXPECT_GE(test::cancel_everywhere(make), 4);
    EXPECT_GE(test::destroy_everywhere(make), 4);
  }
}

// -- its end -----------------------------------------------------------------

TEST(StreamWriter, SendsWhatWasWrittenBeforeClose) {
  StreamPair pair;
  pair.fill_up(kMuch);
  pair.writer.write("end");
  pair.writer.close();
  EXPECT_TRUE(pair.writer.is_closing());
  const Future<void> closed = pair.writer.wait_closed();
  run_passes(pair.loop, 3);
  EXPECT_FALSE(closed.done());
  EXPECT_TRUE(pair.read_until([&] { return closed.done(); }));
  pair.received += read_text(pair.peer.get());
  EXPECT_TRUE(pair.received.ends_with("yend"));
  EXPECT_EQ(end_of(closed), "done");
  EXPECT_TRUE(pair.writer.wait_closed().done());
  pair.writer.close();
}

TEST(StreamWriter, EndsReadingWhenItIsClosed) {
  StreamPair pair;
  const auto line = pair.reader.readline().start(pair.loop);
  pair.writer.close();
  EXPECT_TRUE(run_until(pair.loop, [&] { return line.done(); }));
  EXPECT_EQ(line.result(), "");
  EXPECT_TRUE(pair.reader.at_eof());
}

TEST(StreamWriter, TellsWhoWaitsForTheEndWhatItFailedWith) {
  StreamPair pair;
  const Future<void> before = pair.writer.wait_closed();
  pair.fill_up(kMuch);
  pair.peer.reset();
  EXPECT_TRUE(run_until(pair.loop, [&] { return before.done(); }));
  EXPECT_NE(end_of(before).find("std::system_error("), std::string::npos);
  EXPECT_EQ(end_of(pair.writer.wait_closed()), end_of(before));
  EXPECT_EQ(pair.reader.exception(), before.exception());
}

// asyncio has one future for all of them: a timeout cancels it for ever.
TEST(StreamWriter, WaitsForTheEndAgainAfterACancel) {
  StreamPair pair;
  const Future<void> cancelled = pair.writer.wait_closed();
  const Future<void> other = pair.writer.wait_closed();
  cancelled.cancel();
  run_passes(pair.loop, 2);
  EXPECT_FALSE(other.done());
  const Future<void> again = pair.writer.wait_closed();
  pair.writer.close();
  EXPECT_TRUE(run_until(pair.loop, [&] { return again.done(); }));
  EXPECT_EQ(end_of(other), "done");
  EXPECT_EQ(end_of(again), "done");
}

TEST(StreamWriter, AsksNobodyToReadItsError) {
  StreamPair pair;
  {
    const Future<void> dropped = pair.writer.wait_closed();
    const Future<void> cancelled = pair.writer.wait_closed();
    cancelled.cancel();
  }
  pair.fill_up(kMuch);
  pair.peer.reset();
  EXPECT_TRUE(
      run_until(pair.loop, [&] { return pair.reader.exception() != nullptr; }));
  static_cast<void>(pair.writer.wait_closed());
  pair.writer = StreamWriter();
  run_passes(pair.loop, 3);
  EXPECT_EQ(pair.reports.messages, Lines());
}

// -- through a kernel that takes little --------------------------------------

TEST(StreamWriter, SendsTheSameBytesHoweverFewTheKernelTakes) {
  for (const std::size_t few : {1u, 2u, 3u, 7u, 100u}) {
    SCOPED_TRACE(few);
    ScriptedKernel kernel;
    StreamPair pair(kStreamLimit, LoopOptions().kernel(kernel));
    kernel.shorten(KernelCall::kSend, few);
    kernel.shorten(KernelCall::kSendmsg, few);
    pair.writer.transport().set_write_buffer_limits(100);
    std::string sent;
    for (int i = 0; i < 50; ++i) {
      const std::string line = std::to_string(i * i) + "\n";
      const auto written = pair.writer.write(line).start(pair.loop);
      sent += line;
      ASSERT_TRUE(pair.read_until([&] { return written.done(); }));
    }
    pair.writer.close();
    const Future<void> closed = pair.writer.wait_closed();
    EXPECT_TRUE(pair.read_until([&] { return closed.done(); }));
    EXPECT_EQ(pair.received + read_text(pair.peer.get()), sent);
  }
}

}  // namespace
}  // namespace rondo
