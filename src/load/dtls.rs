//! DTLS for every viewer of a load test: one configuration, one certificate, and the keys handed out.
//!
//! Owns the provider that engines are built with. Each engine's keying material goes to the
//! [`KeySlot`] that was given for it, because our reports are sealed outside the engine. Never seals.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use str0m::config::{CryptoProvider, DtlsCert, DtlsVersion};
use str0m::crypto::dtls::{
    DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, KeyingMaterial, ProtocolVersion,
};
use str0m::crypto::{CryptoError, from_feature_flags};

use super::srtp::Agreement;

/// Where an engine's keys appear once its handshake is done.
pub type KeySlot = Arc<OnceLock<Agreement>>;

thread_local! {
    /// The slot of the engine being built on this thread: the library makes its DTLS inside `build`.
    static NEXT: RefCell<Option<KeySlot>> = const { RefCell::new(None) };
}

/// What all viewers share.
#[derive(Debug, Clone)]
pub struct ClientDtls {
    provider: Arc<CryptoProvider>,
    certificate: DtlsCert,
}

/// Why no viewer can do DTLS.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The library refused its own crypto provider.
    #[error("dtls cannot start: the crypto library refused its configuration: {0}")]
    Config(#[source] dimpl::Error),
    /// No certificate could be made.
    #[error("dtls cannot start: no self-signed certificate could be made")]
    Certificate,
}

impl ClientDtls {
    /// Validates the crypto library and makes the certificate of all viewers. Call once a process:
    /// the provider is never freed.
    pub fn new() -> Result<ClientDtls, SetupError> {
        let base = from_feature_flags();
        let certificate = base.dtls_provider.generate_certificate().ok_or(SetupError::Certificate)?;
        let config =
            dimpl::Config::builder().mtu(str0m::DATAGRAM_MTU_TARGET).build().map_err(SetupError::Config)?;
        let dtls_provider: &'static Provider =
            Box::leak(Box::new(Provider { config: Arc::new(config), base: base.dtls_provider }));
        Ok(ClientDtls { provider: Arc::new(CryptoProvider { dtls_provider, ..base }), certificate })
    }

    /// The provider to derive keys with.
    pub fn provider(&self) -> &CryptoProvider {
        &self.provider
    }

    /// Builds an engine and the slot where its keys will appear.
    pub fn build(&self, config: str0m::RtcConfig, now: Instant) -> (str0m::Rtc, KeySlot) {
        let slot = KeySlot::default();
        NEXT.set(Some(slot.clone()));
        let config =
            config.set_crypto_provider(self.provider.clone()).set_dtls_cert(self.certificate.clone());
        (config.build(now), slot)
    }
}

#[derive(Debug)]
struct Provider {
    config: Arc<dimpl::Config>,
    base: &'static dyn DtlsProvider,
}

impl DtlsProvider for Provider {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        self.base.generate_certificate()
    }

    fn new_dtls(
        &self,
        certificate: &DtlsCert,
        now: Instant,
        version: DtlsVersion,
        _mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        if version != DtlsVersion::Dtls12 {
            return Err(CryptoError::Other(format!("viewers speak DTLS 1.2, not {version}")));
        }
        let slot = NEXT.take().unwrap_or_default();
        let dtls = dimpl::Dtls::new_12(self.config.clone(), certificate.clone(), now);
        Ok(Box::new(Instance { dtls, slot }))
    }
}

struct Instance {
    dtls: dimpl::Dtls,
    slot: KeySlot,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
        let client = self.dtls.is_active();
        let output = self.dtls.poll_output(buffer);
        if let DtlsOutput::KeyingMaterial(material, profile) = &output {
            // A second handshake on one association does not happen in WebRTC (RFC 8842 §4).
            let material = KeyingMaterial::new(material);
            let _ = self.slot.set(Agreement { material, profile: *profile, client });
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
