//! Plays a script on some shards, and looks at everybody in each calm.
//!
//! Each shard is a world of its own with cameras of its own that do the same: viewers of different shards have nothing in
//! common but what the control plane tells all shards.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sluice::count::EndReason;
use sluice::fault::Faults;
use sluice::shard::command::Command;
use sluice::shard::question::Question;
use sluice::track::Recent;
use sluice_harness::camera::GOP;
use sluice_harness::client::Behaviour;
use sluice_harness::eye::{self, Shown};
use sluice_harness::link::Link;
use sluice_harness::terms::{LIMITS, RECENT};
use sluice_harness::world::World;
use sluice_media::{AudioCodec, VideoCodec};
use tokio::sync::oneshot;

use super::script::{ALONE, Act, HIGH, LOW, Script};

/// From the end of a storm until everybody is whole: reports, checks and repairs go on within seconds, keyframes come every
/// two, and a handshake that lost a flight tries again.
const SETTLES: Duration = Duration::from_secs(6);

/// A viewer whose line was too narrow is limited for longer: so long at the most until a line that is free is used again.
const WIDENS: Duration = Duration::from_secs(90);

/// Then everything is looked at.
const LOOKED_AT: Duration = Duration::from_secs(3);

/// What is under way at the end of that has time to come.
const UNDER_WAY: Duration = Duration::from_millis(500);

/// The longest time without a new picture on a line without faults.
const GAP: Duration = Duration::from_millis(160);

/// A viewer of the script.
#[derive(Debug, Clone, Copy)]
struct Seat {
    shard: usize,
    client: usize,
    /// Which it chose last.
    camera: usize,
    joined: Instant,
    rebound: u16,
    /// It was let go, and how.
    gone: Option<Gone>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gone {
    Goodbye,
    Deleted,
    Vanished,
}

/// Of which camera a viewer saw all pictures in the calm of a round; nothing of one that was not connected.
pub type Served = HashMap<(usize, usize), usize>;

/// A life that goes on.
struct Life {
    worlds: Vec<World>,
    seats: HashMap<usize, Seat>,
    served: Served,
}

/// Plays the life of `seed` on so many shards and checks everything that must hold. Returns what each viewer saw in the
/// calm of each round. Sites of `faults` strike in storms.
pub fn play(seed: u64, shards: usize, faults: &Faults) -> Served {
    faults.rest(true);
    let worlds = (0..shards).map(|_| {
        let mut world = World::new(seed);
        let cameras = [world.camera(AudioCodec::Opus), world.camera(AudioCodec::Opus), world.low_layer(HIGH)];
        assert_eq!(cameras, [ALONE, HIGH, LOW]);
        world.cameras[LOW].group = 35;
        world.run(Duration::from_millis(2_300));
        world
    });
    let mut life = Life { worlds: worlds.collect(), seats: HashMap::new(), served: Served::new() };
    for (round, storm) in Script::of(seed).rounds.into_iter().enumerate() {
        faults.rest(false);
        for (after, act) in storm {
            life.all(|world| world.run(after));
            life.act(act);
        }
        faults.rest(true);
        life.calm(round);
    }
    life.end();
    life.served
}

impl Life {
    fn all(&mut self, mut call: impl FnMut(&mut World)) {
        self.worlds.iter_mut().for_each(&mut call);
    }

    #[expect(clippy::print_stdout, reason = "what happened, where a life fails")]
    fn act(&mut self, act: Act) {
        println!("{:?} {act:?}", self.worlds[0].now - self.worlds[0].start);
        match act {
            Act::Join { viewer, camera, line } => {
                let shard = viewer % self.worlds.len();
                let world = &mut self.worlds[shard];
                let client = world.join(camera, Behaviour::PACKETS, line);
                let joined = world.now;
                let seat = Seat { shard, client, camera, joined, rebound: 0, gone: None };
                self.seats.insert(viewer, seat);
            }
            Act::Goodbye(viewer) => {
                let Seat { shard, client, .. } = self.leave(viewer, Gone::Goodbye);
                self.worlds[shard].close(client);
            }
            Act::Delete(viewer) => {
                let Seat { shard, client, .. } = self.leave(viewer, Gone::Deleted);
                let session = self.worlds[shard].session(client);
                self.worlds[shard].command(Command::End(session, EndReason::Deleted));
            }
            Act::Vanish(viewer) => {
                let Seat { shard, client, .. } = self.leave(viewer, Gone::Vanished);
                self.worlds[shard].links[client].down = true;
            }
            Act::Line { viewer, line } => {
                let (world, client) = self.of(viewer);
                world.links[client] = line;
            }
            Act::Rebind(viewer) => {
                let seat = self.seats.get_mut(&viewer).expect("it joined");
                seat.rebound += 1;
                let address = ([203, 0, 113, 1 + viewer as u8], 1_024 + seat.rebound);
                let (shard, client) = (seat.shard, seat.client);
                self.worlds[shard].rebind(client, address.into());
            }
            Act::Restart(viewer) => {
                let (world, client) = self.of(viewer);
                if world.clients[client].connected.is_some() && world.end_of(client).is_none() {
                    world.restart_ice(client);
                }
            }
            Act::Ask(viewer) => self.ask(viewer),
            Act::Choose { viewer, camera } => {
                self.seats.get_mut(&viewer).expect("it joined").camera = camera;
                let (world, client) = self.of(viewer);
                if world.end_of(client).is_none() {
                    world.choose(client, camera);
                }
            }
            Act::Away { camera, away } => self.all(|world| set_away(world, camera, away)),
            Act::Lost { camera, pictures } => self.all(|world| world.cameras[camera].lost = pictures),
            Act::Withheld { camera, pictures } => self.all(|world| world.cameras[camera].withheld = pictures),
            Act::Group { camera, pictures } => self.all(|world| world.cameras[camera].group = pictures),
            Act::Sound { camera, codec } => self.all(|world| world.cameras[camera].change_audio(codec)),
            Act::Video { camera, codec } => self.all(|world| {
                set_away(world, camera, true);
                world.cameras[camera].change_video(codec);
            }),
            Act::Full(time) => self.all(|world| {
                world.fill_socket(true);
                world.run(time);
                world.fill_socket(false);
            }),
            Act::Late(time) => self.all(|world| world.stall(time)),
        }
    }

    fn of(&mut self, viewer: usize) -> (&mut World, usize) {
        let Seat { shard, client, .. } = self.seats[&viewer];
        (&mut self.worlds[shard], client)
    }

    fn leave(&mut self, viewer: usize, how: Gone) -> Seat {
        let seat = self.seats.get_mut(&viewer).expect("it joined");
        seat.gone = Some(how);
        *seat
    }

    /// As a browser does that cannot show what comes.
    fn ask(&mut self, viewer: usize) {
        let (world, client) = self.of(viewer);
        if world.clients[client].pictures().next().is_some() && world.clients[client].failed.is_none() {
            world.request_keyframe(client);
        }
    }

    /// Everything is good again; a while later everybody who is here is served whole.
    fn calm(&mut self, round: usize) {
        for camera in [ALONE, HIGH, LOW] {
            self.all(|world| {
                let made = &mut world.cameras[camera];
                (made.lost, made.withheld, made.group) = (0, 0, GOP);
                let codec = made.video_codec();
                if made.audio != AudioCodec::Opus {
                    made.change_audio(AudioCodec::Opus);
                }
                if codec != VideoCodec::H264 {
                    set_away(world, camera, true);
                    world.cameras[camera].change_video(VideoCodec::H264);
                }
                set_away(world, camera, false);
            });
        }
        let here: Vec<usize> =
            self.seats.iter().filter(|(_, seat)| seat.gone.is_none()).map(|(viewer, _)| *viewer).collect();
        for &viewer in &here {
            let (world, client) = self.of(viewer);
            world.links[client] = Link::GOOD;
        }
        self.all(|world| world.run(Duration::from_secs(1)));
        here.iter().for_each(|&viewer| self.ask(viewer));
        self.all(|world| world.run(SETTLES - Duration::from_secs(1)));
        for _ in 0..WIDENS.as_secs() {
            if self.worlds.iter_mut().any(limits_anybody) {
                self.all(|world| world.run(Duration::from_secs(1)));
            }
        }
        let from: Vec<_> = self.worlds.iter().map(moment).collect();
        self.all(|world| world.run(LOOKED_AT));
        let until: Vec<_> = self.worlds.iter().map(moment).collect();
        self.all(|world| world.run(UNDER_WAY));
        for viewer in here {
            let Seat { shard, client, camera, joined, .. } = self.seats[&viewer];
            let (world, (began, first), (ended, last)) = (&self.worlds[shard], from[shard], until[shard]);
            let end = world.end_of(client);
            if world.clients[client].connected.is_none() {
                // It joined over a line that was bad soon after: it had its time.
                let expected = began - joined < LIMITS.peer.setup
                    || end.is_some_and(|(_, reason)| reason == EndReason::SetupTimeout);
                assert!(expected, "viewer {viewer} is neither connected nor over: {end:?}");
                continue;
            }
            assert_eq!(end, None, "viewer {viewer} is over, though it stays");
            let shown = eye::shown(&world.clients[client], &world.cameras);
            let gap = eye::longest_gap(&shown, began + Link::GOOD.delay..ended);
            let seen = seen(&shown, first, last);
            let whole: Vec<_> = (first[camera]..last[camera]).map(|frame| (camera, frame)).collect();
            let told = || {
                format!(
                    "viewer {viewer}, {camera} chosen, in the calm of round {round}: {}",
                    in_words(&shown, world.start)
                )
            };
            assert_eq!(seen, whole, "{}", told());
            assert!(gap <= GAP, "{gap:?} without a picture: {}", told());
            self.served.insert((round, viewer), camera);
        }
    }

    /// Everybody goes, and nothing is left of anybody.
    fn end(&mut self) {
        for viewer in 0..self.seats.len() {
            match self.seats[&viewer].gone {
                Some(_) => {}
                None if viewer % 2 == 0 => self.act(Act::Goodbye(viewer)),
                None => self.act(Act::Delete(viewer)),
            }
        }
        self.all(|world| world.run(LIMITS.peer.consent + Duration::from_secs(10)));
        for (viewer, seat) in &self.seats {
            let world = &self.worlds[seat.shard];
            let (_, reason) = world.end_of(seat.client).expect("everybody is gone");
            let silent = [EndReason::ConsentExpired, EndReason::SetupTimeout];
            let expected = match seat.gone.expect("everybody went") {
                Gone::Deleted => reason == EndReason::Deleted || reason == EndReason::SetupTimeout,
                Gone::Goodbye => reason == EndReason::PeerClosed || silent.contains(&reason),
                Gone::Vanished => silent.contains(&reason),
            };
            assert!(expected, "viewer {viewer} went as {:?}, and ended as {reason:?}", seat.gone);
        }
        for world in &mut self.worlds {
            world.assert_empty();
            assert!(world.cameras.iter().all(|camera| !camera.sent), "media for nobody");
            assert_eq!(world.counters.withheld.get(), 0, "the engine emits nothing under our keys");
            world.cameras.iter_mut().for_each(|camera| camera.recent = Recent::new(*RECENT));
            let held = world.handed.iter().filter(|train| train.strong_count() > 0).count();
            assert_eq!(held, 0, "trains that the shard holds for nobody");
        }
    }
}

fn set_away(world: &mut World, camera: usize, away: bool) {
    if !away {
        world.cameras[camera].come_back();
    } else if !world.cameras[camera].away {
        world.set_away(camera, true);
    }
}

/// Whether some viewer is limited to what its line carries.
fn limits_anybody(world: &mut World) -> bool {
    let (answer, answered) = oneshot::channel();
    world.command(Command::Ask(Question::Viewers { from: 0, answer }));
    let some = answered.blocking_recv().expect("an answer");
    some.viewers.iter().any(|viewer| viewer.limit.is_some())
}

/// When it is, and how many pictures each camera has made.
fn moment(world: &World) -> (Instant, [usize; 3]) {
    (world.now, [ALONE, HIGH, LOW].map(|camera| world.cameras[camera].frames.len()))
}

/// Which pictures of those made from `first` to `last` were shown.
fn seen(shown: &[Shown], first: [usize; 3], last: [usize; 3]) -> Vec<(usize, usize)> {
    let within = |shown: &&Shown| (first[shown.camera]..last[shown.camera]).contains(&shown.frame);
    let mut seen: Vec<_> = shown.iter().filter(within).map(|shown| (shown.camera, shown.frame)).collect();
    seen.dedup();
    seen
}

/// What was shown, in words: from when to when which pictures of which camera, without a gap.
fn in_words(shown: &[Shown], start: Instant) -> String {
    let goes_on = |one: &Shown, next: &Shown| one.camera == next.camera && next.frame == one.frame + 1;
    let runs = shown.chunk_by(goes_on).map(|run| {
        let (first, last) = (run[0], run[run.len() - 1]);
        let time = |shown: Shown| shown.at - start;
        format!("{}:{}-{} from {:?} to {:?}", first.camera, first.frame, last.frame, time(first), time(last))
    });
    runs.collect::<Vec<_>>().join(", ")
}
