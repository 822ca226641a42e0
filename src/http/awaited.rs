//! An offer that waits for a source on demand: it has woken it, or somebody before it has.
//!
//! Owns for how long it waits, and what it waits for: the first picture that it can be shown, or why there will be none. It has a [`Place`] and
//! the right to join already, so that a source is woken by nobody else, and no more wait than may be on their way in. A
//! waiting offer is a future, and costs no thread. A shell: it waits.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use tokio::time::timeout;

use sluice_media::VideoCodec;

use crate::session::admission::Place;
use crate::session::offer::Offer;
use crate::stream::{Hold, SourceState, Status, Stream};

/// An offer that waits.
pub struct Awaited {
    /// What for.
    pub(super) stream: Arc<Stream>,
    /// Where it will be let in.
    pub(super) place: Place,
    /// Keeps the source running.
    hold: Hold,
    /// What it can be shown.
    takes: Vec<VideoCodec>,
    limit: Duration,
}

/// What became of it.
pub struct Came {
    /// What it waited for.
    pub(super) stream: Arc<Stream>,
    /// Where it is let in.
    pub(super) place: Place,
    /// What the stream does now. It plays, or it failed, or this is what it still does.
    pub(super) status: Status,
    /// The source goes on for as long as this is held.
    pub(super) hold: Hold,
}

impl Awaited {
    /// Whoever holds `stream` has its source woken, unless it runs. The client may have said that it does not wait for so long.
    pub(super) fn new(
        (stream, hold): (&Arc<Stream>, Hold),
        place: Place,
        takes: Vec<VideoCodec>,
        headers: &HeaderMap,
    ) -> Awaited {
        let limit = stream.origin().on_demand.start_timeout;
        let limit = preferred(headers).map_or(limit, |preferred| preferred.min(limit));
        Awaited { stream: stream.clone(), place, hold, takes, limit }
    }

    /// Waits until the stream plays in a codec that the offer takes, nothing more is to be expected of its sources, or it is
    /// over; or until the time is up. Whoever drops this has
    /// waited for long enough.
    pub(super) async fn came(self) -> Came {
        let Awaited { stream, place, hold, takes, limit } = self;
        let mut statuses = stream.statuses();
        let decided = timeout(limit, statuses.wait_for(|_| is_decided(&stream, &takes))).await;
        let status = match decided {
            Ok(Ok(status)) => Some(status.clone()),
            _ => None,
        };
        let status = status.unwrap_or_else(|| stream.status());
        Came { stream, place, status, hold }
    }
}

/// Whether waiting for longer brings nothing: a layer plays that the offer takes, or each of them plays or has failed.
pub(super) fn is_decided(stream: &Stream, takes: &[VideoCodec]) -> bool {
    let of_layers: Vec<Status> = stream.layers().iter().map(|layer| layer.status()).collect();
    let is_shown = |status: &Status| {
        let video = status.playable().map(|formats| formats.video.as_ref().map(|video| video.codec));
        video.is_some_and(|codec| codec.is_none_or(|codec| takes.contains(&codec)))
    };
    let is_done = |status: &Status| status.playable().is_some() || has_failed(status);
    stream.is_over() || of_layers.iter().any(is_shown) || of_layers.iter().all(is_done)
}

/// Whether the source could not be read, and rests before it is tried again.
pub(super) fn has_failed(status: &Status) -> bool {
    matches!(status.state, SourceState::Waiting { .. })
}

/// The codecs of the videos that an offer takes, as far as their names say.
pub(super) fn takes(offer: &Offer) -> Vec<VideoCodec> {
    let offered =
        || offer.sections.iter().filter(|section| !section.disabled).flat_map(|section| &section.payloads);
    let is_offered =
        |codec: &VideoCodec| offered().any(|payload| VideoCodec::of_name(&payload.name) == Some(*codec));
    VideoCodec::ALL.into_iter().filter(is_offered).collect()
}

/// How long the client waits at the most (`Prefer: wait=8`, RFC 7240 §4.3).
fn preferred(headers: &HeaderMap) -> Option<Duration> {
    let said = headers.get_all("prefer").iter().filter_map(|line| line.to_str().ok());
    let each = said.flat_map(|line| line.split(',')).filter_map(|preference| preference.split_once('='));
    let mut waits = each.filter(|(name, _)| name.trim().eq_ignore_ascii_case("wait"));
    let seconds = waits.next()?.1.trim().trim_matches('"').parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_client_says_how_long_it_waits_among_other_preferences() {
        let wait = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("Prefer", HeaderValue::from_static(line));
            }
            preferred(&headers)
        };
        let seconds = |count| Some(Duration::from_secs(count));
        assert_eq!(wait(&["wait=8"]), seconds(8));
        assert_eq!(wait(&["respond-async, Wait = \"10\""]), seconds(10));
        assert_eq!(wait(&["handling=lenient", "wait=0, wait=9"]), seconds(0));
        for none in [&[][..], &["wait"], &["wait=soon"], &["wait=-1"], &["wait=99999999999999999999"]] {
            assert_eq!(wait(none), None, "{none:?}");
        }
    }
}
