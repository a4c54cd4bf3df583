//! A client's connection as HTTP reads and writes it: plain or TLS, with its permit.
//!
//! actix-http limits the time for the head of the first request and the time between requests. What it does not limit is limited here:
//!
//! - A connection ends when no byte moves on it for a while: a later head may stay incomplete, a client may not read its answers.
//! - While answers wait to be sent, no more requests are read. actix-http parses all that has arrived, each request taking a kilobyte, so a
//!   client that sends and never reads made it keep 7 MB. For the same reason little is read at a time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::connection_limits::Permit;

/// How long a connection is kept on which no byte moves in either direction: longer than between requests, which ends in good order, and
/// than any request takes.
const IDLE_FOR: Duration = Duration::from_secs(45);
/// How much is read before it is looked at: the head of a usual request.
const READ_AT_ONCE: usize = 1024;

trait Stream: AsyncRead + AsyncWrite {}
impl<S: AsyncRead + AsyncWrite> Stream for S {}

pub struct ClientStream {
    stream: Pin<Box<dyn Stream>>,
    /// Whether what has been read is looked at before more is.
    pauses: bool,
    /// Whether answers wait to be sent.
    is_stalled: bool,
    moved_at: Instant,
    /// Set to the earliest time at which the connection can be idle, and again when it was not.
    timer: Pin<Box<Sleep>>,
    _permit: Permit,
}

impl ClientStream {
    pub fn new(stream: impl AsyncRead + AsyncWrite + 'static, permit: Permit) -> Self {
        Self {
            stream: Box::pin(stream),
            pauses: false,
            is_stalled: false,
            moved_at: Instant::now(),
            timer: Box::pin(sleep(IDLE_FOR)),
            _permit: permit,
        }
    }

    /// Fails when nothing has moved for too long.
    fn poll_idle<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        loop {
            ready!(self.timer.as_mut().poll(context));
            let idle_at = self.moved_at + IDLE_FOR;
            if idle_at <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.timer.as_mut().reset(idle_at);
        }
    }

    /// Notes whether output waits. Once it does not, reading goes on.
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
        if std::mem::take(&mut self.pauses) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.is_stalled {
            return self.poll_idle(context);
        }
        let mut bytes = [0; READ_AT_ONCE];
        let room = buffer.remaining().min(READ_AT_ONCE);
        let mut part = ReadBuf::new(&mut bytes[..room]);
        let read = self.stream.as_mut().poll_read(context, &mut part);
        if read.is_pending() {
            return self.poll_idle(context);
        }
        buffer.put_slice(part.filled());
        self.pauses = true;
        self.moved_at = Instant::now();
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
