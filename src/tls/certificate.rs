//! Who the server is: its certificate and key, and the one that is in force, which can change while it runs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// What is wrong with a file, or with two that do not belong together. Nothing of a key is in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    #[error("{0} cannot be read: {1}")]
    Unreadable(PathBuf, std::io::Error),
    #[error("{0} is not PEM: {1}")]
    NotPem(PathBuf, &'static str),
    #[error("{0} has no certificate")]
    NoCertificate(PathBuf),
    #[error("{0} has no private key")]
    NoKey(PathBuf),
    #[error("{key} is not the key of {certificate}, or not one that can be used: {source}")]
    Mismatch { certificate: PathBuf, key: PathBuf, source: rustls::Error },
}

/// Where certificate and key are.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// What was in the two files at one moment.
#[derive(PartialEq, Eq)]
pub(super) struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Files {
    /// Reads both.
    pub(super) fn read(&self) -> Result<Contents, CertificateError> {
        Ok(Contents { certificate: read(&self.certificate)?, key: read(&self.key)? })
    }

    /// Makes sense of what was read.
    pub(super) fn understand(
        &self,
        contents: &Contents,
        provider: &CryptoProvider,
    ) -> Result<CertifiedKey, CertificateError> {
        let chain = certificates(&self.certificate, &contents.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|error| match error {
            pem::Error::NoItemsFound => CertificateError::NoKey(self.key.clone()),
            error => CertificateError::NotPem(self.key.clone(), pem_text(&error)),
        })?;
        CertifiedKey::from_der(chain, key, provider).map_err(|source| {
            let (certificate, key) = (self.certificate.clone(), self.key.clone());
            CertificateError::Mismatch { certificate, key, source }
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    std::fs::read(path).map_err(|error| CertificateError::Unreadable(path.to_owned(), error))
}

/// Every certificate in a file.
pub(super) fn read_certificates(
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    certificates(path, &read(path)?)
}

fn certificates(
    path: &Path,
    contents: &[u8],
) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let chain = CertificateDer::pem_slice_iter(contents).collect::<Result<Vec<_>, _>>();
    let chain =
        chain.map_err(|error| CertificateError::NotPem(path.to_owned(), pem_text(&error)))?;
    if chain.is_empty() { Err(CertificateError::NoCertificate(path.to_owned())) } else { Ok(chain) }
}

/// What is wrong with the form of a file, without any of what is in it.
fn pem_text(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no end",
        pem::Error::IllegalSectionStart { .. } => "a section has no proper beginning",
        pem::Error::Base64Decode(_) => "a section is not base64",
        _ => "it cannot be understood",
    }
}

/// Gives every handshake the certificate that is in force.
pub(super) struct InForce(ArcSwap<CertifiedKey>);

impl InForce {
    pub(super) fn new(certificate: CertifiedKey) -> Self {
        Self(ArcSwap::from_pointee(certificate))
    }

    pub(super) fn replace(&self, certificate: CertifiedKey) {
        self.0.store(Arc::new(certificate));
    }
}

impl ResolvesServerCert for InForce {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl fmt::Debug for InForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InForce")
    }
}
