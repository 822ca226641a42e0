//! One attempt on a camera and no second one, for whoever wants to know what it is like.
//!
//! Owns what is told of it besides its media. The attempt itself is the one that [`run`](super::run) makes.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use sluice_config::Transport;
use sluice_media::Kind;

use super::failure::{Failure, Stage};
use super::flow::Flow;
use super::formats::Offer;
use super::session::Session;
use super::{Journal, RtspSettings, SignIn, TEARDOWN_WAIT};
use crate::stream::Sink;
use crate::track::KeyframeRequest;

/// What one attempt found, besides what went into its sink.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Why it ended, if not because it was told to.
    pub failed: Option<Failed>,
    /// How the camera asks who is there.
    pub sign_in: SignIn,
    /// How media comes, once a track is set up.
    pub transport: Option<Transport>,
    /// All that the camera offers, in its order.
    pub offered: Vec<Offered>,
}

/// An attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Why, in words for an operator, without credentials. Reads on behind "camera HOST:PORT ".
    pub words: String,
    /// How far it came.
    pub stage: Stage,
    /// The camera was asked for TCP and sends over UDP only.
    pub wants_udp: bool,
}

/// One thing that a camera offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Pictures or sound; `None` for what is neither.
    pub kind: Option<Kind>,
    /// What it is, such as `audio mpeg4-generic`.
    pub name: String,
    /// Whether it is in a format that can be carried.
    pub fit: bool,
    /// Whether it was set up.
    pub carried: bool,
}

/// Makes one attempt on a camera, until it fails or `stop` is ready, and takes leave of the camera, which takes
/// `farewell` at the most, and never more than a second. Like [`run`](super::run) it neither panics nor prints
/// credentials.
pub async fn once(
    settings: &RtspSettings,
    sink: &mut impl Sink,
    stop: impl Future<Output = ()>,
    farewell: Duration,
) -> Outcome {
    let mut session = Session::new(settings, KeyframeRequest::default());
    let (mut journal, mut flow) = (Journal::default(), Flow::default());
    let attempt = session.attempt(settings, sink, &mut journal, &mut flow);
    let failure = tokio::select! {
        biased;
        () = stop => None,
        ended = AssertUnwindSafe(attempt).catch_unwind() => Some(ended.unwrap_or(Failure::Panic)),
    };
    let dialog = session.dialog();
    let tracks = dialog.tracks();
    let offered = dialog.description().media.iter().map(Offer::from).enumerate().map(|(at, offer)| Offered {
        kind: match offer.media.as_str() {
            "video" => Some(Kind::Video),
            "audio" => Some(Kind::Audio),
            _ => None,
        },
        name: offer.name(),
        fit: offer.is_fit(),
        carried: tracks.iter().any(|track| track.media == at),
    });
    let outcome = Outcome {
        failed: failure.map(|failure| Failed {
            words: session.words(&failure),
            stage: failure.stage(),
            wants_udp: failure.wants_udp(),
        }),
        sign_in: dialog.sign_in(),
        transport: tracks.first().map(|track| match track.port {
            _ if track.group.is_some() => Transport::Multicast,
            Some(_) => Transport::Udp,
            None => Transport::Tcp,
        }),
        offered: offered.collect(),
    };
    session.end(farewell.min(TEARDOWN_WAIT)).await;
    outcome
}
