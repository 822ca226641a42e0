//! The books on everything that a server ever sent: to whom, and under which index of which key.
//!
//! Owns invariants that hold in every simulation, whatever it is about: nothing goes to an address that never
//! authenticated itself, no key seals two packets under one index, and no datagram is longer than every path takes.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Instant;

use sluice_load::packet::{self, Datagram, Header};
use sluice_load::srtp::Srtp;
use sluice_media::{Class, DATAGRAM_MAX, class};

/// What the server sent, and to whom it may send.
#[derive(Debug, Default)]
pub struct Books {
    /// Addresses that sent STUN made by a client's engine, or that a test vouches for.
    authenticated: HashSet<SocketAddr>,
    /// Media packets by viewer and SSRC: sequence number and when it was sent.
    pub media: HashMap<(usize, u32), Vec<(u16, Instant)>>,
    /// When each viewer was sent media, repairs too, and how many bytes.
    pub bytes: HashMap<usize, Vec<(Instant, usize)>>,
    /// The last packet of each viewer and SSRC: RTP timestamp, and whether it ended a picture.
    last: HashMap<(usize, u32), (u32, bool)>,
    /// Packets of a new picture behind one that had not ended, by viewer and SSRC. Sound has no ends.
    pub cut: HashMap<(usize, u32), usize>,
    /// Datagrams sent, by destination.
    pub sent_to: HashMap<SocketAddr, usize>,
    /// Media packets sent, repairs too.
    pub packets: usize,
    /// Whether each media packet is left out of `media` and `bytes`: a long run has too many.
    pub brief: bool,
    /// Under one key for SRTP (`false`) or SRTCP.
    indices: HashMap<(usize, u32, bool), Indices>,
    openers: HashMap<usize, Srtp>,
    opened: Vec<u8>,
}

/// The packet indices that one SSRC used under one key.
#[derive(Debug, Default)]
struct Indices {
    /// One bit each, from 0.
    used: Vec<u64>,
    highest: Option<u64>,
}

impl Indices {
    /// The index of a sequence number as a receiver finds it (RFC 3711 §3.3.1): the nearest to the highest
    /// one. Ours begin below 32,768, in the first cycle.
    fn unwrap(&self, sequence: u16) -> u64 {
        let Some(highest) = self.highest else { return sequence.into() };
        let ahead = sequence.wrapping_sub(highest as u16) as i16;
        highest.checked_add_signed(ahead.into()).expect("nothing goes back behind the beginning")
    }

    /// Whether `index` is used for the first time.
    fn take(&mut self, index: u64) -> bool {
        self.highest = self.highest.max(Some(index));
        let (word, bit) = ((index / 64) as usize, 1 << (index % 64));
        if self.used.len() <= word {
            self.used.resize(word + 1, 0);
        }
        let new = self.used[word] & bit == 0;
        self.used[word] |= bit;
        new
    }
}

impl Books {
    /// Opens everything that goes to `viewer` from now on.
    pub fn open(&mut self, viewer: usize, srtp: Srtp) {
        self.openers.insert(viewer, srtp);
    }

    /// A datagram reached the server.
    pub fn received(&mut self, from: SocketAddr, genuine: bool, datagram: &[u8]) {
        if genuine && class(datagram) == Class::Stun {
            self.authenticated.insert(from);
        }
    }

    /// The server sent a datagram to `destination`, an address of `viewer`. Three invariants: nothing goes to an
    /// address that never authenticated itself; no (key, SSRC, index) of SRTP or SRTCP is used twice; nothing is longer
    /// than a path of IPv6 takes.
    pub fn sent(&mut self, now: Instant, viewer: Option<usize>, destination: SocketAddr, datagram: &[u8]) {
        assert!(
            self.authenticated.contains(&destination),
            "{:?} of {} bytes to {destination}, which never authenticated itself",
            class(datagram),
            datagram.len()
        );
        let length = datagram.len();
        assert!(length <= DATAGRAM_MAX, "{:?} of {length} bytes", class(datagram));
        *self.sent_to.entry(destination).or_default() += 1;
        let Some(viewer) = viewer else { return };
        match class(datagram) {
            Class::Rtp => {
                let Datagram::Rtp(header) = packet::classify(datagram) else {
                    panic!("no RTP: {datagram:?}")
                };
                let Header { sequence, ssrc, .. } = header;
                let index = self.once((viewer, ssrc, false), |indices| indices.unwrap(sequence));
                self.packets += 1;
                if let Some((timestamp, false)) =
                    self.last.insert((viewer, ssrc), (header.timestamp, header.marker))
                    && timestamp != header.timestamp
                {
                    *self.cut.entry((viewer, ssrc)).or_default() += 1;
                }
                if !self.brief {
                    self.media.entry((viewer, ssrc)).or_default().push((sequence, now));
                    self.bytes.entry(viewer).or_default().push((now, datagram.len()));
                }
                if let Some(srtp) = self.openers.get_mut(&viewer) {
                    // It opens under no other index, so this is the one that it was sealed under.
                    let authentic = srtp.open_media(header, index, datagram, &mut self.opened);
                    assert!(authentic, "SSRC {ssrc} of viewer {viewer} at {index}");
                }
            }
            Class::Rtcp => {
                let (ssrc, index) = srtcp_index(datagram);
                self.once((viewer, ssrc, true), |_| index.into());
                if let Some(srtp) = self.openers.get_mut(&viewer) {
                    let authentic = srtp.open_reports(datagram, &mut self.opened);
                    assert!(authentic, "report {index} of viewer {viewer}");
                }
            }
            _ => {}
        }
    }

    /// Indices used so far, of all keys and SSRCs.
    pub fn indices(&self) -> u64 {
        let used = self.indices.values().flat_map(|indices| &indices.used);
        used.map(|word| u64::from(word.count_ones())).sum()
    }

    /// The most times that sequence numbers of one SSRC began anew.
    pub fn rollovers(&self) -> u64 {
        self.indices.values().filter_map(|indices| indices.highest).max().unwrap_or_default() >> 16
    }

    /// The highest index of media that an SSRC of a viewer has used.
    pub fn highest(&self, viewer: usize, ssrc: u32) -> Option<u64> {
        self.indices.get(&(viewer, ssrc, false))?.highest
    }

    fn once(&mut self, key: (usize, u32, bool), index: impl FnOnce(&Indices) -> u64) -> u64 {
        let indices = self.indices.entry(key).or_default();
        let index = index(indices);
        let (viewer, ssrc, rtcp) = key;
        let new = indices.take(index);
        assert!(new, "SSRC {ssrc} of viewer {viewer} used index {index} twice (SRTCP: {rtcp})");
        index
    }
}

/// SSRC and SRTCP index of an SRTCP datagram under AES-GCM: its last word (RFC 7714 §9.2).
fn srtcp_index(datagram: &[u8]) -> (u32, u32) {
    let word = |at: usize| u32::from_be_bytes(datagram[at..at + 4].try_into().expect("four bytes"));
    (word(4), word(datagram.len() - 4) & 0x7fff_ffff)
}
