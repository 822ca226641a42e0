//! What a running server needs to know, section by section, with the defaults. It holds values only: what may be written
//! for them is said in `schema.rs`, and nothing here can fail.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{Access, Acme, Bitrate, Bytes, Fingerprint, Network, Reach, Stream, StreamName, StreamPattern};

/// The most shards one process runs; bounds the UDP ports it takes.
pub(crate) const SHARDS_MAX: u16 = 256;

/// The shortest `limits.consent_timeout`: the engine tells of silence after so long without an authenticated STUN
/// request, so a shorter one would have no effect.
pub const CONSENT_MIN: Duration = Duration::from_secs(15);

/// The largest `rtsp.max_frame`, and the bytes of any frame at the most, whatever its source.
///
/// An IDR picture of a 4K camera has about 1 MiB. Raising it lets one broken picture take that much more memory on every
/// shard and hold up a viewer's other packets; lowering it refuses big pictures.
pub const FRAME_MAX: Bytes = Bytes::mib(4);

/// A whole, valid configuration. The default has no streams.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `[config]`: the configuration itself.
    pub config: Reading,
    /// `[http]`: pages and WHEP.
    pub http: Http,
    /// `[access]`: who may do what.
    pub access: Access,
    /// `[admin]`: metrics, health, the state of streams.
    pub admin: Admin,
    /// `[metrics]`: metrics on an address of their own.
    pub metrics: Metrics,
    /// `[pprof]`: profiles on an address of their own.
    pub pprof: Pprof,
    /// `[compat]`: what programs made for other servers look for.
    pub compat: Compat,
    /// `[udp]`: the sockets media leaves by.
    pub udp: Udp,
    /// `[egress]`: when media leaves.
    pub egress: Egress,
    /// `[ice]`: the addresses answers announce.
    pub ice: Ice,
    /// `[shards]`: the threads that send.
    pub shards: Shards,
    /// `[limits]`: how many viewers, and for how long they may be silent.
    pub limits: Limits,
    /// `[drain]`: how a server ends while people watch.
    pub drain: Drain,
    /// `[rtsp]`: how cameras are pulled.
    pub rtsp: Rtsp,
    /// `[on_demand]`: sources that run only while somebody watches.
    pub on_demand: OnDemand,
    /// `[nack]`: repair of what viewers lose.
    pub nack: Nack,
    /// `[red]`: sound that goes twice, to viewers who lose some.
    pub red: Red,
    /// `[rtcp]`: reports to viewers.
    pub rtcp: Rtcp,
    /// `[srtp]`: how media is encrypted.
    pub srtp: Srtp,
    /// `[track]`: what is remembered of each track.
    pub track: Track,
    /// `[log]`: what is written to standard error.
    pub log: Log,
    /// `[streams.NAME]`: what viewers can ask for.
    pub streams: BTreeMap<StreamName, Stream>,
    /// `[streams."~..."]`: streams that are made when somebody asks for one, see [`Config::made`]. Their sources have `$1` to `$9`
    /// in them.
    pub patterns: BTreeMap<StreamPattern, Stream>,
}

impl Config {
    /// How many shards to run on `cores` logical processors, 1..=256: `shards.count`, or one less than the cores when it
    /// is 0, and never more than fit between `udp.port` or `ice.tcp_listen` and 65535.
    pub fn shard_count(&self, cores: usize) -> u16 {
        let wanted = match self.shards.count {
            0 => u16::try_from(cores.saturating_sub(1)).unwrap_or(SHARDS_MAX).clamp(1, SHARDS_MAX),
            count => count,
        };
        let first = self.ice.tcp_listen.map_or(0, |address| address.port()).max(self.udp.port);
        wanted.min((u16::MAX - first).saturating_add(1))
    }

    /// How to pull `stream`: `[rtsp]`, but for what the stream says itself.
    pub fn rtsp_of(&self, stream: &Stream) -> Rtsp {
        Rtsp {
            transport: stream.rtsp_transport.unwrap_or(self.rtsp.transport),
            fingerprint: match &stream.rtsp_fingerprint[..] {
                [] => self.rtsp.fingerprint.clone(),
                own => own.to_vec(),
            },
            ..self.rtsp.clone()
        }
    }

    /// How many streams there may be at a time.
    pub fn streams_max(&self) -> usize {
        let made = if self.patterns.is_empty() { 0 } else { self.on_demand.made_streams as usize };
        self.streams.len() + made
    }

    /// Whether `stream` is on demand, and how: `[on_demand]`, but for what the stream says itself.
    pub fn on_demand_of(&self, stream: &Stream) -> OnDemand {
        let OnDemand { enabled, start_timeout, close_after, made_streams } = self.on_demand;
        OnDemand {
            made_streams,
            enabled: stream.on_demand.unwrap_or(enabled),
            start_timeout: stream.on_demand_start_timeout.unwrap_or(start_timeout),
            close_after: stream.on_demand_close_after.unwrap_or(close_after),
        }
    }
}

/// `[config]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// The file is read again when it changes.
    pub watch: bool,
}

/// `[http]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    /// Where pages and signalling are served.
    pub listen: SocketAddr,
    /// Which pages of other sites may play our streams; none if it is empty.
    pub allow_origin: Vec<Origin>,
    /// From accepting a connection, or from its last answer, to the end of the next request's header.
    pub header_timeout: Duration,
    /// Open connections at most; each costs a file descriptor and its buffers. 0: 4096, or what the limit of
    /// open files leaves if that is less.
    pub connections: u32,
    /// Proxies whose `X-Forwarded-For` says who asks.
    pub trusted_proxies: Vec<Network>,
    /// For how long browsers are to come back by HTTPS alone (RFC 6797); zero does not ask them to.
    pub hsts: Duration,
    /// `[http.tls]`.
    pub tls: HttpTls,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 8889)),
            allow_origin: vec![Origin::Any],
            header_timeout: Duration::from_secs(5),
            connections: 0,
            trusted_proxies: Vec::new(),
            hsts: Duration::ZERO,
            tls: HttpTls::default(),
        }
    }
}

/// `[http.tls]`: what the public listener proves itself with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpTls {
    /// PEM: the certificate, then those that lead to its root; `None` is plain HTTP, unless there is `acme`.
    pub certificate: Option<PathBuf>,
    /// PEM: the private key. Never without a certificate.
    pub key: Option<PathBuf>,
    /// `[http.tls.acme]`. Never with a certificate.
    pub acme: Acme,
}

impl HttpTls {
    /// Certificate and key, where there are any.
    pub fn files(&self) -> Option<(&Path, &Path)> {
        Some((self.certificate.as_deref()?, self.key.as_deref()?))
    }

    /// Whether the listener speaks TLS.
    pub fn is_on(&self) -> bool {
        self.certificate.is_some() || self.acme.is_on()
    }
}

/// `[admin.tls]`: what the admin listener proves itself with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tls {
    /// PEM: the certificate, then those that lead to its root; `None` is plain HTTP.
    pub certificate: Option<PathBuf>,
    /// PEM: the private key. Never without a certificate.
    pub key: Option<PathBuf>,
}

impl Tls {
    /// Certificate and key, where there are any.
    pub fn files(&self) -> Option<(&Path, &Path)> {
        Some((self.certificate.as_deref()?, self.key.as_deref()?))
    }
}

/// An element of `http.allow_origin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `*`: every site.
    Any,
    /// One origin in the form browsers send: `https://tv.example.com`, the scheme's own port left out.
    Only(String),
}

impl Origin {
    /// As browsers send it; `*` for every site.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Any => "*",
            Self::Only(origin) => origin,
        }
    }
}

/// `[admin]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Admin {
    /// Where metrics, health and the state of streams are served: to whoever reaches it, unless `[access]` names somebody.
    pub listen: SocketAddr,
    /// Names that it answers to, besides `localhost` and IP addresses.
    pub hosts: Vec<String>,
    /// Networks that cameras may be in which the API names.
    pub sources: Vec<Network>,
    /// `[admin.tls]`.
    pub tls: Tls,
}

impl Default for Admin {
    fn default() -> Self {
        // RFC 1918, RFC 6598, RFC 4193.
        let private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"];
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9997)),
            hosts: Vec::new(),
            sources: private.iter().filter_map(|network| network.parse().ok()).collect(),
            tls: Tls::default(),
        }
    }
}

/// `[metrics]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    /// Where metrics are served, besides `admin.listen`.
    pub listen: Option<SocketAddr>,
}

/// `[compat]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compat {
    /// Metrics have MediaMTX's names too.
    pub mediamtx_metrics: bool,
}

/// `[pprof]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pprof {
    /// Where profiles are served, besides `admin.listen`: to whoever reaches it, unless `[access]` names somebody.
    pub listen: Option<SocketAddr>,
}

/// `[udp]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Udp {
    /// Address the sockets are bound to; `::` takes IPv4 and IPv6.
    pub address: IpAddr,
    /// Port of the first shard; shard n takes `port + n`.
    pub port: u16,
    /// Hand the kernel whole trains of packets (UDP generic segmentation offload).
    pub gso: bool,
    /// Asked of the kernel for each socket's receive queue.
    pub receive_buffer: Bytes,
    /// Asked of the kernel for each socket's send queue.
    pub send_buffer: Bytes,
}

impl Default for Udp {
    fn default() -> Self {
        Self {
            address: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            port: 8189,
            gso: true,
            receive_buffer: Bytes::mib(8),
            send_buffer: Bytes::mib(8),
        }
    }
}

/// `[egress]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Egress {
    /// A picture of many packets is spread over this time; zero sends it at once.
    pub spread: Duration,
    /// Sound waits this long for a picture to share a message with; zero sends it at once.
    pub audio_hold: Duration,
    /// What the line carries; the shards share it equally. Zero is no limit.
    pub rate: Bitrate,
}

impl Default for Egress {
    fn default() -> Self {
        Self {
            spread: Duration::from_millis(15),
            audio_hold: Duration::from_millis(10),
            rate: Bitrate::new(0),
        }
    }
}

/// `[ice]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Ice {
    /// Announced instead of the interfaces' addresses, or with them where [`IceAddress::Interfaces`] is among them;
    /// empty: announce the interfaces'.
    pub addresses: Vec<IceAddress>,
    /// Names of the interfaces whose addresses are announced; empty: all.
    pub interfaces: Vec<String>,
    /// Announce loopback addresses too.
    pub loopback: bool,
    /// Where viewers without UDP come to (RFC 6544): the first shard's address, the others' ports follow.
    pub tcp_listen: Option<SocketAddr>,
}

impl Default for Ice {
    fn default() -> Self {
        Self { addresses: Vec::new(), interfaces: Vec::new(), loopback: true, tcp_listen: None }
    }
}

/// An address to announce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IceAddress {
    /// Announced as it is.
    Ip(IpAddr),
    /// A host name, for the server to resolve.
    Host(String),
    /// `interfaces`: those of the interfaces.
    Interfaces,
}

/// `[shards]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Shards {
    /// 1..=256, or 0 for one less than the cores: see [`Config::shard_count`].
    pub count: u16,
    /// Bind each shard's thread to one core.
    pub pin: bool,
}

impl Default for Shards {
    fn default() -> Self {
        Self { count: 0, pin: true }
    }
}

/// `[limits]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Viewers of the whole process; each costs up to 100 KiB.
    pub viewers: u32,
    /// Viewers of one stream; `None`: only `viewers` counts.
    pub viewers_per_stream: Option<NonZeroU32>,
    /// Viewers that have an answer and are not connected yet.
    pub pending: u32,
    /// Percent that one address may have of viewers, of pending joins and of HTTP connections.
    pub share_per_address: u8,
    /// Joins of one address a second.
    pub joins_per_address: u32,
    /// Joins of one stream a second; 0: any number.
    pub joins_per_stream: u32,
    /// Joins of all streams a second; 0: any number.
    pub joins: u32,
    /// What one address is sent at the most; zero is no limit.
    pub egress_per_address: Bitrate,
    /// What the viewers of one stream are sent at the most; zero is no limit.
    pub egress_per_stream: Bitrate,
    /// Percent of a shard's time, socket or line over which it gets no more viewers; 0: it gets all.
    pub busy: u8,
    /// From the answer to the end of the DTLS handshake.
    pub setup_timeout: Duration,
    /// Since the last valid consent check (RFC 7675 §5.1).
    pub consent_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            viewers: 10_000,
            viewers_per_stream: None,
            pending: 1000,
            share_per_address: 50,
            joins_per_address: 200,
            joins_per_stream: 0,
            joins: 0,
            egress_per_address: Bitrate::new(0),
            egress_per_stream: Bitrate::new(0),
            busy: 90,
            setup_timeout: Duration::from_secs(10),
            consent_timeout: Duration::from_secs(30),
        }
    }
}

/// `[drain]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drain {
    /// How long viewers may stay once the server is to end; zero ends it at once.
    pub timeout: Duration,
    /// Where they are sent meanwhile: the URL that pages have on another server, without a slash at its end.
    pub elsewhere: Option<String>,
}

/// `[rtsp]`: how a camera is pulled.
#[derive(Clone, Debug, PartialEq)]
pub struct Rtsp {
    /// How media comes; a stream may differ, see [`Config::rtsp_of`].
    pub transport: Transport,
    /// For the TCP connection.
    pub connect_timeout: Duration,
    /// For the answer to DESCRIBE, SETUP and PLAY, each.
    pub request_timeout: Duration,
    /// A playing camera that sends nothing for this long is reconnected.
    pub data_timeout: Duration,
    /// Pause before the first reconnect; doubles with each failure.
    pub reconnect_min: Duration,
    /// Longest pause between two reconnects; never less than `reconnect_min`.
    pub reconnect_max: Duration,
    /// Largest access unit accepted.
    pub max_frame: Bytes,
    /// Where the camera may be; anywhere, unless the API named it.
    pub reach: Option<Reach>,
    /// Of the certificates that cameras may show (`rtsps://`), where no authority vouches for them; a stream may differ.
    pub fingerprint: Vec<Fingerprint>,
}

impl Default for Rtsp {
    fn default() -> Self {
        Self {
            transport: Transport::Tcp,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            data_timeout: Duration::from_secs(10),
            reconnect_min: Duration::from_millis(500),
            reconnect_max: Duration::from_secs(30),
            max_frame: FRAME_MAX,
            reach: None,
            fingerprint: Vec::new(),
        }
    }
}

/// `[on_demand]`: a source that the first viewer starts, and that ends after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnDemand {
    /// Whether a stream is that does not say; see [`Config::on_demand_of`].
    pub enabled: bool,
    /// How long a join waits for the first picture of a source that it has started.
    pub start_timeout: Duration,
    /// How long a source goes on that nobody watches any more.
    pub close_after: Duration,
    /// Streams at the most that are made by patterns (`[streams."~..."]`).
    pub made_streams: u32,
}

impl Default for OnDemand {
    fn default() -> Self {
        let time = Duration::from_secs(10);
        Self { enabled: false, start_timeout: time, close_after: time, made_streams: 256 }
    }
}

/// How a camera's media is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Interleaved in the RTSP connection (RFC 2326 §10.12).
    Tcp,
    /// In UDP datagrams of its own.
    Udp,
    /// UDP, else TCP: whichever brings media, remembered for each camera.
    Auto,
    /// In UDP datagrams to a group, which the camera sends once for all who read it.
    Multicast,
}

impl Transport {
    /// All of them, in the order of [`NAMES`](Self::NAMES).
    pub const ALL: [Transport; 4] = [Transport::Tcp, Transport::Udp, Transport::Auto, Transport::Multicast];

    /// As they are written.
    pub const NAMES: [&str; 4] = ["tcp", "udp", "auto", "multicast"];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
            Transport::Auto => "auto",
            Transport::Multicast => "multicast",
        }
    }
}

/// `[nack]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Nack {
    /// Send lost packets again to viewers that ask (RFC 4585 §6.2.1, RFC 4588).
    pub enabled: bool,
    /// How long packets from before the last keyframe are kept for that.
    pub history: Duration,
}

impl Default for Nack {
    fn default() -> Self {
        Self { enabled: true, history: Duration::from_secs(1) }
    }
}

/// `[red]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Red {
    /// Send each packet of Opus with the one before it to viewers who lose some (RFC 2198).
    pub enabled: bool,
}

impl Default for Red {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// `[rtcp]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rtcp {
    /// Between two sender reports of a track to a viewer.
    pub report_interval: Duration,
}

impl Default for Rtcp {
    fn default() -> Self {
        Self { report_interval: Duration::from_secs(3) }
    }
}

/// `[srtp]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Srtp {
    /// Which library encrypts.
    pub cipher: Cipher,
}

/// Value of `srtp.cipher`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cipher {
    /// The faster of those below, by a measurement at the start.
    #[default]
    Auto,
    /// aws-lc.
    AwsLc,
    /// ring.
    Ring,
}

/// `[track]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// Recent media kept of each track for starting and repairing viewers.
    pub history_bytes: Bytes,
}

impl Default for Track {
    fn default() -> Self {
        Self { history_bytes: Bytes::mib(16) }
    }
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// A level, or `target=level` directives as `tracing_subscriber::EnvFilter` reads them.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
