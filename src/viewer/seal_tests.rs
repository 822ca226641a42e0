//! The sealer against the RFCs' vectors, against the library's own ciphers, and against a real engine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use str0m::config::Fingerprint;
use str0m::crypto::{AeadAes128Gcm, Aes128CmSha1_80, from_feature_flags};
use str0m::format::{Codec, CodecConfig, CodecSpec, FormatParams, PayloadParams};
use str0m::media::{Frequency, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, ExtensionMap, RtpWrite, Ssrc};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};
use zeroize::Zeroizing;

use super::super::dtls::{SharedDtls, with_key_slot};
use super::super::keys::Keying;
use super::super::rtcp::Epoch;
use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ascii"), 16).expect("hex");
    digits.chunks(2).map(pair).collect()
}

fn gcm(profile: SrtpProfile, key_len: u8) -> Sealer {
    let session = || SessionKeys {
        key: Zeroizing::new((0..key_len).collect()),
        salt: Zeroizing::new(b"Quid pro quo".to_vec()),
        auth: Zeroizing::new(Vec::new()),
    };
    let keys = SendKeys { profile, rtp: session(), rtcp: session() };
    Sealer::new(&keys).expect("keys of the right length")
}

/// RFC 7714 §16.1.1 and §16.2.1.
#[test]
fn gcm_is_that_of_rfc_7714() {
    let header = Header {
        payload_type: 0x40,
        marker: false,
        index: 0xf17b,
        timestamp: 0x8041_f8d3,
        ssrc: 0x5501_a0b2,
        extension: &[],
        padding: 0,
    };
    let text = b"Gallia est omnis divisa in partes tres";
    let vectors = [
        (
            gcm(SrtpProfile::AEAD_AES_128_GCM, 16),
            "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a \
             51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
        ),
        (
            gcm(SrtpProfile::AEAD_AES_256_GCM, 32),
            "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 \
             76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
        ),
    ];
    for (sealer, wanted) in vectors {
        let mut out = [0; 100];
        let length = sealer.rtp(header, &[], text, &mut out).expect("room enough");
        assert_eq!(out[..length], bytes(wanted));
    }
}

#[test]
fn too_little_room_seals_nothing() {
    let mut sealer = gcm(SrtpProfile::AEAD_AES_128_GCM, 16);
    let header = Header {
        payload_type: 96,
        marker: true,
        index: 1,
        timestamp: 2,
        ssrc: 3,
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
        material in prop::collection::vec(any::<u8>(), 88),
        payload in prop::collection::vec(any::<u8>(), 0..1_300),
        words in 0..6usize,
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
        let sealer = Sealer::new(&keys).expect("derived keys");
        let extension: Vec<u8> = (0..words as u8 * 4).collect();
        let header = Header { payload_type, marker, index, timestamp, ssrc, extension: &extension, padding: 0 };
        let mut out = vec![0; 1_500];
        let length = sealer.rtp(header, &[7, 8], &payload, &mut out).expect("room enough");
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
        prop_assert_eq!(&opened[2..], &payload[..]);
    }
}

/// Two engines that shook hands; the server's sends media of its own, as an oracle for the sealer.
struct Oracle {
    server: Rtc,
    sealer: Sealer,
    now: Instant,
}

const SSRC: u32 = 0x1234_5678;

impl Oracle {
    #[expect(clippy::disallowed_methods, reason = "virtual time has to start somewhere")]
    fn new() -> Oracle {
        let shared = SharedDtls::new().expect("the crypto library works");
        let mut now = Instant::now();
        let spec = CodecSpec {
            codec: Codec::H264,
            clock_rate: Frequency::NINETY_KHZ,
            channels: None,
            format: FormatParams::default(),
        };
        let mut extensions = ExtensionMap::empty();
        extensions.set(3, Extension::AbsoluteSendTime);
        extensions.set(9, Extension::RtpMid);
        let mut config = RtcConfig::new()
            .set_crypto_provider(shared.provider())
            .set_ice_lite(true)
            .set_rtp_mode(true)
            .set_extension_map(extensions);
        let params = PayloadParams::new(Pt::new_with_value(102), None, spec);
        *config.codec_config() = CodecConfig::new_from_payload_params(vec![params]);
        let (mut server, keys) = with_key_slot(|| config.build(now));
        let mut client = RtcConfig::new().set_rtp_mode(true).build(now);

        let (server_at, client_at) = ("192.0.2.1:1000", "192.0.2.2:2000");
        let address = |text: &str| text.parse().expect("an address");
        let host = |text: &str| Candidate::host(address(text), "udp").expect("a candidate");
        server.add_local_candidate(host(server_at));
        client.add_local_candidate(host(client_at));
        client.add_remote_candidate(host(server_at));
        let fingerprint = |rtc: &mut Rtc| rtc.direct_api().local_dtls_fingerprint().clone();
        let (ours, theirs): (Fingerprint, Fingerprint) = (fingerprint(&mut server), fingerprint(&mut client));
        let (our_ice, their_ice) =
            (server.direct_api().local_ice_credentials(), client.direct_api().local_ice_credentials());
        for (rtc, ice, print, active) in
            [(&mut server, their_ice, theirs, false), (&mut client, our_ice, ours, true)]
        {
            let mut api = rtc.direct_api();
            api.set_ice_controlling(active);
            api.set_remote_ice_credentials(ice);
            api.set_remote_fingerprint(print);
            api.start_dtls(active).expect("a role");
        }
        let mid = Mid::from("v0");
        let mut api = server.direct_api();
        api.declare_media(mid, MediaKind::Video);
        api.declare_stream_tx(Ssrc::from(SSRC), None, mid, None);

        let mut connected = 0;
        for _ in 0..200 {
            now += Duration::from_millis(20);
            for turn in 0..2 {
                let (from, to, source) = match turn {
                    0 => (&mut server, &mut client, server_at),
                    _ => (&mut client, &mut server, client_at),
                };
                from.handle_input(Input::Timeout(now)).expect("time goes on");
                loop {
                    match from.poll_output().expect("output") {
                        Output::Timeout(_) => break,
                        Output::Event(Event::Connected) => connected += 1,
                        Output::Event(_) => {}
                        Output::Transmit(t) => {
                            let receive =
                                Receive::new(Protocol::Udp, address(source), t.destination, &t.contents);
                            to.handle_input(Input::Receive(now, receive.expect("a datagram")))
                                .expect("input");
                        }
                    }
                }
            }
            if connected == 2 {
                break;
            }
        }
        assert_eq!(connected, 2, "both sides connect");
        let keys = SendKeys::derive(keys.get().expect("exported"), &from_feature_flags()).expect("a profile");
        assert_eq!(keys.profile, SrtpProfile::AEAD_AES_256_GCM);
        Oracle { server, sealer: Sealer::new(&keys).expect("derived keys"), now }
    }

    /// What the engine makes of a packet.
    fn engine(&mut self, sequence: u64, timestamp: u32, marker: bool, payload: &[u8]) -> Vec<u8> {
        let payload: Arc<[u8]> = payload.into();
        let write = RtpWrite::new(Pt::new_with_value(102), sequence.into(), timestamp, self.now, payload);
        let mut api = self.server.direct_api();
        api.stream_tx(&Ssrc::from(SSRC)).expect("declared").write_rtp(write.marker(marker));
        self.now += Duration::from_millis(1);
        self.server.handle_input(Input::Timeout(self.now)).expect("time goes on");
        let mut found = None;
        loop {
            match self.server.poll_output().expect("output") {
                Output::Timeout(_) => return found.expect("a packet"),
                // RTP only: the engine also reports.
                Output::Transmit(t) if t.contents[0] & 0xc0 == 0x80 && t.contents[1] & 0x7f == 102 => {
                    found = Some(t.contents.to_vec());
                }
                _ => {}
            }
        }
    }
}

#[test]
fn the_bytes_are_those_of_the_engine() {
    let mut oracle = Oracle::new();
    let mut runner = proptest::test_runner::TestRunner::default();
    let packets = (prop::collection::vec(any::<u8>(), 1..1_200), any::<u32>(), any::<bool>(), 1..800u64);
    let mut sequence = 30_000;
    for _ in 0..500 {
        let packet = packets.new_tree(&mut runner).expect("a packet");
        let (payload, timestamp, marker, step) = proptest::strategy::ValueTree::current(&packet);
        // Through several rollovers of the 16-bit sequence number.
        sequence += step;
        let wanted = oracle.engine(sequence, timestamp, marker, &payload);
        // The engine's clock of `abs-send-time` has an origin of its own: take its bytes.
        let words = usize::from(u16::from_be_bytes([wanted[14], wanted[15]]));
        let extension = wanted[12..16 + words * 4].to_vec();
        let header = Header {
            payload_type: 102,
            marker,
            index: sequence,
            timestamp,
            ssrc: SSRC,
            extension: &extension,
            padding: 0,
        };
        let mut out = [0; 1_400];
        let length = oracle.sealer.rtp(header, &[], &payload, &mut out).expect("room enough");
        assert_eq!(out[..length], wanted, "sequence {sequence}");
    }
    assert!(sequence > 2 << 16, "the rollover counter was tested");
}

#[test]
fn abs_send_time_counts_as_the_engine_does() {
    let mut oracle = Oracle::new();
    let epoch = Epoch::new(oracle.now, Duration::from_secs(1_000_000));
    let stamp = |packet: &[u8]| {
        let at = packet.windows(1).position(|byte| byte[0] == (3 << 4 | 2)).expect("the element");
        u32::from_be_bytes([0, packet[at + 1], packet[at + 2], packet[at + 3]])
    };
    let engine = |oracle: &mut Oracle, sequence| {
        let packet = oracle.engine(sequence, 0, false, &[1]);
        (stamp(&packet[16..]), oracle.now)
    };
    let (first, first_at) = engine(&mut oracle, 1);
    oracle.now += Duration::from_millis(750);
    let (second, second_at) = engine(&mut oracle, 2);
    let ours = |at| {
        let [a, b, c] = epoch.abs_send_time(at);
        u32::from_be_bytes([0, a, b, c])
    };
    let distance = |from: u32, to: u32| to.wrapping_sub(from) & 0xff_ffff;
    let difference = distance(first, second).abs_diff(distance(ours(first_at), ours(second_at)));
    assert!(difference <= 1, "both count 2^-18 seconds, rounded: {difference}");
}
