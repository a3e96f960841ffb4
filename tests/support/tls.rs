//! TLS for tests: an authority of their own, the files of a server, and a client that checks what it is shown.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned,
    SupportedProtocolVersion,
};
use tempfile::TempDir;

use super::PATIENCE;
use super::client::{Frame, frame, parse, request};

/// Signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub certificate: String,
}

/// A certificate and its key, in PEM.
pub struct Issued {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are fine");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Tests of Uproar");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// A certificate for this machine; another one each time.
    pub fn issue(&self) -> Issued {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).expect("good names");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Issued { certificate, key: key.serialize_pem() }
    }
}

impl Issued {
    /// What a server is that shows it.
    pub fn server(&self) -> ServerConfig {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("a key");
        builder.with_single_cert(vec![self.der()], key).expect("they fit")
    }

    /// The certificate as it goes over the wire.
    pub fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("a certificate")
    }
}

/// What a server that speaks TLS is started with.
pub struct Files {
    dir: TempDir,
    pub authority: Authority,
    /// What is in force at the start.
    pub issued: Issued,
}

impl Files {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let authority = Authority::new();
        let issued = authority.issue();
        let files = Self { dir, authority, issued };
        files.put(&files.issued);
        std::fs::write(files.path("ca.pem"), &files.authority.certificate).expect("it is written");
        files
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Puts a certificate and its key in place.
    pub fn put(&self, issued: &Issued) {
        self.write("certificate.pem", &issued.certificate);
        self.write("key.pem", &issued.key);
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("it is written");
    }

    /// The settings that name the files, and others.
    pub fn settings<'a>(&self, others: &[(&'a str, &'a str)]) -> Vec<(&'a str, String)> {
        let path = |name: &str| self.path(name).to_string_lossy().into_owned();
        let mut settings = vec![
            ("UPROAR_TLS__CERTIFICATE_FILE", path("certificate.pem")),
            ("UPROAR_TLS__KEY_FILE", path("key.pem")),
        ];
        settings.extend(others.iter().map(|(name, value)| (*name, (*value).to_owned())));
        settings
    }

    /// Starts a server with them.
    pub fn start(&self, arguments: &[&str], others: &[(&str, &str)]) -> super::server::Server {
        let settings = self.settings(others);
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, &value[..])).collect();
        super::server::Server::start_with(arguments, &settings)
    }

    /// Clients that trust the authority.
    pub fn trust(&self) -> Arc<ClientConfig> {
        self.trust_with(ring::default_provider(), rustls::DEFAULT_VERSIONS)
    }

    /// The same with these ciphers and versions alone.
    pub fn trust_with(
        &self,
        provider: CryptoProvider,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(provider.into());
        let builder = builder.with_protocol_versions(versions).expect("such a client can be");
        builder.with_root_certificates(self.roots()).with_no_client_auth().into()
    }

    /// Clients that show a certificate themselves.
    pub fn trust_as(&self, issued: &Issued) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(ring::default_provider().into());
        let builder = builder.with_protocol_versions(rustls::DEFAULT_VERSIONS).expect("versions");
        let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).expect("a key");
        let builder = builder.with_root_certificates(self.roots());
        builder.with_client_auth_cert(vec![issued.der()], key).expect("they fit").into()
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        let der = CertificateDer::from_pem_slice(self.authority.certificate.as_bytes());
        roots.add(der.expect("a certificate")).expect("an authority");
        roots
    }
}

/// One connection over TLS.
pub struct TlsClient {
    pub stream: StreamOwned<ClientConnection, TcpStream>,
    received: Vec<u8>,
    taken: usize,
}

impl TlsClient {
    /// Connects, and says nothing beyond the handshake of TLS.
    pub fn raw(address: SocketAddr, trust: &Arc<ClientConfig>) -> io::Result<Self> {
        Self::over(TcpStream::connect(address)?, trust)
    }

    /// The same over a socket that is there.
    pub fn over(socket: TcpStream, trust: &Arc<ClientConfig>) -> io::Result<Self> {
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(trust.clone(), name).expect("a client");
        let mut stream = StreamOwned::new(connection, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self { stream, received: Vec::new(), taken: 0 })
    }

    /// Connects and upgrades on `path`.
    pub fn connect(address: SocketAddr, trust: &Arc<ClientConfig>, path: &str) -> Self {
        Self::raw(address, trust).expect("a handshake").upgrade(path)
    }

    /// Upgrades on `path`.
    pub fn upgrade(mut self, path: &str) -> Self {
        self.write(request(path).as_bytes());
        let head = self.read_head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        self
    }

    /// Sends bytes as they are, in as few records as they fit in.
    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server takes bytes");
        self.stream.flush().expect("the server takes bytes");
    }

    /// Sends a whole text message.
    pub fn send(&mut self, text: &str) {
        self.write(&frame(0x81, text.as_bytes()));
    }

    /// Up to the empty line.
    pub fn read_head(&mut self) -> String {
        loop {
            if let Some(end) = self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = self.received.drain(..end + 4).collect();
                return String::from_utf8(head).expect("a head is text");
            }
            assert!(self.fill().expect("the server answers") > 0, "closed within the head");
        }
    }

    /// The next frame; `None` at an end that was announced. One that was not is an error.
    pub fn read(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some((frame, length)) = parse(&self.received[self.taken..]) {
                self.taken += length;
                return Ok(Some(frame));
            }
            self.received.drain(..std::mem::take(&mut self.taken));
            if self.fill()? == 0 {
                assert!(self.received.is_empty(), "closed within a frame");
                return Ok(None);
            }
        }
    }

    /// The next frame, which must be there.
    pub fn next(&mut self) -> Frame {
        self.read().expect("no failure").expect("a frame, not the end")
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            match self.stream.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => {
                    let bytes = read?;
                    self.received.extend_from_slice(&buffer[..bytes]);
                    return Ok(bytes);
                }
            }
        }
    }

    /// What the server showed.
    pub fn certificate(&self) -> CertificateDer<'static> {
        let chain = self.stream.conn.peer_certificates().expect("a server shows a certificate");
        chain[0].clone().into_owned()
    }
}
