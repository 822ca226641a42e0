//! The sealer against the RFCs' vectors and against the library's own ciphers.

use proptest::prelude::*;
use str0m::crypto::{AeadAes128Gcm, Aes128CmSha1_80, from_feature_flags};
use zeroize::Zeroizing;

use super::super::keys::Keying;
use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ascii"), 16).expect("hex");
    digits.chunks(2).map(pair).collect()
}

fn gcm(profile: SrtpProfile, key_len: u8, library: Library) -> Sealer {
    let session = || SessionKeys {
        key: Zeroizing::new((0..key_len).collect()),
        salt: Zeroizing::new(b"Quid pro quo".to_vec()),
        auth: Zeroizing::new(Vec::new()),
    };
    let keys = SendKeys { profile, rtp: session(), rtcp: session() };
    Sealer::new(&keys, library).expect("keys of the right length")
}

/// RFC 7714 §16.1.1 and §16.2.1.
#[test]
fn gcm_is_that_of_rfc_7714() {
    let header = Header {
        payload_type: 0x40.into(),
        marker: false,
        index: PacketIndex(0xf17b),
        timestamp: 0x8041_f8d3,
        ssrc: 0x5501_a0b2.into(),
        extension: &[],
        padding: 0,
    };
    let text = b"Gallia est omnis divisa in partes tres";
    let vectors = [
        (
            (SrtpProfile::AEAD_AES_128_GCM, 16),
            "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a \
             51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
        ),
        (
            (SrtpProfile::AEAD_AES_256_GCM, 32),
            "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 \
             76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
        ),
    ];
    for ((profile, key_len), wanted) in vectors {
        for library in Library::ALL {
            let mut out = [0; 100];
            let sealer = gcm(profile, key_len, library);
            let length = sealer.rtp(header, &[], text, &mut out).expect("room enough").len();
            assert_eq!(out[..length], bytes(wanted), "{library}");
        }
    }
}

/// RFC 7714 §17.1 and §17.2.
#[test]
fn gcm_reports_are_those_of_rfc_7714() {
    let text = bytes(
        "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef \
         deadbeef deadbeef",
    );
    let vectors = [
        (
            (SrtpProfile::AEAD_AES_128_GCM, 16),
            "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda \
             4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
        ),
        (
            (SrtpProfile::AEAD_AES_256_GCM, 32),
            "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be \
             8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
        ),
    ];
    for ((profile, key_len), wanted) in vectors {
        for library in Library::ALL {
            let mut sealer = gcm(profile, key_len, library);
            sealer.srtcp_index = 0x5d4;
            let mut out = [0; 100];
            out[..text.len()].copy_from_slice(&text);
            let length = sealer.rtcp(&mut out, text.len()).expect("room enough").len();
            assert_eq!(out[..length], bytes(wanted), "{library}");
            assert_eq!(sealer.srtcp_index, 0x5d5);
        }
    }
}

/// RFC 3711 §B.2: the keystream itself, as a payload of zeros shows it, up to the last block before the
/// 16-bit counter of blocks is full.
#[test]
fn counter_mode_is_that_of_rfc_3711() {
    let session = || SessionKeys {
        key: Zeroizing::new(bytes("2b7e151628aed2a6abf7158809cf4f3c")),
        salt: Zeroizing::new(bytes("f0f1f2f3f4f5f6f7f8f9fafbfcfd")),
        auth: Zeroizing::new(vec![0; 20]),
    };
    let keys = SendKeys { profile: SrtpProfile::AES128_CM_SHA1_80, rtp: session(), rtcp: session() };
    let sealer = Sealer::new(&keys, Library::default()).expect("keys of the right length");
    let header = Header {
        payload_type: 0.into(),
        marker: false,
        index: PacketIndex(0),
        timestamp: 0,
        ssrc: 0.into(),
        extension: &[],
        padding: 0,
    };
    let zeros = vec![0; 0xff02 * 16];
    let mut out = vec![0; RTP_HEADER + zeros.len() + TAG_MAX];
    sealer.rtp(header, &[], &zeros, &mut out).expect("room enough");
    for (block, keystream) in [
        (0x0000, "e03ead0935c95e80e166b16dd92b4eb4"),
        (0x0001, "d23513162b02d0f72a43a2fe4a5f97ab"),
        (0x0002, "41e95b3bb0a2e8dd477901e4fca894c0"),
        (0xfeff, "ec8cdf7398607cb0f2d21675ea9ea1e4"),
        (0xff00, "362b7c3c6773516318a077d7fc5073ae"),
        (0xff01, "6a2cc3787889374fbeb4c81b17ba6c44"),
    ] {
        assert_eq!(out[RTP_HEADER + block * 16..][..16], bytes(keystream), "block {block:#x}");
    }
}

/// The packet that libsrtp's and others' tests hold against each other, from the master keys of
/// RFC 3711 §B.3: key derivation, counter mode and authentication in one.
#[test]
fn counter_mode_with_hmac_is_that_of_other_implementations() {
    let halves = ["e1f97a0d3e018be0d64fa32c06de4139", "0ec675ad498afeebb6960b3aabe6"];
    let material = halves.map(|half| bytes(half).repeat(2)).concat();
    let keying =
        Keying { material: Zeroizing::new(material), profile: SrtpProfile::AES128_CM_SHA1_80, active: true };
    let keys = SendKeys::derive(&keying, &from_feature_flags()).expect("a known profile");
    let sealer = Sealer::new(&keys, Library::default()).expect("derived keys");
    let header = Header {
        payload_type: 0x0f.into(),
        marker: false,
        index: PacketIndex(0x1234),
        timestamp: 0xdeca_fbad,
        ssrc: 0xcafe_babe.into(),
        extension: &[],
        padding: 0,
    };
    let mut out = [0; 100];
    let length = sealer.rtp(header, &[], &[0xab; 16], &mut out).expect("room enough").len();
    let wanted = "800f1234 decafbad cafebabe 4e55dc4c e79978d8 8ca4d215 949d2402 b78d6acc 99ea179b 8dbb";
    assert_eq!(out[..length], bytes(wanted));
}

#[test]
fn too_little_room_seals_nothing() {
    for library in Library::ALL {
        too_little_room(gcm(SrtpProfile::AEAD_AES_128_GCM, 16, library));
    }
}

fn too_little_room(mut sealer: Sealer) {
    let header = Header {
        payload_type: 96.into(),
        marker: true,
        index: PacketIndex(1),
        timestamp: 2,
        ssrc: 3.into(),
        extension: &[],
        padding: 0,
    };
    let mut out = [0; 12 + 10 + 16];
    assert!(sealer.rtp(header, &[], &[0; 11], &mut out).is_none());
    assert!(sealer.rtp(header, &[], &[0; 10], &mut out).is_some());
    assert!(sealer.rtcp(&mut out, 30).is_none());
    assert_eq!(sealer.srtcp_index, 0, "an index is spent only on what is sent");
    assert!(sealer.rtcp(&mut out[..28], 8).is_some());
    sealer.srtcp_index = SRTCP_INDEX_END;
    assert!(sealer.rtcp(&mut out, 8).is_none(), "no index is used twice");
}

proptest! {
    /// Every profile, opened again with the library's own ciphers.
    #[test]
    fn what_is_sealed_can_be_opened(
        profile in 0..3usize,
        library in prop::sample::select(&Library::ALL[..]),
        material in prop::collection::vec(any::<u8>(), 88),
        payload in prop::collection::vec(any::<u8>(), 0..1_300),
        words in 0..6usize,
        padding in prop_oneof![Just(0u8), any::<u8>()],
        index in 0..1u64 << 48,
        (ssrc, timestamp, marker, payload_type) in (any::<u32>(), any::<u32>(), any::<bool>(), 0..128u8),
    ) {
        let crypto = from_feature_flags();
        let keying = Keying {
            material: Zeroizing::new(material),
            profile: SrtpProfile::ALL[profile],
            active: false,
        };
        let keys = SendKeys::derive(&keying, &crypto).expect("a known profile");
        let sealer = Sealer::new(&keys, library).expect("derived keys");
        let extension: Vec<u8> = (0..words as u8 * 4).collect();
        let header = Header { payload_type: payload_type.into(), marker, index: PacketIndex(index), timestamp, ssrc: ssrc.into(), extension: &extension, padding };
        let mut out = vec![0; 1_800];
        let length = sealer.rtp(header, &[7, 8], &payload, &mut out).expect("room enough").len();
        let out = &out[..length];
        let body = 12 + extension.len();
        let salt = &keys.rtp.salt[..];
        let mut opened = vec![0; length + 32];
        let provider = crypto.srtp_provider;
        let opened = match keys.profile {
            SrtpProfile::AES128_CM_SHA1_80 => {
                let end = length - Aes128CmSha1_80::HMAC_TAG_LEN;
                let hmac = |key: &[u8], parts: &[&[u8]]| crypto.sha1_hmac_provider.sha1_hmac(key, parts);
                prop_assert!(Aes128CmSha1_80::rtp_verify(hmac, &keys.rtp.auth, &out[..end], index, &out[end..]));
                let iv = Aes128CmSha1_80::rtp_iv(salt.try_into().expect("14"), ssrc, index);
                let key = keys.rtp.key[..].try_into().expect("16");
                let mut cipher = provider.aes_128_cm_sha1_80().create_cipher(key, false);
                cipher.decrypt(&iv, &out[body..end], &mut opened).expect("counter mode");
                opened[..end - body].to_vec()
            }
            SrtpProfile::AEAD_AES_128_GCM => {
                let iv = AeadAes128Gcm::rtp_iv(salt.try_into().expect("12"), ssrc, (index >> 16) as u32, index as u16);
                let key = keys.rtp.key[..].try_into().expect("16");
                let mut cipher = provider.aead_aes_128_gcm().create_cipher(key, false);
                let text = cipher.decrypt(&iv, &[&out[..body]], &out[body..], &mut opened).expect("authentic");
                opened[..text].to_vec()
            }
            _ => {
                let iv = AeadAes128Gcm::rtp_iv(salt.try_into().expect("12"), ssrc, (index >> 16) as u32, index as u16);
                let key = keys.rtp.key[..].try_into().expect("32");
                let mut cipher = provider.aead_aes_256_gcm().create_cipher(key, false);
                let text = cipher.decrypt(&iv, &[&out[..body]], &out[body..], &mut opened).expect("authentic");
                opened[..text].to_vec()
            }
        };
        prop_assert_eq!(&opened[..2], &[7, 8]);
        let (opened, behind) = opened[2..].split_at(payload.len());
        prop_assert_eq!(opened, &payload[..]);
        // The P bit, and a last byte that counts itself (RFC 3550 §5.1).
        prop_assert_eq!(out[0] & 0x20 != 0, padding > 0);
        prop_assert_eq!((behind.len(), behind.last().copied().unwrap_or(0)), (usize::from(padding), padding));
    }
}
