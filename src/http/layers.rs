//! Which layer an offer, or a request for a picture, is answered with.
//!
//! Owns what `?layer=` may say, and the order in which layers are tried. Another choice within a session is `choice`'s.

use std::sync::Arc;

use axum::http::StatusCode;
use sluice_media::shown;

use super::problem::Problem;
use super::request::Head;
use crate::id::LAYER_NAMES;
use crate::stream::{Formats, HIGH, Layer, Status, Stream};

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

/// Whether an offer for a stream can be answered now as well as it could be in a moment, as far as pictures go: something
/// plays that it `takes`, or nothing like that is on its way. Streams that are not `woken` are looked at for what is on its
/// way for the first time, because who asks for them is told at once what keeps them away.
pub(super) fn is_seen(stream: &Stream, woken: bool, takes: impl Fn(&Formats) -> bool) -> bool {
    let statuses: Vec<Status> = stream.layers().iter().map(|layer| layer.status()).collect();
    let plays = statuses.iter().filter_map(Status::playable).any(&takes);
    let may_come = |status: &Status| match woken {
        true => status.is_underway() && status.formats.as_ref().is_none_or(&takes),
        false => status.is_new(),
    };
    plays || !statuses.iter().any(may_come)
}

/// As [`is_seen`], of sound: it is known which there is, or nothing is on its way that could have some.
pub(super) fn is_heard(stream: &Stream) -> bool {
    let statuses: Vec<Status> = stream.layers().iter().map(|layer| layer.status()).collect();
    let is_known = |status: &Status| status.formats.as_ref().is_some_and(|formats| formats.audio.is_some());
    statuses.iter().any(is_known) || !statuses.iter().any(Status::is_new)
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sluice_config::{OnDemand, Rtsp, Source};
    use sluice_media::{AudioCodec, VideoCodec};

    use super::*;
    use crate::stream::{AudioFormat, Cause, LOW, Origin, Registry, SourceState, VideoFormat};
    use crate::track::RecentLimits;

    fn pair() -> Arc<Stream> {
        let limits = RecentLimits { bytes: 1, history: Duration::ZERO };
        let origin =
            || Origin { source: Source::Demo, rtsp: Rtsp::default(), on_demand: OnDemand::default() };
        let (stream, _) = Registry::new(&[], limits).add("gate", origin()).expect("it is the first");
        stream.add_low(origin()).expect("it has none");
        stream
    }

    fn is(stream: &Stream, number: u8, state: SourceState) {
        let layer = stream.layer(number).expect("a pair");
        stream.update(&layer, |status| status.enter(state));
    }

    fn has(stream: &Stream, number: u8, codec: VideoCodec, audio: Option<AudioCodec>) {
        let video = VideoFormat { codec, profile_level_id: None, size: None, frame_rate: None };
        let audio = audio.map(|codec| AudioFormat::new(codec, 1));
        let layer = stream.layer(number).expect("a pair");
        let formats = Formats { video: Some(video), audio, ..Formats::default() };
        stream.update(&layer, |status| status.formats = Some(formats));
    }

    fn failed(retry_in: Duration) -> SourceState {
        SourceState::Waiting { error: "gone".to_owned(), cause: Cause::Broken, retry_in }
    }

    fn h264(formats: &Formats) -> bool {
        formats.video.as_ref().is_some_and(|video| video.codec == VideoCodec::H264)
    }

    #[test]
    fn who_cannot_play_the_picture_that_is_there_waits_for_the_other_as_long_as_that_may_come() {
        let stream = pair();
        let (woken, pause) = (true, Duration::from_secs(1));
        assert!(!is_seen(&stream, woken, h264));
        has(&stream, HIGH, VideoCodec::H265, None);
        is(&stream, HIGH, SourceState::Playing);
        assert!(!is_seen(&stream, woken, h264) && !is_seen(&stream, false, h264));
        // One of several sources failed, and the next has its turn.
        is(&stream, LOW, failed(Duration::ZERO));
        assert!(!is_seen(&stream, woken, h264));
        is(&stream, LOW, failed(pause));
        assert!(is_seen(&stream, woken, h264));
        is(&stream, LOW, SourceState::Connecting);
        assert!(!is_seen(&stream, woken, h264), "it may come yet");
        assert!(is_seen(&stream, false, h264), "who asks is told what keeps it away");
        has(&stream, LOW, VideoCodec::H265, None);
        assert!(is_seen(&stream, woken, h264), "it is nothing for that player either");
        has(&stream, LOW, VideoCodec::H264, None);
        is(&stream, LOW, SourceState::Playing);
        assert!(is_seen(&stream, woken, h264));
    }

    #[test]
    fn a_picture_without_sound_waits_until_it_is_known_what_the_other_layer_has() {
        let stream = pair();
        has(&stream, LOW, VideoCodec::H264, None);
        is(&stream, LOW, SourceState::Playing);
        assert!(!is_heard(&stream));
        has(&stream, HIGH, VideoCodec::H264, Some(AudioCodec::Opus));
        assert!(is_heard(&stream), "known before it plays");
        let low = stream.playable(&stream.layer(LOW).expect("it")).expect("it plays");
        assert_eq!(low.audio, Some(AudioFormat::new(AudioCodec::Opus, 1)));

        let stream = pair();
        has(&stream, LOW, VideoCodec::H264, None);
        is(&stream, HIGH, failed(Duration::from_secs(1)));
        assert!(is_heard(&stream), "one that is away is not waited for");
        is(&stream, HIGH, SourceState::Connecting);
        assert!(is_heard(&stream));
    }
}
