//! The sealer: RTP and RTCP of one viewer, encrypted straight into the place they are sent from.
//!
//! Owns the ciphers with their key schedules and the SRTCP index. It is the only emitter of SRTP and
//! SRTCP for its keys (docs/ARCHITECTURE.md, invariant 1): whoever calls it must never give the same
//! (SSRC, index) twice. Knows no tracks and no sockets; allocates nothing.

use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::{hmac, iv::FixedLength};
use str0m::crypto::dtls::SrtpProfile;
use str0m::crypto::{AeadAes128Gcm, Aes128CmSha1_80};
use str0m::media::Pt;
use str0m::rtp::Ssrc;

use super::gcm::{GcmKey, Library, TAG};
use super::index::PacketIndex;
use super::keys::{SendKeys, SessionKeys};

/// Bytes of an RTP header before extensions (RFC 3550 §5.1).
pub const RTP_HEADER: usize = 12;

/// What sealing adds to a packet at the most: the GCM tag (RFC 7714 §13.1).
pub const TAG_MAX: usize = TAG;

/// What sealing adds to an RTCP packet at the most: tag, and E flag with index (RFC 3711 §3.4).
pub const RTCP_TAG_MAX: usize = TAG_MAX + 4;

/// SRTCP indices: 31 bits, never used twice (RFC 3711 §3.4). At a report a second they last 68 years.
const SRTCP_INDEX_END: u32 = 1 << 31;

/// One RTP packet but for its payload.
#[derive(Debug, Clone, Copy)]
pub struct Header<'a> {
    /// Payload type, 7 bits.
    pub payload_type: Pt,
    /// Marker bit.
    pub marker: bool,
    /// Extended sequence number.
    pub index: PacketIndex,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: Ssrc,
    /// The extension block with its own header (RFC 8285 §4.2), a multiple of 4 bytes; or empty.
    pub extension: &'a [u8],
    /// Bytes of padding behind the payload (RFC 3550 §5.1), the count among them; 0 for none.
    pub padding: u8,
}

/// A datagram that was sealed: how many bytes of its place it takes. Only a [`Sealer`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed(usize);

impl Sealed {
    /// Its bytes.
    #[expect(clippy::len_without_is_empty, reason = "what is sealed has a header and a tag")]
    pub fn len(self) -> usize {
        self.0
    }
}

/// The ciphers of one viewer.
pub struct Sealer {
    rtp: Cipher,
    rtcp: Cipher,
    srtcp_index: u32,
}

/// One key's cipher, for the direction it is used in.
pub enum Cipher {
    Gcm {
        key: GcmKey,
        salt: [u8; 12],
    },
    /// AES-CM with HMAC-SHA1-80, for peers that know nothing better. Boxed: it is rare, and three times
    /// as large.
    Cm(Box<CounterMode>),
}

pub struct CounterMode {
    pub key: EncryptingKey,
    pub salt: [u8; 14],
    pub auth: hmac::Key,
}

impl Sealer {
    /// A sealer over derived keys, with the GCM of `library`; nothing if their lengths do not fit the profile.
    pub fn new(keys: &SendKeys, library: Library) -> Option<Sealer> {
        let cipher = |session: &SessionKeys| Cipher::new(keys.profile, session, library);
        Some(Sealer { rtp: cipher(&keys.rtp)?, rtcp: cipher(&keys.rtcp)?, srtcp_index: 0 })
    }

    /// Writes header, extension, a prefix and the payload into `out`, encrypts and authenticates.
    ///
    /// `prefix` is what RTX puts before the payload (RFC 4588 §4). Returns the length of the packet;
    /// nothing if `out` is too short, which leaves no part of the key used.
    pub fn rtp(&self, header: Header<'_>, prefix: &[u8], payload: &[u8], out: &mut [u8]) -> Option<Sealed> {
        let body = RTP_HEADER + header.extension.len();
        let end = body + prefix.len() + payload.len() + usize::from(header.padding);
        let total = end + self.rtp.tag_len();
        if out.len() < total {
            return None;
        }
        let extended = !header.extension.is_empty();
        let padded = header.padding > 0;
        out[0] = 0x80 | (u8::from(padded) << 5) | (u8::from(extended) << 4);
        out[1] = (u8::from(header.marker) << 7) | *header.payload_type;
        out[2..4].copy_from_slice(&header.index.wire().to_be_bytes());
        out[4..8].copy_from_slice(&header.timestamp.to_be_bytes());
        out[8..12].copy_from_slice(&header.ssrc.to_be_bytes());
        out[RTP_HEADER..body].copy_from_slice(header.extension);
        let rollover = header.index.rollover();
        match &self.rtp {
            Cipher::Gcm { key, salt } => {
                let nonce = AeadAes128Gcm::rtp_iv(*salt, *header.ssrc, rollover, header.index.wire());
                let (associated, rest) = out[..total].split_at_mut(body);
                let (text, tag) = rest.split_at_mut(end - body);
                if text.len() == payload.len() {
                    key.seal(nonce, associated, payload, text, tag)?;
                } else {
                    lay(prefix, payload, text);
                    key.seal_in_place(nonce, associated, text, tag)?;
                }
            }
            Cipher::Cm(cipher) => {
                let CounterMode { key, salt, auth } = &**cipher;
                lay(prefix, payload, &mut out[body..end]);
                let iv = Aes128CmSha1_80::rtp_iv(*salt, *header.ssrc, header.index.0);
                seal_cm(key, iv, &mut out[body..end])?;
                let mut context = hmac::Context::with_key(auth);
                context.update(&out[..end]);
                context.update(&rollover.to_be_bytes());
                out[end..total].copy_from_slice(&context.sign().as_ref()[..Aes128CmSha1_80::HMAC_TAG_LEN]);
            }
        }
        Some(Sealed(total))
    }

    /// Encrypts and authenticates the compound RTCP packet in `buffer[..len]` in place, and returns its
    /// new length. Nothing if `buffer` is too short, or the key has sealed 2^31 of them.
    pub fn rtcp(&mut self, buffer: &mut [u8], len: usize) -> Option<Sealed> {
        if self.srtcp_index >= SRTCP_INDEX_END || len < 8 || buffer.len() < len + RTCP_TAG_MAX {
            return None;
        }
        let index = self.srtcp_index;
        self.srtcp_index += 1;
        let ssrc = u32::from_be_bytes([buffer[4], buffer[5], buffer[6], buffer[7]]);
        // The E flag: encrypted.
        let trailer = (0x8000_0000 | index).to_be_bytes();
        match &self.rtcp {
            Cipher::Gcm { key, salt } => {
                let nonce = AeadAes128Gcm::rtcp_iv(*salt, ssrc, index);
                let mut aad = [0u8; 12];
                aad[..8].copy_from_slice(&buffer[..8]);
                aad[8..].copy_from_slice(&trailer);
                let tag_end = len + TAG;
                let (text, tag) = buffer[8..tag_end].split_at_mut(len - 8);
                key.seal_in_place(nonce, &aad, text, tag)?;
                // The index follows the tag (RFC 7714 §9.2).
                buffer[tag_end..tag_end + 4].copy_from_slice(&trailer);
                Some(Sealed(tag_end + 4))
            }
            Cipher::Cm(cipher) => {
                let CounterMode { key, salt, auth } = &**cipher;
                let iv = Aes128CmSha1_80::rtp_iv(*salt, ssrc, u64::from(index));
                seal_cm(key, iv, &mut buffer[8..len])?;
                buffer[len..len + 4].copy_from_slice(&trailer);
                let tag = hmac::sign(auth, &buffer[..len + 4]);
                let end = len + 4 + Aes128CmSha1_80::HMAC_TAG_LEN;
                buffer[len + 4..end].copy_from_slice(&tag.as_ref()[..Aes128CmSha1_80::HMAC_TAG_LEN]);
                Some(Sealed(end))
            }
        }
    }
}

impl Cipher {
    pub fn new(profile: SrtpProfile, keys: &SessionKeys, library: Library) -> Option<Cipher> {
        match profile {
            SrtpProfile::AEAD_AES_128_GCM | SrtpProfile::AEAD_AES_256_GCM => {
                let key = GcmKey::new(library, &keys.key)?;
                Some(Cipher::Gcm { key, salt: keys.salt[..].try_into().ok()? })
            }
            SrtpProfile::AES128_CM_SHA1_80 => {
                let key = EncryptingKey::ctr(UnboundCipherKey::new(&AES_128, &keys.key).ok()?).ok()?;
                let auth = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &keys.auth);
                Some(Cipher::Cm(Box::new(CounterMode { key, salt: keys.salt[..].try_into().ok()?, auth })))
            }
            _ => None,
        }
    }

    fn tag_len(&self) -> usize {
        match self {
            Cipher::Gcm { .. } => TAG_MAX,
            Cipher::Cm(_) => Aes128CmSha1_80::HMAC_TAG_LEN,
        }
    }
}

/// Writes prefix and payload, and padding over what is left of `text` (RFC 3550 §5.1); it is shorter than 256 bytes.
fn lay(prefix: &[u8], payload: &[u8], text: &mut [u8]) {
    let (front, rest) = text.split_at_mut(prefix.len());
    let (middle, padding) = rest.split_at_mut(payload.len());
    front.copy_from_slice(prefix);
    middle.copy_from_slice(payload);
    padding.fill(0);
    let length = padding.len() as u8;
    if let Some(last) = padding.last_mut() {
        *last = length;
    }
}

pub fn seal_cm(key: &EncryptingKey, iv: [u8; 16], text: &mut [u8]) -> Option<()> {
    key.less_safe_encrypt(text, EncryptionContext::Iv128(FixedLength::from(iv))).ok().map(drop)
}

#[cfg(test)]
#[path = "seal_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "seal_engine_tests.rs"]
mod engine_tests;
