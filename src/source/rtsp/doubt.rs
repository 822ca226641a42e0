//! Whether a camera sends the codec that it announces.
//!
//! Owns how much it takes to believe that it does not.

use sluice_media::VideoCodec;

/// Parameter sets of another codec than the announced one, and no keyframe of that, before it is believed. One may be
/// an accident: units of the two look alike.
const ENOUGH: u8 = 2;

/// What speaks against the announced codec; dropped at its first keyframe.
#[derive(Debug)]
pub(super) struct Doubt {
    announced: VideoCodec,
    /// The other one, and how many of its parameter sets came.
    other: Option<(VideoCodec, u8)>,
}

impl Doubt {
    /// Of a video that is announced as this codec.
    pub(super) fn new(announced: VideoCodec) -> Doubt {
        let other = VideoCodec::ALL.into_iter().find(|other| *other != announced);
        Doubt { announced, other: other.map(|other| (other, 0)) }
    }

    /// Takes the payload of a packet, not empty. Returns the codec that comes if it is not the announced one.
    pub(super) fn look(&mut self, payload: &[u8]) -> Option<VideoCodec> {
        let (other, sets) = self.other.as_mut()?;
        if self.announced.describes(payload) || !other.describes(payload) {
            return None;
        }
        *sets += 1;
        (*sets >= ENOUGH).then_some(*other)
    }
}
