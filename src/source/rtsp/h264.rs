//! H.264 out of RTP: single NAL units, STAP-A and FU-A become access units (RFC 6184 §5.6 - §5.8).
//!
//! Owns one picture under construction, bounded in bytes. Never drops a picture because a part of it was
//! lost, and never judges what is inside a NAL unit beyond its type.
//!
//! retina has a depacketizer too, but it can be had only for all streams of a session or none, and it knows
//! no Opus; it also ends the session at the first odd packet, drops every picture with a loss inside, and
//! keeps a picture of any size. Cameras are odd, so this one is tolerant: what it cannot use it counts and
//! leaves out.

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use crate::track::AccessUnit;
use crate::track::h264::{DELIMITER, FU_A, IDR, SEI, STAP_A, find_start_code, kind as nal_type};

/// What a NAL unit counts for beside its bytes: the handle that holds it.
///
/// Without it a STAP-A of one-byte units would take thirty times the memory that the limit allows.
const NAL_OVERHEAD: usize = size_of::<Bytes>();

/// One RTP packet of the video.
#[derive(Debug, Clone)]
pub(super) struct Packet {
    /// The RTP payload, without padding.
    pub(super) payload: Bytes,
    /// Unwrapped RTP timestamp, in ticks of 90 kHz.
    pub(super) timestamp: i64,
    /// The RTP marker: the last packet of a picture (RFC 6184 §5.1).
    pub(super) marker: bool,
    /// Whether packets are missing just before this one, or it has nothing to do with those before it (a new SSRC).
    pub(super) after_loss: bool,
    /// When it was read.
    pub(super) received: Instant,
}

/// A picture grew beyond the limit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PictureTooLarge;

/// Puts packets together to access units.
#[derive(Debug)]
pub(super) struct Depacketizer {
    max_bytes: usize,
    nals: Vec<Bytes>,
    /// What `nals` count for against `max_bytes`.
    bytes: usize,
    has_slice: bool,
    timestamp: i64,
    /// When the last packet was read.
    received: Option<Instant>,
    /// The NAL unit whose fragments are coming in, with its header restored.
    fragment: Option<BytesMut>,
    /// The sender puts several NAL units, with start codes between, where one belongs.
    start_codes: bool,
    /// Packets are missing since the last picture.
    gap: bool,
    discarded: u64,
}

impl Depacketizer {
    /// One that holds at most `max_bytes` of a picture.
    pub(super) fn new(max_bytes: usize) -> Depacketizer {
        Depacketizer {
            max_bytes,
            nals: Vec::new(),
            bytes: 0,
            has_slice: false,
            timestamp: 0,
            received: None,
            fragment: None,
            start_codes: false,
            gap: false,
            discarded: 0,
        }
    }

    /// Packets, and NAL units in them, that were no H.264 and were left out.
    pub(super) fn discarded(&self) -> u64 {
        self.discarded
    }

    /// Takes the next packet and appends the access units which it completes (at most two) to `out`.
    ///
    /// A picture ends at the marker, and for senders that set none, at the next timestamp. Parameter sets and
    /// SEI alone are no picture, whatever marker or timestamp the sender gave them: they wait for their
    /// slice.
    pub(super) fn push(&mut self, packet: Packet, out: &mut Vec<AccessUnit>) -> Result<(), PictureTooLarge> {
        if packet.after_loss {
            self.fragment = None;
            self.gap = true;
        }
        if packet.timestamp != self.timestamp {
            self.fragment = None;
            self.finish(self.received.unwrap_or(packet.received), out);
            self.timestamp = packet.timestamp;
        }
        self.received = Some(packet.received);
        let kind = nal_type(&packet.payload);
        if kind == FU_A {
            self.fragment(&packet.payload, packet.marker)?;
        } else {
            // A unit that began in fragments and does not go on has lost its end.
            self.fragment = None;
            if kind == STAP_A { self.aggregate(&packet.payload)? } else { self.nal(packet.payload)? }
        }
        if packet.marker {
            self.finish(packet.received, out);
        }
        Ok(())
    }

    /// Hands out the picture, if there is one.
    fn finish(&mut self, received: Instant, out: &mut Vec<AccessUnit>) {
        if self.has_slice {
            self.has_slice = false;
            self.bytes = 0;
            let nals = std::mem::take(&mut self.nals);
            let after_gap = std::mem::take(&mut self.gap);
            out.push(AccessUnit { nals, timestamp: self.timestamp, received, after_gap });
        }
    }

    /// STAP-A: after a header byte, NAL units each behind its length in 16 bits (RFC 6184 §5.7.1).
    fn aggregate(&mut self, payload: &Bytes) -> Result<(), PictureTooLarge> {
        let mut at = 1;
        while let Some(length) = payload.get(at..at + 2) {
            let start = at + 2;
            at = start + usize::from(u16::from_be_bytes([length[0], length[1]]));
            if at > payload.len() {
                break;
            }
            self.nal(payload.slice(start..at))?;
        }
        if at != payload.len() {
            self.discarded += 1;
        }
        Ok(())
    }

    /// FU-A: an indicator with the NAL unit's first three bits, a header with its type, and a part of it
    /// (RFC 6184 §5.8).
    ///
    /// The marker ends the unit as the end bit does: some cameras forget one of the two.
    fn fragment(&mut self, payload: &[u8], marker: bool) -> Result<(), PictureTooLarge> {
        let [indicator, header, part @ ..] = payload else {
            self.discarded += 1;
            return Ok(());
        };
        if header & 0x80 != 0 {
            let mut nal = BytesMut::with_capacity(part.len() * 2);
            nal.extend_from_slice(&[(indicator & 0xe0) | (header & 0x1f)]);
            self.fragment = Some(nal);
        }
        // No unit begun: its start was lost, and was counted as such.
        let Some(mut nal) = self.fragment.take() else { return Ok(()) };
        if self.bytes + nal.len() + part.len() > self.max_bytes {
            return Err(PictureTooLarge);
        }
        nal.extend_from_slice(part);
        if header & 0x40 != 0 || marker {
            self.nal(nal.freeze())?;
        } else {
            self.fragment = Some(nal);
        }
        Ok(())
    }

    /// Takes what should be one NAL unit.
    ///
    /// Some cameras send a piece of an Annex B byte stream there. Such a piece begins a picture, so it begins
    /// with a delimiter, SEI or parameter set (or even with a start code): these are searched for start
    /// codes, and once one was found everything is. Slices of well-behaved cameras are never read through.
    fn nal(&mut self, nal: Bytes) -> Result<(), PictureTooLarge> {
        let suspicious = matches!(nal_type(&nal), 0 | SEI..=DELIMITER);
        if !self.start_codes && !suspicious {
            return self.keep(nal);
        }
        let mut start = 0;
        while let Some(code) = find_start_code(&nal, start) {
            self.start_codes = true;
            if code > start {
                self.keep(nal.slice(start..code))?;
            }
            start = code + 3;
        }
        self.keep(nal.slice(start..))
    }

    fn keep(&mut self, mut nal: Bytes) -> Result<(), PictureTooLarge> {
        // `trailing_zero_8bits` and the first byte of a four-byte start code (ITU-T H.264 §B.1.1).
        let end = nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        nal.truncate(end);
        if nal.is_empty() {
            return Ok(());
        }
        // 24 and above are packet types, and of them the interleaved ones (RFC 6184 §5.3) come here; the top
        // bit says that the unit is damaged.
        let kind = nal_type(&nal);
        if !(1..=23).contains(&kind) || nal[0] & 0x80 != 0 {
            self.discarded += 1;
            return Ok(());
        }
        self.bytes += nal.len() + NAL_OVERHEAD;
        if self.bytes > self.max_bytes {
            return Err(PictureTooLarge);
        }
        self.has_slice |= kind <= IDR;
        self.nals.push(nal);
        Ok(())
    }
}

#[cfg(test)]
#[path = "h264_tests.rs"]
mod tests;
