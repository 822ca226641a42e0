//! Whether another SSRC takes the place of a track's sender, or is somebody who sends beside it.
//!
//! Owns the packets of the one who may, until that is clear. Never looks into a payload.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Raw;

/// A sender that was silent for so long has ended where another one sends. Raising it delays the picture behind a
/// camera's first change of SSRC; lowering it lets two that send by turns take each other's place.
pub(super) const ENDED: Duration = Duration::from_millis(300);

/// Packets and bytes kept of one that may take the sender's place, until that is clear. Less loses the first keyframe
/// behind a change of SSRC; more is memory per camera.
const MOST: (usize, usize) = (1_024, 1 << 20);

/// Who sends, and who may be next.
#[derive(Debug, Default)]
pub(super) struct Claim {
    /// The SSRC that the camera announced.
    announced: Option<u32>,
    /// When the sender's last packet came; `None` once it has ended.
    heard: Option<Instant>,
    /// The packets of one who may take its place.
    held: Vec<Raw>,
    bytes: usize,
    /// The sender before this one, and since when it is not any more.
    before: Option<(u32, Instant)>,
    /// A sender came back whose place was taken: two send by turns.
    shared: bool,
    foreign: u64,
}

impl Claim {
    /// `announced` is the SSRC that SETUP named: it is often wrong, and so decides only between two that send.
    pub(super) fn new(announced: Option<u32>) -> Claim {
        Claim { announced, ..Claim::default() }
    }

    /// Packets that somebody else sent while the sender went on.
    pub(super) fn foreign(&self) -> u64 {
        self.foreign
    }

    /// The sender goes on: who else sent meanwhile is a stranger.
    pub(super) fn refuse(&mut self, now: Instant) {
        self.heard = Some(now);
        self.clear();
    }

    /// The sender has ended: whoever sends next takes its place.
    pub(super) fn let_go(&mut self) {
        self.heard = None;
    }

    /// When [`Claim::is_due`] turns true by time alone.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.heard.filter(|_| !self.held.is_empty()).map(|heard| heard + ENDED)
    }

    /// Whether the sender was silent for so long that the one whose packets are held takes its place.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }

    /// Takes a packet that is not of `sender`. Returns whether the place is taken, and then [`Claim::take`] has what to
    /// begin with.
    pub(super) fn push(&mut self, mut raw: Raw, sender: Option<u32>) -> bool {
        let (ssrc, received) = (raw.header.ssrc(), raw.received);
        if self.held.first().is_some_and(|first| first.header.ssrc() != ssrc) {
            self.clear();
        }
        self.shared |= self.before.is_some_and(|(before, _)| before == ssrc);
        let named = |ssrc| self.announced == Some(ssrc);
        let preferred = named(ssrc) && !sender.is_some_and(named);
        // A camera that changed before, and for good, does so again: some with each group of pictures.
        let lasted = |since: Instant| received.saturating_duration_since(since) >= ENDED;
        let changes = self.before.is_some_and(|(_, since)| lasted(since)) && !self.shared;
        // What is read with it must not be held with it.
        raw.payload = Bytes::copy_from_slice(&raw.payload);
        self.bytes += raw.payload.len();
        self.held.push(raw);
        let full = self.held.len() >= MOST.0 || self.bytes >= MOST.1;
        self.heard.is_none() || preferred || changes || full || self.is_due(received)
    }

    /// The packets of the new sender, who takes the place of `sender`.
    pub(super) fn take(&mut self, sender: Option<u32>) -> Vec<Raw> {
        self.heard = self.held.last().map(|raw| raw.received);
        self.before = sender.zip(self.heard);
        self.bytes = 0;
        std::mem::take(&mut self.held)
    }

    fn clear(&mut self) {
        self.foreign += self.held.len() as u64;
        self.held.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
impl Claim {
    /// Whether what is held is within its bounds, and how many packets that is.
    pub(super) fn held(&self) -> (bool, usize) {
        (self.held.len() < MOST.0 && self.bytes < MOST.1, self.held.len())
    }
}
