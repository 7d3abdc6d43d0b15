// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/testing/scripted_kernel.h"
#include "reactor/testing/virtual_time.h"
#include "test/support/loop_model.h"
#include "test/support/program_files.h"
#include "test/support/random_program.h"
#include "test/support/shadow_kernel.h"

namespace rondo::test {

/// One of a list, as an argument of a step says.
template <class List>
const auto& choose(const List& list, unsigned choice) {
  return list[choice % std::size(list)];
}

/// Runs random programs, each on a loop of its own, with a LoopModel beside
/// it that is compared at every step.
///
/// The loop runs on a ShadowKernel (what does the epoll set hold?) over a
/// ScriptedKernel (which calls fail?) over a VirtualKernel (what time is it?).
class ProgramRunner : private ShadowKernel::Listener {
 public:
  ProgramRunner();
  ProgramRunner(const ProgramRunner&) = delete;
  ProgramRunner& operator=(const ProgramRunner&) = delete;
  ~ProgramRunner() override;

  /// Returns what went wrong, or an empty text. Writes each step into `trace`
  /// if there is one.
  std::string run(const Program& program, std::string* trace = nullptr);

  /// What programs have come across so far: a test that never gets where it
  /// should look says nothing.
  struct Seen {
    std::uint64_t callbacks = 0;
    std::uint64_t exceptions = 0;
    std::uint64_t exits = 0;          // SystemExit and its like
    std::uint64_t refusals = 0;       // RuntimeErrors that had to come
    std::uint64_t kernel_errors = 0;  // that came to the caller
    std::uint64_t losses = 0;         // descriptors reported as lost
    std::uint64_t renewals = 0;       // of the epoll set
    std::uint64_t late_reports = 0;   // for nobody any more
    std::uint64_t moved_while_ready = 0;
    std::uint64_t destructor_steps = 0;
    std::uint64_t posts_to_sleepers = 0;
  };
  const Seen& seen() const { return seen_; }

 private:
  using Id = LoopModel::Id;
  using Kind = LoopModel::Kind;

  /// Who does a step.
  enum class Actor : std::uint8_t {
    kOutside,          // the code that runs the loop
    kCallback,         // a callback of the loop
    kAsleep,           // somebody else, while the loop sleeps
    kDestructor,       // a capture that is being destroyed,
    kEarlyDestructor,  // before the model knows why
  };
  /// Where the run is.
  enum class Phase : std::uint8_t { kBetween, kPolled, kBatch };
  /// How a call of the loop ended.
  struct Outcome {
    enum class Type : std::uint8_t {
      kDone,
      kRuntimeError,
      kSystemError,
      kOther,
    };
    Type type = Type::kDone;
    int error_number = 0;
  };
  /// A call about a descriptor that is under way.
  struct DescriptorCall {
    int number;
    bool removes;
    int asked = 0;  // epoll_ctl(2) calls
    int error = 0;  // of the last of them
    DescriptorCall* outer = nullptr;
  };
  struct Owned {
    Id id;
    ScopedHandle handle;
  };
  class Guest;
  struct LargeGuest;

  // -- a program from its beginning to its end (program_runner.cc)
  void begin(const Program& program);
  void run_all();
  void drive();
  void drive_whole_passes(bool forever);
  void drive_pieces();
  void run_ready_piece();
  void after_exception();
  void end(std::unique_ptr<EventLoop> loop);
  bool has_ops() const;
  bool is_wrong() const { return !model_.complaint().empty(); }

  // -- what the loop does, compared with the model (program_checks.cc)
  void on_callback(Id id, Events events);
  void on_destroyed(Id id);
  void on_exception(const ExceptionContext& context);
  void on_control(const ShadowKernel::Control& control) noexcept override;
  void on_renewal() noexcept override;
  void on_wait(Duration timeout) noexcept override;
  void on_endless_sleep() noexcept override;
  void on_waited(std::span<const ShadowKernel::Report> reports, bool failed,
                 int wakeups) noexcept override;
  void begin_pass();
  void collected();
  void take_reports();
  void finish_pass();
  void count_idle_pass();
  void check_step();
  void check_descriptors();
  void check_counters();
  void bury();
  bool deaths_come_early() const;
  void throw_what_is_due(Id id);
  void stop_loop();

  // -- what the program does (program_steps.cc, program_descriptor_steps.cc,
  //    program_loop_steps.cc)
  void run_group(Actor actor);
  void run_op(const Op& op, Actor actor);
  bool allowed(OpKind kind, Actor actor) const;
  void schedule(const Op& op);
  void call_timer(const Op& op);
  void call_often(const Op& op);
  void reschedule(const Op& op);
  void cancel(const Op& op);
  void own(const Op& op);
  void destroy_owner(const Op& op);
  void destroy_owner(std::size_t index);
  void add(Kind kind, const Op& op);
  void watch(const Op& op);
  void modify_watch(const Op& op);
  void remove(Kind kind, int number);
  void use_file(const Op& op);
  void change_number(const Op& op);
  void misuse(const Op& op);
  void look_around();
  void close_loop();
  void fail_kernel(const Op& op);

  Id create(Kind kind, const Op& op);
  template <class Function>
  Function guest(Id id, const Op& op);
  void accept(Id id, const Op& op, Handle handle);
  Id pick(const std::vector<Id>& ids, unsigned choice) const;
  int number(const Op& op) const;
  int open_number(const Op& op);
  template <class Call>
  Outcome attempt(Call&& call);
  template <class Call>
  Outcome attempt(DescriptorCall& frame, Call&& call);
  bool is_settled(const DescriptorCall& frame, const Outcome& outcome);
  void expect(bool condition, const char* what);
  void expect_refusal(const Outcome& outcome, const char* what);
  template <class... Parts>
  void note(const Parts&... parts);

  Seen seen_;
  bool checks_memory_ = false;
  VirtualKernel clock_;
  std::optional<ScriptedKernel> script_;  // a new one for each program
  ProgramFiles files_;
  std::optional<ShadowKernel> kernel_;
  EventLoop* loop_ = nullptr;
  std::shared_ptr<RemoteQueue> remote_;
  LoopModel model_;

  const Program* program_ = nullptr;
  std::size_t next_op_ = 0;
  std::string* trace_ = nullptr;

  // By id of the callback.
  std::vector<Handle> handles_;      // none if it was dropped
  std::vector<TimerHandle> timers_;  // none if it is no timer
  std::vector<char> acts_;           // its destructor takes a step
  std::vector<Id> scheduled_;
  std::vector<Id> scheduled_timers_;
  std::array<std::vector<Owned>, 2> owners_;

  Phase phase_ = Phase::kBetween;
  bool closed_ = false;
  bool forever_ = false;        // run_forever() is on the stack
  bool piecewise_ = false;      // the pieces are called one by one
  bool renewed_ = false;        // the epoll set is another since the last poll
  bool rough_ = false;          // from now on descriptors may get lost
  bool posted_asleep_ = false;  // so the loop has to wake up
  bool leaves_ = false;         // an exception is about to leave the run
  bool handler_throws_ = false;
  int acting_ = 0;       // groups of steps on the stack
  unsigned throws_ = 0;  // what the callback throws at its end
  Id running_ = LoopModel::kNone;
  Id thrown_by_ = LoopModel::kNone;  // until the handler was told
  DescriptorCall* frame_ = nullptr;
  std::vector<Id> early_deaths_;
  std::vector<std::pair<ShadowKernel::Report, std::uint32_t>> reports_;
  bool wait_failed_ = false;
  bool reported_ = false;  // something, by the last wait
  Duration at_most_ = Duration::max();

  int live_guests_ = 0;
  unsigned waits_ = 0;
  unsigned waits_after_ops_ = 0;
  unsigned ran_in_pass_ = 0;
  unsigned idle_passes_ = 0;
  std::uint64_t failures_seen_ = 0;
  std::uint64_t exceptions_ = 0;
};

/// What the loop is given: tells the runner when it is called and when it is
/// destroyed.
class ProgramRunner::Guest {
 public:
  Guest(ProgramRunner& runner, Id id) noexcept : runner_(&runner), id_(id) {
    ++runner.live_guests_;
  }
  Guest(Guest&& other) noexcept
      : runner_(std::exchange(other.runner_, nullptr)), id_(other.id_) {}
  Guest& operator=(Guest&&) = delete;
  ~Guest() {
    if (runner_ != nullptr) runner_->on_destroyed(id_);
  }

  void operator()() { runner_->on_callback(id_, Events::kNone); }
  void operator()(Events events) { runner_->on_callback(id_, events); }

 private:
  ProgramRunner* runner_;
  Id id_;
};

/// One that the loop cannot keep in place.
struct ProgramRunner::LargeGuest {
  Guest guest;
  std::array<char, 2 * kInlineCaptureBytes> ballast{};

  void operator()() { guest(); }
  void operator()(Events events) { guest(events); }
};

template <class Call>
ProgramRunner::Outcome ProgramRunner::attempt(Call&& call) {
  using enum Outcome::Type;
  try {
    call();
    return {kDone};
  } catch (const RuntimeError&) {
    return {kRuntimeError};
  } catch (const std::system_error& error) {
    return {kSystemError, error.code().value()};
  } catch (...) {
    return {kOther};
  }
}

template <class Call>
ProgramRunner::Outcome ProgramRunner::attempt(DescriptorCall& frame,
                                              Call&& call) {
  frame.outer = std::exchange(frame_, &frame);
  const Outcome outcome = attempt(std::forward<Call>(call));
  frame_ = frame.outer;
  return outcome;
}

template <class Function>
Function ProgramRunner::guest(Id id, const Op& op) {
  if ((op.b & 0xe0) == 0xe0) return Function(LargeGuest{Guest(*this, id)});
  return Function(Guest(*this, id));
}

template <class... Parts>
void ProgramRunner::note(const Parts&... parts) {
  if (trace_ == nullptr) return;
  const auto text = [](const auto& part) {
    if constexpr (std::is_arithmetic_v<std::decay_t<decltype(part)>>) {
      return std::to_string(part);
    } else {
      return std::string(part);
    }
  };
  ((*trace_ += text(parts)), ...);
  *trace_ += '\n';
}

}  // namespace rondo::test
