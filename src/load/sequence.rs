//! What became of the packets of one RTP stream, told from their sequence numbers alone.
//!
//! Owns the unwrapping to 64 bits and the count of received, lost, repaired, duplicate and reordered
//! packets. Needs no key: sequence numbers are in the clear (RFC 3711 §3.1). Never looks at time.

use std::ops::Range;

/// Packets behind the highest one of which we know whether they came.
///
/// 8 s of a 250 packets a second video. Raising it costs a bit per packet and stream; what comes later
/// than that is `stale` and stays lost.
const WINDOW: u64 = 2_048;

const WORDS: usize = WINDOW as usize / 64;

/// What one packet was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// The next in order, or the first of all.
    Next,
    /// Ahead of packets that have not come: these.
    Ahead(Range<u64>),
    /// One that had been missing.
    Late,
    /// Came before already.
    Duplicate,
    /// Too old to tell, or after [`Sequence::freeze`].
    Ignored,
}

/// Counts of one stream; those of many add up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Packets from the first to the highest sequence number seen.
    pub expected: u64,
    /// Different packets that came as themselves, in order or not.
    pub received: u64,
    /// Different packets that came only because they were asked for again.
    pub repaired: u64,
    /// Different packets that did not come, and whose payload a later one brought along (RED).
    pub recovered: u64,
    /// Packets that came again. Repairs of what was there already count too.
    pub duplicates: u64,
    /// Packets that came after a later one, without having been asked for again.
    pub reordered: u64,
    /// Packets older than what is remembered.
    pub stale: u64,
    /// Times that the numbering began anew somewhere else.
    pub restarts: u64,
}

impl Counts {
    /// Packets that did not come as themselves: what the path (or the server) lost.
    pub fn lost_before_repair(&self) -> u64 {
        self.expected.saturating_sub(self.received)
    }

    /// Packets that never came: what the viewer lost.
    pub fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.received + self.repaired + self.recovered)
    }

    /// [`Counts::lost_before_repair`] as a part of all.
    pub fn share_lost_before_repair(&self) -> f64 {
        self.lost_before_repair() as f64 / self.expected.max(1) as f64
    }

    /// [`Counts::lost`] as a part of all.
    pub fn share_lost(&self) -> f64 {
        self.lost() as f64 / self.expected.max(1) as f64
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.expected += other.expected;
        self.received += other.received;
        self.repaired += other.repaired;
        self.recovered += other.recovered;
        self.duplicates += other.duplicates;
        self.reordered += other.reordered;
        self.stale += other.stale;
        self.restarts += other.restarts;
    }
}

/// One stream: one SSRC.
#[derive(Debug, Clone)]
pub struct Sequence {
    highest: u64,
    /// One bit for each of the [`WINDOW`] packets up to the highest, at its number modulo the window.
    seen: [u64; WORDS],
    /// The number after a stale packet: two in a row are a restart (RFC 3550 A.1).
    stale_next: Option<u16>,
    frozen: bool,
    counts: Counts,
}

impl Sequence {
    /// A stream whose first packet is `first`. Its rollover counter is taken to be 0, as a receiver has
    /// to (RFC 3711 §3.3.1).
    pub fn starting_at(first: u16) -> Sequence {
        let mut sequence = Sequence {
            highest: u64::from(first),
            seen: [0; WORDS],
            stale_next: None,
            frozen: false,
            counts: Counts { expected: 1, received: 1, ..Counts::default() },
        };
        sequence.mark(u64::from(first));
        sequence
    }

    /// Counts so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The highest number seen, unwrapped.
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// The number nearest to the highest one seen that ends in `number`; none before the beginning.
    pub fn unwrap(&self, number: u16) -> Option<u64> {
        let distance = number.wrapping_sub(self.highest as u16) as i16;
        self.highest.checked_add_signed(i64::from(distance))
    }

    /// Counts a packet. `asked` says whether a number has been asked for again (NACK).
    pub fn receive(&mut self, number: u16, asked: impl FnOnce(u64) -> bool) -> Arrival {
        let Some(at) = self.unwrap(number) else { return self.stale(number) };
        if at > self.highest {
            return self.advance(at);
        }
        if self.highest - at >= WINDOW {
            return self.stale(number);
        }
        if self.is_seen(at) {
            self.counts.duplicates += 1;
            return Arrival::Duplicate;
        }
        self.mark(at);
        if asked(at) {
            self.counts.repaired += 1;
        } else {
            self.counts.received += 1;
            self.counts.reordered += 1;
        }
        Arrival::Late
    }

    /// Counts a packet that came as a retransmission in a stream of its own (RFC 4588).
    pub fn repair(&mut self, number: u16) -> Arrival {
        match self.unwrap(number) {
            Some(at) if at <= self.highest && self.highest - at < WINDOW => {
                if self.is_seen(at) {
                    self.counts.duplicates += 1;
                    return Arrival::Duplicate;
                }
                self.mark(at);
                self.counts.repaired += 1;
                Arrival::Late
            }
            // Never asked for: ahead of the stream, or older than anything remembered.
            _ => {
                self.counts.stale += 1;
                Arrival::Ignored
            }
        }
    }

    /// Counts a payload that came within a later packet (RFC 2198): that of the packet `number`, unwrapped. Should that one come
    /// late nevertheless, it is a duplicate.
    pub fn recover(&mut self, number: u64) {
        // What was sent before the first that came is not missed.
        let missed = self.highest.saturating_sub(number) < WINDOW.min(self.counts.expected);
        if number <= self.highest && missed && !self.is_seen(number) {
            self.mark(number);
            self.counts.recovered += 1;
        }
    }

    /// From now on only what is missing is taken: the end of a measurement.
    pub fn freeze(&mut self) {
        self.frozen = true;
    }

    fn advance(&mut self, at: u64) -> Arrival {
        if self.frozen {
            return Arrival::Ignored;
        }
        self.stale_next = None;
        let missing = self.highest + 1..at;
        for number in missing.clone().rev().take(WINDOW as usize) {
            self.unmark(number);
        }
        self.counts.expected += at - self.highest;
        self.counts.received += 1;
        self.highest = at;
        self.mark(at);
        if missing.is_empty() { Arrival::Next } else { Arrival::Ahead(missing) }
    }

    fn stale(&mut self, number: u16) -> Arrival {
        if self.stale_next.replace(number.wrapping_add(1)) != Some(number) || self.frozen {
            self.counts.stale += 1;
            return Arrival::Ignored;
        }
        // The packet before this one was the first of the new numbering, and is counted now.
        let mut counts = self.counts;
        counts.stale -= 1;
        counts.restarts += 1;
        counts.expected += 2;
        counts.received += 2;
        // The rollover counter stays: the key is the same one.
        let highest = ((self.highest >> 16) << 16) | u64::from(number);
        *self = Sequence { highest, counts, ..Sequence::starting_at(number) };
        self.seen = [0; WORDS];
        self.mark(highest);
        if let Some(before) = highest.checked_sub(1) {
            self.mark(before);
        }
        Arrival::Next
    }

    fn is_seen(&self, at: u64) -> bool {
        let bit = at % WINDOW;
        self.seen[(bit / 64) as usize] & (1 << (bit % 64)) != 0
    }

    fn mark(&mut self, at: u64) {
        let bit = at % WINDOW;
        self.seen[(bit / 64) as usize] |= 1 << (bit % 64);
    }

    fn unmark(&mut self, at: u64) {
        let bit = at % WINDOW;
        self.seen[(bit / 64) as usize] &= !(1 << (bit % 64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(first: u16, rest: impl IntoIterator<Item = u16>) -> Sequence {
        let mut sequence = Sequence::starting_at(first);
        for number in rest {
            sequence.receive(number, |_| false);
        }
        sequence
    }

    #[test]
    fn everything_in_order_loses_nothing_across_a_wrap() {
        let sequence = feed(65_000, (65_001..=65_535).chain(0..3_000));
        let expected = 536 + 3_000;
        assert_eq!(sequence.counts(), Counts { expected, received: expected, ..Counts::default() });
        assert_eq!(sequence.highest(), 65_536 + 2_999);
    }

    #[test]
    fn missing_packets_are_named_and_lost() {
        let mut sequence = feed(65_533, [65_534]);
        assert_eq!(sequence.receive(2, |_| false), Arrival::Ahead(65_535..65_538));
        assert_eq!(sequence.counts().lost(), 3);
        assert_eq!(sequence.receive(65_535, |_| false), Arrival::Late);
        assert_eq!((sequence.counts().lost(), sequence.counts().reordered), (2, 1));
        assert_eq!(sequence.receive(65_535, |_| false), Arrival::Duplicate);
        assert_eq!((sequence.counts().lost(), sequence.counts().duplicates), (2, 1));
    }

    #[test]
    fn what_was_asked_for_again_is_a_repair_not_a_reordering() {
        let mut sequence = feed(10, [14]);
        sequence.receive(11, |at| at == 11);
        assert_eq!(sequence.repair(12), Arrival::Late);
        assert_eq!(sequence.repair(12), Arrival::Duplicate);
        let counts = sequence.counts();
        assert_eq!((counts.repaired, counts.reordered, counts.duplicates), (2, 0, 1));
        assert_eq!((counts.lost_before_repair(), counts.lost()), (3, 1));
    }

    #[test]
    fn what_a_later_packet_brought_along_is_lost_on_the_way_and_not_missed() {
        let mut sequence = feed(10, [11, 13, 16]);
        for brought in [9, 10, 12, 12, 15, 17] {
            sequence.recover(brought);
        }
        let counts = sequence.counts();
        assert_eq!((counts.expected, counts.received, counts.recovered), (7, 4, 2));
        assert_eq!((counts.lost_before_repair(), counts.lost()), (3, 1));
        assert_eq!(sequence.receive(12, |_| false), Arrival::Duplicate);
    }

    #[test]
    fn a_frozen_stream_takes_repairs_only() {
        let mut sequence = feed(1, [3]);
        sequence.freeze();
        assert_eq!(sequence.receive(4, |_| false), Arrival::Ignored);
        assert_eq!(sequence.repair(2), Arrival::Late);
        assert_eq!((sequence.counts().expected, sequence.counts().lost()), (3, 0));
    }

    #[test]
    fn the_window_forgets_what_it_has_passed() {
        // 5,000 ahead: the bits of the packets before must not stand for those after.
        let mut sequence = feed(0, [5_000]);
        assert_eq!(sequence.receive(4_999, |_| false), Arrival::Late);
        assert_eq!(sequence.receive(5_000 - 2_047, |_| false), Arrival::Late);
        assert_eq!(sequence.receive(5_000 - 2_048, |_| false), Arrival::Ignored);
        assert_eq!(sequence.counts().lost(), 4_997);
    }

    #[test]
    fn a_numbering_that_begins_anew_is_not_a_loss() {
        let mut sequence = feed(30_000, [30_001, 1_000, 1_001, 1_002]);
        let counts = sequence.counts();
        assert_eq!((counts.restarts, counts.stale), (1, 0));
        assert_eq!((counts.expected, counts.received, counts.lost()), (5, 5, 0));
        assert_eq!(sequence.receive(1_000, |_| false), Arrival::Duplicate);
    }

    #[test]
    fn one_stray_packet_is_not_a_beginning() {
        let sequence = feed(30_000, [1_000, 30_001, 1_002]);
        assert_eq!((sequence.counts().restarts, sequence.counts().stale), (0, 2));
    }
}
