// SPDX-License-Identifier: MIT
#include <algorithm>

#include "test/support/program_runner.h"

// What a program does, step by step, and the steps about callbacks. Each step
// makes one call of the loop and checks how it ended; the model is told first
// where the loop runs our code before it returns (destructors of captures), and
// after it otherwise.

namespace rondo::test {
namespace {

using namespace std::chrono_literals;

constexpr Duration kDelays[] = {-1s,
                                0ns,
                                0ns,
                                1ms,
                                1ms,
                                2ms,
                                2ms,
                                2ms,
                                300us,
                                5ms,
                                1h,
                                30h,
                                Duration::max()};
constexpr Duration kSpans[] = {0ns, 1ms, 1ms, 2ms, 2ms, 5ms};

}  // namespace

// -- groups ------------------------------------------------------------------

/// Takes steps off the list: a group, or one of a destructor.
void ProgramRunner::run_group(Actor actor) {
  ++acting_;
  while (has_ops()) {
    const Op& op = program_->ops[next_op_++];
    if (allowed(op.kind, actor)) run_op(op, actor);
    if (op.last || actor >= Actor::kDestructor) break;
  }
  --acting_;
}

bool ProgramRunner::allowed(OpKind kind, Actor actor) const {
  using enum OpKind;
  switch (actor) {
    case Actor::kOutside:
      return kind != kThrow && kind != kSpend;
    case Actor::kCallback:
      return kind != kCloseLoop;
    case Actor::kAsleep:
      return kind == kPost ||
             (kind >= kOpen && kind <= kHangUp && kind != kClose);
    case Actor::kDestructor:
      return kind != kThrow && kind != kSpend && kind != kMisuse &&
             kind != kLookAround && (kind != kReschedule || !closed_) &&
             (kind != kCloseLoop || !loop_->is_running());
    case Actor::kEarlyDestructor:
      return kind == kCancel;
  }
  return false;
}

void ProgramRunner::run_op(const Op& op, Actor actor) {
  using enum OpKind;
  switch (op.kind) {
    case kCallSoon:
    case kCallSoonThreadsafe:
    case kPost:
      posted_asleep_ |= actor == Actor::kAsleep;
      return schedule(op);
    case kCallLater:
    case kCallAt:
      return call_timer(op);
    case kCallAtOften:
      return call_often(op);
    case kReschedule:
      return reschedule(op);
    case kCancel:
      return cancel(op);
    case kOwn:
      return own(op);
    case kDestroyOwner:
      return destroy_owner(std::size_t{op.a % 2u});
    case kAddReader:
      return add(Kind::kReader, op);
    case kAddWriter:
      return add(Kind::kWriter, op);
    case kWatch:
      return watch(op);
    case kModifyWatch:
      return modify_watch(op);
    case kRemoveReader:
      return remove(Kind::kReader, number(op));
    case kRemoveWriter:
      return remove(Kind::kWriter, number(op));
    case kUnwatch:
      return remove(Kind::kWatch, number(op));
    case kOpen:
    case kClose:
    case kForeignClose:
    case kDuplicate:
      return change_number(op);
    case kFeed:
    case kDrain:
    case kFill:
    case kHangUp:
      return use_file(op);
    case kStop:
      note("stop");
      return stop_loop();
    case kThrow:
      note("throw");
      throws_ = 1 + op.a % 10u;
      handler_throws_ = op.b % 8 == 0;
      return;
    case kSpend:
      note("spend");
      return clock_.spend(choose(kSpans, op.a) + 300us * (op.b % 2));
    case kMisuse:
      return misuse(op);
    case kLookAround:
      return look_around();
    case kCloseLoop:
      return close_loop();
    default:
      return fail_kernel(op);
  }
}

// -- calls and their ends ----------------------------------------------------

void ProgramRunner::expect_refusal(const Outcome& outcome, const char* what) {
  expect(outcome.type == Outcome::Type::kRuntimeError, what);
  ++seen_.refusals;
}

/// A call that should go through has ended. Returns whether it has; if not,
/// the kernel's error must have come to the caller (I14).
bool ProgramRunner::is_settled(const DescriptorCall& frame,
                               const Outcome& outcome) {
  switch (outcome.type) {
    case Outcome::Type::kDone:
      expect(frame.error == 0, "an error of epoll_ctl was swallowed");
      return true;
    case Outcome::Type::kSystemError:
      expect(frame.asked > 0 && frame.error == outcome.error_number,
             "a system_error that the kernel did not give");
      ++seen_.kernel_errors;
      return false;
    case Outcome::Type::kRuntimeError:
      model_.complain("refused for no reason");
      return false;
    case Outcome::Type::kOther:
      model_.complain("threw what it should not");
      return false;
  }
  return false;
}

// -- callbacks ---------------------------------------------------------------

ProgramRunner::Id ProgramRunner::create(Kind kind, const Op& op) {
  const Id id = model_.create(kind);
  handles_.resize(id + 1);
  timers_.resize(id + 1);
  acts_.resize(id + 1);
  acts_[id] = (op.b & 0x18) == 0x18;
  return id;
}

/// The program keeps most handles, and cancels through them.
void ProgramRunner::accept(Id id, const Op& op, Handle handle) {
  if ((op.b & 0x6) == 0x6) return;
  handles_[id] = std::move(handle);
  scheduled_.push_back(id);
}

void ProgramRunner::schedule(const Op& op) {
  const Id id = create(Kind::kSoon, op);
  note(to_string(op.kind), " -> #", id);
  auto callback = guest<Callback>(id, op);
  if (op.kind == OpKind::kPost) {
    if (remote_->post(std::move(callback))) {
      expect(!closed_, "post() on a closed loop");
      return model_.post(id);
    }
    return expect(closed_, "post() was refused");
  }
  const bool soon = op.kind == OpKind::kCallSoon;
  Handle handle;
  const Outcome outcome = attempt([&] {
    if (soon) {
      handle = loop_->call_soon(std::move(callback));
    } else {
      loop_->call_soon_threadsafe(std::move(callback));
    }
  });
  if (closed_) return expect_refusal(outcome, "call_soon on a closed loop");
  expect(outcome.type == Outcome::Type::kDone, "call_soon was refused");
  if (soon || loop_->is_running()) {
    model_.call_soon(id);
  } else {
    model_.post(id);
  }
  if (soon) accept(id, op, handle);
}

void ProgramRunner::call_timer(const Op& op) {
  const Id id = create(Kind::kTimer, op);
  auto callback = guest<Callback>(id, op);
  const bool later = op.kind == OpKind::kCallLater;
  const Duration delay = later ? choose(kDelays, op.a) : choose(kSpans, op.a);
  // call_at() with round moments, so that deadlines meet.
  const TimePoint now = loop_->time();
  const TimePoint when =
      saturating_add(later ? now : now - now.time_since_epoch() % 1ms, delay);
  note(to_string(op.kind), " ", when.time_since_epoch().count(), " -> #", id);
  TimerHandle handle;
  const Outcome outcome = attempt([&] {
    handle = later ? loop_->call_later(delay, std::move(callback))
                   : loop_->call_at(when, std::move(callback));
  });
  if (closed_) return expect_refusal(outcome, "call_later on a closed loop");
  expect(outcome.type == Outcome::Type::kDone, "call_later was refused");
  expect(handle.when() == when, "when() is another moment");
  model_.call_at(id, when);
  accept(id, op, handle);
  timers_[id] = handle;
  scheduled_timers_.push_back(id);
}

void ProgramRunner::call_often(const Op& op) {
  constexpr unsigned kTimes = 100;
  Op one = op;
  one.kind = OpKind::kCallAt;
  for (unsigned i = 0; i < kTimes; ++i) {
    // The numbers of another small generator: deadlines in no order.
    one.a = static_cast<std::uint8_t>(one.a * 5 + 3);
    call_timer(one);
    if (closed_) return;
  }
}

/// Mostly one of the latest, sometimes the one that is running.
ProgramRunner::Id ProgramRunner::pick(const std::vector<Id>& ids,
                                      unsigned choice) const {
  if (ids.empty()) return LoopModel::kNone;
  if (choice % 8 == 0 && running_ != LoopModel::kNone &&
      std::find(ids.begin(), ids.end(), running_) != ids.end()) {
    return running_;
  }
  const auto recent = static_cast<unsigned>(ids.size());
  const unsigned among = choice % 2 == 0 ? std::min(recent, 4u) : recent;
  return ids[recent - 1 - (choice >> 3) % among];
}

void ProgramRunner::reschedule(const Op& op) {
  const Id id = pick(scheduled_timers_, op.a);
  if (id == LoopModel::kNone) return;
  const TimePoint now = loop_->time();
  const TimePoint when =
      saturating_add(now - now.time_since_epoch() % 1ms, choose(kDelays, op.b));
  note("reschedule #", id, " ", when.time_since_epoch().count());
  const bool was_armed = model_.is_armed(id);
  const bool moved = timers_[id].reschedule(when);
  if (moved && !was_armed) ++seen_.moved_while_ready;
  expect(moved == model_.reschedule(id, when), "reschedule()'s answer");
}

void ProgramRunner::cancel(const Op& op) {
  const Id id = pick(scheduled_, op.a);
  if (id == LoopModel::kNone) return;
  note("cancel #", id);
  model_.cancel(id);
  Handle(handles_[id]).cancel();
  expect(handles_[id].cancelled(), "a cancelled handle denies it");
  expect(
      model_.is_running(id) || model_.is_destroyed(id) || deaths_come_early(),
      "cancel() returned before the captures were destroyed");
}

void ProgramRunner::own(const Op& op) {
  const Id id = pick(scheduled_, op.a);
  if (id == LoopModel::kNone) return;
  note("owner ", op.b % 2, " takes #", id);
  owners_[op.b % 2].push_back({id, ScopedHandle(handles_[id])});
}

void ProgramRunner::destroy_owner(std::size_t index) {
  note("destroy owner ", index);
  // Out of reach first: what dies here may come back to this owner.
  auto owned = std::exchange(owners_[index], {});
  for (Owned& one : owned) {
    model_.cancel(one.id);
    one.handle.cancel();
  }
}

}  // namespace rondo::test
