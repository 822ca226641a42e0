//! The time at which a picture was sent, inside the picture: an SEI message of our own.
//!
//! Owns the format, both ways: cameras write it, and viewers who decrypt read it to know the delay from
//! end to end. Never reads a clock.
//!
//! ```text
//! user_data_unregistered (ITU-T H.264 §D.2.7, H.265 §D.3.7): uuid[16], then the time: u64 big-endian, nanoseconds
//! since 1970 by CLOCK_REALTIME
//! ```
//!
//! CLOCK_REALTIME, so that two machines can measure, as well as their clocks agree; on one machine, a
//! clock set back or slewed in the milliseconds between sending and receiving is not worth the loss of that.

use bytes::Bytes;
use sluice_media::VideoCodec;
use sluice_media::nal::{NalCodec, Role};

/// Ours, made at random: no other SEI has it.
const UUID: [u8; 16] =
    [0x5f, 0x1c, 0x6d, 0x5a, 0x8f, 0x0e, 0x4b, 0x7c, 0x9a, 0x53, 0xc1, 0xf2, 0xa7, 0xd4, 0xe9, 0xb6];

/// `payloadType` (§D.1.1).
const USER_DATA_UNREGISTERED: u8 = 5;
/// Bytes of uuid and time.
const SIZE: usize = 24;
/// What makes a decoder take two zero bytes for no start code (§7.4.1.1).
const EMULATION_PREVENTION: u8 = 3;

/// An SEI NAL unit of `codec` that says `nanos`.
pub fn write(codec: VideoCodec, nanos: u64) -> Bytes {
    let mut message = Vec::with_capacity(SIZE + 3);
    message.extend_from_slice(&[USER_DATA_UNREGISTERED, SIZE as u8]);
    message.extend_from_slice(&UUID);
    message.extend_from_slice(&nanos.to_be_bytes());
    // `rbsp_trailing_bits`: a one, then zeros up to the byte's end.
    message.push(0x80);

    let mut nal = codec.nal().info_head().bytes().to_vec();
    for byte in message {
        if byte <= EMULATION_PREVENTION && nal.ends_with(&[0, 0]) {
            nal.push(EMULATION_PREVENTION);
        }
        nal.push(byte);
    }
    nal.into()
}

/// The time in a NAL unit, if it is an SEI of ours. In nanoseconds, as [`write()`] took it.
pub fn read(codec: &dyn NalCodec, nal: &[u8]) -> Option<u64> {
    let escaped = nal.get(codec.header_bytes()..).filter(|_| codec.role(nal) == Role::Info)?;
    let mut rest = &unescape(escaped)[..];
    // Messages up to the trailing bits; an encoder may have put others into the same unit.
    while rest.len() > 2 {
        let kind = number(&mut rest)?;
        let size = number(&mut rest)?;
        let (message, behind) = rest.split_at_checked(size)?;
        if kind == usize::from(USER_DATA_UNREGISTERED)
            && let Some(time) = message.strip_prefix(&UUID)
        {
            return time.try_into().ok().map(u64::from_be_bytes);
        }
        rest = behind;
    }
    None
}

/// `payloadType` or `payloadSize` (§7.3.2.3.1): bytes of 255, then one less than that, all added.
fn number(rest: &mut &[u8]) -> Option<usize> {
    let long = rest.iter().take_while(|&&byte| byte == 0xff).count();
    let last = *rest.get(long)?;
    *rest = &rest[long + 1..];
    Some(long * 0xff + usize::from(last))
}

fn unescape(escaped: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(escaped.len());
    let mut zeros = 0;
    for &byte in escaped {
        if zeros >= 2 && byte == EMULATION_PREVENTION {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        plain.push(byte);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The type of H.264's SEI.
    const SEI: u8 = 6;

    fn write(nanos: u64) -> Bytes {
        super::write(VideoCodec::H264, nanos)
    }

    fn read(nal: &[u8]) -> Option<u64> {
        super::read(VideoCodec::H264.nal(), nal)
    }

    #[test]
    fn h265_has_it_behind_a_header_of_its_own() {
        let nal = super::write(VideoCodec::H265, 1 << 40);
        assert_eq!(nal[..3], [0x4e, 1, USER_DATA_UNREGISTERED]);
        assert_eq!(super::read(VideoCodec::H265.nal(), &nal), Some(1 << 40));
        assert_eq!(read(&nal), None);
    }

    #[test]
    fn what_is_written_is_read_and_holds_no_start_code() {
        for nanos in [0, 1, 3, 0x0001_0000_0200_0003, 1_795_475_000_000_000_000, 1 << 32, u64::MAX] {
            let nal = write(nanos);
            assert_eq!(read(&nal), Some(nanos), "{nanos:x}");
            let forbidden = |window: &[u8]| window[..2] == [0, 0] && window[2] < EMULATION_PREVENTION;
            assert!(!nal.windows(3).any(forbidden), "{nal:02x?}");
            assert_ne!(nal.last(), Some(&0));
        }
    }

    #[test]
    fn it_is_found_behind_another_message() {
        let ours = write(77);
        // A message of type 300 with 256 bytes, then ours in the same unit.
        let mut nal = vec![SEI, 0xff, 45, 0xff, 1];
        nal.extend_from_slice(&[0xaa; 256]);
        nal.extend_from_slice(&ours[1..]);
        assert_eq!(read(&nal), Some(77));
    }

    #[test]
    fn other_units_say_nothing() {
        let ours = write(77);
        let mut slice = ours.to_vec();
        slice[0] = 0x41;
        let mut foreign = ours.to_vec();
        foreign[5] ^= 1;
        for nal in
            [&slice[..], &foreign, &ours[..20], &[], &[SEI], &[SEI, 0xff, 0xff, 0xff], &[SEI, 5, 200, 1]]
        {
            assert_eq!(read(nal), None, "{nal:02x?}");
        }
    }
}
