//! How long an Opus packet plays, by its first bytes (RFC 6716 §3.1).

use std::time::Duration;

/// No packet is longer (RFC 6716 §3.2.5, R5).
const LONGEST: Duration = Duration::from_millis(120);

/// The duration of a packet; `None` if it is none, or malformed.
pub fn duration(packet: &[u8]) -> Option<Duration> {
    let toc = *packet.first()?;
    let config = toc >> 3;
    let frame = Duration::from_micros(match config {
        // SILK: 10, 20, 40, 60 ms.
        0..=11 => [10_000, 20_000, 40_000, 60_000][usize::from(config % 4)],
        // Hybrid: 10, 20 ms.
        12..=15 => [10_000, 20_000][usize::from(config % 2)],
        // CELT: 2.5, 5, 10, 20 ms.
        _ => [2_500, 5_000, 10_000, 20_000][usize::from(config % 4)],
    });
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    Some(frame * frames).filter(|duration| !duration.is_zero() && *duration <= LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_the_table() {
        let millis = |packet: &[u8]| duration(packet).map(|duration| duration.as_secs_f64() * 1_000.0);
        for (packet, expected) in [
            (&[0b0000_0000][..], Some(10.0)),
            (&[0b0001_1000], Some(60.0)),
            (&[0b0110_1000], Some(20.0)),
            (&[0b1000_0000], Some(2.5)),
            (&[0b1111_1000], Some(20.0)),
            // Two frames, and a count of frames.
            (&[0b1111_1001], Some(40.0)),
            (&[0b1111_1010], Some(40.0)),
            (&[0b1111_1011, 3], Some(60.0)),
            (&[0b1111_1011, 0x80 | 6], Some(120.0)),
            // Too long, none, cut off, empty.
            (&[0b0001_1011, 3], None),
            (&[0b1111_1011, 0], None),
            (&[0b1111_1011], None),
            (&[], None),
        ] {
            assert_eq!(millis(packet), expected, "{packet:?}");
        }
    }
}
