//! NAL units out of RTP: single ones, aggregates and fragments become access units (RFC 6184 §5.6 - §5.8,
//! RFC 7798 §4.4).
//!
//! Owns one picture under construction, bounded by what it holds, and the judgement where it ends and whether all of
//! it is there. A picture that lacks a packet is left out, and the next one says that it comes after a gap.
//!
//! retina has a depacketizer too, but it can be had only for all streams of a session or none, and it knows
//! no Opus; it also ends the session at the first odd packet, and keeps a picture of any size. Cameras are odd, so
//! this one is tolerant: what it cannot use it counts and leaves out.

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::{
    Fragment, NalCodec, Payload, Role, START_CODE, VideoFacts, begins_group, find_start_code, is_keyframe,
    trimmed,
};
use crate::AccessUnit;

/// What a NAL unit counts for beside its bytes: the handle that holds it, twice because their list grows by
/// doubling, and the allocator's share.
///
/// Without it units of one byte would take a hundred times the memory that the limit allows.
const NAL_OVERHEAD: usize = 2 * size_of::<Bytes>() + 16;

/// Memory in which NAL units are put together, one behind the other, in the beginning: it grows with pictures, and is used again
/// from its start once those in it are gone, which are packetized as they come. More lies unused beside cameras of small
/// pictures, less has others begin with memory that is too small.
const ROOM: usize = 16 << 10;

/// How much of it is kept. More stays beside each camera for the sake of its keyframes, less is allocated anew for each picture
/// that is larger.
const ROOM_MAX: usize = 128 << 10;

/// What has to be left where a picture begins before those in it are gone: a picture that goes on elsewhere keeps this memory
/// from being used again. Most are smaller.
const ROOM_LEFT: usize = 8 << 10;

/// Ticks from one packet of a picture to its next at most, where each has a timestamp of its own: a millisecond.
/// Pictures are further apart.
const ONE_PICTURE: i64 = 90;

/// One RTP packet of the video.
#[derive(Debug, Clone)]
pub struct Packet {
    /// The RTP payload, without padding. Nothing keeps it: what is needed is copied.
    pub payload: Bytes,
    /// Unwrapped RTP timestamp, in ticks of 90 kHz.
    pub timestamp: i64,
    /// The RTP marker: the last packet of a picture (RFC 6184 §5.1, RFC 7798 §4.1).
    pub marker: bool,
    /// Whether packets are missing just before this one.
    pub after_loss: bool,
    /// Whether it has nothing to do with those before it: a new SSRC, or numbers begun anew.
    pub restarted: bool,
    /// When it was read.
    pub received: Instant,
}

/// A picture grew beyond the limit.
#[derive(Debug, PartialEq, Eq)]
pub struct PictureTooLarge;

/// Pictures that were not handed out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Packets of them are missing.
    pub damaged: u64,
    /// Damaged ones that players could have begun with.
    pub keyframes: u64,
    /// Nothing is missing, and none of their slices is the first of a picture.
    pub headless: u64,
}

/// Puts packets together to access units.
///
/// A picture ends at the marker. Where that proves wrong (behind it comes, with the same timestamp, a slice that
/// is not the first of a picture), no marker is believed any more, and a picture ends where the next one begins: at
/// another timestamp, or at a first slice. So it is too for senders that set no marker.
#[derive(Debug)]
pub struct Depacketizer {
    codec: &'static dyn NalCodec,
    max_bytes: usize,
    picture: Picture,
    timestamp: i64,
    /// When the last packet was read.
    received: Option<Instant>,
    /// Where the next NAL unit goes, behind those that were handed out.
    room: BytesMut,
    /// Bytes that the room has from its start, as far as that is known.
    room_bytes: usize,
    /// The NAL unit whose fragments are coming in, with its header restored; it has the room meanwhile.
    fragment: Option<BytesMut>,
    /// The sender puts several NAL units, with start codes between, where one belongs.
    start_codes: bool,
    markers: Markers,
    /// A marker came with a fragment that is not its unit's last: what comes next tells which of the two is wrong.
    marker_on_fragment: bool,
    /// The sender sets no end bit on fragments, so that there the marker ends the unit.
    forgets_end: bool,
    /// The picture that a marker ended at this timestamp; its NAL units only if it is a keyframe, for others
    /// cannot be made good.
    ended: Option<Vec<Bytes>>,
    /// What the newest parameter set says: where fields may be coded (PAFF), two of them with one timestamp are for players
    /// one picture, whatever markers say.
    video: VideoFacts,
    /// Pictures are missing since the one handed out last.
    gap: bool,
    discarded: u64,
    left_out: LeftOut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Markers {
    Believed,
    Wrong,
}

/// The picture under construction, and before its first slice what waits for it.
#[derive(Debug, Default)]
struct Picture {
    nals: Vec<Bytes>,
    /// What `nals` hold.
    bytes: usize,
    /// Units of `nals` up to the last slice: those behind it go before the next picture's.
    end: usize,
    has_slice: bool,
    /// Whether its first slice is there.
    begun: bool,
    /// Fields of it that are begun.
    fields: u8,
    /// Packets of it are missing.
    damaged: bool,
    /// A slice of it, or a piece of one, is a keyframe's.
    key: bool,
    /// It was handed out before, without what came behind a wrong marker.
    again: bool,
}

impl Picture {
    /// What waits for the slices of the next picture.
    fn waiting(nals: Vec<Bytes>) -> Picture {
        let bytes = nals.iter().map(|nal| nal.len() + NAL_OVERHEAD).sum();
        Picture { nals, bytes, ..Picture::default() }
    }
}

impl Depacketizer {
    /// One that holds at most `max_bytes` of a picture, and as much again of a keyframe until the next picture
    /// begins.
    pub(crate) fn new(codec: &'static dyn NalCodec, max_bytes: usize) -> Depacketizer {
        Depacketizer {
            codec,
            max_bytes,
            picture: Picture::default(),
            timestamp: 0,
            received: None,
            room: BytesMut::new(),
            room_bytes: 0,
            fragment: None,
            start_codes: false,
            markers: Markers::Believed,
            marker_on_fragment: false,
            forgets_end: false,
            ended: None,
            video: VideoFacts::default(),
            gap: false,
            discarded: 0,
            left_out: LeftOut::default(),
        }
    }

    /// Packets, and NAL units in them, that were none of the codec's and were left out.
    pub fn discarded(&self) -> u64 {
        self.discarded
    }

    /// Pictures that were not handed out, so far.
    pub fn left_out(&self) -> LeftOut {
        self.left_out
    }

    /// Takes the next packet and appends the access units which it completes to `out`.
    ///
    /// Parameter sets and SEI alone are no picture, whatever marker or timestamp the sender gave them: they wait
    /// for their slice.
    pub fn push(&mut self, packet: Packet, out: &mut Vec<AccessUnit>) -> Result<(), PictureTooLarge> {
        // Whatever a restart begins with: what was under construction gets no end.
        if packet.after_loss || packet.restarted && !(self.is_between() && self.begins_group(&packet.payload))
        {
            self.lose();
        }
        let payload = self.codec.payload(&packet.payload);
        let same = packet.timestamp == self.timestamp || self.goes_on_with(&payload, packet.timestamp);
        let goes_on = matches!(payload, Payload::Fragment(Fragment { first: false, .. }));
        // A unit ends with its last fragment, and at the latest where something else begins: nothing is lost
        // there, so it is whole.
        if !same || !goes_on {
            self.end_fragment(out)?;
        }
        if std::mem::take(&mut self.marker_on_fragment) {
            if same && goes_on {
                self.markers = Markers::Wrong;
            } else {
                self.forgets_end = true;
                self.finish(out);
            }
        }
        if !same {
            self.finish(out);
            self.ended = None;
            self.timestamp = packet.timestamp;
        }
        self.received = Some(packet.received);
        match payload {
            Payload::Unit(nal) => self.nal(nal, out)?,
            Payload::Aggregate(units) => self.aggregate(units, out)?,
            Payload::Fragment(fragment) => self.fragment(fragment, out)?,
            Payload::Foreign => self.discarded += 1,
        }
        if packet.marker && self.markers == Markers::Believed {
            self.marker(out)?;
        }
        Ok(())
    }

    /// Whether no picture is begun.
    fn is_between(&self) -> bool {
        self.fragment.is_none() && !self.picture.has_slice
    }

    fn begins_group(&self, payload: &[u8]) -> bool {
        begins_group(self.codec, payload)
    }

    /// Whether a packet belongs to what is under construction though it has another timestamp: some senders give
    /// each packet its own. No packet is missing before it.
    fn goes_on_with(&self, payload: &Payload<'_>, timestamp: i64) -> bool {
        let role = match payload {
            Payload::Fragment(Fragment { first: false, header, .. }) => {
                return self.fragment.as_ref().is_some_and(|nal| nal.starts_with(header.bytes()));
            }
            Payload::Fragment(fragment) => fragment.role(self.codec),
            Payload::Unit(nal) => self.codec.role(nal),
            Payload::Aggregate(_) | Payload::Foreign => return false,
        };
        self.picture.begun
            && (1..=ONE_PICTURE).contains(&(timestamp - self.timestamp))
            && matches!(role, Role::Slice { first: Some(false), .. })
    }

    /// Packets are missing, how many and of what nobody knows.
    fn lose(&mut self) {
        self.gap = true;
        self.ended = None;
        self.marker_on_fragment = false;
        self.picture.damaged |= self.fragment.take().is_some() || self.picture.has_slice;
    }

    fn marker(&mut self, out: &mut Vec<AccessUnit>) -> Result<(), PictureTooLarge> {
        if self.fragment.is_some() && !self.forgets_end {
            self.marker_on_fragment = true;
            return Ok(());
        }
        self.end_fragment(out)?;
        let before = out.len();
        self.finish(out);
        if let Some(unit) = out.get(before..).and_then(<[AccessUnit]>::last) {
            self.ended =
                Some(if is_keyframe(self.codec, &unit.nals) { unit.nals.clone() } else { Vec::new() });
        }
        Ok(())
    }

    /// The picture is at its end: hands it out if all of it is there. What is behind its last slice waits for the
    /// next, and so do parameter sets of one that is left out.
    fn finish(&mut self, out: &mut Vec<AccessUnit>) {
        let Picture { has_slice, begun, damaged, again, .. } = self.picture;
        if !has_slice && !damaged {
            return;
        }
        let mut picture = std::mem::take(&mut self.picture);
        let mut waiting = picture.nals.split_off(picture.end);
        if begun && !damaged {
            // One that is handed out again may not have the time of what was handed out before.
            let timestamp = self.timestamp + i64::from(again);
            let received = self.received.expect("a slice was read");
            let after_gap = std::mem::take(&mut self.gap);
            out.push(AccessUnit { nals: picture.nals, timestamp, received, after_gap });
        } else {
            self.gap = true;
            self.left_out.damaged += u64::from(damaged);
            self.left_out.keyframes += u64::from(damaged && picture.key);
            self.left_out.headless += u64::from(!damaged);
            picture.nals.retain(|nal| matches!(self.codec.role(nal), Role::Set(_)));
            waiting.splice(0..0, picture.nals);
        }
        self.picture = Picture::waiting(waiting);
    }

    /// NAL units each behind its length in 16 bits (RFC 6184 §5.7.1, RFC 7798 §4.4.2).
    fn aggregate(&mut self, units: &[u8], out: &mut Vec<AccessUnit>) -> Result<(), PictureTooLarge> {
        let mut at = 0;
        while let Some(length) = units.get(at..at + 2) {
            let start = at + 2;
            at = start + usize::from(u16::from_be_bytes([length[0], length[1]]));
            if at > units.len() {
                break;
            }
            self.nal(&units[start..at], out)?;
        }
        if at != units.len() {
            self.discarded += 1;
        }
        Ok(())
    }

    fn fragment(&mut self, fragment: Fragment<'_>, out: &mut Vec<AccessUnit>) -> Result<(), PictureTooLarge> {
        let Fragment { first, last, header, part } = fragment;
        self.picture.key |= self.codec.role(header.bytes()).is_key();
        if first {
            self.make_room(header.bytes().len() + part.len());
            let mut nal = std::mem::take(&mut self.room);
            nal.extend_from_slice(header.bytes());
            self.fragment = Some(nal);
        }
        let Some(mut nal) = self.fragment.take() else {
            // Its start was lost.
            self.picture.damaged = true;
            return Ok(());
        };
        if self.picture.bytes + nal.len() + part.len() > self.max_bytes {
            return Err(PictureTooLarge);
        }
        nal.extend_from_slice(part);
        self.fragment = Some(nal);
        if last {
            self.end_fragment(out)?;
        }
        Ok(())
    }

    fn end_fragment(&mut self, out: &mut Vec<AccessUnit>) -> Result<(), PictureTooLarge> {
        match self.fragment.take() {
            Some(nal) => self.unit(nal, out),
            None => Ok(()),
        }
    }

    /// Takes a NAL unit that was put together here, without another copy if it is what it should be.
    fn unit(&mut self, mut nal: BytesMut, out: &mut Vec<AccessUnit>) -> Result<(), PictureTooLarge> {
        self.room_bytes = self.room_bytes.max(nal.capacity());
        let whole = nal.split().freeze();
        self.room = nal;
        if self.start_codes || !self.codec.role(&whole).is_slice() {
            return self.nal(&whole, out);
        }
        let length = trimmed(&whole).len();
        self.keep(whole.slice(..length), out)
    }

    /// Sees to it that the next NAL unit, of about so many bytes, does not have to move.
    fn make_room(&mut self, bytes: usize) {
        let is_first = self.picture.nals.is_empty();
        if is_first && self.room.try_reclaim(self.room_bytes) && self.room_bytes > ROOM_MAX {
            (self.room, self.room_bytes) = (BytesMut::new(), 0);
        }
        let wanted = if is_first { bytes.max(ROOM_LEFT) } else { bytes };
        if self.room.capacity() < wanted {
            self.room.reserve(wanted.max(ROOM));
            self.room_bytes = self.room.capacity();
        }
    }

    /// Takes what should be one NAL unit.
    ///
    /// Some cameras send a piece of an Annex B byte stream there. Such a piece begins a picture, so it begins
    /// with a delimiter, SEI or parameter set (or even with a start code): these are searched for start
    /// codes, and once one was found everything is. Slices of well-behaved cameras are never read through.
    fn nal(&mut self, nal: &[u8], out: &mut Vec<AccessUnit>) -> Result<(), PictureTooLarge> {
        let leads = matches!(self.codec.role(nal), Role::Set(_) | Role::Info | Role::Delimiter);
        let suspicious = leads || nal.starts_with(&START_CODE[..2]);
        if !self.start_codes && !suspicious {
            return self.keep_copy(nal, out);
        }
        let mut start = 0;
        while let Some(code) = find_start_code(nal, start) {
            self.start_codes = true;
            if code > start {
                self.keep_copy(&nal[start..code], out)?;
            }
            start = code + START_CODE.len();
        }
        self.keep_copy(&nal[start..], out)
    }

    /// Keeps a part of a packet: as a copy, because it would hold all of it, and what stands behind a packet is not
    /// ours to know.
    fn keep_copy(&mut self, nal: &[u8], out: &mut Vec<AccessUnit>) -> Result<(), PictureTooLarge> {
        let nal = trimmed(nal);
        self.make_room(nal.len());
        self.room.extend_from_slice(nal);
        let nal = self.room.split().freeze();
        self.keep(nal, out)
    }

    /// Takes one NAL unit without zeros behind it.
    fn keep(&mut self, nal: Bytes, out: &mut Vec<AccessUnit>) -> Result<(), PictureTooLarge> {
        if nal.is_empty() {
            return Ok(());
        }
        let role = self.codec.role(&nal);
        let first = match role {
            Role::Malformed => {
                self.discarded += 1;
                return Ok(());
            }
            Role::Delimiter | Role::Needless => return Ok(()),
            Role::Slice { first, .. } => first,
            Role::Set(_) | Role::Info | Role::Behind | Role::Other => None,
        };
        let field = first == Some(true) && self.video.interlaced && self.codec.is_field(&nal, &self.video);
        match first {
            Some(true) if self.picture.begun && !(field && self.picture.fields == 1) => self.finish(out),
            // Behind a marker within a timestamp: the other field of what was ended.
            Some(true) if !self.picture.begun && field => self.take_back(),
            Some(false) if !self.picture.has_slice => self.take_back(),
            _ => {}
        }
        if let Some(facts) = self.codec.describe(&nal) {
            self.video = facts;
        }
        let picture = &mut self.picture;
        picture.bytes += nal.len() + NAL_OVERHEAD;
        if picture.bytes > self.max_bytes {
            return Err(PictureTooLarge);
        }
        picture.nals.push(nal);
        picture.has_slice |= role.is_slice();
        picture.key |= role.is_key();
        picture.begun |= first == Some(true);
        picture.fields = picture.fields.saturating_add(u8::from(field));
        if role.is_slice() || role == Role::Behind {
            picture.end = picture.nals.len();
        }
        Ok(())
    }

    /// What a session description says of the video, before anything comes.
    pub fn announce(&mut self, sets: &[Bytes]) {
        if let Some(facts) = sets.iter().find_map(|set| self.codec.describe(set)) {
            self.video = facts;
        }
    }

    /// A slice comes that continues a picture, and none is begun: if a marker ended one just now, it was wrong.
    /// A keyframe is begun again with what it had; what others lack is lost, with all that follows up to the next
    /// keyframe.
    fn take_back(&mut self) {
        let Some(nals) = self.ended.take() else { return };
        self.markers = Markers::Wrong;
        self.gap = true;
        if is_keyframe(self.codec, &nals) {
            let begins = |nal: &&Bytes| matches!(self.codec.role(nal), Role::Slice { first: Some(true), .. });
            let fields = nals.iter().filter(begins).filter(|nal| self.codec.is_field(nal, &self.video));
            let fields = fields.count().min(2) as u8;
            let waiting = std::mem::take(&mut self.picture.nals);
            let end = nals.len();
            let picture = Picture::waiting([nals, waiting].concat());
            self.picture =
                Picture { end, has_slice: true, begun: true, fields, key: true, again: true, ..picture };
        }
    }
}

#[cfg(test)]
#[path = "depacketize_tests.rs"]
mod tests;
