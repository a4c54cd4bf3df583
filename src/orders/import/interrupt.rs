//! Ctrl-C and SIGTERM during an import: it stops between two transactions, so that the same command continues it.

use std::time::Duration;

use tokio::sync::watch;

/// Time for the open transaction to end. After it, the program exits even if the database does not respond.
const GRACE_PERIOD: Duration = Duration::from_secs(5);

pub(super) struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// From now on the signals no longer end the process.
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

    /// Completes when the grace period after a signal is over.
    pub(super) async fn grace_period_over(&self) {
        let mut receiver = self.0.clone();
        // Never an error: the sender is dropped once it has sent.
        receiver.wait_for(|is_requested| *is_requested).await.ok();
        tokio::time::sleep(GRACE_PERIOD).await;
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
