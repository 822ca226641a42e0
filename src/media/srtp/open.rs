//! The opener: SRTCP of one viewer, authenticated, decrypted, and never twice.
//!
//! Owns the viewer's key for its reports and the window of indices that came. The engine never sees RTCP: its
//! reader builds 31 KB for a source description of four bytes, and one datagram holds 380 of those.
//! What comes out is the compound; `compound` takes it apart. Knows no tracks and no sockets.

use aws_lc_rs::hmac;
use sluice_io::MAX_DATAGRAM;
use str0m::crypto::{AeadAes128Gcm, Aes128CmSha1_80};

use super::gcm::{Library, TAG};
use super::keys::ReportKeys;
use super::seal::{Cipher, CounterMode, seal_cm};

/// Header and sender of a report: what stays in clear (RFC 3711 §3.4).
const CLEAR: usize = 8;

/// The word behind the report: E flag and index.
const WORD: usize = 4;

/// Indices below the newest that may still come, as many as a word has bits: the least that RFC 3711 §3.3.2
/// asks for.
const WINDOW: u32 = 64;

/// Senders of reports in one session: a browser has one for each track that it receives, and counts the reports of
/// each apart. More cost 20 bytes each.
pub const SENDERS_MAX: usize = 8;

/// Opens the reports of one viewer.
pub struct Opener {
    cipher: Cipher,
    /// By the SSRC of the sender.
    seen: Vec<(u32, Seen)>,
}

/// Which indices came: the newest, and those of the [`WINDOW`] below it.
#[derive(Debug, Clone, Copy)]
struct Seen {
    newest: u32,
    /// Bit `n`: the newest less `n` came.
    came: u64,
}

impl Opener {
    /// An opener over derived keys, with the GCM of `library`; nothing if their lengths do not fit the profile.
    pub fn new(keys: &ReportKeys, library: Library) -> Option<Opener> {
        Some(Opener { cipher: Cipher::new(keys.profile, &keys.session, library)?, seen: Vec::new() })
    }

    /// The compound in `datagram`; nothing if it is forged, damaged, in clear, or came before.
    pub fn open<'a>(&mut self, datagram: &[u8], room: &'a mut [u8; MAX_DATAGRAM]) -> Option<&'a [u8]> {
        let tag_behind = match self.cipher {
            Cipher::Gcm { .. } => 0,
            Cipher::Cm(_) => Aes128CmSha1_80::HMAC_TAG_LEN,
        };
        let (authentic, tag) = datagram.split_at_checked(datagram.len().checked_sub(tag_behind)?)?;
        let (sealed, word) = authentic.split_last_chunk::<WORD>()?;
        let value = u32::from_be_bytes(*word);
        // WebRTC always encrypts (RFC 8834 §4.1).
        let index = value.checked_sub(0x8000_0000)?;
        let ssrc = u32::from_be_bytes(*sealed.get(4..CLEAR)?.first_chunk()?);
        let known = self.seen.iter().position(|(sender, _)| *sender == ssrc);
        if !known.map_or(self.seen.len() < SENDERS_MAX, |at| self.seen[at].1.is_new(index)) {
            return None;
        }
        let out = room.get_mut(..sealed.len())?;
        out.copy_from_slice(sealed);
        let length = match &self.cipher {
            Cipher::Gcm { key, salt } => {
                let mut aad = [0u8; CLEAR + WORD];
                aad[..CLEAR].copy_from_slice(&sealed[..CLEAR]);
                aad[CLEAR..].copy_from_slice(word);
                sealed.len().checked_sub(CLEAR + TAG)?;
                let nonce = AeadAes128Gcm::rtcp_iv(*salt, ssrc, index);
                CLEAR + key.open(nonce, &aad, &mut out[CLEAR..])?.len()
            }
            Cipher::Cm(cipher) => {
                let CounterMode { key, salt, auth } = &**cipher;
                let wanted = hmac::sign(auth, authentic);
                let wanted = &wanted.as_ref()[..Aes128CmSha1_80::HMAC_TAG_LEN];
                aws_lc_rs::constant_time::verify_slices_are_equal(wanted, tag).ok()?;
                // In counter mode encrypting again is decrypting.
                seal_cm(key, Aes128CmSha1_80::rtp_iv(*salt, ssrc, u64::from(index)), &mut out[CLEAR..])?;
                sealed.len()
            }
        };
        match known {
            Some(at) => self.seen[at].1.note(index),
            None => self.seen.push((ssrc, Seen { newest: index, came: 1 })),
        }
        Some(&room[..length])
    }
}

impl Seen {
    /// Whether `index` did not come yet, and is not too old to tell.
    fn is_new(&self, index: u32) -> bool {
        match self.newest.checked_sub(index) {
            Some(age) => age < WINDOW && self.came & (1 << age) == 0,
            None => true,
        }
    }

    /// `index` came, and [was new](Seen::is_new).
    fn note(&mut self, index: u32) {
        match self.newest.checked_sub(index) {
            Some(age) => self.came |= 1 << age,
            None => {
                self.came = self.came.checked_shl(index - self.newest).unwrap_or(0) | 1;
                self.newest = index;
            }
        }
    }
}
