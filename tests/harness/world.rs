//! The world of a test: one shard, its cameras and players, and what is under way between them.
//!
//! Time moves from event to event: a datagram arrives, a deadline passes, a camera has a frame.

use std::collections::{BinaryHeap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use sluice::count::{EndReason, ShardCounters};
use sluice::id::{SessionId, StreamId};
use sluice::peer::{Credentials, MediaParams};
use sluice::session::join::Agreement;
use sluice::shard::command::{Command, Media};
use sluice::shard::{Ended, Progress, Shard};
use sluice::track::{RecentLimits, TrackSeq, Train};
use sluice_media::rtcp::Epoch;
use sluice_media::{AudioCodec, Kind};

use crate::books::Books;
use crate::camera::{Camera, FRAME};
use crate::client::{Behaviour, Client, Sent};
use crate::link::{Flight, Link, Narrow, Way};
use crate::terms::{LIMITS, PACING, RECENT, SERVER, media_of, terms};

mod acts;
mod outbox;

use outbox::{Line, Outbox};

/// Events at one instant at the most: more is a loop without end.
const EVENTS_AT_ONCE: usize = 100_000;

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
    /// Until when the line of each player is busy, if it is narrow, and how long datagrams waited before it.
    pub busy: Vec<(Instant, Vec<Duration>)>,
    /// What the shard sent.
    pub books: Books,
    /// Viewers that ended, and when.
    pub ended: Vec<(Instant, Ended)>,
    /// What the shard's socket is on.
    line: Line,
    /// Datagrams that clients sent, with their source address.
    pub tap: Vec<(SocketAddr, Vec<u8>)>,
    /// Every train that the shard was handed, as long as anybody holds it.
    pub handed: Vec<Weak<Train>>,
    /// What waits for the shard's thread while that stands still.
    stalled: Option<Waiting>,
    /// What the server knows of each client.
    seats: Vec<Seat>,
    recent: RecentLimits,
    filter: Option<Filter>,
    /// Every address that a client has or had.
    owners: HashMap<SocketAddr, usize>,
    flights: BinaryHeap<Flight>,
    flight_number: u64,
    /// When dice were thrown last for a client one way or the other, and how often just then.
    thrown: HashMap<(usize, bool), (Instant, u64)>,
    random: StdRng,
    seed: u64,
}

/// What waits for a shard's thread.
#[derive(Default)]
struct Waiting {
    /// Datagrams in its socket: where each is from, and whether a client's engine made it.
    datagrams: Vec<(SocketAddr, bool, Vec<u8>)>,
    /// Media in its queue.
    media: Vec<Media>,
}

/// The server's side of a client.
struct Seat {
    session: SessionId,
    /// The camera that it chose.
    camera: usize,
    /// Tags of the sections that carry something.
    mids: Vec<String>,
    media: Vec<MediaParams>,
    /// How the client authenticates its checks: our credentials, and the name that it goes by.
    keys: (Credentials, String),
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
            busy: Vec::new(),
            books: Books::default(),
            ended: Vec::new(),
            line: Line::new(start),
            tap: Vec::new(),
            handed: Vec::new(),
            stalled: None,
            seats: Vec::new(),
            recent,
            filter: None,
            owners: HashMap::new(),
            flights: BinaryHeap::new(),
            flight_number: 0,
            thrown: HashMap::new(),
            random: StdRng::seed_from_u64(seed),
            seed,
        }
    }

    /// A world with one camera that has run for a while.
    pub fn with_camera(seed: u64) -> World {
        let mut world = World::new(seed);
        world.camera(AudioCodec::Opus);
        world.run(Duration::from_millis(2_700));
        world
    }

    /// Adds a camera. Returns its number.
    pub fn camera(&mut self, audio: AudioCodec) -> usize {
        let stream = StreamId(self.cameras.len() as u32);
        self.cameras.push(Camera::new(stream, audio, self.recent, self.now));
        self.cameras.len() - 1
    }

    /// Adds a camera whose pictures are the low layer of another one's stream. Returns its number.
    pub fn low_layer(&mut self, high: usize) -> usize {
        let Camera { stream, audio, .. } = self.cameras[high];
        let mut camera = Camera::new(stream, audio, self.recent, self.now);
        camera.layer = 1;
        self.cameras.push(camera);
        self.cameras.len() - 1
    }

    /// A player joins over `link`. Returns its number.
    pub fn join(&mut self, camera: usize, behaviour: Behaviour, link: Link) -> usize {
        let index = self.clients.len();
        let port = 20_000 + index as u16;
        let host = SocketAddr::from(([10, 0, 0, 7], port));
        let (mut client, offer) = Client::new(host, behaviour, self.now);
        client.public = SocketAddr::from(([198, 51, 100, 1 + (index % 200) as u8], port));
        let formats = self.cameras[camera].formats();
        let repair = !self.recent.history.is_zero();
        let terms = terms(self.cameras[camera].layer_id(), &formats, *LIMITS, repair);
        let agreement = Agreement::of(&offer, terms, &mut self.random).expect("something in common");
        client.take_answer(&agreement.answer);
        let theirs = agreement.engine.remote_credentials.ufrag.clone();
        let keys = (agreement.engine.local_credentials.clone(), theirs);
        let media = agreement.media.clone();
        let joined = agreement.begin(terms, self.now).expect("an engine");
        self.seats.push(Seat { session: joined.viewer.session(), camera, mids: joined.mids, media, keys });
        self.owners.insert(client.public, index);
        self.clients.push(client);
        self.links.push(link);
        self.busy.push((self.now, Vec::new()));
        self.subscribe(camera);
        self.command(Command::Join(Box::new(joined.viewer)));
        index
    }

    /// The session of a client.
    pub fn session(&self, client: usize) -> SessionId {
        self.seats[client].session
    }

    /// What the server agreed on with a client for its picture or its sound.
    pub fn track(&self, client: usize, kind: Kind) -> &MediaParams {
        self.seats[client].media.iter().find(|media| media.codec.kind() == kind).expect("agreed on")
    }

    /// As the control plane's `Stream::subscribe` does it.
    fn subscribe(&mut self, camera: usize) {
        self.cameras[camera].viewers += 1;
        self.send(camera);
    }

    fn send(&mut self, camera: usize) {
        let camera = &mut self.cameras[camera];
        if std::mem::replace(&mut camera.sent, true) {
            return;
        }
        let from = camera.recent.since_keyframe().unwrap_or(TrackSeq(u64::MAX));
        let recent = camera.recent.trains_from(from).cloned().collect();
        let (keyframe, watched) = (camera.keyframe.clone(), camera.watched.clone());
        let media =
            Media::Subscribe { layer: camera.layer_id(), recent, keyframe, watched, away: camera.away };
        self.hand_over(media);
    }

    /// Media that the control plane has for the shard.
    fn hand_over(&mut self, media: Media) {
        if let Media::Picture { train, .. } | Media::Sound { train, .. } = &media {
            self.handed.push(Arc::downgrade(train));
        }
        match &mut self.stalled {
            Some(waiting) => waiting.media.push(media),
            None => self.shard.handle_media(self.now, media),
        }
    }

    /// As the control plane's publisher does it: nothing more of a layer that nobody chose, is shown instead of another, or
    /// is sent still.
    fn leave(&mut self, index: usize) {
        let Camera { stream, viewers, sent, ref watched, .. } = self.cameras[index];
        let mut others = self.cameras.iter().filter(|other| other.stream == stream);
        let stands_in = others.any(|other| other.away && other.viewers > 0);
        if sent && viewers == 0 && !stands_in && !watched.is_watched() {
            self.cameras[index].sent = false;
            let layer = self.cameras[index].layer_id();
            self.hand_over(Media::Unsubscribe { layer });
        }
    }

    /// A client chooses the layer of another camera, as the control plane does it.
    pub fn choose(&mut self, client: usize, camera: usize) {
        let Seat { session, camera: before, .. } = self.seats[client];
        self.subscribe(camera);
        self.cameras[before].viewers -= 1;
        self.seats[client].camera = camera;
        self.command(Command::Choose { session, layer: self.cameras[camera].layer });
        self.leave(before);
    }

    /// A camera brings nothing any more, or brings something again, as the control plane tells it.
    pub fn set_away(&mut self, camera: usize, away: bool) {
        self.cameras[camera].away = away;
        let (stream, layer) = (self.cameras[camera].stream, self.cameras[camera].layer_id());
        let others = (0..self.cameras.len()).filter(|other| *other != camera);
        let others: Vec<usize> = others.filter(|other| self.cameras[*other].stream == stream).collect();
        if away && self.cameras[camera].viewers > 0 {
            others.into_iter().for_each(|other| self.send(other));
        }
        if self.cameras[camera].sent {
            self.hand_over(Media::Away { layer, away });
        }
    }

    /// A command of the control plane.
    pub fn command(&mut self, command: Command) {
        self.with_shard(|shard, now, outbox| {
            shard.handle_command(now, command, outbox);
        });
    }

    /// What media has spent so far: bytes, and 1,500 for each turn.
    pub fn spent(&self) -> f64 {
        self.line.spent()
    }

    /// The seed that decides everything here.
    pub fn seed(&self) -> u64 {
        self.seed
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
        assert_eq!((self.counters.connected_now.get(), self.counters.limited.get()), (0, 0));
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
        let fan_out = match self.line.wait() {
            Some(wait) => Some(self.now + wait),
            None => self.shard.fan_out_due(self.now),
        };
        let shard = self.shard.next_deadline().into_iter().chain(fan_out);
        let shard = shard.filter(|_| self.stalled.is_none());
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
                let Camera { away, returns, .. } = self.cameras[index];
                if away && !returns {
                    self.cameras[index].next_frame += FRAME;
                    continue;
                }
                let trains = self.cameras[index].poll(&mut self.random);
                self.leave(index);
                let Camera { stream, sent, .. } = self.cameras[index];
                // Sound is of all layers.
                let heard = self.cameras.iter().any(|other| other.stream == stream && other.sent);
                let withheld = heard && self.cameras[index].withholds();
                let layer = self.cameras[index].layer_id();
                let goes = |train: &Arc<Train>| sent || heard && train.codec.kind() == Kind::Audio;
                for train in trains.into_iter().filter(|train| goes(train) && !withheld) {
                    self.hand_over(media_of(layer, train));
                }
                // The keyframe first, as from a source.
                if returns {
                    self.cameras[index].returns = false;
                    self.set_away(index, false);
                }
            }
        }
        if self.stalled.is_some() {
            return;
        }
        // In the order of the worker's round.
        if self.shard.next_deadline().is_some_and(|at| at <= now) {
            self.with_shard(|shard, now, outbox| while shard.handle_timeout(now, outbox) {});
        }
        self.with_shard(|shard, now, outbox| while shard.poll_fan_out(now, outbox) == Progress::More {});
    }

    /// Calls the shard, and takes what it sends and whom it ends.
    fn with_shard(&mut self, call: impl FnOnce(&mut Shard, Instant, &mut Outbox)) {
        let mut outbox = self.line.outbox(self.now);
        call(&mut self.shard, self.now, &mut outbox);
        self.line.charge(&outbox, self.now);
        for (remote, bytes) in outbox.sent {
            let owner = self.owners.get(&remote).copied();
            self.books.sent(self.now, owner, remote, &bytes);
            if let Some(owner) = owner {
                self.take_off(owner, Way::ToClient, remote, bytes);
            }
        }
        for ended in self.shard.drain_ended().collect::<Vec<_>>() {
            self.ended.push((self.now, ended));
            let seat = self.seats.iter().find(|seat| seat.session == ended.session);
            let camera = seat.expect("a client's").camera;
            self.cameras[camera].viewers -= 1;
            (0..self.cameras.len()).for_each(|camera| self.leave(camera));
        }
    }

    fn deliver_to_server(&mut self, remote: SocketAddr, genuine: bool, bytes: &[u8]) {
        if let Some(waiting) = &mut self.stalled {
            return waiting.datagrams.push((remote, genuine, bytes.to_vec()));
        }
        self.books.received(remote, genuine, bytes);
        let local = Some(SERVER.ip());
        self.with_shard(|shard, now, outbox| {
            shard.handle_datagram(now, remote, local, bytes, outbox);
        });
    }

    fn deliver_to_client(&mut self, remote: SocketAddr, bytes: &[u8]) {
        // A NAT forgets the old address when it gives a new one.
        let Some(index) = self.clients.iter().position(|client| client.public == remote) else { return };
        let sent = self.clients[index].handle(self.now, Some((SERVER, bytes)));
        self.send_to_server(index, sent);
    }

    fn send_to_server(&mut self, client: usize, datagrams: Vec<Sent>) {
        let public = self.clients[client].public;
        for (_, bytes) in datagrams {
            self.tap.push((public, bytes.clone()));
            self.take_off(client, Way::ToServer, public, bytes);
        }
    }

    /// What decides over one datagram: the seed, whose it is, when it goes, and which of those that go just then it is. Keys are
    /// random, and with them how many datagrams a handshake has: what comes later is thrown for as if that made no difference.
    fn dice(&mut self, client: usize, way: Way) -> StdRng {
        let whose = (client, way == Way::ToClient);
        let (at, count) = self.thrown.entry(whose).or_insert((self.now, 0));
        (*at, *count) = (self.now, if *at == self.now { *count + 1 } else { 0 });
        let mut hash = DefaultHasher::new();
        (self.seed, whose, self.now - self.start, *count).hash(&mut hash);
        StdRng::seed_from_u64(hash.finish())
    }

    fn take_off(&mut self, client: usize, way: Way, remote: SocketAddr, bytes: Vec<u8>) {
        let now = self.now;
        if self.filter.as_mut().is_some_and(|filter| filter(now, way, &bytes)) {
            return;
        }
        let mut left = now;
        if let Some(Narrow { rate, queue }) = self.links[client].narrow.filter(|_| way == Way::ToClient) {
            let (free, waits) = &mut self.busy[client];
            let wait = free.saturating_duration_since(now);
            if wait > queue {
                return;
            }
            waits.push(wait);
            left = now + wait + Duration::from_secs_f64(bytes.len() as f64 / rate);
            *free = left;
        }
        let mut dice = self.dice(client, way);
        let arrivals: Vec<Instant> = self.links[client].arrivals(left, bytes.len(), &mut dice).collect();
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
