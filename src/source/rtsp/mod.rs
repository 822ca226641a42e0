//! RTSP pull: one task per camera that connects, reads, and connects again for ever. A shell: it waits and
//! retries. Where a stream has several cameras to be tried in order, it is one task for all of them (`turns` says whose turn
//! it is).
//!
//! Owns the life of a camera between attempts: state, waiting, warnings, and the end of an attempt that
//! panics. Never gives up, and never prints credentials.
//!
//! ```text
//!            +-------------------------- after Waiting ------------------------+
//!            v                                                                 |
//!  run -> Connecting -> DESCRIBE -> SETUP (used streams only) -> PLAY -> begin, media -> failure
//! ```
//!
//! # What is bounded
//!
//! Every step has a deadline, and everything a camera can make us hold has a limit: the head and the body of a
//! message (`wire::MAX_HEAD`, `wire::MAX_BODY`), a packet (64 KiB by its own format) and what is read with it, the
//! sections of a session description (`sdp::MAX_SECTIONS`), packets held to be put in order (`order::MAX_HELD`), a
//! picture ([`Rtsp::max_frame`]), and what was said, for the log (`transcript::MAX_BYTES`).
//!
//! # What is read by whom
//!
//! RTP headers are read by retina. Its RTSP client and its reader of session descriptions are not used:
//! they end a session at the first thing that is not as it should be, and with cameras something always is.
//! docs/CAMERAS.md lists what is tolerated here.

mod auth;
mod connection;
mod control;
mod dialog;
mod doubt;
mod exchange;
mod failure;
mod flow;
mod formats;
mod keyframe;
mod line;
mod losses;
pub mod memory;
mod message;
mod numbers;
mod oddities;
mod once;
mod order;
mod portions;
mod ports;
mod reader;
mod rhythm;
mod routes;
mod sdp;
mod session;
mod silence;
mod sound;
mod tls;
mod transcript;
mod tunnel;
mod turns;
mod ways;
mod wire;

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use sluice_config::{Rtsp, RtspUrl, Transport};
use tokio::sync::watch;
use tracing::{debug, info, warn};

pub use self::auth::SignIn;
pub use self::failure::Stage;
pub use self::once::{Failed, Offered, Outcome, once};

use self::connection::now;
use self::failure::Failure;
use self::flow::Flow;
use self::memory::{Lines, Record};
use self::session::Session;
use self::turns::{Then, Turns};
use crate::source::backoff::Backoff;
use crate::stream::{Cause, Sink, SourceState, WANTED_RETRY, Wishes};

/// How long the next attempt, or the end of the process, waits for the answer to TEARDOWN.
///
/// Cameras hold few sessions (live555 keeps a forgotten one for 65 s), so it is worth a moment. It is the
/// longest delay of a shutdown, and must stay within the first wait of a second.
const TEARDOWN_WAIT: Duration = Duration::from_secs(1);

/// One camera, and how to treat it.
#[derive(Clone)]
pub struct RtspSettings {
    /// Name of the stream, for the log.
    pub stream: String,
    /// `rtsp://host[:port]/path`, and user and password if the camera wants them.
    pub camera: RtspUrl,
    /// How media travels, how long to wait for what, and how much to take.
    pub rtsp: Rtsp,
}

impl fmt::Debug for RtspSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RtspSettings")
            .field("stream", &self.stream)
            .field("address", &self.camera.address())
            .field("credentials", &self.camera.credentials)
            .field("transport", &self.rtsp.transport)
            .finish_non_exhaustive()
    }
}

/// One of the cameras of a stream.
struct Tried {
    settings: RtspSettings,
    session: Session,
    journal: Journal,
}

/// What is to be known of tries that failed when the same cameras are tried again, however long after.
pub(super) struct Tries {
    /// Of these, treated like that: where anything differs, another try may help.
    cameras: Vec<(RtspUrl, Rtsp)>,
    backoff: Backoff,
    turns: Turns,
    journals: Vec<Journal>,
    pause: Pause,
}

/// The pause behind a failure.
struct Pause {
    since: Instant,
    length: Duration,
    /// Whoever waits for the stream does not shorten it.
    patient: bool,
    error: String,
    cause: Cause,
}

/// Pulls the first camera that works of those that `told` says into `sink` until `stop` is done. Ends within
/// `TEARDOWN_WAIT` of that. Asks the camera for a keyframe when one is wished for, if the camera lets it; where the stream is
/// wanted, the pause between attempts is [`WANTED_RETRY`] at the most. Other settings of the same cameras count from the
/// next attempt on, and end the pause before it. Ends, too, once it is
/// `unwanted`; but a pause after a failure is kept, so that those who come and go do not have a camera asked more often. So is
/// what is in the `record`: it goes on where the last run of the same cameras ended.
///
/// The sink sees `Connecting`, the beginning of a session, media, then `Waiting` with the reason, and so on.
/// Failures end attempts only; so does a panic in what reads a camera.
pub async fn run(
    mut told: watch::Receiver<Vec<RtspSettings>>,
    mut sink: impl Sink,
    wishes: Wishes,
    record: Record,
    stop: impl Future<Output = ()>,
    unwanted: impl Future<Output = ()>,
) {
    let (mut stop, mut unwanted) = (pin!(stop), pin!(unwanted));
    let mut all: Vec<Tried> = Vec::new();
    for settings in told.borrow_and_update().iter() {
        let session = Session::new(settings, wishes.keyframe.clone());
        let lines = record.is_made.then(|| record.memory.lines());
        let journal = Journal { lines, ..Journal::default() };
        all.push(Tried { settings: settings.clone(), session, journal });
    }
    let Some(first) = all.first().map(|first| first.settings.clone()) else { return stop.await };
    let (name, Rtsp { reconnect_min, reconnect_max, .. }) = (first.stream, first.rtsp);
    let mut backoff = Backoff::new(reconnect_min, reconnect_max);
    let mut turns = Turns::new(all.len());
    // Behind the last failure.
    let mut last: Option<Pause> = None;
    let cameras = |all: &[Tried]| -> Vec<(RtspUrl, Rtsp)> {
        all.iter().map(|Tried { settings, .. }| (settings.camera.clone(), settings.rtsp.clone())).collect()
    };
    let tries = record.memory.take_tries(&name, now());
    if let Some(tries) = tries.filter(|tries| record.rests && tries.cameras == cameras(&all)) {
        (backoff, turns, last) = (tries.backoff, tries.turns, Some(tries.pause));
        all.iter_mut().zip(tries.journals).for_each(|(tried, journal)| tried.journal = journal);
    }
    let mut at = turns.now();

    loop {
        if let Some(pause) = &last {
            let retry_in = pause.left(now());
            sink.trying(at);
            sink.state(SourceState::Waiting { error: pause.error.clone(), cause: pause.cause, retry_in });
            let session = &mut all[at].session;
            tokio::select! {
                biased;
                () = &mut stop => break,
                ((), ()) = async {
                    tokio::join!(rest(pause, &wishes, told.clone()), session.end(TEARDOWN_WAIT))
                } => {}
            }
        }
        if told.has_changed().unwrap_or(false) {
            for (tried, settings) in all.iter_mut().zip(told.borrow_and_update().iter()) {
                tried.session.take(&settings.rtsp);
                backoff.limit(settings.rtsp.reconnect_min, settings.rtsp.reconnect_max);
                tried.settings = settings.clone();
            }
        }
        at = turns.now();
        let Tried { settings, session, journal } = &mut all[at];
        let address = settings.camera.address();
        let is_to_be_found = settings.rtsp.transport == Transport::Auto;
        if is_to_be_found && record.memory.is_by_tcp(&address, now()) {
            session.recall(true);
        }
        let mut flow = Flow::default();
        let attempt = async {
            sink.trying(at);
            sink.state(SourceState::Connecting);
            session.attempt(settings, &mut sink, journal, &mut flow).await
        };
        let failure = tokio::select! {
            biased;
            () = &mut stop => None,
            () = &mut unwanted => None,
            ended = AssertUnwindSafe(attempt).catch_unwind() => Some(ended.unwrap_or(Failure::Panic)),
        };
        if is_to_be_found {
            record.memory.note_way(&address, session.is_by_tcp(), now());
        }
        let Some(failure) = failure else {
            // One that was broken off is as good as one that failed as the last did.
            last = last.filter(|_| !flow.is_steady()).map(|pause| Pause { since: now(), ..pause });
            break;
        };

        let then = turns.failed(flow.is_steady(), failure.needs_operator());
        let length = pause(&mut backoff, flow.is_steady(), then, rand::random());
        let error = format!("camera {address} {}", session.words(&failure));
        if tracing::enabled!(tracing::Level::DEBUG) {
            debug!(stream = %settings.stream, "what was said (> by us, < by the camera):\n{}", session.transcript());
        }
        if matches!(failure, Failure::Panic) {
            // Its state is not to be trusted.
            *session = Session::new(settings, wishes.keyframe.clone());
        }
        let cause = failure.cause();
        let hopeless = matches!(then, Then::Pause { hopeless: true });
        let patient = hopeless || then != Then::Next && cause.needs_operator();
        // Who watches waits for it as whoever asks does.
        let is_awaited = !patient && sink.is_watched();
        let length = if is_awaited { length.min(WANTED_RETRY) } else { length };
        journal.failed(&settings.stream, failure, &error, length, now());
        last = Some(Pause { since: now(), length, patient, error, cause });
    }
    let Tried { settings, session, .. } = &mut all[at];
    session.end(TEARDOWN_WAIT).await;
    debug!(stream = %settings.stream, "camera let go");
    if let Some(pause) = last.filter(|_| record.rests) {
        let cameras = cameras(&all);
        let journals = all.into_iter().map(|tried| tried.journal).collect();
        record.memory.keep_tries(&name, Tries { cameras, backoff, turns, journals, pause }, now());
    }
}

impl Pause {
    /// How much of it is left.
    fn left(&self, now: Instant) -> Duration {
        (self.since + self.length).saturating_duration_since(now)
    }
}

/// How long to wait after an attempt that worked for a while, or was not `steady`.
fn pause(backoff: &mut Backoff, steady: bool, then: Then, random: f64) -> Duration {
    // One that worked for a while is worth a prompt try. One that brought a picture and broke is not: it may do so
    // for ever.
    if steady {
        backoff.reset();
    }
    match then {
        Then::Next => Duration::ZERO,
        Then::Pause { hopeless: true } => backoff.longest(random),
        Then::Pause { hopeless: false } => backoff.next(random),
    }
}

/// Waits for the next attempt, less long if somebody wants the stream, or it is `told` of settings that may help.
async fn rest(pause: &Pause, wishes: &Wishes, mut told: watch::Receiver<Vec<RtspSettings>>) {
    let wanted = async {
        wait((pause.since + WANTED_RETRY).saturating_duration_since(now())).await;
        wishes.wanted().await;
    };
    tokio::select! {
        () = wait(pause.left(now())) => {}
        () = wanted, if !pause.patient && pause.length > WANTED_RETRY => {}
        // An error says that nothing will be told any more.
        Ok(()) = told.changed() => {}
    }
}

#[expect(clippy::disallowed_methods, reason = "this shell waits between attempts")]
async fn wait(time: Duration) {
    tokio::time::sleep(time).await;
}

/// What was already said about a camera, so that a dead one is one warning and not one every thirty seconds.
#[derive(Default)]
struct Journal {
    last: Option<Failure>,
    failures: u64,
    /// What bounds the lines, where anybody's asking makes cameras of names.
    lines: Option<Arc<Lines>>,
}

impl Journal {
    fn failed(&mut self, stream: &str, failure: Failure, error: &str, retry_in: Duration, now: Instant) {
        self.failures += 1;
        let failures = self.failures;
        if self.is_news(&failure) && self.is_due(now) {
            warn!(stream, failures, ?retry_in, "{error}");
        } else {
            debug!(stream, failures, ?retry_in, "{error}");
        }
        self.last = Some(failure);
    }

    /// The other way of media is tried at once.
    fn turned(&self, stream: &str, failure: &Failure) {
        let why = match failure.is_loss() {
            true => "too much is lost by the way of media that was taken",
            false => "no media by the way that was tried",
        };
        if self.is_due(now()) {
            info!(stream, "{why} ({failure}); trying the other");
        } else {
            debug!(stream, "{why} ({failure}); trying the other");
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.lines.as_ref().is_none_or(|lines| lines.is_due(now))
    }

    fn is_news(&self, failure: &Failure) -> bool {
        !self.last.as_ref().is_some_and(|last| last.same_as(failure))
    }

    /// The camera has sent media for a while: what it did before is forgotten.
    fn flows(&mut self, stream: &str) {
        let failures = std::mem::take(&mut self.failures);
        self.last = None;
        debug!(stream, failures, "camera sends");
    }
}

#[cfg(test)]
#[path = "retry_tests.rs"]
mod tests;
