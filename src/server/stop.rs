//! Serves until a signal, then stops without cutting a request. docs/decisions/graceful-shutdown.md explains the steps.

use std::future::Future;
use std::net::{Shutdown, TcpListener};
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use socket2::SockRef;
use tokio::time::{sleep, timeout};

use super::drain::Drain;

/// Timeout of requests in flight after the listener is closed.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for TCP handshakes in progress.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_millis(300);
/// Time for actix's accepting thread to pause; actix does not report it. If it takes longer, actix logs a harmless error.
const PAUSE_TIMEOUT: Duration = Duration::from_millis(200);

/// How the server stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Requests in flight were finished.
    Drained,
    /// After a second signal, without waiting.
    AtOnce,
}

/// Serves until SIGTERM or SIGINT, then for `notice` with `/readyz` at 503, then drains. A second signal stops at once. `listener` is a clone of
/// the server's.
pub async fn serve(
    mut server: Server,
    listener: TcpListener,
    drain: &Drain,
    notice: Duration,
) -> std::io::Result<Stopped> {
    tokio::select! {
        ended = &mut server => return ended.map(|()| Stopped::Drained),
        () = signal() => {}
    }
    let handle = server.handle();
    let stop = async {
        drain.begin();
        tracing::info!(seconds = notice.as_secs(), "stopping: not ready, still serving");
        sleep(notice).await;
        finish_requests(&handle, listener, drain).await;
        handle.stop(true).await;
    };
    tokio::select! {
        (ended, ()) = join(&mut server, stop) => ended.map(|()| Stopped::Drained),
        // Dropping the server ends its workers.
        () = signal() => {
            tracing::warn!(in_flight = drain.in_flight(), "stopping at once: a second signal");
            Ok(Stopped::AtOnce)
        }
    }
}

async fn join<A: Future, B: Future>(first: A, second: B) -> (A::Output, B::Output) {
    tokio::join!(first, second)
}

/// Waits for the next SIGINT or SIGTERM.
pub async fn signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
        if let Ok(mut terminate) = terminate {
            tokio::select! { _ = interrupt => {}, _ = terminate.recv() => {} }
        } else {
            interrupt.await.ok();
        }
    }
    #[cfg(not(unix))]
    interrupt.await.ok();
}

async fn finish_requests(handle: &ServerHandle, listener: TcpListener, drain: &Drain) {
    tracing::info!(in_flight = drain.in_flight(), "stopping: no new connections, finishing requests");
    let finished = async { tokio::join!(close(handle, listener), drain.quiet()) };
    if timeout(REQUEST_TIMEOUT, finished).await.is_err() {
        tracing::error!(in_flight = drain.in_flight(), "requests cut: they took too long after the order to stop");
    }
}

/// Closes the listener without resetting connections that are established but not yet accepted.
async fn close(handle: &ServerHandle, listener: TcpListener) {
    let socket = SockRef::from(&listener);
    if let Err(error) = ignore_new_handshakes(&socket) {
        tracing::debug!(%error, "new handshakes cannot be filtered");
    }
    sleep(HANDSHAKE_TIMEOUT).await;
    handle.pause().await;
    sleep(PAUSE_TIMEOUT).await;
    // Not supported by every system; the last step of the stop closes the listener anyway.
    socket.shutdown(Shutdown::Both).ok();
}

/// Has the kernel drop each SYN, while handshakes in progress complete. The client repeats its SYN a second later and is refused then.
#[cfg(target_os = "linux")]
fn ignore_new_handshakes(listener: &SockRef) -> std::io::Result<()> {
    use socket2::SockFilter;
    // Classic BPF on the TCP header, whose byte 13 holds the flags: SYN is 0x02, ACK 0x10.
    listener.attach_filter(&[
        SockFilter::new(0x30, 0, 0, 13),       // load byte 13
        SockFilter::new(0x54, 0, 0, 0x12),     // and SYN | ACK
        SockFilter::new(0x15, 0, 1, 0x02),     // SYN alone?
        SockFilter::new(0x06, 0, 0, 0),        // yes: drop
        SockFilter::new(0x06, 0, 0, u32::MAX), // no: keep
    ])
}

#[cfg(not(target_os = "linux"))]
fn ignore_new_handshakes(_: &SockRef) -> std::io::Result<()> {
    Ok(())
}
