//! What happens in a life, drawn from its seed alone: who comes and goes, and what befalls lines, cameras and the shard.
//!
//! A life is a few rounds, each a storm and a calm. Knows no world: one script is played on one shard and on three.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sluice_harness::link::{Bursts, Link, Narrow};
use sluice_media::{AudioCodec, VideoCodec};

/// Storms of a life.
const ROUNDS: usize = 2;

/// What happens in a storm.
const ACTS: usize = 50;

/// Viewers at a time, and at the least once the first have come.
const VIEWERS: std::ops::RangeInclusive<usize> = 3..=6;

/// Cameras: one alone, and a pair of layers of one stream.
pub const ALONE: usize = 0;
pub const HIGH: usize = 1;
pub const LOW: usize = 2;

/// One thing that happens. Viewers and cameras by their numbers.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// A viewer joins over a line.
    Join {
        viewer: usize,
        camera: usize,
        line: Link,
    },
    /// It says goodbye, which may be lost.
    Goodbye(usize),
    /// Its session is deleted.
    Delete(usize),
    /// Its line is cut for ever.
    Vanish(usize),
    /// Its line becomes another one.
    Line {
        viewer: usize,
        line: Link,
    },
    /// Its NAT gives it another address.
    Rebind(usize),
    /// It restarts ICE.
    Restart(usize),
    /// It asks for a keyframe.
    Ask(usize),
    /// It chooses the layer of another camera.
    Choose {
        viewer: usize,
        camera: usize,
    },
    /// A camera is gone, or comes back at a keyframe.
    Away {
        camera: usize,
        away: bool,
    },
    /// Pictures of a camera are lost on the way to us, or on the way to the shard.
    Lost {
        camera: usize,
        pictures: u32,
    },
    Withheld {
        camera: usize,
        pictures: u32,
    },
    /// A camera has other distances from keyframe to keyframe from its next one on.
    Group {
        camera: usize,
        pictures: u64,
    },
    /// A camera's sound has another codec.
    Sound {
        camera: usize,
        codec: AudioCodec,
    },
    /// A camera is gone, and will come back with another codec.
    Video {
        camera: usize,
        codec: VideoCodec,
    },
    /// The socket is full for a time.
    Full(Duration),
    /// The thread stands still for a time.
    Late(Duration),
}

/// A life.
pub struct Script {
    /// Of each storm: what happens, each after so long.
    pub rounds: Vec<Vec<(Duration, Act)>>,
}

impl Script {
    /// The life of a seed.
    pub fn of(seed: u64) -> Script {
        let mut author =
            Author { random: StdRng::seed_from_u64(seed), present: Vec::new(), viewers: 0, away: [false; 3] };
        Script { rounds: (0..ROUNDS).map(|_| author.storm()).collect() }
    }
}

struct Author {
    random: StdRng,
    /// Viewers that are here, and whether each watches the pair.
    present: Vec<(usize, bool)>,
    /// Viewers that ever came.
    viewers: usize,
    away: [bool; 3],
}

impl Author {
    fn storm(&mut self) -> Vec<(Duration, Act)> {
        // The calm before has brought all cameras back.
        self.away = [false; 3];
        (0..ACTS).map(|_| (self.time(0..300), self.act())).collect()
    }

    fn time(&mut self, ms: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.random.random_range(ms))
    }

    fn act(&mut self) -> Act {
        if self.present.len() < *VIEWERS.start() {
            return self.join();
        }
        let place = self.random.random_range(0..self.present.len());
        let (viewer, of_pair) = self.present[place];
        let camera = self.random.random_range(0..3);
        match self.random.random_range(0..100) {
            0..8 if self.present.len() < *VIEWERS.end() => self.join(),
            8..14 => {
                self.present.swap_remove(place);
                match self.random.random_range(0..3) {
                    0 => Act::Goodbye(viewer),
                    1 => Act::Delete(viewer),
                    _ => Act::Vanish(viewer),
                }
            }
            14..36 => Act::Line { viewer, line: self.line() },
            36..42 => Act::Rebind(viewer),
            42..46 => Act::Restart(viewer),
            46..58 => Act::Ask(viewer),
            58..70 if of_pair => Act::Choose { viewer, camera: self.random.random_range(HIGH..=LOW) },
            70..75 => {
                self.away[camera] = !self.away[camera];
                Act::Away { camera, away: self.away[camera] }
            }
            75..79 => Act::Lost { camera, pictures: self.random.random_range(1..20) },
            79..83 => Act::Withheld { camera, pictures: self.random.random_range(1..20) },
            83..86 => Act::Group { camera, pictures: self.random.random_range(5..50) },
            86..88 => {
                let codec = if self.random.random_bool(0.5) { AudioCodec::Opus } else { AudioCodec::Pcmu };
                Act::Sound { camera: camera.min(HIGH), codec }
            }
            88..90 => {
                self.away[camera] = true;
                let codec = if self.random.random_bool(0.5) { VideoCodec::H264 } else { VideoCodec::H265 };
                Act::Video { camera, codec }
            }
            90..95 => Act::Full(self.time(10..400)),
            95..98 => Act::Late(self.time(10..700)),
            _ => Act::Line { viewer, line: Link::GOOD },
        }
    }

    fn join(&mut self) -> Act {
        let viewer = self.viewers;
        self.viewers += 1;
        let camera = self.random.random_range(0..3);
        self.present.push((viewer, camera != ALONE));
        // Who cannot connect sees nothing: that is another test's.
        let line = if self.random.random_bool(0.5) { Link::GOOD } else { Link::lossy(0.03) };
        Act::Join { viewer, camera, line }
    }

    /// A line with any faults.
    fn line(&mut self) -> Link {
        let random = &mut self.random;
        let mut some = |most: f64| if random.random_bool(0.4) { random.random_range(0.0..most) } else { 0.0 };
        let (loss, reorder, duplicate, part) = (some(0.3), some(0.2), some(0.2), some(0.3));
        let delay = Duration::from_millis(random.random_range(1..150));
        let jitter = Duration::from_millis(random.random_range(0..30));
        let bursts = (part > 0.0).then(|| Bursts::new(random.random_range(2.0..60.0), part));
        let down = random.random_bool(0.15);
        // The stream has about 150 kB a second.
        let narrow = random.random_bool(0.2).then(|| Narrow {
            rate: random.random_range(30_000.0..250_000.0),
            queue: Duration::from_millis(random.random_range(30..600)),
        });
        Link { narrow, delay, jitter, loss, bursts, reorder, duplicate, down, ..Link::GOOD }
    }
}
