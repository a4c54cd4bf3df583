//! How the server stops.

use actix_web::dev::ServerHandle;

pub async fn stop_on_signal(handle: ServerHandle) {
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
    tracing::info!("stopping: what is in flight is finished first");
    handle.stop(true).await;
}
