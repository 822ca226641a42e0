//! H.264 pictures into trains.
//!
//! Owns the track's sequence numbers, its timeline and the parameter sets that go before each IDR
//! picture. Never looks behind the head of a slice.

use std::sync::Arc;

use bytes::Bytes;
use sluice_config::FRAME_MAX;
use sluice_media::h264::{
    IDR, NEEDLESS, PPS, ParameterSets, SPS, STAP_A, SliceHead, SliceKind, Sps, is_slice, kind, payloads,
    profile_level_id,
};
use sluice_media::{AccessUnit, Codec, MAX_PAYLOAD};

use super::{PacketizeError, Unit, trains};
use crate::track::{Timeline, TrackSeq, Train};

/// Bytes of one access unit at the most.
pub const MAX_ACCESS_UNIT: usize = FRAME_MAX.as_usize();

/// NAL units of one access unit at the most.
///
/// Encoders make 1 to 32. Raising it lets a source of tiny NAL units make as many packets, each with
/// its own header; lowering it refuses pictures of many slices.
const MAX_NALS: usize = 1_024;

/// What is known of a video, as far as it can be read.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct VideoFacts {
    /// `profile-level-id` (RFC 6184 §8.1).
    pub profile_level_id: Option<[u8; 3]>,
    /// `profile_idc`, the first of it.
    pub profile: Option<u8>,
    /// Width and height in pixels.
    pub size: Option<(u16, u16)>,
    /// Pictures a second.
    pub frame_rate: Option<f32>,
    /// `chroma_format_idc`: 1 is 4:2:0.
    pub chroma_format: Option<u32>,
    /// Whether fields may be coded (no `frame_mbs_only_flag`).
    pub interlaced: bool,
    /// Whether there are B pictures that are shown in another order than they come.
    pub b_pictures: bool,
    /// Whether pictures follow their arrival, because the source's timestamps do not fit.
    pub by_arrival: bool,
}

/// Makes trains of the access units of one H.264 track.
///
/// A keyframe is an access unit with an IDR slice, and nothing else: a recovery point or a picture of I
/// slices may still refer back, and no decoder has to start there.
#[derive(Debug)]
pub struct VideoPacketizer {
    timeline: Timeline,
    sets: ParameterSets,
    /// The PPS of the last keyframe.
    active: Option<u32>,
    /// Whether a B slice came since the last [`restart`](VideoPacketizer::restart).
    b_slices: bool,
    next_sequence: TrackSeq,
    discarded_nals: u64,
}

impl VideoPacketizer {
    /// Starts a track at RTP timestamp `first_timestamp`, which should be random (RFC 3550 §5.1).
    pub fn new(first_timestamp: u32) -> VideoPacketizer {
        VideoPacketizer {
            timeline: Timeline::new(Codec::H264, first_timestamp),
            sets: ParameterSets::default(),
            active: None,
            b_slices: false,
            next_sequence: TrackSeq::default(),
            discarded_nals: 0,
        }
    }

    /// Takes the parameter sets of the source's SDP (`sprop-parameter-sets`, RFC 6184 §8.1), as NAL units: the base
    /// that those in band replace id by id. What cannot be read is left out.
    pub fn set_parameter_sets(&mut self, sets: &[Bytes]) {
        self.sets.announce(sets);
    }

    /// The source reconnected: the next unit's timestamp says nothing about the last one's, and its pictures
    /// refer to none before them. Sequence numbers (with a gap) and timestamps go on.
    pub fn restart(&mut self) {
        self.timeline.restart();
        self.b_slices = false;
        self.leave_gap();
    }

    /// What is known of the video: by the SPS of the last keyframe, or before one by the newest, and by its slices.
    pub fn facts(&self) -> VideoFacts {
        let found = self.active.and_then(|pps| self.sets.behind(pps)).or_else(|| self.sets.newest());
        let by_arrival = self.timeline.is_by_arrival();
        let Some((nal, sps)) = found else { return VideoFacts { by_arrival, ..VideoFacts::default() } };
        let profile_level_id = profile_level_id(nal);
        VideoFacts {
            profile_level_id,
            profile: profile_level_id.map(|[profile, _, _]| profile),
            size: sps.and_then(|sps| sps.size),
            frame_rate: sps.and_then(|sps| sps.frame_rate),
            chroma_format: sps.map(|sps| sps.chroma_format),
            interlaced: sps.is_some_and(|sps| !sps.progressive),
            b_pictures: self.b_slices && sps.is_none_or(Sps::reorders),
            by_arrival,
        }
    }

    /// A number that no packet has: what comes next does not follow what was before.
    fn leave_gap(&mut self) {
        // Nothing to be apart from, else.
        if self.next_sequence > TrackSeq::default() {
            self.next_sequence += 1;
        }
    }

    /// How often the source's timestamps jumped of themselves, since the start.
    pub fn jumps(&self) -> u64 {
        self.timeline.jumps()
    }

    /// The track's timeline: how its source's clock runs.
    pub(crate) fn timeline(&self) -> &Timeline {
        &self.timeline
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
    ///
    /// A gap is left in the sequence numbers before a unit that comes [after a gap](AccessUnit::after_gap), and for
    /// one that is refused.
    pub fn packetize(&mut self, unit: AccessUnit) -> Result<Vec<Arc<Train>>, PacketizeError> {
        if unit.after_gap {
            self.leave_gap();
        }
        let trains = self.trains_of(&unit);
        if trains.is_err() {
            self.leave_gap();
        }
        trains
    }

    fn trains_of(&mut self, unit: &AccessUnit) -> Result<Vec<Arc<Train>>, PacketizeError> {
        let timestamp = unit.timestamp;
        check_size(unit)?;

        let nals = self.nals_to_send(unit)?;
        let Some(slice) = nals.iter().find(|nal| is_slice(nal)) else { return Ok(Vec::new()) };
        let head = SliceHead::read(slice);
        self.b_slices |= head.as_ref().is_some_and(|head| head.kind == SliceKind::B);
        let keyframe = nals.iter().any(|nal| kind(nal) == IDR);
        if keyframe {
            // A head that is none of a keyframe's says nothing: some set will do.
            let credible = head.filter(|head| head.begins_picture && head.kind == SliceKind::I);
            let pps = credible.map(|head| head.pps);
            if !self.sets.complete(pps) {
                return Err(PacketizeError::NoParameterSets { timestamp });
            }
            self.active = pps;
        }

        let nals: Vec<&[u8]> = if keyframe {
            let others = nals.into_iter().filter(|nal| !matches!(kind(nal), SPS | PPS));
            self.sets.in_order().chain(others.map(|nal| &nal[..])).collect()
        } else {
            nals.into_iter().map(|nal| &nal[..]).collect()
        };
        let packets = payloads(&nals, MAX_PAYLOAD);

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
    match kind(nal) {
        _ if forbidden_zero_bit != 0 => Verdict::Malformed,
        0 | STAP_A.. => Verdict::Malformed,
        SPS | PPS => Verdict::ParameterSet,
        needless if NEEDLESS.contains(&needless) => Verdict::Needless,
        _ => Verdict::Send,
    }
}
