// SPDX-License-Identifier: MIT
//
// Timers. A timer is a future, Sleep, that some task polls: dropping it
// cancels it, and reset() moves it. One that runs something when it fires is a
// task that sleeps. Deadlines are rounded up to milliseconds by the wheel.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{sleep, sleep_until, Instant, Sleep};

use crate::support::{batches, random_delays, runtime, timed, Counter};
use crate::worker::{check, Clock, Round};

/// Polls a timer once, which sets it. Says whether it is pending.
struct Set<'a>(&'a mut Pin<Box<Sleep>>);

impl Future for Set<'_> {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<bool> {
        Poll::Ready(self.0.as_mut().poll(context).is_pending())
    }
}

/// A timer that is due before all others, as a program in use has one. Without
/// it each new timer may be the first, and writes to an eventfd to say so.
async fn first_timer() {
    loop {
        sleep(Duration::from_millis(500)).await;
    }
}

/// Lets the runtime look at its timers.
async fn sleep_briefly() {
    sleep(Duration::from_millis(2)).await;
    tokio::task::yield_now().await;
}

pub fn insert_cancel(live: u64) -> Round {
    let runtime = runtime();
    runtime.spawn(first_timer());
    let delays = random_delays(live, Duration::from_secs(1), Duration::from_secs(60));
    Box::new(move |operations| {
        let mut timers = Vec::with_capacity(live as usize);
        let mut done = 0;
        runtime.block_on(sleep_briefly());
        let took_ns = runtime.block_on(timed(Clock::Thread, async {
            for size in batches(operations, live) {
                for &delay in &delays[..size as usize] {
                    let mut timer = Box::pin(sleep(delay));
                    done += u64::from(Set(&mut timer).await);
                    timers.push(timer);
                }
                timers.clear(); // drops, and by that cancels
            }
        }));
        (took_ns, done)
    })
}

pub fn insert_expire(live: u64) -> Round {
    let runtime = runtime();
    let delays = random_delays(live, Duration::ZERO, Duration::from_millis(10));
    Box::new(move |operations| {
        let mut done = 0;
        let took_ns = runtime.block_on(timed(Clock::Thread, async {
            for size in batches(operations, live) {
                let fired = Counter::new(size);
                for &delay in &delays[..size as usize] {
                    let fired = fired.clone();
                    tokio::spawn(async move {
                        sleep(delay).await;
                        fired.add(1);
                    });
                }
                fired.reached().await;
                done += fired.get();
            }
        }));
        (took_ns, done)
    })
}

pub fn reschedule(live: u64) -> Round {
    let runtime = runtime();
    let hour = Duration::from_secs(3600);
    let minute = Duration::from_secs(60);
    let base = Instant::now() + hour;
    let mut timers: Vec<_> = runtime.block_on(async {
        let mut timers = Vec::new();
        for delay in random_delays(live, Duration::ZERO, minute) {
            let mut timer = Box::pin(sleep_until(base + delay));
            check(u64::from(Set(&mut timer).await), 1, "a timer set");
            timers.push(timer);
        }
        timers
    });
    let base = base + minute;
    let mut next = 0;
    let mut forward = 0;
    Box::new(move |operations| {
        let before = forward;
        let took_ns = runtime.block_on(timed(Clock::Thread, async {
            for _ in 0..operations {
                forward += 1;
                timers[next]
                    .as_mut()
                    .reset(base + Duration::from_nanos(forward));
                next += 1;
                if next == timers.len() {
                    next = 0;
                }
            }
        }));
        let fired = timers.iter().filter(|timer| timer.is_elapsed()).count();
        check(fired as u64, 0, "timers that fired too early");
        let last = timers.iter().map(|timer| timer.deadline()).max();
        check(
            (last.expect("timers") - base).as_nanos() as u64,
            forward,
            "the last deadline",
        );
        (took_ns, forward - before)
    })
}
