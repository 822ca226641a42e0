//! Semantic loss: exactly one packet of a kind is lost, and the viewer is whole again by its repair; where nothing is
//! repaired, by the next keyframe.
//!
//! The kinds are told apart by what is on the wire in the clear: the order of packets, the marker, the size, the SSRC.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use sluice::track::RecentLimits;
use sluice_harness::client::Behaviour;
use sluice_harness::eye;
use sluice_harness::link::{Link, Way};
use sluice_harness::terms::RECENT;
use sluice_harness::world::World;
use sluice_load::packet::{self, Datagram, Header};
use sluice_media::{AudioCodec, Class, class};

/// Parameter sets of our cameras are the only video packets below this.
const SETS_BYTES: usize = 90;

/// Which packet is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The packet that has both sets: the SPS and the PPS of a keyframe travel in one STAP-A.
    Sets,
    FirstFragment,
    MiddleFragment,
    /// The fragment with the marker.
    LastFragment,
    /// The first packet of a picture between keyframes: a slice of its own.
    Slice,
    /// Its last.
    Marker,
    /// A slice and its first repair.
    SliceAndRepair,
    /// A slice and the NACK that asks for it.
    SliceAndNack,
}

/// All kinds, and whether what is lost is of a keyframe.
const KINDS: [(Kind, bool); 8] = [
    (Kind::Sets, true),
    (Kind::FirstFragment, true),
    (Kind::MiddleFragment, true),
    (Kind::LastFragment, true),
    (Kind::Slice, false),
    (Kind::Marker, false),
    (Kind::SliceAndRepair, false),
    (Kind::SliceAndNack, false),
];

/// What goes by, and what is lost of it.
struct Thief {
    kind: Kind,
    ssrc: u32,
    /// Timestamp of the picture under way, how many of its packets went by, and whether it is a keyframe.
    picture: Option<(u32, usize, bool)>,
    /// The number of the video packet that was lost.
    stolen: Option<u16>,
    /// What shall be lost beside it is lost, too.
    done: bool,
    count: Rc<Cell<usize>>,
}

impl Thief {
    /// Whether this one is lost.
    fn takes(&mut self, way: Way, datagram: &[u8]) -> bool {
        let takes = match class(datagram) {
            Class::Rtp if way == Way::ToClient => match packet::classify(datagram) {
                Datagram::Rtp(header) => self.takes_media(header, datagram.len()),
                _ => false,
            },
            Class::Rtcp if way == Way::ToServer => {
                self.kind == Kind::SliceAndNack
                    && self.stolen.is_some()
                    && !std::mem::replace(&mut self.done, true)
            }
            _ => false,
        };
        self.count.set(self.count.get() + usize::from(takes));
        takes
    }

    fn takes_media(&mut self, header: Header, bytes: usize) -> bool {
        let Header { ssrc, timestamp, sequence, marker, .. } = header;
        if ssrc != self.ssrc {
            // Sound is not sent again, so the next of another SSRC that is larger is the repair.
            let repairs = self.kind == Kind::SliceAndRepair && self.stolen.is_some() && bytes > 250;
            return repairs && !std::mem::replace(&mut self.done, true);
        }
        let place = match self.picture.filter(|picture| picture.0 == timestamp) {
            Some((_, place, keyframe)) => (place + 1, keyframe),
            None => (0, bytes < SETS_BYTES),
        };
        self.picture = Some((timestamp, place.0, place.1));
        let wanted = match (self.kind, place) {
            (Kind::Sets, (0, true))
            | (Kind::FirstFragment, (1, true))
            | (Kind::MiddleFragment, (5, true)) => true,
            (Kind::LastFragment, (_, true)) | (Kind::Marker, (_, false)) => marker,
            (Kind::Slice | Kind::SliceAndRepair | Kind::SliceAndNack, (0, false)) => true,
            _ => false,
        };
        let takes = wanted && self.stolen.is_none();
        self.stolen = self.stolen.or(takes.then_some(sequence));
        takes
    }
}

/// A viewer that loses one packet of the kind, and may ask for a keyframe soon after. Returns the world, when it was lost,
/// and how many datagrams were.
fn lose_one(seed: u64, kind: Kind, recent: RecentLimits, asks: bool) -> (World, Instant, usize) {
    let mut world = World::with_rings(seed, recent);
    world.camera(AudioCodec::Opus);
    world.run(Duration::from_millis(2_700));
    let viewer = world.join(0, Behaviour::PACKETS, Link::GOOD);
    world.connect(viewer..viewer + 1);
    world.run(Duration::from_secs(3));
    let count = Rc::new(Cell::new(0));
    let ssrc = world.clients[viewer].video.ssrc;
    let mut thief = Thief { kind, ssrc, picture: None, stolen: None, done: false, count: count.clone() };
    // Not in the middle of a picture: its first packet would be another one's.
    world.run(Duration::from_millis(35));
    world.lose(move |_, way, datagram| thief.takes(way, datagram));
    let lost = count.clone();
    assert!(world.run_until(Duration::from_secs(3), move |_| lost.get() > 0), "{kind:?}: nothing to lose");
    let at = world.now;
    world.run(Duration::from_millis(200));
    if asks {
        world.request_keyframe(viewer);
    }
    world.run(Duration::from_millis(4_300));
    (world, at, count.get())
}

#[test]
fn one_packet_of_any_kind_is_repaired_and_nothing_is_missing() {
    for (kind, _) in KINDS {
        let (world, lost, count) = lose_one(131, kind, *RECENT, false);
        let both = matches!(kind, Kind::SliceAndRepair | Kind::SliceAndNack);
        assert_eq!(count, 1 + usize::from(both), "{kind:?}");
        let shown = eye::shown(&world.clients[0], &world.cameras);
        let gap = eye::longest_gap(&shown, lost..world.now);
        println!("{kind:?}: {gap:?} without a new picture");
        assert!(gap < Duration::from_millis(if both { 500 } else { 250 }), "{kind:?}: {gap:?}");
        let missing = shown.windows(2).filter(|pair| pair[1].frame != pair[0].frame + 1).count();
        assert_eq!(missing, 0, "{kind:?}: pictures are missing");
    }
}

#[test]
fn without_repairs_the_next_keyframe_makes_whole_whatever_was_lost() {
    let bare = RecentLimits { history: Duration::ZERO, ..*RECENT };
    let repaired = [Kind::SliceAndRepair, Kind::SliceAndNack];
    for (kind, of_keyframe) in KINDS.into_iter().filter(|(kind, _)| !repaired.contains(kind)) {
        for asks in [false, true] {
            let (world, lost, count) = lose_one(132, kind, bare, asks);
            assert_eq!(count, 1, "{kind:?}");
            let shown = eye::shown(&world.clients[0], &world.cameras);
            let gap = eye::longest_gap(&shown, lost..world.now);
            println!("{kind:?}, asks {asks}: {gap:?} without a new picture");
            // Two seconds from keyframe to keyframe; who asks for one gets it from the ring.
            let bound = if asks { 500 } else { 2_200 };
            assert!(gap < Duration::from_millis(bound), "{kind:?} asks {asks}: {gap:?}");
            assert!(asks || !of_keyframe || gap > Duration::from_millis(1_900), "{kind:?}: it was not lost");
            let last = shown.last().expect("pictures").at;
            assert!(world.now - last < Duration::from_millis(150), "{kind:?}: nothing at the end");
        }
    }
}
