//! Whether what arrives is a picture: payloads put in order, depacketized and checked.
//!
//! Owns the order of packets (waiting a while for repairs) and the rules of the payload format: every frame
//! complete, the first one a keyframe with its parameter sets, none the same over and over. Gives the age of
//! pictures that tell their send time. Never decodes and never decrypts.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hasher};
use std::time::{Duration, Instant};

use sluice_media::VideoCodec;
use sluice_media::nal::{Fragment, Head, NalCodec, Payload, Role};

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
    /// Frames that break their payload format, or begin in the middle of a picture, although no packet of them was missing.
    pub malformed: u64,
    /// Viewers whose first frame was not a keyframe with parameter sets.
    pub bad_starts: u64,
    /// Complete frames whose picture is that of the two frames before them, byte for byte. No encoder
    /// makes them (ITU-T H.264 §7.4.1.2.4): the server shows one picture again and again.
    pub frozen: u64,
    /// Complete frames with a send time from before their viewer was connected and level with the source: no delay, a quick start.
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
    /// What it holds.
    pub codec: VideoCodec,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Marker bit: the last of its frame.
    pub marker: bool,
    /// The payload, without padding.
    pub payload: Vec<u8>,
}

/// The check of one stream of pictures.
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
    /// A bit for each kind of parameter set that was there.
    sets: u8,
    /// The bits of all kinds that the codec has.
    all_sets: u8,
    key: bool,
    slices: u64,
    /// Whether the first slice is not the first of its picture: another frame has that.
    torn: bool,
    /// Header of the fragmented unit that has begun and not ended.
    fragments: Option<Head>,
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
        frame.read(packet.codec.nal(), &packet.payload);
        if packet.marker {
            self.finish(now);
        }
    }

    fn finish(&mut self, now: Instant) {
        let Some(frame) = self.frame.take() else { return };
        let verdict = &mut self.verdict;
        let first = verdict.frames + verdict.incomplete + verdict.malformed == 0;
        let keyframe = frame.key && frame.sets == frame.all_sets;
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
    /// One payload: a unit, an aggregate or a fragment.
    fn read(&mut self, codec: &dyn NalCodec, payload: &[u8]) {
        self.all_sets = (1 << codec.sets().len()) - 1;
        let payload = codec.payload(payload);
        if !matches!(payload, Payload::Fragment(_)) && self.fragments.take().is_some() {
            self.malformed = true;
        }
        match payload {
            Payload::Unit(nal) => self.unit(codec, nal),
            Payload::Aggregate(units) => self.aggregate(codec, units),
            Payload::Fragment(fragment) => self.fragment(codec, fragment),
            Payload::Foreign => self.malformed = true,
        }
    }

    fn aggregate(&mut self, codec: &dyn NalCodec, mut units: &[u8]) {
        while !units.is_empty() {
            let length = units.first_chunk().map(|length| usize::from(u16::from_be_bytes(*length)));
            let Some(unit) = length.filter(|length| *length > 0).and_then(|length| units.get(2..2 + length))
            else {
                self.malformed = true;
                return;
            };
            self.unit(codec, unit);
            units = &units[2 + unit.len()..];
        }
    }

    fn fragment(&mut self, codec: &dyn NalCodec, fragment: Fragment<'_>) {
        let Fragment { first, last, header, part } = fragment;
        if part.is_empty() {
            self.malformed = true;
            return;
        }
        let role = fragment.role(codec);
        match (first, self.fragments) {
            (true, None) => {
                self.begin(role);
                if role.is_slice() {
                    self.digest.write(header.bytes());
                }
            }
            (false, Some(begun)) if begun == header => {}
            _ => self.malformed = true,
        }
        if role.is_slice() {
            self.digest.write(part);
        }
        self.fragments = (!last).then_some(header);
    }

    /// A whole unit.
    fn unit(&mut self, codec: &dyn NalCodec, nal: &[u8]) {
        let role = codec.role(nal);
        self.begin(role);
        match role {
            Role::Slice { .. } => self.digest.write(nal),
            Role::Info => self.sent = self.sent.or(send_time::read(codec, nal)),
            // Other modes of packetization were not offered.
            Role::Malformed => self.malformed = true,
            _ => {}
        }
    }

    /// A unit is there, or its first fragment.
    fn begin(&mut self, role: Role) {
        match role {
            Role::Slice { key, first } => {
                self.torn |= self.slices == 0 && first == Some(false);
                self.slices += 1;
                self.key |= key;
            }
            Role::Set(kind) => self.sets |= 1 << kind,
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "frames_tests.rs"]
mod tests;
