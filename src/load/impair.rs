//! A bad last mile, made at the receiver: loss, bursts of loss, reordering and duplication.
//!
//! Owns the random decisions of one viewer, the same for the same seed, and counts each of them, so
//! that what a report says can be compared with what was done. Never touches a packet.

/// What to do to packets; probabilities from 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Impairment {
    /// A packet is lost, each on its own.
    pub loss: f64,
    /// A burst of loss begins at a packet.
    pub burst: f64,
    /// Mean length of a burst in packets, at least 1.
    pub burst_length: f64,
    /// A packet is held back until [`HELD_FOR`] others have passed it.
    pub reorder: f64,
    /// A packet comes twice.
    pub duplicate: f64,
}

/// Packets that pass one that is held back.
pub const HELD_FOR: u32 = 3;

/// What happens to one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    Pass,
    /// It is lost.
    Lose,
    /// It arrives after [`HELD_FOR`] others.
    Hold,
    /// It arrives twice.
    Double,
}

/// What was done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Done {
    /// Media packets lost.
    pub lost: u64,
    /// Retransmissions lost.
    pub repairs_lost: u64,
    /// Packets held back.
    pub held: u64,
    /// Packets doubled.
    pub doubled: u64,
}

impl std::ops::AddAssign for Done {
    fn add_assign(&mut self, other: Done) {
        self.lost += other.lost;
        self.repairs_lost += other.repairs_lost;
        self.held += other.held;
        self.doubled += other.doubled;
    }
}

/// The last mile of one viewer.
#[derive(Debug, Clone)]
pub struct Path {
    impairment: Impairment,
    state: u64,
    in_burst: bool,
    /// Packets that still have to pass the one held back; 0 if none is.
    holding: u32,
    done: Done,
}

impl Path {
    /// A path whose decisions follow from `seed` alone.
    pub fn new(impairment: Impairment, seed: u64) -> Path {
        Path { impairment, state: seed, in_burst: false, holding: 0, done: Done::default() }
    }

    /// From now on the path is like this.
    #[cfg(test)]
    pub fn impair(&mut self, impairment: Impairment) {
        self.impairment = impairment;
    }

    /// What was done so far.
    pub fn done(&self) -> Done {
        self.done
    }

    /// Decides about one packet.
    pub fn decide(&mut self, is_repair: bool) -> Fate {
        let Impairment { loss, burst, burst_length, reorder, duplicate } = self.impairment;
        // Gilbert's model: two states, left with the probabilities that give the lengths asked for.
        let leaves = self.chance(if self.in_burst { 1.0 / burst_length.max(1.0) } else { burst });
        self.in_burst ^= leaves;
        if self.in_burst || self.chance(loss) {
            *if is_repair { &mut self.done.repairs_lost } else { &mut self.done.lost } += 1;
            Fate::Lose
        } else if self.holding == 0 && self.chance(reorder) {
            self.holding = HELD_FOR;
            self.done.held += 1;
            Fate::Hold
        } else if self.chance(duplicate) {
            self.done.doubled += 1;
            Fate::Double
        } else {
            Fate::Pass
        }
    }

    /// A packet has arrived. Returns whether the one held back arrives now, behind it.
    pub fn releases(&mut self) -> bool {
        let last = self.holding == 1;
        self.holding = self.holding.saturating_sub(1);
        last
    }

    fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && ((self.random() >> 11) as f64) < probability * (1_u64 << 53) as f64
    }

    /// SplitMix64: small, and the same for a seed in every version of every crate.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(impairment: Impairment, seed: u64) -> Vec<Fate> {
        let mut path = Path::new(impairment, seed);
        let decide = |_| {
            let fate = path.decide(false);
            path.releases();
            fate
        };
        (0..100_000).map(decide).collect()
    }

    fn share(fates: &[Fate], wanted: Fate) -> f64 {
        fates.iter().filter(|fate| **fate == wanted).count() as f64 / fates.len() as f64
    }

    #[test]
    fn a_seed_decides_everything() {
        let impairment = Impairment { loss: 0.05, reorder: 0.01, ..Impairment::default() };
        assert_eq!(fates(impairment, 7), fates(impairment, 7));
        assert_ne!(fates(impairment, 7), fates(impairment, 8));
        assert_eq!(share(&fates(Impairment::default(), 7), Fate::Pass), 1.0);
    }

    #[test]
    fn shares_are_what_was_asked_for() {
        let impairment = Impairment { loss: 0.05, reorder: 0.02, duplicate: 0.01, ..Impairment::default() };
        let fates = fates(impairment, 1);
        assert!((share(&fates, Fate::Lose) - 0.05).abs() < 0.003);
        // Only one packet is held back at a time.
        assert!((share(&fates, Fate::Hold) - 0.02).abs() < 0.003);
        assert!((share(&fates, Fate::Double) - 0.01).abs() < 0.002);
    }

    #[test]
    fn bursts_have_their_length() {
        let impairment = Impairment { burst: 0.002, burst_length: 8.0, ..Impairment::default() };
        let fates = fates(impairment, 1);
        let bursts = fates.windows(2).filter(|pair| pair[0] != Fate::Lose && pair[1] == Fate::Lose).count();
        let lost = fates.iter().filter(|fate| **fate == Fate::Lose).count();
        let mean = lost as f64 / bursts as f64;
        assert!((6.5..9.5).contains(&mean), "{mean}");
    }
}
