//! Whose datagram is it: a connectivity check by its ICE user name fragment, all else by validated address.
//!
//! Owns the two tables and the rule that only authenticated STUN makes an address known: a DTLS or
//! RTCP datagram from anywhere else has no owner (design invariant 7). What no viewer has a reason to send is
//! told here by its first bytes. Never touches an engine.

use std::collections::HashMap;

use sluice_media::{Class, class};

use crate::peer::{Check, Remote};

/// Slots of viewers by what tells their datagrams apart.
#[derive(Debug, Default)]
pub struct Demux {
    by_address: HashMap<Remote, usize>,
    by_ufrag: HashMap<String, usize>,
}

/// Whose a datagram is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner<'a> {
    /// DTLS or RTCP from an address that has authenticated itself for this slot.
    Known(usize),
    /// A check that names this slot's user name fragment; whether it is authentic is not known yet.
    Named(usize, Check<'a>),
    /// A check of nobody here.
    UnknownUfrag,
    /// STUN, but no check that we would answer: malformed, an answer to nothing, another method.
    NoCheck,
    /// DTLS or RTCP from an unknown address.
    UnknownAddress,
    /// RTP: viewers only watch.
    Media,
    /// Of no protocol that we speak, or empty.
    Alien,
}

impl Demux {
    /// Finds the owner of a datagram.
    pub fn owner<'a>(&self, source: Remote, datagram: &'a [u8]) -> Owner<'a> {
        match class(datagram) {
            Class::Stun => match Check::parse(datagram) {
                Some(check) => match self.by_ufrag.get(check.ufrag) {
                    Some(&slot) => Owner::Named(slot, check),
                    None => Owner::UnknownUfrag,
                },
                None => Owner::NoCheck,
            },
            Class::Dtls | Class::Rtcp => match self.holder(source) {
                Some(slot) => Owner::Known(slot),
                None => Owner::UnknownAddress,
            },
            Class::Rtp => Owner::Media,
            Class::Other => Owner::Alien,
        }
    }

    /// The slot that `address` belongs to.
    pub fn holder(&self, address: Remote) -> Option<usize> {
        self.by_address.get(&address).copied()
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
    pub fn insert_address(&mut self, address: Remote, slot: usize) -> Option<usize> {
        self.by_address.insert(address, slot).filter(|&before| before != slot)
    }

    /// Forgets `address` if it is still one of `slot`.
    pub fn remove_address(&mut self, address: Remote, slot: usize) {
        if self.by_address.get(&address) == Some(&slot) {
            self.by_address.remove(&address);
        }
    }

    /// Entries in both tables: addresses and user name fragments.
    pub fn len(&self) -> (usize, usize) {
        (self.by_address.len(), self.by_ufrag.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(address: &str) -> Remote {
        address.parse::<std::net::SocketAddr>().expect("an address").into()
    }

    #[test]
    fn only_known_addresses_own_dtls_and_rtcp() {
        let mut demux = Demux::default();
        let known = remote("192.0.2.1:4000");
        let stranger = remote("192.0.2.2:4000");
        demux.insert_address(known, 7);
        for first in [20u8, 63, 128, 191] {
            assert_eq!(demux.owner(known, &[first, 200, 0]), Owner::Known(7));
            assert_eq!(demux.owner(stranger, &[first, 200, 0]), Owner::UnknownAddress);
        }
        for first in [4u8, 19, 64, 127, 192, 255] {
            assert_eq!(demux.owner(known, &[first, 0, 0]), Owner::Alien);
        }
        assert_eq!(demux.owner(known, &[]), Owner::Alien);
    }

    #[test]
    fn media_has_no_owner_wherever_it_comes_from() {
        let mut demux = Demux::default();
        let known = remote("192.0.2.1:4000");
        demux.insert_address(known, 7);
        for (first, second) in [(128, 0), (144, 96), (191, 191), (128, 224), (128, 255)] {
            assert_eq!(demux.owner(known, &[first, second, 0]), Owner::Media, "{first} {second}");
        }
        assert_eq!(demux.owner(known, &[128]), Owner::Media, "too short for either");
    }

    #[test]
    fn stun_that_is_no_check_has_no_owner() {
        let mut demux = Demux::default();
        let from = remote("192.0.2.2:4000");
        demux.insert_address(from, 7);
        for length in 1..64 {
            assert_eq!(demux.owner(from, &vec![0u8; length]), Owner::NoCheck);
        }
    }

    #[test]
    fn an_address_that_moved_on_is_not_removed_by_its_old_owner() {
        let mut demux = Demux::default();
        let address = remote("192.0.2.1:4000");
        assert_eq!(demux.insert_address(address, 1), None);
        assert_eq!(demux.insert_address(address, 2), Some(1));
        demux.remove_address(address, 1);
        assert_eq!(demux.owner(address, &[22]), Owner::Known(2));
        assert_eq!(demux.holder(address), Some(2));
    }
}
