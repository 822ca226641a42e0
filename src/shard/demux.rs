//! Whose datagram is it: by validated address, else, for STUN, by ICE user name fragment.
//!
//! Owns the two tables and the rule that only authenticated STUN makes an address known: a DTLS or
//! RTP datagram from anywhere else has no owner (design invariant 7). Never touches an engine.

use std::collections::HashMap;
use std::net::SocketAddr;

use str0m::ice::StunMessage;

/// Slots of viewers by what tells their datagrams apart.
#[derive(Debug, Default)]
pub struct Demux {
    by_address: HashMap<SocketAddr, usize>,
    by_ufrag: HashMap<String, usize>,
}

/// Whose a datagram is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// It came from an address that has authenticated itself for this slot.
    Known(usize),
    /// A STUN request that names this slot's user name fragment; the address must be admitted.
    Claimed(usize),
    /// STUN, but for nobody here.
    UnknownUfrag,
    /// Not STUN, and from an unknown address.
    UnknownAddress,
    /// Neither STUN, DTLS, RTP nor RTCP by its first byte, or empty (RFC 7983 §7).
    Alien,
}

impl Demux {
    /// Finds the owner of a datagram.
    pub fn owner(&self, source: SocketAddr, datagram: &[u8]) -> Owner {
        let class = match datagram.first() {
            Some(0..=3) => Class::Stun,
            Some(20..=63 | 128..=191) => Class::Other,
            _ => return Owner::Alien,
        };
        if let Some(&slot) = self.by_address.get(&source) {
            return Owner::Known(slot);
        }
        match class {
            Class::Other => Owner::UnknownAddress,
            Class::Stun => {
                let message = StunMessage::parse(datagram).ok();
                let local = message.as_ref().and_then(|message| message.split_username());
                match local.and_then(|(local, _remote)| self.by_ufrag.get(local)) {
                    Some(&slot) => Owner::Claimed(slot),
                    None => Owner::UnknownUfrag,
                }
            }
        }
    }

    /// Makes `ufrag` name `slot`.
    pub fn insert_ufrag(&mut self, ufrag: String, slot: usize) {
        self.by_ufrag.insert(ufrag, slot);
    }

    /// Forgets `ufrag`.
    pub fn remove_ufrag(&mut self, ufrag: &str) {
        self.by_ufrag.remove(ufrag);
    }

    /// Makes `address` known as one of `slot`. Returns the slot it belonged to before, if another.
    pub fn insert_address(&mut self, address: SocketAddr, slot: usize) -> Option<usize> {
        self.by_address.insert(address, slot).filter(|&before| before != slot)
    }

    /// Forgets `address` if it is still one of `slot`.
    pub fn remove_address(&mut self, address: SocketAddr, slot: usize) {
        if self.by_address.get(&address) == Some(&slot) {
            self.by_address.remove(&address);
        }
    }

    /// Entries in both tables: addresses and user name fragments.
    pub fn len(&self) -> (usize, usize) {
        (self.by_address.len(), self.by_ufrag.len())
    }
}

enum Class {
    Stun,
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_addresses_own_dtls_and_rtp() {
        let mut demux = Demux::default();
        let known: SocketAddr = "192.0.2.1:4000".parse().expect("an address");
        let stranger: SocketAddr = "192.0.2.2:4000".parse().expect("an address");
        demux.insert_address(known, 7);
        for first in [20u8, 63, 128, 191] {
            assert_eq!(demux.owner(known, &[first, 0, 0]), Owner::Known(7));
            assert_eq!(demux.owner(stranger, &[first, 0, 0]), Owner::UnknownAddress);
        }
        for first in [4u8, 19, 64, 127, 192, 255] {
            assert_eq!(demux.owner(known, &[first, 0, 0]), Owner::Alien);
        }
        assert_eq!(demux.owner(known, &[]), Owner::Alien);
    }

    #[test]
    fn stun_that_cannot_be_parsed_or_names_nobody_has_no_owner() {
        let demux = Demux::default();
        let from: SocketAddr = "192.0.2.2:4000".parse().expect("an address");
        for length in 1..64 {
            assert_eq!(demux.owner(from, &vec![0u8; length]), Owner::UnknownUfrag);
        }
    }

    #[test]
    fn an_address_that_moved_on_is_not_removed_by_its_old_owner() {
        let mut demux = Demux::default();
        let address: SocketAddr = "192.0.2.1:4000".parse().expect("an address");
        assert_eq!(demux.insert_address(address, 1), None);
        assert_eq!(demux.insert_address(address, 2), Some(1));
        demux.remove_address(address, 1);
        assert_eq!(demux.owner(address, &[22]), Owner::Known(2));
    }
}
