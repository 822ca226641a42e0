//! Where cameras may be that the API names, and not the configuration: whoever may add a stream must not be able to have
//! the server ask anything on this machine, or the cloud's own servers, in his place (SSRF).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Network;

/// What clouds tell their machines, keys among it, is asked for here: AWS and its like, its containers, Alibaba, and AWS
/// and GCP by IPv6. A network does not name them; the address does.
const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// Networks that a camera may be in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach(pub Vec<Network>);

impl Reach {
    /// Whether a camera may be at `address`. IPv4 addresses in the forms that IPv6 has for them count as what they are.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = plain(address);
        let named = |network: &&Network| network.contains(address);
        match METADATA.contains(&address) {
            true => self.0.iter().filter(named).any(Network::is_one_address),
            false => self.0.iter().any(|network| network.contains(address)),
        }
    }
}

/// The IPv4 address that an IPv6 address stands for, if it does: mapped and compatible (RFC 4291 §2.5.5), translated
/// (RFC 6052 §2.1) and 6to4 (RFC 3056 §2).
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address.to_canonical() else { return address.to_canonical() };
    let bits = v6.to_bits();
    let low = Ipv4Addr::from_bits(bits as u32);
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => low.into(),
        // Not `::` and `::1`.
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => low.into(),
        [0x2002, ..] => Ipv4Addr::from_bits((bits >> 80) as u32).into(),
        _ => v6.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn reach(networks: &[&str]) -> Reach {
        Reach(networks.iter().map(|network| network.parse().expect(network)).collect())
    }

    #[test]
    fn private_networks_are_within_reach_by_default_and_nothing_else_is() {
        let usual = Reach(Config::default().admin.sources);
        for (address, allowed) in [
            ("10.1.2.3", true),
            ("172.16.0.1", true),
            ("172.31.255.255", true),
            ("192.168.1.64", true),
            ("100.64.0.1", true),
            ("fd12:3456::1", true),
            ("::ffff:192.168.1.64", true),
            ("64:ff9b::192.168.1.64", true),
            ("172.32.0.1", false),
            ("127.0.0.1", false),
            ("127.255.255.254", false),
            ("0.0.0.0", false),
            ("::", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("::127.0.0.1", false),
            ("64:ff9b::127.0.0.1", false),
            ("2002:7f00:1::", false),
            ("169.254.169.254", false),
            ("::ffff:169.254.169.254", false),
            ("169.254.0.1", false),
            ("fe80::1", false),
            ("100.100.100.200", false),
            ("fd00:ec2::254", false),
            ("fd20:ce::254", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("8.8.8.8", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(usual.allows(address.parse().expect(address)), allowed, "{address}");
        }
    }

    #[test]
    fn addresses_that_give_keys_away_are_within_reach_by_their_own_name_alone() {
        let metadata = |reach: &Reach| reach.allows("::ffff:169.254.169.254".parse().expect("an address"));
        assert!(!metadata(&reach(&["0.0.0.0/0", "::/0"])));
        assert!(reach(&["0.0.0.0/0"]).allows("8.8.8.8".parse().expect("an address")));
        assert!(metadata(&reach(&["169.254.169.254"])));
        assert!(reach(&["127.0.0.0/8"]).allows("::ffff:127.0.0.9".parse().expect("an address")));
    }
}
