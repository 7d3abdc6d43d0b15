// SPDX-License-Identifier: MIT
#include "futures/coro/frame.h"

#include <algorithm>

#include "reactor/internal/log.h"

namespace rondo::detail {

Step CoroStack::run(Resumption& resumption) {
  resumption.next = Step::done();  // it may be a second run of the same step
  const bool is_first = std::exchange(resumption_, &resumption) == nullptr;
  // Cancelled before its first step: the body is never entered.
  if (is_first && resumption.error() != nullptr) return Step::failed();
  if (operation_ != nullptr) {
    const Step step = operation_->step(resumption);
    if (step.kind() != Step::Kind::kDone) return step;
    operation_ = nullptr;
    resumption.set_error(nullptr);  // what it did not look at is swallowed
  }
  do {
    Frame& frame = *leaf_;
    (frame.slot != nullptr ? frame.slot->child : root_).resume();
    if (leaf_ == nullptr) {
      if (frame.error == nullptr) return Step::done();
      resumption.set_error(std::move(frame.error));
      return Step::failed();
    }
  } while (resumption.next.kind() == Step::Kind::kDone);
  return resumption.next;
}

CoroStack::~CoroStack() {
  // Not from the outermost inwards, by destructors alone: that would nest as
  // deeply as the frames do.
  while (leaf_ != nullptr && leaf_->slot != nullptr) {
    ChildSlot& slot = *leaf_->slot;
    leaf_ = slot.parent;
    std::exchange(slot.child, nullptr).destroy();
  }
  root_.destroy();
}

std::vector<StackFrame> CoroStack::frames() const {
  std::vector<StackFrame> frames;
  for (const Frame* frame = leaf_; frame != nullptr;
       frame = frame->slot != nullptr ? frame->slot->parent : nullptr) {
    frames.emplace_back(coroutine_name(frame->where), frame->where.file_name(),
                        frame->line);
  }
  std::reverse(frames.begin(), frames.end());
  return frames;
}

std::string address_text(const void* address) {
  return fmt::format("{}", address);
}

std::string coroutine_description(const std::source_location& where, bool done,
                                  const CoroStack* frames) {
  std::string text = coroutine_name(where) + "()";
  const auto place = [](const char* file, unsigned line) {
    return std::string(file) + ":" + std::to_string(line);
  };
  if (done || frames == nullptr) {
    return text + " done, defined at " + place(where.file_name(), where.line());
  }
  const StackFrame outermost = frames->frames().front();
  return text + " running at " + place(outermost.file.c_str(), outermost.line);
}

void report_never_awaited(const std::source_location& where) noexcept {
  log_safely([&] {
    log().warn("coroutine '{}' was never awaited (defined at {}:{})",
               coroutine_name(where), where.file_name(), where.line());
  });
}

}  // namespace rondo::detail
