//! SRTP for a receiver: opens media and reports of the server, seals our reports.
//!
//! Owns the keys of one viewer, derived from what DTLS exported (RFC 5764 §4.2), and the index of the
//! reports sent under them. **It is the only emitter under these keys**: what the engine would send
//! is discarded (`client`). Independent of the server's own sealing code, so that it can accuse it.

use sluice_media::srtp::Keying;
use str0m::crypto::dtls::SrtpProfile;
use str0m::crypto::{
    AeadAes128GcmCipher, AeadAes256GcmCipher, Aes128CmSha1_80, Aes128CmSha1_80Cipher, CryptoProvider,
    SrtpProvider,
};

use super::packet::Header;

/// Key derivation labels (RFC 3711 §4.3.2); those of RTCP are 3 higher.
const ENCRYPTION: u8 = 0;
const AUTHENTICATION: u8 = 1;
const SALT: u8 = 2;
const RTCP: u8 = 3;

/// Bytes of a GCM tag (RFC 7714 §12).
const GCM_TAG: usize = 16;

/// Bytes of the truncated HMAC of the counter mode profile (RFC 5764 §4.1.2).
const HMAC_TAG: usize = 10;

/// The SRTCP word "encrypted, index" (RFC 3711 §3.4).
const INDEX: usize = 4;
const ENCRYPTED: u32 = 0x8000_0000;

/// Both directions of one viewer.
#[derive(Debug)]
pub struct Srtp {
    media: Session,
    reports: Session,
    own_reports: Session,
    next_index: u32,
    provider: CryptoProvider,
}

impl Srtp {
    /// Derives the session keys. None if the profile is not one of those that WebRTC uses.
    pub fn new(provider: &CryptoProvider, keying: &Keying) -> Option<Srtp> {
        let ours = Master::new(keying, keying.active)?;
        let theirs = Master::new(keying, !keying.active)?;
        Some(Srtp {
            media: theirs.session(provider, 0, false),
            reports: theirs.session(provider, RTCP, false),
            own_reports: ours.session(provider, RTCP, true),
            next_index: 0,
            provider: provider.clone(),
        })
    }

    /// Authenticates and decrypts a media packet with the unwrapped sequence number `index`; its
    /// payload replaces `out`. `false`: it is forged, damaged or under another key.
    pub fn open_media(&mut self, header: Header, index: u64, packet: &[u8], out: &mut Vec<u8>) -> bool {
        let (clear, sealed) = packet.split_at(header.length);
        let rollover = (index >> 16) as u32;
        match &mut self.media {
            Session::Gcm { cipher, salt } => {
                let Some(length) = sealed.len().checked_sub(GCM_TAG) else { return false };
                out.resize(length, 0);
                // RFC 7714 §8.1: SSRC at 2, rollover counter at 6, sequence number at 10.
                let iv = gcm_iv(salt, header.ssrc, u64::from(rollover) << 16 | u64::from(header.sequence));
                cipher.decrypt(&iv, clear, sealed, out)
            }
            Session::Counter { cipher, salt, key } => {
                let Some(end) = packet.len().checked_sub(HMAC_TAG).filter(|end| *end >= header.length) else {
                    return false;
                };
                let (authentic, tag) = packet.split_at(end);
                let hmac =
                    |key: &[u8], parts: &[&[u8]]| self.provider.sha1_hmac_provider.sha1_hmac(key, parts);
                if !Aes128CmSha1_80::rtp_verify(hmac, key, authentic, index, tag) {
                    return false;
                }
                out.resize(end - header.length, 0);
                let iv = Aes128CmSha1_80::rtp_iv(*salt, header.ssrc, index);
                cipher.decrypt(&iv, &authentic[header.length..], out).is_ok()
            }
        }
    }

    /// Authenticates and decrypts a compound report; the compound replaces `out`.
    pub fn open_reports(&mut self, packet: &[u8], out: &mut Vec<u8>) -> bool {
        let tag = match self.reports {
            Session::Gcm { .. } => 0,
            Session::Counter { .. } => HMAC_TAG,
        };
        let Some((authentic, tag)) = packet.len().checked_sub(tag).and_then(|at| packet.split_at_checked(at))
        else {
            return false;
        };
        let (Some((sealed, word)), Some(clear)) =
            (authentic.split_last_chunk::<INDEX>(), authentic.first_chunk::<8>())
        else {
            return false;
        };
        let word = u32::from_be_bytes(*word);
        // WebRTC always encrypts (RFC 8834 §4.1); what claims not to be is nothing to us.
        if word & ENCRYPTED == 0 || sealed.len() < 8 {
            return false;
        }
        let (index, ssrc) = (word & !ENCRYPTED, ssrc(clear));
        out.clear();
        out.extend(clear);
        match &mut self.reports {
            Session::Gcm { cipher, salt } => {
                let Some(length) = (sealed.len() - 8).checked_sub(GCM_TAG) else { return false };
                out.resize(8 + length, 0);
                let iv = gcm_iv(salt, ssrc, u64::from(index));
                cipher.decrypt(&iv, &associated(clear, word), &sealed[8..], &mut out[8..])
            }
            Session::Counter { cipher, salt, key } => {
                let hmac =
                    |key: &[u8], parts: &[&[u8]]| self.provider.sha1_hmac_provider.sha1_hmac(key, parts);
                if !Aes128CmSha1_80::rtcp_verify(hmac, key, authentic, tag) {
                    return false;
                }
                out.resize(sealed.len(), 0);
                let iv = Aes128CmSha1_80::rtp_iv(*salt, ssrc, u64::from(index));
                cipher.decrypt(&iv, &sealed[8..], &mut out[8..]).is_ok()
            }
        }
    }

    /// Seals a compound of ours, at least 8 bytes long, under the next index. None if the indices of
    /// this key are used up (after 2^31 reports).
    pub fn seal_reports(&mut self, compound: &[u8]) -> Option<Vec<u8>> {
        let clear = compound.first_chunk::<8>()?;
        let index = self.next_index;
        if index & ENCRYPTED != 0 {
            return None;
        }
        self.next_index += 1;
        let (word, ssrc, plain) = (ENCRYPTED | index, ssrc(clear), &compound[8..]);
        let mut out = clear.to_vec();
        match &mut self.own_reports {
            Session::Gcm { cipher, salt } => {
                out.resize(compound.len() + GCM_TAG, 0);
                let iv = gcm_iv(salt, ssrc, u64::from(index));
                cipher.encrypt(&iv, &associated(clear, word), plain, &mut out[8..]).then_some(())?;
                out.extend(word.to_be_bytes());
            }
            Session::Counter { cipher, salt, key } => {
                out.resize(compound.len(), 0);
                let iv = Aes128CmSha1_80::rtp_iv(*salt, ssrc, u64::from(index));
                cipher.encrypt(&iv, plain, &mut out[8..]).ok()?;
                out.extend(word.to_be_bytes());
                let end = out.len();
                out.resize(end + HMAC_TAG, 0);
                let hmac =
                    |key: &[u8], parts: &[&[u8]]| self.provider.sha1_hmac_provider.sha1_hmac(key, parts);
                Aes128CmSha1_80::rtcp_hmac(hmac, key, &mut out, end);
            }
        }
        Some(out)
    }
}

/// The cipher and what goes with it, for one direction and one protocol.
#[derive(Debug)]
enum Session {
    Gcm { cipher: Gcm, salt: [u8; 12] },
    Counter { cipher: Box<dyn Aes128CmSha1_80Cipher>, salt: [u8; 14], key: [u8; 20] },
}

#[derive(Debug)]
enum Gcm {
    Aes128(Box<dyn AeadAes128GcmCipher>),
    Aes256(Box<dyn AeadAes256GcmCipher>),
}

impl Gcm {
    fn decrypt(&mut self, iv: &[u8; 12], clear: &[u8], sealed: &[u8], out: &mut [u8]) -> bool {
        match self {
            Gcm::Aes128(cipher) => cipher.decrypt(iv, &[clear], sealed, out).is_ok(),
            Gcm::Aes256(cipher) => cipher.decrypt(iv, &[clear], sealed, out).is_ok(),
        }
    }

    fn encrypt(&mut self, iv: &[u8; 12], clear: &[u8], plain: &[u8], out: &mut [u8]) -> bool {
        match self {
            Gcm::Aes128(cipher) => cipher.encrypt(iv, clear, plain, out).is_ok(),
            Gcm::Aes256(cipher) => cipher.encrypt(iv, clear, plain, out).is_ok(),
        }
    }
}

/// One side's master key and salt.
struct Master<'a> {
    key: &'a [u8],
    salt: &'a [u8],
    profile: SrtpProfile,
}

impl<'a> Master<'a> {
    fn new(keying: &'a Keying, client: bool) -> Option<Master<'a>> {
        let (key, salt) = match keying.profile {
            SrtpProfile::AES128_CM_SHA1_80 => (16, 14),
            SrtpProfile::AEAD_AES_128_GCM => (16, 12),
            SrtpProfile::AEAD_AES_256_GCM => (32, 12),
            _ => return None,
        };
        let side = usize::from(!client);
        let (keys, salts) = keying.material.split_at_checked(2 * key)?;
        Some(Master {
            key: keys.get(side * key..(side + 1) * key)?,
            salt: salts.get(side * salt..(side + 1) * salt)?,
            profile: keying.profile,
        })
    }

    fn session(&self, provider: &CryptoProvider, labels: u8, seals: bool) -> Session {
        let srtp = provider.srtp_provider;
        match self.profile {
            SrtpProfile::AEAD_AES_128_GCM => {
                let key = self.derive(srtp, labels + ENCRYPTION);
                let cipher = Gcm::Aes128(srtp.aead_aes_128_gcm().create_cipher(key, seals));
                Session::Gcm { cipher, salt: self.derive(srtp, labels + SALT) }
            }
            SrtpProfile::AEAD_AES_256_GCM => {
                let key = self.derive(srtp, labels + ENCRYPTION);
                let cipher = Gcm::Aes256(srtp.aead_aes_256_gcm().create_cipher(key, seals));
                Session::Gcm { cipher, salt: self.derive(srtp, labels + SALT) }
            }
            // `Master::new` lets no other profile pass.
            _ => {
                let key = self.derive(srtp, labels + ENCRYPTION);
                Session::Counter {
                    cipher: srtp.aes_128_cm_sha1_80().create_cipher(key, seals),
                    salt: self.derive(srtp, labels + SALT),
                    key: self.derive(srtp, labels + AUTHENTICATION),
                }
            }
        }
    }

    /// AES in counter mode over label and salt (RFC 3711 §4.3.3; RFC 7714 §11 for short salts).
    fn derive<const N: usize>(&self, provider: &dyn SrtpProvider, label: u8) -> [u8; N] {
        let mut derived = [0; N];
        let mut input = [0; 16];
        input[..self.salt.len()].copy_from_slice(self.salt);
        input[7] ^= label;
        for (counter, block) in derived.chunks_mut(16).enumerate() {
            input[14..].copy_from_slice(&(counter as u16).to_be_bytes());
            // Two blocks of room: the provider's cipher pads.
            let mut output = [0; 32];
            match self.key.len() {
                32 => provider.srtp_aes_256_ecb_round(self.key, &input, &mut output),
                _ => provider.srtp_aes_128_ecb_round(self.key, &input, &mut output),
            }
            block.copy_from_slice(&output[..block.len()]);
        }
        derived
    }
}

fn ssrc(clear: &[u8; 8]) -> u32 {
    u32::from_be_bytes([clear[4], clear[5], clear[6], clear[7]])
}

/// What GCM authenticates of a report beside its ciphertext (RFC 7714 §9.2).
fn associated(clear: &[u8; 8], word: u32) -> [u8; 12] {
    let mut associated = [0; 12];
    associated[..8].copy_from_slice(clear);
    associated[8..].copy_from_slice(&word.to_be_bytes());
    associated
}

/// RFC 7714 §8.1 and §9.1: SSRC and a 48-bit number, masked with the salt.
fn gcm_iv(salt: &[u8; 12], ssrc: u32, number: u64) -> [u8; 12] {
    let mut iv = [0; 12];
    iv[2..6].copy_from_slice(&ssrc.to_be_bytes());
    iv[6..].copy_from_slice(&number.to_be_bytes()[2..]);
    for (byte, mask) in iv.iter_mut().zip(salt) {
        *byte ^= mask;
    }
    iv
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    const PROFILES: [(SrtpProfile, usize); 3] = [
        (SrtpProfile::AES128_CM_SHA1_80, 60),
        (SrtpProfile::AEAD_AES_128_GCM, 56),
        (SrtpProfile::AEAD_AES_256_GCM, 88),
    ];

    fn ends(profile: SrtpProfile, length: usize) -> (Srtp, Srtp) {
        let provider = str0m::crypto::from_feature_flags();
        let bytes: Vec<u8> = (0..length as u8).collect();
        let end = |active| {
            let material = Zeroizing::new(bytes.clone());
            Srtp::new(&provider, &Keying { material, profile, active }).expect("a known profile")
        };
        (end(true), end(false))
    }

    #[test]
    fn the_key_derivation_is_that_of_the_rfc() {
        // RFC 3711 B.3.
        let key = 0xE1F97A0D3E018BE0D64FA32C06DE4139_u128.to_be_bytes();
        let salt = [0x0E, 0xC6, 0x75, 0xAD, 0x49, 0x8A, 0xFE, 0xEB, 0xB6, 0x96, 0x0B, 0x3A, 0xAB, 0xE6];
        let master = Master { key: &key, salt: &salt, profile: SrtpProfile::AES128_CM_SHA1_80 };
        let provider = str0m::crypto::from_feature_flags();
        let cipher: [u8; 16] = master.derive(provider.srtp_provider, ENCRYPTION);
        assert_eq!(u128::from_be_bytes(cipher), 0xC61E7A93744F39EE10734AFE3FF7A087);
        let auth: [u8; 20] = master.derive(provider.srtp_provider, AUTHENTICATION);
        assert_eq!(auth[..4], [0xCE, 0xBE, 0x32, 0x1F]);
        assert_eq!(auth[16..], [0x6D, 0x38, 0xBA, 0xA4], "the second block");
    }

    #[test]
    fn the_other_end_opens_what_one_end_sealed_and_nothing_else() {
        for (profile, length) in PROFILES {
            let (mut client, mut server) = ends(profile, length);
            let mut compound = Vec::new();
            super::super::rtcp::receiver_report(&mut compound, 77, &[]);
            super::super::rtcp::pli(&mut compound, 77, 88);
            let first = client.seal_reports(&compound).expect("an index is left");
            let second = client.seal_reports(&compound).expect("an index is left");
            assert_ne!(first, second, "each has an index of its own");
            let mut opened = Vec::new();
            for sealed in [&first, &second] {
                assert!(server.open_reports(sealed, &mut opened), "{profile:?}");
                assert_eq!(opened, compound, "{profile:?}");
            }
            assert!(!client.open_reports(&first, &mut opened), "{profile:?}: our own key is not theirs");
            for at in 0..first.len() {
                let mut damaged = first.clone();
                damaged[at] ^= 1;
                assert!(!server.open_reports(&damaged, &mut opened), "{profile:?} byte {at}");
                assert!(!server.open_reports(&first[..at], &mut opened), "{profile:?} cut at {at}");
            }
        }
    }
}
