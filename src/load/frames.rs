//! Whether what arrives is a picture: H.264 payloads put in order, depacketized and checked.
//!
//! Owns the order of packets (waiting a while for repairs) and the rules of RFC 6184: every frame
//! complete, the first one a keyframe with its parameter sets, none the same over and over. Gives the age of
//! pictures that tell their send time. Never decodes and never decrypts.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hasher};
use std::time::{Duration, Instant};

use sluice_media::h264::{FU_A, IDR, PPS, SEI, SLICES, SPS, STAP_A, begins_picture, kind};

use super::cameras::send_time;
use super::delay::{Age, Delays};

/// How long a packet waits for one before it. Longer than a NACK's third try.
const PATIENCE: Duration = Duration::from_millis(500);

/// Packets that wait at the most: seconds of video. More cost memory, fewer give up on repairs.
const WAITING_MAX: usize = 1_024;

/// Ages that wait to be polled at the most: as many as one datagram can complete pictures. Only who never
/// polls has more.
const AGES_MAX: usize = WAITING_MAX;

/// What verification found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
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
    /// Frames that break RFC 6184, or begin in the middle of a picture, although no packet of them was missing.
    pub malformed: u64,
    /// Viewers whose first frame was not a keyframe with parameter sets.
    pub bad_starts: u64,
    /// Complete frames whose picture is that of the two frames before them, byte for byte. No encoder
    /// makes them (ITU-T H.264 §7.4.1.2.4): the server shows one picture again and again.
    pub frozen: u64,
    /// Complete frames with a send time from before their viewer connected: no delay, a quick start.
    pub from_past: u64,
    /// Complete frames with a send time that was seen before: no delay, shown again.
    pub again: u64,
    /// Complete frames with a send time later than their arrival: clocks that disagree.
    pub from_future: u64,
}

impl Verdict {
    /// Everything that must not be, whatever the network did.
    pub fn errors(&self) -> u64 {
        self.forged + self.malformed + self.bad_starts + self.frozen
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
        self.frozen += other.frozen;
        self.from_past += other.from_past;
        self.again += other.again;
        self.from_future += other.from_future;
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
#[derive(Debug)]
pub struct Frames {
    next: Option<u64>,
    waiting: BTreeMap<u64, (Instant, Plain)>,
    frame: Option<Frame>,
    /// Whether packets were missing just before the frame to come.
    gap: bool,
    /// The last complete picture, and how many before it were the same.
    shown: Option<(u64, u32)>,
    delays: Delays,
    /// Ages of pictures, until they are polled.
    ages: VecDeque<Duration>,
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
    /// Whether the first slice is not the first of its picture: another frame has that.
    torn: bool,
    /// Type of the fragmented unit that has begun and not ended.
    fragments: Option<u8>,
    malformed: bool,
    incomplete: bool,
    /// The camera's send time, in nanoseconds since 1970.
    sent: Option<u64>,
    /// Over the bytes of its slices, however they were fragmented.
    digest: DefaultHasher,
}

impl Frames {
    /// The stream of a viewer whose pictures are dated by `delays`.
    pub fn new(delays: Delays) -> Frames {
        Frames {
            next: None,
            waiting: BTreeMap::new(),
            frame: None,
            gap: false,
            shown: None,
            delays,
            ages: VecDeque::new(),
            verdict: Verdict::default(),
        }
    }

    /// What was found so far.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The age of the next picture that has one.
    pub fn poll_delay(&mut self) -> Option<Duration> {
        self.ages.pop_front()
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
        self.advance(now);
        if self.waiting.len() > WAITING_MAX {
            self.skip(now);
        }
    }

    /// When [`Frames::handle_timeout`] gives up on a missing packet, if one is missing.
    pub fn deadline(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|(_, (since, _))| *since + PATIENCE)
    }

    /// Gives up on what has been missing for too long.
    pub fn handle_timeout(&mut self, now: Instant) {
        while self.deadline().is_some_and(|deadline| deadline <= now) {
            self.skip(now);
        }
    }

    fn skip(&mut self, now: Instant) {
        if let Some((&sequence, _)) = self.waiting.first_key_value() {
            self.next = Some(sequence);
            self.gap = true;
            if let Some(frame) = &mut self.frame {
                frame.incomplete = true;
            }
            self.advance(now);
        }
    }

    fn advance(&mut self, now: Instant) {
        while let Some(next) = self.next
            && let Some((_, packet)) = self.waiting.remove(&next)
        {
            self.next = Some(next + 1);
            self.take(now, &packet);
        }
    }

    fn take(&mut self, now: Instant, packet: &Plain) {
        // Padding for bandwidth probes has no payload and belongs to no frame.
        if packet.payload.is_empty() {
            return;
        }
        if self.frame.as_ref().is_some_and(|frame| frame.timestamp != packet.timestamp) {
            // Its last packet had no marker: malformed, unless that packet was lost.
            if let Some(frame) = &mut self.frame {
                frame.malformed |= !frame.incomplete;
            }
            self.finish(now);
        }
        let gap = std::mem::take(&mut self.gap);
        let frame = self.frame.get_or_insert_with(|| Frame {
            timestamp: packet.timestamp,
            incomplete: gap,
            ..Frame::default()
        });
        frame.read(&packet.payload);
        if packet.marker {
            self.finish(now);
        }
    }

    fn finish(&mut self, now: Instant) {
        let Some(frame) = self.frame.take() else { return };
        let verdict = &mut self.verdict;
        let first = verdict.frames + verdict.incomplete + verdict.malformed == 0;
        let keyframe = frame.sps && frame.pps && frame.idr;
        verdict.bad_starts += u64::from(first && !frame.incomplete && !keyframe);
        if frame.incomplete {
            verdict.incomplete += 1;
            self.shown = None;
        } else if frame.malformed || frame.torn || frame.fragments.is_some() || frame.slices == 0 {
            verdict.malformed += 1;
            self.shown = None;
        } else {
            verdict.frames += 1;
            verdict.keyframes += u64::from(keyframe);
            self.show(now, &frame);
        }
    }

    /// A complete picture.
    fn show(&mut self, now: Instant, frame: &Frame) {
        let (digest, verdict) = (frame.digest.finish(), &mut self.verdict);
        let same = match self.shown {
            Some((last, same)) if last == digest => same.saturating_add(1),
            _ => 0,
        };
        self.shown = Some((digest, same));
        // One repetition is a keyframe that was asked for again at once.
        verdict.frozen += u64::from(same >= 2);
        match frame.sent.map(|sent| self.delays.handle_picture(now, sent)) {
            None => {}
            Some(Age::Fresh(age)) => {
                self.ages.truncate(AGES_MAX - 1);
                self.ages.push_back(age);
            }
            Some(Age::FromPast) => verdict.from_past += 1,
            Some(Age::Again) => verdict.again += 1,
            Some(Age::FromFuture) => verdict.from_future += 1,
        }
    }
}

impl Frame {
    /// One payload: a unit, an aggregate (RFC 6184 §5.7.1) or a fragment (§5.8).
    fn read(&mut self, payload: &[u8]) {
        let unit = kind(payload);
        if unit != FU_A && self.fragments.take().is_some() {
            self.malformed = true;
        }
        match unit {
            1..=23 => self.unit(payload),
            STAP_A => self.aggregate(&payload[1..]),
            FU_A => self.fragment(payload),
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
            self.unit(unit);
            units = &units[2 + unit.len()..];
        }
    }

    fn fragment(&mut self, payload: &[u8]) {
        let &[_, header, _, ..] = payload else {
            self.malformed = true;
            return;
        };
        let (start, end, unit) = (header & 0x80 != 0, header & 0x40 != 0, header & 0x1f);
        let slice = SLICES.contains(&unit);
        match (start, self.fragments) {
            (true, None) => {
                self.begin(unit, begins_picture(&[unit, payload[2]]));
                if slice {
                    self.digest.write(&[(payload[0] & 0xe0) | unit]);
                }
            }
            (false, Some(begun)) if begun == unit => {}
            _ => self.malformed = true,
        }
        if slice {
            self.digest.write(&payload[2..]);
        }
        self.fragments = (!end).then_some(unit);
    }

    /// A whole unit.
    fn unit(&mut self, nal: &[u8]) {
        let unit = kind(nal);
        self.begin(unit, begins_picture(nal));
        match unit {
            unit if SLICES.contains(&unit) => self.digest.write(nal),
            SEI => self.sent = self.sent.or(send_time::read(nal)),
            _ => {}
        }
    }

    /// A unit of this type is there, or its first fragment; of a slice is known whether it begins a picture.
    fn begin(&mut self, unit: u8, begins_picture: Option<bool>) {
        self.torn |= self.slices == 0 && begins_picture == Some(false);
        self.slices += u64::from(SLICES.contains(&unit));
        self.idr |= unit == IDR;
        self.sps |= unit == SPS;
        self.pps |= unit == PPS;
    }
}

#[cfg(test)]
#[path = "frames_tests.rs"]
mod tests;
