//! DTLS for every engine of the process: one validated `dimpl::Config` and one certificate.
//!
//! Owns the crypto provider that engines are built with: the server's, and those of `load`, which are players. Building
//! a `dimpl::Config` validates the whole crypto provider (1.1 ms of CPU), and str0m's own provider does so for every
//! engine. Here it is done once, which is most of the cost of a join.
//!
//! What may come in is decided here too: handshakes and alerts. No answer ever offers a data channel, so application
//! data is discarded before it is even decrypted. What the library refuses ends nobody's session: before the handshake
//! is done anyone who forges an address could have sent it.

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use str0m::config::{CryptoProvider, DtlsCert, DtlsVersion};
use str0m::crypto::dtls::{DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, ProtocolVersion};
use str0m::crypto::{CryptoError, from_feature_flags};
use zeroize::Zeroizing;

use crate::srtp::{Keying, Library};

/// Times that a handshake begins anew before it was answered. Each is the cost of a join's DTLS (some 15 µs);
/// fewer let less forged fragments lock a viewer out.
const RESTARTS_MAX: u8 = 32;

/// Bytes before the content of a record (RFC 6347 §4.3.1).
const RECORD_HEADER: usize = 13;

/// What one engine's DTLS tells outside of the library.
#[derive(Default)]
pub struct Slot {
    keying: OnceLock<Keying>,
    application_data: AtomicU32,
    refused: AtomicU32,
}

/// Where the keys of one engine appear once its handshake is done.
pub type KeySlot = Arc<Slot>;

impl Slot {
    /// The keys, once the handshake is done.
    pub fn get(&self) -> Option<&Keying> {
        self.keying.get()
    }

    /// Records discarded since the last call: of application data, and those that the library refused.
    pub fn take_discarded(&self) -> (u32, u32) {
        let take = |count: &AtomicU32| match count.load(Ordering::Relaxed) {
            0 => 0,
            _ => count.swap(0, Ordering::Relaxed),
        };
        (take(&self.application_data), take(&self.refused))
    }
}

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
    library: Library,
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
            library: Library::default(),
        })
    }

    /// The same, but what the handshakes agree on keys for is sealed and opened by `library`.
    #[must_use]
    pub fn with_library(self, library: Library) -> SharedDtls {
        SharedDtls { library, ..self }
    }

    /// Who seals and opens with the keys that the handshakes agree on.
    pub fn library(&self) -> Library {
        self.library
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
        let begin = Begin { config: self.config.clone(), certificate: certificate.clone(), now };
        let handshake = Handshake { begin, active: true, answered: false, helloed: false, restarts: 0 };
        Ok(Box::new(Instance {
            dtls: handshake.begin.dtls(),
            slot: NEXT_SLOT.take().unwrap_or_default(),
            handshake: Some(Box::new(handshake)),
        }))
    }
}

/// One viewer's DTLS, as str0m drives it.
struct Instance {
    dtls: dimpl::Dtls,
    slot: KeySlot,
    /// Until the handshake is done.
    handshake: Option<Box<Handshake>>,
}

/// What a handshake is made of.
struct Begin {
    config: Arc<dimpl::Config>,
    certificate: DtlsCert,
    now: Instant,
}

impl Begin {
    fn dtls(&self) -> dimpl::Dtls {
        dimpl::Dtls::new_12(self.config.clone(), self.certificate.clone(), self.now)
    }
}

/// A handshake under way. Until we answered, nothing is lost by beginning anew: the peer sends its ClientHello
/// again until it hears from us.
struct Handshake {
    begin: Begin,
    active: bool,
    /// We sent something.
    answered: bool,
    /// The beginning of a ClientHello came.
    helloed: bool,
    restarts: u8,
}

impl Instance {
    /// One or more records without application data.
    fn handle_records(&mut self, records: &[u8]) -> Result<(), DtlsImplError> {
        // What is kept of a ClientHello stands in the way of another one; and if the first had been whole and
        // good it would have been answered.
        let hello = begins_client_hello(records);
        if hello && self.handshake.as_ref().is_some_and(|handshake| handshake.helloed) {
            self.restart()?;
        }
        if let Some(handshake) = self.handshake.as_mut().filter(|_| hello) {
            handshake.helloed = true;
        }
        let Err(error) = self.dtls.handle_packet(records) else { return Ok(()) };
        let alert = matches!(error, dimpl::Error::SecurityError(dimpl::SecurityError::FatalAlert { .. }));
        match self.handshake {
            // Alerts are authenticated from here on: the peer has given up.
            None if alert => return Err(error),
            None => {}
            Some(_) if alert => {}
            Some(_) => self.restart()?,
        }
        self.slot.refused.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Begins the handshake anew if nothing is lost by that.
    fn restart(&mut self) -> Result<(), DtlsImplError> {
        let Some(handshake) = &mut self.handshake else { return Ok(()) };
        if handshake.active || handshake.answered || handshake.restarts >= RESTARTS_MAX {
            return Ok(());
        }
        handshake.restarts += 1;
        handshake.helloed = false;
        self.dtls = handshake.begin.dtls();
        self.dtls.set_active(false);
        self.dtls.handle_timeout(handshake.begin.now)
    }
}

/// Whether a record that comes first begins a ClientHello in clear (RFC 6347 §4.2.2).
fn begins_client_hello(records: &[u8]) -> bool {
    let [22, _, _, 0, 0, .., _, _] = records.get(..RECORD_HEADER).unwrap_or_default() else { return false };
    // Type, length, sequence number of the message, offset of the fragment.
    matches!(records.get(RECORD_HEADER..RECORD_HEADER + 9), Some([1, _, _, _, _, _, 0, 0, 0]))
}

/// Bytes of the record at the beginning of `records`: all of them if it is cut off.
fn record_length(records: &[u8]) -> usize {
    match records {
        [_, _, _, _, _, _, _, _, _, _, _, high, low, ..] => {
            records.len().min(RECORD_HEADER + usize::from(u16::from_be_bytes([*high, *low])))
        }
        _ => records.len(),
    }
}

/// Changes of cipher, alerts and handshakes: what there is to DTLS without application data.
fn is_wanted(records: &[u8]) -> bool {
    matches!(records, [20..=22, ..])
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Instance")
    }
}

impl DtlsInstance for Instance {
    fn set_active(&mut self, active: bool) {
        if let Some(handshake) = &mut self.handshake {
            handshake.active = active;
        }
        self.dtls.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        let mut rest = packet;
        while !rest.is_empty() {
            let wanted = is_wanted(rest);
            let mut end = record_length(rest);
            while end < rest.len() && is_wanted(&rest[end..]) == wanted {
                end += record_length(&rest[end..]);
            }
            let (run, behind) = rest.split_at(end);
            rest = behind;
            if wanted {
                self.handle_records(run)?;
            } else {
                self.slot.application_data.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn poll_output<'a>(&mut self, buffer: &'a mut [u8]) -> DtlsOutput<'a> {
        let output = self.dtls.poll_output(buffer);
        match &output {
            DtlsOutput::Packet(_) => {
                if let Some(handshake) = &mut self.handshake {
                    handshake.answered = true;
                }
            }
            DtlsOutput::Connected => self.handshake = None,
            DtlsOutput::KeyingMaterial(material, profile) => {
                let (material, active) = (Zeroizing::new(material.to_vec()), self.dtls.is_active());
                // A second export would be of a renegotiation, which this library never does.
                let _ = self.slot.keying.set(Keying { material, profile: *profile, active });
            }
            _ => {}
        }
        output
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        if let Some(handshake) = &mut self.handshake {
            handshake.begin.now = now;
        }
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
