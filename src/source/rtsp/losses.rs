//! How many of a camera's packets are missing, in which words that is told, and when it is worth another way of media.
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

/// One packet missing of so many is heavy, where TCP may be taken instead: a picture of a dozen packets is seldom whole. Raising it
/// takes TCP for less; lowering it lets more pictures stand still.
const HEAVY: u64 = 20;

/// Heavy loss is judged over spans of this length, and has to go on for so many of them. Longer lets pictures stand still for
/// longer; shorter takes a moment's accident for the line.
const SPAN: Duration = Duration::from_secs(2);
const SPANS: u32 = 3;

/// Fewer packets in a span tell nothing of it.
const MIN_SPAN: u64 = 30;

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

/// What was lost while it was heavy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heavy {
    pub(super) lost: u64,
    pub(super) expected: u64,
    pub(super) time: Duration,
}

/// Watches for loss that goes on. What came late and was put in its place is not lost.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Since when this span goes on, and what it has.
    since: Option<Instant>,
    span: (u64, u64),
    /// Spans in a row that were heavy, and what all of them have.
    heavy: u32,
    all: (u64, u64),
}

impl Watch {
    /// Takes a packet with `lost` ones before it: what was lost, once that has been heavy for long enough.
    pub(super) fn count(&mut self, lost: u16, received: Instant) -> Option<Heavy> {
        let since = *self.since.get_or_insert(received);
        self.span = (self.span.0 + u64::from(lost), self.span.1 + u64::from(lost) + 1);
        let time = received.saturating_duration_since(since);
        if time < SPAN || self.span.1 < MIN_SPAN {
            return None;
        }
        let (lost, expected) = std::mem::take(&mut self.span);
        self.since = Some(received);
        if lost * HEAVY < expected {
            (self.heavy, self.all) = (0, (0, 0));
            return None;
        }
        self.heavy += 1;
        self.all = (self.all.0 + lost, self.all.1 + expected);
        let (lost, expected) = self.all;
        (self.heavy >= SPANS).then_some(Heavy { lost, expected, time: SPAN * self.heavy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant serves")]
    fn loss_is_heavy_when_it_goes_on_and_not_before() {
        let start = Instant::now();
        // At 50 packets a second, of which each `every`th is lost in the seconds that `bad` says.
        let first = |every: u64, bad: &dyn Fn(u64) -> bool| {
            let mut watch = Watch::default();
            (0..60 * 50_u64).find_map(|number| {
                let lost = bad(number / 50) && number % every == 0;
                watch.count(u16::from(lost), start + Duration::from_millis(number * 20))
            })
        };
        let heavy = first(3, &|_| true).expect("25 of 100");
        assert!((6..=7).contains(&heavy.time.as_secs()), "{heavy:?}");
        assert!((heavy.lost * 4).abs_diff(heavy.expected) <= 4, "{heavy:?}");
        assert_eq!(first(50, &|_| true), None, "two of 100 are borne");
        assert_eq!(first(2, &|second| second % 10 < 3), None, "so are accidents");
        // An outage, in one gap.
        let mut watch = Watch::default();
        let outage = (0..500_u64).find_map(|number| {
            let lost = if number == 100 { 3_000 } else { 0 };
            watch.count(lost, start + Duration::from_millis(number * 20))
        });
        assert_eq!(outage, None);
    }

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
