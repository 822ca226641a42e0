//! str0m as the oracle of our sealing: what its own media path makes of a packet under given keys.
//!
//! Owns two engines between which ICE is real, in virtual time, and the DTLS handshake is left out: both are
//! handed the same keying material, so that every profile and key can be had. Knows nothing of ours, so that
//! tests and benchmarks can hold our bytes against it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::config::{CryptoProvider, DtlsCert, DtlsVersion, Fingerprint};
use str0m::crypto::dtls::{
    DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, KeyingMaterial, ProtocolVersion, SrtpProfile,
};
use str0m::crypto::{CryptoError, from_feature_flags};
use str0m::format::{Codec, CodecConfig, CodecSpec, FormatParams, PayloadParams};
use str0m::media::{Frequency, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{ExtensionMap, RtpPacket, RtpWrite, Ssrc};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

/// SSRC and payload type of the media that the server sends.
pub const MEDIA: (u32, u8) = (0x1234_5678, 102);

/// SSRC and payload type of its retransmissions.
pub const REPAIRS: (u32, u8) = (0x0fed_cba9, 103);

const SERVER: &str = "192.0.2.1:1000";
const CLIENT: &str = "192.0.2.2:2000";

/// One packet for the server to send.
#[derive(Debug, Clone)]
pub struct Packet {
    /// Extended sequence number.
    pub sequence: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// RTP marker bit.
    pub marker: bool,
    /// RTP payload.
    pub payload: Arc<[u8]>,
}

/// Two connected engines.
pub struct Oracle {
    server: Rtc,
    client: Rtc,
    now: Instant,
}

impl Oracle {
    /// Engines that begin at `now` with these keys and header extensions. `active` is whether the server
    /// has the part of the DTLS client, which decides whose half of the keys is whose.
    pub fn new(
        now: Instant,
        profile: SrtpProfile,
        material: &[u8],
        active: bool,
        extensions: &ExtensionMap,
    ) -> Oracle {
        let crypto = given_keys(profile, material);
        let mut server = engine(&crypto, extensions).set_ice_lite(true).build(now);
        let mut client = engine(&crypto, extensions).build(now);
        let host = |text: &str| Candidate::host(address(text), "udp").expect("a candidate");
        server.add_local_candidate(host(SERVER));
        client.add_local_candidate(host(CLIENT));
        client.add_remote_candidate(host(SERVER));
        let ice = |rtc: &mut Rtc| rtc.direct_api().local_ice_credentials();
        let (ours, theirs) = (ice(&mut server), ice(&mut client));
        for (rtc, remote, controls, active) in
            [(&mut server, theirs, false, active), (&mut client, ours, true, !active)]
        {
            let mut api = rtc.direct_api();
            api.set_ice_controlling(controls);
            api.set_remote_ice_credentials(remote);
            api.set_remote_fingerprint(Fingerprint { hash_func: "sha-256".into(), bytes: vec![0; 32] });
            api.start_dtls(active).expect("a role");
            api.declare_media(Mid::from("v0"), MediaKind::Video);
        }
        let (media, repairs) = (Ssrc::from(MEDIA.0), Ssrc::from(REPAIRS.0));
        let mut api = server.direct_api();
        let stream = api.declare_stream_tx(media, Some(repairs), Mid::from("v0"), None);
        // Whatever is asked for again is sent again.
        stream.set_rtx_cache(1_024, Duration::from_secs(3), None);
        client.direct_api().expect_stream_rx(media, Some(repairs), Mid::from("v0"), None);
        let mut oracle = Oracle { server, client, now };
        oracle.connect();
        oracle
    }

    /// Until both sides are connected.
    fn connect(&mut self) {
        for _ in 0..200 {
            self.now += Duration::from_millis(20);
            let Oracle { server, client, now } = self;
            turn(server, client, *now, SERVER);
            turn(client, server, *now, CLIENT);
            if self.server.is_connected() && self.client.is_connected() {
                return;
            }
        }
        panic!("the engines do not connect");
    }

    /// The engines' time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Hands the server a packet, which waits for [`Oracle::flush`].
    pub fn write(&mut self, packet: &Packet) {
        let kind = Pt::new_with_value(MEDIA.1);
        let Packet { sequence, timestamp, marker, payload } = packet;
        let write = RtpWrite::new(kind, (*sequence).into(), *timestamp, self.now, payload.clone());
        let mut api = self.server.direct_api();
        let stream = api.stream_tx(&Ssrc::from(MEDIA.0)).expect("declared");
        stream.write_rtp(write.marker(*marker).nackable(true));
    }

    /// Lets `time` pass and gives every datagram that the server sends to `sink`.
    pub fn flush(&mut self, time: Duration, sink: impl FnMut(&[u8])) {
        self.now += time;
        self.server.handle_input(Input::Timeout(self.now)).expect("time goes on");
        drain(&mut self.server, sink, |_| {});
    }

    /// What the server makes of one packet.
    pub fn seal(&mut self, packet: &Packet) -> Vec<u8> {
        self.write(packet);
        let mut found = None;
        self.flush(Duration::from_millis(1), |datagram| {
            // The engine also reports, on its own time.
            if is_rtp(datagram, MEDIA.1) {
                found = Some(datagram.to_vec());
            }
        });
        found.expect("a packet")
    }

    /// Hands the server a datagram of the client.
    pub fn receive(&mut self, datagram: &[u8]) {
        receive(&mut self.server, self.now, CLIENT, datagram);
    }

    /// Hands the client a datagram of the server, and returns the packet that it takes it for.
    pub fn open(&mut self, datagram: &[u8]) -> Option<RtpPacket> {
        self.now += Duration::from_millis(1);
        receive(&mut self.client, self.now, SERVER, datagram);
        let mut packet = None;
        drain(
            &mut self.client,
            |_| {},
            |event| {
                if let Event::RtpPacket(found) = event {
                    packet = Some(found);
                }
            },
        );
        packet
    }
}

/// Whether a datagram is RTP of this payload type.
pub fn is_rtp(datagram: &[u8], payload_type: u8) -> bool {
    datagram[0] >> 6 == 2 && datagram[1] & 0x7f == payload_type
}

fn address(text: &str) -> std::net::SocketAddr {
    text.parse().expect("an address")
}

fn receive(rtc: &mut Rtc, now: Instant, source: &str, datagram: &[u8]) {
    let destination = if source == SERVER { CLIENT } else { SERVER };
    let receive = Receive::new(Protocol::Udp, address(source), address(destination), datagram);
    rtc.handle_input(Input::Receive(now, receive.expect("a datagram"))).expect("input");
}

/// The time is `now` for `from`, and `to` gets what it sends from `source`.
fn turn(from: &mut Rtc, to: &mut Rtc, now: Instant, source: &str) {
    let mut sent = Vec::new();
    from.handle_input(Input::Timeout(now)).expect("time goes on");
    drain(from, |datagram| sent.push(datagram.to_vec()), |_| {});
    sent.iter().for_each(|datagram| receive(to, now, source, datagram));
}

fn drain(rtc: &mut Rtc, mut sink: impl FnMut(&[u8]), mut event: impl FnMut(Event)) {
    loop {
        match rtc.poll_output().expect("output") {
            Output::Timeout(_) => return,
            Output::Transmit(transmit) => sink(&transmit.contents),
            Output::Event(happened) => event(happened),
        }
    }
}

fn engine(crypto: &Arc<CryptoProvider>, extensions: &ExtensionMap) -> RtcConfig {
    let spec = CodecSpec {
        codec: Codec::H264,
        clock_rate: Frequency::NINETY_KHZ,
        channels: None,
        format: FormatParams::default(),
    };
    let pt = Pt::new_with_value;
    let params = PayloadParams::new(pt(MEDIA.1), Some(pt(REPAIRS.1)), spec);
    let mut config = RtcConfig::new()
        .set_crypto_provider(crypto.clone())
        .set_rtp_mode(true)
        .set_extension_map(extensions.clone());
    *config.codec_config() = CodecConfig::new_from_payload_params(vec![params]);
    config
}

/// A provider whose DTLS is connected at once, under these keys. It is never freed: the library wants it so.
fn given_keys(profile: SrtpProfile, material: &[u8]) -> Arc<CryptoProvider> {
    let base = from_feature_flags();
    let keys = GivenKeys { profile, material: material.to_vec(), base: base.dtls_provider };
    Arc::new(CryptoProvider { dtls_provider: Box::leak(Box::new(keys)), ..base })
}

#[derive(Debug)]
struct GivenKeys {
    profile: SrtpProfile,
    material: Vec<u8>,
    base: &'static dyn DtlsProvider,
}

impl DtlsProvider for GivenKeys {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        self.base.generate_certificate()
    }

    fn new_dtls(
        &self,
        _certificate: &DtlsCert,
        now: Instant,
        _version: DtlsVersion,
        _mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        let keys = (self.profile, self.material.clone());
        Ok(Box::new(NoHandshake { keys, active: false, polls: 0, never: now + Duration::from_secs(1 << 20) }))
    }
}

/// A handshake that is over before it begins.
#[derive(Debug)]
struct NoHandshake {
    keys: (SrtpProfile, Vec<u8>),
    active: bool,
    polls: usize,
    never: Instant,
}

impl DtlsInstance for NoHandshake {
    fn set_active(&mut self, active: bool) {
        self.active = active;
    }

    fn handle_packet(&mut self, _packet: &[u8]) -> Result<(), DtlsImplError> {
        Ok(())
    }

    fn poll_output<'a>(&mut self, _buffer: &'a mut [u8]) -> DtlsOutput<'a> {
        self.polls += 1;
        match self.polls {
            1 => DtlsOutput::Connected,
            2 => DtlsOutput::KeyingMaterial(KeyingMaterial::new(&self.keys.1), self.keys.0),
            _ => DtlsOutput::Timeout(self.never),
        }
    }

    fn handle_timeout(&mut self, _now: Instant) -> Result<(), DtlsImplError> {
        Ok(())
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        Ok(data.len())
    }

    fn is_active(&self) -> bool {
        self.active
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        Some(ProtocolVersion::DTLS1_2)
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        Ok(())
    }
}
