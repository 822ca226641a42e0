//! A certificate authority of the test's own: certificates in files, and HTTPS to whoever shows one of them.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::http::{Request, Response};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// One that nobody else trusts.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

/// Files of a pair, removed with the test.
pub struct PairFiles(PathBuf);

impl Default for Authority {
    fn default() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Authority(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }
}

impl Authority {
    /// Its own certificate, as PEM.
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// A pair for names and addresses that is valid for a year.
    pub fn pair(&self, names: &[&str]) -> Pair {
        self.pair_of_days(names, (1, 365))
    }

    /// As [`Authority::pair`], valid since so many days and for so many more; both may be negative.
    pub fn pair_of_days(&self, names: &[&str], (since, left): (i32, i32)) -> Pair {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let later = |days: i32| match days < 0 {
            true => now - DAY * days.unsigned_abs(),
            false => now + DAY * days.unsigned_abs(),
        };
        params.not_before = date_time_ymd(1970, 1, 1) + later(-since);
        params.not_after = date_time_ymd(1970, 1, 1) + later(left);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// Its own certificate, as PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A client that trusts this authority alone, and speaks these protocols, the first with preference.
    pub fn client(&self, protocols: &[&str]) -> Arc<ClientConfig> {
        trusting(self.0.der().clone(), protocols)
    }

    /// Connects and shakes hands for HTTP/1.1.
    ///
    /// # Errors
    ///
    /// No connection, no handshake, or a certificate that is not of this authority or for that address.
    pub fn connect(&self, to: SocketAddr) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
        connect(self.client(&["http/1.1"]), ServerName::from(to.ip()), to)
    }

    /// Sends a request on a connection of its own.
    #[track_caller]
    pub fn request(&self, to: SocketAddr, request: &Request) -> Response {
        let stream = self.connect(to).unwrap_or_else(|error| panic!("no TLS with {to}: {error}"));
        request.send_over(stream, to).unwrap_or_else(|error| panic!("{request:?}: {error}"))
    }

    /// The certificate that is shown at an address.
    pub fn shown(&self, to: SocketAddr) -> CertificateDer<'static> {
        let stream = self.connect(to).unwrap_or_else(|error| panic!("no TLS with {to}: {error}"));
        stream.conn.peer_certificates().expect("a chain")[0].clone().into_owned()
    }
}

/// A client that trusts whom `root` vouches for and nobody else, and speaks these protocols, the first with preference.
pub fn trusting(root: CertificateDer<'static>, protocols: &[&str]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(root).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// Connects and shakes hands.
///
/// # Errors
///
/// No connection, no handshake, or a certificate that the client does not trust or that is not for `name`.
pub fn connect(
    client: Arc<ClientConfig>,
    name: ServerName<'static>,
    to: SocketAddr,
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let client = ClientConnection::new(client, name).map_err(std::io::Error::other)?;
    let stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(crate::PATIENCE))?;
    let mut stream = StreamOwned::new(client, stream);
    stream.conn.complete_io(&mut stream.sock)?;
    Ok(stream)
}

impl PairFiles {
    /// Writes a pair into a new folder.
    pub fn new(pair: &Pair) -> PairFiles {
        let files = PairFiles(std::env::temp_dir().join(format!("sluice-pair-{}", rand::random::<u64>())));
        std::fs::create_dir(&files.0).expect("a new folder");
        files.write(pair);
        files
    }

    /// Where one of them is: `certificate` or `key`.
    pub fn path(&self, which: &str) -> PathBuf {
        self.0.join(format!("{which}.pem"))
    }

    /// Writes both anew.
    pub fn write(&self, pair: &Pair) {
        std::fs::write(self.path("certificate"), &pair.certificate).expect("the certificate is written");
        std::fs::write(self.path("key"), &pair.key).expect("the key is written");
    }

    /// Arguments of the program that have a listener use them, `http` or `admin`.
    pub fn arguments(&self, listener: &str) -> [String; 4] {
        let set = |which: &str| format!("{listener}.tls.{which}={}", self.path(which).display());
        ["--set".to_owned(), set("certificate"), "--set".to_owned(), set("key")]
    }
}

impl Drop for PairFiles {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
