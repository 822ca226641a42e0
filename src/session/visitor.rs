//! Who asked for a session, as operators are shown it.
//!
//! Owns what is kept of a request's `User-Agent`: it is anybody's invention, so it is short and can be printed.

use std::net::IpAddr;
use std::time::Instant;

use axum::http::{HeaderMap, header};

/// Characters of `User-Agent` that are kept. Browsers say the same in their first hundred; more takes memory of each
/// session.
const AGENT_MAX: usize = 160;

/// Who asked for a session, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// Whom the offer came from: the peer of the connection, or whom a trusted proxy names.
    pub address: IpAddr,
    /// What its program calls itself; empty if it does not.
    pub agent: Box<str>,
    /// When the offer came.
    pub since: Instant,
}

impl Visitor {
    /// Of a request with `headers` from `address`.
    pub fn new(address: IpAddr, headers: &HeaderMap, since: Instant) -> Visitor {
        let said = headers.get(header::USER_AGENT).map_or(&b""[..], |value| value.as_bytes());
        let said = String::from_utf8_lossy(said);
        // A program's name is ASCII (RFC 9110 §10.1.5); what is not could turn a line of text around, or paint over others.
        let plain = |c: char| if c.is_ascii() { c } else { char::REPLACEMENT_CHARACTER };
        let agent: String = said.chars().filter(|c| !c.is_control()).map(plain).take(AGENT_MAX).collect();
        Visitor { address, agent: agent.into(), since }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_calls_itself_is_cut_and_can_be_printed() {
        let agent = |said: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(header::USER_AGENT, axum::http::HeaderValue::from_bytes(said).expect("a value"));
            Visitor::new(IpAddr::from([192, 0, 2, 1]), &headers, crate::session::gone::tests::now()).agent
        };
        assert_eq!(&*agent(b"Mozilla/5.0"), "Mozilla/5.0");
        assert_eq!(&*agent(b"a\tb\xff"), "ab\u{fffd}");
        assert_eq!(&*agent("x\u{202e}y\u{301}".as_bytes()), "x\u{fffd}y\u{fffd}");
        assert_eq!(agent(&[b'x'; 1_000]).len(), AGENT_MAX);
    }
}
