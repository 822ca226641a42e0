//! The second stream of a camera, by the URL of one of its two.
//!
//! Owns the patterns of the makers' URLs (docs/CAMERAS.md, "By brand"). Never asks a camera.

use sluice_config::RtspUrl;
use url::Url;

use crate::stream::{HIGH, LOW};

/// What an Axis camera is asked for as the low layer: it encodes whatever it is asked for, and all of them have this size.
const AXIS_LOW: &str = "resolution=640x360&videocodec=h264";

/// What tells the two streams of one camera apart.
struct Pattern {
    /// Stands somewhere before it in the URL, in lower case.
    behind: &'static str,
    /// What the high one has, and the low one in its place.
    words: [&'static str; 2],
    /// It stands at the very end of the path.
    last: bool,
}

const fn pattern(behind: &'static str, words: [&'static str; 2]) -> Pattern {
    Pattern { behind, words, last: false }
}

const fn last(behind: &'static str, words: [&'static str; 2]) -> Pattern {
    Pattern { behind, words, last: true }
}

const PATTERNS: [Pattern; 13] = [
    // Hikvision: one number of channel and stream, of which the last two digits are the stream.
    last("/streaming/channels/", ["01", "02"]),
    pattern("/h264/ch", ["/main/", "/sub/"]),
    pattern("/h265/ch", ["/main/", "/sub/"]),
    // Dahua, Amcrest, Lorex.
    pattern("/cam/realmonitor", ["subtype=0", "subtype=1"]),
    // Reolink.
    last("h264preview_", ["_main", "_sub"]),
    last("h265preview_", ["_main", "_sub"]),
    last("/preview_", ["_main", "_sub"]),
    // Hanwha: profile 1 is Motion JPEG.
    pattern("", ["/profile2/media.smp", "/profile3/media.smp"]),
    // Uniview, and Sony.
    last("/media/", ["video1", "video2"]),
    pattern("/unicast/c", ["/s0/", "/s1/"]),
    // TP-Link.
    last("", ["/stream1", "/stream2"]),
    // Foscam.
    last("", ["/videomain", "/videosub"]),
    last("", ["/live/main", "/live/sub"]),
];

/// Whose writing differs from what is compared.
const AS_WRITTEN: [(&str, &str); 2] = [("/videomain", "/videoMain"), ("/videosub", "/videoSub")];

/// Another stream of the same camera.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Other {
    /// Which layer it would be.
    pub(super) layer: u8,
    pub(super) url: RtspUrl,
}

/// The second stream of the camera, where the URL of `first` is one whose pattern is known.
pub(super) fn other(first: &RtspUrl) -> Option<Other> {
    let url = &first.url;
    let found = |(layer, url): (u8, Url)| Other { layer, url: first.at(url) };
    if url.path().to_ascii_lowercase().ends_with("/axis-media/media.amp") {
        return axis(url).map(found);
    }
    // Behind the host, so that nothing in a name can be taken for a word.
    let text = &url[url::Position::BeforePath..];
    let compared = text.to_ascii_lowercase();
    let path_end = url.path().trim_end_matches('/').len();
    PATTERNS.iter().find_map(|pattern| {
        let from = compared.find(pattern.behind)? + pattern.behind.len();
        (0..2).find_map(|at| {
            let word = pattern.words[at];
            let begin = from + compared.get(from..)?.find(word)?;
            let begin = if pattern.last { path_end.checked_sub(word.len())? } else { begin };
            let end = begin + word.len();
            let stands = begin >= from && compared.get(begin..end) == Some(word);
            // `subtype=01` and `subtype=10` are other streams.
            let ends = !compared[end..].starts_with(|next: char| next.is_ascii_digit());
            // A number of a channel stands before that of a stream.
            let of_channel = !word.starts_with('0') || begin > from;
            if !(stands && ends && of_channel) {
                return None;
            }
            let other = pattern.words[1 - at];
            let other =
                AS_WRITTEN.iter().find(|(word, _)| *word == other).map_or(other, |(_, written)| written);
            let text = format!("{}{other}{}", &text[..begin], &text[end..]);
            let mut url = url.clone();
            let (path, query) =
                text.split_once('?').map_or((&text[..], None), |(path, query)| (path, Some(query)));
            // The sub-stream is H.264 whatever the main stream is.
            url.set_path(&if at == 0 {
                path.replace("h265Preview_", "h264Preview_")
            } else {
                path.to_owned()
            });
            url.set_query(query);
            Some(found((if at == 0 { LOW } else { HIGH }, url)))
        })
    })
}

/// The same picture, smaller. Where the URL says which one it wants, nothing is known of another.
fn axis(url: &Url) -> Option<(u8, Url)> {
    let query = url.query().unwrap_or_default();
    if query.contains("resolution=") || query.contains("streamprofile=") {
        return None;
    }
    let kept: Vec<&str> =
        query.split('&').filter(|part| !part.is_empty() && !part.starts_with("videocodec=")).collect();
    let mut low = url.clone();
    low.set_query(Some(&[&kept[..], &[AXIS_LOW]].concat().join("&")));
    Some((LOW, low))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other_of(path: &str) -> Option<(u8, String)> {
        let first: RtspUrl = format!("rtsp://u:canary@stream1.lan:8554{path}").parse().expect("a URL");
        let found = other(&first)?;
        assert_eq!(found.url.credentials, first.credentials);
        let text = found.url.url.as_str();
        Some((found.layer, text.strip_prefix("rtsp://stream1.lan:8554").expect("the same camera").to_owned()))
    }

    #[test]
    fn each_of_the_two_leads_to_the_other() {
        for (high, low) in [
            ("/Streaming/Channels/101", "/Streaming/Channels/102"),
            ("/Streaming/Channels/101/", "/Streaming/Channels/102/"),
            (
                "/Streaming/Channels/1601?transportmode=unicast",
                "/Streaming/Channels/1602?transportmode=unicast",
            ),
            ("/h264/ch1/main/av_stream", "/h264/ch1/sub/av_stream"),
            (
                "/cam/realmonitor?channel=1&subtype=0&unicast=true&proto=Onvif",
                "/cam/realmonitor?channel=1&subtype=1&unicast=true&proto=Onvif",
            ),
            ("/h264Preview_01_main", "/h264Preview_01_sub"),
            ("//h264Preview_02_main", "//h264Preview_02_sub"),
            ("/Preview_01_main", "/Preview_01_sub"),
            ("/profile2/media.smp", "/profile3/media.smp"),
            ("/media/video1", "/media/video2"),
            ("/unicast/c3/s0/live", "/unicast/c3/s1/live"),
            ("/stream1", "/stream2"),
            ("/videoMain", "/videoSub"),
            ("/live/main", "/live/sub"),
        ] {
            assert_eq!(other_of(high), Some((LOW, low.to_owned())), "{high}");
            assert_eq!(other_of(low), Some((HIGH, high.to_owned())), "{low}");
        }
        // The sub-stream of a camera of H.265 has a name of H.264.
        assert_eq!(other_of("/h265Preview_01_main"), Some((LOW, "/h264Preview_01_sub".to_owned())));
    }

    #[test]
    fn an_axis_camera_is_asked_for_a_smaller_picture() {
        let low = |query: &str| {
            Some((LOW, format!("/axis-media/media.amp?{query}resolution=640x360&videocodec=h264")))
        };
        assert_eq!(other_of("/axis-media/media.amp"), low(""));
        assert_eq!(other_of("/axis-media/media.amp?camera=2&videocodec=h265"), low("camera=2&"));
        assert_eq!(other_of("/axis-media/media.amp?resolution=1280x720"), None);
        assert_eq!(other_of("/axis-media/media.amp?streamprofile=low"), None);
    }

    #[test]
    fn nothing_is_made_up_where_the_pattern_is_not_known() {
        for path in [
            "/",
            "/gate",
            "/Streaming/Channels/1",
            "/Streaming/Channels/103",
            "/Streaming/Channels/01",
            "/cam/realmonitor?channel=1&subtype=2",
            "/cam/realmonitor?channel=1&subtype=01",
            "/profile1/media.smp",
            "/stream10",
            "/stream1/x",
            "/media/video3",
            "/11",
        ] {
            assert_eq!(other_of(path), None, "{path}");
        }
    }
}
