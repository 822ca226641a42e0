//! RED: a packet of sound that carries the one before it, too (RFC 2198).
//!
//! Owns the format and its bounds. What a sender makes is made once, but for the payload type, which each receiver chose:
//! the header is the only thing that is written for everybody anew.

use crate::MAX_PAYLOAD;

/// Bytes before the payloads: 4 that say what the earlier one is, and one for the packet's own (RFC 2198 §3).
pub const RED_HEADER: usize = 5;

/// The earlier payload is so many ticks older at the most: 14 bits, a third of a second at 48 kHz.
const OFFSET_END: u64 = 1 << 14;

/// It has so many bytes at the most: 10 bits.
const LENGTH_END: usize = 1 << 10;

/// Blocks of one packet that are read. Senders make 2, and 3 where losses come in pairs; each has a timestamp of 14 bits, and what
/// is further back than a third of a second nobody plays any more.
const BLOCKS_MAX: usize = 8;

/// Whether another block follows.
const FOLLOWED: u8 = 0x80;

/// Two payloads that go in one packet, the earlier one first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redundant {
    /// What is between their timestamps.
    offset: u16,
    /// Bytes of the earlier one.
    earlier: u16,
    payloads: Box<[u8]>,
}

impl Redundant {
    /// `payload` together with the `earlier` one, whose timestamp is `ticks` before its own. Nothing where the format, or a
    /// datagram, has no room for that.
    pub fn new(earlier: &[u8], payload: &[u8], ticks: u64) -> Option<Redundant> {
        let fits = RED_HEADER + earlier.len() + payload.len() <= MAX_PAYLOAD;
        let is_told = (1..OFFSET_END).contains(&ticks) && (1..LENGTH_END).contains(&earlier.len());
        (fits && is_told).then(|| Redundant {
            offset: ticks as u16,
            earlier: earlier.len() as u16,
            payloads: [earlier, payload].concat().into(),
        })
    }

    /// What goes before the payloads, where both are of this payload type.
    pub fn header(&self, payload_type: u8) -> [u8; RED_HEADER] {
        let [_, a, b, c] = ((u32::from(self.offset) << 10) | u32::from(self.earlier)).to_be_bytes();
        [FOLLOWED | payload_type, a, b, c, payload_type & !FOLLOWED]
    }

    /// Both payloads.
    pub fn payloads(&self) -> &[u8] {
        &self.payloads
    }

    /// Bytes of the whole payload, with its header.
    #[expect(clippy::len_without_is_empty, reason = "it has a header")]
    pub fn len(&self) -> usize {
        RED_HEADER + self.payloads.len()
    }
}

/// One of the payloads of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedBlock<'a> {
    /// Its own payload type.
    pub payload_type: u8,
    /// Ticks that its timestamp is before the packet's; 0 for the packet's own.
    pub offset: u16,
    /// The payload.
    pub payload: &'a [u8],
}

/// The payloads of a packet, its own last. Nothing if the lengths in it are not true, or it has more than anybody makes.
pub fn read_red(payload: &[u8]) -> Option<Vec<RedBlock<'_>>> {
    let mut heads = Vec::with_capacity(2);
    let mut rest = payload;
    loop {
        let (&first, behind) = rest.split_first()?;
        if first & FOLLOWED == 0 {
            rest = behind;
            heads.push((first, 0, None));
            break;
        }
        let (&[a, b, c], behind) = behind.split_first_chunk()?;
        let both = u32::from_be_bytes([0, a, b, c]);
        heads.push((first & !FOLLOWED, (both >> 10) as u16, Some(both as usize % LENGTH_END)));
        if heads.len() == BLOCKS_MAX {
            return None;
        }
        rest = behind;
    }
    let mut blocks = Vec::with_capacity(heads.len());
    for (payload_type, offset, length) in heads {
        let (payload, behind) = rest.split_at_checked(length.unwrap_or(rest.len()))?;
        blocks.push(RedBlock { payload_type, offset, payload });
        rest = behind;
    }
    Some(blocks)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(redundant: &Redundant, payload_type: u8) -> Vec<u8> {
        [&redundant.header(payload_type)[..], redundant.payloads()].concat()
    }

    /// RFC 2198 §3 and §4, by hand.
    #[test]
    fn a_header_is_that_of_the_format() {
        let redundant = Redundant::new(&[1, 2, 3], &[4, 5], 960).expect("it fits");
        // 960 in 14 bits, 3 in 10: 0b00_0011_1100_0000, 0b00_0000_0011.
        assert_eq!(packet(&redundant, 111), [0x80 | 111, 0x0f, 0x00, 0x03, 111, 1, 2, 3, 4, 5]);
        assert_eq!(redundant.len(), 10);
    }

    #[test]
    fn what_the_format_or_a_datagram_has_no_room_for_is_not_made() {
        let made = |earlier: usize, payload: usize, ticks: u64| {
            Redundant::new(&vec![1; earlier], &vec![2; payload], ticks).is_some()
        };
        assert!(made(1, 1, 1) && made(1_023, 100, 16_383));
        assert!(!made(0, 100, 960) && !made(1_024, 100, 960), "10 bits of length");
        assert!(!made(100, 100, 0) && !made(100, 100, 16_384), "14 bits of time");
        assert!(made(595, MAX_PAYLOAD - 600, 960) && !made(595, MAX_PAYLOAD - 599, 960), "a datagram");
    }

    #[test]
    fn what_is_cut_off_or_endless_is_nothing() {
        let redundant = Redundant::new(&[1; 20], &[2; 20], 960).expect("it fits");
        let whole = packet(&redundant, 111);
        for length in 0..RED_HEADER + 20 {
            assert_eq!(read_red(&whole[..length]), None, "{length}");
        }
        let endless: Vec<u8> = [0x80 | 111, 0, 4, 0].repeat(BLOCKS_MAX);
        assert_eq!(read_red(&[&endless[..], &[111, 1]].concat()), None);
        assert_eq!(read_red(&[&endless[4..], &[111, 1]].concat()).map(|blocks| blocks.len()), Some(8));
    }

    proptest! {
        #[test]
        fn what_was_made_is_what_is_read(
            earlier in proptest::collection::vec(any::<u8>(), 0..1_100),
            payload in proptest::collection::vec(any::<u8>(), 0..300),
            ticks in 0u64..20_000,
            payload_type in 0u8..128,
        ) {
            let Some(redundant) = Redundant::new(&earlier, &payload, ticks) else { return Ok(()) };
            let packet = packet(&redundant, payload_type);
            prop_assert_eq!(packet.len(), redundant.len());
            prop_assert!(packet.len() <= MAX_PAYLOAD);
            let own = RedBlock { payload_type, offset: 0, payload: &payload };
            let before = RedBlock { payload_type, offset: ticks as u16, payload: &earlier };
            prop_assert_eq!(read_red(&packet), Some(vec![before, own]));
        }

        #[test]
        fn nothing_that_comes_makes_reading_panic(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            let read = read_red(&payload);
            let bytes = read.iter().flatten().map(|block| block.payload.len()).sum::<usize>();
            prop_assert!(bytes <= payload.len());
        }
    }
}
