// SPDX-License-Identifier: MIT
//
// The command line of a contestant, in Rust: what every peer's program
// understands, in one place. main.rs says what there is to run.

use std::fs;
use std::io::{self, BufRead, Read, Write};
use std::process;

/// Nanoseconds of the timed part, and how much was done, counted by those who
/// did it.
pub type Sample = (i64, u64);

/// What does so many operations.
pub type Round = Box<dyn FnMut(u64) -> Sample>;

/// What a case is timed by.
#[derive(Clone, Copy)]
pub enum Clock {
    /// Processor time of this thread.
    Thread,
    /// Of all threads.
    Process,
}

impl Clock {
    pub fn now_ns(self) -> i64 {
        let id = match self {
            Clock::Thread => libc::CLOCK_THREAD_CPUTIME_ID,
            Clock::Process => libc::CLOCK_PROCESS_CPUTIME_ID,
        };
        let mut now = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        unsafe { libc::clock_gettime(id, &mut now) };
        now.tv_sec * 1_000_000_000 + now.tv_nsec
    }
}

/// A case of --worker. `start` makes what all rounds share.
pub struct Case {
    pub name: &'static str,
    pub operations: u64,
    pub clock: Clock,
    pub start: Box<dyn Fn() -> Round>,
}

/// A kind of --server: `serve` says its port and goes on for ever.
pub struct Server {
    pub kind: &'static str,
    pub contestant: &'static str,
    pub serve: fn(listening: fn(u16)),
}

/// A case of --memory: `fill` makes the first of them, then so many, and calls
/// `each` after either, while they live.
pub struct Memory {
    pub name: &'static str,
    pub fill: fn(counts: [u64; 2], each: &mut dyn FnMut()),
}

pub struct Program {
    /// The contestant of all but servers.
    pub name: &'static str,
    pub version: &'static str,
    pub cases: Vec<Case>,
    pub servers: Vec<Server>,
    pub memory: Vec<Memory>,
}

/// The cases of a server, by its kind.
const LOADS: [(&str, &str); 9] = [
    ("echo", "echo/64_c1"),
    ("echo", "echo/64_c64"),
    ("echo", "echo/64_c64_p16"),
    ("echo", "echo/64_c1000"),
    ("echo", "echo/16384_c64"),
    ("echo", "echo/16384_c1000"),
    ("echo", "echo/102400_c64"),
    ("echo", "idle/10000"),
    ("accept", "accept/c1"),
];

/// Ends the program: the work was not done.
pub fn fail(message: &str) -> ! {
    eprintln!("FAILED: {message}");
    process::exit(1);
}

/// Ends the program if something was not done.
pub fn check(done: u64, expected: u64, what: &str) {
    if done != expected {
        fail(&format!("{what}: {done} instead of {expected}"));
    }
}

fn number(text: &str) -> u64 {
    match text.trim().parse() {
        Ok(n) if n > 0 => n,
        _ => fail(&format!("not a number of operations: {text:?}")),
    }
}

fn say(line: &str) {
    println!("{line}");
    io::stdout().flush().expect("stdout");
}

fn listening(port: u16) {
    say(&format!("listening {port}"));
}

impl Program {
    /// Does what the command line asks for.
    pub fn run(&self, arguments: &[&str]) {
        match *arguments {
            ["--version"] => say(&format!("{} {}", self.name, self.version)),
            ["--list"] => self.list(),
            ["--worker", name, contestant] => work(self.find(name, contestant)),
            ["--once", name, contestant, count] => once(self.find(name, contestant), number(count)),
            ["--server", kind] => self.serve(kind, self.name),
            ["--server", kind, contestant] => self.serve(kind, contestant),
            ["--memory", name, count, contestant] => self.fill(name, number(count), contestant),
            _ => fail(&format!("nothing known as {arguments:?}")),
        }
    }

    fn list(&self) {
        for one in &self.cases {
            let clock = match one.clock {
                Clock::Thread => "thread",
                Clock::Process => "process",
            };
            say(&format!(
                "{} {} {} {clock}",
                one.name, self.name, one.operations
            ));
        }
        for one in &self.memory {
            say(&format!("{} {} 0 memory", one.name, self.name));
        }
        for one in &self.servers {
            for (_, load) in LOADS.iter().filter(|load| load.0 == one.kind) {
                say(&format!("{load} {} 0 server", one.contestant));
            }
        }
    }

    fn find(&self, name: &str, contestant: &str) -> &Case {
        self.cases
            .iter()
            .find(|one| one.name == name && contestant == self.name)
            .unwrap_or_else(|| fail(&format!("no case {name} of {contestant}")))
    }

    /// Serves until standard input ends, for which a thread of its own waits.
    fn serve(&self, kind: &str, contestant: &str) {
        let server = self
            .servers
            .iter()
            .find(|one| one.kind == kind && contestant == one.contestant)
            .unwrap_or_else(|| fail(&format!("no server {kind} of {contestant}")));
        std::thread::spawn(|| {
            let _ = io::stdin().read_to_end(&mut Vec::new());
            process::exit(0);
        });
        (server.serve)(listening);
    }

    fn fill(&self, name: &str, count: u64, contestant: &str) {
        let case = self
            .memory
            .iter()
            .find(|one| one.name == name && contestant == self.name)
            .unwrap_or_else(|| fail(&format!("no memory of {name} of {contestant}")));
        // What only the first costs is not theirs.
        let mut seen = Vec::with_capacity(2);
        (case.fill)([1, count], &mut || seen.push(resident_bytes()));
        say(&format!("{}", seen[1] - seen[0]));
    }
}

/// Keeps what was freed. Otherwise it depends on the order of frees whether a
/// sample pays the kernel for its memory again.
fn keep_memory() {
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, 1 << 30);
        libc::mallopt(libc::M_MMAP_MAX, 0);
    }
}

/// Answers each number on standard input with a round of so many operations.
fn work(case: &Case) {
    keep_memory();
    let mut round = (case.start)();
    say("ready");
    for line in io::stdin().lock().lines() {
        let (took_ns, done) = round(number(&line.expect("stdin")));
        say(&format!("{took_ns} {done}"));
    }
    process::exit(0); // whatever its threads wait for
}

/// So many operations, nothing said: for callgrind, perf and strace.
fn once(case: &Case, operations: u64) {
    keep_memory();
    let (_, done) = (case.start)()(operations);
    check(done, operations, "done");
    process::exit(0);
}

/// Of this process. smaps_rollup counts pages; the quicker files say what a
/// sloppy counter says.
fn resident_bytes() -> i64 {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").expect("smaps_rollup");
    let kilobytes = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Rss:"))
        .and_then(|rest| rest.split_whitespace().next())
        .expect("Rss in smaps_rollup");
    kilobytes.parse::<i64>().expect("a number") * 1024
}
