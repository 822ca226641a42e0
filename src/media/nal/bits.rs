//! The bits of a NAL unit's payload.

/// Reads a payload from its first bit on, without the bytes that only keep start codes out of it
/// (emulation prevention, ITU-T H.264 §7.3.1). Every reader answers `None` beyond the end.
#[derive(Debug, Clone)]
pub(crate) struct Bits<'a> {
    rest: &'a [u8],
    /// Bits of the first byte of `rest` that were read.
    used: u32,
    /// Zero bytes just before `rest`.
    zeros: u32,
}

impl<'a> Bits<'a> {
    /// The payload of a NAL unit, behind its header.
    pub(crate) fn new(payload: &'a [u8]) -> Bits<'a> {
        Bits { rest: payload, used: 0, zeros: 0 }
    }

    /// One bit.
    pub(crate) fn flag(&mut self) -> Option<bool> {
        if self.used == 0 && self.zeros >= 2 && self.rest.first() == Some(&3) {
            self.rest = &self.rest[1..];
            self.zeros = 0;
        }
        let byte = *self.rest.first()?;
        let bit = byte & (0x80 >> self.used) != 0;
        self.used += 1;
        if self.used == 8 {
            self.used = 0;
            self.rest = &self.rest[1..];
            self.zeros = if byte == 0 { self.zeros + 1 } else { 0 };
        }
        Some(bit)
    }

    /// `u(n)`: the next `count` bits as a number, 32 at the most.
    pub(crate) fn number(&mut self, count: u32) -> Option<u32> {
        debug_assert!(count <= u32::BITS);
        (0..count).try_fold(0, |number, _| Some(number << 1 | u32::from(self.flag()?)))
    }

    /// `ue(v)`: an unsigned Exp-Golomb number (§9.1), below 2^32 - 1.
    pub(crate) fn unsigned(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros == u32::BITS {
                return None;
            }
        }
        Some(((1u64 << zeros) - 1) as u32 + self.number(zeros)?)
    }

    /// `se(v)`: a signed one (§9.1.1).
    pub(crate) fn signed(&mut self) -> Option<i64> {
        let code = i64::from(self.unsigned()?);
        Some(if code % 2 == 1 { (code + 1) / 2 } else { -(code / 2) })
    }

    /// Passes over `count` bits.
    pub(crate) fn skip(&mut self, count: u32) -> Option<()> {
        (0..count).try_for_each(|_| self.flag().map(|_| ()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read() {
        // 1 | 010 | 011 | 00100 | 00101: ue 0, 1, 2, 3, 4.
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let numbers: Vec<_> = (0..5).map(|_| bits.unsigned()).collect();
        assert_eq!(numbers, [Some(0), Some(1), Some(2), Some(3), Some(4)]);
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let numbers: Vec<_> = (0..5).map(|_| bits.signed()).collect();
        assert_eq!(numbers, [Some(0), Some(1), Some(-1), Some(2), Some(-2)]);
        assert_eq!(Bits::new(&[0xab, 0xcd]).number(12), Some(0xabc));
        let mut largest = Bits::new(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe]);
        assert_eq!(largest.unsigned(), Some(u32::MAX - 1));
    }

    #[test]
    fn what_does_not_end_is_nothing() {
        for payload in [&[][..], &[0], &[0; 20], &[0, 1]] {
            assert_eq!(Bits::new(payload).unsigned(), None, "{payload:?}");
        }
        assert_eq!(Bits::new(&[0xff]).number(9), None);
        assert_eq!(Bits::new(&[0xff]).skip(9), None);
    }

    #[test]
    fn emulation_prevention_is_no_part_of_the_payload() {
        let mut bits = Bits::new(&[0, 0, 3, 1, 0, 0, 3]);
        assert_eq!(bits.number(32), Some(0x0000_0100));
        assert_eq!(bits.number(8), Some(0));
        assert_eq!(bits.flag(), None, "a three behind two zeros is none of the payload, also at its end");
        assert_eq!(Bits::new(&[3, 0, 3]).number(24), Some(0x03_0003));
    }
}
