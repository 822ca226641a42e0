//! What proves to an ACME server that a name leads here: a certificate of one moment, for whoever asks by the protocol
//! `acme-tls/1` (RFC 8737).
//!
//! Owns the challenges that are open. Nobody else is shown their certificates, and nothing is served behind them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::ClientHello;
use rustls::sign::CertifiedKey;

use crate::contain::lock;

/// Its name in ALPN (RFC 8737 §6.2).
pub const PROTOCOL: &[u8] = b"acme-tls/1";

/// Challenges that are open, by name.
#[derive(Debug, Clone, Default)]
pub struct Challenges(Arc<Mutex<HashMap<String, Arc<CertifiedKey>>>>);

/// One of them, open until this is dropped.
#[derive(Debug)]
pub struct Open {
    challenges: Challenges,
    name: String,
}

/// Why one cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("no certificate for a challenge can be made: {0}")]
pub struct ChallengeError(String);

impl Challenges {
    /// Opens the challenge for `name`, whose key authorization has that SHA-256 (RFC 8737 §3).
    ///
    /// # Errors
    ///
    /// The library makes no certificate for such a name.
    pub fn open(&self, name: &str, digest: &[u8; 32]) -> Result<Open, ChallengeError> {
        let refused = |error: rcgen::Error| ChallengeError(error.to_string());
        let key = KeyPair::generate().map_err(refused)?;
        let mut params = CertificateParams::new([name.to_owned()]).map_err(refused)?;
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let certificate = params.self_signed(&key).map_err(refused)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let key = default_provider().key_provider.load_private_key(key);
        let key = key.map_err(|error| ChallengeError(error.to_string()))?;
        // Not by way of `from_der`, which reads the certificate as a client would: none may take its critical extension.
        let key = CertifiedKey::new(vec![certificate.der().clone()], key);
        lock(&self.0).insert(name.to_owned(), Arc::new(key));
        Ok(Open { challenges: self.clone(), name: name.to_owned() })
    }

    /// What is shown to whoever asks by the challenge's protocol: `None` if the hello is of somebody else, `Some(None)` if it
    /// is for a name without a challenge.
    pub fn answer(&self, hello: &ClientHello<'_>) -> Option<Option<Arc<CertifiedKey>>> {
        // Alone: whoever speaks something else besides is no such server (RFC 8737 §3).
        let mut protocols = hello.alpn()?;
        if protocols.next() != Some(PROTOCOL) || protocols.next().is_some() {
            return None;
        }
        let name = hello.server_name().map(str::to_ascii_lowercase);
        Some(name.and_then(|name| lock(&self.0).get(&name).cloned()))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        lock(&self.challenges.0).remove(&self.name);
    }
}
