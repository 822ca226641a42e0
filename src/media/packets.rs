//! The RTP payloads of packets that follow each other, in one buffer.
//!
//! Owns where each packet ends: a fan-out reads the buffer from front to back for every viewer, and
//! finds nothing behind pointers. Knows no payload format.

use std::ops::{Index, Range};

use smallvec::SmallVec;

/// Packets whose ends need no memory of their own: a picture of 9 KB. More makes each packet of sound larger, less has
/// the larger pictures look behind a pointer.
const FEW: usize = 8;

/// RTP payloads, one per packet, up to 4 GiB in all. Immutable once they are in a train.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packets {
    /// All payloads, one behind the other.
    bytes: Vec<u8>,
    /// Where each of them ends.
    ends: SmallVec<[u32; FEW]>,
}

impl Packets {
    /// Room for `packets` packets of `bytes` bytes in all.
    pub fn with_capacity(packets: usize, bytes: usize) -> Packets {
        Packets { bytes: Vec::with_capacity(bytes), ends: SmallVec::with_capacity(packets) }
    }

    /// Appends a packet.
    pub fn push(&mut self, payload: &[u8]) {
        self.push_with(|out| out.extend_from_slice(payload));
    }

    /// Appends a packet whose payload `write` puts behind what it finds there.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len() as u32);
    }

    /// Packets.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no packet.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Payload bytes of all packets.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of memory that it holds beside itself.
    pub fn held(&self) -> usize {
        let ends = if self.ends.spilled() { self.ends.capacity() * size_of::<u32>() } else { 0 };
        self.bytes.capacity() + ends
    }

    /// The payloads in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + DoubleEndedIterator + Clone {
        (0..self.len()).map(|index| &self[index])
    }

    /// A copy of the packets of `range`. Panics where the range does.
    pub fn copy(&self, range: Range<usize>) -> Packets {
        let start = self.start(range.start);
        let ends: SmallVec<[u32; FEW]> = self.ends[range].iter().map(|end| end - start as u32).collect();
        let bytes = ends.last().map_or(0, |&end| end as usize);
        Packets { bytes: self.bytes[start..start + bytes].to_vec(), ends }
    }

    fn start(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(0, |before| self.ends[before] as usize)
    }
}

impl Index<usize> for Packets {
    type Output = [u8];

    /// The payload of packet `index`. Panics where a slice does.
    fn index(&self, index: usize) -> &[u8] {
        &self.bytes[self.start(index)..self.ends[index] as usize]
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for Packets {
    fn from_iter<I: IntoIterator<Item = T>>(payloads: I) -> Packets {
        let mut packets = Packets::default();
        payloads.into_iter().for_each(|payload| packets.push(payload.as_ref()));
        packets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_back_as_they_went_in() {
        let payloads: [&[u8]; 4] = [&[1, 2, 3], &[], &[4], &[5, 6]];
        let packets: Packets = payloads.iter().collect();
        assert_eq!((packets.len(), packets.bytes(), packets.is_empty()), (4, 6, false));
        assert!(packets.iter().eq(payloads));
        assert!(packets.iter().rev().eq(payloads.into_iter().rev()));
        for (index, payload) in payloads.into_iter().enumerate() {
            assert_eq!(&packets[index], payload);
        }

        let mut parts = Packets::default();
        parts.push_with(|out| (1..=3).for_each(|byte| out.push(byte)));
        assert!(parts.iter().eq([payloads[0]]));
        assert!(Packets::default().is_empty() && Packets::default().iter().next().is_none());
    }

    #[test]
    fn a_copy_has_its_packets_and_no_others() {
        let packets: Packets = [vec![1; 3], vec![2; 5], vec![], vec![3; 1]].iter().collect();
        for start in 0..=packets.len() {
            for end in start..=packets.len() {
                let copy = packets.copy(start..end);
                assert!(copy.iter().eq(packets.iter().skip(start).take(end - start)), "{start}..{end}");
                assert_eq!(copy.bytes(), copy.iter().map(<[u8]>::len).sum::<usize>());
            }
        }
    }

    #[test]
    #[should_panic]
    fn a_packet_behind_the_last_is_a_defect_of_the_caller() {
        let _ = &[[7u8; 3]].iter().collect::<Packets>()[1];
    }
}
