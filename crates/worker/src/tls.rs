//! The certificate that the service shows, read from files, and read anew when they change. Speaks TLS 1.2 and 1.3, HTTP/2 and
//! HTTP/1.1. Never logs a key.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bus::Stop;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(10);

/// The certificates (own first, then those that vouch for it) and the key of two files, as they were when last read.
#[derive(Debug)]
pub struct Certificate {
    cert: PathBuf,
    key: PathBuf,
    shown: RwLock<Arc<CertifiedKey>>,
}

/// Whether the files held something new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// They are as they were.
    None,
    /// New connections are shown another certificate.
    Renewed,
}

impl Certificate {
    /// The name of the service that looks at the files.
    pub const SERVICE: &'static str = "certificate-service";

    /// Reads the files.
    ///
    /// # Errors
    /// One line that names the file and what is wrong with it.
    pub fn of_files(cert: PathBuf, key: PathBuf) -> Result<Arc<Self>> {
        let shown = RwLock::new(Arc::new(read(&cert, &key)?));
        Ok(Arc::new(Self { cert, key, shown }))
    }

    /// What speaks TLS with it.
    ///
    /// # Errors
    /// If the library of TLS cannot be set up.
    pub fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Looks at the files. While they make no sense, what was shown is shown on.
    ///
    /// # Errors
    /// As for [`Self::of_files`].
    pub fn look(&self) -> Result<Renewal> {
        let found = read(&self.cert, &self.key)?;
        let mut shown = self.shown.write().unwrap_or_else(PoisonError::into_inner);
        if found.cert == shown.cert {
            return Ok(Renewal::None);
        }
        *shown = Arc::new(found);
        Ok(Renewal::Renewed)
    }

    /// Looks at them again and again until stopped.
    pub async fn run(self: Arc<Self>, stop: Stop) {
        let mut last_mistake = String::new();
        while !stop.is_stopped() {
            stop.sleep(LOOK).await;
            match self.look() {
                Ok(Renewal::None) => last_mistake.clear(),
                Ok(Renewal::Renewed) => {
                    last_mistake.clear();
                    tracing::info!("the certificate was renewed");
                }
                Err(error) => {
                    let mistake = format!("{error:#}");
                    if mistake != last_mistake {
                        tracing::warn!(mistake, "the certificate cannot be read; the one known is shown on");
                        last_mistake = mistake;
                    }
                }
            }
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn read(cert: &std::path::Path, key: &std::path::Path) -> Result<CertifiedKey> {
    let certificates =
        CertificateDer::pem_file_iter(cert)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .with_context(|| format!("security.tls_cert = '{}' cannot be read as PEM", cert.display()))?;
    ensure!(!certificates.is_empty(), "security.tls_cert = '{}' holds no certificate", cert.display());
    let private = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("security.tls_key = '{}' cannot be read as PEM", key.display()))?;
    CertifiedKey::from_der(certificates, private, &ring::default_provider())
        .context("security.tls_cert and security.tls_key do not belong together")
}
