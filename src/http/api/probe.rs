//! What a camera is like: the report of `sluice probe --json`.
//!
//! Owns what a request may say. The camera may be where `admin.sources` says, as one may that a stream is made of here.

use std::time::Duration;

use axum::extract::{Request as HttpRequest, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use sluice_config::{Fingerprint, RtspUrl, StreamName, StreamNameError, Transport};
use utoipa::ToSchema;

use super::asked::{bad, fresh};
use super::{Api, whole};
use crate::http::extract::Bare;
use crate::http::problem::{Body, Problem};
use crate::probe::{NoReport, Question, Report, misfit};
use crate::session::offer::shown;

/// Time for a probe, unless asked for otherwise, and the bounds of what may be asked for.
const TIME: Duration = Duration::from_secs(10);
const TIMES: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30);

/// A camera to look at.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProbeRequest {
    /// `rtsp://user:password@192.168.1.10/main`.
    url: String,
    /// `tcp`, `udp`, `auto` or `multicast`; TCP, then UDP if the camera says that it has nothing else, unless given.
    transport: Option<String>,
    /// The SHA-256 of its certificate, for a camera by `rtsps://` whose own it is.
    fingerprint: Option<String>,
    /// For all of it, as in `10s`, which it is unless given; from `1s` to `30s`.
    timeout: Option<String>,
    /// Of the stream in the lines for the configuration file; `cam1` unless given.
    name: Option<String>,
}

/// Looks at a camera as the server would, and says whether it plays in browsers and what to change. It must be where the
/// API may name one (`admin.sources`). Takes up to `timeout`, and ends when the one who asked is gone. No password is in the
/// answer.
#[utoipa::path(
    post,
    path = "/api/v1/probe",
    tag = "streams",
    request_body(content = ProbeRequest),
    responses(
        (status = 200, description = "What was found, also where the camera was not reached or may not be asked", body = Report),
        (status = 400, description = "The request is none, or its URL is none of a camera, or its options do not fit that", body = Body, content_type = "application/problem+json"),
        (status = 500, description = "This machine refused what the probe needs", body = Body, content_type = "application/problem+json"),
        (status = 503, description = "Two probes run already", body = Body, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn probe(
    State(api): State<Api>,
    _: Bare,
    request: HttpRequest,
) -> Result<Response, Problem> {
    let request = whole(request).await?;
    let asked: ProbeRequest = serde_json::from_slice(&request.body).map_err(|error| {
        let example = r#"{"url":"rtsp://user:password@192.168.1.10/main"}"#;
        // The library's own words may repeat what was sent, a password among it.
        bad(format!("no JSON as in {example}, with transport, fingerprint, timeout and name if wanted: line {}, column {}", error.line(), error.column()))
    })?;
    Ok(fresh(api.operator.probes.ask(question(&asked)?).await?))
}

fn question(asked: &ProbeRequest) -> Result<Question, Problem> {
    let url: RtspUrl =
        asked.url.parse().map_err(|error| bad(format!("{error}: write rtsp://user:password@host/path")))?;
    let name = asked.name.as_deref().unwrap_or("cam1");
    let name: StreamName = name.parse().map_err(|error: StreamNameError| bad(error.to_string()))?;
    let transport = match asked.transport.as_deref() {
        None => None,
        Some(said) => {
            Some(Transport::ALL.into_iter().find(|transport| transport.name() == said).ok_or_else(|| {
                bad(format!("transport {:?} is none: there are {}", shown(said), Transport::NAMES.join(", ")))
            })?)
        }
    };
    let fingerprint = asked.fingerprint.as_deref().map(str::parse::<Fingerprint>).transpose();
    let fingerprint = fingerprint.map_err(|error| bad(error.to_string()))?;
    if let Some(why) = misfit(&url, transport, fingerprint) {
        return Err(bad(why));
    }
    let time = match asked.timeout.as_deref() {
        None => TIME,
        Some(text) => sluice_config::parse_duration(text)
            .ok()
            .filter(|time| TIMES.contains(time))
            .ok_or_else(|| bad("timeout is a time from 1s to 30s, as in 10s".to_owned()))?,
    };
    Ok(Question { url, name, transport, fingerprint, time })
}

impl From<NoReport> for Problem {
    fn from(error: NoReport) -> Problem {
        let status = match error {
            NoReport::Busy => StatusCode::SERVICE_UNAVAILABLE,
            NoReport::Failed(_) | NoReport::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Problem::new(status, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_asked_is_refused_without_the_password() {
        let asked = |url: &str, transport: Option<&str>, timeout: Option<&str>, name: Option<&str>| {
            let text = |value: Option<&str>| value.map(str::to_owned);
            let request = ProbeRequest {
                url: url.to_owned(),
                transport: text(transport),
                fingerprint: None,
                timeout: text(timeout),
                name: text(name),
            };
            question(&request)
        };
        let camera = "rtsp://user:canary@192.168.1.10/main";
        let good = asked(camera, Some("udp"), Some("30s"), None).expect("good");
        assert_eq!(
            (good.time, good.transport, good.name.as_str()),
            (TIMES.end().to_owned(), Some(Transport::Udp), "cam1")
        );
        assert_eq!(asked(camera, None, None, Some("gate")).expect("good").time, TIME);
        for (request, word) in [
            (asked("http://user:canary@camera/", None, None, None), "rtsp://"),
            (asked("rtsp://", None, None, None), "rtsp://"),
            (asked(camera, Some("quic"), None, None), "tcp, udp"),
            (
                asked("rtsps://user:canary@192.168.1.10/", Some("udp"), None, None),
                "is pulled by rtsps://, which carries its media, and says `rtsp_transport` = \"udp\": leave it out",
            ),
            (asked(camera, None, Some("31s"), None), "1s to 30s"),
            (asked(camera, None, Some("soon"), None), "1s to 30s"),
            (asked(camera, None, None, Some("a b")), "a b"),
        ] {
            let problem = request.expect_err("refused");
            assert_eq!(problem.status, StatusCode::BAD_REQUEST);
            assert!(
                problem.detail.contains(word) && !problem.detail.contains("canary"),
                "{}",
                problem.detail
            );
        }
    }
}
