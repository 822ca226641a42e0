//! From the NAL units of a picture to those that are sent.
//!
//! Owns what is remembered from picture to picture: the parameter sets that go before each keyframe, and what is known
//! of the video. Never looks behind the head of a slice, and writes no packets.

use bytes::Bytes;

use super::{NalCodec, ParameterSets, Role, SliceKind, VideoFacts};

/// A picture to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture<'a> {
    /// Its NAL units in sending order. None is empty.
    pub nals: Vec<&'a [u8]>,
    /// Whether a decoder can begin with it: its parameter sets are there, too.
    pub keyframe: bool,
}

/// Why a picture cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsendable {
    /// No NAL unit was left, behind so many that were malformed.
    Empty(usize),
    /// A keyframe came before the parameter sets that it needs.
    NoParameterSets,
}

/// The pictures of one track.
///
/// A keyframe is a picture that a decoder can begin with by what the standard says of its slices, and nothing
/// else: a recovery point or a picture of I slices may still refer back, and no decoder has to start there.
#[derive(Debug)]
pub struct Bitstream {
    codec: &'static dyn NalCodec,
    sets: ParameterSets,
    /// The PPS of the last keyframe.
    active: Option<u32>,
    /// Whether a B slice came since the last [`restart`](Bitstream::restart).
    b_slices: bool,
    discarded: u64,
}

impl Bitstream {
    pub(crate) fn new(codec: &'static dyn NalCodec) -> Bitstream {
        let sets = ParameterSets::new(codec);
        Bitstream { codec, sets, active: None, b_slices: false, discarded: 0 }
    }

    /// Takes the parameter sets of the source's session description, as NAL units: the base that those in band replace
    /// id by id. What cannot be read is left out.
    pub fn announce(&mut self, sets: &[Bytes]) {
        self.sets.announce(sets);
    }

    /// The source reconnected.
    pub fn restart(&mut self) {
        self.b_slices = false;
    }

    /// What is known of the video: by the parameter set of the last keyframe, or before one by the newest, and by its
    /// slices.
    pub fn facts(&self) -> VideoFacts {
        let known = self.active.and_then(|pps| self.sets.behind(pps)).or_else(|| self.sets.newest());
        let facts = known.copied().unwrap_or_default();
        VideoFacts { b_pictures: facts.b_pictures && self.b_slices, ..facts }
    }

    /// NAL units that were left out because they are malformed, since the start: empty, damaged, of a type that RTP
    /// uses for itself, or unreadable parameter sets.
    pub fn discarded(&self) -> u64 {
        self.discarded
    }

    /// What to send of a picture; `None` if it holds parameter sets and the like, but no slice (the sets are remembered
    /// for the next keyframe).
    ///
    /// A keyframe begins with all parameter sets that it may need, from this picture, earlier ones, or the session
    /// description. Otherwise NAL units keep their order.
    pub fn picture<'a>(&'a mut self, nals: &'a [Bytes]) -> Result<Option<Picture<'a>>, Unsendable> {
        let nals = self.sendable(nals)?;
        let role = |nal: &[u8]| self.codec.role(nal);
        let Some(slice) = nals.iter().find(|nal| role(nal).is_slice()) else { return Ok(None) };
        let head = self.codec.slice_head(slice);
        self.b_slices |= head.as_ref().is_some_and(|head| head.kind == SliceKind::B);
        if !nals.iter().any(|nal| role(nal).is_key()) {
            return Ok(Some(Picture { nals, keyframe: false }));
        }
        // A head that is none of a keyframe's says nothing: some set will do.
        let credible = head.filter(|head| head.begins_picture && head.kind == SliceKind::I);
        let pps = credible.map(|head| head.pps);
        if !self.sets.complete(pps) {
            return Err(Unsendable::NoParameterSets);
        }
        self.active = pps;
        let others = nals.into_iter().filter(|nal| !matches!(self.codec.role(nal), Role::Set(_)));
        Ok(Some(Picture { nals: self.sets.in_order().chain(others).collect(), keyframe: true }))
    }

    /// Leaves out what is malformed (counted) or needless, and remembers parameter sets. No NAL unit of
    /// the answer is empty.
    fn sendable<'a>(&mut self, all: &'a [Bytes]) -> Result<Vec<&'a [u8]>, Unsendable> {
        let mut discarded = 0;
        let mut nals: Vec<&[u8]> = Vec::with_capacity(all.len());
        for nal in all {
            match self.codec.role(nal) {
                Role::Delimiter | Role::Needless => {}
                Role::Set(_) if self.sets.remember(nal) => nals.push(nal),
                Role::Set(_) | Role::Malformed => discarded += 1,
                Role::Slice { .. } | Role::Info | Role::Behind | Role::Other => nals.push(nal),
            }
        }
        self.discarded += discarded as u64;
        if nals.is_empty() { Err(Unsendable::Empty(discarded)) } else { Ok(nals) }
    }
}
