//! One shard with players that are really connected, in virtual time and without a kernel.
//!
//! Players are those of `sluice load`, and join as the control plane lets them. What the shard sends goes
//! into an arena like the worker's; there it is counted and, if wanted, kept. For measurements and for
//! tests of what the shard costs; what it does is tested in `simulation`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use sluice::count::{EndReason, ShardCounters};
use sluice::id::{SessionId, StreamId};
use sluice::peer::PeerLimits;
use sluice::session::join::{Agreement, Joined};
use sluice::shard::command::{Command, Media, Watched};
use sluice::shard::{Progress, Shard};
use sluice::track::{KeyframeRequest, Train};
use sluice::viewer::ViewerLimits;
use sluice_load::client::Stage;
use sluice_media::AudioCodec;
use sluice_media::rtcp::Epoch;

use crate::sample::formats;
use crate::terms::{LIMITS, PACING, RECENT, SERVER, media, terms};

mod camera;
mod outbox;
mod player;
mod watch;

pub use outbox::{Outbox, Sent};
pub use player::Player;
pub use watch::{Part, Watch};

use camera::Camera;
use player::number_of;

const STREAM: StreamId = StreamId(0);

/// Players are silent here once they are connected.
static SILENT: LazyLock<ViewerLimits> = LazyLock::new(|| {
    let long = Duration::from_secs(36_000);
    ViewerLimits { peer: PeerLimits { consent: long, fresh: long, ..LIMITS.peer }, ..*LIMITS }
});

/// How far time goes on between two looks at every deadline.
const STEP: Duration = Duration::from_millis(10);

/// Steps until all players must be connected.
const STEPS_MAX: usize = 500;

/// Time of a frame.
pub const FRAME: Duration = Duration::from_nanos(33_333_333);

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
        rig.shard.handle_media(
            now,
            Media::Subscribe {
                layer: STREAM.layer(0),
                recent: Vec::new(),
                keyframe: KeyframeRequest::default(),
                watched: Watched::default(),
                away: false,
            },
        );
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

    /// The trains of the next picture: `packets` of nearly `MAX_PAYLOAD` bytes, and on a keyframe one
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
            self.shard.handle_media(self.now, media(STREAM, train.clone()));
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
            while self.shard.handle_timeout(self.now, &mut self.outbox) {}
        }
        self.now = until;
    }

    /// Until every catch-up is at the live edge.
    fn settle(&mut self) {
        self.pass(FRAME * 4);
    }

    /// Hands every player what was kept for it, but for the datagrams that `lost` says.
    pub fn deliver(&mut self, players: &mut [Player], lost: impl Fn(&[u8]) -> bool) {
        let first = players.first().map_or(0, Player::number);
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
        let local = Some(SERVER.ip());
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
        let session = self.sessions.remove(&player.number()).expect("it joined");
        self.shard.handle_command(self.now, Command::End(session, EndReason::Deleted), &mut self.outbox);
        self.shard.drain_ended();
    }

    /// Deadlines of both sides that have passed, then datagrams until nobody has any.
    fn exchange(&mut self, players: &mut [Player], watch: &mut impl Watch) {
        let first = players[0].number();
        for player in &mut *players {
            player.handle_timeout(self.now);
        }
        if self.shard.next_deadline().is_some_and(|at| at <= self.now) {
            watch.begin();
            while self.shard.handle_timeout(self.now, &mut self.outbox) {}
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
        let (mut player, offer) = Player::new(self.now, number);

        watch.begin();
        let formats = formats(AudioCodec::Opus);
        let terms = terms(STREAM.layer(0), &formats, *SILENT, true);
        let agreement = Agreement::of(&offer, terms, &mut rand::rng()).expect("something in common");
        watch.end(Part::Sdp);

        watch.begin();
        let Joined { viewer, answer, .. } = agreement.begin(terms, self.now).expect("an engine");
        self.sessions.insert(number, viewer.session());
        watch.end(Part::Build);

        watch.begin();
        self.shard.handle_command(self.now, Command::Join(Box::new(viewer)), &mut self.outbox);
        watch.end(Part::Enter);

        player.handle_answer(self.now, &answer);
        player
    }

    /// Sends a player that just connected everything up to the live edge: of a second of the past, which goes four times as
    /// fast as it was made.
    pub fn catch_up(&mut self, watch: &mut impl Watch) {
        let until = self.now + FRAME * 10;
        while let Some(next) = self.shard.next_deadline().filter(|&next| next <= until) {
            self.now = self.now.max(next);
            watch.begin();
            while self.shard.handle_timeout(self.now, &mut self.outbox) {}
            watch.end(Part::Media);
        }
        self.now = until;
    }
}
