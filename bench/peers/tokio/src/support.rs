// SPDX-License-Identifier: MIT
//
// What the cases share.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

use crate::worker::Clock;

pub fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// The time that `work` takes on `clock`, measured inside the runtime.
pub async fn timed<F: Future>(clock: Clock, work: F) -> i64 {
    let began = clock.now_ns();
    work.await;
    clock.now_ns() - began
}

/// Counts what was done, and wakes who waits for the last of it.
#[derive(Clone, Default)]
pub struct Counter(Arc<Inner>);

#[derive(Default)]
struct Inner {
    count: AtomicU64,
    until: AtomicU64,
    reached: Notify,
}

impl Counter {
    pub fn new(until: u64) -> Self {
        let counter = Self::default();
        counter.0.until.store(until, Ordering::Relaxed);
        counter
    }

    /// Only one thread adds, so a load and a store do.
    pub fn add(&self, more: u64) -> u64 {
        let sum = self.get() + more;
        self.0.count.store(sum, Ordering::Relaxed);
        if sum == self.0.until.load(Ordering::Relaxed) {
            self.0.reached.notify_one();
        }
        sum
    }

    pub fn get(&self) -> u64 {
        self.0.count.load(Ordering::Relaxed)
    }

    /// Counts anew.
    pub fn restart(&self, until: u64) {
        self.0.count.store(0, Ordering::Relaxed);
        self.0.until.store(until, Ordering::Relaxed);
    }

    pub async fn reached(&self) {
        self.0.reached.notified().await;
    }
}

/// `count` in parts of at most `size`.
pub fn batches(count: u64, size: u64) -> impl Iterator<Item = u64> {
    (0..count)
        .step_by(size as usize)
        .map(move |done| size.min(count - done))
}

/// `count` durations from `low` to below `high`, the same each time.
pub fn random_delays(count: u64, low: Duration, high: Duration) -> Vec<Duration> {
    let mut state: u32 = 1;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            low + (high - low).mul_f64(f64::from(state) / 4294967296.0)
        })
        .collect()
}
