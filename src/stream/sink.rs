//! Where a source puts what it reads.

use std::time::Instant;

use bytes::Bytes;
use sluice_media::{AccessUnit, AudioFrame, Kind, SourceReport};

use super::{Formats, SourceState};

/// Where a source puts what it reads: its stream. No method blocks.
///
/// An attempt of a source is `state(Connecting)`, [`begin`](Self::begin) when a session is established, its media,
/// and `state(Waiting)` when it ends. Whether it plays is for the sink to say: only there is known whether a
/// viewer could show what came.
pub trait Sink: Send {
    /// Of several sources that are tried in order, that one has its turn; counted from 0.
    fn trying(&mut self, _source: usize) {}
    /// The source is being connected, or waits for its next attempt.
    fn state(&mut self, state: SourceState);
    /// A session begins that brings `formats`; `parameter_sets` are the SPS and PPS of its description, each as a
    /// NAL unit. Timelines are anchored anew. Of a video source only what the description itself tells is asked
    /// for: profile and size are read from the parameter sets here.
    fn begin(&mut self, formats: Formats, parameter_sets: &[Bytes]);
    /// One picture.
    fn video(&mut self, unit: AccessUnit);
    /// One audio packet. With video it is dropped until that plays.
    fn audio(&mut self, frame: AudioFrame);
    /// What the source says of the clock of its track of `kind`.
    fn reported(&mut self, kind: Kind, report: SourceReport);
    /// `packets` RTP packets of this source were lost before they reached us.
    fn lost(&mut self, packets: u64);
    /// Sentences about the session that were found out since it began, in place of those told before.
    fn remark(&mut self, notes: &[String]);
    /// A keyframe is left out, because packets of it are missing.
    fn damaged_keyframe(&mut self, received: Instant);
    /// The source began anew within its session: another SSRC, or packet numbers that have nothing to do with those
    /// before.
    fn restarted(&mut self);
    /// Another way of media is taken than the one that was tried, which brought none or lost too much.
    fn turned(&mut self) {}
    /// Whether somebody sees what comes as it comes.
    fn is_watched(&self) -> bool;
}

/// Lent, so that a stream's end of its source outlives a run of it that failed.
impl<S: Sink> Sink for &mut S {
    fn trying(&mut self, source: usize) {
        S::trying(self, source);
    }

    fn state(&mut self, state: SourceState) {
        S::state(self, state);
    }

    fn begin(&mut self, formats: Formats, parameter_sets: &[Bytes]) {
        S::begin(self, formats, parameter_sets);
    }

    fn video(&mut self, unit: AccessUnit) {
        S::video(self, unit);
    }

    fn audio(&mut self, frame: AudioFrame) {
        S::audio(self, frame);
    }

    fn reported(&mut self, kind: Kind, report: SourceReport) {
        S::reported(self, kind, report);
    }

    fn lost(&mut self, packets: u64) {
        S::lost(self, packets);
    }

    fn remark(&mut self, notes: &[String]) {
        S::remark(self, notes);
    }

    fn damaged_keyframe(&mut self, received: Instant) {
        S::damaged_keyframe(self, received);
    }

    fn restarted(&mut self) {
        S::restarted(self);
    }

    fn turned(&mut self) {
        S::turned(self);
    }

    fn is_watched(&self) -> bool {
        S::is_watched(self)
    }
}
