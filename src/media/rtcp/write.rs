//! RTCP that we write: sender reports with their source description, and goodbyes.
//!
//! Owns the bytes of the packets of RFC 3550 §6 before they are sealed, and the mapping from our
//! monotonic time to NTP. Reading is the engine's; sealing is `seal`'s.

use std::time::{Duration, Instant};

use str0m::rtp::Ssrc;

/// Bytes of any packet made here at the most: a report is 28, a description up to 80.
pub const PACKET_MAX: usize = 160;

/// The canonical name of every sender here (RFC 3550 §6.5.1): what tells a player that video and audio
/// belong together. A player has one sender per connection, so one name does for all.
pub const CNAME: &str = "sluice";

/// Bytes of a CNAME at the most.
const CNAME_MAX: usize = 64;

/// One moment by both clocks: how core code, which reads neither, writes NTP time.
#[derive(Debug, Clone, Copy)]
pub struct Epoch {
    instant: Instant,
    /// Time since 1900-01-01 (RFC 5905 §6).
    ntp: Duration,
}

/// Seconds from 1900 to 1970.
const NTP_TO_UNIX: Duration = Duration::from_secs(2_208_988_800);

impl Epoch {
    /// The moment `instant` was `unix` after 1970.
    pub fn new(instant: Instant, unix: Duration) -> Epoch {
        Epoch { instant, ntp: unix + NTP_TO_UNIX }
    }

    /// NTP time of `at` as 32.32 bits.
    pub fn ntp(&self, at: Instant) -> u64 {
        let since = match at.checked_duration_since(self.instant) {
            Some(later) => self.ntp + later,
            None => self.ntp.saturating_sub(self.instant.duration_since(at)),
        };
        let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
        (since.as_secs() << 32) | fraction
    }

    /// `abs-send-time` of `at`: 6.18 bits of NTP seconds.
    pub fn abs_send_time(&self, at: Instant) -> [u8; 3] {
        let ntp = (self.ntp(at) >> 14) as u32;
        let [_, a, b, c] = ntp.to_be_bytes();
        [a, b, c]
    }
}

/// What a sender report says (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy)]
pub struct Report {
    /// Of the track.
    pub ssrc: Ssrc,
    /// NTP time of the report, 32.32 bits.
    pub ntp: u64,
    /// RTP timestamp of the same moment.
    pub timestamp: u32,
    /// Packets sent so far.
    pub packets: u32,
    /// Payload bytes sent so far.
    pub octets: u32,
}

/// Writes a sender report and the CNAME that groups a stream's tracks; returns the length.
pub fn sender_report(report: Report, cname: &str, out: &mut [u8; PACKET_MAX]) -> usize {
    out[..4].copy_from_slice(&[0x80, 200, 0, 6]);
    out[4..8].copy_from_slice(&report.ssrc.to_be_bytes());
    out[8..16].copy_from_slice(&report.ntp.to_be_bytes());
    out[16..20].copy_from_slice(&report.timestamp.to_be_bytes());
    out[20..24].copy_from_slice(&report.packets.to_be_bytes());
    out[24..28].copy_from_slice(&report.octets.to_be_bytes());
    28 + description(report.ssrc, cname, &mut out[28..])
}

/// Bytes of [`keyframe_request`].
pub const KEYFRAME_REQUEST: usize = 20;

/// An empty receiver report of `ours`, and a picture loss indication for the sender `ssrc` (RFC 4585 §6.3.1).
pub fn keyframe_request(ours: Ssrc, ssrc: Ssrc) -> [u8; KEYFRAME_REQUEST] {
    let mut out = [0; KEYFRAME_REQUEST];
    out[..4].copy_from_slice(&[0x80, 201, 0, 1]);
    out[4..8].copy_from_slice(&ours.to_be_bytes());
    out[8..12].copy_from_slice(&[0x81, 206, 0, 2]);
    out[12..16].copy_from_slice(&ours.to_be_bytes());
    out[16..].copy_from_slice(&ssrc.to_be_bytes());
    out
}

/// Writes an empty receiver report and a goodbye (RFC 3550 §6.1: a compound begins with a report).
pub fn goodbye(ssrc: Ssrc, out: &mut [u8; PACKET_MAX]) -> usize {
    out[..4].copy_from_slice(&[0x80, 201, 0, 1]);
    out[4..8].copy_from_slice(&ssrc.to_be_bytes());
    out[8..12].copy_from_slice(&[0x81, 203, 0, 1]);
    out[12..16].copy_from_slice(&ssrc.to_be_bytes());
    16
}

fn description(ssrc: Ssrc, cname: &str, out: &mut [u8]) -> usize {
    let name = &cname.as_bytes()[..cname.len().min(CNAME_MAX)];
    // Item header, name, at least one zero, up to a whole word.
    let length = (8 + 2 + name.len() + 1).next_multiple_of(4);
    out[..length].fill(0);
    out[..2].copy_from_slice(&[0x81, 202]);
    out[2..4].copy_from_slice(&((length / 4 - 1) as u16).to_be_bytes());
    out[4..8].copy_from_slice(&ssrc.to_be_bytes());
    out[8] = 1;
    out[9] = name.len() as u8;
    out[10..10 + name.len()].copy_from_slice(name);
    length
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use str0m::rtp::rtcp::Rtcp;

    use super::super::read;
    use super::*;

    #[test]
    fn ntp_time_of_an_epoch_and_around_it() {
        let now = Instant::now();
        let epoch = Epoch::new(now, Duration::from_millis(1_500));
        assert_eq!(epoch.ntp(now), (2_208_988_801 << 32) | (1 << 31));
        assert_eq!(epoch.ntp(now + Duration::from_millis(500)), 2_208_988_802 << 32);
        assert_eq!(epoch.ntp(now - Duration::from_millis(500)), 2_208_988_801 << 32);
        // 6.18 bits: the low 6 bits of the seconds, then 18 of fraction.
        let seconds = 2_208_988_801u64 % 64;
        let wanted = (seconds << 18 | 1 << 17) as u32;
        assert_eq!(epoch.abs_send_time(now), wanted.to_be_bytes()[1..]);
    }

    #[test]
    fn a_report_is_read_back_by_the_library() {
        let mut out = [0; PACKET_MAX];
        let report = Report { ssrc: 7.into(), ntp: 5 << 32, timestamp: 9, packets: 11, octets: 13 };
        for cname in ["", "a", "ab", "abc", "demo", &"x".repeat(64), &"x".repeat(200)] {
            let length = sender_report(report, cname, &mut out);
            assert_eq!(length % 4, 0);
            let words = |at: usize| usize::from(u16::from_be_bytes([out[at + 2], out[at + 3]])) + 1;
            assert_eq!(words(0) * 4, 28, "the report's own length");
            assert_eq!(28 + words(28) * 4, length, "the description's length");
            assert_eq!(out[length - 1], 0, "the list of items ends with a zero");
        }
        assert_eq!(sender_report(report, CNAME, &mut out), 28 + 20, "no word more than the name needs");
        let asked = keyframe_request(7.into(), 9.into());
        let Some(Rtcp::Pli(pli)) = read::packets(&asked).filter_map(read::read).last() else {
            panic!("it is no picture loss indication")
        };
        assert_eq!((*pli.sender_ssrc, *pli.ssrc), (7, 9));
        let length = goodbye(7.into(), &mut out);
        assert_eq!((out[1], out[9], length), (201, 203, 16));
    }
}
