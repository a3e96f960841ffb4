//! What is needed to speak TLS with the server: whom to trust, and under which name it is known.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

/// TLS with one server.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    pub(crate) rules: Arc<ClientConfig>,
    pub(crate) name: ServerName<'static>,
}

impl Trust {
    /// Trusts the authorities in `file`, under the server's name `host`. Without `resumes` every connection makes a full
    /// handshake, as the connections of many clients do.
    pub(crate) fn load(file: &Path, host: &str, resumes: bool) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        let read = || format!("cannot read certificates from {}", file.display());
        for certificate in CertificateDer::pem_file_iter(file).with_context(read)? {
            roots.add(certificate.with_context(read)?).with_context(read)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut rules = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        if !resumes {
            rules.resumption = Resumption::disabled();
        }
        let name = ServerName::try_from(host.to_owned())
            .with_context(|| format!("`{host}` is no name that a certificate can have"))?;
        Ok(Self { rules: Arc::new(rules), name })
    }
}
