//! Why the server does not start.

use std::net::SocketAddr;

use crate::database::OpenError;

/// Why the server did not start or stopped; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The static files are not where they should be.
    #[error("{0}")]
    Assets(String),
    /// The database does not open.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The address is taken or not this computer's.
    #[error("cannot listen on {address}: {source}; stop what listens there, or set {variable}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The setting that names it.
        variable: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// Mail cannot be sent the way that the settings say.
    #[error("{0}")]
    Mail(String),
    /// The certificate or its key cannot be used.
    #[error("cannot use TLS_CERT and TLS_KEY: {0}; name PEM files with the certificate chain and its private key")]
    Tls(String),
    /// Anything else.
    #[error("the server failed: {0}; the log says more")]
    Failed(String),
}
