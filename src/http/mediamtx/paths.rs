//! Streams as MediaMTX's paths.
//!
//! Owns the shape, and how codecs and their properties are called there.

use serde::Serialize;
use serde_json::{Value, json};
use sluice_media::{AudioCodec, VideoCodec};

use super::rfc3339;
use super::sessions::Outgoing;
use crate::stream::{AudioFormat, SourceState, Stream, VideoFormat};

/// A path. `ready`, `available` and `online` are one thing here: viewers get pictures.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Path {
    pub(super) name: String,
    conf_name: String,
    pub(super) ready: bool,
    ready_time: Option<String>,
    available: bool,
    available_time: Option<String>,
    online: bool,
    online_time: Option<String>,
    source: Named,
    tracks: Vec<&'static str>,
    tracks2: Vec<Track>,
    pub(super) readers: Vec<Named>,
    pub(super) inbound_bytes: u64,
    pub(super) outbound_bytes: u64,
    pub(super) inbound_frames_in_error: u64,
    bytes_received: u64,
    bytes_sent: u64,
}

/// What feeds a path, or reads it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Named {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Track {
    codec: &'static str,
    codec_props: Value,
}

impl Path {
    pub(super) fn of(stream: &Stream, outgoing: &Outgoing) -> Path {
        let status = stream.status();
        let ready = status.state == SourceState::Playing;
        let time = stream.watch().since.filter(|_| ready).map(rfc3339);
        let formats = status.formats.filter(|_| ready).unwrap_or_default();
        let video = formats.video.as_ref().map(video_track);
        let tracks2: Vec<Track> = video.into_iter().chain(formats.audio.as_ref().map(audio_track)).collect();
        let readers = outgoing.readers(stream.id).map(|id| Named { kind: "webRTCSession", id });
        let layers = stream.layers();
        let inbound_bytes = layers.iter().map(|layer| layer.counters.ingress_bytes()).sum();
        let outbound_bytes = stream.egress_of_ended.get() + outgoing.sent(stream.id);
        Path {
            name: stream.name.clone(),
            conf_name: stream.pattern.clone().unwrap_or_else(|| stream.name.clone()),
            ready,
            ready_time: time.clone(),
            available: ready,
            available_time: time.clone(),
            online: ready,
            online_time: time,
            // The demo is none of their kinds, and programs know no others.
            source: Named { kind: "rtspSource", id: String::new() },
            tracks: tracks2.iter().map(|track| track.codec).collect(),
            tracks2,
            readers: readers.collect(),
            inbound_bytes,
            outbound_bytes,
            inbound_frames_in_error: layers.iter().map(|layer| layer.counters.ingress_invalid.get()).sum(),
            bytes_received: inbound_bytes,
            bytes_sent: outbound_bytes,
        }
    }
}

fn video_track(video: &VideoFormat) -> Track {
    let (width, height) = video.size.unwrap_or_default();
    let [profile, _, level] = video.profile_level_id.unwrap_or_default();
    let (codec, profile, level) = match video.codec {
        VideoCodec::H264 => ("H264", h264_profile(profile), f32::from(level) / 10.0),
        VideoCodec::H265 => ("H265", h265_profile(profile), f32::from(level) / 30.0),
    };
    let level = if video.profile_level_id.is_some() { level.to_string() } else { String::new() };
    let profile = if video.profile_level_id.is_some() { profile } else { String::new() };
    let codec_props = json!({ "width": width, "height": height, "profile": profile, "level": level });
    Track { codec, codec_props }
}

fn audio_track(AudioFormat { codec, channels, .. }: &AudioFormat) -> Track {
    match codec {
        AudioCodec::Opus => Track { codec: "Opus", codec_props: json!({ "channelCount": channels }) },
        law @ (AudioCodec::Pcmu | AudioCodec::Pcma) => {
            let mu = *law == AudioCodec::Pcmu;
            let codec_props = json!({ "muLaw": mu, "sampleRate": 8_000, "channelCount": channels });
            Track { codec: "G711", codec_props }
        }
        AudioCodec::G722 => Track { codec: "G722", codec_props: json!({}) },
    }
}

/// Of `profile_idc` (ITU-T H.264 Annex A); a number where they have no word.
fn h264_profile(profile: u8) -> String {
    match profile {
        66 => "Baseline",
        77 => "Main",
        88 => "Extended",
        100 => "High",
        110 => "High 10",
        122 => "High 4:2:2",
        244 => "High 4:4:4 Predictive",
        other => return other.to_string(),
    }
    .to_owned()
}

/// Of `general_profile_idc` (ITU-T H.265 Annex A).
fn h265_profile(profile: u8) -> String {
    match profile {
        1 => "Main",
        2 => "Main 10",
        3 => "Main Still Picture",
        4 => "Range Extensions",
        other => return other.to_string(),
    }
    .to_owned()
}
