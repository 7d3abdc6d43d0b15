// SPDX-License-Identifier: MIT
//
// Another thread: functions through an mpsc channel.

use std::sync::mpsc as plain;
use std::thread;

use tokio::sync::mpsc;

use crate::support::{runtime, timed};
use crate::worker::{check, Clock, Round};

/// What is posted: it counts.
type Call = fn(&mut u64);

const ADD: Call = |count| *count += 1;

/// How far the poster may run ahead.
const AHEAD: usize = 16_384;

/// A thread that has no runtime posts with blocking_send, as the documentation
/// of the channel says.
pub fn post() -> Round {
    let runtime = runtime();
    let (order, orders) = plain::channel::<u64>();
    let (sender, mut receiver) = mpsc::channel::<Call>(AHEAD);
    thread::spawn(move || {
        for operations in orders {
            for _ in 0..operations {
                if sender.blocking_send(ADD).is_err() {
                    return; // nobody receives any more
                }
            }
        }
    });
    Box::new(move |operations| {
        let mut ran = 0;
        let took_ns = runtime.block_on(timed(Clock::Process, async {
            order.send(operations).expect("a poster");
            for _ in 0..operations {
                let call = receiver.recv().await.expect("a call");
                call(&mut ran);
            }
        }));
        (took_ns, ran)
    })
}

/// Two runtimes on two threads.
pub fn ping_pong() -> Round {
    let near = runtime();
    let (to_far, mut from_near) = mpsc::unbounded_channel::<Call>();
    let (to_near, mut from_far) = mpsc::unbounded_channel::<Call>();
    let (report, reports) = plain::channel::<u64>();
    // An order is a number of calls to send back.
    let (order, orders) = plain::channel::<u64>();
    thread::spawn(move || {
        let far = runtime();
        for operations in orders {
            let mut ran = 0;
            far.block_on(async {
                for _ in 0..operations {
                    let call = from_near.recv().await.expect("a call");
                    call(&mut ran);
                    let _ = to_near.send(ADD);
                }
            });
            report.send(ran).expect("the near side");
        }
    });
    Box::new(move |operations| {
        let mut ran = 0;
        let took_ns = near.block_on(timed(Clock::Process, async {
            order.send(operations).expect("the far side");
            for _ in 0..operations {
                let _ = to_far.send(ADD);
                let call = from_far.recv().await.expect("a call");
                call(&mut ran);
            }
        }));
        let far = reports.recv().expect("the far side");
        check(far, operations, "calls on the far side");
        (took_ns, ran)
    })
}
