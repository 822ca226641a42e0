//! Payload types with a fixed meaning (RFC 3551 §6).

/// What such a type means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaticType {
    /// Encoding name.
    pub name: &'static str,
    /// Clock rate in Hz.
    pub clock_rate: u32,
    /// Channels of sound.
    pub channels: Option<u16>,
}

/// The meaning of a payload type that needs no `a=rtpmap`.
pub fn static_type(payload_type: u8) -> Option<StaticType> {
    let (name, clock_rate, channels) = match payload_type {
        0 => ("PCMU", 8_000, Some(1)),
        3 => ("GSM", 8_000, Some(1)),
        4 => ("G723", 8_000, Some(1)),
        8 => ("PCMA", 8_000, Some(1)),
        9 => ("G722", 8_000, Some(1)),
        10 => ("L16", 44_100, Some(2)),
        11 => ("L16", 44_100, Some(1)),
        14 => ("MPA", 90_000, None),
        18 => ("G729", 8_000, Some(1)),
        26 => ("JPEG", 90_000, None),
        32 => ("MPV", 90_000, None),
        33 => ("MP2T", 90_000, None),
        34 => ("H263", 90_000, None),
        _ => return None,
    };
    Some(StaticType { name, clock_rate, channels })
}
