//! Ctrl-C and SIGTERM while an import runs: it stops where it can be continued, not in the middle.

use futures_util::FutureExt;
use futures_util::future::{Fuse, FusedFuture, LocalBoxFuture};

/// Whether the import was asked to stop.
pub(super) struct Interrupt(Fuse<LocalBoxFuture<'static, ()>>);

impl Interrupt {
    /// From now on these signals no longer end the process.
    pub(super) fn listen() -> Self {
        let mut interrupt = Self(signal().boxed_local().fuse());
        // A future does nothing before it is first polled.
        interrupt.is_requested();
        interrupt
    }

    pub(super) fn is_requested(&mut self) -> bool {
        // Once the signal has come, the future has ended and stays so.
        self.0.is_terminated() || (&mut self.0).now_or_never().is_some()
    }
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
}

#[cfg(not(unix))]
async fn signal() {
    tokio::signal::ctrl_c().await.ok();
}
