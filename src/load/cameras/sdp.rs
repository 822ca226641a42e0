//! The session description of a camera (RFC 8866).
//!
//! Owns its text. Never knows a client.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sluice_media::VideoCodec;

use super::camera::{Camera, Track};

/// Describes `camera` as DESCRIBE answers it.
///
/// Codec parameters are those of RFC 6184 §8.1, RFC 7798 §7.1, RFC 3640 §4.1 and RFC 7587 §7; `a=control` is relative to
/// `Content-Base` (RFC 2326 §C.1.1).
pub fn describe(camera: &Camera) -> String {
    let mut sdp = format!(
        "v=0\r\no=- 0 1 IN IP4 0.0.0.0\r\ns={}\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\na=range:npt=now-\r\n",
        camera.name
    );
    for track in camera.tracks() {
        let payload_type = camera.payload_type(track);
        let (rtpmap, fmtp) = match (track, &camera.clip.sound) {
            (Track::Video, _) => {
                let name = camera.clip.codec.encoding_name();
                (format!("{name}/{}", VideoCodec::CLOCK_RATE), Some(parameters(camera)))
            }
            (Track::Audio, Some(sound)) => (sound.rtpmap.to_owned(), sound.fmtp.map(str::to_owned)),
            (Track::Audio, None) => continue,
        };
        let kind = if track == Track::Video { "video" } else { "audio" };
        sdp += &format!("m={kind} 0 RTP/AVP {payload_type}\r\na=rtpmap:{payload_type} {rtpmap}\r\n");
        if let Some(fmtp) = fmtp {
            sdp += &format!("a=fmtp:{payload_type} {fmtp}\r\n");
        }
        if track == Track::Video {
            sdp += &format!("a=framerate:{}\r\n", camera.clip.fps);
        }
        sdp += &format!("a=control:{}\r\n", track.control());
    }
    sdp
}

/// The value of the video's `a=fmtp`.
fn parameters(camera: &Camera) -> String {
    let clip = &camera.clip;
    let [profile, middle, level] = clip.facts.profile_level_id.unwrap_or_default();
    let mut parameters = match clip.codec {
        VideoCodec::H264 => {
            format!("packetization-mode=1;profile-level-id={profile:02X}{middle:02X}{level:02X}")
        }
        VideoCodec::H265 => format!("profile-id={profile};tier-flag={middle};level-id={level}"),
    };
    if camera.faults.sets_in_description() {
        let mut sets = clip.sets.iter().map(|set| BASE64.encode(set));
        // Of H.264 one parameter has all of them.
        let names = clip.codec.nal().set_parameters();
        for (index, name) in names.iter().enumerate() {
            let own = if index + 1 == names.len() { usize::MAX } else { 1 };
            let sets: Vec<String> = sets.by_ref().take(own).collect();
            parameters += &format!(";{name}={}", sets.join(","));
        }
    }
    parameters
}
