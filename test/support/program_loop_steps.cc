// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cerrno>

#include "reactor/snapshot.h"
#include "test/support/program_runner.h"

// What a program does with the loop as a whole, and with the kernel.

namespace rondo::test {

// -- the loop and the kernel -------------------------------------------------

/// Calls that are refused in every state, or in this one (R4).
void ProgramRunner::misuse(const Op& op) {
  note("misuse");
  const bool running = loop_->is_running();
  switch (op.a % 4) {
    case 0:
      if (running || closed_) {
        expect_refusal(attempt([&] { loop_->run_once(); }), "nested run_once");
      }
      break;
    case 1:
      if (running || closed_) {
        expect_refusal(attempt([&] { loop_->run_forever(); }),
                       "nested run_forever");
      }
      break;
    case 2:
      if (running) {
        expect_refusal(attempt([&] { loop_->close(); }),
                       "close() of a running loop");
      }
      break;
    default:
      expect(!loop_->remove_reader(-1), "remove_reader(-1)");
      Handle().cancel();
      break;
  }
}

void ProgramRunner::look_around() {
  if (closed_ || phase_ == Phase::kPolled) return;
  note("look around");
  const Snapshot snapshot = loop_->snapshot();
  // Some only hold a place that is passed over.
  const auto will_run = [&](const Handle& handle) {
    const auto& timers = snapshot.timers;
    return !handle.cancelled() &&
           std::none_of(timers.begin(), timers.end(),
                        [&](const Handle& timer) { return timer.is(handle); });
  };
  expect(static_cast<std::size_t>(std::count_if(
             snapshot.ready.begin(), snapshot.ready.end(), will_run)) ==
             model_.ready_to_run(),
         "snapshot().ready");
  expect(snapshot.timers.size() == model_.armed_size(), "snapshot().timers");
  expect(snapshot.descriptors.size() == model_.descriptors(),
         "snapshot().descriptors");
  for (std::size_t i = 1; i < snapshot.timers.size(); ++i) {
    expect(snapshot.timers[i - 1].when() <= snapshot.timers[i].when(),
           "snapshot().timers is not sorted");
  }
  expect(loop_->is_stopping() == model_.stopping, "is_stopping()");
  expect(loop_->next_timeout() == model_.next_timeout(loop_->time()),
         "next_timeout()");
}

void ProgramRunner::close_loop() {
  if (closed_) return;
  note("close loop");
  closed_ = true;  // from its first moment on
  model_.close();
  expect(attempt([&] { loop_->close(); }).type == Outcome::Type::kDone,
         "close() threw");
  expect(loop_->is_closed(), "is_closed()");
  expect(model_.overdue() == 0, "close() left captures");  // I4
}

void ProgramRunner::fail_kernel(const Op& op) {
  const ScriptedKernel::When when{.from_call = 1, .times = 1 + op.b % 2u};
  note(to_string(op.kind));
  switch (op.kind) {
    case OpKind::kFailAdd:
      return script_->fail(KernelCall::kEpollAdd, op.a % 2 ? ENOSPC : ENOMEM,
                           when);
    case OpKind::kFailModify:
      rough_ = true;  // a descriptor that cannot keep its other half is lost
      return script_->fail(KernelCall::kEpollModify, ENOMEM, when);
    case OpKind::kFailRemove:
      return script_->fail(KernelCall::kEpollRemove, ENOMEM, when);
    case OpKind::kFailRenewal:
      return script_->fail(
          op.a % 2 ? KernelCall::kEpollCreate : KernelCall::kDup3, EMFILE,
          when);
    default:
      script_->fail(KernelCall::kEpollWait, EINTR, when);
      return script_->fail(KernelCall::kEpollPwait2, EINTR, when);
  }
}

}  // namespace rondo::test
