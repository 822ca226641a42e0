//! One name for all that one customer of an access network can call himself, and what one such client may have of
//! something that all share.
//!
//! Knows nothing of what is shared.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

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
}
