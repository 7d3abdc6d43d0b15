// SPDX-License-Identifier: MIT
//
// tokio on one thread: its current_thread runtime.

mod remote;
mod sockets;
mod support;
mod tasks;
mod timers;
mod worker;

use std::env;
use std::time::Duration;

use worker::{Case, Clock, Memory, Program, Round, Server};

/// The timeout of a pair in the pipe chain.
const IDLE: Option<Duration> = Some(Duration::from_secs(10));

fn case<F>(name: &'static str, operations: u64, clock: Clock, start: F) -> Case
where
    F: Fn() -> Round + 'static,
{
    Case {
        name,
        operations,
        clock,
        start: Box::new(start),
    }
}

/// As many descriptors as may be.
fn raise_limit() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
}

fn main() {
    use Clock::{Process, Thread};

    raise_limit();
    let program = Program {
        name: "tokio",
        version: env!("TOKIO_VERSION"),
        cases: vec![
            case("soon/batch_1000", 200_000, Thread, tasks::soon_batch),
            case("soon/chain_1", 200_000, Thread, tasks::soon_chain),
            case("timers/insert_cancel_10000", 100_000, Thread, || {
                timers::insert_cancel(10_000)
            }),
            case("timers/insert_cancel_100000", 100_000, Thread, || {
                timers::insert_cancel(100_000)
            }),
            case("timers/insert_expire_10000", 50_000, Thread, || {
                timers::insert_expire(10_000)
            }),
            case("timers/insert_expire_100000", 100_000, Thread, || {
                timers::insert_expire(100_000)
            }),
            case("timers/reschedule_10000", 1_000_000, Thread, || {
                timers::reschedule(10_000)
            }),
            case("timers/reschedule_100000", 1_000_000, Thread, || {
                timers::reschedule(100_000)
            }),
            case("remote/post_1", 300_000, Process, remote::post),
            case("remote/ping_pong", 10_000, Process, remote::ping_pong),
            case("tasks/yield_100", 500_000, Thread, tasks::yield_100),
            case("tasks/ping_pong", 200_000, Thread, tasks::ping_pong),
            case("tasks/spawn_join_100", 200_000, Thread, tasks::spawn_join),
            case("pipe_chain/1000_1", 10_000, Thread, || {
                sockets::pipe_chain(1_000, 1, None)
            }),
            case("pipe_chain/1000_100", 10_000, Thread, || {
                sockets::pipe_chain(1_000, 100, None)
            }),
            case("pipe_chain/9900_1", 10_000, Thread, || {
                sockets::pipe_chain(9_900, 1, None)
            }),
            case("pipe_chain/9900_100", 10_000, Thread, || {
                sockets::pipe_chain(9_900, 100, None)
            }),
            case("pipe_chain/1000_1_idle", 10_000, Thread, || {
                sockets::pipe_chain(1_000, 1, IDLE)
            }),
            case("pipe_chain/1000_100_idle", 10_000, Thread, || {
                sockets::pipe_chain(1_000, 100, IDLE)
            }),
            case("pipe_chain/9900_1_idle", 10_000, Thread, || {
                sockets::pipe_chain(9_900, 1, IDLE)
            }),
            case("pipe_chain/9900_100_idle", 10_000, Thread, || {
                sockets::pipe_chain(9_900, 100, IDLE)
            }),
        ],
        servers: vec![
            Server {
                kind: "echo",
                contestant: "tokio",
                serve: sockets::echo,
            },
            Server {
                kind: "echo",
                contestant: "tokio_copy",
                serve: sockets::echo_by_copy,
            },
            Server {
                kind: "accept",
                contestant: "tokio",
                serve: sockets::greet,
            },
        ],
        memory: vec![Memory {
            name: "tasks/sleeping",
            fill: tasks::sleeping,
        }],
    };
    let arguments: Vec<String> = env::args().skip(1).collect();
    program.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
}
