//! TLS with a certificate that is reloaded on SIGHUP and when its files change.

use std::path::Path;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::Duration;

use prometheus::IntGauge;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::drain::Drain;
use super::error::ServeError;
use crate::config::TlsFiles;
use crate::metrics::gauge;

/// Interval of checks for changed files.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

static NOT_AFTER: LazyLock<IntGauge> = LazyLock::new(|| {
    gauge("tls_certificate_not_after_timestamp_seconds", "When the certificate in use expires, as a Unix timestamp.")
});

/// The certificate for new connections.
#[derive(Debug)]
pub struct Certificate {
    files: TlsFiles,
    current: RwLock<Arc<CertifiedKey>>,
    drain: Drain,
}

impl Certificate {
    /// Loads the files. `drain` counts the handshakes.
    ///
    /// # Errors
    /// [`ServeError::Tls`].
    pub fn load(files: &TlsFiles, drain: Drain) -> Result<Self, ServeError> {
        let key = load(files)?;
        record_expiry(&key);
        Ok(Self { files: files.clone(), current: RwLock::new(Arc::new(key)), drain })
    }

    /// A configuration that uses the current certificate for each new connection.
    ///
    /// # Errors
    /// [`ServeError::Tls`].
    pub fn server_config(self: Arc<Self>) -> Result<rustls::ServerConfig, ServeError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ServeError::Tls(error.to_string()))?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(self);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn replace(&self, key: CertifiedKey) {
        record_expiry(&key);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
    }
}

/// Of the server's own certificate, the first of the chain.
fn record_expiry(key: &CertifiedKey) {
    match key.cert.first().map(|der| X509Certificate::from_der(der)) {
        Some(Ok((_, certificate))) => NOT_AFTER.set(certificate.validity().not_after.timestamp()),
        Some(Err(error)) => tracing::warn!(%error, "the expiry of the certificate cannot be read"),
        None => {}
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.drain.note_handshake();
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// Reads the certificate chain and its matching private key.
///
/// # Errors
/// [`ServeError::Tls`].
pub fn load(files: &TlsFiles) -> Result<CertifiedKey, ServeError> {
    Pem::read(files).and_then(|pem| pem.parse(files)).map_err(ServeError::Tls)
}

/// The content of the two files.
#[derive(PartialEq, Eq)]
struct Pem {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl Pem {
    fn read(files: &TlsFiles) -> Result<Self, String> {
        let read = |file: &Path| std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()));
        Ok(Self { cert: read(&files.cert)?, key: read(&files.key)? })
    }

    fn parse(&self, files: &TlsFiles) -> Result<CertifiedKey, String> {
        let in_file = |file: &Path, error: pem::Error| format!("{}: {error}", file.display());
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.cert)
            .collect::<Result<_, _>>()
            .map_err(|error| in_file(&files.cert, error))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| in_file(&files.key, error))?;
        CertifiedKey::from_der(chain, key, &rustls::crypto::aws_lc_rs::default_provider())
            .map_err(|error| error.to_string())
    }
}

/// Reloads the certificate on SIGHUP and when its files change. An invalid one is logged and not used.
pub async fn reload(certificate: Option<Arc<Certificate>>, mut hangups: Hangups) {
    let Some(certificate) = certificate else {
        loop {
            hangups.next().await;
            tracing::info!("SIGHUP ignored: there is no TLS_CERT to reload");
        }
    };
    let mut tried = read(&certificate.files).await;
    loop {
        let cause = tokio::select! {
            () = hangups.next() => "SIGHUP",
            () = tokio::time::sleep(POLL_INTERVAL) => "files changed",
        };
        let found = read(&certificate.files).await;
        if found == tried && cause != "SIGHUP" {
            continue;
        }
        match found.as_ref().map_err(Clone::clone).and_then(|pem| pem.parse(&certificate.files)) {
            Ok(key) => {
                certificate.replace(key);
                tracing::info!(cause, "certificate reloaded");
            }
            Err(error) => tracing::error!(
                cause,
                error,
                "certificate not reloaded, the former one stays: TLS_CERT and TLS_KEY must name PEM files that fit each other"
            ),
        }
        tried = found;
    }
}

/// Reads off the async worker: the files may be on a slow mount.
async fn read(files: &TlsFiles) -> Result<Pem, String> {
    let files = files.clone();
    let read = tokio::task::spawn_blocking(move || Pem::read(&files)).await;
    read.unwrap_or_else(|error| Err(error.to_string()))
}

/// A stream of SIGHUPs. After [`Hangups::listen`] SIGHUP no longer ends the program.
pub struct Hangups {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangups {
    pub fn listen() -> Self {
        Self {
            #[cfg(unix)]
            signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok(),
        }
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}
