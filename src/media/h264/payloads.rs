//! H.264 into RTP payloads, `packetization-mode=1` (RFC 6184): single NAL units, STAP-A, FU-A.
//!
//! Owns the cutting and the joining. Never writes an RTP header, and never looks behind the head of a unit.

use super::{FU_A, PPS, SEI, SPS, STAP_A, kind};
use crate::Packets;

/// `nal_ref_idc`: how much a decoder needs the unit, in the bits where the header has it.
fn nal_ref_idc(header: u8) -> u8 {
    header & 0x60
}

/// The RTP payloads of one picture's NAL units, each of at most `max_payload` bytes (3 to 65,535). Empty units are
/// left out.
pub fn payloads(nals: &[&[u8]], max_payload: usize) -> Packets {
    Payloads::of(nals, max_payload)
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
    fn of(nals: &[&'a [u8]], max_payload: usize) -> Packets {
        let max_payload = max_payload.clamp(3, u16::MAX.into());
        let bytes: usize = nals.iter().map(|nal| nal.len()).sum();
        let packets = nals.len() + bytes / (max_payload - 2);
        // Two bytes for each unit of an aggregate and for each fragment, and one for each aggregate: enough,
        // so that the buffer never grows and a train keeps little more than its bytes.
        let done = Packets::with_capacity(packets, bytes + 3 * packets);
        let mut payloads = Payloads { max_payload, done, waiting: Vec::new(), waiting_bytes: 0 };
        nals.iter().filter(|nal| !nal.is_empty()).for_each(|nal| payloads.push(nal));
        payloads.flush();
        payloads.done
    }

    /// Appends a NAL unit that is not empty.
    fn push(&mut self, nal: &'a [u8]) {
        let max_aggregated = self.max_payload - 1;
        let aggregated_bytes = 2 + nal.len();
        let aggregates = matches!(kind(nal), SEI | SPS | PPS) && aggregated_bytes <= max_aggregated;
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
                out.extend([nal_ref_idc(header) | FU_A, start | end | kind(nal)]);
                out.extend_from_slice(fragment);
            });
        }
    }
}
