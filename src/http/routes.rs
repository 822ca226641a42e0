//! The public routes: which handler a path means, and what every answer of WHEP carries.
//!
//! Owns that a handler gets a request that was read and a grant, and that its panic is one answer. What a request means
//! is decided beside it (`whep`, `still`, `streams`, `pages`). A shell: it reads the clock.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: handlers are given the time")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::Router;
use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use sluice_config::{Action, StreamName};

use super::access::{Access, Asked, Grant};
use super::cors::Origins;
use super::counted::Route;
use super::extract::Named;
use super::listen::ClientLimits;
use super::path::{StreamPath, What, encode};
use super::problem::{Problem, wrong_method};
use super::refused::unknown_stream;
use super::request::Head;
use super::streams::StreamList;
use super::whep::{Next, Whep};
use super::{layers, pages, reader, still};
use crate::current::Current;

/// The state of the public routes.
#[derive(Clone)]
pub struct Public {
    /// WHEP.
    pub whep: Arc<Whep>,
    /// What is listed at `/streams.json`.
    pub list: Arc<StreamList>,
    /// Who may do what.
    pub access: Arc<Access>,
    /// Which pages of other sites may ask.
    pub origins: Arc<Current<Origins>>,
    /// Which proxies say truly who asks, and the time for a request's body.
    pub clients: Arc<Current<ClientLimits>>,
}

/// Routes of the public listener: pages and WHEP.
pub fn public(state: Public) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/streams.json", get(streams))
        .route("/static/{file}", get(file))
        .route("/metrics", get(elsewhere))
        .fallback(of_stream)
        .method_not_allowed_fallback(wrong_method)
        .with_state(state)
}

/// What people look for here and is not for everybody.
async fn elsewhere() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "metrics and health are on the admin listener: admin.listen says where, 127.0.0.1:9997 if it is not set",
    )
}

async fn file(Named(file): Named, headers: HeaderMap) -> Response {
    pages::file(&headers, &file)
}

async fn index(State(public): State<Public>, request: HttpRequest) -> Response {
    let head = public.head(&request);
    match public.looks(&head, None).await {
        Err(problem) if problem.status != StatusCode::FORBIDDEN => pages::refused(problem),
        _ => {
            let mut page = pages::index(&head.headers);
            pages::may_go_to(&mut page, public.whep.drain.elsewhere().as_deref());
            page
        }
    }
}

async fn streams(State(public): State<Public>, request: HttpRequest) -> Response {
    public.list(&public.head(&request)).await
}

/// What is below a stream's name, which may have any number of segments.
async fn of_stream(State(public): State<Public>, request: HttpRequest) -> Response {
    let Some(path) = StreamPath::of(request.uri().path()) else {
        let nothing = "nothing is here; the start page / lists the streams";
        return Problem::new(StatusCode::NOT_FOUND, nothing).into_response();
    };
    let route = path.route();
    let mut response = public.stream(path, request).await;
    response.extensions_mut().insert(Route(route));
    response
}

impl Public {
    fn head(&self, request: &HttpRequest) -> Head {
        Head::of(request, &self.clients.get().proxies)
    }

    async fn stream(&self, StreamPath { stream, what }: StreamPath, request: HttpRequest) -> Response {
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        match what {
            What::Endpoint => self.whep(request, &stream, To::Endpoint).await,
            What::Session(id) => self.whep(request, &stream, To::Session(&id)).await,
            What::Layer(id) => self.whep(request, &stream, To::Layer(&id)).await,
            _ if !is_read => Problem::not_allowed("GET, HEAD").into_response(),
            What::ToPage(last) => to_page(&last, &self.head(&request)),
            What::Page(depth) => self.player(&stream, depth, &self.head(&request)).await,
            What::Frame => self.frame(&stream, &self.head(&request)).await,
            What::Reader => reader::answer(&self.head(&request).headers),
            What::List => self.list(&self.head(&request)).await,
        }
    }

    /// Whether whoever sent this may look at a stream, or at any.
    async fn looks(&self, head: &Head, stream: Option<&str>) -> Result<Grant, Problem> {
        self.access.ask(head, Asked { action: Action::Read, stream, looks: true }).await
    }

    /// The same of one stream by its name: what can be none is nobody's to judge.
    async fn looks_at(&self, head: &Head, stream: &str) -> Result<Grant, Problem> {
        named(stream)?;
        self.looks(head, Some(stream)).await
    }

    /// The streams that whoever asks may know of.
    async fn list(&self, head: &Head) -> Response {
        let grant = match self.looks(head, None).await {
            Ok(grant) => grant,
            Err(problem) => return problem.into_response(),
        };
        let registry = &self.whep.registry;
        let streams = registry.streams();
        let names: Vec<&str> = streams.iter().map(|stream| &*stream.name).collect();
        let grant = self.access.listed(head, grant, &names).await;
        self.list.answer(registry, &head.headers, (Instant::now(), SystemTime::now()), &grant)
    }

    /// The page itself explains a missing stream in words, so it is served with 404 then; but not to those who may not
    /// know which there are. Whom a password could help, the browser asks for one.
    async fn player(&self, stream: &str, depth: usize, head: &Head) -> Response {
        let exists = match self.looks_at(head, stream).await {
            Err(problem) if problem.status == StatusCode::NOT_FOUND => false,
            Ok(_) => self.whep.knows(stream),
            Err(problem) if problem.status == StatusCode::FORBIDDEN => true,
            Err(problem) => return pages::refused(problem),
        };
        let mut page = pages::player(&head.headers, exists, depth);
        pages::may_go_to(&mut page, self.whep.drain.elsewhere().as_deref());
        page
    }

    async fn frame(&self, stream: &str, head: &Head) -> Response {
        let answered = self.looks_at(head, stream).await.and_then(|grant| {
            contain(|| {
                let Some(stream) = self.whep.registry.stream(stream) else {
                    let is_known = self.whep.knows(stream);
                    return Err(if is_known { still::unwatched(stream) } else { unknown_stream(stream) });
                };
                still::answer(
                    &stream,
                    layers::asked(head)?,
                    &head.headers,
                    (Instant::now(), SystemTime::now()),
                    &grant,
                )
            })
        });
        let mut response = answered.unwrap_or_else(IntoResponse::into_response);
        self.origins.get().allow_reading(response.headers_mut(), head.headers.get(header::ORIGIN));
        response
    }

    /// An answer of WHEP with what a page of another site, if it is one that asks, may do with it.
    fn with_origin(&self, answered: Result<Response, Problem>, origin: Option<&HeaderValue>) -> Response {
        let mut response = answered.unwrap_or_else(IntoResponse::into_response);
        self.origins.get().allow_session(response.headers_mut(), origin);
        response
    }

    /// Answers a request of WHEP: a preflight by itself, anything else if it is granted and
    /// was read.
    async fn whep(&self, request: HttpRequest, stream: &str, to: To<'_>) -> Response {
        let head = self.head(&request);
        let origin = head.headers.get(header::ORIGIN).cloned();
        // A preflight must work for any name and for everybody: it carries no credentials and tells nothing.
        let answered = match head.method {
            Method::OPTIONS => Ok(StatusCode::OK.into_response()),
            _ => self.granted(head, request, stream, to).await,
        };
        self.with_origin(answered, origin.as_ref())
    }

    async fn granted(
        &self,
        head: Head,
        request: HttpRequest,
        stream: &str,
        to: To<'_>,
    ) -> Result<Response, Problem> {
        named(stream)?;
        let looks = head.method != Method::POST || !matches!(to, To::Endpoint);
        let asked = Asked { action: Action::Read, stream: Some(stream), looks };
        let grant = self.access.ask(&head, asked).await?;
        let request = head.with_body(request, self.clients.get().headers).await?;
        let whep = &self.whep;
        match to {
            To::Session(id) => return contain(|| whep.session(stream, id, &request, &grant)),
            To::Layer(id) => return contain(|| whep.layer(Instant::now(), stream, id, &request, &grant)),
            To::Endpoint => {}
        }
        match contain(|| whep.endpoint(Instant::now(), stream, &request, &grant))? {
            Next::Answer(answer) => Ok(answer),
            Next::Wait(awaited) => {
                let came = awaited.came(whep.drain.begun()).await;
                // A right can end while its holder waits.
                let grant = self.access.ask(&request.head, asked).await?;
                contain(|| whep.came(Instant::now(), came, &request, &grant))
            }
        }
    }
}

/// What of WHEP a request is to.
#[derive(Clone, Copy)]
enum To<'a> {
    Endpoint,
    /// A session, by its id.
    Session(&'a str),
    /// What a session is shown.
    Layer(&'a str),
}

/// Relative, so that a proxy's prefix stays; the name came out of this very path.
fn to_page(last: &str, head: &Head) -> Response {
    let query = head.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    Redirect::temporary(&format!("./{}/{query}", encode(last))).into_response()
}

/// Refuses what no stream can be called.
fn named(stream: &str) -> Result<(), Problem> {
    stream.parse::<StreamName>().map(drop).map_err(|_| unknown_stream(stream))
}

/// A panic on somebody's input is an answer to that request, and nothing more.
fn contain<T>(answer: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
    catch_unwind(AssertUnwindSafe(answer)).unwrap_or_else(|_| {
        tracing::error!("a request panicked; please report what is above this line");
        Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the server failed on this request; its log says where",
        ))
    })
}
