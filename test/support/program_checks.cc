// SPDX-License-Identifier: MIT
#include <sys/epoll.h>

#include <cerrno>
#include <cstdlib>
#include <stdexcept>

#include "reactor/errors.h"
#include "test/support/program_runner.h"

// What the loop does, compared with the model.

namespace rondo::test {
namespace {

constexpr unsigned kIdlePassesMax = 3;  // I11

}  // namespace

void ProgramRunner::expect(bool condition, const char* what) {
  if (!condition) model_.complain(what);
}

/// Between two callbacks and at each wait.
void ProgramRunner::check_step() {
  expect(thrown_by_ == LoopModel::kNone,
         "an exception did not reach the handler");  // I14
  expect(model_.overdue() == 0, "captures not destroyed in time");
}

// -- callbacks ---------------------------------------------------------------

void ProgramRunner::on_callback(Id id, Events events) {
  if (phase_ == Phase::kPolled) collected();
  check_step();
  note("run #", id);
  model_.run(id, events);
  ++ran_in_pass_;
  ++seen_.callbacks;
  running_ = id;
  run_group(Actor::kCallback);
  running_ = LoopModel::kNone;
  model_.returned(id);
  throw_what_is_due(id);
}

void ProgramRunner::throw_what_is_due(Id id) {
  const unsigned what = std::exchange(throws_, 0);
  if (what == 0) return;
  if (what == 1) {
    leaves_ = true;
    throw SystemExit(3);
  }
  if (what == 2) {
    leaves_ = true;
    throw KeyboardInterrupt();
  }
  thrown_by_ = id;
  ++exceptions_;
  if (what == 3) throw static_cast<int>(id);
  throw std::runtime_error("thrown on purpose");
}

void ProgramRunner::on_exception(const ExceptionContext& context) {
  if (context.exception) {
    expect(thrown_by_ != LoopModel::kNone, "the handler was told twice");
    expect(static_cast<bool>(context.handle), "the handler got no handle");
    thrown_by_ = LoopModel::kNone;
    ++seen_.exceptions;
    if (std::exchange(handler_throws_, false)) {
      throw std::logic_error("the handler throws on purpose");
    }
    return;
  }
  // The loop's own callback, which tells of a descriptor that is lost.
  if (phase_ == Phase::kPolled) collected();
  check_step();
  const Id report = model_.next_report();
  if (report == LoopModel::kNone) {
    return model_.complain("told out of turn: " + context.message);
  }
  note("told: ", context.message);
  expect(std::atoi(context.message.c_str() + 3) == model_.number(report),
         "told of another descriptor");
  ++seen_.losses;
  model_.run(report, Events::kNone);
  model_.returned(report);
  ++ran_in_pass_;
}

/// The loop may destroy captures before it can be told from the kernel's
/// answers, and the model be told, that it must.
bool ProgramRunner::deaths_come_early() const {
  if (frame_ != nullptr) return !frame_->removes;
  return acting_ == 0 && phase_ == Phase::kPolled;
}

void ProgramRunner::on_destroyed(Id id) {
  --live_guests_;
  note("captures of #", id, " destroyed");
  const bool early = deaths_come_early();
  if (early) {
    early_deaths_.push_back(id);
  } else {
    model_.destroyed(id);
  }
  if (std::exchange(acts_[id], 0) == 0) return;
  ++seen_.destructor_steps;
  // In the middle of what the model does not know yet, and when there are too
  // many destructors on the stack, only what has no order: a cancel.
  constexpr int kDeepest = 8;
  const bool in_doubt = frame_ != nullptr && rough_;
  run_group(early || in_doubt || acting_ > kDeepest ? Actor::kEarlyDestructor
                                                    : Actor::kDestructor);
}

void ProgramRunner::bury() {
  for (const Id id : early_deaths_) model_.destroyed(id);
  early_deaths_.clear();
}

// -- the pass ----------------------------------------------------------------

/// A run begins. Its first pass may be one that does not poll.
void ProgramRunner::begin_pass() {
  if (model_.polls()) return;
  model_.skip_poll();
  model_.begin_batch();
  phase_ = Phase::kBatch;
}

void ProgramRunner::on_wait(Duration timeout) noexcept {
  if (!piecewise_) {
    const bool goes_on = phase_ != Phase::kBetween;
    finish_pass();
    expect(!goes_on || (forever_ && !model_.stopping),
           "the run went on after its last pass");
    if (forever_) model_.skip_silent_passes();
    expect(model_.polls(), "the loop polled before its turn");
  } else {
    expect(phase_ == Phase::kBetween || !reported_,
           "the loop polled again before it collected");
  }
  check_step();
  check_descriptors();
  const Duration expected =
      model_.sleep(TimePoint(Duration(clock_.monotonic_ns())), at_most_);
  if (timeout != expected) {
    model_.complain("sleeps for " + std::to_string(timeout.count()) +
                    " ns, not " + std::to_string(expected.count()));
  }
  note("wait ", timeout == Duration::max() ? -1 : timeout.count());
  model_.polled();
  ++waits_;
  if (!has_ops()) ++waits_after_ops_;
  if (timeout != Duration::zero() && has_ops() &&
      allowed(program_->ops[next_op_].kind, Actor::kAsleep)) {
    run_group(Actor::kAsleep);
  }
  if (forever_ && (is_wrong() || waits_ >= 60 || waits_after_ops_ >= 6)) {
    stop_loop();
  }
}

void ProgramRunner::stop_loop() {
  model_.stop();
  loop_->stop();
}

void ProgramRunner::on_endless_sleep() noexcept {
  if (forever_) stop_loop();
}

void ProgramRunner::on_waited(std::span<const ShadowKernel::Report> reports,
                              bool failed, int wakeups) noexcept {
  reports_.clear();
  for (const auto& report : reports) {
    reports_.emplace_back(report, model_.arming(report.number));
  }
  wait_failed_ = failed;
  reported_ = !reports.empty() || wakeups > 0;
  if (std::exchange(posted_asleep_, false) && !failed) {
    ++seen_.posts_to_sleepers;
    expect(wakeups > 0, "a post did not wake the loop");  // I13
  }
  phase_ = Phase::kPolled;
  renewed_ = false;
  ran_in_pass_ = 0;
}

/// Steps 4 and 5 are done: the model does them too.
void ProgramRunner::collected() {
  phase_ = Phase::kBatch;
  take_reports();
  for (std::size_t place = 0; renewed_ && place < ProgramFiles::kNumbers;
       ++place) {
    const int number = files_.number(place);
    if (model_.wanted(number) != Events::kNone && !model_.is_spent(number) &&
        !model_.believes(number)) {
      model_.lose(number);
    }
  }
  model_.collect_remote();
  model_.collect_timers(TimePoint(Duration(clock_.monotonic_ns())));
  bury();
  if (!piecewise_) model_.begin_batch();
}

void ProgramRunner::take_reports() {
  for (const auto& [report, arming] : reports_) {
    note("event of fd ", report.number, ": ", to_string(report.events));
    if (!model_.report(report, arming)) ++seen_.late_reports;
  }
  reports_.clear();
}

void ProgramRunner::finish_pass() {
  if (phase_ == Phase::kBetween) return;
  if (phase_ == Phase::kPolled) collected();
  model_.end_batch();
  count_idle_pass();
  phase_ = Phase::kBetween;
}

void ProgramRunner::count_idle_pass() {
  const bool asked_for = !forever_ || model_.stopping || wait_failed_ ||
                         failures_seen_ != script_->failures();
  failures_seen_ = script_->failures();
  idle_passes_ = asked_for || ran_in_pass_ > 0 ? 0 : idle_passes_ + 1;
  expect(idle_passes_ <= kIdlePassesMax, "the loop spins");
}

// -- descriptors -------------------------------------------------------------

void ProgramRunner::on_control(const ShadowKernel::Control& control) noexcept {
  const int number = control.number;
  const int first = files_.number(0);
  const bool ours =
      number >= first && number < first + int(ProgramFiles::kNumbers);
  if (!ours || !control.current_set) return;
  const bool deletes = control.operation == EPOLL_CTL_DEL;
  if (frame_ != nullptr && frame_->number == number) {
    ++frame_->asked;
    frame_->error = deletes ? 0 : control.error;  // it is gone either way
    const bool gone = control.error == EBADF || control.error == ENOENT;
    const bool given_up = frame_->removes && control.error != 0;
    if (!deletes && (gone || given_up)) model_.lose(number);
  }
  if (deletes) {
    model_.disbelieve(number);
  } else if (control.error == 0) {
    model_.believe(number, control.serial);
  }
}

void ProgramRunner::on_renewal() noexcept {
  take_reports();  // they are of the old set
  note("the epoll set is renewed");
  renewed_ = true;
  ++seen_.renewals;
  for (std::size_t place = 0; place < ProgramFiles::kNumbers; ++place) {
    const int number = files_.number(place);
    ShadowKernel::Serial serial = 0;
    if (kernel_->find(number, serial)) {
      model_.believe(number, serial);
    } else {
      model_.disbelieve(number);
    }
  }
}

/// The kernel's set holds what the program has asked for, and nothing else,
/// unless it was changed behind the loop's back.
void ProgramRunner::check_descriptors() {
  for (std::size_t place = 0; place < ProgramFiles::kNumbers; ++place) {
    const int number = files_.number(place);
    const Events wanted = model_.wanted(number);
    if (!model_.believes(number)) {
      expect(wanted == Events::kNone || model_.is_spent(number),
             "a descriptor is not in the epoll set");
      continue;
    }
    const ShadowKernel::Serial serial = model_.belief(number);
    const auto& registration = kernel_->registration(serial);
    if (!kernel_->is_live(serial) ||
        registration.file != files_.file_at(number)) {
      continue;
    }
    expect(registration.interest == wanted,
           "the epoll set holds another interest");
  }
}

void ProgramRunner::check_counters() {
  const LoopStats& stats = loop_->stats();
  expect(stats.callbacks == model_.callbacks, "stats().callbacks");
  expect(stats.exceptions == exceptions_, "stats().exceptions");
  expect(stats.timers_fired == model_.timers_fired, "stats().timers_fired");
  expect(stats.remote_calls == model_.remote_calls, "stats().remote_calls");
}

}  // namespace rondo::test
