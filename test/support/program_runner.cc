// SPDX-License-Identifier: MIT
#include "test/support/program_runner.h"

#include "reactor/errors.h"
#include "test/support/allocation.h"

// A program from its beginning to its end.

namespace rondo::test {
namespace {

// More than any program needs; one that gets here is stopped.
constexpr unsigned kWaitsMax = 60;
// How often the loop polls when the program has nothing more to do.
constexpr unsigned kWaitsAfterOps = 6;

TimePoint start_of(std::uint64_t seed) {
  // Nothing may depend on the magnitude of the clock.
  constexpr std::int64_t kStarts[] = {0, 1'234'567, 900'000'000'000'000'000};
  return TimePoint(Duration(kStarts[seed % 3]));
}

}  // namespace

ProgramRunner::ProgramRunner() {
  script_.emplace(clock_);
  kernel_.emplace(*script_, files_);
  handles_.reserve(2048);
  timers_.reserve(2048);
  acts_.reserve(2048);
  scheduled_.reserve(2048);
  scheduled_timers_.reserve(2048);
  early_deaths_.reserve(64);
  reports_.reserve(64);
  // What is made once in a process is made here.
  Program program;
  make_random_program(0, program);
  run(program);
  checks_memory_ = true;
}

ProgramRunner::~ProgramRunner() = default;

std::string ProgramRunner::run(const Program& program, std::string* trace) {
  trace_ = trace;
  const std::int64_t blocks_before = live_blocks();
  begin(program);
  auto loop = std::make_unique<EventLoop>(
      LoopOptions()
          .kernel(*kernel_)
          .passes_per_poll(program.passes_per_poll)
          .timer_resolution(program.timer_resolution));
  loop_ = loop.get();
  remote_ = loop->remote_queue();
  loop->set_exception_handler(
      [this](EventLoop&, const ExceptionContext& context) {
        on_exception(context);
      });
  run_all();
  end(std::move(loop));
  const std::int64_t blocks = live_blocks() - blocks_before;
  if (checks_memory_ && trace == nullptr && !is_wrong() && blocks != 0) {
    model_.complain("blocks of memory left: " + std::to_string(blocks));  // I10
  }
  return model_.complaint();
}

void ProgramRunner::begin(const Program& program) {
  program_ = &program;
  next_op_ = 0;
  clock_ = VirtualKernel(start_of(program.seed));
  script_.emplace(clock_);
  kernel_->reset(*this);
  model_.reset(program.passes_per_poll, program.timer_resolution,
               files_.number(0));
  handles_.assign(1, Handle());
  timers_.assign(1, TimerHandle());
  acts_.assign(1, 0);
  scheduled_.clear();
  scheduled_timers_.clear();
  phase_ = Phase::kBetween;
  closed_ = forever_ = piecewise_ = renewed_ = rough_ = false;
  posted_asleep_ = leaves_ = handler_throws_ = false;
  throws_ = 0;
  running_ = thrown_by_ = LoopModel::kNone;
  early_deaths_.clear();
  live_guests_ = 0;
  waits_ = waits_after_ops_ = ran_in_pass_ = idle_passes_ = 0;
  failures_seen_ = exceptions_ = 0;
}

bool ProgramRunner::has_ops() const {
  return next_op_ < program_->ops.size() && !is_wrong();
}

void ProgramRunner::run_all() {
  for (std::uint64_t i = 0; i <= program_->seed % 3; ++i) {
    run_group(Actor::kOutside);
  }
  while (!is_wrong() && !closed_ && waits_ < kWaitsMax &&
         waits_after_ops_ < kWaitsAfterOps) {
    drive();
    run_group(Actor::kOutside);
  }
  while (closed_ && has_ops()) run_group(Actor::kOutside);
}

// -- running the loop --------------------------------------------------------

void ProgramRunner::drive() {
  // Only run_forever() forgets a stop().
  if (program_->driver == Driver::kRunForever || model_.stopping) {
    drive_whole_passes(true);
  } else if (program_->driver == Driver::kRunOnce) {
    drive_whole_passes(false);
  } else {
    drive_pieces();
  }
  check_step();
}

void ProgramRunner::drive_whole_passes(bool forever) {
  note(forever ? "run_forever" : "run_once");
  begin_pass();
  forever_ = forever;
  try {
    forever ? loop_->run_forever() : loop_->run_once();
    expect(!leaves_, "SystemExit did not leave the run");
    finish_pass();
    expect(!forever || model_.stopping, "run_forever() returned unasked");
  } catch (...) {
    after_exception();
  }
  forever_ = false;
  if (forever) model_.stopping = false;
}

void ProgramRunner::drive_pieces() {
  constexpr Duration kLimits[] = {Duration::zero(), Duration::max(),
                                  std::chrono::milliseconds(1)};
  piecewise_ = true;
  at_most_ = kLimits[waits_ % 3];
  const unsigned number = waits_;
  note("poll_events");
  loop_->poll_events(at_most_);
  // A second time loses nothing of the first.
  if (number % 5 == 0) loop_->poll_events(at_most_);
  at_most_ = Duration::max();
  if (number % 4 == 1) run_group(Actor::kOutside);
  if (!closed_) {
    note("collect");
    loop_->collect();
    collected();
    if (number % 4 == 3) run_group(Actor::kOutside);
  }
  if (!closed_) run_ready_piece();
  phase_ = Phase::kBetween;
  piecewise_ = false;
}

void ProgramRunner::run_ready_piece() {
  note("run_ready");
  model_.begin_batch();
  try {
    loop_->run_ready();
    expect(!leaves_, "SystemExit did not leave run_ready()");
    model_.end_batch();
  } catch (...) {
    after_exception();
  }
}

/// In the handler of what has left the run: only what was to do so may.
void ProgramRunner::after_exception() {
  try {
    throw;
  } catch (const SystemExit&) {
    expect(leaves_, "a SystemExit that nobody threw");
  } catch (const KeyboardInterrupt&) {
    expect(leaves_, "a KeyboardInterrupt that nobody threw");
  } catch (const std::exception& error) {
    model_.complain(std::string("the run threw ") + error.what());
  }
  leaves_ = false;
  ++seen_.exits;
  model_.cut_batch();
  phase_ = Phase::kBetween;
}

// -- the end -----------------------------------------------------------------

void ProgramRunner::end(std::unique_ptr<EventLoop> loop) {
  const bool owners_first = program_->seed % 4 < 2;
  if (owners_first) {
    for (std::size_t i = 0; i < owners_.size(); ++i) destroy_owner(i);
  }
  check_counters();
  if (program_->seed % 8 < 4) close_loop();
  // R19: the loop goes with whatever waits in it.
  note("destroy loop");
  closed_ = true;
  model_.close();
  loop.reset();
  next_op_ = program_->ops.size();
  for (std::size_t i = 0; i < owners_.size(); ++i) destroy_owner(i);
  expect(!remote_->post(Guest(*this, create(Kind::kSoon, Op{}))),
         "post() was accepted after the end of the loop");
  handles_.clear();
  timers_.clear();
  remote_.reset();
  expect(live_guests_ == 0, "captures left after the end of the loop");
  expect(model_.overdue() == 0, "captures not destroyed");
  expect(files_.reset(), "the loop closed a descriptor that it does not own");
  expect(script_->open_descriptors().empty(), "descriptors left");  // I9
  expect(script_->ledger_errors().empty(), "a descriptor closed twice");
}

}  // namespace rondo::test
