//! A client's connection as HTTP reads and writes it: plain or TLS, with its permit.
//!
//! actix-http has timeouts for the head of the first request and for idle connections. This adds:
//!
//! - A connection ends when no byte has moved on it for a while: a client may not read its responses.
//! - A connection ends when bytes have only been read from it for a while: a later head may stay incomplete.
//! - While responses wait to be sent, no more requests are read, and requests are read in small parts. actix-http parses everything that
//!   has arrived, a kilobyte for each request, so a client that sends and never reads made it hold 7 MB.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::connection_limits::Permit;

/// Timeout without a byte in either direction: longer than the keep-alive, which closes cleanly, and than any request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);
/// Timeout with bytes read and none written: longer than head, body and response take.
const UNANSWERED_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of one read: the head of a usual request.
const READ_BYTES: usize = 1024;

trait Stream: AsyncRead + AsyncWrite {}
impl<S: AsyncRead + AsyncWrite> Stream for S {}

pub struct ClientStream {
    stream: Pin<Box<dyn Stream>>,
    /// After each read, so that the bytes are parsed first. It lets the runtime poll other connections: a task that only wakes itself would
    /// delay them by up to a second.
    pause: Option<Pin<Box<dyn Future<Output = ()>>>>,
    /// Whether responses wait to be sent.
    is_stalled: bool,
    moved_at: Instant,
    /// The first read since the last write.
    unanswered_since: Option<Instant>,
    /// Set to the earliest time at which the connection can be idle.
    timer: Pin<Box<Sleep>>,
    _permit: Permit,
}

impl ClientStream {
    pub fn new(stream: impl AsyncRead + AsyncWrite + 'static, permit: Permit) -> Self {
        Self {
            stream: Box::pin(stream),
            pause: None,
            is_stalled: false,
            moved_at: Instant::now(),
            unanswered_since: None,
            timer: Box::pin(sleep(IDLE_TIMEOUT)),
            _permit: permit,
        }
    }

    /// Fails when no byte has moved for too long.
    fn poll_idle<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        loop {
            ready!(self.timer.as_mut().poll(context));
            let idle_at = self.moved_at + IDLE_TIMEOUT;
            if idle_at <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.timer.as_mut().reset(idle_at);
        }
    }

    /// Sets whether responses wait. When they do not any more, reading continues.
    fn set_stalled(&mut self, context: &mut Context<'_>, is_stalled: bool) {
        if self.is_stalled && !is_stalled {
            context.waker().wake_by_ref();
        }
        self.is_stalled = is_stalled;
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        if self.unanswered_since.is_some_and(|since| since.elapsed() >= UNANSWERED_TIMEOUT) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if self.is_stalled {
            return self.poll_idle(context);
        }
        let mut bytes = [0; READ_BYTES];
        let room = buffer.remaining().min(READ_BYTES);
        let mut part = ReadBuf::new(&mut bytes[..room]);
        let read = self.stream.as_mut().poll_read(context, &mut part);
        if read.is_pending() {
            return self.poll_idle(context);
        }
        buffer.put_slice(part.filled());
        let now = Instant::now();
        self.pause = Some(Box::pin(tokio::task::yield_now()));
        self.moved_at = now;
        self.unanswered_since.get_or_insert(now);
        read
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.stream.as_mut().poll_write(context, bytes);
        self.set_stalled(context, written.is_pending());
        if written.is_pending() {
            return self.poll_idle(context);
        }
        self.moved_at = Instant::now();
        self.unanswered_since = None;
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.stream.as_mut().poll_flush(context);
        self.set_stalled(context, flushed.is_pending());
        if flushed.is_pending() { self.poll_idle(context) } else { flushed }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(context)
    }
}
