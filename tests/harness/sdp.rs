//! The few lines of an answer that a test reads itself; the engine reads the rest.

use std::net::SocketAddr;

/// The value of the first `a=name:` of an answer or a section.
pub fn attribute<'a>(sdp: &'a str, name: &str) -> Option<&'a str> {
    sdp.lines().find_map(|line| line.strip_prefix("a=")?.strip_prefix(name)?.strip_prefix(':'))
}

/// What an answer says of one kind of media.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Section {
    /// SSRC of the media.
    pub ssrc: u32,
    /// Its payload type.
    pub payload_type: u8,
}

impl Section {
    /// The first section of a kind, `video` or `audio`; none if the answer refuses it.
    pub fn of(answer: &str, kind: &str) -> Option<Section> {
        let section = answer.split("\r\nm=").find(|section| section.starts_with(kind))?;
        let mut words = section.lines().next()?.split(' ').skip(1);
        let port = words.next()?;
        let payload_type = words.nth(1)?.parse().ok()?;
        let ssrc = attribute(section, "ssrc")?.split(' ').next()?.parse().ok()?;
        (port != "0").then_some(Section { ssrc, payload_type })
    }
}

/// Where the first candidate of an answer is (RFC 8839 §5.1).
pub fn candidate(answer: &str) -> Option<SocketAddr> {
    let mut words = attribute(answer, "candidate")?.split(' ').skip(4);
    let (ip, port) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(SocketAddr::new(ip, port))
}
