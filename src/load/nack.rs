//! Which missing packets to ask for again, and when: as a browser does.
//!
//! Owns the list of missing packets of one stream. Never counts loss (that is [`super::sequence`]) and
//! never reads a clock.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Missing packets at the most; more are given up at once, as libwebrtc does. More of them ask a
/// server to send seconds of video again, fewer give up in one long burst of loss.
const MISSING_MAX: usize = 1_000;

/// Times that a packet is asked for. libwebrtc's figure.
const TRIES: u8 = 10;

/// Time between two requests for one packet: a round trip. A browser that cannot know it takes 100 ms.
const RETRY: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy)]
struct Missing {
    due: Instant,
    tries: u8,
}

/// The missing packets of one stream.
#[derive(Debug, Default)]
pub struct Nacks {
    missing: BTreeMap<u64, Missing>,
}

impl Nacks {
    /// Packets turned out to be missing. Returns `false` if they were too many and all were given up:
    /// only a keyframe helps then.
    pub fn missing(&mut self, now: Instant, packets: Range<u64>) -> bool {
        let many = packets.end - packets.start;
        if many > MISSING_MAX as u64 || self.missing.len() + many as usize > MISSING_MAX {
            self.missing.clear();
            return false;
        }
        self.missing.extend(packets.map(|packet| (packet, Missing { due: now, tries: 0 })));
        true
    }

    /// A packet came. Returns whether it had been asked for.
    pub fn arrived(&mut self, packet: u64) -> bool {
        self.missing.remove(&packet).is_some_and(|missing| missing.tries > 0)
    }

    /// When [`Nacks::poll`] has something to say, if ever.
    pub fn deadline(&self) -> Option<Instant> {
        self.missing.values().map(|missing| missing.due).min()
    }

    /// Appends what to ask for now, in ascending order, and returns how many were given up.
    pub fn poll(&mut self, now: Instant, ask: &mut Vec<u16>) -> usize {
        let before = self.missing.len();
        self.missing.retain(|_, missing| missing.due > now || missing.tries < TRIES);
        for (packet, missing) in &mut self.missing {
            if missing.due <= now {
                missing.due = now + RETRY;
                missing.tries += 1;
                ask.push(*packet as u16);
            }
        }
        before - self.missing.len()
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests need some instant")]
mod tests {
    use super::*;

    #[test]
    fn a_missing_packet_is_asked_for_until_it_comes() {
        let (mut nacks, now, mut ask) = (Nacks::default(), Instant::now(), Vec::new());
        assert!(nacks.missing(now, 65_535..65_538));
        assert_eq!(nacks.poll(now, &mut ask), 0);
        assert_eq!(ask, [65_535, 0, 1]);
        assert!(nacks.arrived(65_536));
        assert!(!nacks.arrived(65_536), "only once");
        ask.clear();
        nacks.poll(now + RETRY / 2, &mut ask);
        assert_eq!(ask, [0; 0], "not before a round trip has passed");
        nacks.poll(now + RETRY, &mut ask);
        assert_eq!(ask, [65_535, 1]);
    }

    #[test]
    fn a_packet_that_never_comes_is_given_up() {
        let (mut nacks, mut now) = (Nacks::default(), Instant::now());
        nacks.missing(now, 1..2);
        let mut asked = 0;
        let given_up = loop {
            let mut ask = Vec::new();
            let given_up = nacks.poll(now, &mut ask);
            asked += ask.len();
            match nacks.deadline() {
                Some(deadline) => now = deadline,
                None => break given_up,
            }
        };
        assert_eq!((asked, given_up), (usize::from(TRIES), 1));
    }

    #[test]
    fn a_packet_that_was_only_late_had_not_been_asked_for() {
        let (mut nacks, now) = (Nacks::default(), Instant::now());
        nacks.missing(now, 1..2);
        assert!(!nacks.arrived(1));
    }

    #[test]
    fn too_many_missing_packets_are_given_up_at_once() {
        let (mut nacks, now) = (Nacks::default(), Instant::now());
        assert!(nacks.missing(now, 0..600));
        assert!(!nacks.missing(now, 700..1_200));
        assert_eq!(nacks.deadline(), None);
    }
}
