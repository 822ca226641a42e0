//! One shard with players that are really connected, in virtual time and without a kernel.
//!
//! Players are those of `sluice load`, and join as the control plane lets them. What the shard sends goes
//! into an arena like the worker's; there it is counted and, if wanted, kept. For measurements and for
//! tests of what the shard costs; what it does is tested in `simulation`.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sluice::count::ShardCounters;
use sluice::id::{SessionId, StreamId};
use sluice::peer::{Control, Egress, Lane, Path, PeerLimits};
use sluice::session::join::{Agreement, Joined, Terms};
use sluice::shard::command::{Command, Media};
use sluice::shard::{Pacing, Progress, Shard};
use sluice::stream::{AudioFormat, Formats, VideoFormat};
use sluice::track::{AudioPacketizer, RecentLimits, Train, VideoPacketizer};
use sluice::viewer::ViewerLimits;
use sluice_config::Config;
use sluice_io::{AppendError, Batch, BatchLimits};
use sluice_load::client::{Behaviour, Client, Stage};
use sluice_load::impair::Impairment;
use sluice_media::dtls::SharedDtls;
use sluice_media::rtcp::Epoch;
use sluice_media::srtp::Sealed;
use sluice_media::{AccessUnit, AudioFrame, Codec, Kind, MAX_PAYLOAD};

const SERVER: &str = "192.0.2.1:8189";
const STREAM: StreamId = StreamId(0);

/// As the server sets them by default, but for consent and freshness: players are silent here once they are connected.
static LIMITS: LazyLock<ViewerLimits> = LazyLock::new(|| {
    let ViewerLimits { peer, report_interval } = ViewerLimits::from(&Config::default());
    let long = Duration::from_secs(36_000);
    ViewerLimits { peer: PeerLimits { consent: long, fresh: long, ..peer }, report_interval }
});
static RECENT: LazyLock<RecentLimits> = LazyLock::new(|| (&Config::default()).into());
static PACING: LazyLock<Pacing> = LazyLock::new(|| (&Config::default().egress).into());

/// How far time goes on between two looks at every deadline.
const STEP: Duration = Duration::from_millis(10);

/// Steps until all players must be connected.
const STEPS_MAX: usize = 500;

/// Time of a frame.
pub const FRAME: Duration = Duration::from_nanos(33_333_333);

const SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x1f, 0xda, 0x01, 0x40, 0x16, 0xe9, 0x79, 0x44];
const PPS: &[u8] = &[0x68, 0xce, 0x3c, 0x80];

static SERVER_DTLS: LazyLock<SharedDtls> = LazyLock::new(|| SharedDtls::new().expect("DTLS"));
static CLIENT_DTLS: LazyLock<SharedDtls> = LazyLock::new(|| SharedDtls::new().expect("DTLS"));

/// Part of a join, as the server does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Reading the offer, negotiating, writing the answer.
    Sdp,
    /// Building the engine and the viewer around it.
    Build,
    /// Handing the viewer to its shard.
    Enter,
    /// STUN requests.
    Stun,
    /// DTLS, up to the derivation of keys.
    Dtls,
    /// Deadlines before media.
    Deadlines,
    /// Everything from the ring, up to the live edge.
    Media,
}

/// Told before and after everything that the server does for a join.
pub trait Watch {
    /// The server begins.
    fn begin(&mut self);
    /// The server is done.
    fn end(&mut self, part: Part);
}

/// Nobody looks.
impl Watch for () {
    fn begin(&mut self) {}
    fn end(&mut self, _part: Part) {}
}

/// A player and where it is.
pub struct Player {
    /// Its socket's address.
    pub address: SocketAddr,
    /// The player.
    pub client: Client,
    /// What it wants to send.
    outgoing: Vec<Vec<u8>>,
}

/// The shard and its camera.
pub struct Rig {
    /// The shard.
    pub shard: Shard,
    /// What it counts.
    pub counters: Arc<ShardCounters>,
    /// What it sends.
    pub outbox: Outbox,
    /// The time.
    pub now: Instant,
    camera: Camera,
    joined: u32,
    /// Of players that joined, by number.
    sessions: HashMap<u32, SessionId>,
}

impl Rig {
    /// A shard without viewers, and a camera that has sent nothing.
    pub fn empty() -> Rig {
        #[expect(clippy::disallowed_methods, reason = "virtual time has to start somewhere")]
        let now = Instant::now();
        let counters = Arc::new(ShardCounters::default());
        let epoch = Epoch::new(now, Duration::from_secs(1_800_000_000));
        let mut rig = Rig {
            shard: Shard::new(*RECENT, *PACING, epoch, counters.clone()),
            counters,
            outbox: Outbox::new(),
            now,
            camera: Camera::new(),
            joined: 0,
            sessions: HashMap::new(),
        };
        rig.shard.handle_media(now, Media::Subscribe { layer: STREAM.layer(0), recent: Vec::new() });
        rig
    }

    /// A shard with `players` that all watch live and have told so in a report.
    pub fn with_players(players: usize) -> (Rig, Vec<Player>) {
        let mut rig = Rig::empty();
        let keyframe = rig.video(true, 7);
        rig.send(&keyframe);
        let mut players = rig.join(players, &mut ());
        rig.settle();
        // One frame for everyone, and a second later a report of it: packets then go without MID.
        rig.outbox.keep(true);
        let frame = rig.video(false, 7);
        rig.send(&frame);
        rig.deliver(&mut players, |_| false);
        rig.pass(Duration::from_millis(1_100));
        rig.hear(&mut players);
        rig.outbox.keep(false);
        rig.outbox.take_sent();
        (rig, players)
    }

    /// The trains of the next picture: `packets` of nearly [`MAX_PAYLOAD`] bytes, and on a keyframe one
    /// more for its parameter sets.
    pub fn video(&mut self, keyframe: bool, packets: usize) -> Vec<Arc<Train>> {
        self.camera.video(self.now, keyframe, packets)
    }

    /// The train of the next audio packet.
    pub fn audio(&mut self) -> Vec<Arc<Train>> {
        self.camera.audio(self.now)
    }

    /// Hands the shard trains, and lets it fan out what may leave at once. [`Rig::pass`] sends the rest.
    pub fn send(&mut self, trains: &[Arc<Train>]) {
        for train in trains {
            let train = train.clone();
            let media = match train.codec.kind() {
                Kind::Video => Media::Picture { layer: STREAM.layer(0), train },
                Kind::Audio => Media::Sound { stream: STREAM, train },
            };
            self.shard.handle_media(self.now, media);
        }
        self.fan_out();
    }

    fn fan_out(&mut self) {
        while self.shard.poll_fan_out(self.now, &mut self.outbox) == Progress::More {}
    }

    /// Time goes on, and what is due is done.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let due = [self.shard.next_deadline(), self.shard.fan_out_due(self.now)];
            let Some(next) = due.into_iter().flatten().min().filter(|&next| next <= until) else { break };
            self.now = self.now.max(next);
            self.fan_out();
            self.shard.handle_timeout(self.now, &mut self.outbox);
        }
        self.now = until;
    }

    /// Until every catch-up is at the live edge.
    fn settle(&mut self) {
        self.pass(FRAME * 4);
    }

    /// Hands every player what was kept for it, but for the datagrams that `lost` says.
    pub fn deliver(&mut self, players: &mut [Player], lost: impl Fn(&[u8]) -> bool) {
        let first = players.first().map_or(0, |player| number_of(player.address));
        for (destination, datagram) in self.outbox.take_kept() {
            if !lost(&datagram) {
                players[(number_of(destination) - first) as usize].receive(self.now, &datagram);
            }
        }
    }

    /// Lets every player send what is due now, and the shard hear it.
    pub fn hear(&mut self, players: &mut [Player]) {
        for player in players {
            player.handle_timeout(self.now);
            for datagram in player.take_outgoing() {
                self.receive(player.address, &datagram);
            }
        }
    }

    /// Hands the shard a datagram.
    pub fn receive(&mut self, source: SocketAddr, datagram: &[u8]) {
        let local = Some(address(SERVER).ip());
        self.shard.handle_datagram(self.now, source, local, datagram, &mut self.outbox);
    }

    /// Lets `count` players join and connect.
    pub fn join(&mut self, count: usize, watch: &mut impl Watch) -> Vec<Player> {
        let mut players: Vec<Player> = (0..count).map(|_| self.offer(watch)).collect();
        self.outbox.keep(true);
        for _ in 0..STEPS_MAX {
            self.exchange(&mut players, watch);
            if players.iter().all(|player| player.client.stage() == Stage::Connected) {
                self.outbox.keep(false);
                return players;
            }
            self.now += STEP;
        }
        panic!("some of {count} players do not connect");
    }

    /// Ends a player's session.
    pub fn leave(&mut self, player: &Player) {
        let session = self.sessions.remove(&number_of(player.address)).expect("it joined");
        self.shard.handle_command(self.now, Command::Leave(session), &mut self.outbox);
        self.shard.drain_ended();
    }

    /// Deadlines of both sides that have passed, then datagrams until nobody has any.
    fn exchange(&mut self, players: &mut [Player], watch: &mut impl Watch) {
        let first = number_of(players[0].address);
        for player in &mut *players {
            player.handle_timeout(self.now);
        }
        if self.shard.next_deadline().is_some_and(|at| at <= self.now) {
            watch.begin();
            self.shard.handle_timeout(self.now, &mut self.outbox);
            watch.end(Part::Deadlines);
        }
        loop {
            let mut quiet = true;
            for player in &mut *players {
                for datagram in player.take_outgoing() {
                    quiet = false;
                    watch.begin();
                    self.receive(player.address, &datagram);
                    watch.end(if datagram[0] < 4 { Part::Stun } else { Part::Dtls });
                }
            }
            for (destination, datagram) in self.outbox.take_kept() {
                quiet = false;
                players[(number_of(destination) - first) as usize].receive(self.now, &datagram);
            }
            if quiet {
                return;
            }
        }
    }

    /// A player offers, is answered, and enters.
    fn offer(&mut self, watch: &mut impl Watch) -> Player {
        let number = self.joined;
        self.joined += 1;
        let address = address_of(number);
        let behaviour = Behaviour { nack: true, verify: None, impairment: Impairment::default(), seed: 0 };
        let (client, offer) =
            Client::new(self.now, address, number, behaviour, &CLIENT_DTLS).expect("an offer");
        let mut player = Player { address, client, outgoing: Vec::new() };

        watch.begin();
        let (formats, candidates) = (formats(), [self::address(SERVER)]);
        let terms = Terms {
            layer: STREAM.layer(0),
            name: "rig",
            formats: &formats,
            candidates: &candidates,
            dtls: &SERVER_DTLS,
            limits: *LIMITS,
            repair: true,
        };
        let agreement = Agreement::of(&offer, terms, &mut rand::rng()).expect("something in common");
        watch.end(Part::Sdp);

        watch.begin();
        let Joined { viewer, answer, .. } = agreement.begin(terms, self.now).expect("an engine");
        self.sessions.insert(number, viewer.session());
        watch.end(Part::Build);

        watch.begin();
        self.shard.handle_command(self.now, Command::Join(Box::new(viewer)), &mut self.outbox);
        watch.end(Part::Enter);

        let outgoing = &mut player.outgoing;
        let mut out = |_: SocketAddr, datagram: &[u8]| outgoing.push(datagram.to_vec());
        player.client.handle_answer(self.now, &answer, &mut out).expect("an answer");
        player
    }

    /// Sends a player that just connected everything up to the live edge.
    pub fn catch_up(&mut self, watch: &mut impl Watch) {
        let until = self.now + FRAME * 4;
        while let Some(next) = self.shard.next_deadline().filter(|&next| next <= until) {
            self.now = self.now.max(next);
            watch.begin();
            self.shard.handle_timeout(self.now, &mut self.outbox);
            watch.end(Part::Media);
        }
        self.now = until;
    }
}

impl Player {
    /// Takes what it wants to send.
    pub fn take_outgoing(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.outgoing)
    }

    fn receive(&mut self, now: Instant, datagram: &[u8]) {
        let outgoing = &mut self.outgoing;
        let mut out = |_: SocketAddr, datagram: &[u8]| outgoing.push(datagram.to_vec());
        self.client.handle_datagram(now, address(SERVER), datagram, &mut out).expect("a datagram");
    }

    /// Lets it do what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.client.deadline() <= now {
            let outgoing = &mut self.outgoing;
            let mut out = |_: SocketAddr, datagram: &[u8]| outgoing.push(datagram.to_vec());
            self.client.handle_timeout(now, &mut out).expect("time goes on");
        }
    }
}

/// The worker's way out but for the system call.
pub struct Outbox {
    batch: Batch,
    sent: Sent,
    kept: Vec<(SocketAddr, Vec<u8>)>,
    keeps: bool,
}

/// What went out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// Datagrams.
    pub datagrams: u64,
    /// Those of them that are media or repairs.
    pub media: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages that they would have been.
    pub messages: u64,
}

impl Outbox {
    fn new() -> Outbox {
        let batch = Batch::new(BatchLimits::default());
        Outbox { batch, sent: Sent::default(), kept: Vec::new(), keeps: false }
    }

    /// What went out since the last call.
    pub fn take_sent(&mut self) -> Sent {
        self.flush();
        std::mem::take(&mut self.sent)
    }

    /// Whether datagrams are kept from now on.
    pub fn keep(&mut self, keeps: bool) {
        self.flush();
        self.keeps = keeps;
        self.kept.clear();
    }

    /// The datagrams kept since the last call.
    pub fn take_kept(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        self.flush();
        std::mem::take(&mut self.kept)
    }

    fn flush(&mut self) {
        self.sent.datagrams += self.batch.segments() as u64;
        self.sent.bytes += self.batch.bytes() as u64;
        self.sent.messages += self.batch.messages() as u64;
        if self.keeps {
            for message in self.batch.iter() {
                let datagrams = message.datagrams().map(|datagram| (message.destination, datagram.to_vec()));
                self.kept.extend(datagrams);
            }
        }
        self.batch.clear();
    }
}

impl Control for Outbox {
    fn transmit(&mut self, Path { remote, local }: Path, datagram: &[u8]) {
        if self.batch.push(remote, local, datagram) == Err(AppendError::Full) {
            self.flush();
            self.batch.push(remote, local, datagram).expect("an empty batch has room");
        }
    }
}

impl Egress for Outbox {
    fn seal(
        &mut self,
        lane: Lane,
        Path { remote, local }: Path,
        max: usize,
        seal: &mut dyn FnMut(&mut [u8]) -> Option<Sealed>,
    ) {
        self.sent.media += u64::from(lane == Lane::Media);
        let mut seal = |out: &mut [u8]| seal(out).map(Sealed::len);
        let written = self.batch.append_with(remote, local, max, &mut seal);
        if written == Err(AppendError::Full) {
            self.flush();
            self.batch.append_with(remote, local, max, &mut seal).expect("an empty batch has room");
        }
    }

    fn ready(&mut self, bytes: usize) -> bool {
        if !self.batch.has_room(1, bytes) {
            self.flush();
        }
        true
    }
}

/// A camera of made-up H.264 and Opus.
struct Camera {
    video: VideoPacketizer,
    audio: AudioPacketizer,
    pictures: i64,
    sounds: i64,
}

impl Camera {
    fn new() -> Camera {
        let (video, audio) = (VideoPacketizer::new(7_000), AudioPacketizer::new(Codec::Opus, 9_000));
        Camera { video, audio, pictures: 0, sounds: 0 }
    }

    fn video(&mut self, now: Instant, keyframe: bool, packets: usize) -> Vec<Arc<Train>> {
        // Fragments are full but for the last few bytes.
        let size = packets * (MAX_PAYLOAD - 2) - 5;
        let mut slice = vec![0x55; size];
        // It begins a picture, is an I slice, and needs PPS 0: ue 0, ue 2 (011), ue 0.
        slice[..2].copy_from_slice(&[if keyframe { 0x65 } else { 0x41 }, 0b1011_1000]);
        let mut nals = vec![Bytes::from(slice)];
        if keyframe {
            nals.splice(0..0, [Bytes::from_static(SPS), Bytes::from_static(PPS)]);
        }
        let timestamp = self.pictures * 3_000;
        self.pictures += 1;
        self.video
            .packetize(AccessUnit { nals, timestamp, received: now, after_gap: false })
            .expect("a sound picture")
    }

    fn audio(&mut self, now: Instant) -> Vec<Arc<Train>> {
        let timestamp = self.sounds * 960;
        self.sounds += 1;
        // Opus, one frame of 20 ms.
        let mut payload = vec![0x55; 120];
        payload[0] = 0xf8;
        let frame = AudioFrame { payload: payload.into(), timestamp, received: now };
        self.audio.packetize(frame).expect("a sound packet")
    }
}

fn formats() -> Formats {
    let video = VideoFormat {
        codec: Codec::H264,
        profile_level_id: Some([0x42, 0xc0, 0x1f]),
        size: None,
        frame_rate: None,
    };
    Formats {
        video: Some(video),
        audio: Some(AudioFormat { codec: Codec::Opus, channels: 2 }),
        notes: Vec::new(),
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// Players have the addresses of 10.0.0.0/8, one after the other.
fn address_of(number: u32) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0001 + number), 4_000))
}

fn number_of(address: SocketAddr) -> u32 {
    match address.ip() {
        IpAddr::V4(ip) => ip.to_bits() - 0x0a00_0001,
        IpAddr::V6(_) => panic!("players have IPv4 addresses"),
    }
}
