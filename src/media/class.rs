//! Which protocol a datagram on an ICE socket is, by its first bytes.
//!
//! Owns the ranges of RFC 7983 and RFC 5761. Looks at two bytes and says nothing of the rest: whether it is whole, or
//! authentic, is told by whoever reads it.

/// What a datagram is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// STUN.
    Stun,
    /// DTLS.
    Dtls,
    /// RTP, or SRTP.
    Rtp,
    /// RTCP, or SRTCP.
    Rtcp,
    /// Of no protocol that shares the socket (TURN channels and ZRTP among them), or empty.
    Other,
}

impl Class {
    /// Whether it is protected under the keys of SRTP.
    pub fn is_srtp(self) -> bool {
        matches!(self, Class::Rtp | Class::Rtcp)
    }
}

/// Tells what `datagram` is by its first byte (RFC 7983 §7), and RTCP from RTP by the packet type in its second
/// (RFC 5761 §4).
pub fn class(datagram: &[u8]) -> Class {
    match datagram {
        [0..=3, ..] => Class::Stun,
        [20..=63, ..] => Class::Dtls,
        [128..=191, 192..=223, ..] => Class::Rtcp,
        [128..=191, ..] => Class::Rtp,
        _ => Class::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_first_byte_is_of_the_protocol_that_the_rfc_says() {
        for first in 0..=255u8 {
            let expected = match first {
                0..4 => Class::Stun,
                20..64 => Class::Dtls,
                128..192 => Class::Rtp,
                _ => Class::Other,
            };
            assert_eq!(class(&[first, 96, 0]), expected, "{first}");
            assert_eq!(class(&[first]), expected, "{first} alone");
        }
        assert_eq!(class(&[]), Class::Other);
    }

    #[test]
    fn reports_are_told_from_packets_by_their_type() {
        for (second, expected) in
            [(191, Class::Rtp), (192, Class::Rtcp), (200, Class::Rtcp), (223, Class::Rtcp), (224, Class::Rtp)]
        {
            assert_eq!(class(&[0x80, second]), expected, "{second}");
            assert!(class(&[0x80, second]).is_srtp());
            assert_eq!(class(&[22, second]), Class::Dtls, "the second byte says nothing of others");
        }
        assert!(!class(&[22]).is_srtp() && !class(&[0]).is_srtp() && !class(&[]).is_srtp());
    }
}
