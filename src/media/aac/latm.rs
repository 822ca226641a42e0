//! `MP4A-LATM` (RFC 6416): multiplex elements whose configuration stands in the session description.

use bytes::{Bytes, BytesMut};

use super::bits::Bits;
use super::{AacConfig, AacConfigError, MAX_UNIT, MalformedAac};

/// Reads StreamMuxConfig (ISO/IEC 14496-3 §1.7.3.1): the configuration of its one layer, and how many access units an
/// element has.
pub(super) fn read(bytes: &[u8]) -> Result<(AacConfig, u8), AacConfigError> {
    let mut bits = Bits::new(bytes);
    let mut next = |count| bits.number(count).ok_or(AacConfigError::Malformed);
    // audioMuxVersion: the other one writes lengths before its configurations. allStreamsSameTimeFraming.
    if next(1)? != 0 || next(1)? != 1 {
        return Err(AacConfigError::Packing);
    }
    let units = next(6)? as u8 + 1;
    // One program of one layer.
    if next(4)? != 0 || next(3)? != 0 {
        return Err(AacConfigError::Packing);
    }
    let config = AacConfig::from(&mut bits)?;
    // frameLengthType 0: each unit has its length before it.
    match bits.number(3) {
        Some(0) => Ok((config, units)),
        _ => Err(AacConfigError::Packing),
    }
}

/// Takes elements apart.
#[derive(Debug)]
pub(super) struct Latm {
    units: u8,
    /// An element whose packets come.
    open: BytesMut,
    /// Packets are missing of it.
    broken: bool,
}

impl Latm {
    pub(super) fn new(units: u8) -> Latm {
        Latm { units, open: BytesMut::new(), broken: false }
    }

    pub(super) fn push(
        &mut self,
        payload: &[u8],
        marker: bool,
        after_loss: bool,
    ) -> Result<Vec<Bytes>, MalformedAac> {
        if after_loss {
            // What was missing may have ended an element: this packet begins one if it is whole by itself.
            self.broken = !self.open.is_empty();
            self.open.clear();
        }
        self.open.extend_from_slice(payload);
        if self.open.len() > usize::from(self.units) * (MAX_UNIT + MAX_UNIT / 255 + 1) {
            self.open.clear();
            return Err(MalformedAac);
        }
        // The marker ends an element (RFC 6416 §6.1).
        if !marker {
            return Ok(Vec::new());
        }
        let element = self.open.split().freeze();
        if std::mem::take(&mut self.broken) {
            return Ok(Vec::new());
        }
        let mut rest = &element[..];
        (0..self.units).map(|_| unit(&mut rest).ok_or(MalformedAac)).collect()
    }
}

/// The next unit, behind its length: bytes of 255 and one that is less (PayloadLengthInfo).
fn unit(rest: &mut &[u8]) -> Option<Bytes> {
    let full = rest.iter().take_while(|byte| **byte == 255).count();
    let length = full * 255 + usize::from(*rest.get(full)?);
    let (unit, behind) = rest[full + 1..].split_at_checked(length)?;
    *rest = behind;
    (!unit.is_empty() && unit.len() <= MAX_UNIT).then(|| Bytes::copy_from_slice(unit))
}
