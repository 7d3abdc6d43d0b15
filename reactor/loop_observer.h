// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include "reactor/clock.h"
#include "reactor/events.h"
#include "reactor/handle.h"

namespace rondo {

class EventLoop;

/// Sees each step of each pass: the seam for tracing, metrics and teaching.
///
/// The calls of one pass, in order:
///
///   on_pass_begin  on_poll_begin?  on_poll_end?  on_event*  on_timer_due*
///   ( on_callback_begin  on_callback_end )*  on_pass_end
///
/// (A pass polls unless LoopOptions::passes_per_poll lets it skip that. A
/// pass that SystemExit leaves has no on_pass_end.)
///
/// Every call comes from the loop's thread. An observer may read the loop
/// (snapshot(), stats(), to_string()) and the clock; it must not schedule,
/// cancel or throw. With no observer the seam costs one predictable branch a
/// step.
class LoopObserver {
 public:
  virtual ~LoopObserver() = default;
  /// A pass begins.
  virtual void on_pass_begin(EventLoop&) {}
  /// The loop will wait for up to `timeout`: zero does not sleep,
  /// Duration::max() sleeps until something happens.
  virtual void on_poll_begin(EventLoop&, Duration /*timeout*/) {}
  /// The kernel reported `events` events, the loop's own wake-up counted.
  virtual void on_poll_end(EventLoop&, std::size_t /*events*/) {}
  /// `fd` reported `events`; its callbacks were queued.
  virtual void on_event(EventLoop&, int /*fd*/, Events /*events*/) {}
  /// `timer` is due; it was queued.
  virtual void on_timer_due(EventLoop&, const TimerHandle& /*timer*/) {}
  /// `handle` is about to run.
  virtual void on_callback_begin(EventLoop&, const Handle& /*handle*/) {}
  /// `handle` has run; its captures are still there.
  virtual void on_callback_end(EventLoop&, const Handle& /*handle*/) {}
  /// The pass is over.
  virtual void on_pass_end(EventLoop&) {}
};

}  // namespace rondo
