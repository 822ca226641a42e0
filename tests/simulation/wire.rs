//! What can be told of a datagram by its clear bytes, and the books on what the server ever sent.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use sluice::shard::Egress;

/// What a datagram is (RFC 7983 §7, RFC 5761 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Stun,
    Dtls,
    Rtp,
    Rtcp,
    Other,
}

pub fn class(datagram: &[u8]) -> Class {
    match datagram {
        [0..=3, ..] => Class::Stun,
        [20..=63, ..] => Class::Dtls,
        [128..=191, 192..=223, ..] => Class::Rtcp,
        [128..=191, ..] => Class::Rtp,
        _ => Class::Other,
    }
}

/// Sequence number and SSRC of an RTP datagram (RFC 3550 §5.1).
pub fn rtp_header(datagram: &[u8]) -> (u16, u32) {
    let ssrc = u32::from_be_bytes(datagram[8..12].try_into().expect("an RTP header has 12 bytes"));
    (u16::from_be_bytes([datagram[2], datagram[3]]), ssrc)
}

/// SSRC and SRTCP index of an SRTCP datagram under AES-GCM: its last word (RFC 7714 §9.2).
fn srtcp_index(datagram: &[u8]) -> (u32, u32) {
    let word = |at: usize| u32::from_be_bytes(datagram[at..at + 4].try_into().expect("four bytes"));
    (word(4), word(datagram.len() - 4) & 0x7fff_ffff)
}

/// The server's egress of one call.
#[derive(Debug, Default)]
pub struct Outbox {
    pub sent: Vec<(SocketAddr, Vec<u8>)>,
    /// Whether it takes no media.
    pub full: bool,
}

impl Egress for Outbox {
    fn transmit(&mut self, destination: SocketAddr, _source: Option<IpAddr>, datagram: &[u8]) {
        self.sent.push((destination, datagram.to_vec()));
    }

    fn ready(&mut self, _bytes: usize) -> bool {
        !self.full
    }
}

/// What the server sent, and to whom it may send.
#[derive(Debug, Default)]
pub struct Books {
    /// Addresses that sent STUN made by a client's engine, or that a test vouches for.
    authenticated: HashSet<SocketAddr>,
    /// Media packets by viewer and SSRC: sequence number and when it was sent.
    pub media: HashMap<(usize, u32), Vec<(u16, Instant)>>,
    /// Datagrams sent, by destination.
    pub sent_to: HashMap<SocketAddr, usize>,
    indices: HashSet<(usize, u32, bool, u32)>,
}

impl Books {
    /// A datagram reached the server.
    pub fn received(&mut self, from: SocketAddr, genuine: bool, datagram: &[u8]) {
        if genuine && class(datagram) == Class::Stun {
            self.authenticated.insert(from);
        }
    }

    /// The server sent a datagram to `destination`, an address of `viewer`. Two invariants: nothing goes to an
    /// address that never authenticated itself; no (key, SSRC, index) of SRTP or SRTCP is used twice.
    pub fn sent(&mut self, now: Instant, viewer: Option<usize>, destination: SocketAddr, datagram: &[u8]) {
        assert!(
            self.authenticated.contains(&destination),
            "{:?} of {} bytes to {destination}, which never authenticated itself",
            class(datagram),
            datagram.len()
        );
        *self.sent_to.entry(destination).or_default() += 1;
        let Some(viewer) = viewer else { return };
        match class(datagram) {
            Class::Rtp => {
                let (sequence, ssrc) = rtp_header(datagram);
                self.once(viewer, ssrc, false, sequence.into());
                self.media.entry((viewer, ssrc)).or_default().push((sequence, now));
            }
            Class::Rtcp => {
                let (ssrc, index) = srtcp_index(datagram);
                self.once(viewer, ssrc, true, index);
            }
            _ => {}
        }
    }

    /// No run is long enough for 65,536 packets of one SSRC: a sequence number stands for its index.
    fn once(&mut self, viewer: usize, ssrc: u32, rtcp: bool, index: u32) {
        let new = self.indices.insert((viewer, ssrc, rtcp, index));
        assert!(new, "SSRC {ssrc} of viewer {viewer} used index {index} twice (SRTCP: {rtcp})");
    }
}
