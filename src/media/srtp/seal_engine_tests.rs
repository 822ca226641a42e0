//! The sealer against two real engines: one says what the bytes must be, the other opens ours.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use sluice_harness::oracle::{MEDIA, Oracle, Packet, REPAIRS, is_rtp};
use str0m::crypto::{AeadAes128Gcm, Aes128CmSha1_80, CryptoProvider, from_feature_flags};
use str0m::rtp::{Extension, ExtensionMap};
use zeroize::Zeroizing;

use super::super::keys::Keying;
use super::*;
use crate::rtcp::Epoch;

/// What one pair of engines is made from.
#[derive(Debug, Clone)]
struct Session {
    profile: SrtpProfile,
    library: Library,
    material: Vec<u8>,
    /// Whether the server has the part of the DTLS client.
    active: bool,
    /// Ids of `abs-send-time` and of MID.
    extensions: [Option<u8>; 2],
}

fn sessions() -> impl Strategy<Value = Session> {
    let material = prop::collection::vec(any::<u8>(), 88);
    let extensions = prop::sample::select(vec![
        [None, None],
        [Some(3), None],
        [None, Some(14)],
        [Some(1), Some(4)],
        [Some(14), Some(2)],
    ]);
    let library = prop::sample::select(&Library::ALL[..]);
    (0..SrtpProfile::ALL.len(), library, material, any::<bool>(), extensions).prop_map(
        |(profile, library, mut material, active, extensions)| {
            let profile = SrtpProfile::ALL[profile];
            material.truncate(profile.keying_material_len());
            Session { profile, library, material, active, extensions }
        },
    )
}

impl Session {
    #[expect(clippy::disallowed_methods, reason = "virtual time has to start somewhere")]
    fn oracle(&self) -> Oracle {
        let mut map = ExtensionMap::empty();
        for (id, extension) in self.extensions.iter().zip([Extension::AbsoluteSendTime, Extension::RtpMid]) {
            if let Some(id) = *id {
                map.set(id, extension);
            }
        }
        Oracle::new(Instant::now(), self.profile, &self.material, self.active, &map)
    }

    fn keys(&self, active: bool) -> SendKeys {
        let material = Zeroizing::new(self.material.clone());
        let keying = Keying { material, profile: self.profile, active };
        SendKeys::derive(&keying, &from_feature_flags()).expect("a known profile")
    }

    fn sealer(&self) -> Sealer {
        Sealer::new(&self.keys(self.active), self.library).expect("derived keys")
    }

    fn peer(&self) -> Sealer {
        Sealer::new(&self.keys(!self.active), self.library).expect("derived keys")
    }
}

fn packets() -> impl Strategy<Value = Vec<Packet>> {
    // The first number: any, with a rollover near, or so high that the rollover counter has many bits.
    let start = prop_oneof![0..65_000u64, 65_400..65_536u64, 0..1u64 << 47];
    let payload = prop::collection::vec(any::<u8>(), 1..1_200);
    let packet = (payload, any::<u32>(), any::<bool>(), 1..60u64);
    (start, prop::collection::vec(packet, 1..40)).prop_map(|(mut sequence, packets)| {
        let number = |(payload, timestamp, marker, step): (Vec<u8>, u32, bool, u64)| {
            sequence += step;
            Packet { sequence, timestamp, marker, payload: payload.into() }
        };
        packets.into_iter().map(number).collect()
    })
}

/// The extension block of a datagram: the engine's clock of `abs-send-time` has an origin of its own, and
/// it leaves MID out once it was heard.
fn extension(datagram: &[u8]) -> &[u8] {
    if datagram[0] & 0x10 == 0 {
        return &[];
    }
    let words = usize::from(u16::from_be_bytes([datagram[14], datagram[15]]));
    &datagram[12..16 + words * 4]
}

fn seal(sealer: &Sealer, header: Header<'_>, prefix: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 1_500];
    let length = sealer.rtp(header, prefix, payload, &mut out).expect("room enough").len();
    out.truncate(length);
    out
}

fn header<'a>(packet: &Packet, extension: &'a [u8]) -> Header<'a> {
    Header {
        payload_type: MEDIA.1.into(),
        marker: packet.marker,
        index: PacketIndex(packet.sequence),
        timestamp: packet.timestamp,
        ssrc: MEDIA.0.into(),
        extension,
        padding: 0,
    }
}

/// Opens a report with the library's own ciphers. Returns it and its index.
fn open_report(keys: &SessionKeys, profile: SrtpProfile, datagram: &[u8]) -> (Vec<u8>, u32) {
    let crypto: CryptoProvider = from_feature_flags();
    let ssrc = u32::from_be_bytes(datagram[4..8].try_into().expect("4"));
    let tag = if profile == SrtpProfile::AES128_CM_SHA1_80 { Aes128CmSha1_80::HMAC_TAG_LEN } else { 0 };
    let (authentic, tag) = datagram.split_at(datagram.len() - tag);
    let (sealed, trailer) = authentic.split_at(authentic.len() - 4);
    let word = u32::from_be_bytes(trailer.try_into().expect("4"));
    let index = word & !0x8000_0000;
    assert_ne!(word, index, "the E flag: encrypted");
    let mut opened = vec![0; datagram.len() + 32];
    let associated = [&datagram[..8], trailer].concat();
    let iv = || AeadAes128Gcm::rtcp_iv(keys.salt[..].try_into().expect("12"), ssrc, index);
    let length = match profile {
        SrtpProfile::AES128_CM_SHA1_80 => {
            let hmac = |key: &[u8], parts: &[&[u8]]| crypto.sha1_hmac_provider.sha1_hmac(key, parts);
            assert!(Aes128CmSha1_80::rtcp_verify(hmac, &keys.auth, authentic, tag));
            let iv = Aes128CmSha1_80::rtp_iv(keys.salt[..].try_into().expect("14"), ssrc, index.into());
            let key = keys.key[..].try_into().expect("16");
            let mut cipher = crypto.srtp_provider.aes_128_cm_sha1_80().create_cipher(key, false);
            cipher.decrypt(&iv, &sealed[8..], &mut opened).expect("counter mode");
            sealed.len() - 8
        }
        SrtpProfile::AEAD_AES_128_GCM => {
            let key = keys.key[..].try_into().expect("16");
            let mut cipher = crypto.srtp_provider.aead_aes_128_gcm().create_cipher(key, false);
            cipher.decrypt(&iv(), &[&associated], &sealed[8..], &mut opened).expect("authentic")
        }
        _ => {
            let key = keys.key[..].try_into().expect("32");
            let mut cipher = crypto.srtp_provider.aead_aes_256_gcm().create_cipher(key, false);
            cipher.decrypt(&iv(), &[&associated], &sealed[8..], &mut opened).expect("authentic")
        }
    };
    ([&datagram[..8], &opened[..length]].concat(), index)
}

/// A NACK for one packet (RFC 4585 §6.2.1).
fn nack(sequence: u16) -> [u8; 16] {
    let mut packet = [0x81, 205, 0, 3, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0];
    packet[8..12].copy_from_slice(&MEDIA.0.to_be_bytes());
    packet[12..14].copy_from_slice(&sequence.to_be_bytes());
    packet
}

proptest! {
    #[test]
    fn the_bytes_are_those_of_the_engine_and_another_opens_them(session in sessions(), packets in packets()) {
        let (mut oracle, sealer) = (session.oracle(), session.sealer());
        let rollover_is_known = packets[0].sequence < 1 << 16;
        for packet in packets {
            let wanted = oracle.seal(&packet);
            let ours = seal(&sealer, header(&packet, extension(&wanted)), &[], &packet.payload);
            prop_assert_eq!(&ours, &wanted, "sequence {}", packet.sequence);
            // A receiver starts at a rollover counter of 0.
            if rollover_is_known {
                let opened = oracle.open(&ours).expect("an authentic packet");
                prop_assert_eq!((*opened.seq_no, opened.header.marker), (packet.sequence, packet.marker));
                prop_assert_eq!(opened.payload[..].to_vec(), packet.payload[..].to_vec());
            }
        }
    }

    #[test]
    fn repairs_have_the_bytes_of_the_engine(session in sessions(), packets in packets()) {
        let (mut oracle, sealer, mut peer) = (session.oracle(), session.sealer(), session.peer());
        for packet in &packets {
            oracle.seal(packet);
        }
        // The newest: the engine's cache may have let go of others.
        let asked = &packets[packets.len() - 1];
        // Beyond what the other engine's own reports use.
        peer.srtcp_index = 1 << 20;
        let mut report = [0; 16 + RTCP_TAG_MAX];
        report[..16].copy_from_slice(&nack(asked.sequence as u16));
        let length = peer.rtcp(&mut report, 16).expect("room enough").len();
        oracle.receive(&report[..length]);
        let mut repairs = Vec::new();
        for _ in 0..5 {
            oracle.flush(Duration::from_millis(5), |datagram| {
                repairs.extend(is_rtp(datagram, REPAIRS.1).then(|| datagram.to_vec()));
            });
        }
        prop_assert_eq!(repairs.len(), 1);
        let wanted = &repairs[0];
        let header = Header {
            payload_type: REPAIRS.1.into(),
            index: PacketIndex(u64::from(u16::from_be_bytes([wanted[2], wanted[3]]))),
            ssrc: REPAIRS.0.into(),
            ..header(asked, extension(wanted))
        };
        let original = (asked.sequence as u16).to_be_bytes();
        prop_assert_eq!(&seal(&sealer, header, &original, &asked.payload), wanted);
    }

    #[test]
    fn reports_have_the_bytes_of_the_engine(session in sessions(), packets in packets()) {
        let (mut oracle, mut sealer) = (session.oracle(), session.sealer());
        let mut reports = Vec::new();
        for packet in &packets {
            oracle.write(packet);
        }
        for _ in 0..70 {
            oracle.flush(Duration::from_millis(100), |datagram| {
                reports.extend((datagram[1] == 200).then(|| datagram.to_vec()));
            });
        }
        prop_assert!(!reports.is_empty());
        for wanted in reports {
            let (text, index) = open_report(&session.keys(session.active).rtcp, session.profile, &wanted);
            sealer.srtcp_index = index;
            let mut ours = vec![0; text.len() + RTCP_TAG_MAX];
            ours[..text.len()].copy_from_slice(&text);
            let length = sealer.rtcp(&mut ours, text.len()).expect("room enough").len();
            prop_assert_eq!(&ours[..length], &wanted[..]);
        }
    }
}

#[test]
fn abs_send_time_counts_as_the_engine_does() {
    let session = Session {
        profile: SrtpProfile::AEAD_AES_128_GCM,
        library: Library::default(),
        material: vec![7; SrtpProfile::AEAD_AES_128_GCM.keying_material_len()],
        active: false,
        extensions: [Some(3), Some(9)],
    };
    let mut oracle = session.oracle();
    let epoch = Epoch::new(oracle.now(), Duration::from_secs(1_000_000));
    let engine = |oracle: &mut Oracle, sequence| {
        let packet = Packet { sequence, timestamp: 0, marker: false, payload: [1].into() };
        let datagram = oracle.seal(&packet);
        let block = &extension(&datagram)[4..];
        let at = block.iter().position(|byte| *byte == (3 << 4 | 2)).expect("the element");
        (u32::from_be_bytes([0, block[at + 1], block[at + 2], block[at + 3]]), oracle.now())
    };
    let (first, first_at) = engine(&mut oracle, 1);
    oracle.flush(Duration::from_millis(750), |_| {});
    let (second, second_at) = engine(&mut oracle, 2);
    let ours = |at| {
        let [a, b, c] = epoch.abs_send_time(at);
        u32::from_be_bytes([0, a, b, c])
    };
    let distance = |from: u32, to: u32| to.wrapping_sub(from) & 0xff_ffff;
    let difference = distance(first, second).abs_diff(distance(ours(first_at), ours(second_at)));
    assert!(difference <= 1, "both count 2^-18 seconds, rounded: {difference}");
}
