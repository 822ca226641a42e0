//! What a player shows of the packets that came: which picture of which camera, and when.
//!
//! Owns the judgement that all simulations share of what somebody saw: a picture is shown if it is whole and a decoder has
//! what it needs for it. The sequence numbers are all that a decoder has to tell that nothing is missing, so whatever
//! they let through must be the very next picture, bit for bit: anything else is a picture full of errors, and a panic here.

use std::collections::HashMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::camera::Camera;
use crate::client::{Client, Packet};

/// Bytes of a slice that tell it from all others: they are random.
const MARK: usize = 24;

/// A picture that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// When.
    pub at: Instant,
    /// The camera that made it.
    pub camera: usize,
    /// Which of its pictures it is.
    pub frame: usize,
}

/// All pictures that a player of H.264 showed, in their order. Panics at one that is not what a camera made, and at one
/// that goes on where something is missing.
pub fn shown(client: &Client, cameras: &[Camera]) -> Vec<Shown> {
    let made = Made::of(cameras);
    let mut packets: Vec<&Packet> = client.pictures().collect();
    packets.sort_by_key(|packet| (packet.sequence, packet.at));
    packets.dedup_by_key(|packet| packet.sequence);

    let mut shown: Vec<Shown> = Vec::new();
    // What the last packet leaves behind: the next number, and the picture that it ended if that was shown.
    let (mut next, mut before): (_, Option<(usize, usize)>) = (None, None);
    for picture in packets.chunk_by(|one, next| one.timestamp == next.timestamp) {
        let (first, last) = (picture[0], picture[picture.len() - 1]);
        let numbers = picture.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1);
        let goes_on = next == Some(first.sequence);
        let whole = numbers && last.marker && (goes_on || begins_keyframe(first));
        let reference = before.take().filter(|_| goes_on);
        next = last.marker.then_some(last.sequence + 1);
        if !whole {
            continue;
        }
        let nals = nal_units(picture);
        let (camera, frame) = made.find(&nals);
        if !begins_keyframe(first) {
            let Some(reference) = reference else { continue };
            let follows = (camera, frame) == (reference.0, reference.1 + 1);
            assert!(follows, "{camera}:{frame} goes on behind {reference:?}, and no number is missing");
        }
        before = Some((camera, frame));
        let came = picture.iter().map(|packet| packet.at).max().expect("a packet");
        let waits = if begins_keyframe(first) { None } else { shown.last().map(|last| last.at) };
        // A player goes on at a keyframe, and throws away what comes for before it.
        shown.retain(|earlier| !begins_keyframe(first) || earlier.at <= came);
        shown.push(Shown { at: waits.map_or(came, |at| at.max(came)), camera, frame });
    }
    shown
}

/// The longest time within `during` in which nothing new was shown.
pub fn longest_gap(shown: &[Shown], during: Range<Instant>) -> Duration {
    let times = shown.iter().map(|shown| shown.at).filter(|at| during.contains(at));
    let times: Vec<Instant> = std::iter::once(during.start).chain(times).chain([during.end]).collect();
    times.windows(2).map(|pair| pair[1].saturating_duration_since(pair[0])).max().unwrap_or_default()
}

/// Whether a picture begins with the parameter sets of a keyframe, in a STAP-A (RFC 6184 §5.7.1).
fn begins_keyframe(packet: &Packet) -> bool {
    packet.payload.len() > 3 && packet.payload[0] & 0x1f == 24 && packet.payload[3] & 0x1f == 7
}

/// The pictures of all cameras, by what tells them apart.
struct Made<'a> {
    cameras: &'a [Camera],
    by_mark: HashMap<&'a [u8], (usize, usize)>,
}

impl<'a> Made<'a> {
    fn of(cameras: &'a [Camera]) -> Made<'a> {
        let all = cameras.iter().enumerate().flat_map(|(camera, made)| {
            made.frames.iter().enumerate().map(move |(frame, nals)| (mark(nals), (camera, frame)))
        });
        Made { cameras, by_mark: all.collect() }
    }

    /// Which camera made the picture, and which of its pictures that is.
    fn find(&self, nals: &[Bytes]) -> (usize, usize) {
        let found = self.by_mark.get(mark(nals)).copied();
        let (camera, frame) = found.expect("a picture that some camera made");
        assert_eq!(
            self.cameras[camera].frames[frame], nals,
            "picture {camera}:{frame} was changed on the way"
        );
        (camera, frame)
    }
}

fn mark(nals: &[Bytes]) -> &[u8] {
    let slice = nals.last().expect("a slice");
    &slice[..slice.len().min(MARK)]
}

/// The NAL units of a whole picture (RFC 6184 §5.6 to §5.8).
fn nal_units(picture: &[&Packet]) -> Vec<Bytes> {
    let mut units: Vec<Vec<u8>> = Vec::new();
    for packet in picture {
        let payload = &packet.payload;
        match payload[0] & 0x1f {
            24 => {
                let mut rest = &payload[1..];
                while let Some((length, behind)) = rest.split_first_chunk::<2>() {
                    let (unit, behind) = behind.split_at(u16::from_be_bytes(*length).into());
                    units.push(unit.to_vec());
                    rest = behind;
                }
            }
            28 => {
                if payload[1] & 0x80 != 0 {
                    units.push(vec![payload[0] & 0xe0 | payload[1] & 0x1f]);
                }
                units.last_mut().expect("a fragment that begins").extend_from_slice(&payload[2..]);
            }
            _ => units.push(payload.to_vec()),
        }
    }
    units.into_iter().map(Bytes::from).collect()
}
