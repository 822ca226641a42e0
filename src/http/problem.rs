//! Refusals over HTTP: one status, one sentence on what is wrong and what to do.
//!
//! Bodies are `application/problem+json` (RFC 9457) with an extra `error` member, which is what
//! players written for other servers read.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use serde::Serialize;
use sluice_config::Mistake;
use utoipa::ToSchema;

use crate::count::requests::FAILED;
use crate::stream::Cause;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// What is wrong and what to do about it, for a person.
    pub detail: String,
    /// When to try again (RFC 9110 §10.2.3).
    pub retry_after: Option<Duration>,
    /// The methods that this URL takes, where another was used (RFC 9110 §15.5.6).
    pub allow: Option<&'static str>,
    /// Why a stream has no picture, without what `detail` says around it: a word, if its source is away, and a
    /// sentence.
    pub reason: Option<Box<(Option<Cause>, String)>>,
    /// The word that it is counted by, where its status does not say enough.
    pub word: Option<&'static str>,
    /// What could be sent to prove who asks (RFC 9110 §11.6.1).
    pub challenge: Option<Challenge>,
    /// What is wrong with a configuration, one by one.
    pub mistakes: Vec<Mistake>,
}

/// What a path answers that does not take the method; its `Allow` says which it does.
pub(super) async fn wrong_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path does not take that method: Allow lists those that it does",
    )
}

/// What could be sent to prove who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// A name and a password, for which a browser asks whoever looks (RFC 7617).
    Basic,
    /// A token, to a script that has sent none (RFC 6750 §3.1): for this a browser asks nobody.
    Script,
    /// Another token (RFC 6750 §3). A browser would show its own window over a page that has one.
    Bearer,
}

impl Challenge {
    /// As the header has it.
    fn as_str(self) -> &'static str {
        match self {
            Challenge::Basic => "Basic realm=\"sluice\", charset=\"UTF-8\"",
            Challenge::Script => "Bearer realm=\"sluice\"",
            Challenge::Bearer => "Bearer realm=\"sluice\", error=\"invalid_token\"",
        }
    }
}

/// The word that a refusal is counted by, on its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused(pub &'static str);

impl Refused {
    /// The word for a refusal that has none of its own; nothing if `status` is none of a refusal.
    pub fn by_status(status: StatusCode) -> Option<&'static str> {
        Some(match status {
            StatusCode::BAD_REQUEST => "malformed",
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "not_allowed",
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::METHOD_NOT_ALLOWED => "method",
            StatusCode::REQUEST_TIMEOUT => "slow_body",
            StatusCode::CONFLICT => "no_picture",
            StatusCode::PRECONDITION_FAILED => "etag",
            StatusCode::PRECONDITION_REQUIRED => "no_etag",
            StatusCode::PAYLOAD_TOO_LARGE => "too_large",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "content_type",
            StatusCode::MISDIRECTED_REQUEST => "host",
            StatusCode::UNPROCESSABLE_ENTITY => "unacceptable",
            StatusCode::TOO_MANY_REQUESTS => "rate",
            StatusCode::SERVICE_UNAVAILABLE => "overloaded",
            StatusCode::INTERNAL_SERVER_ERROR => FAILED,
            other if other.is_client_error() || other.is_server_error() => "other",
            _ => return None,
        })
    }
}

impl Problem {
    /// A refusal without a time to try again.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        let detail = detail.into();
        let (retry_after, allow, reason, word, challenge) = (None, None, None, None, None);
        Problem { status, detail, retry_after, allow, reason, word, challenge, mistakes: Vec::new() }
    }

    /// The same with a time to try again, rounded up to whole seconds.
    pub fn retry_after(mut self, after: Duration) -> Problem {
        self.retry_after = Some(after);
        self
    }

    /// The same, counted by a word of its own.
    pub fn counted_as(mut self, word: &'static str) -> Problem {
        self.word = Some(word);
        self
    }

    /// 405 with the methods to use instead, as in `GET, POST`.
    pub fn not_allowed(allow: &'static str) -> Problem {
        let detail = format!("this URL takes {allow}");
        Problem { allow: Some(allow), ..Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail) }
    }
}

/// A refusal behind which the connection ends: who gets it keeps no place by asking.
pub fn closing(problem: Problem) -> Response {
    let mut response = problem.into_response();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// A refusal as it is sent (RFC 9457 §3.1).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Body {
    /// `about:blank`: `title` and `status` say which problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong and what to do about it, for a person.
    detail: String,
    /// The same, under the name that players written for other servers read.
    error: String,
    /// Why a stream has no picture, as a word; there where that is what is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<Option<&'static str>>,
    /// The same as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The word that it is counted by, where its status does not say enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// What is wrong with a configuration, one by one; there where that is what is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ToldMistake>,
}

/// One mistake in a configuration.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Mistake)]
struct ToldMistake {
    /// What is wrong, in a sentence.
    message: String,
    /// `sluice.toml:7:10`: the file, `environment`, `command line` or `API`, with line and column from 1.
    place: Option<String>,
    /// What is allowed there, or was probably meant.
    hint: Option<String>,
}

/// A refusal on its response, for who would rather have it as a page.
#[derive(Debug, Clone)]
pub(super) struct Saying(pub(super) Arc<Problem>);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let saying = Saying(Arc::new(self.clone()));
        // For pages, which have a title of their own (extension members, RFC 9457 §3.2).
        let (cause, reason) = self.reason.map_or((None, None), |reason| {
            let (cause, reason) = *reason;
            (Some(cause.map(Cause::name)), Some(reason))
        });
        let told = |Mistake { message, place, hint }| ToldMistake { message, place, hint };
        let body = Body {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("error"),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            error: self.detail,
            cause,
            reason,
            code: self.word,
            errors: self.mistakes.into_iter().map(told).collect(),
        };
        let body = serde_json::to_string(&body).expect("texts and numbers can be JSON");
        let mut response = (self.status, body).into_response();
        response.extensions_mut().insert(saying);
        if let Some(word) = self.word {
            response.extensions_mut().insert(Refused(word));
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge.as_str()));
        }
        if let Some(after) = self.retry_after {
            let seconds = after.as_millis().div_ceil(1_000).max(1);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds as u64));
        }
        response
    }
}
