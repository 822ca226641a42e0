//! `/{stream}/frame.mp4`: the newest keyframe of a stream as a file, made when somebody asks for it.
//!
//! Owns what is asked of us again: one file per keyframe however many ask, and none for those who have it
//! already. Never decodes, never reaches a shard.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::conditional::has_already;
use super::problem::Problem;
use super::registry::Stream;
use crate::contain::lock;
use crate::track::{StillError, Train, still};

/// Time to ask again when there is no picture yet: most cameras send a keyframe every second or two.
const NOT_YET_RETRY: Duration = Duration::from_secs(1);

/// The file made last, so that all who ask between two keyframes share it.
///
/// It holds one keyframe of each stream that was ever asked for, so at most
/// [`MAX_ACCESS_UNIT`](crate::track::MAX_ACCESS_UNIT) bytes a stream.
#[derive(Debug, Default)]
pub struct KeptStill(Mutex<Option<Still>>);

/// A keyframe as a file.
#[derive(Debug, Clone)]
struct Still {
    /// Names the keyframe: a track begins at a random timestamp, so no two keyframes of a stream share it,
    /// not even those of two runs of the server.
    etag: HeaderValue,
    /// When it was received.
    last_modified: HeaderValue,
    file: Result<Bytes, StillError>,
}

impl KeptStill {
    /// The file of the keyframe that `trains` are, made anew unless it is the one made last.
    fn of(&self, trains: &[Arc<Train>], now: Instant, date: SystemTime) -> Option<Still> {
        let first = trains.first()?;
        let etag = format!("\"{:x}-{:x}\"", first.timestamp, first.sequence);
        // Those who ask at the same time wait for the first of them, and then share what it made.
        let mut kept = lock(&self.0);
        if let Some(still) = kept.as_ref().filter(|still| still.etag.as_bytes() == etag.as_bytes()) {
            return Some(still.clone());
        }
        let received = date.checked_sub(now.saturating_duration_since(first.received)).unwrap_or(date);
        let still = Still {
            // Hexadecimal digits, and what HTTP makes of a date, can be sent.
            etag: HeaderValue::from_str(&etag).ok()?,
            last_modified: HeaderValue::from_str(&httpdate::fmt_http_date(received)).ok()?,
            file: still(trains),
        };
        *kept = Some(still.clone());
        Some(still)
    }
}

/// The answer to a GET or HEAD with `headers`; `now` and `date` are the same moment.
pub fn answer(
    stream: &Stream,
    headers: &HeaderMap,
    now: Instant,
    date: SystemTime,
) -> Result<Response, Problem> {
    let still = stream.still.of(&stream.newest_keyframe(), now, date).ok_or_else(|| not_yet(stream))?;
    let mut response = if has_already(headers, &still.etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let file = still.file.map_err(|error| unusable(stream, &error))?;
        ([(header::CONTENT_TYPE, "video/mp4")], file).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, still.etag);
    headers.insert(header::LAST_MODIFIED, still.last_modified);
    // It may be kept, but the next keyframe is there in a second: ask whether it is.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

fn not_yet(stream: &Stream) -> Problem {
    let name = &stream.name;
    let detail = match stream.status().formats {
        Some(formats) if formats.video.is_none() => {
            format!("stream {name:?} has no video that can be forwarded: /streams.json says what it has")
        }
        _ => format!(
            "stream {name:?} has had no keyframe yet: its camera is not connected, or has not sent one; \
             ask again in a moment"
        ),
    };
    Problem::new(StatusCode::CONFLICT, detail).retry_after(NOT_YET_RETRY)
}

fn unusable(stream: &Stream, error: &StillError) -> Problem {
    let name = &stream.name;
    let detail = format!("the newest keyframe of stream {name:?} cannot be a file: {error}");
    Problem::new(StatusCode::CONFLICT, detail).retry_after(NOT_YET_RETRY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
    fn one_file_is_made_of_a_keyframe_and_dated_by_its_arrival() {
        let now = Instant::now();
        let train = |sequence, timestamp| {
            Arc::new(Train {
                codec: crate::track::Codec::H264,
                sequence,
                timestamp,
                keyframe: true,
                starts_frame: true,
                ends_frame: true,
                marker: true,
                received: now,
                captured: now,
                packets: [[0x65, 0x88]].iter().collect(),
            })
        };
        let (kept, date) = (KeptStill::default(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
        assert!(kept.of(&[], now, date).is_none());
        let later = |seconds| now + Duration::from_secs(seconds);
        let first = kept.of(&[train(1, 10)], later(7), date).expect("a still");
        assert_eq!(first.last_modified, "Mon, 12 Jan 1970 13:46:33 GMT");
        // What went wrong is kept too: it is not tried again for everybody who asks.
        assert!(matches!(first.file, Err(StillError::Sets(_))), "{:?}", first.file);
        let again = kept.of(&[train(1, 10)], later(9), date).expect("a still");
        assert_eq!((&again.etag, &again.last_modified), (&first.etag, &first.last_modified));
        for other in [train(2, 10), train(1, 11)] {
            assert_ne!(kept.of(&[other], now, date).expect("a still").etag, first.etag);
        }
    }
}
