//! An offer that waits for a source on demand: it has woken it, or somebody before it has.
//!
//! Owns for how long it waits, and what it waits for: the first picture, or why there will be none. It has a [`Place`] and
//! the right to join already, so that a source is woken by nobody else, and no more wait than may be on their way in. A
//! waiting offer is a future, and costs no thread. A shell: it waits.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use tokio::time::timeout;

use super::layers::{is_heard, is_seen};
use crate::session::admission::Place;
use crate::session::answer::negotiate;
use crate::session::offer::Offer;
use crate::stream::{Formats, Hold, Status, Stream};

/// The layer of a pair whose picture is there waits for so long for what the other one has of sound. Longer holds pictures
/// back where a camera is slow; shorter answers without sound, for which a session begins anew later.
const SOUND_WAIT: Duration = Duration::from_secs(2);

/// An offer that waits.
pub struct Awaited {
    /// What for.
    pub(super) stream: Arc<Stream>,
    /// Where it will be let in.
    pub(super) place: Place,
    /// Keeps the source running.
    hold: Hold,
    /// What is to be answered.
    offer: Offer,
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
        offer: Offer,
        headers: &HeaderMap,
    ) -> Awaited {
        let limit = stream.origin().on_demand.start_timeout;
        let limit = preferred(headers).map_or(limit, |preferred| preferred.min(limit));
        Awaited { stream: stream.clone(), place, hold, offer, limit }
    }

    /// Whether there is nothing to wait for, because `stream` can be answered to `offer` now as well as ever; of one that
    /// is not on demand, as soon as its layers have come or failed once.
    pub(super) fn is_ready(stream: &Stream, offer: &Offer) -> bool {
        is_shown(stream, offer) && is_heard(stream)
    }

    /// Waits until the stream plays something that the offer takes, its sources have failed, or it is over; until nobody new is
    /// let in; or until the time is up. Whoever drops this has waited for long enough.
    pub(super) async fn came(self, closed: impl Future<Output = ()>) -> Came {
        let Awaited { stream, place, hold, offer, limit } = self;
        let mut statuses = stream.statuses();
        // It is told of what each layer does.
        let decided = async {
            let shown = statuses.wait_for(|_| stream.is_over() || is_shown(&stream, &offer)).await;
            drop(shown);
            let heard = statuses.wait_for(|_| stream.is_over() || is_heard(&stream));
            let _ = timeout(SOUND_WAIT, heard).await;
        };
        // Whatever came until then is answered with.
        tokio::select! {
            _ = timeout(limit, decided) => {}
            () = closed => {}
        }
        let status = stream.status();
        Came { stream, place, status, hold }
    }
}

fn is_shown(stream: &Stream, offer: &Offer) -> bool {
    let takes = |formats: &Formats| negotiate(offer, formats, || 0).is_ok();
    is_seen(stream, stream.origin().on_demand.enabled, takes)
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
