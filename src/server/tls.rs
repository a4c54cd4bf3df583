//! HTTPS without a proxy, with a certificate that is replaced while the server runs: on SIGHUP, and when the files change.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::drain::Drain;
use super::error::ServeError;
use crate::config::TlsFiles;

/// How often the files are compared with what was loaded.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The certificate that new connections get.
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
        Ok(Self { files: files.clone(), current: RwLock::new(Arc::new(load(files)?)), drain })
    }

    /// Serves with whatever certificate is current when a client connects.
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
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.drain.note_handshake();
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// Reads the chain and its key, which must fit each other.
///
/// # Errors
/// [`ServeError::Tls`].
pub fn load(files: &TlsFiles) -> Result<CertifiedKey, ServeError> {
    Pem::read(files).and_then(|pem| pem.parse(files)).map_err(ServeError::Tls)
}

/// What the two files hold.
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

/// Replaces the certificate on SIGHUP and when its files change, for as long as the server runs. One that cannot be used is
/// logged, and the former stays.
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
            () = tokio::time::sleep(LOOK_EVERY) => "files changed",
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

/// Reads without holding up what else runs on this thread: the files may lie on a slow mount.
async fn read(files: &TlsFiles) -> Result<Pem, String> {
    let files = files.clone();
    let read = tokio::task::spawn_blocking(move || Pem::read(&files)).await;
    read.unwrap_or_else(|error| Err(error.to_string()))
}

/// SIGHUPs as they come. From [`Hangups::listen`] on they no longer end the program.
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
