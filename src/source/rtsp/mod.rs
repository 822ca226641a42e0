//! RTSP pull: one task per camera that connects, reads, and connects again for ever. A shell: it waits and
//! retries.
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
//! # What is bounded, and what is not
//!
//! Every step has a deadline, a picture has a limit ([`RtspSettings::max_frame_bytes`]), and at most
//! `MAX_TEARDOWNS` old sessions are being torn down at once. The size of one RTSP message is **not** bounded:
//! retina 0.4.21 has no public limit for headers or `Content-Length` and buffers what arrives. So a hostile
//! camera can make it hold what the line carries until the deadline: for each of DESCRIBE, SETUP and PLAY the
//! rate times its timeout; while playing over TCP the rate times [`RtspSettings::data_timeout`], because media
//! cannot overtake the message; over UDP it can, and the rate times a minute goes by until a keepalive has no
//! answer. The buffer grows as bytes arrive (a `Content-Length` of 2 GB alone costs nothing) and is freed with
//! the attempt. Cameras that are not trusted belong behind a rate limit.

mod failure;
mod formats;
mod h264;
mod session;

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use retina::client::{SessionGroup, TeardownPolicy};
use tokio::sync::watch;
use tracing::{debug, warn};
use url::Url;

use self::failure::Failure;
use self::session::Flow;
use crate::source::backoff::Backoff;
use crate::source::{Sink, SourceState};

/// Media has to flow this long before the waiting times start again at their minimum.
///
/// Shorter, and a camera that plays a moment and breaks is hammered; longer, and one that broke twice in a
/// day comes back late.
const STEADY: Duration = Duration::from_secs(10);

/// How long the next attempt, or the end of the process, waits for the TEARDOWN of the last session.
///
/// Cameras hold few sessions (live555 keeps a forgotten one for 65 s), so it is worth a moment. It is the
/// longest delay of a shutdown, and must stay within the first wait of a second.
const TEARDOWN_WAIT: Duration = Duration::from_secs(1);

/// Sessions of one camera that retina may be tearing down in the background at once.
///
/// retina goes on trying until the session expires, by a timeout which the camera chose (up to 136 years).
/// Beyond this many, attempts end without TEARDOWN. Each costs a task and at times a connection.
const MAX_TEARDOWNS: usize = 4;

/// How media travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// Interleaved with RTSP on its TCP connection (RFC 2326 §10.12).
    #[default]
    Tcp,
    /// RTP over UDP. For a LAN only: nothing is put back in order (a packet that comes late counts as lost),
    /// and the camera gets no receiver reports.
    Udp,
}

/// User and password of a camera, for Basic and Digest.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub username: String,
    /// The password, as it is (not percent-encoded).
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(***)")
    }
}

/// One camera, and how to treat it.
#[derive(Clone)]
pub struct RtspSettings {
    /// Name of the stream, for the log.
    pub stream: String,
    /// `rtsp://host[:port]/path`, without credentials.
    pub url: Url,
    /// User and password, if the camera wants them.
    pub credentials: Option<Credentials>,
    /// How media travels.
    pub transport: Transport,
    /// Time for the TCP connection (with name resolution). DESCRIBE shares it, see
    /// [`RtspSettings::request_timeout`].
    pub connect_timeout: Duration,
    /// Time for SETUP and PLAY, each. retina connects inside DESCRIBE, so that one has
    /// `connect_timeout + request_timeout` for both together.
    pub request_timeout: Duration,
    /// Time without a whole picture (or, in a stream without video, without audio) after which the camera
    /// counts as dead. Must be above the distance of its pictures.
    pub data_timeout: Duration,
    /// Longest wait before the first retry; it doubles from there.
    pub backoff_min: Duration,
    /// Longest wait before any retry.
    pub backoff_max: Duration,
    /// Bytes of one picture at the most. The limit of what one camera makes us hold; raising it costs that
    /// memory per camera at worst, a value below the camera's keyframes makes it unusable.
    pub max_frame_bytes: usize,
}

impl RtspSettings {
    /// The stream `stream` from `url`, with the defaults.
    pub fn new(stream: impl Into<String>, url: Url) -> RtspSettings {
        RtspSettings {
            stream: stream.into(),
            url,
            credentials: None,
            transport: Transport::Tcp,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            data_timeout: Duration::from_secs(10),
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(30),
            max_frame_bytes: 4 << 20,
        }
    }

    /// Host and port, the only part of the URL that may be shown: passwords also hide in paths and queries.
    fn address(&self) -> String {
        let port = self.url.port().unwrap_or(554);
        format!("{}:{port}", self.url.host_str().unwrap_or("?"))
    }
}

impl fmt::Debug for RtspSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RtspSettings")
            .field("stream", &self.stream)
            .field("address", &self.address())
            .field("credentials", &self.credentials)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

/// Pulls one camera into `sink` until `shutdown` holds `true` or its sender is gone. Ends within
/// `TEARDOWN_WAIT` of that.
///
/// The sink sees `Connecting`, the beginning of a session, media, then `Waiting` with the reason, and so on. Failures end attempts only; so does a panic in retina, which parses what a camera
/// sends.
pub async fn run(settings: RtspSettings, mut sink: impl Sink, mut shutdown: watch::Receiver<bool>) {
    let group = Arc::new(SessionGroup::default().named(settings.stream.clone()));
    let mut backoff = Backoff::new(settings.backoff_min, settings.backoff_max);
    let mut journal = Journal::default();

    loop {
        sink.state(SourceState::Connecting);
        let mut flow = Flow::default();
        let attempt =
            session::attempt(&settings, &group, teardown_policy(&group), &mut sink, &mut journal, &mut flow);
        let failure = tokio::select! {
            biased;
            () = stopped(&mut shutdown) => break,
            ended = AssertUnwindSafe(attempt).catch_unwind() => ended.unwrap_or(Failure::Panic),
        };

        if flow.duration() >= STEADY {
            backoff.reset();
        }
        let random = rand::random::<f64>();
        let retry_in = if failure.needs_operator() { backoff.longest(random) } else { backoff.next(random) };
        let error = format!("camera {} {failure}", settings.address());
        journal.failed(&settings.stream, failure, &error, retry_in);
        sink.state(SourceState::Waiting { error, retry_in });
        tokio::select! {
            biased;
            () = stopped(&mut shutdown) => break,
            ((), ()) = async { tokio::join!(wait(retry_in), torn_down(&group)) } => {}
        }
    }
    torn_down(&group).await;
    debug!(stream = %settings.stream, "camera let go");
}

async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error says that the sender is gone: nobody could ever stop us, so that is a stop too.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

#[expect(clippy::disallowed_methods, reason = "this shell waits between attempts")]
async fn wait(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Waits until the camera has confirmed the end of sessions that were playing, but not long.
async fn torn_down(group: &SessionGroup) {
    let _ = tokio::time::timeout(TEARDOWN_WAIT, group.await_stale_sessions(&group.stale_sessions())).await;
}

/// `Auto`, as long as few teardowns are under way.
///
/// Each of retina's background tasks holds the group, and nothing else does between two attempts. The group's
/// own count would miss sessions that never got as far as PLAY.
fn teardown_policy(group: &Arc<SessionGroup>) -> TeardownPolicy {
    let under_way = Arc::strong_count(group) - 1;
    if under_way < MAX_TEARDOWNS { TeardownPolicy::Auto } else { TeardownPolicy::Never }
}

/// What was already said about a camera, so that a dead one is one warning and not one every thirty seconds.
#[derive(Default)]
struct Journal {
    last: Option<Failure>,
    failures: u64,
}

impl Journal {
    fn failed(&mut self, stream: &str, failure: Failure, error: &str, retry_in: Duration) {
        self.failures += 1;
        let failures = self.failures;
        if self.last.as_ref().is_some_and(|last| last.same_as(&failure)) {
            debug!(stream, failures, ?retry_in, "{error}");
        } else {
            warn!(stream, failures, ?retry_in, "{error}");
        }
        self.last = Some(failure);
    }

    /// The camera sends media: what it did before is forgotten.
    fn flows(&mut self, stream: &str) {
        let failures = std::mem::take(&mut self.failures);
        self.last = None;
        debug!(stream, failures, "camera sends");
    }
}
