//! The way from a server to one viewer: packets are lost, doubled and overtaken by a seed, and each is counted.
//!
//! The dice are those of `sluice load`; what they decide is done here, and counted here, because the counting of
//! `sluice load` is what is judged.

use sluice_load::impair::{Fate, Impairment, Path};

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
    media: Path,
    repairs: Path,
    /// Media packets there will be.
    total: u64,
    held: Vec<u8>,
    pub done: Done,
}

impl Link {
    pub fn new(shares: Shares, seed: u64, total: u64) -> Link {
        let Shares { lost, repairs_lost, doubled, held } = shares;
        let of_media = Impairment { loss: lost, duplicate: doubled, reorder: held, ..Impairment::default() };
        let of_repairs = Impairment { loss: repairs_lost, ..Impairment::default() };
        let (media, repairs) = (Path::new(of_media, seed), Path::new(of_repairs, !seed));
        Link { media, repairs, total, held: Vec::new(), done: Done::default() }
    }

    /// What arrives when this is sent, in order.
    pub fn pass(&mut self, datagram: &[u8], is_repair: bool) -> Vec<Vec<u8>> {
        if is_repair {
            let lost = self.repairs.decide(true) == Fate::Lose;
            *if lost { &mut self.done.repairs_lost } else { &mut self.done.repairs } += 1;
            return if lost { Vec::new() } else { vec![datagram.to_vec()] };
        }
        self.done.media += 1;
        let spared = self.done.media <= SPARED || self.done.media + SPARED > self.total;
        let fate = if spared { Fate::Pass } else { self.media.decide(false) };
        let mut arriving = match fate {
            Fate::Pass => vec![datagram.to_vec()],
            Fate::Double => {
                self.done.doubled += 1;
                vec![datagram.to_vec(); 2]
            }
            Fate::Lose => {
                self.done.lost += 1;
                return Vec::new();
            }
            Fate::Hold => {
                self.done.held += 1;
                self.held = datagram.to_vec();
                return Vec::new();
            }
        };
        if self.media.releases() {
            arriving.push(std::mem::take(&mut self.held));
        }
        arriving
    }
}
