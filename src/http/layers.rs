//! Which layer an offer, or a request for a picture, is answered with.
//!
//! Owns what `?layer=` may say, and the order in which layers are tried. Another choice within a session is `choice`'s.

use std::sync::Arc;

use axum::http::StatusCode;
use sluice_media::shown;

use super::problem::Problem;
use super::request::Head;
use crate::id::LAYER_NAMES;
use crate::stream::{Formats, HIGH, Layer, Stream};

/// The layer that `?layer=` asks for, by its number.
pub(super) fn asked(head: &Head) -> Result<Option<u8>, Problem> {
    let query = head.query.as_deref().unwrap_or_default();
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let Some((_, name)) = pairs.find(|(key, _)| *key == "layer") else { return Ok(None) };
    number(name).map(Some).ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, no_layer(name)))
}

/// The number of the layer of that name.
pub(super) fn number(name: &str) -> Option<u8> {
    LAYER_NAMES.iter().position(|known| *known == name).map(|number| number as u8)
}

/// What is said to who names another.
pub(super) fn no_layer(name: &str) -> String {
    format!("there is no layer {:?}: layers are {}", shown(name), LAYER_NAMES.join(" and "))
}

/// What an offer may be answered with, the best first: a layer, and what a viewer of it gets. The one that is `wanted`, or
/// the high one; then the other, for those who cannot play that.
pub(super) fn playable(stream: &Stream, wanted: Option<u8>) -> Vec<(Arc<Layer>, Formats)> {
    let first = stream.shown_of(wanted.unwrap_or(HIGH));
    let others = stream.layers().into_iter().filter(|layer| layer.id != first.id);
    let all = std::iter::once(first.clone()).chain(others);
    all.filter_map(|layer| stream.playable(&layer).map(|formats| (layer, formats))).collect()
}

/// The other layer of a pair than the one that plays, if it is away: with what it had last, as far as that is known.
pub(super) fn away(stream: &Stream, playing: &Layer) -> Option<(Arc<Layer>, Option<Formats>)> {
    let other = stream.layers().into_iter().find(|layer| layer.id != playing.id && !layer.plays())?;
    let formats = other.status().formats;
    Some((other, formats))
}

/// Which layer a viewer is counted for that was answered with `answered`: the one that is `wanted`, if that is only away and
/// brings the same codec when it is back, so that the viewer goes over to it then.
pub(super) fn chosen(stream: &Stream, wanted: Option<u8>, answered: &Arc<Layer>) -> Arc<Layer> {
    let Some(wanted) = stream.layer(wanted.unwrap_or(HIGH)) else { return answered.clone() };
    let codec = |layer: &Layer| Some(layer.status().formats?.video?.codec);
    let comes_back = !wanted.shows() && codec(&wanted).is_none_or(|of| Some(of) == codec(answered));
    if comes_back { wanted } else { answered.clone() }
}
