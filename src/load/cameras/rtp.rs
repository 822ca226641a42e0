//! RTP and RTCP as a camera sends them (RFC 3550).
//!
//! Owns one stream's numbers: SSRC, sequence, what a sender report counts. Never reads a clock.

use std::time::{Duration, SystemTime};

/// Bytes of an RTP header without extensions (§5.1).
pub const HEADER: usize = 12;

const SENDER_REPORT: u8 = 200;
const SOURCE_DESCRIPTION: u8 = 202;
const CNAME: u8 = 1;

/// Seconds from 1900, where NTP begins, to 1970.
const NTP_TO_UNIX: u64 = 2_208_988_800;

/// One stream of RTP packets to one client.
#[derive(Debug)]
pub struct Stream {
    /// Its synchronisation source.
    pub ssrc: u32,
    /// Sequence number of the next packet.
    pub sequence: u16,
    payload_type: u8,
    packets: u32,
    octets: u32,
}

impl Stream {
    /// A stream with random numbers, as §5.1 wants them.
    pub fn new(payload_type: u8, ssrc: u32, sequence: u16) -> Stream {
        Stream { ssrc, sequence, payload_type, packets: 0, octets: 0 }
    }

    /// Whether nothing was sent yet.
    pub fn is_new(&self) -> bool {
        self.packets == 0
    }

    /// Appends the next packet to `out`.
    pub fn packet(&mut self, timestamp: u32, marker: bool, payload: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&[0x80, u8::from(marker) << 7 | self.payload_type]);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&timestamp.to_be_bytes());
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload.len() as u32);
    }

    /// Appends a sender report (§6.4.1) and the description that must go with it (§6.1): at the time
    /// `now` the stream's clock shows `timestamp`.
    pub fn report(&self, now: SystemTime, timestamp: u32, cname: &str, out: &mut Vec<u8>) {
        let mut packet = |kind: u8, count: u8, body: &[u8]| {
            let words = (body.len() / 4) as u16;
            out.extend_from_slice(&[0x80 | count, kind]);
            out.extend_from_slice(&words.to_be_bytes());
            out.extend_from_slice(body);
        };
        let ssrc = self.ssrc.to_be_bytes();

        let mut report = ssrc.to_vec();
        report.extend_from_slice(&ntp(now).to_be_bytes());
        for number in [timestamp, self.packets, self.octets] {
            report.extend_from_slice(&number.to_be_bytes());
        }
        packet(SENDER_REPORT, 0, &report);

        let cname = &cname.as_bytes()[..cname.len().min(u8::MAX.into())];
        let mut description = ssrc.to_vec();
        description.extend_from_slice(&[CNAME, cname.len() as u8]);
        description.extend_from_slice(cname);
        // The list ends with a zero, and its chunk at a multiple of four bytes (§6.5).
        description.push(0);
        description.resize(description.len().next_multiple_of(4), 0);
        packet(SOURCE_DESCRIPTION, 1, &description);
    }
}

/// 32 bits of seconds since 1900, 32 bits of fraction (§4).
fn ntp(time: SystemTime) -> u64 {
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let fraction = (u64::from(since_1970.subsec_nanos()) << 32) / 1_000_000_000;
    since_1970.as_secs().wrapping_add(NTP_TO_UNIX) << 32 | fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_count_on_and_wrap() {
        let mut stream = Stream::new(96, 0x0102_0304, 0xffff);
        let mut out = Vec::new();
        assert!(stream.is_new());
        stream.packet(0x0a0b_0c0d, false, &[1, 2], &mut out);
        stream.packet(0x0a0b_0c0d, true, &[3], &mut out);
        assert!(!stream.is_new());
        let first = [0x80, 96, 0xff, 0xff, 0x0a, 0x0b, 0x0c, 0x0d, 1, 2, 3, 4, 1, 2];
        let second = [0x80, 0xe0, 0, 0, 0x0a, 0x0b, 0x0c, 0x0d, 1, 2, 3, 4, 3];
        assert_eq!(out, [&first[..], &second].concat());
    }

    #[test]
    fn a_report_is_a_compound_of_whole_words() {
        let mut stream = Stream::new(96, 0x0102_0304, 7);
        stream.packet(0, true, &[0; 100], &mut Vec::new());
        let half_past = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        for cname in ["cam1", "cam12", "cam123@x", &"n".repeat(300)] {
            let mut out = Vec::new();
            stream.report(half_past, 9_000, cname, &mut out);
            assert_eq!(out[..8], [0x80, 200, 0, 6, 1, 2, 3, 4]);
            assert_eq!(out[8..16], [0x83, 0xaa, 0x7e, 0x81, 0x80, 0, 0, 0], "2,208,988,801.5");
            assert_eq!(out[16..28], [0, 0, 0x23, 0x28, 0, 0, 0, 1, 0, 0, 0, 100]);
            let description = &out[28..];
            assert_eq!(description[..2], [0x81, 202]);
            let words = u16::from_be_bytes([description[2], description[3]]);
            assert_eq!(description.len(), 4 + 4 * usize::from(words));
            assert_eq!(description.last(), Some(&0), "{cname}");
        }
    }
}
