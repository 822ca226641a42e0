//! The RTCP that a viewer writes (reports, NACK, PLI, REMB) and the little it reads (sender reports).
//!
//! Owns the wire format in the clear. Never seals it and never decides when to send.

use std::time::Duration;

/// Fraction lost, counts and delays about one stream (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The stream.
    pub ssrc: u32,
    /// Part lost since the last report, in 256ths.
    pub fraction_lost: u8,
    /// Packets lost since the beginning, without repairs.
    pub lost: u32,
    /// The highest sequence number, with its rollovers.
    pub highest: u32,
    /// Interarrival jitter in ticks of the codec's clock.
    pub jitter: u32,
    /// The middle 32 bits of the last sender report's NTP time; 0 if none came.
    pub last_report: u32,
    /// Time since then.
    pub since_last_report: Duration,
}

/// Appends a receiver report; at most 31 blocks.
pub fn receiver_report(out: &mut Vec<u8>, sender: u32, blocks: &[ReportBlock]) {
    let blocks = &blocks[..blocks.len().min(31)];
    header(out, blocks.len() as u8, 201, 1 + 6 * blocks.len());
    out.extend(sender.to_be_bytes());
    for block in blocks {
        out.extend(block.ssrc.to_be_bytes());
        out.push(block.fraction_lost);
        out.extend(&block.lost.min(0x7f_ffff).to_be_bytes()[1..]);
        out.extend(block.highest.to_be_bytes());
        out.extend(block.jitter.to_be_bytes());
        out.extend(block.last_report.to_be_bytes());
        let delay = (block.since_last_report.as_secs_f64() * 65_536.0) as u32;
        out.extend(if block.last_report == 0 { 0 } else { delay }.to_be_bytes());
    }
}

/// Appends a generic NACK (RFC 4585 §6.2.1) for sequence numbers in ascending order.
pub fn nack(out: &mut Vec<u8>, sender: u32, media: u32, numbers: &[u16]) {
    let mut entries: Vec<(u16, u16)> = Vec::new();
    for &number in numbers {
        match entries.last_mut() {
            Some((first, mask)) if (1..=16).contains(&number.wrapping_sub(*first)) => {
                *mask |= 1 << (number.wrapping_sub(*first) - 1);
            }
            _ => entries.push((number, 0)),
        }
    }
    header(out, 1, 205, 2 + entries.len());
    out.extend(sender.to_be_bytes());
    out.extend(media.to_be_bytes());
    for (first, mask) in entries {
        out.extend(first.to_be_bytes());
        out.extend(mask.to_be_bytes());
    }
}

/// Appends a picture loss indication (RFC 4585 §6.3.1).
pub fn pli(out: &mut Vec<u8>, sender: u32, media: u32) {
    header(out, 1, 206, 2);
    out.extend(sender.to_be_bytes());
    out.extend(media.to_be_bytes());
}

/// Appends a receiver's estimate of the bitrate it can take (draft-alvestrand-rmcat-remb §2.2).
pub fn remb(out: &mut Vec<u8>, sender: u32, bits_per_second: u64, media: &[u32]) {
    let media = &media[..media.len().min(255)];
    header(out, 15, 206, 4 + media.len());
    out.extend(sender.to_be_bytes());
    out.extend(0_u32.to_be_bytes());
    out.extend(b"REMB");
    // 6 bits of exponent, 18 of mantissa.
    let exponent = (64 - bits_per_second.leading_zeros()).saturating_sub(18);
    let mantissa = (bits_per_second >> exponent) as u32;
    out.extend(((media.len() as u32) << 24 | exponent << 18 | mantissa).to_be_bytes());
    for ssrc in media {
        out.extend(ssrc.to_be_bytes());
    }
}

fn header(out: &mut Vec<u8>, count: u8, packet_type: u8, words: usize) {
    out.extend([0x80 | count, packet_type]);
    out.extend((words as u16).to_be_bytes());
}

/// The sender reports of a compound packet: SSRC and the middle 32 bits of the NTP time.
pub fn sender_reports(compound: &[u8]) -> impl Iterator<Item = (u32, u32)> + '_ {
    packets(compound).filter(|packet| packet[1] == 200 && packet.len() >= 28).map(|packet| {
        let word =
            |at: usize| u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]]);
        (word(4), (word(8) << 16) | (word(12) >> 16))
    })
}

fn packets(mut compound: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let header = compound.first_chunk::<4>()?;
        let length = 4 * (1 + usize::from(u16::from_be_bytes([header[2], header[3]])));
        let (packet, rest) = compound.split_at_checked(length)?;
        compound = rest;
        Some(packet)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_the_layout_of_the_rfc() {
        let block = ReportBlock {
            ssrc: 2,
            fraction_lost: 128,
            lost: 0x0102_0304,
            highest: 0x0001_0002,
            jitter: 5,
            last_report: 7,
            since_last_report: Duration::from_millis(500),
        };
        let mut out = Vec::new();
        receiver_report(&mut out, 1, &[block]);
        assert_eq!(out[..8], [0x81, 201, 0, 7, 0, 0, 0, 1]);
        assert_eq!(out[8..16], [0, 0, 0, 2, 128, 0x7f, 0xff, 0xff], "24 bits, saturated");
        assert_eq!(out[28..], [0, 0, 0x80, 0], "half a second in 65,536ths");
    }

    #[test]
    fn a_nack_packs_sixteen_followers_into_a_mask() {
        let mut out = Vec::new();
        nack(&mut out, 1, 2, &[65_535, 0, 15, 16]);
        assert_eq!(out[..4], [0x81, 205, 0, 4]);
        assert_eq!(out[12..], [0xff, 0xff, 0x80, 0x01, 0, 16, 0, 0]);
    }

    #[test]
    fn an_estimate_keeps_18_bits() {
        let mut out = Vec::new();
        remb(&mut out, 1, 2_500_000, &[9]);
        let word = u32::from_be_bytes([out[16], out[17], out[18], out[19]]);
        let (exponent, mantissa) = ((word >> 18) & 0x3f, word & 0x3_ffff);
        assert_eq!((word >> 24, u64::from(mantissa) << exponent), (1, 2_500_000 >> 4 << 4));
    }

    #[test]
    fn sender_reports_are_found_and_rubbish_is_not() {
        let mut compound = vec![0x80, 200, 0, 6, 0, 0, 0, 3];
        compound.extend([0, 0, 0xaa, 0xbb, 0xcc, 0xdd, 0, 0]);
        compound.extend([0; 12]);
        pli(&mut compound, 1, 2);
        assert_eq!(sender_reports(&compound).collect::<Vec<_>>(), [(3, 0xaabb_ccdd)]);
        compound[3] = 200;
        assert_eq!(sender_reports(&compound).count(), 0, "longer than the datagram");
        assert_eq!(sender_reports(&[0x80, 200, 0, 0]).count(), 0, "shorter than a report");
    }
}
