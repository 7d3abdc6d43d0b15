// SPDX-License-Identifier: MIT
#include "test/support/explorer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

namespace rondo::test {
namespace {

constexpr std::size_t kStepsMax = 1000;  // a scenario has some thirty

thread_local bool is_task = false;

}  // namespace

void Explorer::run(const std::vector<std::function<void()>>& bodies) {
  steps_ = 0;
  preemptions_ = 0;
  stuck_ = false;
  tasks_.clear();
  for (std::size_t i = 0; i < bodies.size(); ++i) tasks_.emplace_back();
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    threads.emplace_back([this, &task = tasks_[i], &body = bodies[i]] {
      is_task = true;
      task.turn.acquire();
      body();
      task.finished = true;
      switch_task();
    });
  }
  current_ = choose(tasks_.size());
  tasks_[current_].turn.release();
  for (std::thread& thread : threads) thread.join();
}

bool Explorer::next() {
  while (!choices_.empty() &&
         choices_.back().taken + 1 == choices_.back().options) {
    choices_.pop_back();
  }
  if (choices_.empty()) return false;
  ++choices_.back().taken;
  return true;
}

void Explorer::yield() {
  yield_until([] { return true; });
}

void Explorer::yield_until(const std::function<bool()>& ready) {
  if (!is_task) return;
  tasks_[current_].ready = ready;
  switch_task();
}

void Explorer::give_way() {
  yield_until([this, before = switches_] { return switches_ != before; });
}

/// On the thread whose turn it is: hands the turn to whom the schedule names.
void Explorer::switch_task() {
  const bool all_finished =
      std::all_of(tasks_.begin(), tasks_.end(),
                  [](const Task& task) { return task.finished; });
  if (all_finished) return;
  stuck_ |= options().empty() || steps_ == kStepsMax;
  const std::vector<std::size_t> found = options();
  const std::size_t me = current_;
  const bool finished = tasks_[me].finished;
  current_ = found[choose(found.size())];
  if (current_ == me) return;
  ++switches_;
  if (found.front() == me) ++preemptions_;
  tasks_[current_].turn.release();
  if (!finished) tasks_[me].turn.acquire();
}

bool Explorer::can_run(std::size_t task) const {
  return !tasks_[task].finished && (stuck_ || tasks_[task].ready());
}

/// Who may go on. The one whose turn it is comes first: decision 0 is never a
/// preemption.
std::vector<std::size_t> Explorer::options() const {
  std::vector<std::size_t> found;
  if (can_run(current_)) found.push_back(current_);
  if (!found.empty() && preemptions_ == preemptions_max_) return found;
  for (std::size_t task = 0; task < tasks_.size(); ++task) {
    if (task != current_ && can_run(task)) found.push_back(task);
  }
  return found;
}

/// What the schedule says here, or the first choice where it is new.
std::size_t Explorer::choose(std::size_t options) {
  if (stuck_) return 0;
  if (steps_ == choices_.size()) choices_.push_back({0, options});
  EXPECT_EQ(choices_[steps_].options, options) << "the scenario is random";
  return choices_[steps_++].taken;
}

std::string Explorer::schedule() const {
  std::string text = "schedule";
  for (std::size_t step = 0; step < choices_.size(); ++step) {
    if (choices_[step].taken == 0) continue;
    text +=
        " " + std::to_string(step) + ":" + std::to_string(choices_[step].taken);
  }
  return text;
}

}  // namespace rondo::test
