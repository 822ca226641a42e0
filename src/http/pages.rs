//! The web pages, embedded: the wall of streams, the kiosk and a player. They work without any other server.

use std::borrow::Cow;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use url::Url;

use super::conditional::{etag_of, has_already};
use super::problem::{Challenge, Problem, Saying};

/// The header that keeps pages to this server: no foreign script, style, frame or connection.
pub const CONTENT_SECURITY_POLICY: (header::HeaderName, HeaderValue) = (
    header::CONTENT_SECURITY_POLICY,
    HeaderValue::from_static(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'",
    ),
);

const INDEX: &str = include_str!("pages/index.html");
const PLAYER: &str = include_str!("pages/player.html");

/// Name, content type and text of a file.
pub(super) type File = (&'static str, &'static str, &'static str);

pub(super) const SCRIPT: &str = "text/javascript; charset=utf-8";
pub(super) const STYLE: &str = "text/css; charset=utf-8";

/// What `/static/` serves, by name.
const FILES: &[File] = &[
    ("address.js", SCRIPT, include_str!("pages/address.js")),
    ("cell.js", SCRIPT, include_str!("pages/cell.js")),
    ("copy.js", SCRIPT, include_str!("pages/copy.js")),
    ("details.js", SCRIPT, include_str!("pages/details.js")),
    ("explain.js", SCRIPT, include_str!("pages/explain.js")),
    ("index.js", SCRIPT, include_str!("pages/index.js")),
    ("kiosk.js", SCRIPT, include_str!("pages/kiosk.js")),
    ("layers.js", SCRIPT, include_str!("pages/layers.js")),
    ("natural.js", SCRIPT, include_str!("pages/natural.js")),
    ("neighbours.js", SCRIPT, include_str!("pages/neighbours.js")),
    ("player.js", SCRIPT, include_str!("pages/player.js")),
    ("preview.js", SCRIPT, include_str!("pages/preview.js")),
    ("settings.js", SCRIPT, include_str!("pages/settings.js")),
    ("snapshot.js", SCRIPT, include_str!("pages/snapshot.js")),
    ("stats.js", SCRIPT, include_str!("pages/stats.js")),
    ("stills.js", SCRIPT, include_str!("pages/stills.js")),
    ("streams.js", SCRIPT, include_str!("pages/streams.js")),
    ("tile.js", SCRIPT, include_str!("pages/tile.js")),
    ("token.js", SCRIPT, include_str!("pages/token.js")),
    ("wall.js", SCRIPT, include_str!("pages/wall.js")),
    ("whep.js", SCRIPT, include_str!("pages/whep.js")),
    ("words.js", SCRIPT, include_str!("pages/words.js")),
    ("player.css", STYLE, include_str!("pages/player.css")),
    ("style.css", STYLE, include_str!("pages/style.css")),
    ("wall.css", STYLE, include_str!("pages/wall.css")),
];

/// The start page: the wall or, by its address, the kiosk.
pub fn index(request: &HeaderMap) -> Response {
    page(request, StatusCode::OK, "text/html; charset=utf-8", INDEX)
}

/// The player, `depth` segments below the root; it explains in words when there is no such stream.
pub fn player(request: &HeaderMap, exists: bool, depth: usize) -> Response {
    let status = if exists { StatusCode::OK } else { StatusCode::NOT_FOUND };
    // It is written for one segment.
    let text = match depth {
        1 => Cow::Borrowed(PLAYER),
        _ => PLAYER.replace("\"../", &format!("\"{}", "../".repeat(depth))).into(),
    };
    page(request, status, "text/html; charset=utf-8", text)
}

/// Lets a page connect to where its server may send it, too; its policy allows no other place.
pub fn may_go_to(page: &mut Response, site: Option<&str>) {
    let origin = site.and_then(|site| Url::parse(site).ok()).map(|url| url.origin().ascii_serialization());
    let Some(origin) = origin else { return };
    let (name, policy) = CONTENT_SECURITY_POLICY;
    let policy = policy.to_str().unwrap_or_default();
    let wider = policy.replace("connect-src 'self'", &format!("connect-src 'self' {origin}"));
    if let Ok(wider) = HeaderValue::try_from(wider) {
        page.headers_mut().insert(name, wider);
    }
}

/// What a page is where the browser has to ask for a name and a password first, or to wait: the same refusal as a
/// text for people. Without a script, which would have the browser ask again and again.
pub(super) fn refused(problem: Problem) -> Response {
    let mut response = problem.clone().into_response();
    dress(&mut response, &problem);
    response
}

/// Has refusals on the way to a browser's window say what they say as a page; what programs and scripts ask for stays as it is.
pub(super) async fn for_people(request: Request, next: Next) -> Response {
    let looks = matches!(*request.method(), Method::GET | Method::HEAD) && asks_for_html(request.headers());
    let mut response = next.run(request).await;
    let said = response.extensions_mut().remove::<Saying>();
    if let Some(Saying(problem)) = said.filter(|_| looks) {
        dress(&mut response, &problem);
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    }
    response
}

/// Whether it is a page that is asked for, as browsers do for their window.
pub(super) fn asks_for_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|value| value.split(','))
        .any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/html")))
}

/// Makes a page of what was refused.
fn dress(response: &mut Response, problem: &Problem) {
    let title = problem.status.canonical_reason().unwrap_or("Refused");
    let detail = html(&problem.detail);
    let detail = detail.chars().take(1).flat_map(char::to_uppercase).chain(detail.chars().skip(1));
    let detail = detail.collect::<String>();
    let next = match (problem.challenge, problem.retry_after) {
        (Some(Challenge::Basic), _) => "<p>Load the page again to be asked once more.</p>",
        (_, Some(_)) => "<p>Load the page again in a moment.</p>",
        _ => "",
    };
    let text = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><link rel=\"stylesheet\" href=\"/static/style.css\"><title>{title}</title>\
         <body class=\"refused\"><main><h1>{title}</h1><p>{detail}.</p>{next}</main>"
    );
    *response.body_mut() = text.into();
    let headers = response.headers_mut();
    let (name, value) = CONTENT_SECURITY_POLICY;
    headers.insert(name, value);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // It was that of the other text.
    headers.remove(header::CONTENT_LENGTH);
}

/// A text where HTML is read.
fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A script or style of the pages.
pub fn file(request: &HeaderMap, name: &str) -> Response {
    match FILES.iter().find(|(file, _, _)| *file == name) {
        Some((_, content_type, text)) => page(request, StatusCode::OK, content_type, *text),
        None => Problem::new(StatusCode::NOT_FOUND, "no such file").into_response(),
    }
}

/// An answer with `text`, which changes with the binary alone.
pub(super) fn page(
    request: &HeaderMap,
    status: StatusCode,
    content_type: &'static str,
    text: impl Into<Cow<'static, str>>,
) -> Response {
    let text = text.into();
    let etag = etag_of(text.as_bytes());
    // A status of its own has to be told again.
    let mut response = if status == StatusCode::OK && has_already(request, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        (status, text).into_response()
    };
    let headers = response.headers_mut();
    let (name, value) = CONTENT_SECURITY_POLICY;
    headers.insert(name, value);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::ETAG, etag);
    // Pages change with the binary: a browser must not keep an old script for a new server.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
