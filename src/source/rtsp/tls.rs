//! TLS to a camera (`rtsps://`, `rtsp+https://`), by the library and the provider of the process.
//!
//! Owns whose certificate is believed: what this machine trusts, or those whose fingerprints were given, of whichever of a
//! stream's cameras. A camera's own is
//! told with its fingerprint when it is refused, and never believed unasked.

mod proof;

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::digest;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS12;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
};
use sluice_config::Fingerprint;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

use super::failure::Failure;
use crate::contain::lock;

/// What is offered to a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    /// What is safe today.
    Today,
    /// What a camera with a small key can take: TLS 1.2, and signatures that are checked for such keys. Only for a
    /// certificate whose fingerprint was given.
    SmallKeys,
}

/// Shakes hands with `host` over `stream`, within `limit`. [`Failure::Unproven`] is what [`Offer::SmallKeys`] may cure.
pub(super) async fn connect(
    stream: TcpStream,
    host: &Host<&str>,
    expected: &[Fingerprint],
    offer: Offer,
    limit: Duration,
) -> Result<TlsStream<TcpStream>, Failure> {
    let provider = Arc::new(default_provider());
    let authorities = if expected.is_empty() { authorities(&provider) } else { None };
    let judge = Arc::new(Judge {
        expected: expected.to_vec(),
        offer,
        authorities,
        provider: provider.clone(),
        shown: Mutex::default(),
    });
    let config = ClientConfig::builder_with_provider(provider);
    let config = match offer {
        Offer::Today => config.with_safe_default_protocol_versions(),
        Offer::SmallKeys => config.with_protocol_versions(&[&TLS12]),
    };
    let config = config
        .map_err(|error| Failure::Tls(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(judge.clone())
        .with_no_client_auth();
    let name = match host {
        Host::Domain(name) => {
            ServerName::try_from((*name).to_owned()).map_err(|error| Failure::Tls(error.to_string()))?
        }
        Host::Ipv4(address) => ServerName::IpAddress(IpAddr::V4(*address).into()),
        Host::Ipv6(address) => ServerName::IpAddress(IpAddr::V6(*address).into()),
    };
    let shaken = timeout(limit, TlsConnector::from(Arc::new(config)).connect(name, stream)).await;
    let error = match shaken {
        Ok(Ok(stream)) => return Ok(stream),
        Ok(Err(error)) => error,
        Err(_) => return Err(Failure::Tls(format!("nothing for {} s", limit.as_secs_f32()))),
    };
    let reason = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let shown = *lock(&judge.shown);
    Err(match (reason, shown, expected) {
        (Some(Error::InvalidCertificate(why)), Some(shown), []) => {
            Failure::Untrusted { shown, why: distrust(why) }
        }
        (Some(Error::InvalidCertificate(_)), Some(shown), expected) if expected.contains(&shown) => {
            Failure::Unproven
        }
        (Some(Error::InvalidCertificate(_)), Some(shown), _) => Failure::OtherCertificate { shown },
        (reason, ..) => Failure::Tls(words(reason, &error)),
    })
}

/// Why a certificate is not trusted. What the library has no words for is one that signed itself, as `openssl req -x509`
/// makes them.
fn distrust(why: &CertificateError) -> String {
    match why {
        CertificateError::Other(_) if why.to_string().contains("CaUsedAsEndEntity") => {
            "it has signed itself".to_owned()
        }
        _ => why.to_string(),
    }
}

/// What went wrong, for the owner of a camera.
fn words(reason: Option<&Error>, error: &io::Error) -> String {
    match reason {
        Some(Error::InvalidMessage(_)) => {
            "what it answers is no TLS: is it the right port, or does it want rtsp://?".to_owned()
        }
        Some(
            Error::PeerIncompatible(_)
            | Error::AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion),
        ) => "it knows no version or cipher of TLS that is safe today: look for another firmware".to_owned(),
        _ if matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
        ) =>
        {
            "it closes the connection: is it the right port, or does it want rtsp://?".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Those that this machine trusts, if there are any. Read for each connection: they may be renewed.
fn authorities(provider: &Arc<CryptoProvider>) -> Option<Arc<WebPkiServerVerifier>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().ok()
}

/// Judges a certificate.
#[derive(Debug)]
struct Judge {
    expected: Vec<Fingerprint>,
    offer: Offer,
    authorities: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    /// What was shown, to be told.
    shown: Mutex<Option<Fingerprint>>,
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = fingerprint(end_entity);
        *lock(&self.shown) = Some(shown);
        let unknown = Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        match (&self.expected[..], &self.authorities) {
            (expected, _) if expected.contains(&shown) => Ok(ServerCertVerified::assertion()),
            ([], Some(authorities)) => {
                authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            _ => Err(unknown),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
            .or_else(|error| self.prove(message, certificate, signed, error))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        let proven = verify_tls13_signature(message, certificate, signed, known);
        // PKCS #1 is none of TLS 1.3 (RFC 8446 §4.2.3).
        proven.or_else(|error| match proof::OLD_SCHEMES.contains(&signed.scheme) {
            true => Err(error),
            false => self.prove(message, certificate, signed, error),
        })
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        match self.offer {
            Offer::Today => self.provider.signature_verification_algorithms.supported_schemes(),
            Offer::SmallKeys => proof::OLD_SCHEMES.to_vec(),
        }
    }
}

impl Judge {
    /// Reads what the library does not, of a certificate whose fingerprint was given. By the `error` of the library where
    /// that is no proof either.
    fn prove(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
        error: Error,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        let is_expected = self.expected.contains(&fingerprint(certificate));
        match is_expected
            && proof::is_by_key_of(certificate, message, signed.scheme, signed.signature(), known)
        {
            true => Ok(HandshakeSignatureValid::assertion()),
            false => Err(error),
        }
    }
}

fn fingerprint(certificate: &CertificateDer<'_>) -> Fingerprint {
    let hash = digest::digest(&digest::SHA256, certificate);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hash.as_ref());
    Fingerprint(bytes)
}
