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

/// Finds the addresses to announce; `v6` tells whether the sockets take IPv6.
pub async fn addresses(ice: &Ice, v6: bool) -> Result<Vec<IpAddr>, AnnounceError> {
    if ice.addresses.is_empty() { of_interfaces(ice, v6) } else { ordered(configured(ice).await?, v6) }
}

/// As [`addresses`] where none are configured: those of the interfaces, as they are now.
pub fn of_interfaces(ice: &Ice, v6: bool) -> Result<Vec<IpAddr>, AnnounceError> {
    ordered(interfaces(ice)?, v6)
}

fn ordered(mut found: Vec<IpAddr>, v6: bool) -> Result<Vec<IpAddr>, AnnounceError> {
    found.retain(|address| v6 || address.is_ipv4());
    // Loopback last; IPv4 first among equals, because clients that take one candidate only take the
    // first and want IPv4 (FFmpeg).
    found.sort_by_key(|address| (address.is_loopback(), address.is_ipv6()));
    found.dedup();
    if found.is_empty() {
        return Err(AnnounceError::Nothing("check ice.addresses, ice.interfaces and ice.loopback"));
    }
    Ok(found)
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
