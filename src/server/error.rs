//! Errors of the server.

use std::net::SocketAddr;

use crate::accounts::FilterError;
use crate::database::OpenError;

/// Why the server did not start, or failed, with the fix.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Static files are missing or unreadable.
    #[error("{0}")]
    Assets(String),
    /// The database cannot be opened.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The address is in use or not local.
    #[error("cannot listen on {address}: {source}; stop what listens there, or set {variable}")]
    Listen {
        address: SocketAddr,
        /// The setting of the address.
        variable: &'static str,
        source: std::io::Error,
    },
    /// The mail settings cannot be used.
    #[error("{0}")]
    Mail(String),
    /// The certificate or its key is invalid.
    #[error("cannot use TLS_CERT and TLS_KEY: {0}; name PEM files with the certificate chain and its private key")]
    Tls(String),
    /// The file that a setting names cannot be used.
    #[error(transparent)]
    BreachedPasswords(#[from] FilterError),
    /// Any other error.
    #[error("the server failed: {0}; the log says more")]
    Failed(String),
}
