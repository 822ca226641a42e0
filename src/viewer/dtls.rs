//! DTLS for every engine of the process: one validated `dimpl::Config` and one certificate.
//!
//! Owns the crypto provider that engines are built with: the viewers' here and those of `load`, which are
//! players. Building a `dimpl::Config` validates the
//! whole crypto provider (1.1 ms of CPU) and str0m's own provider does so for every engine; here it
//! is done once, which is most of the cost of a join. Never holds a viewer's state.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use str0m::config::{CryptoProvider, DtlsCert, DtlsVersion};
use str0m::crypto::dtls::{DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, ProtocolVersion};
use str0m::crypto::{CryptoError, from_feature_flags};
use zeroize::Zeroizing;

use super::keys::Keying;

/// Where the keys of one engine appear once its handshake is done.
pub type KeySlot = Arc<OnceLock<Keying>>;

thread_local! {
    /// The slot for the engine that is being built on this thread: the library makes the DTLS instance
    /// inside its own constructor, which takes nothing of ours.
    static NEXT_SLOT: RefCell<Option<KeySlot>> = const { RefCell::new(None) };
}

/// Builds an engine, and returns the slot that its keys will be put into.
pub fn with_key_slot<T>(build: impl FnOnce() -> T) -> (T, KeySlot) {
    let slot = KeySlot::default();
    NEXT_SLOT.set(Some(slot.clone()));
    let built = build();
    NEXT_SLOT.take();
    (built, slot)
}

/// What all engines of one process share.
#[derive(Clone)]
pub struct SharedDtls {
    provider: Arc<CryptoProvider>,
    certificate: DtlsCert,
    fingerprint: String,
}

/// Why the process cannot do DTLS at all.
#[derive(Debug, thiserror::Error)]
pub enum DtlsSetupError {
    /// The library refused its own crypto provider.
    #[error("dtls cannot start: the crypto library refused its configuration: {0}")]
    Config(#[source] dimpl::Error),
    /// No certificate could be made.
    #[error("dtls cannot start: no self-signed certificate could be made")]
    Certificate,
}

impl SharedDtls {
    /// Validates the crypto library and makes the certificate of this process.
    pub fn new() -> Result<SharedDtls, DtlsSetupError> {
        let base = from_feature_flags();
        let certificate = base.dtls_provider.generate_certificate().ok_or(DtlsSetupError::Certificate)?;
        let digest = base.sha256_provider.sha256(&certificate.certificate);
        // ICE proves that the peer can be reached before DTLS is answered, so a cookie round trip
        // would only cost time (RFC 6347 §4.2.1 leaves it to the server).
        let config = dimpl::Config::builder()
            .use_server_cookie(false)
            .mtu(str0m::DATAGRAM_MTU_TARGET)
            .build()
            .map_err(DtlsSetupError::Config)?;
        // The library wants a `&'static` provider; one per process is leaked, on purpose.
        let dtls_provider: &'static SharedProvider =
            Box::leak(Box::new(SharedProvider { config: Arc::new(config), fallback: base.dtls_provider }));
        Ok(SharedDtls {
            provider: Arc::new(CryptoProvider { dtls_provider, ..base }),
            certificate,
            fingerprint: colon_hex(&digest),
        })
    }

    /// The provider to build an engine with.
    pub fn provider(&self) -> Arc<CryptoProvider> {
        self.provider.clone()
    }

    /// The certificate to build an engine with.
    pub fn certificate(&self) -> DtlsCert {
        self.certificate.clone()
    }

    /// The certificate's SHA-256 digest as `a=fingerprint` writes it (RFC 8122 §5).
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

impl fmt::Debug for SharedDtls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedDtls").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

/// str0m's DTLS provider over one shared configuration.
#[derive(Debug)]
struct SharedProvider {
    config: Arc<dimpl::Config>,
    fallback: &'static dyn DtlsProvider,
}

impl DtlsProvider for SharedProvider {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        self.fallback.generate_certificate()
    }

    fn new_dtls(
        &self,
        certificate: &DtlsCert,
        now: Instant,
        version: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        if version != DtlsVersion::Dtls12 || mtu.is_some_and(|mtu| mtu != self.config.mtu()) {
            return Err(CryptoError::Other(format!(
                "the shared DTLS configuration is for DTLS 1.2 and an MTU of {}, not {version} and {mtu:?}",
                self.config.mtu()
            )));
        }
        let dtls = dimpl::Dtls::new_12(self.config.clone(), certificate.clone(), now);
        Ok(Box::new(Instance { dtls, keys: NEXT_SLOT.take().unwrap_or_default() }))
    }
}

/// One viewer's DTLS, as str0m drives it.
struct Instance {
    dtls: dimpl::Dtls,
    keys: KeySlot,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Instance")
    }
}

impl DtlsInstance for Instance {
    fn set_active(&mut self, active: bool) {
        self.dtls.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.dtls.handle_packet(packet)
    }

    fn poll_output<'a>(&mut self, buffer: &'a mut [u8]) -> DtlsOutput<'a> {
        let output = self.dtls.poll_output(buffer);
        if let DtlsOutput::KeyingMaterial(material, profile) = &output {
            let (material, active) = (Zeroizing::new(material.to_vec()), self.dtls.is_active());
            // A second export would be of a renegotiation, which this library never does.
            let _ = self.keys.set(Keying { material, profile: *profile, active });
        }
        output
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.dtls.handle_timeout(now)
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        self.dtls.send_application_data(data)
    }

    fn is_active(&self) -> bool {
        self.dtls.is_active()
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.dtls.protocol_version()
    }

    fn is_closing(&self) -> bool {
        self.dtls.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.dtls.is_closed()
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        self.dtls.close()
    }
}

fn colon_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 3);
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 {
            text.push(':');
        }
        text.push_str(&format!("{byte:02X}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_that_of_the_shared_certificate() {
        let shared = SharedDtls::new().expect("the crypto library works");
        let digest = shared.provider.sha256_provider.sha256(&shared.certificate.certificate);
        assert_eq!(shared.fingerprint(), colon_hex(&digest));
        assert_eq!(shared.fingerprint().len(), 32 * 3 - 1);
    }

    #[test]
    fn another_version_or_mtu_is_refused_with_a_reason() {
        let shared = SharedDtls::new().expect("the crypto library works");
        #[expect(clippy::disallowed_methods, reason = "a test needs some instant")]
        let now = Instant::now();
        let error = shared
            .provider
            .dtls_provider
            .new_dtls(&shared.certificate, now, DtlsVersion::Dtls13, None)
            .expect_err("only DTLS 1.2 is configured");
        assert!(error.to_string().contains("DTLS 1.2"), "{error}");
    }
}
