//! Which addresses answers announce as ICE candidates: the interfaces', or the ones configured.
//!
//! Owns the choice and its order: addresses that others can reach first, loopback last. A shell: it
//! asks the kernel and the resolver.

use std::net::{IpAddr, Ipv6Addr};

use sluice_config::{Ice, IceAddress};

/// Why no address can be announced.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// A configured name does not resolve.
    #[error("ice.addresses: {host:?} does not resolve: {source}; write its IP address instead")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        source: std::io::Error,
    },
    /// The kernel does not list its interfaces.
    #[error("the interfaces' addresses cannot be listed: {0}; name them in ice.addresses")]
    Interfaces(#[source] std::io::Error),
    /// Nothing is left.
    #[error("no address to announce to viewers: {0}")]
    Nothing(&'static str),
}

/// What is announced: configured addresses, resolved once, and those of the interfaces, as they are now.
#[derive(Debug)]
pub struct Announcer {
    ice: Ice,
    fixed: Vec<IpAddr>,
    v6: bool,
}

impl Announcer {
    /// Resolves what is configured; `v6` tells whether the sockets take IPv6.
    pub async fn resolve(ice: &Ice, v6: bool) -> Result<Announcer, AnnounceError> {
        Ok(Announcer { ice: ice.clone(), fixed: configured(ice).await?, v6 })
    }

    /// Resolves what is configured now, for the same sockets.
    pub async fn with(&self, ice: &Ice) -> Result<Announcer, AnnounceError> {
        Announcer::resolve(ice, self.v6).await
    }

    /// Whether the interfaces' addresses are announced, which come and go.
    pub fn follows_interfaces(&self) -> bool {
        self.ice.addresses.is_empty() || self.ice.addresses.contains(&IceAddress::Interfaces)
    }

    /// The addresses to announce, best first.
    pub fn now(&self) -> Result<Vec<IpAddr>, AnnounceError> {
        let mut found = self.fixed.clone();
        if self.follows_interfaces() {
            found.extend(interfaces(&self.ice)?);
        }
        ordered(found, self.v6)
    }
}

fn ordered(found: Vec<IpAddr>, v6: bool) -> Result<Vec<IpAddr>, AnnounceError> {
    let mut kept: Vec<IpAddr> = Vec::new();
    for address in found {
        if (v6 || address.is_ipv4()) && !kept.contains(&address) {
            kept.push(address);
        }
    }
    // Loopback last; IPv4 first among equals, because clients that take one candidate only take the
    // first and want IPv4 (FFmpeg).
    kept.sort_by_key(|address| (address.is_loopback(), address.is_ipv6()));
    if kept.is_empty() {
        return Err(AnnounceError::Nothing("check ice.addresses, ice.interfaces and ice.loopback"));
    }
    Ok(kept)
}

fn interfaces(ice: &Ice) -> Result<Vec<IpAddr>, AnnounceError> {
    let all = if_addrs::get_if_addrs().map_err(AnnounceError::Interfaces)?;
    let wanted = all.into_iter().filter(|interface| {
        let named = ice.interfaces.is_empty() || ice.interfaces.contains(&interface.name);
        named && (ice.loopback || !interface.is_loopback())
    });
    Ok(wanted.map(|interface| interface.ip()).filter(|address| !is_link_local(address)).collect())
}

/// A link-local IPv6 address needs a zone, which a candidate cannot carry (RFC 8839 §5.1).
fn is_link_local(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if Ipv6Addr::is_unicast_link_local(v6))
}

async fn configured(ice: &Ice) -> Result<Vec<IpAddr>, AnnounceError> {
    let mut found = Vec::new();
    for address in &ice.addresses {
        match address {
            IceAddress::Ip(ip) => found.push(*ip),
            IceAddress::Interfaces => {}
            IceAddress::Host(host) => {
                let resolved = tokio::net::lookup_host((host.as_str(), 0))
                    .await
                    .map_err(|source| AnnounceError::Resolve { host: host.clone(), source })?;
                found.extend(resolved.map(|address| address.ip()));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn announced(addresses: &[IceAddress]) -> Vec<IpAddr> {
        let ice = Ice { addresses: addresses.to_vec(), ..Ice::default() };
        Announcer::resolve(&ice, false).await.and_then(|announcer| announcer.now()).expect("addresses")
    }

    #[tokio::test]
    async fn configured_addresses_replace_the_interfaces_or_are_added_to_them() {
        let outside = IpAddr::from([203, 0, 113, 9]);
        let interfaces = announced(&[]).await;
        assert!(interfaces.iter().any(IpAddr::is_loopback), "{interfaces:?}");
        let fixed = IceAddress::Ip(outside);
        assert_eq!(announced(&[fixed.clone(), fixed.clone()]).await, [outside]);
        let both = announced(&[IceAddress::Interfaces, fixed]).await;
        assert_eq!(both[0], outside);
        assert_eq!(both.len(), interfaces.len() + 1);
        assert!(interfaces.iter().all(|address| both.contains(address)), "{both:?}");
    }
}
