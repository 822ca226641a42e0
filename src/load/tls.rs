//! HTTPS as a client: whom to believe, and the connection. What `sluice load` and `sluice top` share.
//!
//! Owns the certificates that are trusted: this machine's, a file's, or any.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Where Linux systems keep the authorities that they trust, as PEM: Debian and Arch, Red Hat, SUSE, Alpine.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Whom an https:// address is believed.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Trust {
    /// For https://: believe the authorities in this PEM file, instead of those that this machine trusts
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub ca: Option<PathBuf>,
    /// For https://: believe any certificate, and so anybody in between
    #[arg(long)]
    pub insecure: bool,
}

/// Why nobody can be believed.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file cannot be read, or is no PEM.
    #[error("--ca {}: {why}; name a PEM file with the certificate of an authority", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// This machine trusts nobody.
    #[error(
        "this machine has no list of authorities ({}): install ca-certificates, or name a file by --ca", SYSTEM.join(", ")
    )]
    System,
}

/// Makes connections, with TLS where the address is https.
#[derive(Clone)]
pub struct Connector(Option<TlsConnector>);

/// A connection: TCP, or TLS over it.
pub trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

impl Trust {
    /// For addresses of that scheme. Nothing is read for `http`.
    ///
    /// # Errors
    ///
    /// [`TrustError`].
    pub fn connector(&self, scheme: &str) -> Result<Connector, TrustError> {
        if scheme != "https" {
            return Ok(Connector(None));
        }
        let provider = Arc::new(default_provider());
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("the provider has the suites of these versions");
        let config = match self.insecure {
            true => config.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider))),
            false => config.with_root_certificates(self.roots()?),
        };
        Ok(Connector(Some(TlsConnector::from(Arc::new(config.with_no_client_auth())))))
    }

    fn roots(&self) -> Result<RootCertStore, TrustError> {
        let Some(path) = &self.ca else {
            let found = SYSTEM.iter().find_map(|path| authorities(Path::new(path)).ok());
            return found.ok_or(TrustError::System);
        };
        authorities(path).map_err(|why| TrustError::File { path: path.clone(), why })
    }
}

/// The authorities of a PEM file. Those that nobody could read any more are passed over.
fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?;
    let certificates = certificates.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    match roots.add_parsable_certificates(certificates) {
        (0, _) => Err("it has no certificate that could be an authority's".to_owned()),
        _ => Ok(roots),
    }
}

impl Connector {
    /// Shakes hands over `stream` with `host`, a name or an address without brackets.
    ///
    /// # Errors
    ///
    /// What went wrong, with the way out where the certificate is not believed.
    pub async fn connect(&self, stream: TcpStream, host: &str) -> io::Result<Box<dyn Connection>> {
        let Some(tls) = &self.0 else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let secure = tls.connect(name, stream).await.map_err(|error| {
            let unknown = error.to_string().contains("certificate");
            let way_out = "; --ca FILE names an authority to believe, --insecure believes anybody";
            io::Error::new(error.kind(), format!("{error}{}", if unknown { way_out } else { "" }))
        })?;
        Ok(Box::new(secure))
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Connector(https)" } else { "Connector(http)" })
    }
}

/// Believes any certificate. That who shows it has its key is checked all the same.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
