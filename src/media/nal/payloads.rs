//! NAL units into RTP payloads: single ones, aggregates and fragments (RFC 6184 in `packetization-mode=1`, RFC 7798).
//!
//! Owns the cutting and the joining. Never writes an RTP header, and never looks behind the head of a unit.

use smallvec::SmallVec;

use super::{NalCodec, Role};
use crate::Packets;

/// The RTP payloads of one picture's NAL units, each of at most `max_payload` bytes (4 to 65,535). Empty units are
/// left out.
pub(crate) fn payloads(codec: &dyn NalCodec, nals: &[&[u8]], max_payload: usize) -> Packets {
    Payloads::of(codec, nals, max_payload)
}

/// Small units of one aggregate whose list needs no memory of its own: what goes before a keyframe mostly.
const FEW: usize = 6;

/// Collects the RTP payloads of one access unit. `'a` are its NAL units.
struct Payloads<'a> {
    codec: &'a dyn NalCodec,
    /// Bytes of a payload at the most; an aggregated unit's length has 16 bits.
    max_payload: usize,
    done: Packets,
    /// Small units that wait for neighbours, or for the slice that they go before; together they fit one aggregate.
    waiting: SmallVec<[&'a [u8]; FEW]>,
    /// Bytes of the aggregate of all that wait, without its own header.
    waiting_bytes: usize,
}

impl<'a> Payloads<'a> {
    fn of(codec: &'a dyn NalCodec, nals: &[&'a [u8]], max_payload: usize) -> Packets {
        let header = codec.header_bytes();
        let max_payload = max_payload.clamp(header + 2, u16::MAX.into());
        let bytes: usize = nals.iter().map(|nal| nal.len()).sum();
        let packets = nals.len() + bytes / (max_payload - header - 1);
        // Two bytes for each unit of an aggregate, a header for each fragment and each aggregate: enough,
        // so that the buffer never grows and a train keeps little more than its bytes.
        let done = Packets::with_capacity(packets, bytes + (header + 2) * packets);
        let mut payloads = Payloads { codec, max_payload, done, waiting: SmallVec::new(), waiting_bytes: 0 };
        nals.iter().filter(|nal| !nal.is_empty()).for_each(|nal| payloads.push(nal));
        payloads.flush();
        payloads.done
    }

    /// Appends a NAL unit that is not empty.
    fn push(&mut self, nal: &'a [u8]) {
        let max_aggregated = self.max_payload - self.codec.header_bytes();
        let aggregated_bytes = 2 + nal.len();
        let role = self.codec.role(nal);
        let fits = self.waiting_bytes + aggregated_bytes <= max_aggregated;
        if matches!(role, Role::Set(_) | Role::Info) && aggregated_bytes <= max_aggregated {
            if !fits {
                self.flush();
            }
            self.wait(nal);
            return;
        }
        // A packet that is shorter than the one behind it is a message of its own. Keyframes, which are larger, begin with their sets.
        if matches!(role, Role::Slice { key: false, .. }) && fits && !self.waiting.is_empty() {
            self.wait(nal);
            self.flush();
            return;
        }
        self.flush();
        if nal.len() <= self.max_payload {
            self.done.push(nal);
        } else {
            self.fragment(nal);
        }
    }

    fn wait(&mut self, nal: &'a [u8]) {
        self.waiting.push(nal);
        self.waiting_bytes += 2 + nal.len();
    }

    /// Sends what waits: alone as it is, several as an aggregate.
    fn flush(&mut self) {
        match self.waiting[..] {
            [] => {}
            [nal] => self.done.push(nal),
            _ => {
                let head = self.codec.aggregate_head(&self.waiting);
                self.done.push_with(|out| {
                    out.extend_from_slice(head.bytes());
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

    /// As few fragments as possible, of equal size but the last, which lacks less than one byte per fragment. Equal
    /// packets go to the kernel as one message; the NAL unit's own header travels in that of each fragment.
    fn fragment(&mut self, nal: &[u8]) {
        let (header, body) = nal.split_at(self.codec.header_bytes());
        let fragments = body.len().div_ceil(self.max_payload - header.len() - 1);
        let size = body.len().div_ceil(fragments);

        let last = (body.len() - 1) / size;
        let head = self.codec.fragment_head(nal);
        let [head @ .., unit] = head.bytes() else { return };
        for (index, fragment) in body.chunks(size).enumerate() {
            let start = if index == 0 { 0x80 } else { 0 };
            let end = if index == last { 0x40 } else { 0 };
            self.done.push_with(|out| {
                out.extend_from_slice(head);
                out.push(start | end | unit);
                out.extend_from_slice(fragment);
            });
        }
    }
}
