//! The authorities that certificates of others must be signed by.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;

/// Why nobody could be trusted.
#[derive(Debug, Error)]
pub(crate) enum TrustError {
    #[error("cannot be read: {0}")]
    File(#[from] io::Error),
    #[error("must be a PEM file with at least one certificate, and nothing that is none")]
    Certificate,
    #[error("the system has no certificates of authorities; name a file with them")]
    Nobody,
}

/// TLS with the authorities of the system, and those of a file.
pub(super) fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, TrustError> {
    let mut roots = RootCertStore::empty();
    // Some of what a system has may be of no use.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = ca_file {
        add(&mut roots, file)?;
    }
    if roots.is_empty() { Err(TrustError::Nobody) } else { with(roots) }
}

/// TLS with nobody, for who never speaks it.
pub(super) fn none() -> Result<ClientConfig, TrustError> {
    with(RootCertStore::empty())
}

fn with(roots: RootCertStore) -> Result<ClientConfig, TrustError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|_| TrustError::Certificate)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn add(roots: &mut RootCertStore, file: &Path) -> Result<(), TrustError> {
    let pem = fs::read(file)?;
    let mut added = 0;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|_| TrustError::Certificate)?;
        roots.add(certificate).map_err(|_| TrustError::Certificate)?;
        added += 1;
    }
    if added == 0 { Err(TrustError::Certificate) } else { Ok(()) }
}
