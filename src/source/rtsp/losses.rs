//! How many of a camera's packets are missing, and in which words that is told.
//!
//! Owns the share over a while. Lost is what never reached us: what happens behind us is not counted here.

use std::time::{Duration, Instant};

use sluice_config::Transport;

/// The share is of the packets of this time. Shorter tells of single accidents; longer tells late.
const WINDOW: Duration = Duration::from_secs(10);

/// Fewer packets than this tell nothing of a share: sound alone has more.
const MIN_PACKETS: u64 = 100;

/// One packet missing of so many is worth a sentence: it costs some picture every few seconds.
const MANY: u64 = 100;

/// Counts packets and missing ones.
#[derive(Debug)]
pub(super) struct Losses {
    transport: Transport,
    since: Option<Instant>,
    expected: u64,
    lost: u64,
    /// Of a hundred, as it was told last; 0 if nothing is.
    told: u64,
}

impl Losses {
    pub(super) fn new(transport: Transport) -> Losses {
        Losses { transport, since: None, expected: 0, lost: 0, told: 0 }
    }

    /// Takes a packet with `lost` ones before it: `true` if there is something else to tell now.
    pub(super) fn count(&mut self, lost: u16, received: Instant) -> bool {
        let since = *self.since.get_or_insert(received);
        self.expected += 1 + u64::from(lost);
        self.lost += u64::from(lost);
        if received.saturating_duration_since(since) < WINDOW || self.expected < MIN_PACKETS {
            return false;
        }
        let share = (self.lost * 100).div_ceil(self.expected);
        let many = self.lost * MANY >= self.expected;
        self.since = Some(received);
        (self.expected, self.lost) = (0, 0);
        // What was told stays until it is twice or half as bad: a sentence that changes with each window is noise.
        let told = match (many, self.told) {
            (false, _) => 0,
            (true, told) if told > 0 && share < told * 2 && share * 2 > told => told,
            (true, _) => share,
        };
        std::mem::replace(&mut self.told, told) != told
    }

    /// What is to be told.
    pub(super) fn note(&self) -> Option<String> {
        let advice = match self.transport {
            Transport::Tcp => {
                "the camera drops what its network does not carry, lower its bitrate or mend its line"
            }
            _ => "try its rtsp_transport tcp, or lower its bitrate",
        };
        let told = self.told;
        (told > 0).then(|| format!("{told} of 100 packets are missing before they reach Sluice: {advice}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `seconds` at 50 packets a second, of which each `every`th is lost.
    fn pass(losses: &mut Losses, now: &mut Instant, seconds: u32, every: u32) -> usize {
        (1..=seconds * 50)
            .filter(|number| {
                *now += Duration::from_millis(20);
                losses.count(u16::from(number % every == 0), *now)
            })
            .count()
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant serves")]
    fn many_are_told_once_and_taken_back_when_it_is_over() {
        let mut now = Instant::now();
        let mut losses = Losses::new(Transport::Tcp);
        assert_eq!(pass(&mut losses, &mut now, 60, 1_000), 0);
        assert_eq!(losses.note(), None);
        assert_eq!(pass(&mut losses, &mut now, 120, 50), 1);
        assert!(losses.note().is_some_and(|note| note.starts_with("2 of 100 packets are missing")));
        assert_eq!(pass(&mut losses, &mut now, 60, 5), 1);
        let note = losses.note().expect("it is worse");
        assert!(note.starts_with("17 of 100") && note.contains("bitrate"), "{note}");
        assert_eq!(pass(&mut losses, &mut now, 60, 10_000), 1);
        assert_eq!(losses.note(), None);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant serves")]
    fn one_accident_and_few_packets_tell_nothing() {
        let start = Instant::now();
        let mut losses = Losses::new(Transport::Udp);
        for second in 0..90 {
            assert!(!losses.count(0, start + Duration::from_secs(second)));
        }
        assert!(!losses.count(4, start));
        assert_eq!(losses.note(), None);
    }
}
