//! What viewers say about what they receive, as numbers of one shard.
//!
//! Owns which values are kept, and the bounds of their buckets. Nothing in here is of one viewer: each
//! is observed at most once a second (src/viewer/reception.rs), so that a share of the observations is a
//! share of the viewers.

use sluice_media::Kind;

use super::cell::Cell;
use super::histogram::Histogram;

/// Parts of a second's packets that were lost. Repair brings back what is lost up to about 10 %.
const LOSS: &[f64] = &[0.0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];

/// Seconds of jitter: a frame that is sent at once has the time of its packets on the slowest link.
const JITTER: &[f64] = &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];

/// Seconds of a round trip: the same machine, the same town, a continent, satellites, full queues.
const ROUND_TRIP: &[f64] = &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0];

/// Bytes per second that a viewer thinks its line carries, from below any camera to above most: 0.25, 0.5,
/// 1, 1.5, 2, 3, 5, 8, 12, 20, 50 and 100 Mb/s.
const ESTIMATE: &[f64] =
    &[31_250.0, 62_500.0, 125e3, 187_500.0, 250e3, 375e3, 625e3, 1e6, 1.5e6, 2.5e6, 6.25e6, 12.5e6];

/// The numbers.
#[derive(Debug)]
pub struct Feedback {
    /// What is told of audio tracks.
    pub audio: Heard,
    /// What is told of video tracks.
    pub video: Heard,
    /// REMB, in bytes per second: Prometheus has no bits.
    pub estimate: Histogram,
    /// Observations of the former that were below what the viewer was being sent.
    pub estimate_below_sent: Cell,
    /// RTCP packets by type.
    pub packets: Packets,
    /// NACK, PLI and FIR that named something else than the viewer's video.
    pub misdirected: Cell,
    /// RTCP packets beyond what is acted on in a second.
    pub over_rate_packets: Cell,
    /// Packet numbers in NACKs beyond what is looked at in a second.
    pub over_rate_numbers: Cell,
}

/// What receiver reports tell of one kind of track.
#[derive(Debug)]
pub struct Heard {
    /// Part of the packets that were lost, 0 to 1, before repair.
    pub loss: Histogram,
    /// Interarrival jitter (RFC 3550 §6.4.1) in seconds.
    pub jitter: Histogram,
    /// Round trip in seconds.
    pub round_trip: Histogram,
    /// Packets lost, before repair.
    pub lost: Cell,
}

/// RTCP packets that came in, by type.
#[derive(Debug, Default)]
pub struct Packets {
    /// Receiver reports.
    pub receiver_report: Cell,
    /// NACK.
    pub nack: Cell,
    /// PLI.
    pub pli: Cell,
    /// FIR.
    pub fir: Cell,
    /// REMB.
    pub remb: Cell,
    /// Of a type that nothing here acts on.
    pub other: Cell,
    /// More in one datagram than are read.
    pub unread: Cell,
}

impl Feedback {
    /// What is told of tracks of `kind`.
    pub fn of(&self, kind: Kind) -> &Heard {
        match kind {
            Kind::Audio => &self.audio,
            Kind::Video => &self.video,
        }
    }
}

impl Default for Feedback {
    fn default() -> Feedback {
        let heard = || Heard {
            loss: Histogram::new(LOSS),
            jitter: Histogram::new(JITTER),
            round_trip: Histogram::new(ROUND_TRIP),
            lost: Cell::new(),
        };
        Feedback {
            audio: heard(),
            video: heard(),
            estimate: Histogram::new(ESTIMATE),
            estimate_below_sent: Cell::new(),
            packets: Packets::default(),
            misdirected: Cell::new(),
            over_rate_packets: Cell::new(),
            over_rate_numbers: Cell::new(),
        }
    }
}
