//! AAC as cameras announce and pack it: its configuration, and RTP payloads back to access units.
//!
//! Owns what is read of ISO/IEC 14496-3 and of the two payload formats (RFC 3640, RFC 6416). Never decodes.

mod bits;
mod config;
mod generic;
mod latm;

use bytes::Bytes;

pub use config::{AacConfig, AacConfigError};

use crate::fmtp::parameter;
use bits::bytes_of_hex;
use generic::Generic;
use latm::Latm;

/// Samples of a channel in one access unit of AAC-LC (ISO/IEC 14496-3 §4.4.1.1).
pub const AAC_SAMPLES: u32 = 1_024;

/// Bytes of one access unit at the most: 6,144 bits for each of two channels (ISO/IEC 14496-3 §4.5.3), and room for
/// what encoders add. What is longer is no sound.
const MAX_UNIT: usize = 4_096;

/// How access units are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    /// `mpeg4-generic` (RFC 3640).
    Generic(generic::Lengths),
    /// `MP4A-LATM` with its configuration in the description (RFC 6416).
    Latm {
        /// Access units of one multiplex element.
        units: u8,
    },
}

/// AAC sound as a description announces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aac {
    /// What a decoder needs to know.
    pub config: AacConfig,
    packing: Packing,
}

impl Aac {
    /// Whether an encoding name of `a=rtpmap` is AAC, compared without regard to case.
    pub fn is_named(encoding: &str) -> bool {
        ["mpeg4-generic", "mp4a-latm"].iter().any(|name| encoding.eq_ignore_ascii_case(name))
    }

    /// Reads the parameters of a payload type with that encoding name.
    ///
    /// # Errors
    ///
    /// What of it is not read, and what to set instead.
    pub fn read(encoding: &str, fmtp: &str) -> Result<Aac, AacConfigError> {
        let hex = parameter(fmtp, "config").ok_or(AacConfigError::Missing)?;
        let config = bytes_of_hex(hex.trim_matches('"')).ok_or(AacConfigError::Malformed)?;
        if encoding.eq_ignore_ascii_case("mpeg4-generic") {
            let lengths = generic::Lengths::read(fmtp)?;
            return Ok(Aac { config: AacConfig::read(&config)?, packing: Packing::Generic(lengths) });
        }
        if parameter(fmtp, "cpresent").is_some_and(|present| present != "0") {
            return Err(AacConfigError::InBand);
        }
        let (config, units) = latm::read(&config)?;
        Ok(Aac { config, packing: Packing::Latm { units } })
    }
}

/// Turns the payloads of one track into access units.
#[derive(Debug)]
pub struct AacDepacketizer(Format);

#[derive(Debug)]
enum Format {
    Generic(Generic),
    Latm(Latm),
}

impl AacDepacketizer {
    /// Of a track that is packed so.
    pub fn new(aac: &Aac) -> AacDepacketizer {
        AacDepacketizer(match aac.packing {
            Packing::Generic(lengths) => Format::Generic(Generic::new(lengths)),
            Packing::Latm { units } => Format::Latm(Latm::new(units)),
        })
    }

    /// Takes the next payload and gives the access units that are whole now, the first being that of the packet's
    /// timestamp. `after_loss` says that packets are missing before it, `marker` that a unit ends with it.
    ///
    /// # Errors
    ///
    /// The payload is malformed; nothing of it is given, and what was begun before is forgotten.
    pub fn push(
        &mut self,
        payload: &[u8],
        marker: bool,
        after_loss: bool,
    ) -> Result<Vec<Bytes>, MalformedAac> {
        match &mut self.0 {
            Format::Generic(generic) => generic.push(payload, after_loss),
            Format::Latm(latm) => latm.push(payload, marker, after_loss),
        }
    }
}

/// A payload that does not hold what its format says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a packet of AAC is malformed")]
pub struct MalformedAac;

#[cfg(test)]
mod tests;
