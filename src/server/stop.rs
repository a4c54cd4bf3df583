//! Serves until told to stop, then stops without cutting a request. docs/decisions/how-a-stop-works.md says why it is done
//! in these steps.

use std::future::Future;
use std::net::{Shutdown, TcpListener};
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use socket2::SockRef;
use tokio::time::{sleep, timeout};

use super::drain::Drain;

/// How long requests in flight may take after the listener is closed.
const REQUESTS_END_WITHIN: Duration = Duration::from_secs(30);
/// How long a TCP handshake that has begun may take.
const HANDSHAKES_END_WITHIN: Duration = Duration::from_millis(300);
/// How long the accepting thread may take to notice that it pauses. actix does not tell; on a starved machine it may be later, and
/// logs an error that harms nothing.
const PAUSES_WITHIN: Duration = Duration::from_millis(200);

/// Whether requests in flight were waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// They were.
    Drained,
    /// A second signal ended the wait.
    AtOnce,
}

/// Serves until SIGTERM or SIGINT, then keeps serving for `notice` while `/readyz` is 503, then drains. Another signal
/// stops at once. `listener` is the server's own, cloned.
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
    if timeout(REQUESTS_END_WITHIN, finished).await.is_err() {
        tracing::error!(in_flight = drain.in_flight(), "requests cut: they took too long after the order to stop");
    }
}

/// Closes the listener without resetting a connection that the system has established and the server not yet accepted.
async fn close(handle: &ServerHandle, listener: TcpListener) {
    let socket = SockRef::from(&listener);
    if let Err(error) = ignore_new_handshakes(&socket) {
        tracing::debug!(%error, "new handshakes cannot be filtered");
    }
    sleep(HANDSHAKES_END_WITHIN).await;
    handle.pause().await;
    sleep(PAUSES_WITHIN).await;
    // Not every system shuts a listener down; the last step of the stop closes it anyway.
    socket.shutdown(Shutdown::Both).ok();
}

/// Drops each SYN in the kernel while handshakes that have begun end as usual. The client repeats its SYN a second later
/// and is then refused.
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
