//! What a viewer is made from and what it tells: behaviour, stage, counts, errors.
//!
//! Owns plain values only. Never does anything.

use std::net::SocketAddr;

use str0m::RtcError;

use super::super::delay::Wall;
use super::super::impair::{Done, Impairment};
use super::super::sequence::Counts;

/// How viewers behave.
#[derive(Debug, Clone, Copy)]
pub struct Behaviour {
    /// Ask for missing packets.
    pub nack: bool,
    /// Decrypt and check everything, and tell the age of pictures by this clock.
    pub verify: Option<Wall>,
    /// The last mile.
    pub impairment: Impairment,
    /// Seed of the last mile's decisions.
    pub seed: u64,
}

/// Why a viewer cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The engine refused an input, or our own offer.
    #[error("the engine failed: {0}")]
    Engine(#[from] RtcError),
    /// The answer is not SDP.
    #[error("the answer cannot be read: {0}")]
    Answer(String),
    /// The socket's address cannot be a candidate.
    #[error("{0} cannot be an ICE candidate: give an address that the server can reach")]
    Candidate(SocketAddr),
    /// The engine had output without end.
    #[error("the engine had no end of output")]
    Endless,
    /// DTLS agreed on an SRTP profile that WebRTC does not know.
    #[error("dtls agreed on an unknown srtp profile")]
    Profile,
}

/// Where a viewer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The offer is out, the answer is not here.
    Offered,
    /// ICE checks run.
    Checking,
    /// ICE found a path, DTLS is not done.
    Handshaking,
    /// Media can flow.
    Connected,
    /// The server said goodbye (DTLS `close_notify`).
    Closed,
    /// The server no longer answers consent checks (RFC 7675).
    Gone,
}

/// Datagrams out: destination and contents.
pub type Transmit<'a> = dyn FnMut(SocketAddr, &[u8]) + 'a;

/// What one viewer counted; those of many add up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Media datagrams that came, whatever became of them, retransmissions among them.
    pub packets: u64,
    /// Their bytes, without UDP and IP headers.
    pub bytes: u64,
    /// Loss, repairs, duplicates and order.
    #[serde(flatten)]
    pub counts: Counts,
    /// The same of video alone: browsers ask for video again and not for audio.
    pub video: Counts,
    /// Retransmissions that came in a stream of their own.
    pub repairs: u64,
    /// Packets asked for again, counting every time.
    pub nacked: u64,
    /// Keyframes asked for.
    pub keyframe_requests: u64,
    /// Reports of the server that could not be authenticated.
    pub bad_reports: u64,
    /// Datagrams that are nothing we know: payload types not in the answer, or rubbish.
    pub unknown: u64,
    /// Impairment made here, on purpose.
    pub impaired: Done,
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, other: Totals) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.counts += other.counts;
        self.video += other.video;
        self.repairs += other.repairs;
        self.nacked += other.nacked;
        self.keyframe_requests += other.keyframe_requests;
        self.bad_reports += other.bad_reports;
        self.unknown += other.unknown;
        self.impaired += other.impaired;
    }
}
