// SPDX-License-Identifier: MIT
//
// Tasks. There are no callbacks here: what runs soon is a task too.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::support::{batches, runtime, timed, Counter};
use crate::worker::{Clock, Round};

const TASKS: u64 = 100;

// -- soon ---------------------------------------------------------------------

/// A task that spawns 1,000 and yields.
pub fn soon_batch() -> Round {
    let runtime = runtime();
    Box::new(move |operations| {
        let ran = Counter::new(operations);
        let count = ran.clone();
        let pump = async move {
            for size in batches(operations, 1000) {
                for _ in 0..size {
                    let count = count.clone();
                    tokio::spawn(async move {
                        count.add(1);
                    });
                }
                tokio::task::yield_now().await;
            }
        };
        let took_ns = runtime.block_on(timed(Clock::Thread, async {
            tokio::spawn(pump);
            ran.reached().await;
        }));
        (took_ns, ran.get())
    })
}

/// A task that spawns the next one.
pub fn soon_chain() -> Round {
    fn link(left: u64, ran: Counter) {
        tokio::spawn(async move {
            ran.add(1);
            if left > 1 {
                link(left - 1, ran);
            }
        });
    }
    let runtime = runtime();
    Box::new(move |operations| {
        let ran = Counter::new(operations);
        let took_ns = runtime.block_on(timed(Clock::Thread, async {
            link(operations, ran.clone());
            ran.reached().await;
        }));
        (took_ns, ran.get())
    })
}

// -- tasks --------------------------------------------------------------------

async fn join(tasks: Vec<JoinHandle<()>>) {
    for task in tasks {
        task.await.expect("no panic");
    }
}

pub fn yield_100() -> Round {
    let runtime = runtime();
    Box::new(move |operations| {
        let done = Counter::default();
        let took_ns = runtime.block_on(timed(Clock::Thread, async {
            let tasks = (0..TASKS).map(|n| {
                let done = done.clone();
                tokio::spawn(async move {
                    for _ in 0..(operations + n) / TASKS {
                        tokio::task::yield_now().await;
                        done.add(1);
                    }
                })
            });
            join(tasks.collect()).await;
        }));
        (took_ns, done.get())
    })
}

/// Two tasks that wake each other.
pub fn ping_pong() -> Round {
    async fn play(sides: Arc<[Notify; 2]>, side: usize, times: u64, hits: Counter) {
        for _ in 0..times {
            sides[side].notified().await;
            hits.add(1);
            sides[1 - side].notify_one();
        }
    }
    let runtime = runtime();
    Box::new(move |operations| {
        let hits = Counter::default();
        let sides = Arc::new([Notify::new(), Notify::new()]);
        let took_ns = runtime.block_on(timed(Clock::Thread, async {
            let (one, two) = ((operations + 1) / 2, operations / 2);
            let tasks = vec![
                tokio::spawn(play(sides.clone(), 0, one, hits.clone())),
                tokio::spawn(play(sides.clone(), 1, two, hits.clone())),
            ];
            sides[0].notify_one();
            join(tasks).await;
        }));
        (took_ns, hits.get())
    })
}

pub fn spawn_join() -> Round {
    let runtime = runtime();
    Box::new(move |operations| {
        let ran = Counter::default();
        let took_ns = runtime.block_on(timed(Clock::Thread, async {
            for size in batches(operations, TASKS) {
                let tasks = (0..size).map(|_| {
                    let ran = ran.clone();
                    tokio::spawn(async move {
                        ran.add(1);
                    })
                });
                join(tasks.collect()).await;
            }
        }));
        (took_ns, ran.get())
    })
}

pub fn sleeping(counts: [u64; 2], each: &mut dyn FnMut()) {
    runtime().block_on(async {
        for count in counts {
            for _ in 0..count {
                tokio::spawn(tokio::time::sleep(Duration::from_secs(3600)));
            }
            // Until the last has gone to sleep.
            tokio::time::sleep(Duration::from_millis(10)).await;
            each();
        }
    });
}
