//! SRTP keys of one viewer: derived from the DTLS handshake, wiped when the viewer goes.
//!
//! Owns the key derivation of RFC 3711 §4.3 for the profiles of RFC 5764 and RFC 7714: of what we send, and of
//! the viewer's reports. Never seals or opens anything.

use str0m::crypto::dtls::SrtpProfile;
use str0m::crypto::{AeadAes128Gcm, AeadAes256Gcm, Aes128CmSha1_80, CryptoProvider, SrtpProvider};
use zeroize::Zeroizing;

/// Labels of the key derivation (RFC 3711 §4.3.1 and §4.3.2).
const RTP: Labels = Labels { key: 0, auth: 1, salt: 2 };
const RTCP: Labels = Labels { key: 3, auth: 4, salt: 5 };

/// What DTLS exported for SRTP (RFC 5764 §4.2).
pub struct Keying {
    /// Keys of the DTLS client and of the server, then the salts of both.
    pub material: Zeroizing<Vec<u8>>,
    /// The profile that DTLS agreed on.
    pub profile: SrtpProfile,
    /// Whether we were the DTLS client: it decides which half is ours.
    pub active: bool,
}

/// Session keys for one direction of one protocol.
pub(super) struct SessionKeys {
    /// Encryption key: 16 or 32 bytes.
    pub(super) key: Zeroizing<Vec<u8>>,
    /// Salt: 14 bytes for counter mode, 12 for GCM.
    pub(super) salt: Zeroizing<Vec<u8>>,
    /// HMAC-SHA1 key, 20 bytes; empty for GCM.
    pub(super) auth: Zeroizing<Vec<u8>>,
}

/// Our sending keys.
pub struct SendKeys {
    pub(super) profile: SrtpProfile,
    pub(super) rtp: SessionKeys,
    pub(super) rtcp: SessionKeys,
}

/// Keys of the reports that a viewer sends.
pub struct ReportKeys {
    pub(super) profile: SrtpProfile,
    pub(super) session: SessionKeys,
}

struct Labels {
    key: u8,
    auth: u8,
    salt: u8,
}

impl SendKeys {
    /// Derives our sending keys. Nothing if the profile is none of ours or the material is too short.
    pub fn derive(keying: &Keying, crypto: &CryptoProvider) -> Option<SendKeys> {
        let session = |labels| session(keying, keying.active, labels, crypto);
        Some(SendKeys { profile: keying.profile, rtp: session(RTP)?, rtcp: session(RTCP)? })
    }
}

impl ReportKeys {
    /// Derives the viewer's keys. Nothing if the profile is none of ours or the material is too short.
    pub fn derive(keying: &Keying, crypto: &CryptoProvider) -> Option<ReportKeys> {
        let session = session(keying, !keying.active, RTCP, crypto)?;
        Some(ReportKeys { profile: keying.profile, session })
    }
}

/// What one end sends with: the DTLS client or the server.
fn session(keying: &Keying, client: bool, labels: Labels, crypto: &CryptoProvider) -> Option<SessionKeys> {
    let (key_len, salt_len, auth_len) = lengths(keying.profile)?;
    // client_write_key | server_write_key | client_write_salt | server_write_salt
    let side = usize::from(!client);
    let key = keying.material.get(side * key_len..)?.get(..key_len)?;
    let salt = keying.material.get(2 * key_len + side * salt_len..)?.get(..salt_len)?;
    let provider = crypto.srtp_provider;
    Some(SessionKeys {
        key: derive(provider, key, salt, labels.key, key_len),
        salt: derive(provider, key, salt, labels.salt, salt_len),
        auth: derive(provider, key, salt, labels.auth, auth_len),
    })
}

/// Bytes of encryption key, salt and authentication key.
fn lengths(profile: SrtpProfile) -> Option<(usize, usize, usize)> {
    match profile {
        SrtpProfile::AES128_CM_SHA1_80 => {
            Some((Aes128CmSha1_80::KEY_LEN, Aes128CmSha1_80::SALT_LEN, Aes128CmSha1_80::HMAC_KEY_LEN))
        }
        SrtpProfile::AEAD_AES_128_GCM => Some((AeadAes128Gcm::KEY_LEN, AeadAes128Gcm::SALT_LEN, 0)),
        SrtpProfile::AEAD_AES_256_GCM => Some((AeadAes256Gcm::KEY_LEN, AeadAes256Gcm::SALT_LEN, 0)),
        _ => None,
    }
}

/// AES in counter mode as a pseudo-random function (RFC 3711 §4.3.3; RFC 6188 §3 for 256 bits), with
/// a key derivation rate of 0.
fn derive(
    crypto: &dyn SrtpProvider,
    master_key: &[u8],
    master_salt: &[u8],
    label: u8,
    length: usize,
) -> Zeroizing<Vec<u8>> {
    // The 112-bit salt, padded on the right when it has 96 bits (RFC 7714 §11), with the label in
    // the byte above the 48-bit index.
    let mut block = [0u8; 16];
    block[..master_salt.len()].copy_from_slice(master_salt);
    block[7] ^= label;
    let mut out = Zeroizing::new(Vec::with_capacity(length.next_multiple_of(16)));
    for counter in 0..length.div_ceil(16) as u16 {
        block[14..].copy_from_slice(&counter.to_be_bytes());
        // The provider wants room for one block more than it writes.
        let mut stream = Zeroizing::new([0u8; 32]);
        match master_key.len() {
            32 => crypto.srtp_aes_256_ecb_round(master_key, &block, &mut stream[..]),
            _ => crypto.srtp_aes_128_ecb_round(master_key, &block, &mut stream[..]),
        }
        out.extend_from_slice(&stream[..16]);
    }
    out.truncate(length);
    out
}

#[cfg(test)]
mod tests {
    use str0m::crypto::from_feature_flags;

    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len() / 2)
            .map(|index| u8::from_str_radix(&hex[index * 2..index * 2 + 2], 16).expect("hex digits"))
            .collect()
    }

    #[test]
    fn key_derivation_is_that_of_rfc_3711_appendix_b_3() {
        let crypto = from_feature_flags();
        let key = bytes("E1F97A0D3E018BE0D64FA32C06DE4139");
        let salt = bytes("0EC675AD498AFEEBB6960B3AABE6");
        let derived = |label, length| derive(crypto.srtp_provider, &key, &salt, label, length).to_vec();
        assert_eq!(derived(0, 16), bytes("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(derived(2, 14), bytes("30CBBC08863D8C85D49DB34A9AE1"));
        // The first 160 bits of the 94 bytes given there: what HMAC-SHA1 takes.
        assert_eq!(derived(1, 20), bytes("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
    }

    #[test]
    fn key_derivation_of_256_bits_is_that_of_rfc_6188_section_7_2() {
        let crypto = from_feature_flags();
        let key = bytes("F0F04914B513F2763A1B1FA130F10E2998F6F6E43E4309D1E622A0E332B9F1B6");
        let salt = bytes("3B04803DE51EE7C96423AB5B78D2");
        let derived = |label, length| derive(crypto.srtp_provider, &key, &salt, label, length).to_vec();
        let cipher_key = "5BA1064E30EC51613CAD926C5A28EF731EC7FB397F70A960653CAF06554CD8C4";
        assert_eq!(derived(0, 32), bytes(cipher_key));
        assert_eq!(derived(2, 14), bytes("FA31791685CA444A9E07C6C64E93"));
        assert_eq!(derived(1, 20), bytes("FD9C32D39ED5FBB5A9DC96B30818454D1313DC05"));
    }

    #[test]
    fn client_and_server_take_opposite_halves() {
        let crypto = from_feature_flags();
        for profile in SrtpProfile::ALL {
            let material: Vec<u8> = (0..profile.keying_material_len() as u8).collect();
            let keys = |active| {
                let keying = Keying { material: Zeroizing::new(material.clone()), profile: *profile, active };
                SendKeys::derive(&keying, &crypto).expect("a known profile")
            };
            assert_ne!(keys(true).rtp.key, keys(false).rtp.key, "{profile}");
            assert_ne!(keys(true).rtp.salt, keys(true).rtcp.salt, "{profile}");
        }
    }

    #[test]
    fn short_material_gives_nothing() {
        let keying = Keying {
            material: Zeroizing::new(vec![0; 40]),
            profile: SrtpProfile::AEAD_AES_256_GCM,
            active: false,
        };
        assert!(SendKeys::derive(&keying, &from_feature_flags()).is_none());
    }
}
