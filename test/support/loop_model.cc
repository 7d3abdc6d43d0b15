// SPDX-License-Identifier: MIT
#include "test/support/loop_model.h"

#include <algorithm>
#include <utility>

namespace rondo::test {

LoopModel::LoopModel() {
  calls_.reserve(2048);
  ready_.reserve(4096);
  remote_.reserve(64);
  armed_.reserve(64);
  due_.reserve(64);
}

void LoopModel::reset(unsigned passes_per_poll, Duration timer_resolution,
                      int first_number) {
  complaint_.clear();
  calls_.assign(1, Call(Kind::kSoon));
  ready_.clear();
  front_ = remaining_ = 0;
  remote_.clear();
  armed_.clear();
  orders_ = 0;
  descriptors_ = {};
  first_number_ = first_number;
  passes_per_poll_ = passes_per_poll;
  passes_since_poll_ = 0;
  timer_resolution_ = timer_resolution;
  stopping = false;
  callbacks = timers_fired = remote_calls = 0;
}

void LoopModel::complain(std::string what) {
  if (complaint_.empty()) complaint_ = std::move(what);
}

std::string LoopModel::name(Id id) const {
  constexpr const char* kNames[] = {"call",   "timer", "reader",
                                    "writer", "watch", "report of fd"};
  const Call& call = calls_[id];
  return std::string(kNames[static_cast<std::size_t>(call.kind)]) + " #" +
         std::to_string(id);
}

// -- what the program does ---------------------------------------------------

LoopModel::Id LoopModel::create(Kind kind) {
  calls_.emplace_back(kind);
  return static_cast<Id>(calls_.size() - 1);
}

void LoopModel::push(Id id) {
  calls_[id].accepted = true;
  ready_.push_back(id);
}

void LoopModel::call_soon(Id id) { push(id); }

void LoopModel::post(Id id) {
  calls_[id].accepted = true;
  remote_.push_back(id);
}

void LoopModel::call_at(Id id, TimePoint when) {
  Call& call = calls_[id];
  call.accepted = true;
  call.armed = true;
  call.when = when;
  call.order = orders_++;
  armed_.push_back(id);
}

/// Takes its place in the ready queue from it. The place still counts: the
/// number of those that a pass runs is not changed by a cancel.
bool LoopModel::pass_over(Id id) {
  const auto found = std::find(
      ready_.begin() + static_cast<std::ptrdiff_t>(front_), ready_.end(), id);
  if (found == ready_.end()) return false;
  *found = kNone;
  return true;
}

bool LoopModel::reschedule(Id id, TimePoint when) {
  Call& call = calls_[id];
  if (is_over(id)) return false;
  if (call.armed) {
    call.when = when;
    call.order = orders_++;
    return true;
  }
  pass_over(id);
  call_at(id, when);
  return true;
}

void LoopModel::cancel(Id id) {
  Call& call = calls_[id];
  if (call.cancelled) return;
  call.cancelled = true;
  if (call.armed) std::erase(armed_, id);
  call.armed = false;
  pass_over(id);
}

void LoopModel::close() {
  for (Id id = 1; id < calls_.size(); ++id) {
    if (!is_over(id)) cancel(id);
  }
  for (Descriptor& descriptor : descriptors_) descriptor = {};
  remote_.clear();
}

// -- descriptors -------------------------------------------------------------

LoopModel::Id& LoopModel::place(Descriptor& descriptor, Kind kind) {
  if (kind == Kind::kReader) return descriptor.reader;
  if (kind == Kind::kWriter) return descriptor.writer;
  return descriptor.watch;
}

void LoopModel::set(Kind kind, int number, Id id) {
  Descriptor& of = descriptor(number);
  const Id replaced = std::exchange(place(of, kind), id);
  if (replaced != kNone) cancel(replaced);
  calls_[id].accepted = true;
  calls_[id].number = number;
}

void LoopModel::set_interest(int number, Events interest) {
  descriptor(number).watched = interest;
  descriptor(number).spent = false;
}

bool LoopModel::has(Kind kind, int number) const {
  Descriptor of = descriptor(number);
  return place(of, kind) != kNone;
}

void LoopModel::remove(Kind kind, int number) {
  const Id removed = std::exchange(place(descriptor(number), kind), kNone);
  if (kind == Kind::kWatch) set_interest(number, Events::kNone);
  if (removed != kNone) cancel(removed);
}

Events LoopModel::wanted(int number) const {
  const Descriptor& of = descriptor(number);
  if (of.watch != kNone) return of.watched;
  return (of.reader != kNone ? Events::kRead : Events::kNone) |
         (of.writer != kNone ? Events::kWrite : Events::kNone);
}

void LoopModel::lose(int number) {
  Descriptor& of = descriptor(number);
  const bool had_any = (of.reader | of.writer | of.watch) != kNone;
  remove(Kind::kReader, number);
  remove(Kind::kWriter, number);
  remove(Kind::kWatch, number);
  of.believed = false;
  if (!had_any) return;
  const Id id = create(Kind::kReport);
  calls_[id].number = number;
  calls_[id].destroyed = true;  // no captures of ours
  push(id);
}

void LoopModel::believe(int number, Serial serial) {
  descriptor(number).believed = true;
  descriptor(number).serial = serial;
  ++descriptor(number).arming;
}

std::size_t LoopModel::descriptors() const {
  return static_cast<std::size_t>(std::count_if(
      descriptors_.begin(), descriptors_.end(), [](const Descriptor& of) {
        return (of.reader | of.writer | of.watch) != kNone;
      }));
}

// -- steps 1 to 3 ------------------------------------------------------------

Duration LoopModel::next_timeout(TimePoint now) const {
  if (ready_size() > 0 || stopping) return Duration::zero();
  TimePoint next = TimePoint::max();
  for (const Id id : armed_) next = std::min(next, calls_[id].when);
  if (next == TimePoint::max()) return Duration::max();
  if (next <= now) return Duration::zero();
  return std::min<Duration>(next - now, std::chrono::hours(24));
}

Duration LoopModel::sleep(TimePoint now, Duration at_most) const {
  const Duration timeout = std::min(next_timeout(now), at_most);
  if (!remote_.empty()) return Duration::zero();
  if (timeout == Duration::max()) return timeout;
  const Duration beyond = timeout % timer_resolution_;
  if (beyond == Duration::zero()) return timeout;
  return timeout - beyond + timer_resolution_;
}

bool LoopModel::polls() const {
  return ready_size() == 0 || passes_since_poll_ + 1 >= passes_per_poll_;
}

std::size_t LoopModel::ready_to_run() const {
  return ready_size() -
         static_cast<std::size_t>(
             std::count(ready_.begin() + static_cast<std::ptrdiff_t>(front_),
                        ready_.end(), kNone));
}

void LoopModel::skip_silent_passes() {
  if (polls() || ready_to_run() > 0) return;
  skip_poll();
  front_ = ready_.size();
}

// -- steps 4 and 5 -----------------------------------------------------------

bool LoopModel::report(const ShadowKernel::Report& report,
                       std::uint32_t arming) {
  Descriptor& of = descriptor(report.number);
  // A report of what the loop has given up or changed since is for nobody.
  if (!of.believed || of.serial != report.serial || of.arming != arming) {
    return false;
  }
  const auto queue = [&](Id id) {
    const bool waits =
        std::find(ready_.begin() + static_cast<std::ptrdiff_t>(front_),
                  ready_.end(), id) != ready_.end();
    if (!waits) push(id);
  };
  if (of.watch != kNone) {
    if (of.spent) complain("a one-shot watch reported twice");
    of.spent = rondo::has(of.watched, Events::kOneShot);
    Events& events = calls_[of.watch].events;
    events = events | report.events;
    queue(of.watch);
    return true;
  }
  constexpr Events kBoth = Events::kError | Events::kHangup;
  if (of.reader != kNone && rondo::has(report.events, Events::kRead | kBoth)) {
    queue(of.reader);
  }
  if (of.writer != kNone && rondo::has(report.events, Events::kWrite | kBoth)) {
    queue(of.writer);
  }
  return true;
}

void LoopModel::collect_remote() {
  for (const Id id : remote_) push(id);
  remote_calls += remote_.size();
  remote_.clear();
}

void LoopModel::collect_timers(TimePoint now) {
  due_.clear();
  for (const Id id : armed_) {
    if (calls_[id].when <= now) due_.push_back(id);
  }
  std::sort(due_.begin(), due_.end(), [&](Id a, Id b) {
    return std::pair(calls_[a].when, calls_[a].order) <
           std::pair(calls_[b].when, calls_[b].order);
  });
  for (const Id id : due_) {
    calls_[id].armed = false;
    std::erase(armed_, id);
    push(id);
    ++timers_fired;
  }
}

// -- step 6 ------------------------------------------------------------------

void LoopModel::begin_batch() { remaining_ = ready_size(); }

LoopModel::Id LoopModel::next_report() const {
  for (std::size_t i = front_; i < ready_.size(); ++i) {
    const Id id = ready_[i];
    if (id != kNone) return calls_[id].kind == Kind::kReport ? id : kNone;
  }
  return kNone;
}

void LoopModel::run(Id id, Events events) {
  while (remaining_ > 0 && ready_[front_] == kNone) {
    ++front_;
    --remaining_;
  }
  if (remaining_ == 0 && ready_size() > 0 && !stopping && !polls()) {
    // The next pass, which does not poll.
    skip_poll();
    begin_batch();
    return run(id, events);
  }
  if (remaining_ == 0) {
    return complain(name(id) + " ran, and nothing should run any more");
  }
  const Id expected = ready_[front_];
  ++front_;
  --remaining_;
  if (expected != id) {
    return complain(name(id) + " ran when it was the turn of " +
                    name(expected));
  }
  Call& call = calls_[id];
  if (call.kind == Kind::kWatch && call.events != events) {
    complain(name(id) + " got the events " + rondo::to_string(events) +
             ", not " + rondo::to_string(call.events));
  }
  call.events = Events::kNone;
  call.running = true;
  ++callbacks;
}

void LoopModel::returned(Id id) {
  Call& call = calls_[id];
  call.running = false;
  if (!call.cancelled && !call.armed && !repeats(call)) call.ended = true;
}

void LoopModel::end_batch() {
  while (remaining_ > 0) {
    const Id left = ready_[front_];
    if (left != kNone)
      return complain(name(left) + " was ready and did not run");
    ++front_;
    --remaining_;
  }
}

// -- captures ----------------------------------------------------------------

bool LoopModel::is_over(Id id) const {
  const Call& call = calls_[id];
  return !call.accepted || call.cancelled || call.ended;
}

void LoopModel::destroyed(Id id) {
  Call& call = calls_[id];
  if (call.destroyed) complain(name(id) + " was destroyed twice");
  if (call.running) complain(name(id) + " was destroyed while it ran");
  if (!is_over(id)) complain(name(id) + " was destroyed, and has yet to run");
  call.destroyed = true;
}

int LoopModel::overdue() const {
  int count = 0;
  for (Id id = 1; id < calls_.size(); ++id) {
    const Call& call = calls_[id];
    count += is_over(id) && !call.running && !call.destroyed;
  }
  return count;
}

}  // namespace rondo::test
