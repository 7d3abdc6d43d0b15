// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/thread_pool.h"
#include "test/support/child_process.h"
#include "test/support/descriptors.h"
#include "test/support/passes.h"

// R17: a forked child shares the parent's epoll set and eventfd. It must not
// be able to touch them through a loop, and its end must not be noticed.

namespace rondo {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

/// What `call` throws: "RuntimeError: ...", or "nothing".
template <class Call>
std::string thrown_by(Call&& call) {
  try {
    call();
  } catch (const RuntimeError& error) {
    return std::string("RuntimeError: ") + error.what();
  } catch (...) {
    return describe(std::current_exception());
  }
  return "nothing";
}

bool is_readable(int fd) {
  ::pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&entry, 1, 0) == 1;
}

// -- in the child ------------------------------------------------------------

TEST(Fork, MakesEveryCallOnTheLoopARuntimeError) {
  EventLoop loop;
  const UniqueFd fd = make_eventfd(1);
  loop.watch(fd.get(), Events::kRead, [](Events) {});
  const std::string refusal = in_child([&]() -> std::string {
    const auto nothing = [] {};
    const std::pair<const char*, std::string> answers[] = {
        {"call_soon", thrown_by([&] { loop.call_soon(nothing); })},
        {"call_later", thrown_by([&] { loop.call_later(1, nothing); })},
        {"call_at", thrown_by([&] { loop.call_at(TimePoint(), nothing); })},
        {"call_soon_threadsafe",
         thrown_by([&] { loop.call_soon_threadsafe(nothing); })},
        {"add_reader", thrown_by([&] { loop.add_reader(0, nothing); })},
        {"add_writer", thrown_by([&] { loop.add_writer(0, nothing); })},
        {"watch",
         thrown_by([&] { loop.watch(0, Events::kRead, [](Events) {}); })},
        {"modify_watch",
         thrown_by([&] { loop.modify_watch(fd.get(), Events::kWrite); })},
        {"add_signal_handler",
         thrown_by([&] { loop.add_signal_handler(SIGUSR1, nothing); })},
        {"run_forever", thrown_by([&] { loop.run_forever(); })},
        {"run_once", thrown_by([&] { loop.run_once(); })},
        {"poll_events", thrown_by([&] { loop.poll_events(); })},
        {"collect", thrown_by([&] { loop.collect(); })},
        {"run_ready", thrown_by([&] { loop.run_ready(); })},
    };
    for (const auto& [name, answer] : answers) {
      if (answer.find("after fork()") == std::string::npos) {
        return std::string(name) + ": " + answer;
      }
    }
    return "refused";
  });
  EXPECT_EQ(refusal, "refused");
  EXPECT_TRUE(loop.unwatch(fd.get())) << "the parent's has stayed";
}

// So that destructors can run in the child.
TEST(Fork, LetsTheChildRemoveNothing) {
  EventLoop loop;
  const UniqueFd fd = make_eventfd();
  loop.add_reader(fd.get(), [] {});
  loop.add_signal_handler(SIGUSR1, [] {});
  EXPECT_EQ(in_child([&]() -> std::string {
              const bool removed = loop.remove_reader(fd.get()) ||
                                   loop.remove_writer(fd.get()) ||
                                   loop.unwatch(fd.get()) ||
                                   loop.remove_signal_handler(SIGUSR1);
              return removed ? "removed" : "not removed";
            }),
            "not removed");
  EXPECT_TRUE(loop.remove_reader(fd.get()));
  EXPECT_TRUE(loop.remove_signal_handler(SIGUSR1));
}

// "Accepted or refused, never dropped."
TEST(Fork, MakesTheRemoteQueueRefuse) {
  EventLoop loop;
  const auto remote = loop.remote_queue();
  EXPECT_EQ(in_child([&]() -> std::string {
              return remote->post([] {}) ? "accepted" : "refused";
            }),
            "refused");
  EXPECT_TRUE(remote->post([] {}));
}

// The child comes back from fork() inside of a callback, in the middle of a
// batch, and returns into the loop.
TEST(Fork, InACallbackEndsTheRunInTheChild) {
  for (const bool debug : {false, true}) {
    EventLoop loop(LoopOptions().debug(debug));
    ChildProcess child;
    std::string order;
    loop.call_soon([&] {
      child.begin();
      order += 'f';
    });
    loop.call_soon([&] {
      order += 'n';
      loop.stop();
    });
    const std::string ended = thrown_by([&] { loop.run_forever(); });
    if (child.is_child()) {
      child.end(order + " " + ended.substr(0, ended.find(':')));
    }
    EXPECT_EQ(order + " " + ended, "fn nothing");
    EXPECT_EQ(child.story(), "f RuntimeError");
    loop.close();  // debug mode wants that
  }
}

TEST(Fork, LeavesNoRunningLoopInTheChild) {
  EventLoop loop;
  std::string story;
  loop.call_soon([&] {
    story = in_child([] { return thrown_by([] { get_running_loop(); }); });
  });
  run_one_pass(loop);
  EXPECT_EQ(story, "RuntimeError: no running event loop");
}

// "Make a new one after fork()": even inside of the parent's callback.
TEST(Fork, LetsTheChildRunALoopOfItsOwn) {
  EventLoop loop;
  std::string story;
  loop.call_soon([&] {
    story = in_child([]() -> std::string {
      std::string said;
      EventLoop own;
      const UniqueFd ready = make_eventfd(1);
      own.add_reader(ready.get(), [&] {
        said = &get_running_loop() == &own ? "ran" : "ran elsewhere";
        own.stop();
      });
      own.run_forever();
      return said;
    });
  });
  run_one_pass(loop);
  EXPECT_EQ(story, "ran");
}

TEST(Fork, LetsTheChildCloseAndDestroyTheLoop) {
  auto loop = std::make_unique<EventLoop>();
  auto held = std::make_shared<int>();
  const UniqueFd fd = make_eventfd(1);
  int calls = 0;
  loop->add_reader(fd.get(), [&calls, held] { ++calls; });
  loop->call_later(hours(1), [held] {});
  loop->add_signal_handler(SIGUSR1, [held] {});
  loop->call_soon([held] {});
  EXPECT_EQ(in_child([&]() -> std::string {
              loop->close();
              const bool closed = loop->is_closed();
              loop.reset();
              return std::string(closed ? "closed" : "open") +
                     (held.use_count() == 1 ? "" : " with captures left");
            }),
            "closed");
  run_one_pass(*loop);
  EXPECT_EQ(calls, 1) << "the child has not taken it out of our set";
}

// R17: the batch that the child was forked in still needs its queue.
TEST(Fork, LetsTheChildCloseTheLoopInsideACallback) {
  EventLoop loop;
  std::string told;
  loop.call_soon([&] {
    told = in_child([&]() -> std::string {
      loop.close();
      return loop.is_closed() ? "closed" : "not closed";
    });
    loop.stop();
  });
  int ran = 0;
  loop.call_soon([&] { ++ran; });
  loop.run_forever();
  EXPECT_EQ(told, "closed");
  EXPECT_EQ(ran, 1) << "the parent goes on";
}

// R17: and the loop runs nothing more of that batch, debug mode or not.
TEST(Fork, RunsNothingMoreOfTheBatchInTheChild) {
  EventLoop loop;
  ChildProcess child;
  int ran_in_child = 0;
  loop.call_soon([&] {
    child.begin();
    if (child.is_child()) {
      loop.set_debug(false);
      loop.close();
    }
    loop.stop();
  });
  loop.call_soon([&] { ran_in_child += child.is_child() ? 1 : 0; });
  const std::string thrown = thrown_by([&] { loop.run_forever(); });
  if (child.is_child()) {
    child.end(std::to_string(ran_in_child) + " ran");
  }
  EXPECT_EQ(thrown, "nothing") << "the parent goes on";
  EXPECT_EQ(child.story(), "0 ran");
}

TEST(Fork, MakesAThreadPoolRefuse) {
  EventLoop loop;
  ThreadPool pool(1);
  pool.submit(loop, [] {}, [&](const std::exception_ptr&) { loop.stop(); });
  loop.run_forever();
  EXPECT_NE(in_child([&]() -> std::string {
              return thrown_by([&] { pool.shutdown(); });
            }).find("parent process"),
            std::string::npos);
}

TEST(Fork, FindsTheQueuesLockHeldByAThreadThatIsNotThere) {
  auto loop = std::make_unique<EventLoop>();
  std::jthread other([remote =
                          loop->remote_queue()](const std::stop_token& enough) {
    while (!enough.stop_requested()) {  // takes the lock, and leaves nothing
      remote->begin_external_work();
      remote->end_external_work();
    }
  });
  for (int round = 0; round < 20; ++round) {
    EXPECT_EQ(in_child([&]() -> std::string {
                const auto remote = loop->remote_queue();
                const bool accepted = remote->post([] {});
                loop->close();
                return accepted ? "accepted" : "closed";
              }),
              "closed");
    run_one_pass(*loop);
  }
}

// -- in the parent -----------------------------------------------------------

TEST(Fork, LeavesTheParentsLoopAlone) {
  EventLoop loop;
  SocketPair pair;
  std::string order;
  loop.call_soon([&] {
    in_child([&]() -> std::string {
      thrown_by([&] { loop.add_writer(pair.b.get(), [] {}); });
      thrown_by([&] { loop.call_soon_threadsafe([] {}); });
      loop.remote_queue()->post([] {});
      loop.close();
      return "";
    });
    order += 'f';
  });
  loop.add_reader(pair.a.get(), [&] {
    order += read_text(pair.a.get());
    loop.remove_reader(pair.a.get());
  });
  run_one_pass(loop);
  EXPECT_FALSE(is_readable(loop.fd())) << "the child has woken it";
  write_text(pair.b.get(), "r");
  run_one_pass(loop);
  loop.call_soon_threadsafe([&] { order += 't'; });
  run_one_pass(loop);
  EXPECT_EQ(order, "frt");
  EXPECT_EQ(loop.stats().rebuilds, 0u);
  EXPECT_EQ(loop.stats().events, 1u);
}

// The handler of the parent's loop is still installed at that moment.
TEST(Fork, DoesNotLetTheChildsSignalsWakeTheParent) {
  ::signal(SIGUSR1, SIG_IGN);
  EventLoop loop;
  int calls = 0;
  loop.add_signal_handler(SIGUSR1, [&] { ++calls; });
  EXPECT_EQ(in_child([]() -> std::string {
              ::raise(SIGUSR1);  // ignored, as it was before the loop
              return "went on";
            }),
            "went on");
  EXPECT_FALSE(is_readable(loop.fd()));
  run_passes(loop, 2);
  EXPECT_EQ(calls, 0);
  ::raise(SIGUSR1);
  run_one_pass(loop);
  EXPECT_EQ(calls, 1) << "and the parent still has its own";
  loop.close();
  ::signal(SIGUSR1, SIG_DFL);
}

// "All fds CLOEXEC", those of a renewed set too.
TEST(Fork, AndExecLeaveNoDescriptorOfTheLoopBehind) {
  EventLoop loop;
  const auto closes_on_exec = [](int fd) {
    return (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
  };
  EXPECT_TRUE(closes_on_exec(loop.fd()));
  EXPECT_TRUE(closes_on_exec(loop.remote_queue()->wake_fd()));
  UniqueFd stale = make_eventfd(1);
  const UniqueFd copy = duplicate(stale.get());
  const int number = stale.get();
  loop.add_reader(number, [] {});
  stale.reset();
  loop.remove_reader(number);
  run_passes(loop, 2);
  EXPECT_EQ(loop.stats().rebuilds, 1u);
  EXPECT_TRUE(closes_on_exec(loop.fd()));
}

}  // namespace
}  // namespace rondo
