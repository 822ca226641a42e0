//! `mpeg4-generic` (RFC 3640): a list of lengths, then access units, one after another.

use bytes::{Bytes, BytesMut};

use super::bits::Bits;
use super::{AacConfigError, MAX_UNIT, MalformedAac};
use crate::fmtp::parameter;

/// Access units of one packet that are read. Cameras pack 1 to 4.
const MAX_UNITS: usize = 64;

/// Widths of the fields of an AU header, in bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lengths {
    size: u32,
    index: u32,
    index_delta: u32,
}

impl Lengths {
    /// What AAC-hbr has (RFC 3640 §3.3.6), where a camera says nothing.
    const USUAL: Lengths = Lengths { size: 13, index: 3, index_delta: 3 };

    pub(super) fn read(fmtp: &str) -> Result<Lengths, AacConfigError> {
        let number = |name, usual| match parameter(fmtp, name) {
            None => Ok(usual),
            Some(value) => value.parse::<u32>().map_err(|_| AacConfigError::Packing),
        };
        let Lengths { size, index, index_delta } = Lengths::USUAL;
        let lengths = Lengths {
            size: number("sizelength", size)?,
            index: number("indexlength", index)?,
            index_delta: number("indexdeltalength", index_delta)?,
        };
        let others = [
            "ctsdeltalength",
            "dtsdeltalength",
            "randomaccessindication",
            "streamstateindication",
            "auxiliarydatasizelength",
        ];
        for name in others {
            if number(name, 0)? != 0 {
                return Err(AacConfigError::Packing);
            }
        }
        let is_read = (8..=16).contains(&lengths.size) && lengths.index <= 8 && lengths.index_delta <= 8;
        if is_read { Ok(lengths) } else { Err(AacConfigError::Packing) }
    }
}

/// Takes payloads apart.
#[derive(Debug)]
pub(super) struct Generic {
    lengths: Lengths,
    /// A unit whose fragments come, and how long it will be.
    open: Option<(BytesMut, usize)>,
}

impl Generic {
    pub(super) fn new(lengths: Lengths) -> Generic {
        Generic { lengths, open: None }
    }

    pub(super) fn push(&mut self, payload: &[u8], after_loss: bool) -> Result<Vec<Bytes>, MalformedAac> {
        let open = self.open.take().filter(|_| !after_loss);
        if let Some(unit) = adts(payload) {
            return Ok(vec![Bytes::copy_from_slice(unit)]);
        }
        let (head, rest) = payload.split_at_checked(2).ok_or(MalformedAac)?;
        let head_bits = usize::from(u16::from_be_bytes([head[0], head[1]]));
        let (headers, mut data) = rest.split_at_checked(head_bits.div_ceil(8)).ok_or(MalformedAac)?;
        let sizes = self.sizes(headers, head_bits).ok_or(MalformedAac)?;
        // A fragment: one header with the length of the whole unit (RFC 3640 §3.2.3.1).
        if let [size] = sizes[..]
            && data.len() < size
        {
            let (mut unit, size) = match open {
                Some((unit, whole)) if whole == size && unit.len() + data.len() <= whole => (unit, whole),
                _ => (BytesMut::with_capacity(size), size),
            };
            unit.extend_from_slice(data);
            if unit.len() == size {
                return Ok(vec![unit.freeze()]);
            }
            self.open = Some((unit, size));
            return Ok(Vec::new());
        }
        let unit = |size| {
            let (unit, rest) = data.split_at_checked(size).ok_or(MalformedAac)?;
            data = rest;
            Ok(Bytes::copy_from_slice(unit))
        };
        sizes.into_iter().map(unit).collect()
    }

    /// The lengths that AU headers tell.
    fn sizes(&self, headers: &[u8], head_bits: usize) -> Option<Vec<usize>> {
        let mut bits = Bits::new(headers);
        let mut sizes = Vec::new();
        let end = bits.left() - head_bits.min(bits.left());
        while bits.left() > end {
            let size = bits.number(self.lengths.size)? as usize;
            // Units out of order are interleaved, which no camera does: an index other than 0 is passed over.
            bits.number(if sizes.is_empty() { self.lengths.index } else { self.lengths.index_delta })?;
            if size == 0 || size > MAX_UNIT || sizes.len() == MAX_UNITS {
                return None;
            }
            sizes.push(size);
        }
        (!sizes.is_empty()).then_some(sizes)
    }
}

/// The unit inside an ADTS frame (ISO/IEC 14496-3 §1.A.2.2): some cameras send those, whatever they announce.
fn adts(payload: &[u8]) -> Option<&[u8]> {
    let [0xff, second, _, fourth, fifth, sixth, _, ..] = *payload else { return None };
    let length = usize::from(fourth & 3) << 11 | usize::from(fifth) << 3 | usize::from(sixth >> 5);
    let head = if second & 1 == 1 { 7 } else { 9 };
    (second & 0xf6 == 0xf0 && length == payload.len()).then(|| payload.get(head..)).flatten()
}
