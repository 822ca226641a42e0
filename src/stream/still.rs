//! The newest keyframe of a stream as a file, made when somebody asks for it.
//!
//! Owns what is asked of us again: one file per keyframe however many ask. Never decodes, never reaches a shard.

use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use bytes::Bytes;

use crate::contain::lock;
use crate::track::{StillError, Train, still};

/// The file made last, so that all who ask between two keyframes share it.
///
/// It holds one keyframe of each stream that was ever asked for, so at most
/// [`MAX_ACCESS_UNIT`](crate::track::MAX_ACCESS_UNIT) bytes a stream.
#[derive(Debug, Default)]
pub struct KeptStill(Mutex<Option<Still>>);

/// A keyframe as a file.
#[derive(Debug, Clone)]
pub struct Still {
    /// Names the keyframe: a track begins at a random timestamp, so no two keyframes of a stream share it,
    /// not even those of two runs of the server.
    pub etag: String,
    /// When it was received.
    pub received: SystemTime,
    /// The file, or why it cannot be one.
    pub file: Result<Bytes, StillError>,
}

impl KeptStill {
    /// The file of the keyframe that `trains` are, made anew unless it is the one made last.
    pub(crate) fn of(&self, trains: &[Arc<Train>], now: Instant, date: SystemTime) -> Option<Still> {
        let first = trains.first()?;
        let etag = format!("\"{:x}-{:x}\"", first.timestamp, first.sequence);
        // Those who ask at the same time wait for the first of them, and then share what it made.
        let mut kept = lock(&self.0);
        if let Some(still) = kept.as_ref().filter(|still| still.etag == etag) {
            return Some(still.clone());
        }
        let received = date.checked_sub(now.saturating_duration_since(first.received)).unwrap_or(date);
        let still = Still { etag, received, file: still(trains) };
        *kept = Some(still.clone());
        Some(still)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::track::TrackSeq;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
    fn one_file_is_made_of_a_keyframe_and_dated_by_its_arrival() {
        let now = Instant::now();
        let train = |sequence, timestamp| {
            Arc::new(Train {
                codec: sluice_media::VideoCodec::H264.into(),
                sequence,
                timestamp,
                keyframe: true,
                starts_frame: true,
                ends_frame: true,
                marker: true,
                received: now,
                captured: now,
                source_time: None,
                redundant: None,
                packets: [[0x65, 0x88]].iter().collect(),
            })
        };
        let (kept, date) = (KeptStill::default(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
        assert!(kept.of(&[], now, date).is_none());
        let later = |seconds| now + Duration::from_secs(seconds);
        let first = kept.of(&[train(TrackSeq(1), 10)], later(7), date).expect("a still");
        assert_eq!(first.received, SystemTime::UNIX_EPOCH + Duration::from_secs(999_993));
        // What went wrong is kept too: it is not tried again for everybody who asks.
        assert!(matches!(first.file, Err(StillError::Sets(_))), "{:?}", first.file);
        let again = kept.of(&[train(TrackSeq(1), 10)], later(9), date).expect("a still");
        assert_eq!((&again.etag, again.received), (&first.etag, first.received));
        for other in [train(TrackSeq(2), 10), train(TrackSeq(1), 11)] {
            assert_ne!(kept.of(&[other], now, date).expect("a still").etag, first.etag);
        }
    }
}
