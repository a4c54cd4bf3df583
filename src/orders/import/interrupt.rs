//! Ctrl-C and SIGTERM while an import runs: it stops where it can be continued, not in the middle.

use std::time::Duration;

use tokio::sync::watch;

/// How long the transaction that is open may still take. A database that does not answer must not keep the program from ending.
const GRACE: Duration = Duration::from_secs(5);

/// Whether the import was asked to stop.
pub(super) struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// From now on these signals no longer end the process.
    pub(super) fn listen() -> Self {
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            signal().await;
            sender.send_replace(true);
        });
        Self(receiver)
    }

    pub(super) fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Ends when the import should have stopped by now.
    pub(super) async fn overdue(&self) {
        let mut receiver = self.0.clone();
        // Never an error: the sender is dropped once it has sent.
        receiver.wait_for(|is_requested| *is_requested).await.ok();
        tokio::time::sleep(GRACE).await;
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
