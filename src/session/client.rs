//! Who asks: one name for all that one customer of an access network can call himself, and what one such
//! client may have of something that all share.
//!
//! Owns the reading of `X-Forwarded-For`. Knows nothing of what is shared.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;
use sluice_config::Network;

/// A client as far as fairness goes: an IPv4 address, or the /64 of an IPv6 address, because a customer has
/// all addresses of one (RFC 6177).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Client(IpAddr);

impl Client {
    /// All that have no account of their own because there are too many.
    pub const REST: Client = Client(IpAddr::V6(Ipv6Addr::UNSPECIFIED));

    /// The client behind an address.
    pub fn of(address: IpAddr) -> Client {
        match address.to_canonical() {
            IpAddr::V6(v6) => Client(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into()),
            v4 => Client(v4),
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => v4.fmt(f),
            IpAddr::V6(v6) => write!(f, "{v6}/64"),
        }
    }
}

/// Part of a whole that one client may take, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share(pub u8);

impl Share {
    /// Whether one that has `own` places may take another while `free` are left.
    ///
    /// What is left counts, not the whole: with a share of 50 % one client gets half of the places, two get a
    /// third each, and however many there are, one that comes anew finds a place.
    pub fn allows(self, own: usize, free: usize) -> bool {
        let percent = usize::from(self.0.min(100));
        own.saturating_mul(100 - percent) <= free.saturating_mul(percent)
    }
}

/// Whoever a trusted proxy does not name. All of them share one account.
pub const UNKNOWN: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// An address as proxies write it: bare, in brackets, in quotes, with a port.
fn address_of(said: &[u8]) -> Option<IpAddr> {
    let said = std::str::from_utf8(said).ok()?.trim().trim_matches('"');
    let bare = || said.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    said.parse().ok().or_else(bare).or_else(|| Some(said.parse::<SocketAddr>().ok()?.ip()))
}

/// The address that a request is from: the peer's, or what trusted proxies say of it.
///
/// Each proxy appends whom it was called by, so the list is read from its end, as long as those who wrote it
/// are trusted; what stands before may be anybody's invention. Where a trusted proxy names nobody that can be read, it
/// is [`UNKNOWN`], and never the proxy itself: that may be somebody who may do more.
pub fn origin(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut address = peer.to_canonical();
    let lines: Vec<&[u8]> = headers.get_all("x-forwarded-for").iter().map(|line| line.as_bytes()).collect();
    for said in lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b',')) {
        if !is_trusted(address) {
            break;
        }
        let Some(said) = address_of(said) else { return UNKNOWN };
        address = said.to_canonical();
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_a_64_of_ipv6() {
        let same = |a: &str, b: &str| Client::of(ip(a)) == Client::of(ip(b));
        assert!(same("192.0.2.1", "::ffff:192.0.2.1"));
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
        assert!(!same("192.0.2.1", "192.0.2.2") && !same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert_ne!(Client::of(ip("192.0.2.1")), Client::REST);
    }

    #[test]
    fn however_many_take_their_share_one_more_finds_a_place() {
        for percent in [1, 10, 50] {
            let (share, places) = (Share(percent), 1_000);
            let mut free = places;
            for _ in 0..5 {
                let mut own = 0;
                while share.allows(own, free) && free > 0 {
                    (own, free) = (own + 1, free - 1);
                }
                assert!(own > 0, "{percent} %");
            }
        }
        // Alone: its share of the whole, rounded up.
        let alone =
            |percent, places| (0..places).take_while(|&own| Share(percent).allows(own, places - own)).count();
        assert_eq!([alone(50, 1_000), alone(25, 1_000), alone(100, 1_000)], [501, 251, 1_000]);
        assert_eq!([alone(50, 1), alone(50, 2)], [1, 2], "small houses are for whoever comes");
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let trusted = ["127.0.0.1".parse(), "10.0.0.0/8".parse()].map(|network| network.expect("a network"));
        for (peer, lines, expected) in [
            ("192.0.2.1", &["198.51.100.7"][..], "192.0.2.1"),
            ("127.0.0.1", &[], "127.0.0.1"),
            ("::ffff:127.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("127.0.0.1", &["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
            ("127.0.0.1", &["198.51.100.7, 10.1.2.3"], "198.51.100.7"),
            ("127.0.0.1", &["198.51.100.7", "10.1.2.3 ,10.1.2.4"], "198.51.100.7"),
            ("127.0.0.1", &["2001:db8::1"], "2001:db8::1"),
            // Whom it does not name is not the proxy.
            ("127.0.0.1", &["198.51.100.7, unknown"], "::"),
            ("127.0.0.1", &["", "10.1.2.3"], "::"),
            ("127.0.0.1", &[""], "::"),
            ("127.0.0.1", &["198.51.100.7,"], "::"),
            ("127.0.0.1", &["198.051.100.7"], "::"),
            ("127.0.0.1", &["\u{e4}"], "::"),
            ("127.0.0.1", &["\u{e4}, 198.51.100.7"], "198.51.100.7"),
            ("192.0.2.1", &["\u{e4}"], "192.0.2.1"),
            // As some proxies write it.
            ("127.0.0.1", &["198.51.100.7:1234"], "198.51.100.7"),
            ("127.0.0.1", &["[2001:db8::1]", "10.1.2.3"], "2001:db8::1"),
            ("127.0.0.1", &["[2001:db8::1]:443"], "2001:db8::1"),
            ("127.0.0.1", &["\"198.51.100.7\""], "198.51.100.7"),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                let line = axum::http::HeaderValue::from_bytes(line.as_bytes()).expect("a value");
                headers.append("x-forwarded-for", line);
            }
            assert_eq!(origin(ip(peer), &headers, &trusted), ip(expected), "{peer} {lines:?}");
        }
    }
}
