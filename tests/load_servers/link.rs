//! The way from a server to one viewer: packets are lost, doubled and overtaken by a seed, and each is counted.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Packets that overtake one that is held back.
const HELD_FOR: u32 = 3;

/// Media packets that nothing happens to, at the beginning and the end: what is lost there no viewer can know of.
const SPARED: u64 = 8;

/// Shares of packets that something happens to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shares {
    pub lost: f64,
    pub repairs_lost: f64,
    pub doubled: f64,
    pub held: f64,
}

/// What happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// Media packets that were to be sent.
    pub media: u64,
    pub lost: u64,
    pub doubled: u64,
    pub held: u64,
    /// Retransmissions that arrive.
    pub repairs: u64,
    pub repairs_lost: u64,
}

impl std::ops::AddAssign for Done {
    fn add_assign(&mut self, other: Done) {
        self.media += other.media;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.held += other.held;
        self.repairs += other.repairs;
        self.repairs_lost += other.repairs_lost;
    }
}

pub struct Link {
    shares: Shares,
    random: StdRng,
    /// Media packets there will be.
    total: u64,
    held: Option<(Vec<u8>, u32)>,
    pub done: Done,
}

impl Link {
    pub fn new(shares: Shares, seed: u64, total: u64) -> Link {
        Link { shares, random: StdRng::seed_from_u64(seed), total, held: None, done: Done::default() }
    }

    /// What arrives when this is sent, in order.
    pub fn pass(&mut self, datagram: &[u8], is_repair: bool) -> Vec<Vec<u8>> {
        let Shares { lost, repairs_lost, doubled, held } = self.shares;
        if is_repair {
            if self.random.random_bool(repairs_lost) {
                self.done.repairs_lost += 1;
                return Vec::new();
            }
            self.done.repairs += 1;
            return vec![datagram.to_vec()];
        }
        self.done.media += 1;
        let spared = self.done.media <= SPARED || self.done.media + SPARED > self.total;
        if !spared && self.random.random_bool(lost) {
            self.done.lost += 1;
            return Vec::new();
        }
        if !spared && self.held.is_none() && self.random.random_bool(held) {
            self.done.held += 1;
            self.held = Some((datagram.to_vec(), HELD_FOR));
            return Vec::new();
        }
        let mut arriving = vec![datagram.to_vec()];
        if !spared && self.random.random_bool(doubled) {
            self.done.doubled += 1;
            arriving.push(datagram.to_vec());
        }
        if let Some((_, overtaking)) = &mut self.held {
            *overtaking -= 1;
            if *overtaking == 0 {
                arriving.extend(self.held.take().map(|(late, _)| late));
            }
        }
        arriving
    }
}
