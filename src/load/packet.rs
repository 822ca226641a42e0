//! Reading the parts of a datagram that are in the clear: which protocol, and the RTP header.
//!
//! Owns bounds checks on what servers send. Never decrypts and never keeps anything.

/// What a datagram on an ICE socket is, by its first bytes (RFC 7983 §7, RFC 5761 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datagram {
    /// STUN or DTLS: for the engine.
    Control,
    /// SRTP with this header.
    Rtp(Header),
    /// SRTCP.
    Rtcp,
    /// None of these, or an RTP header that does not fit.
    Unknown,
}

/// A fixed RTP header (RFC 3550 §5.1) and where the payload begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// Marker bit: the last packet of a frame, for video.
    pub marker: bool,
    /// The payload ends in padding.
    pub padding: bool,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp in the codec's clock.
    pub timestamp: u32,
    /// Source.
    pub ssrc: u32,
    /// Bytes of header, contributing sources and extensions.
    pub length: usize,
}

/// Tells what a datagram is.
pub fn classify(datagram: &[u8]) -> Datagram {
    match datagram {
        [0..=3 | 20..=63, ..] => Datagram::Control,
        [128..=191, 192..=223, ..] => Datagram::Rtcp,
        [128..=191, ..] => header(datagram).map_or(Datagram::Unknown, Datagram::Rtp),
        _ => Datagram::Unknown,
    }
}

fn header(datagram: &[u8]) -> Option<Header> {
    let fixed: &[u8; 12] = datagram.first_chunk()?;
    let [first, second, ..] = *fixed;
    let mut length = 12 + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let words = datagram.get(length + 2..length + 4)?;
        length += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    if length > datagram.len() {
        return None;
    }
    Some(Header {
        payload_type: second & 0x7f,
        marker: second & 0x80 != 0,
        padding: first & 0x20 != 0,
        sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
        timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        length,
    })
}

/// A decrypted payload without its padding (RFC 3550 §5.1); none if the padding is longer than it.
pub fn without_padding(payload: &[u8], padding: bool) -> Option<&[u8]> {
    if !padding {
        return Some(payload);
    }
    let count = usize::from(*payload.last()?);
    if count == 0 { None } else { payload.get(..payload.len().checked_sub(count)?) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_share_a_socket() {
        assert_eq!(classify(&[0, 1]), Datagram::Control, "STUN");
        assert_eq!(classify(&[22, 254]), Datagram::Control, "DTLS");
        assert_eq!(classify(&[0x80, 200]), Datagram::Rtcp, "a sender report");
        assert_eq!(classify(&[]), Datagram::Unknown);
        assert_eq!(classify(&[0x80, 96, 0]), Datagram::Unknown, "too short for RTP");
    }

    #[test]
    fn the_payload_begins_behind_sources_and_extensions() {
        let mut packet = vec![0x91, 0x80 | 96, 0x12, 0x34, 0, 0, 0, 7, 0, 0, 0, 9];
        packet.extend([0; 4]); // one contributing source
        packet.extend([0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0]); // one word of extensions
        let Datagram::Rtp(header) = classify(&packet) else { panic!("not RTP") };
        assert_eq!((header.length, header.payload_type, header.marker), (24, 96, true));
        assert_eq!((header.sequence, header.timestamp, header.ssrc), (0x1234, 7, 9));
        packet.truncate(23);
        assert_eq!(classify(&packet), Datagram::Unknown, "the extension is cut off");
    }

    #[test]
    fn padding_is_taken_off_and_never_more_than_there_is() {
        assert_eq!(without_padding(&[1, 2, 0, 2], true), Some(&[1, 2][..]));
        assert_eq!(without_padding(&[1, 2], true), Some(&[][..]));
        assert_eq!(without_padding(&[9], true), None);
        assert_eq!(without_padding(&[0], true), None);
    }
}
