// SPDX-License-Identifier: MIT
//
// Servers, a task a connection, and the pipe chain, a task a pair.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::time::{sleep, timeout};

use crate::support::{runtime, timed, Counter};
use crate::worker::{check, fail, Clock, Round};

// -- servers ------------------------------------------------------------------

/// Serves each connection in a task of its own.
fn listen<S, F>(listening: fn(u16), serve: S)
where
    S: Fn(TcpStream) -> F,
    F: Future + Send + 'static,
    F::Output: Send,
{
    runtime().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        listening(listener.local_addr().expect("an address").port());
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            tokio::spawn(serve(stream));
        }
    });
}

pub fn echo(listening: fn(u16)) {
    listen(listening, |mut stream| async move {
        let _ = stream.set_nodelay(true);
        // Not filled with zeros: what is never read into is never resident.
        let mut buffer = Vec::with_capacity(64 * 1024);
        while matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
            if stream.write_all(&buffer).await.is_err() {
                return;
            }
            buffer.clear();
        }
    });
}

/// The echo server of tokio's tutorial. io::copy has a buffer of 8 KiB.
pub fn echo_by_copy(listening: fn(u16)) {
    listen(listening, |mut stream| async move {
        let _ = stream.set_nodelay(true);
        let (mut reader, mut writer) = stream.split();
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    });
}

pub fn greet(listening: fn(u16)) {
    listen(listening, |mut stream| async move {
        let _ = stream.write_all(b"x").await;
    });
}

// -- pipe chain ---------------------------------------------------------------

/// What all tasks share.
struct Chain {
    writers: Vec<UnixStream>,
    to_write: AtomicU64,
    events: Counter,
    /// How long a reader waits for an event, and how often that was in vain.
    idle: Option<Duration>,
    timeouts: Counter,
}

impl Chain {
    /// A byte fits, so it need not wait.
    fn send(&self, index: usize, bytes: usize) {
        for _ in 0..bytes {
            // Only one thread writes, so a load and a store do.
            let left = self.to_write.load(Ordering::Relaxed);
            if left == 0 {
                return;
            }
            self.to_write.store(left - 1, Ordering::Relaxed);
            let to = &self.writers[index % self.writers.len()];
            if !matches!(to.try_write(b"x"), Ok(1)) {
                fail("write");
            }
        }
    }
}

/// With room for more than the one byte: after a read that fills its buffer
/// tokio has to try again before it waits.
async fn relay(index: usize, mut reader: UnixStream, chain: Arc<Chain>) {
    let mut buffer = [0; 16];
    loop {
        let event = reader.read(&mut buffer);
        let size = match chain.idle {
            None => event.await,
            Some(limit) => match timeout(limit, event).await {
                Ok(size) => size,
                Err(_) => {
                    chain.timeouts.add(1);
                    continue;
                }
            },
        };
        match size {
            Ok(size) if size > 0 => {
                chain.send(index + 1, size);
                chain.events.add(size as u64);
            }
            _ => fail("read"),
        }
    }
}

pub fn pipe_chain(count: usize, active: usize, idle: Option<Duration>) -> Round {
    let runtime = runtime();
    let chain = runtime.block_on(async {
        let mut readers = Vec::new();
        let mut writers = Vec::new();
        for _ in 0..count {
            let (reader, writer) = UnixStream::pair()
                .unwrap_or_else(|error| fail(&format!("socketpair: {error} (ulimit -n?)")));
            readers.push(reader);
            writers.push(writer);
        }
        for writer in &writers {
            writer.writable().await.expect("a writer"); // once known, for good
        }
        let chain = Arc::new(Chain {
            writers,
            to_write: AtomicU64::new(0),
            events: Counter::default(),
            idle,
            timeouts: Counter::default(),
        });
        for (index, reader) in readers.into_iter().enumerate() {
            tokio::spawn(relay(index, reader, chain.clone()));
        }
        tokio::task::yield_now().await;
        chain
    });
    Box::new(move |operations| {
        // What has timed out since the last round, waits anew.
        runtime.block_on(async { sleep(Duration::from_millis(2)).await });
        let before = chain.timeouts.get();
        chain.events.restart(operations);
        chain.to_write.store(operations, Ordering::Relaxed);
        for n in 0..active {
            chain.send(n * (count / active), 1);
        }
        let took_ns = runtime.block_on(timed(Clock::Thread, chain.events.reached()));
        check(chain.timeouts.get(), before, "idle timeouts");
        (took_ns, chain.events.get())
    })
}
