//! Whether what arrives is a picture: H.264 payloads put in order, depacketized and checked.
//!
//! Owns the order of packets (waiting a while for repairs) and the rules of RFC 6184: every frame
//! complete, the first one a keyframe with its parameter sets. Never decodes and never decrypts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a packet waits for one before it. Longer than a NACK's third try.
const PATIENCE: Duration = Duration::from_millis(500);

/// Packets that wait at the most: seconds of video. More cost memory, fewer give up on repairs.
const WAITING_MAX: usize = 1_024;

/// What verification found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Verdict {
    /// Packets that were authentic and could be decrypted.
    pub authentic: u64,
    /// Packets that were not: forged, damaged, or under another key.
    pub forged: u64,
    /// Complete frames.
    pub frames: u64,
    /// Complete frames that are keyframes with their parameter sets.
    pub keyframes: u64,
    /// Frames with packets missing.
    pub incomplete: u64,
    /// Frames that break RFC 6184 although no packet of them was missing.
    pub malformed: u64,
    /// Viewers whose first frame was not a keyframe with parameter sets.
    pub bad_starts: u64,
}

impl Verdict {
    /// Everything that must not be, whatever the network did.
    pub fn errors(&self) -> u64 {
        self.forged + self.malformed + self.bad_starts
    }
}

impl std::ops::AddAssign for Verdict {
    fn add_assign(&mut self, other: Verdict) {
        self.authentic += other.authentic;
        self.forged += other.forged;
        self.frames += other.frames;
        self.keyframes += other.keyframes;
        self.incomplete += other.incomplete;
        self.malformed += other.malformed;
        self.bad_starts += other.bad_starts;
    }
}

/// A decrypted packet.
#[derive(Debug, Clone)]
pub struct Plain {
    /// RTP timestamp.
    pub timestamp: u32,
    /// Marker bit: the last of its frame.
    pub marker: bool,
    /// The payload, without padding.
    pub payload: Vec<u8>,
}

/// The check of one H.264 stream.
#[derive(Debug, Default)]
pub struct Frames {
    next: Option<u64>,
    waiting: BTreeMap<u64, (Instant, Plain)>,
    frame: Option<Frame>,
    /// Whether packets were missing just before the frame to come.
    gap: bool,
    verdict: Verdict,
}

/// What is known of the frame being received.
#[derive(Debug, Default)]
struct Frame {
    timestamp: u32,
    sps: bool,
    pps: bool,
    idr: bool,
    slices: u64,
    /// Type of the fragmented unit that has begun and not ended.
    fragments: Option<u8>,
    malformed: bool,
    incomplete: bool,
}

impl Frames {
    /// What was found so far.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Packets before the first one are known to be lost: the first frame may be half of one.
    pub fn lost_beginning(&mut self) {
        self.gap = true;
    }

    /// A packet that could not be authenticated.
    pub fn handle_forged(&mut self) {
        self.verdict.forged += 1;
    }

    /// A packet with its unwrapped sequence number, in any order, once.
    pub fn handle_packet(&mut self, now: Instant, sequence: u64, packet: Plain) {
        self.verdict.authentic += 1;
        let next = *self.next.get_or_insert(sequence);
        if sequence < next {
            return;
        }
        self.waiting.insert(sequence, (now, packet));
        self.advance();
        if self.waiting.len() > WAITING_MAX {
            self.skip();
        }
    }

    /// When [`Frames::handle_timeout`] gives up on a missing packet, if one is missing.
    pub fn deadline(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|(_, (since, _))| *since + PATIENCE)
    }

    /// Gives up on what has been missing for too long.
    pub fn handle_timeout(&mut self, now: Instant) {
        while self.deadline().is_some_and(|deadline| deadline <= now) {
            self.skip();
        }
    }

    fn skip(&mut self) {
        if let Some((&sequence, _)) = self.waiting.first_key_value() {
            self.next = Some(sequence);
            self.gap = true;
            if let Some(frame) = &mut self.frame {
                frame.incomplete = true;
            }
            self.advance();
        }
    }

    fn advance(&mut self) {
        while let Some(next) = self.next
            && let Some((_, packet)) = self.waiting.remove(&next)
        {
            self.next = Some(next + 1);
            self.take(&packet);
        }
    }

    fn take(&mut self, packet: &Plain) {
        // Padding for bandwidth probes has no payload and belongs to no frame.
        if packet.payload.is_empty() {
            return;
        }
        if self.frame.as_ref().is_some_and(|frame| frame.timestamp != packet.timestamp) {
            // Its last packet had no marker: malformed, unless that packet was lost.
            if let Some(frame) = &mut self.frame {
                frame.malformed |= !frame.incomplete;
            }
            self.finish();
        }
        let gap = std::mem::take(&mut self.gap);
        let frame = self.frame.get_or_insert_with(|| Frame {
            timestamp: packet.timestamp,
            incomplete: gap,
            ..Frame::default()
        });
        frame.read(&packet.payload);
        if packet.marker {
            self.finish();
        }
    }

    fn finish(&mut self) {
        let Some(frame) = self.frame.take() else { return };
        let verdict = &mut self.verdict;
        let first = verdict.frames + verdict.incomplete + verdict.malformed == 0;
        let keyframe = frame.sps && frame.pps && frame.idr;
        if frame.incomplete {
            verdict.incomplete += 1;
        } else if frame.malformed || frame.fragments.is_some() || frame.slices == 0 {
            verdict.malformed += 1;
        } else {
            verdict.frames += 1;
            verdict.keyframes += u64::from(keyframe);
        }
        verdict.bad_starts += u64::from(first && !frame.incomplete && !keyframe);
    }
}

impl Frame {
    /// One payload: a unit, an aggregate (RFC 6184 §5.7.1) or a fragment (§5.8).
    fn read(&mut self, payload: &[u8]) {
        let unit = payload[0] & 0x1f;
        if unit != 28 && self.fragments.take().is_some() {
            self.malformed = true;
        }
        match unit {
            1..=23 => self.unit(unit),
            24 => self.aggregate(&payload[1..]),
            28 => self.fragment(payload),
            // Other modes of packetization were not offered.
            _ => self.malformed = true,
        }
    }

    fn aggregate(&mut self, mut units: &[u8]) {
        while !units.is_empty() {
            let length = units.first_chunk().map(|length| usize::from(u16::from_be_bytes(*length)));
            let Some(unit) = length.filter(|length| *length > 0).and_then(|length| units.get(2..2 + length))
            else {
                self.malformed = true;
                return;
            };
            self.unit(unit[0] & 0x1f);
            units = &units[2 + unit.len()..];
        }
    }

    fn fragment(&mut self, payload: &[u8]) {
        let &[_, header, _, ..] = payload else {
            self.malformed = true;
            return;
        };
        let (start, end, unit) = (header & 0x80 != 0, header & 0x40 != 0, header & 0x1f);
        match (start, self.fragments) {
            (true, None) => self.unit(unit),
            (false, Some(begun)) if begun == unit => {}
            _ => self.malformed = true,
        }
        self.fragments = (!end).then_some(unit);
    }

    fn unit(&mut self, unit: u8) {
        match unit {
            1..=4 => self.slices += 1,
            5 => {
                self.slices += 1;
                self.idr = true;
            }
            7 => self.sps = true,
            8 => self.pps = true,
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "frames_tests.rs"]
mod tests;
