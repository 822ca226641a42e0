//! H.264 into RTP payloads, `packetization-mode=1` (RFC 6184): single NAL units, STAP-A, FU-A.
//!
//! Owns the track's sequence numbers, its timeline and the parameter sets that go before each IDR
//! picture. Never looks into a slice.

use std::sync::Arc;

use bytes::Bytes;

use super::parameter_sets::{MAX_SET_BYTES, PPS, ParameterSets, SPS};
use super::{PacketizeError, Unit, trains};
use crate::track::{AccessUnit, Codec, MAX_PAYLOAD, Packets, Timeline, Train};

/// Bytes of one access unit at the most.
///
/// An IDR picture of a 4K camera has about 1 MiB. Raising it lets one broken picture take that much more
/// memory on every shard and hold up a viewer's other packets; lowering it refuses big pictures.
pub const MAX_ACCESS_UNIT: usize = 4 << 20;

/// NAL units of one access unit at the most.
///
/// Encoders make 1 to 32. Raising it lets a source of tiny NAL units make as many packets, each with
/// its own header; lowering it refuses pictures of many slices.
const MAX_NALS: usize = 1_024;

/// `nal_unit_type` of the slices of a primary picture, and of the one that makes a keyframe.
const SLICES: std::ops::RangeInclusive<u8> = 1..=IDR;
const IDR: u8 = 5;
const SEI: u8 = 6;
/// Access unit delimiter, end of sequence, end of stream, filler: RTP says the same or has no use for it.
const NEEDLESS: std::ops::RangeInclusive<u8> = 9..=12;

/// Payload structures of RTP (RFC 6184 §5.4).
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// Makes trains of the access units of one H.264 track.
///
/// A keyframe is an access unit with an IDR slice, and nothing else: a recovery point or a picture of I
/// slices may still refer back, and no decoder has to start there.
#[derive(Debug)]
pub struct VideoPacketizer {
    timeline: Timeline,
    sets: ParameterSets,
    next_sequence: u64,
    discarded_nals: u64,
}

impl VideoPacketizer {
    /// Starts a track at RTP timestamp `first_timestamp`, which should be random (RFC 3550 §5.1).
    pub fn new(first_timestamp: u32) -> VideoPacketizer {
        VideoPacketizer {
            timeline: Timeline::new(Codec::H264, first_timestamp),
            sets: ParameterSets::default(),
            next_sequence: 0,
            discarded_nals: 0,
        }
    }

    /// Takes the parameter sets of the source's SDP (`sprop-parameter-sets`, RFC 6184 §8.1) in place of
    /// all known ones; those that come in band later replace them id by id. On an error nothing changed.
    pub fn set_parameter_sets(&mut self, sps: &[u8], pps: &[u8]) -> Result<(), PacketizeError> {
        let mut sets = ParameterSets::default();
        for (name, kind, nal) in [("SPS", SPS, sps), ("PPS", PPS, pps)] {
            if nal.first().is_none_or(|header| nal_type(*header) != kind) || !sets.remember(nal) {
                return Err(PacketizeError::MalformedParameterSet {
                    name,
                    bytes: nal.len(),
                    limit: MAX_SET_BYTES,
                });
            }
        }
        self.sets = sets;
        Ok(())
    }

    /// The source reconnected: the next unit's timestamp says nothing about the last one's. Sequence
    /// numbers and timestamps go on, and so do the parameter sets.
    pub fn restart(&mut self) {
        self.timeline.restart();
    }

    /// `profile-level-id` (RFC 6184 §8.1) of the SPS seen last.
    pub fn profile_level_id(&self) -> Option<[u8; 3]> {
        self.sets.profile_level_id()
    }

    /// NAL units that were left out because they are malformed, since the start: empty, with the
    /// forbidden bit set, of a type that RTP uses for itself (0, 24 to 31), or unreadable parameter sets.
    pub fn discarded_nals(&self) -> u64 {
        self.discarded_nals
    }

    /// Makes trains of `unit`, in sending order; none if it holds parameter sets or SEI but no slice
    /// (the sets are remembered for the next IDR picture).
    ///
    /// An IDR picture begins with a STAP-A of all parameter sets it may need, from this unit, earlier
    /// ones, or the SDP. Else NAL units keep their order: those over [`MAX_PAYLOAD`] as FU-A fragments of
    /// equal size but the last, neighbouring SPS, PPS and SEI as STAP-A, all others as they are.
    pub fn packetize(&mut self, unit: AccessUnit) -> Result<Vec<Arc<Train>>, PacketizeError> {
        let timestamp = unit.timestamp;
        check_size(&unit)?;

        let nals = self.nals_to_send(&unit)?;
        let keyframe = nals.iter().any(|nal| nal_type(nal[0]) == IDR);
        if !nals.iter().any(|nal| SLICES.contains(&nal_type(nal[0]))) {
            return Ok(Vec::new());
        }
        if keyframe && !self.sets.complete() {
            return Err(PacketizeError::NoParameterSets { timestamp });
        }

        let nals: Vec<&[u8]> = if keyframe {
            let others = nals.into_iter().filter(|nal| !matches!(nal_type(nal[0]), SPS | PPS));
            self.sets.in_order().chain(others.map(|nal| &nal[..])).collect()
        } else {
            nals.into_iter().map(|nal| &nal[..]).collect()
        };
        let packets = Payloads::of(&nals, MAX_PAYLOAD);

        let stamp = self.timeline.stamp(timestamp, unit.received);
        let common = Unit { codec: Codec::H264, stamp, received: unit.received, keyframe, marker: true };
        Ok(trains(common, packets, &mut self.next_sequence))
    }

    /// Leaves out what is malformed (counted) or needless, and remembers parameter sets. No NAL unit of
    /// the answer is empty.
    fn nals_to_send<'a>(&mut self, unit: &'a AccessUnit) -> Result<Vec<&'a Bytes>, PacketizeError> {
        let mut discarded = 0;
        let mut nals = Vec::with_capacity(unit.nals.len());
        for nal in &unit.nals {
            match judge(nal) {
                Verdict::Needless => {}
                Verdict::Send => nals.push(nal),
                Verdict::ParameterSet if self.sets.remember(nal) => nals.push(nal),
                Verdict::ParameterSet | Verdict::Malformed => discarded += 1,
            }
        }
        self.discarded_nals += discarded as u64;
        if nals.is_empty() {
            return Err(PacketizeError::Empty {
                timestamp: unit.timestamp,
                nals: unit.nals.len(),
                discarded,
            });
        }
        Ok(nals)
    }
}

fn check_size(unit: &AccessUnit) -> Result<(), PacketizeError> {
    let (timestamp, nals) = (unit.timestamp, unit.nals.len());
    if nals > MAX_NALS {
        return Err(PacketizeError::TooManyNals { timestamp, nals, limit: MAX_NALS });
    }
    let bytes = unit.nals.iter().map(Bytes::len).sum();
    if bytes > MAX_ACCESS_UNIT {
        return Err(PacketizeError::TooLarge { timestamp, bytes, limit: MAX_ACCESS_UNIT });
    }
    Ok(())
}

enum Verdict {
    Send,
    ParameterSet,
    Needless,
    Malformed,
}

/// What to do with a NAL unit, by its header alone (ITU-T H.264 §7.4.1).
fn judge(nal: &[u8]) -> Verdict {
    let Some(&header) = nal.first() else { return Verdict::Malformed };
    let forbidden_zero_bit = header & 0x80;
    match nal_type(header) {
        _ if forbidden_zero_bit != 0 => Verdict::Malformed,
        0 | STAP_A.. => Verdict::Malformed,
        SPS | PPS => Verdict::ParameterSet,
        kind if NEEDLESS.contains(&kind) => Verdict::Needless,
        _ => Verdict::Send,
    }
}

fn nal_type(header: u8) -> u8 {
    header & 0x1f
}

/// `nal_ref_idc`: how much a decoder needs the unit, in the bits where the header has it.
fn nal_ref_idc(header: u8) -> u8 {
    header & 0x60
}

/// The RTP payloads of one picture's NAL units, as [`VideoPacketizer`] makes them, each of at most
/// `max_payload` bytes (3 to 65,535). For senders that are no track of ours.
pub(crate) fn payloads(nals: &[Bytes], max_payload: usize) -> Packets {
    let nals: Vec<&[u8]> = nals.iter().filter(|nal| !nal.is_empty()).map(|nal| &nal[..]).collect();
    Payloads::of(&nals, max_payload)
}

/// Collects the RTP payloads of one access unit. `'a` are its NAL units.
struct Payloads<'a> {
    /// Bytes of a payload at the most; an aggregated unit's length has 16 bits.
    max_payload: usize,
    done: Packets,
    /// Small units that wait for neighbours; together they fit one STAP-A.
    waiting: Vec<&'a [u8]>,
    /// Bytes of the STAP-A of all that wait, without its own header.
    waiting_bytes: usize,
}

impl<'a> Payloads<'a> {
    /// The payloads of NAL units none of which is empty.
    fn of(nals: &[&'a [u8]], max_payload: usize) -> Packets {
        let max_payload = max_payload.clamp(3, u16::MAX.into());
        let bytes: usize = nals.iter().map(|nal| nal.len()).sum();
        let packets = nals.len() + bytes / (max_payload - 2);
        // Two bytes for each unit of an aggregate and for each fragment, and one for each aggregate: enough,
        // so that the buffer never grows and a train keeps little more than its bytes.
        let done = Packets::with_capacity(packets, bytes + 3 * packets);
        let mut payloads = Payloads { max_payload, done, waiting: Vec::new(), waiting_bytes: 0 };
        nals.iter().for_each(|nal| payloads.push(nal));
        payloads.flush();
        payloads.done
    }

    /// Appends a NAL unit that is not empty.
    fn push(&mut self, nal: &'a [u8]) {
        let max_aggregated = self.max_payload - 1;
        let aggregated_bytes = 2 + nal.len();
        let aggregates = matches!(nal_type(nal[0]), SEI | SPS | PPS) && aggregated_bytes <= max_aggregated;
        if !aggregates || self.waiting_bytes + aggregated_bytes > max_aggregated {
            self.flush();
        }
        if aggregates {
            self.waiting.push(nal);
            self.waiting_bytes += aggregated_bytes;
        } else if nal.len() <= self.max_payload {
            self.done.push(nal);
        } else {
            self.fragment(nal);
        }
    }

    /// Sends what waits: alone as it is, several as STAP-A with the highest NRI of them (RFC 6184 §5.7.1).
    fn flush(&mut self) {
        match self.waiting[..] {
            [] => {}
            [nal] => self.done.push(nal),
            _ => {
                let nri = self.waiting.iter().map(|nal| nal_ref_idc(nal[0])).max().unwrap_or(0);
                self.done.push_with(|out| {
                    out.push(nri | STAP_A);
                    for nal in &self.waiting {
                        // `push` lets nothing wait that is longer than a packet.
                        out.extend_from_slice(&(nal.len() as u16).to_be_bytes());
                        out.extend_from_slice(nal);
                    }
                });
            }
        }
        self.waiting.clear();
        self.waiting_bytes = 0;
    }

    /// FU-A (RFC 6184 §5.8): as few fragments as possible, of equal size but the last, which lacks less
    /// than one byte per fragment. Equal packets go to the kernel as one message; the NAL unit's own
    /// header travels in the two bytes of each fragment.
    fn fragment(&mut self, nal: &[u8]) {
        let (header, body) = (nal[0], &nal[1..]);
        let fragments = body.len().div_ceil(self.max_payload - 2);
        let size = body.len().div_ceil(fragments);

        let last = (body.len() - 1) / size;
        for (index, fragment) in body.chunks(size).enumerate() {
            let start = if index == 0 { 0x80 } else { 0 };
            let end = if index == last { 0x40 } else { 0 };
            self.done.push_with(|out| {
                out.extend([nal_ref_idc(header) | FU_A, start | end | nal_type(header)]);
                out.extend_from_slice(fragment);
            });
        }
    }
}
