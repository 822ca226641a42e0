//! Which library seals media: the faster one on this machine, or the one that the configuration names.
//!
//! Owns the measurement at the start and the decision. A shell: it reads the clock. What the libraries are and that they
//! write the same bytes is [`sluice_media::srtp`]'s.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it measures, with the clock")]

use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

use sluice_config::Cipher;
use sluice_media::srtp::{Header, Keying, Library, PacketIndex, Sealer, SendKeys};
use str0m::crypto::dtls::SrtpProfile;
use str0m::crypto::from_feature_flags;
use zeroize::Zeroizing;

/// Keys that are measured with in turn, as a shard seals for one viewer after the other: with their schedules more than
/// the first-level cache holds. More need longer to set up, fewer measure a cipher that no shard has.
const KEYS: usize = 256;

/// Packets of a picture, for each key in turn.
const PACKETS: usize = 4;

/// Bytes of a payload: most packets of most cameras are full.
const PAYLOAD: usize = 1_200;

/// Rounds of each library, in turn. The fastest counts: whatever else runs only adds. More take longer (0.4 ms each),
/// fewer may all be disturbed.
const ROUNDS: usize = 5;

/// Of how many parts aws-lc's time ring must save one to be chosen: below that it is noise, and the choice of a machine
/// would differ from start to start.
const WORTH: u32 = 20;

/// Where sealed packets go, in turn: as much as a batch of a shard holds.
const ARENA: usize = 512 * 1024;

/// `abs-send-time` alone in its block (RFC 8285 §4.2), as most viewers get it.
const EXTENSION: [u8; 8] = [0xbe, 0xde, 0, 1, 0x12, 0, 0, 0];

/// What was chosen, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// Who seals.
    pub library: Library,
    /// Whether the configuration named it.
    forced: bool,
    /// What sealing a packet of 1,200 bytes costs by each, the copy included.
    costs: [(Library, Duration); 2],
}

impl Choice {
    /// Measures both libraries, which takes some milliseconds, and chooses.
    pub fn make(wanted: Cipher) -> Choice {
        Choice::of(wanted, measure())
    }

    fn of(wanted: Cipher, [aws_lc, ring]: [Duration; 2]) -> Choice {
        let library = match wanted {
            Cipher::AwsLc => Library::AwsLc,
            Cipher::Ring => Library::Ring,
            Cipher::Auto if ring + aws_lc / WORTH <= aws_lc => Library::Ring,
            Cipher::Auto => Library::AwsLc,
        };
        let costs = [(Library::AwsLc, aws_lc), (Library::Ring, ring)];
        Choice { library, forced: wanted != Cipher::Auto, costs }
    }

    fn chosen(&self) -> Duration {
        self.costs
            .iter()
            .find(|(library, _)| *library == self.library)
            .map_or(Duration::ZERO, |(_, cost)| *cost)
    }

    /// Whether the configuration named it.
    pub fn is_forced(&self) -> bool {
        self.forced
    }

    /// What sealing a packet of 1,200 bytes costs by each library.
    pub fn costs(&self) -> [(Library, Duration); 2] {
        self.costs
    }
}

/// As the log has it.
impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [(one, this), (other, that)] = self.costs.map(|(library, cost)| (library, cost.as_nanos()));
        let is_fastest =
            self.costs.iter().all(|(library, cost)| *library == self.library || *cost >= self.chosen());
        let why = match (self.forced, is_fastest) {
            (true, _) => "as srtp.cipher says",
            (false, true) => "by measurement",
            (false, false) => "by measurement (the other is no faster by a figure that counts)",
        };
        write!(
            f,
            "{} seals media, {why}: a packet of {PAYLOAD} bytes takes {one} {this} ns, {other} {that} ns",
            self.library
        )
    }
}

/// What a packet costs by each of [`Library::ALL`].
fn measure() -> [Duration; 2] {
    let crypto = from_feature_flags();
    // What browsers agree on.
    let profile = SrtpProfile::AEAD_AES_256_GCM;
    let keys = |number: usize| {
        let bytes = (0..profile.keying_material_len()).map(|at| (at * 31 + number) as u8).collect();
        let keying = Keying { material: Zeroizing::new(bytes), profile, active: false };
        SendKeys::derive(&keying, &crypto)
            .expect("the profile is one of ours, and the material as long as it says")
    };
    let keys: Vec<SendKeys> = (0..KEYS).map(keys).collect();
    let mut rounds = Library::ALL.map(|library| Round {
        sealers: keys.iter().filter_map(|keys| Sealer::new(keys, library)).collect(),
        sealed: 0,
    });
    let mut arena = vec![0; ARENA];
    let payload = [0x55; PAYLOAD];
    let mut best = [Duration::MAX; 2];
    // The first round finds cold caches, and is not the fastest.
    for _ in 0..=ROUNDS {
        for (round, best) in rounds.iter_mut().zip(&mut best) {
            *best = round.run(&payload, &mut arena).min(*best);
        }
    }
    best
}

/// The keys of one library.
struct Round {
    sealers: Vec<Sealer>,
    /// Packets sealed with each.
    sealed: u64,
}

impl Round {
    /// Seals a picture with every key. Returns the time for a packet.
    fn run(&mut self, payload: &[u8], arena: &mut [u8]) -> Duration {
        let began = Instant::now();
        let mut used = 0;
        for sealer in &self.sealers {
            for packet in 0..PACKETS {
                if arena.len() - used < PAYLOAD + 100 {
                    used = 0;
                }
                let header = Header {
                    payload_type: 96.into(),
                    marker: packet + 1 == PACKETS,
                    index: PacketIndex(self.sealed + packet as u64),
                    timestamp: 1,
                    ssrc: 1.into(),
                    extension: &EXTENSION,
                    padding: 0,
                };
                let sealed = sealer.rtp(header, &[], payload, &mut arena[used..]);
                used += sealed.map_or(0, |sealed| sealed.len());
            }
        }
        black_box(arena);
        self.sealed += PACKETS as u64;
        began.elapsed() / (KEYS * PACKETS) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NS: Duration = Duration::from_nanos(1);

    #[test]
    fn the_faster_library_is_chosen_and_aws_lc_where_it_makes_no_difference() {
        for (aws_lc, ring, chosen) in [
            (600, 300, Library::Ring),
            (300, 600, Library::AwsLc),
            (300, 300, Library::AwsLc),
            (300, 286, Library::AwsLc),
            (300, 285, Library::Ring),
        ] {
            let choice = Choice::of(Cipher::Auto, [NS * aws_lc, NS * ring]);
            assert_eq!(choice.library, chosen, "{choice}");
        }
    }

    #[test]
    fn the_configuration_can_name_the_slower_one_and_the_log_says_so() {
        let choice = Choice::of(Cipher::AwsLc, [NS * 600, NS * 300]);
        assert_eq!(choice.library, Library::AwsLc);
        let text = choice.to_string();
        assert_eq!(
            text,
            "aws-lc seals media, as srtp.cipher says: a packet of 1200 bytes takes aws-lc 600 ns, ring 300 ns"
        );
        assert_eq!(Choice::of(Cipher::Ring, [NS * 300, NS * 600]).library, Library::Ring);
    }

    #[test]
    fn both_libraries_are_measured_each_with_keys_of_its_own() {
        let choice = Choice::make(Cipher::Auto);
        for (library, cost) in choice.costs() {
            assert!(cost > Duration::ZERO && cost < Duration::MAX, "{library}: {cost:?}");
        }
        assert!(choice.to_string().contains("by measurement"));
    }
}
