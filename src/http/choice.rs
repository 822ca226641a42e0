//! `/{stream}/whep/{session}/layer`: what a session is shown, and another choice without a new session.
//!
//! Owns what such a request may say. Its body is that of WHEP's layer extension (`urn:ietf:params:whep:ext:core:layer`), as
//! far as a pair has something to choose; the extension is not announced, because it comes with server-sent events only
//! (docs/WHEP.md).

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::access::Grant;
use super::layers::{no_layer, number};
use super::problem::Problem;
use super::refused::{overloaded, refused};
use super::request::Request;
use super::whep::{Whep, expect_content_type};
use crate::id::SessionId;
use crate::session::table::Session;
use crate::shard::command::Command;
use crate::stream::{HIGH, Layer};

/// A viewer goes from one layer to another once in this time. Shorter lets one viewer keep the server busy with its
/// choice; longer lets people wait who try both.
const CHOICE_INTERVAL: Duration = Duration::from_secs(1);

/// What a viewer may say it wants. An empty one leaves it to the server.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    encoding_id: Option<String>,
    rid: Option<String>,
}

/// What a viewer gets, and what there is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    /// What it is shown now.
    encoding_id: &'static str,
    /// What it chose; another than that while that one is away.
    chosen: &'static str,
    layers: Vec<ToldLayer>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ToldLayer {
    encoding_id: &'static str,
    /// Whether there are pictures of it.
    active: bool,
    codec: Option<&'static str>,
    width: Option<u16>,
    height: Option<u16>,
    /// Bits a second.
    bitrate: Option<u64>,
    /// Whether this session can be shown it.
    playable: bool,
}

impl Whep {
    /// `/{stream}/whep/{session}/layer`.
    pub fn layer(
        &self,
        now: Instant,
        stream: &str,
        id: &str,
        request: &Request,
        _grant: &Grant,
    ) -> Result<Response, Problem> {
        let (id, session) = self.session_of(stream, id)?;
        match request.head.method {
            Method::GET | Method::HEAD => Ok(told(&session)),
            Method::POST => self.choose(now, id, &session, request),
            _ => Err(Problem::not_allowed("GET, HEAD, OPTIONS, POST")),
        }
    }

    fn choose(
        &self,
        now: Instant,
        id: SessionId,
        session: &Session,
        request: &Request,
    ) -> Result<Response, Problem> {
        expect_content_type(&request.head.headers, "application/json")?;
        let bad = |why: String| Problem::new(StatusCode::BAD_REQUEST, why);
        let wanted: Wanted = match request.body.trim_ascii() {
            [] => Wanted::default(),
            body => serde_json::from_slice(body)
                .map_err(|error| bad(format!("the body is not like {{\"encodingId\":\"low\"}}: {error}")))?,
        };
        let stream = &session.stream;
        let wanted = match wanted.encoding_id.or(wanted.rid) {
            None => HIGH,
            Some(name) => number(&name).ok_or_else(|| bad(no_layer(&name)))?,
        };
        let Some(layer) = stream.layer(wanted) else {
            let why = format!("stream {:?} has one layer, and nothing to choose", stream.name);
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why));
        };
        if !session.takes(&layer) {
            let why = format!(
                "the {} layer of stream {:?} has another codec than this session agreed to: join again with ?layer={}",
                layer.name(),
                stream.name,
                layer.name()
            );
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why).counted_as("layer_codec"));
        }
        if layer.id != session.layer
            && session.chose.is_some_and(|at| now.saturating_duration_since(at) < CHOICE_INTERVAL)
        {
            let why = "this session chose another layer a moment ago";
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, why).retry_after(CHOICE_INTERVAL));
        }
        session.place.change(layer.bits()).map_err(|refusal| refused(stream, refusal))?;
        let Some(session) =
            self.sessions.choose(now, id, layer.id).map_err(|busy| overloaded(busy.to_string()))?
        else {
            return Ok(told(session));
        };
        let command = Command::Choose { session: id, layer: wanted };
        session.shard.command(command).map_err(|busy| overloaded(busy.to_string()))?;
        tracing::debug!(session = ?id, stream = stream.name, layer = layer.name(), "viewer chooses");
        Ok(told(&session))
    }
}

fn told(session: &Session) -> Response {
    let stream = &session.stream;
    let chosen = session.layer;
    let best_first = stream.layer(chosen.number).into_iter().chain(stream.layers());
    let shown = best_first.into_iter().find(|layer| layer.shows() && session.takes(layer));
    let shown = shown.map_or(chosen, |layer| layer.id);
    let layer = |layer: Arc<Layer>| {
        let video = layer.status().formats.and_then(|formats| formats.video);
        let size = video.as_ref().and_then(|video| video.size);
        ToldLayer {
            encoding_id: layer.name(),
            active: layer.shows(),
            codec: video.map(|video| video.codec.encoding_name()),
            width: size.map(|(width, _)| width),
            height: size.map(|(_, height)| height),
            bitrate: layer.counters.rate.get().map(|rate| rate as u64),
            playable: session.takes(&layer),
        }
    };
    let layers = stream.layers().into_iter().map(layer).collect();
    let told = Told { encoding_id: shown.name(), chosen: chosen.name(), layers };
    ([(header::CACHE_CONTROL, "no-store")], Json(told)).into_response()
}
