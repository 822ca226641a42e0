//! A network of IP addresses: one address, or a prefix of some bits (`10.0.0.0/8`).

use std::{fmt, net::IpAddr, str::FromStr};

/// Bits before an IPv4 address in IPv6 form (RFC 4291 §2.5.5.2).
const MAPPED: u8 = 96;

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// Bits that count: up to 32 of IPv4, up to 128 of IPv6.
    bits: u8,
}

impl Network {
    /// Whether it is a single address.
    pub fn is_one_address(&self) -> bool {
        self.bits == if self.address.is_ipv4() { 32 } else { 128 }
    }

    /// Whether every address of its family is one of it.
    pub fn is_every_address(&self) -> bool {
        self.bits == 0
    }

    /// Whether it is of IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// Whether `address` is one of it. An IPv4 address in IPv6 form is taken for what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let rest = 32 - u32::from(self.bits);
                (own.to_bits() ^ other.to_bits()).checked_shr(rest).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let rest = 128 - u32::from(self.bits);
                (own.to_bits() ^ other.to_bits()).checked_shr(rest).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// With its bits: `10.0.0.0/8`.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| ())?)),
            None => (text, None),
        };
        let given: IpAddr = address.parse().map_err(|_| ())?;
        let all = if given.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(all);
        // IPv4 in IPv6 form is taken for what it is, as the addresses are that it is compared with.
        let address = if bits >= MAPPED || given.is_ipv4() { given.to_canonical() } else { given };
        let (all, bits) = match (given, address) {
            (IpAddr::V6(_), IpAddr::V4(_)) if bits <= 128 => (32, bits - MAPPED),
            _ => (all, bits),
        };
        if bits > all { Err(()) } else { Ok(Self { address, bits }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_belong_by_their_first_bits() {
        for (network, address, belongs) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "192.0.2.1", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("::/0", "2001:db8::1", true),
            ("::1", "::1", true),
            ("::ffff:127.0.0.1", "127.0.0.1", true),
            ("::ffff:127.0.0.1", "127.0.0.2", false),
            ("::ffff:127.0.0.0/104", "127.9.0.1", true),
            ("::ffff:0:0/96", "192.0.2.1", true),
            ("::ffff:0:0/96", "2001:db8::1", false),
            ("::/64", "2001:db8::1", false),
        ] {
            let network: Network = network.parse().expect(network);
            assert_eq!(network.contains(address.parse().expect(address)), belongs, "{network:?} {address}");
        }
        for wrong in
            ["", "x", "10.0.0.0/33", "::/129", "::ffff:1.2.3.4/129", "10.0.0.0/", "10.0.0.0/-1", "/8"]
        {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
