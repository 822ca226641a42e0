//! One HTTP/2 connection, bounded as one of HTTP/1.1 is: by place, by deadline and by age.
//!
//! Owns what HTTP/2 lets a client do that HTTP/1.1 does not: ask many things at once (each takes a place, as a connection
//! does), ask and take back, ask and not read while the line itself flows, and say nothing on a connection that is
//! kept. A shell: it reads the clock.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it waits and reads the clock")]

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use super::connection::{AGE_MAX, Place, Places, SLOWEST, stopped};
use super::problem::Problem;
use super::request::Ends;
use crate::client::{Client, Share};
use crate::contain::lock;
use crate::count::requests::Requests;
use crate::tasks::named;

/// Exchanges of one connection at once, those that wait for a place among them. A page has about as many parts. More lets
/// one client have more waiting, at [`HEADERS`] each; fewer has pages load in turns.
const STREAMS: u32 = 16;

/// Bytes of one request's headers, uncompressed and as RFC 9113 §6.5.2 counts them. Fewer refuse long tokens.
const HEADERS: u32 = 16 * 1024;

/// Bytes of bodies that a client may send ahead of our reading, on one stream and on the connection: an offer.
const WINDOW: u32 = 64 * 1024;

/// Bytes of an answer that are handed over at once, so that no more than two of these are out of sight.
const CHUNK: usize = 4 * 1024;

/// Answers of one connection that its client took back before it had read them. A page that is left takes back as many
/// as it had asked for; more costs us the work of a flood (CVE-2023-44487).
const TAKEN_BACK: u32 = 100;

/// Exchanges that were taken back before we saw them.
const TAKEN_BACK_UNSEEN: usize = 16;

/// What a client of HTTP/2 may do on one connection.
pub(super) struct Bounds {
    /// Time for a request's headers, for an idle connection, and for an answer that is not read at all.
    pub(super) patience: Duration,
    /// Where a second request at once gets a place.
    pub(super) places: Arc<Places>,
    /// Whose share that place is.
    pub(super) client: Option<(Client, Share)>,
    /// Counts what is refused.
    pub(super) requests: Arc<Requests>,
}

/// Serves one connection, which holds a place already, until it ends.
pub(super) async fn serve<S>(
    stream: S,
    router: Router,
    ends: Ends,
    bounds: Bounds,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let patience = bounds.patience;
    let exchanges = Arc::new(Exchanges::new(bounds));
    let service = service_fn({
        let exchanges = exchanges.clone();
        move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(ends);
            name_host(&mut request);
            let (router, exchanges) = (router.clone(), exchanges.clone());
            async move { Ok::<_, Infallible>(exchanges.answer(router, request).await) }
        }
    });
    let mut builder = Builder::new(Streams);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADERS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buf_size(2 * CHUNK)
        .max_pending_accept_reset_streams(TAKEN_BACK_UNSEEN)
        .max_local_error_reset_streams(TAKEN_BACK as usize);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let age = tokio::time::sleep(AGE_MAX);
    tokio::pin!(age);
    // Once it is told to leave, it may still read the last that it was sent.
    let mut leaves = false;
    let (mut is_old, mut is_stopped) = (false, false);
    loop {
        let rest = if leaves { patience + last_read() } else { patience };
        let look = exchanges.next_look(Instant::now(), rest);
        tokio::select! {
            _ = connection.as_mut() => return,
            () = exchanges.flooded.notified() => return,
            () = stopped(&mut stop), if !is_stopped => is_stopped = true,
            () = age.as_mut(), if !is_old => is_old = true,
            () = tokio::time::sleep_until(look.into()) => match exchanges.judge(Instant::now(), rest) {
                Verdict::Works => continue,
                Verdict::Rests if !leaves => {}
                Verdict::Rests | Verdict::Unread => return,
            },
        }
        leaves = true;
        connection.as_mut().graceful_shutdown();
    }
}

/// Where hyper has the streams of a connection run.
#[derive(Clone)]
struct Streams;

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: F) {
        tokio::spawn(named("http stream", stream));
    }
}

/// Gives a request the header that says in HTTP/1.1 whom it is for (RFC 9113 §8.3.1).
fn name_host(request: &mut hyper::Request<Incoming>) {
    let named = request.uri().authority().and_then(|name| HeaderValue::try_from(name.as_str()).ok());
    if let Some(named) = named {
        request.headers_mut().entry(header::HOST).or_insert(named);
    }
}

/// Time to read what may be out of our sight.
fn last_read() -> Duration {
    Duration::from_millis(2 * CHUNK as u64 * 1_000 / SLOWEST)
}

/// What a connection does.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Works,
    /// Nothing, for as long as it may.
    Rests,
    /// An answer of it has waited too long to be read.
    Unread,
}

/// The requests of one connection.
struct Exchanges {
    bounds: Bounds,
    /// The connection's own place.
    own: Arc<Semaphore>,
    /// One of them waits for a place, the others for it: it is one connection.
    first_in_line: tokio::sync::Mutex<()>,
    now: Mutex<Now>,
    flooded: Notify,
}

/// Those that are under way.
struct Now {
    answers: HashMap<u64, Answer>,
    count: u64,
    rests_since: Instant,
    taken_back: u32,
}

/// What is known of an answer: since when something of it waits to be read, and how much was read since.
#[derive(Debug, Default)]
struct Answer {
    since: Option<Instant>,
    read: u64,
}

impl Answer {
    fn deadline(&self, patience: Duration) -> Option<Instant> {
        self.since.map(|since| since + patience + Duration::from_millis(self.read * 1_000 / SLOWEST))
    }
}

/// The right to be answered.
struct Turn {
    _own: Option<OwnedSemaphorePermit>,
    _place: Option<Place>,
}

impl Exchanges {
    fn new(bounds: Bounds) -> Exchanges {
        let now = Now { answers: HashMap::new(), count: 0, rests_since: Instant::now(), taken_back: 0 };
        Exchanges {
            bounds,
            own: Arc::new(Semaphore::new(1)),
            first_in_line: tokio::sync::Mutex::default(),
            now: Mutex::new(now),
            flooded: Notify::new(),
        }
    }

    async fn answer(self: &Arc<Self>, router: Router, request: hyper::Request<Incoming>) -> Response {
        let mut under_way = UnderWay::new(self.clone());
        let response = match tokio::time::timeout(2 * self.bounds.patience, self.turn()).await {
            Ok(turn) => {
                under_way.turn = Some(turn);
                match tower::ServiceExt::oneshot(router, request.map(Body::new)).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                }
            }
            Err(_) => {
                self.bounds.requests.refused("connections");
                Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "this address has its share of requests at once (http.connections, limits.share_per_address)",
            )
            .retry_after(Duration::from_secs(5))
            .into_response()
            }
        };
        under_way.waits_to_be_read();
        under_way.is_whole = response.body().is_end_stream();
        response.map(|body| Body::new(Handed { body, rest: Bytes::new(), under_way }))
    }

    /// The connection's own place, or another one.
    async fn turn(&self) -> Turn {
        let _first = self.first_in_line.lock().await;
        tokio::select! {
            biased;
            own = self.own.clone().acquire_owned() => Turn { _own: own.ok(), _place: None },
            place = self.bounds.places.wait_for(self.bounds.client) => Turn { _own: None, _place: Some(place) },
        }
    }

    /// When to judge next: nothing can be too late before.
    fn next_look(&self, at: Instant, rest: Duration) -> Instant {
        let now = lock(&self.now);
        if now.answers.is_empty() {
            return now.rests_since + rest;
        }
        let deadlines = now.answers.values().filter_map(|answer| answer.deadline(self.bounds.patience));
        deadlines.min().unwrap_or(at + self.bounds.patience)
    }

    fn judge(&self, at: Instant, rest: Duration) -> Verdict {
        let now = lock(&self.now);
        let mut deadlines = now.answers.values().filter_map(|answer| answer.deadline(self.bounds.patience));
        if deadlines.any(|deadline| deadline <= at) {
            return Verdict::Unread;
        }
        let rests = now.answers.is_empty() && now.rests_since + rest <= at;
        if rests { Verdict::Rests } else { Verdict::Works }
    }
}

/// A request until its answer is handed over whole, or taken back.
struct UnderWay {
    exchanges: Arc<Exchanges>,
    number: u64,
    is_whole: bool,
    turn: Option<Turn>,
}

impl UnderWay {
    fn new(exchanges: Arc<Exchanges>) -> UnderWay {
        let number = {
            let mut now = lock(&exchanges.now);
            now.count += 1;
            let number = now.count;
            now.answers.insert(number, Answer::default());
            number
        };
        UnderWay { exchanges, number, is_whole: false, turn: None }
    }

    fn with(&self, change: impl FnOnce(&mut Answer)) {
        if let Some(answer) = lock(&self.exchanges.now).answers.get_mut(&self.number) {
            change(answer);
        }
    }

    /// Something is there for the client.
    fn waits_to_be_read(&self) {
        self.with(|answer| _ = answer.since.get_or_insert_with(Instant::now));
    }

    /// The client has room for more, after it was given so many bytes.
    fn was_read(&self, bytes: usize) {
        self.with(|answer| answer.read += bytes as u64);
    }

    /// The client has all that there is so far.
    fn has_all(&self) {
        self.with(|answer| *answer = Answer::default());
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut now = lock(&self.exchanges.now);
        now.answers.remove(&self.number);
        if now.answers.is_empty() {
            now.rests_since = Instant::now();
        }
        if !self.is_whole {
            now.taken_back += 1;
            if now.taken_back > TAKEN_BACK {
                self.exchanges.flooded.notify_one();
            }
        }
    }
}

/// The body of an answer, in pieces, each of which is asked for when the one before has gone.
struct Handed {
    body: Body,
    rest: Bytes,
    under_way: UnderWay,
}

impl HttpBody for Handed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let polled = Pin::new(&mut self.body).poll_frame(cx);
            if polled.is_pending() {
                self.under_way.has_all();
            }
            match ready!(polled) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                ended => {
                    self.under_way.is_whole = ended.is_none();
                    return Poll::Ready(ended);
                }
            }
        }
        let length = self.rest.len().min(CHUNK);
        let chunk = self.rest.split_to(length);
        self.under_way.waits_to_be_read();
        self.under_way.was_read(length);
        self.under_way.is_whole = self.is_end_stream();
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(rest + body.lower());
        if let Some(upper) = body.upper() {
            hint.set_upper(rest + upper);
        }
        hint
    }
}
