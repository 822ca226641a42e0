//! The world of a test: one shard, its cameras and players, and what is under way between them.
//!
//! Time moves from event to event: a datagram arrives, a deadline passes, a camera has a frame.

use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use sluice::count::EndReason;
use sluice::count::ShardCounters;
use sluice::id::{SessionId, StreamId};
use sluice::peer::{Credentials, STALL};
use sluice::session::join::{self, Agreement, Terms};
use sluice::session::offer::Offer;
use sluice::shard::command::{Command, Media};
use sluice::shard::{Ended, Pacing, Progress, Shard};
use sluice::track::{RecentLimits, TrackSeq};
use sluice::viewer::ViewerLimits;
use sluice_config::Config;
use sluice_media::dtls::SharedDtls;
use sluice_media::rtcp::Epoch;
use sluice_media::{Codec, Kind};
use str0m::ice::{StunMessage, TransId};

use crate::camera::Camera;
use crate::client::{Client, Player, SERVER};
use crate::link::{Flight, Link, Way};
use crate::wire::{Books, Outbox};

/// As the server sets them by default.
pub static LIMITS: LazyLock<ViewerLimits> = LazyLock::new(|| (&Config::default()).into());
static RECENT: LazyLock<RecentLimits> = LazyLock::new(|| (&Config::default()).into());
/// As the server sets it by default.
pub static PACING: LazyLock<Pacing> = LazyLock::new(|| (&Config::default().egress).into());

/// Events at one instant at the most: more is a loop without end.
const EVENTS_AT_ONCE: usize = 100_000;

/// Time between two looks at a full socket.
const BLOCKED_WAIT: Duration = Duration::from_millis(10);

/// Time between two looks at a line that is used up, and what it may save up, in seconds: as the worker's.
const RATE_WAIT: Duration = Duration::from_millis(1);
const BURST: f64 = 0.002;

/// One certificate for all tests, as for all viewers of a process.
static DTLS: LazyLock<SharedDtls> = LazyLock::new(|| SharedDtls::new().expect("DTLS"));

/// Decides whether a datagram is lost on purpose: its way, and itself.
type Filter = Box<dyn FnMut(Instant, Way, &[u8]) -> bool>;

/// One shard, and everyone around it.
pub struct World {
    /// From which all time is counted.
    pub start: Instant,
    /// The time.
    pub now: Instant,
    /// The shard.
    pub shard: Shard,
    /// What it counts.
    pub counters: Arc<ShardCounters>,
    /// Cameras, by number.
    pub cameras: Vec<Camera>,
    /// Players, by number.
    pub clients: Vec<Client>,
    /// The network before each player.
    pub links: Vec<Link>,
    /// What the shard sent.
    pub books: Books,
    /// Viewers that ended, and when.
    pub ended: Vec<(Instant, Ended)>,
    /// Since when the shard's socket is full, if it is: it takes no media then.
    full_since: Option<Instant>,
    /// What media may spend a second, if that is limited, and what it may spend now.
    rate: Option<f64>,
    credit: (f64, Instant),
    /// What media has spent so far.
    pub spent: f64,
    /// Datagrams that clients sent, with their source address.
    pub tap: Vec<(SocketAddr, Vec<u8>)>,
    /// How clients authenticate their checks: our credentials, and the name that they go by.
    keys: Vec<(Credentials, String)>,
    /// Sessions of clients, with the sections that carry something.
    sessions: Vec<(SessionId, Vec<String>)>,
    recent: RecentLimits,
    filter: Option<Filter>,
    /// Every address that a client has or had.
    owners: HashMap<SocketAddr, usize>,
    flights: BinaryHeap<Flight>,
    flight_number: u64,
    random: StdRng,
    seed: u64,
}

impl World {
    /// An empty world; `seed` decides everything unless the environment has another `SEED`.
    pub fn new(seed: u64) -> World {
        World::with_rings(seed, *RECENT)
    }

    /// An empty world whose rings hold `recent`; without a history its server repairs nothing.
    pub fn with_rings(seed: u64, recent: RecentLimits) -> World {
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(seed);
        #[expect(
            clippy::disallowed_methods,
            reason = "the one real instant, from which all others are counted"
        )]
        let start = Instant::now();
        let counters = Arc::new(ShardCounters::default());
        World {
            start,
            now: start,
            shard: Shard::new(
                recent,
                *PACING,
                Epoch::new(start, Duration::from_secs(1_800_000_000)),
                counters.clone(),
            ),
            counters,
            cameras: Vec::new(),
            clients: Vec::new(),
            links: Vec::new(),
            books: Books::default(),
            ended: Vec::new(),
            full_since: None,
            rate: None,
            credit: (0.0, start),
            spent: 0.0,
            tap: Vec::new(),
            keys: Vec::new(),
            sessions: Vec::new(),
            recent,
            filter: None,
            owners: HashMap::new(),
            flights: BinaryHeap::new(),
            flight_number: 0,
            random: StdRng::seed_from_u64(seed),
            seed,
        }
    }

    /// A world with one camera that has run for a while.
    pub fn with_camera(seed: u64) -> World {
        let mut world = World::new(seed);
        world.camera(Codec::Opus);
        world.run(Duration::from_millis(2_700));
        world
    }

    /// Adds a camera. Returns its number.
    pub fn camera(&mut self, audio: Codec) -> usize {
        let stream = StreamId(self.cameras.len() as u32);
        self.cameras.push(Camera::new(stream, audio, self.recent, self.now));
        self.cameras.len() - 1
    }

    /// A player joins over `link`. Returns its number.
    pub fn join(&mut self, camera: usize, player: Player, link: Link) -> usize {
        let index = self.clients.len();
        let (mut client, offer) = Client::new(index, player, self.now);
        let formats = self.cameras[camera].formats();
        let candidates = [SERVER.parse().expect("an address")];
        let terms = Terms {
            layer: self.cameras[camera].stream.layer(0),
            name: "camera",
            formats: &formats,
            candidates: &candidates,
            dtls: &DTLS,
            limits: *LIMITS,
            repair: !self.recent.history.is_zero(),
        };
        let agreement = Agreement::of(&offer, terms, &mut self.random).expect("something in common");
        client.take_agreement(&agreement);
        let theirs = agreement.engine.remote_credentials.ufrag.clone();
        self.keys.push((agreement.engine.local_credentials.clone(), theirs));
        let joined = agreement.begin(terms, self.now).expect("an engine");
        self.sessions.push((joined.viewer.session(), joined.mids));
        self.owners.insert(client.public, index);
        self.clients.push(client);
        self.links.push(link);
        self.subscribe(camera);
        self.command(Command::Join(Box::new(joined.viewer)));
        index
    }

    /// The session of a client.
    pub fn session(&self, client: usize) -> SessionId {
        self.sessions[client].0
    }

    /// As the control plane's `Stream::subscribe` does it.
    fn subscribe(&mut self, camera: usize) {
        let camera = &mut self.cameras[camera];
        camera.viewers += 1;
        if camera.viewers == 1 {
            let from = camera.recent.since_keyframe().unwrap_or(TrackSeq(u64::MAX));
            let recent = camera.recent.trains_from(from).cloned().collect();
            let media = Media::Subscribe { layer: camera.stream.layer(0), recent };
            self.shard.handle_media(self.now, media);
        }
    }

    /// A command of the control plane.
    pub fn command(&mut self, command: Command) {
        self.with_shard(|shard, now, outbox| {
            shard.handle_command(now, command, outbox);
        });
    }

    /// The client offers new ICE credentials and the server takes them.
    pub fn restart_ice(&mut self, client: usize) {
        let text = self.clients[client].offer_restart();
        let remote = Offer::parse(&text).expect("an offer").transport(|_| true).credentials.clone();
        let (session, mids) = &self.sessions[client];
        let candidates = [SERVER.parse().expect("an address")];
        let restart = join::restart(mids, "camera", &candidates, &DTLS, &mut self.random);
        self.clients[client].take_restart(&restart);
        self.keys[client] = (restart.local.clone(), remote.ufrag.clone());
        self.command(Command::RestartIce { session: *session, local: restart.local, remote });
    }

    /// The NAT before a client gives it another address.
    pub fn rebind(&mut self, client: usize, public: SocketAddr) {
        self.owners.insert(public, client);
        self.clients[client].public = public;
    }

    /// Fills the shard's socket, or lets it be free again.
    pub fn fill_socket(&mut self, full: bool) {
        self.full_since = full.then_some(self.now);
    }

    /// Lets media spend so much a second from now on: bytes, and 1,500 for each turn.
    pub fn limit(&mut self, rate: Option<f64>) {
        (self.rate, self.credit) = (rate, (0.0, self.now));
    }

    /// Loses what `filter` says, from now on.
    pub fn lose(&mut self, filter: impl FnMut(Instant, Way, &[u8]) -> bool + 'static) {
        self.filter = Some(Box::new(filter));
    }

    /// Lets a test's own datagram arrive at the server now.
    pub fn inject(&mut self, source: SocketAddr, bytes: &[u8]) {
        self.deliver_to_server(source, false, bytes);
    }

    /// As [`World::inject`], for STUN that a client's engine made: its sender may be answered.
    pub fn inject_genuine(&mut self, source: SocketAddr, bytes: &[u8]) {
        self.deliver_to_server(source, true, bytes);
    }

    /// A new authentic check of a client, as an engine with its credentials would make it.
    pub fn check(&self, client: usize, nominates: bool) -> Vec<u8> {
        let (ours, theirs) = &self.keys[client];
        let name = format!("{}:{theirs}", ours.ufrag);
        let id = TransId::new();
        let message = StunMessage::binding_request(&name, id, true, 7, 1_845_501_695, nominates);
        let mut bytes = vec![0; 300];
        let provider = DTLS.provider();
        let sign = |key: &[u8], parts: &[&[u8]]| provider.sha1_hmac_provider.sha1_hmac(key, parts);
        let length = message.to_bytes(Some(ours.pwd.as_bytes()), &mut bytes, sign).expect("room");
        bytes.truncate(length);
        bytes
    }

    /// Asks for a keyframe on behalf of a client.
    pub fn request_keyframe(&mut self, client: usize) {
        let sent = self.clients[client].request_keyframe(self.now);
        self.send_to_server(client, sent);
    }

    /// A client begins with SCTP, which nobody offered it.
    pub fn start_sctp(&mut self, client: usize) {
        let sent = self.clients[client].start_sctp(self.now);
        self.send_to_server(client, sent);
    }

    /// A client by hand sends a compound report.
    pub fn report(&mut self, client: usize, compound: &[u8]) {
        let sealed = self.clients[client].seal(compound);
        self.send_to_server(client, vec![sealed]);
    }

    /// From now on every packet that goes to a connected client is opened with its keys, which proves
    /// the index that it was sealed under.
    pub fn open_packets_of(&mut self, client: usize) {
        self.books.open(client, self.clients[client].srtp());
    }

    /// The seed that decides everything here.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A client closes with a goodbye.
    pub fn close(&mut self, client: usize) {
        let sent = self.clients[client].close(self.now);
        self.send_to_server(client, sent);
    }

    /// Why and when a client's viewer ended, if it did.
    pub fn end_of(&self, client: usize) -> Option<(Duration, EndReason)> {
        let found = self.ended.iter().find(|(_, ended)| ended.session == self.session(client));
        found.map(|(at, ended)| (*at - self.start, ended.reason))
    }

    /// Whether nothing is left of any viewer.
    pub fn assert_empty(&self) {
        assert_eq!(self.shard.viewers(), 0);
        assert_eq!(self.shard.demux_len(), (0, 0));
        assert!(self.cameras.iter().all(|camera| camera.viewers == 0));
        assert_eq!(self.counters.viewers.get(), 0);
        assert_eq!(self.counters.connected_now.get(), 0);
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Duration) {
        let until = self.now + time;
        self.run_until(time, |_| false);
        self.now = until;
    }

    /// Lets time pass until `done`, at most `limit`. Returns whether it was done.
    pub fn run_until(&mut self, limit: Duration, done: impl Fn(&World) -> bool) -> bool {
        let until = self.now + limit;
        let mut events = 0;
        while !done(self) {
            let before = self.now;
            let Some(next) = self.next_event().filter(|&next| next <= until) else { return false };
            self.now = next.max(self.now);
            events = if self.now == before { events + 1 } else { 0 };
            assert!(events < EVENTS_AT_ONCE, "time stands still {:?} after the start", self.now - self.start);
            self.step();
        }
        true
    }

    /// Lets time pass until all of `clients` are connected.
    pub fn connect(&mut self, clients: std::ops::Range<usize>) {
        let limit = LIMITS.peer.setup;
        let done = self.run_until(limit, |world| {
            clients.clone().all(|client| world.clients[client].connected.is_some())
        });
        let failed: Vec<_> = self.clients.iter().filter_map(|client| client.failed.as_ref()).collect();
        assert!(done, "not connected within {limit:?}: {:?} {failed:?}", self.ended);
    }

    fn next_event(&self) -> Option<Instant> {
        let flight = self.flights.peek().map(|flight| flight.at);
        let frames = self.cameras.iter().map(|camera| camera.next_frame);
        let clients = self.clients.iter().map(|client| client.deadline);
        // As the worker's thread does it while its socket is full.
        let fan_out = match self.full_since.is_some() {
            true => Some(self.now + BLOCKED_WAIT),
            false if self.rate.is_some() && self.credit.0 <= 0.0 => Some(self.now + RATE_WAIT),
            false => self.shard.fan_out_due(self.now),
        };
        let shard = self.shard.next_deadline().into_iter().chain(fan_out);
        flight.into_iter().chain(shard).chain(frames).chain(clients).min()
    }

    fn step(&mut self) {
        let now = self.now;
        while let Some(flight) = self.flights.peek().filter(|flight| flight.at <= now) {
            let way = flight.way;
            let flight = self.flights.pop().expect("just seen");
            match way {
                Way::ToServer => self.deliver_to_server(flight.remote, flight.genuine, &flight.bytes),
                Way::ToClient => self.deliver_to_client(flight.remote, &flight.bytes),
            }
        }
        for index in 0..self.clients.len() {
            if self.clients[index].deadline <= now {
                let sent = self.clients[index].handle(now, None);
                self.send_to_server(index, sent);
            }
        }
        for index in 0..self.cameras.len() {
            if self.cameras[index].next_frame <= now {
                let trains = self.cameras[index].poll(&mut self.random);
                if self.cameras[index].viewers == 0 || self.cameras[index].withholds() {
                    continue;
                }
                let stream = self.cameras[index].stream;
                for train in trains {
                    let media = match train.codec.kind() {
                        Kind::Video => Media::Picture { layer: stream.layer(0), train },
                        Kind::Audio => Media::Sound { stream, train },
                    };
                    self.shard.handle_media(self.now, media);
                }
            }
        }
        self.with_shard(|shard, now, outbox| while shard.poll_fan_out(now, outbox) == Progress::More {});
        if self.shard.next_deadline().is_some_and(|at| at <= now) {
            self.with_shard(|shard, now, outbox| shard.handle_timeout(now, outbox));
        }
    }

    /// Calls the shard, and takes what it sends and whom it ends.
    fn with_shard(&mut self, call: impl FnOnce(&mut Shard, Instant, &mut Outbox)) {
        let stalled = self.full_since.is_some_and(|since| self.now - since >= STALL);
        let budget = self.rate.map(|rate| {
            let passed = (self.now - self.credit.1).as_secs_f64();
            (self.credit.0 + rate * passed).min(rate * BURST)
        });
        let mut outbox = Outbox { full: self.full_since.is_some(), stalled, budget, ..Outbox::default() };
        call(&mut self.shard, self.now, &mut outbox);
        self.spent += outbox.spent;
        self.credit = (budget.unwrap_or_default() - outbox.spent, self.now);
        for (remote, bytes) in outbox.sent {
            let owner = self.owners.get(&remote).copied();
            self.books.sent(self.now, owner, remote, &bytes);
            if let Some(owner) = owner {
                self.take_off(owner, Way::ToClient, remote, bytes);
            }
        }
        for ended in self.shard.drain_ended().collect::<Vec<_>>() {
            self.ended.push((self.now, ended));
            let camera = self.cameras.iter_mut().find(|camera| camera.stream == ended.stream);
            let camera = camera.expect("a camera of that stream");
            camera.viewers -= 1;
            if camera.viewers == 0 {
                let media = Media::Unsubscribe { layer: ended.stream.layer(0) };
                self.shard.handle_media(self.now, media);
            }
        }
    }

    fn deliver_to_server(&mut self, remote: SocketAddr, genuine: bool, bytes: &[u8]) {
        self.books.received(remote, genuine, bytes);
        let local = Some(SERVER.parse::<SocketAddr>().expect("an address").ip());
        self.with_shard(|shard, now, outbox| shard.handle_datagram(now, remote, local, bytes, outbox));
    }

    fn deliver_to_client(&mut self, remote: SocketAddr, bytes: &[u8]) {
        // A NAT forgets the old address when it gives a new one.
        let Some(index) = self.clients.iter().position(|client| client.public == remote) else { return };
        let sent = self.clients[index].handle(self.now, Some(bytes));
        self.send_to_server(index, sent);
    }

    fn send_to_server(&mut self, client: usize, datagrams: Vec<Vec<u8>>) {
        let public = self.clients[client].public;
        for bytes in datagrams {
            self.tap.push((public, bytes.clone()));
            self.take_off(client, Way::ToServer, public, bytes);
        }
    }

    fn take_off(&mut self, client: usize, way: Way, remote: SocketAddr, bytes: Vec<u8>) {
        let now = self.now;
        if self.filter.as_mut().is_some_and(|filter| filter(now, way, &bytes)) {
            return;
        }
        let arrivals: Vec<Instant> = self.links[client].arrivals(now, &mut self.random).collect();
        for at in arrivals {
            self.flight_number += 1;
            let (number, bytes) = (self.flight_number, bytes.clone());
            self.flights.push(Flight { at, number, way, remote, genuine: way == Way::ToServer, bytes });
        }
    }
}

impl Drop for World {
    #[expect(clippy::print_stderr, reason = "the seed of a failed test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let passed = self.now - self.start;
            eprintln!("{passed:?} after the start; repeat with SEED={}", self.seed);
        }
    }
}
