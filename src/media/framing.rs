//! Datagrams in a stream of bytes: each behind its length (RFC 4571 §2), as ICE over TCP has them (RFC 6544 §3).
//!
//! Owns the cut, and how much of a frame is kept until its end has come. Never reads from anything.

/// Bytes of a length.
pub const FRAME_HEADER: usize = 2;

/// The longest frame that is taken. What peers send (STUN, DTLS, RTCP) is made for lines of 1,500 bytes; longer ones
/// would let a stranger have more kept for him.
pub const FRAME_MAX: usize = 2_048;

/// Bytes that [`Frames::space`] gives at the least: one read brings what came of a few frames.
const SPACE: usize = 4_096;

/// A frame says that it is longer than [`FRAME_MAX`]: where the next one begins cannot be told any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {0} bytes: at most {FRAME_MAX} are taken")]
pub struct FrameTooLong(pub usize);

/// The length that goes in front of a datagram of `length` bytes, if one can.
pub fn frame_header(length: usize) -> Option<[u8; FRAME_HEADER]> {
    u16::try_from(length).ok().map(u16::to_be_bytes)
}

/// Bytes on their way to frames.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    /// What was given out already.
    start: usize,
    /// What was filled.
    end: usize,
}

impl Frames {
    /// Where the next bytes go; [`Frames::filled`] tells how many came.
    pub fn space(&mut self) -> &mut [u8] {
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.bytes.len() < self.end + SPACE {
            self.bytes.resize(self.end + SPACE, 0);
        }
        &mut self.bytes[self.end..]
    }

    /// `count` bytes came into [`Frames::space`].
    pub fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// The next whole frame, which may be empty.
    ///
    /// # Errors
    ///
    /// [`FrameTooLong`]: nothing that comes later can be read.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameTooLong> {
        let waiting = &self.bytes[self.start..self.end];
        let Some((&header, rest)) = waiting.split_first_chunk::<FRAME_HEADER>() else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes(header));
        if length > FRAME_MAX {
            return Err(FrameTooLong(length));
        }
        if rest.len() < length {
            return Ok(None);
        }
        let begin = self.start + FRAME_HEADER;
        self.start = begin + length;
        Ok(Some(&self.bytes[begin..begin + length]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(datagrams: &[Vec<u8>]) -> Vec<u8> {
        let frame = |datagram: &Vec<u8>| [&frame_header(datagram.len()).unwrap()[..], datagram].concat();
        datagrams.iter().flat_map(frame).collect()
    }

    proptest! {
        #[test]
        fn datagrams_come_out_as_they_went_in_however_the_line_cuts_them(
            sizes in prop::collection::vec(prop::sample::select(&[0, 1, 20, 120, 1_200, FRAME_MAX][..]), 1..40),
            cuts in prop::collection::vec(1usize..3_000, 1..20),
        ) {
            let datagrams: Vec<Vec<u8>> =
                sizes.iter().enumerate().map(|(number, size)| vec![number as u8; *size]).collect();
            let (mut frames, mut out) = (Frames::default(), Vec::new());
            let mut rest = &framed(&datagrams)[..];
            for cut in cuts.iter().cycle() {
                let space = frames.space();
                let count = (*cut).min(rest.len()).min(space.len());
                space[..count].copy_from_slice(&rest[..count]);
                frames.filled(count);
                rest = &rest[count..];
                while let Some(frame) = frames.next_frame().unwrap() {
                    out.push(frame.to_vec());
                }
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(out, datagrams);
            prop_assert!(frames.bytes.len() <= FRAME_MAX + FRAME_HEADER + SPACE, "{} kept", frames.bytes.len());
        }
    }

    #[test]
    fn what_is_too_long_is_refused_before_it_is_there() {
        let mut frames = Frames::default();
        frames.space()[..2].copy_from_slice(&[0xff, 0xff]);
        frames.filled(2);
        assert_eq!(frames.next_frame(), Err(FrameTooLong(65_535)));
        assert_eq!(frame_header(65_536), None);
    }
}
