//! From the configuration's `[tls]` to what accepts connections: read once, at start, but for the certificate.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{ClientCertVerifierBuilder, NoServerSessionStorage, WebPkiClientVerifier};
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
    #[error("nobody can be known by these authorities: {1}")]
    Authority(&'static str, String),
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
                TlsError::Authority(key, _) => &[key],
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
        let rules = Rules::new(config, &provider, &in_force);
        let threads = threads(config)?;
        let authority = ("tls.api_client_ca_file", config.tls.api_client_ca_file.as_ref());
        // Most who connect there use something else than the API.
        let public = verifier(authority, &provider)?
            .map(|(key, verifier)| (key, verifier.allow_unauthenticated()));
        let public = Acceptor::new(rules.make(public)?, threads.handle().clone());
        let authority = ("tls.admin_client_ca_file", config.tls.admin_client_ca_file.as_ref());
        let admin = match verifier(authority, &provider)? {
            None => None,
            verifier => Some(Acceptor::new(rules.make(verifier)?, threads.handle().clone())),
        };
        let reloader = Reloader::new(files, contents, provider, in_force);
        Ok(Some(Self { public, admin, reloader, threads }))
    }
}

/// What looks at certificates of clients, and the key of the configuration that asks for it.
type Verifier = (&'static str, ClientCertVerifierBuilder);

/// What all addresses have in common.
struct Rules<'a> {
    provider: &'a Arc<CryptoProvider>,
    in_force: &'a Arc<InForce>,
    versions: &'static [&'static SupportedProtocolVersion],
}

impl<'a> Rules<'a> {
    fn new(config: &Config, provider: &'a Arc<CryptoProvider>, in_force: &'a Arc<InForce>) -> Self {
        let versions: &[_] = match config.tls.version_min {
            TlsVersion::Tls12 => BOTH_VERSIONS,
            TlsVersion::Tls13 => NEW_VERSION,
        };
        Self { provider, in_force, versions }
    }

    /// The rules of an address, where that verifier looks at the certificates of those who connect.
    fn make(&self, verifier: Option<Verifier>) -> Result<ServerConfig, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(self.provider))
            .with_protocol_versions(self.versions)?;
        let builder = match verifier {
            None => builder.with_no_client_auth(),
            Some((key, verifier)) => {
                let verifier = verifier.build();
                builder.with_client_cert_verifier(verifier.map_err(|error| unusable(key, &error))?)
            }
        };
        let mut rules = builder.with_cert_resolver(Arc::clone(self.in_force) as _);
        rules.alpn_protocols = vec![ALPN.to_vec()];
        // One for all shards: a ticket is taken by whichever accepts, also after the certificate was changed. But not
        // by another address: who has a ticket is not asked for a certificate any more.
        rules.ticketer = ring::Ticketer::new()?;
        // Tickets are enough; a memory of sessions would be one lock for all shards.
        rules.session_storage = Arc::new(NoServerSessionStorage {});
        // The shards make the records themselves.
        rules.enable_secret_extraction = true;
        Ok(rules)
    }
}

/// Knows clients by certificates of the authorities that are in the file which the key names, if it names one.
fn verifier(
    (key, file): (&'static str, Option<&PathBuf>),
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Verifier>, TlsError> {
    let Some(file) = file else { return Ok(None) };
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(file).map_err(|error| unusable(key, &error))? {
        roots.add(certificate).map_err(|error| unusable(key, &error))?;
    }
    let (roots, provider) = (Arc::new(roots), Arc::clone(provider));
    Ok(Some((key, WebPkiClientVerifier::builder_with_provider(roots, provider))))
}

fn unusable(key: &'static str, error: &dyn std::fmt::Display) -> TlsError {
    TlsError::Authority(key, error.to_string())
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
