//! The load generator: keep-alive connections that send their next request as soon as the answer to the last one has arrived.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::processes;

/// How long an answer may take after the end of a measurement.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Load {
    pub address: SocketAddr,
    /// Whole HTTP/1.1 requests, sent one after the other by all connections together.
    pub requests: Vec<Vec<u8>>,
    pub is_success: fn(u16) -> bool,
    pub connections: usize,
    pub next: Cell<usize>,
}

#[derive(Default)]
pub struct Outcome {
    pub elapsed: Duration,
    /// Of each successful answer, in microseconds, sorted.
    pub latencies: Vec<u32>,
    /// Answers with another status, lost connections.
    pub failures: u64,
    /// Of whole answers, heads included.
    pub bytes: u64,
    /// Processor time of the load generator.
    pub generator_cpu: Duration,
}

impl Outcome {
    pub fn percentile(&self, percent: usize) -> u32 {
        let index = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(index).copied().unwrap_or(0)
    }
}

struct Answer {
    status: u16,
    is_last: bool,
}

impl Load {
    pub async fn run(&self, duration: Duration) -> Outcome {
        let (began, cpu_before) = (Instant::now(), processes::thread_cpu());
        let end = began + duration;
        let outcomes = join_all((0..self.connections).map(|_| self.use_connection(end))).await;
        let mut total = Outcome::default();
        for outcome in outcomes {
            total.latencies.extend(outcome.latencies);
            total.failures += outcome.failures;
            total.bytes += outcome.bytes;
        }
        total.elapsed = began.elapsed();
        total.generator_cpu = processes::thread_cpu().saturating_sub(cpu_before);
        total.latencies.sort_unstable();
        total
    }

    async fn use_connection(&self, end: Instant) -> Outcome {
        let mut outcome = Outcome::default();
        if timeout_at(end + PATIENCE, self.send_until(end, &mut outcome)).await.is_err() {
            outcome.failures += 1;
        }
        outcome
    }

    async fn send_until(&self, end: Instant, outcome: &mut Outcome) {
        let mut stream = None;
        let mut received = Vec::with_capacity(64 * 1024);
        loop {
            let began = Instant::now();
            if began >= end {
                return;
            }
            match self.exchange(&mut stream, &mut received).await {
                Ok(answer) if (self.is_success)(answer.status) => {
                    outcome.latencies.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
                    outcome.bytes += received.len() as u64;
                }
                Ok(_) => outcome.failures += 1,
                Err(_) => {
                    stream = None;
                    outcome.failures += 1;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }

    async fn exchange(&self, stream: &mut Option<TcpStream>, received: &mut Vec<u8>) -> io::Result<Answer> {
        let request = self.next.get();
        self.next.set((request + 1) % self.requests.len());
        let connection = match stream {
            Some(connection) => connection,
            None => stream.insert(connect(self.address).await?),
        };
        connection.write_all(&self.requests[request]).await?;
        received.clear();
        loop {
            if connection.read_buf(received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let Some(answer) = parse(received) else { continue };
            if answer.is_last {
                *stream = None;
            }
            return Ok(answer);
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let connection = TcpStream::connect(address).await?;
    connection.set_nodelay(true)?;
    Ok(connection)
}

/// `None` until the whole answer has arrived.
fn parse(received: &[u8]) -> Option<Answer> {
    const END_OF_HEAD: &[u8] = b"\r\n\r\n";
    let head_end = received.windows(END_OF_HEAD.len()).position(|window| window == END_OF_HEAD)? + END_OF_HEAD.len();
    let mut lines = std::str::from_utf8(&received[..head_end]).ok()?.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let (mut length, mut is_last): (Option<usize>, bool) = (None, false);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok();
        } else if name.eq_ignore_ascii_case("connection") {
            is_last = value.trim().eq_ignore_ascii_case("close");
        }
    }
    let body = &received[head_end..];
    let is_complete = match length {
        _ if status == 204 || status == 304 => true,
        Some(length) => body.len() >= length,
        // Chunked.
        None => body == b"0\r\n\r\n" || body.ends_with(b"\r\n0\r\n\r\n"),
    };
    is_complete.then_some(Answer { status, is_last })
}
