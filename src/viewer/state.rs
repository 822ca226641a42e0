//! What can be told of one viewer, for operators.

use std::time::{Duration, Instant};

use sluice_media::Kind;

use super::Viewer;
use crate::id::{LayerId, SessionId};
use crate::peer::Path;

/// One viewer, as it is at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewerState {
    /// Its session.
    pub session: SessionId,
    /// What it watches.
    pub layer: LayerId,
    /// When its offer was answered.
    pub since: Instant,
    /// Whether ICE and DTLS were up once.
    pub connected: bool,
    /// Where media goes; nothing while it is silent.
    pub path: Option<Path>,
    /// What was sent and what it told, of its video; of its sound if there is no video.
    pub track: TrackState,
    /// What it was sent, sound and video.
    pub sent: Sent,
    /// Bits a second that it thinks its line carries (REMB).
    pub estimate: Option<f32>,
    /// Bits of pictures a second that it is limited to, if its line is too narrow.
    pub limit: Option<u64>,
    /// Whether its sound goes twice, because it loses some.
    pub redundant: bool,
}

/// Media that was sent, without repairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Payload bytes.
    pub bytes: u64,
    /// Packets, each track modulo 2^32.
    pub packets: u64,
}

/// One track of a viewer.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TrackState {
    /// Packets sent, without repairs, modulo 2^32.
    pub packets: u32,
    /// Packets sent again, modulo 2^32.
    pub repairs: u32,
    /// Packets that it says were lost, before repair.
    pub lost: u32,
    /// Of those between its last two reports, the part that was lost: 0 to 1.
    pub loss: Option<f32>,
    /// The round trip, if it was measured.
    pub round_trip: Option<Duration>,
    /// Pictures that it was not sent because its line is too narrow, modulo 2^32.
    pub left_out: u32,
}

impl Viewer {
    /// What can be told of it.
    pub fn state(&self) -> ViewerState {
        let video = self.tracks.iter().find(|track| track.media.codec.kind() == Kind::Video);
        let track = video.or(self.tracks.first());
        ViewerState {
            session: self.session(),
            layer: self.layer,
            since: self.peer.offered(),
            connected: self.peer.has_connected(),
            path: self.target,
            track: track.map(|track| track.state()).unwrap_or_default(),
            sent: self.sent(),
            estimate: self.estimates.latest(),
            limit: self.line.limit().map(|bytes| u64::from(bytes) * 8),
            redundant: self.is_redundant(),
        }
    }

    /// What it was sent so far.
    pub fn sent(&self) -> Sent {
        self.tracks.iter().map(|track| track.sent()).fold(Sent::default(), |sum, of| Sent {
            bytes: sum.bytes + of.bytes,
            packets: sum.packets + of.packets,
        })
    }
}
