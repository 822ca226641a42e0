//! What WHEP refuses, in words: to whom, with which status, and when to try again.
//!
//! Owns the sentences. Where a camera is, is in none of them.

use std::time::Duration;

use axum::http::StatusCode;
use sluice_media::shown;

use super::discreet::discreet;
use super::problem::Problem;
use crate::count::EndReason;
use crate::session::admission::Refusal;
use crate::session::join::JoinError;
use crate::stream::{Layer, SourceState, Status, Stream, WANTED_RETRY};

/// Time to try again when the server is full.
pub(super) const FULL_RETRY: Duration = Duration::from_secs(5);

/// Time to try again when one address joins too fast.
const RATE_RETRY: Duration = Duration::from_secs(1);

/// Time to try again when a source is being connected: a camera takes one or two seconds.
const CONNECTING_RETRY: Duration = Duration::from_secs(1);

impl From<JoinError> for Problem {
    fn from(error: JoinError) -> Problem {
        let status = match &error {
            JoinError::Offer(offer) if offer.is_malformed() => StatusCode::BAD_REQUEST,
            JoinError::Offer(_) | JoinError::Engine(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let problem = Problem::new(status, error.to_string());
        if matches!(error, JoinError::Engine(_)) { problem.counted_as("engine") } else { problem }
    }
}

/// Of a name that no stream has.
pub(super) fn unknown_stream(name: &str) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        format!("there is no stream named {:?}; the start page / lists those there are", shown(name)),
    )
    .counted_as("no_stream")
}

/// Of a session that is over, or never was. A player whose connection was closed asks, to know what to do.
pub(super) fn no_session(reason: Option<EndReason>) -> Problem {
    let gone = |detail: &str, label| Problem::new(StatusCode::NOT_FOUND, detail).counted_as(label);
    match reason {
        Some(reason @ EndReason::CodecChanged) => gone(
            "this session has ended, because its stream sends another codec now, or sound that it had not; POST a new offer to \
             go on",
            reason.label(),
        ),
        Some(reason @ EndReason::Overloaded) => gone(
            "this session has ended, because the server has more to send than it can, and those who came last go without; \
             POST a new offer later",
            reason.label(),
        )
        .retry_after(FULL_RETRY),
        _ => gone("no such session: it has ended, or never was; POST a new offer to begin one", "no_session"),
    }
}

/// Of a stream that nobody can be shown now.
pub(super) fn not_playing(stream: &Stream, status: &Status) -> Problem {
    let without = format!("stream {:?} has no picture yet", stream.name);
    no_picture(stream, status, &without)
}

/// As [`not_playing`], of a player that cannot play the layer that plays, and may play `other`, which is away.
pub(super) fn not_playing_other(stream: &Stream, other: &Layer) -> Problem {
    let without = format!(
        "stream {:?} has no picture yet that this player can play, and its {} layer is away",
        stream.name,
        other.name()
    );
    no_picture(stream, &other.status(), &without)
}

fn no_picture(stream: &Stream, status: &Status, without: &str) -> Problem {
    let (cause, reason, retry_in) = match &status.state {
        SourceState::Waiting { error, cause, retry_in } => {
            let soon = if cause.needs_operator() { *retry_in } else { (*retry_in).min(WANTED_RETRY) };
            (Some(*cause), discreet(error, &stream.source()), soon)
        }
        // While an attempt is made, what is known of the last one.
        _ => {
            let connecting = || "its source is being connected".to_owned();
            let why = status.failure.as_ref().map_or_else(connecting, |why| discreet(why, &stream.source()));
            (status.cause, why, CONNECTING_RETRY)
        }
    };
    let again = if cause.is_some() { "; trying again" } else { "" };
    let detail = format!("{without}: {reason}{again}");
    Problem { reason: Some(Box::new((cause, reason))), ..Problem::new(StatusCode::CONFLICT, detail) }
        .retry_after(retry_in)
}

/// 429 where this client asks for too much, 503 where all do.
pub(super) fn refused(stream: &Stream, refusal: Refusal) -> Problem {
    let why = match refusal {
        refusal if refusal.is_of_stream() => format!("stream {:?} {refusal}", stream.name),
        refusal => refusal.to_string(),
    };
    let status = match refusal.is_of_client() {
        true => StatusCode::TOO_MANY_REQUESTS,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let wait = if refusal.is_of_rate() { RATE_RETRY } else { FULL_RETRY };
    Problem::new(status, why).retry_after(wait).counted_as(refusal.label())
}

/// 503: the server has no room, or is stopping.
pub(super) fn overloaded(why: impl Into<String>) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, why).retry_after(FULL_RETRY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_is_over_says_why_where_its_player_can_act_on_it() {
        for reason in EndReason::ALL {
            let told = no_session(Some(reason));
            let (word, again) = match reason {
                EndReason::CodecChanged => ("codec_changed", None),
                EndReason::Overloaded => ("overloaded", Some(FULL_RETRY)),
                _ => ("no_session", None),
            };
            assert_eq!(
                (told.status, told.word, told.retry_after),
                (StatusCode::NOT_FOUND, Some(word), again)
            );
        }
    }
}
