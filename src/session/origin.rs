//! Who asks: the address that a request is from, with proxies between or without.
//!
//! Owns the reading of `X-Forwarded-For`.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;
use sluice_config::Network;

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
