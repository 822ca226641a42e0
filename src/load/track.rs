//! One RTP stream of one viewer: its counts, its gaps and jitter, and what to report about it.
//!
//! Owns everything that is told from the clear header of media packets, and the list of what to ask
//! for again. Never decrypts and never writes to the network.

use std::time::{Duration, Instant};

use super::nack::Nacks;
use super::packet::Header;
use super::rtcp::ReportBlock;
use super::sequence::{Arrival, Counts, Sequence};

/// Time between two keyframe requests. Browsers ask about as often while they cannot decode.
const KEYFRAME_INTERVAL: Duration = Duration::from_secs(1);

/// One stream.
#[derive(Debug)]
pub struct Track {
    /// Its source.
    pub ssrc: u32,
    /// Its payload type.
    pub payload_type: u8,
    /// Video rather than audio.
    pub video: bool,
    clock: u32,
    sequence: Sequence,
    nacks: Option<Nacks>,
    first_at: Instant,
    last_at: Instant,
    longest_gap: Duration,
    frozen_at: Option<Instant>,
    transit: Transit,
    sender_report: Option<(u32, Instant)>,
    reported: Counts,
    keyframe_wanted: bool,
    keyframe_asked: Option<Instant>,
}

impl Track {
    /// A stream that begins with this packet. `nack` asks for what is missing.
    pub fn starting_with(now: Instant, header: Header, video: bool, clock: u32, nack: bool) -> Track {
        Track {
            ssrc: header.ssrc,
            payload_type: header.payload_type,
            video,
            clock,
            sequence: Sequence::starting_at(header.sequence),
            nacks: nack.then(Nacks::default),
            first_at: now,
            last_at: now,
            longest_gap: Duration::ZERO,
            frozen_at: None,
            transit: Transit { at: now, timestamp: header.timestamp, jitter: 0.0 },
            sender_report: None,
            reported: Counts::default(),
            keyframe_wanted: false,
            keyframe_asked: None,
        }
    }

    /// A packet after the first. Returns its unwrapped number if it is new.
    pub fn handle_packet(&mut self, now: Instant, header: Header) -> Option<u64> {
        let nacks = &mut self.nacks;
        let asked = |at| nacks.as_mut().is_some_and(|nacks| nacks.arrived(at));
        let arrival = self.sequence.receive(header.sequence, asked);
        match arrival {
            Arrival::Duplicate | Arrival::Ignored => return None,
            Arrival::Late => return self.sequence.unwrap(header.sequence),
            Arrival::Next => {}
            Arrival::Ahead(missing) => match &mut self.nacks {
                Some(nacks) => self.keyframe_wanted |= !nacks.missing(now, missing),
                // Without retransmissions only a keyframe mends the picture.
                None => self.keyframe_wanted = true,
            },
        }
        self.longest_gap = self.longest_gap.max(now.saturating_duration_since(self.last_at));
        self.last_at = now;
        self.transit.update(now, header.timestamp, self.clock);
        Some(self.sequence.highest())
    }

    /// Whether a packet is ahead of all that came.
    pub fn is_ahead(&self, header: Header) -> bool {
        self.sequence.unwrap(header.sequence).is_some_and(|number| number > self.sequence.highest())
    }

    /// A retransmission of packet `number`. Returns its unwrapped number if it was missing.
    pub fn handle_repair(&mut self, number: u16) -> Option<u64> {
        if self.sequence.repair(number) != Arrival::Late {
            return None;
        }
        let at = self.sequence.unwrap(number)?;
        if let Some(nacks) = &mut self.nacks {
            nacks.arrived(at);
        }
        Some(at)
    }

    /// The packet of this unwrapped number did not come, perhaps, and its payload did.
    pub fn handle_recovered(&mut self, number: u64) {
        self.sequence.recover(number);
    }

    /// The server's report with these 32 bits of NTP time came.
    pub fn handle_sender_report(&mut self, now: Instant, ntp: u32) {
        self.sender_report = Some((ntp, now));
    }

    /// Nothing new is expected from now on, only what is missing.
    pub fn freeze(&mut self, now: Instant) {
        self.frozen_at = Some(now);
        self.sequence.freeze();
    }

    /// When [`Track::poll_nack`] or [`Track::poll_keyframe_request`] has something to say.
    pub fn deadline(&self) -> Option<Instant> {
        let keyframe = (self.video && self.keyframe_wanted)
            .then(|| self.keyframe_asked.map_or(self.first_at, |asked| asked + KEYFRAME_INTERVAL));
        let nack = self.nacks.as_ref().and_then(Nacks::deadline);
        [keyframe, nack].into_iter().flatten().min()
    }

    /// Appends the packets to ask for now.
    pub fn poll_nack(&mut self, now: Instant, ask: &mut Vec<u16>) {
        if let Some(nacks) = &mut self.nacks {
            self.keyframe_wanted |= nacks.poll(now, ask) > 0;
        }
    }

    /// Whether to ask for a keyframe now.
    pub fn poll_keyframe_request(&mut self, now: Instant) -> bool {
        let due = self.keyframe_asked.is_none_or(|asked| now >= asked + KEYFRAME_INTERVAL);
        let ask = self.video && self.keyframe_wanted && due;
        if ask {
            self.keyframe_asked = Some(now);
        }
        self.keyframe_wanted &= !ask;
        ask
    }

    /// What a receiver report says about this stream now. Loss is what the path lost (RFC 4588 §5).
    pub fn report_block(&mut self, now: Instant) -> ReportBlock {
        let counts = self.sequence.counts();
        let before = std::mem::replace(&mut self.reported, counts);
        let expected = counts.expected - before.expected;
        let lost = counts.lost_before_repair().saturating_sub(before.lost_before_repair());
        ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: (lost * 256).checked_div(expected).unwrap_or(0).min(255) as u8,
            lost: counts.lost_before_repair().try_into().unwrap_or(u32::MAX),
            highest: self.sequence.highest() as u32,
            jitter: self.transit.jitter as u32,
            last_report: self.sender_report.map_or(0, |(ntp, _)| ntp),
            since_last_report: self
                .sender_report
                .map_or(Duration::ZERO, |(_, at)| now.saturating_duration_since(at)),
        }
    }

    /// Counts so far.
    pub fn counts(&self) -> Counts {
        self.sequence.counts()
    }

    /// The longest time without a new packet, up to now (or to when it was frozen).
    pub fn longest_gap(&self, now: Instant) -> Duration {
        let until = self.frozen_at.unwrap_or(now);
        self.longest_gap.max(until.saturating_duration_since(self.last_at))
    }

    /// Interarrival jitter.
    pub fn jitter(&self) -> Duration {
        Duration::from_secs_f64(self.transit.jitter / f64::from(self.clock))
    }
}

/// Interarrival jitter (RFC 3550 §6.4.1).
#[derive(Debug)]
struct Transit {
    at: Instant,
    timestamp: u32,
    /// In ticks of the clock.
    jitter: f64,
}

impl Transit {
    fn update(&mut self, now: Instant, timestamp: u32, clock: u32) {
        let arrived = now.saturating_duration_since(self.at).as_secs_f64() * f64::from(clock);
        let sent = f64::from(timestamp.wrapping_sub(self.timestamp) as i32);
        self.jitter += ((arrived - sent).abs() - self.jitter) / 16.0;
        (self.at, self.timestamp) = (now, timestamp);
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests need some instant")]
mod tests {
    use super::*;

    fn header(sequence: u16) -> Header {
        let timestamp = u32::from(sequence) * 3_000;
        Header { payload_type: 96, marker: true, padding: false, sequence, timestamp, ssrc: 1, length: 12 }
    }

    fn at(start: Instant, frame: u16) -> Instant {
        start + Duration::from_secs_f64(f64::from(frame) / 30.0)
    }

    #[test]
    fn a_steady_stream_has_no_jitter_and_a_stall_is_its_longest_gap() {
        let start = Instant::now();
        let mut track = Track::starting_with(start, header(0), true, 90_000, true);
        for frame in 1..30 {
            track.handle_packet(at(start, frame), header(frame));
        }
        assert!(track.jitter() < Duration::from_millis(1), "{:?}", track.jitter());
        assert_eq!(track.longest_gap(at(start, 29)).as_millis(), 33);
        track.handle_packet(at(start, 60), header(30));
        assert_eq!(track.longest_gap(at(start, 60)).as_millis(), 1_033);
        assert!(track.jitter() > Duration::from_millis(50));
        assert_eq!(track.longest_gap(at(start, 120)).as_secs(), 2, "silence until now counts");
        track.freeze(at(start, 61));
        assert_eq!(track.longest_gap(at(start, 120)).as_millis(), 1_033, "but not after the end");
    }

    #[test]
    fn a_report_tells_the_loss_since_the_last_one() {
        let start = Instant::now();
        let mut track = Track::starting_with(start, header(0), true, 90_000, false);
        track.handle_packet(start, header(3));
        let block = track.report_block(start);
        assert_eq!((block.fraction_lost, block.lost, block.highest), (128, 2, 3));
        track.handle_packet(start, header(4));
        let block = track.report_block(start);
        assert_eq!((block.fraction_lost, block.lost), (0, 2));
    }

    #[test]
    fn without_nack_a_loss_asks_for_a_keyframe_once_a_second() {
        let start = Instant::now();
        let mut track = Track::starting_with(start, header(0), true, 90_000, false);
        assert!(!track.poll_keyframe_request(start));
        track.handle_packet(start, header(2));
        assert!(track.poll_keyframe_request(start));
        track.handle_packet(start, header(4));
        assert!(!track.poll_keyframe_request(start));
        assert_eq!(track.deadline(), Some(start + KEYFRAME_INTERVAL));
        assert!(track.poll_keyframe_request(start + KEYFRAME_INTERVAL));
    }
}
