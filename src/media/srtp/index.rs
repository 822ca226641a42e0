//! What a key may be used with once.

use std::ops::{Add, AddAssign};

/// The packet index of RFC 3711 §3.3.1: a viewer's sequence number with its rollovers, 48 bits. Its low 16 bits are on
/// the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketIndex(pub u64);

impl PacketIndex {
    /// The number on the wire.
    pub fn wire(self) -> u16 {
        self.0 as u16
    }

    /// How often the number on the wire began anew.
    pub fn rollover(self) -> u32 {
        (self.0 >> 16) as u32
    }

    /// The index before this one that has the number `wire`; nothing if there was none. The distance back tells the
    /// upper bits.
    pub fn before(self, wire: u16) -> Option<PacketIndex> {
        let back = u64::from(self.wire().wrapping_sub(wire));
        self.0.checked_sub(back).filter(|_| back > 0).map(PacketIndex)
    }

    /// Packets from `earlier` to this one; nothing if it is later.
    pub fn since(self, earlier: PacketIndex) -> Option<u64> {
        self.0.checked_sub(earlier.0)
    }
}

impl Add<u64> for PacketIndex {
    type Output = PacketIndex;

    fn add(self, packets: u64) -> PacketIndex {
        PacketIndex(self.0 + packets)
    }
}

impl AddAssign<u64> for PacketIndex {
    fn add_assign(&mut self, packets: u64) {
        self.0 += packets;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_on_the_wire_is_of_the_newest_packet_before_that_has_it() {
        let next = PacketIndex(0x2_0005);
        assert_eq!(next.before(4), Some(PacketIndex(0x2_0004)));
        assert_eq!(next.before(5), None, "it is not sent yet, and a whole cycle back is too far");
        assert_eq!(next.before(6), Some(PacketIndex(0x1_0006)));
        assert_eq!(PacketIndex(3).before(4), None);
        assert_eq!((next.wire(), next.rollover()), (5, 2));
    }

    #[test]
    fn it_counts_on_where_the_number_on_the_wire_begins_again() {
        let before = PacketIndex(0xffff);
        let mut index = before + 2;
        assert_eq!((index, index.wire()), (PacketIndex(0x1_0001), 1));
        index += 3;
        assert_eq!((index.since(before), before.since(index)), (Some(5), None));
    }
}
