//! From the configuration's `[tls]` to what accepts connections: read once, at start, but for the certificate.

use std::io;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use tokio::runtime::Runtime;

use crate::config::{Config, Problem, TlsVersion};
use crate::tls::acceptor::Acceptor;
use crate::tls::certificate::{CertificateError, Files, InForce, read_certificates};
use crate::tls::reload::Reloader;

/// The one protocol that is spoken inside.
const ALPN: &[u8] = b"http/1.1";

const BOTH_VERSIONS: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];
const NEW_VERSION: &[&SupportedProtocolVersion] = &[&version::TLS13];

/// How far behind the shards the threads that make handshakes stand, in the kernel's scale from 0 to 19.
const NICENESS: i32 = 10;

/// One thread makes the handshakes of so many cores, unless the configuration says otherwise.
const CORES_PER_THREAD: usize = 4;

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
enum TlsError {
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("nobody can be known by these authorities: {0}")]
    Authority(String),
    #[error("TLS cannot be set up: {0}")]
    Rules(#[from] rustls::Error),
    #[error("the threads for handshakes cannot be started: {0}")]
    Threads(#[from] io::Error),
}

/// What speaks TLS.
pub(crate) struct Tls {
    /// On the public address.
    pub(crate) public: Acceptor,
    /// On the operator's, where that is for the holders of certificates.
    pub(crate) admin: Option<Acceptor>,
    /// Looks for a new certificate.
    pub(crate) reloader: Reloader,
    /// The threads that handshakes are made on.
    pub(crate) threads: Runtime,
}

impl Tls {
    /// Reads the certificates; `None` where none is configured.
    ///
    /// # Errors
    ///
    /// What is wrong with the files, by the keys that name them.
    pub(crate) fn load(config: &Config) -> Result<Option<Self>, Problem> {
        Self::read(config).map_err(|error| {
            let keys: &[&str] = match error {
                TlsError::Authority(_) => &["tls.admin_client_ca_file"],
                _ => &["tls.certificate_file", "tls.key_file"],
            };
            Problem::among(config, keys, error.to_string())
        })
    }

    fn read(config: &Config) -> Result<Option<Self>, TlsError> {
        let (Some(certificate), Some(key)) = (&config.tls.certificate_file, &config.tls.key_file)
        else {
            return Ok(None);
        };
        let provider = Arc::new(ring::default_provider());
        let files = Files { certificate: certificate.clone(), key: key.clone() };
        let contents = files.read()?;
        let in_force = Arc::new(InForce::new(files.understand(&contents, &provider)?));
        let rules = Rules::new(config, &provider, &in_force)?;
        let threads = threads(config)?;
        let public = Acceptor::new(rules.make(None)?, threads.handle().clone());
        let admin = match &config.tls.admin_client_ca_file {
            Some(file) => {
                let authority = read_certificates(file);
                let authority =
                    authority.map_err(|error| TlsError::Authority(error.to_string()))?;
                let rules = rules.make(Some(authority))?;
                Some(Acceptor::new(rules, threads.handle().clone()))
            }
            None => None,
        };
        let reloader = Reloader::new(files, contents, provider, in_force);
        Ok(Some(Self { public, admin, reloader, threads }))
    }
}

/// What all addresses have in common.
struct Rules<'a> {
    provider: &'a Arc<CryptoProvider>,
    in_force: &'a Arc<InForce>,
    versions: &'static [&'static SupportedProtocolVersion],
    /// One for all: a ticket is taken by whichever shard accepts, also after the certificate was changed.
    ticketer: Arc<dyn rustls::server::ProducesTickets>,
}

impl<'a> Rules<'a> {
    fn new(
        config: &Config,
        provider: &'a Arc<CryptoProvider>,
        in_force: &'a Arc<InForce>,
    ) -> Result<Self, TlsError> {
        let versions: &[_] = match config.tls.version_min {
            TlsVersion::Tls12 => BOTH_VERSIONS,
            TlsVersion::Tls13 => NEW_VERSION,
        };
        Ok(Self { provider, in_force, versions, ticketer: ring::Ticketer::new()? })
    }

    /// The rules of an address; with an `authority` for those alone who have a certificate of it.
    fn make(
        &self,
        authority: Option<Vec<CertificateDer<'static>>>,
    ) -> Result<ServerConfig, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(self.provider))
            .with_protocol_versions(self.versions)?;
        let builder = match authority {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let unusable =
                    |error: &dyn std::fmt::Display| TlsError::Authority(error.to_string());
                let mut roots = RootCertStore::empty();
                for certificate in authority {
                    roots.add(certificate).map_err(|error| unusable(&error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(
                    Arc::new(roots),
                    Arc::clone(self.provider),
                );
                builder
                    .with_client_cert_verifier(verifier.build().map_err(|error| unusable(&error))?)
            }
        };
        let mut rules = builder.with_cert_resolver(Arc::clone(self.in_force) as _);
        rules.alpn_protocols = vec![ALPN.to_vec()];
        rules.ticketer = Arc::clone(&self.ticketer);
        // Tickets are enough; a memory of sessions would be one lock for all shards.
        rules.session_storage = Arc::new(NoServerSessionStorage {});
        // The shards make the records themselves.
        rules.enable_secret_extraction = true;
        Ok(rules)
    }
}

fn threads(config: &Config) -> io::Result<Runtime> {
    let count = match config.tls.handshake_threads {
        0 => config.shards().div_ceil(CORES_PER_THREAD),
        count => count,
    };
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(count)
        .thread_name("uproar-tls")
        .on_thread_start(step_back)
        .enable_time()
        .build()
}

/// On Linux niceness is a thread's own; elsewhere it would be the process's.
fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::warn!(%error, "a thread for handshakes stands beside the shards, not behind them");
    }
}
