//! What a path below a stream's name means: `/site1/gate/whep` is the endpoint of the stream `site1/gate`.
//!
//! Owns how the end of a path is told from the name before it, and how a name is written in one. Whether there is such a
//! stream is not known here. No segment of a name is one that stands here (`sluice_config::is_reserved`).

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sluice_config::{NAME_MAX, is_reserved};

/// A stream, named by a path, and what of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StreamPath {
    /// The name, decoded. Nobody has checked it.
    pub(super) stream: String,
    /// What is asked for.
    pub(super) what: What,
}

/// What of a stream a path asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// `/NAME`: to the page, which begins with the name's last segment.
    ToPage(String),
    /// `/NAME/`: the page; how many segments of the path the name takes.
    Page(usize),
    /// `/NAME/frame.mp4`.
    Frame,
    /// `/NAME/reader.js`.
    Reader,
    /// `/NAME/streams.json`: the list of all, where a browser sends what it was told for the page.
    List,
    /// `/NAME/whep`, with or without a slash behind.
    Endpoint,
    /// `/NAME/whep/SESSION`.
    Session(String),
    /// `/NAME/whep/SESSION/layer`.
    Layer(String),
}

impl StreamPath {
    /// Reads the path of a request as it came (RFC 3986 §3.3). Nothing if it leads below no name.
    pub(super) fn of(path: &str) -> Option<StreamPath> {
        let mut segments = path.strip_prefix('/')?.split('/').map(decode).collect::<Option<Vec<String>>>()?;
        let last = segments.pop()?;
        let what = match (&last[..], segments.last().map(String::as_str)) {
            ("", Some("whep")) => {
                segments.pop();
                What::Endpoint
            }
            ("", _) => What::Page(segments.len()),
            ("whep", _) => What::Endpoint,
            ("frame.mp4", _) => What::Frame,
            ("reader.js", _) => What::Reader,
            ("streams.json", _) => What::List,
            (_, Some("whep")) => {
                segments.pop();
                What::Session(last)
            }
            ("layer", Some(_)) if segments.len() > 2 && segments[segments.len() - 2] == "whep" => {
                What::Layer(segments.split_off(segments.len() - 2).pop()?)
            }
            _ => {
                segments.push(last.clone());
                What::ToPage(last)
            }
        };
        let is_name = |segment: &String| !segment.is_empty() && !matches!(&segment[..], "." | "..");
        let named = !segments.is_empty() && segments.iter().all(is_name);
        let stream = segments.join("/");
        // A name comes from the configuration; one of these would hide what is there.
        let hides = stream.split('/').any(is_reserved);
        let fits = stream.len() <= NAME_MAX;
        (named && fits && !hides).then_some(StreamPath { stream, what })
    }

    /// The route, as it is counted.
    pub(super) fn route(&self) -> &'static str {
        match self.what {
            What::ToPage(_) => "/{stream}",
            What::Page(_) => "/{stream}/",
            What::Frame => "/{stream}/frame.mp4",
            What::Reader => "/{stream}/reader.js",
            What::List => "/{stream}/streams.json",
            What::Endpoint => ENDPOINT,
            What::Session(_) => "/{stream}/whep/{session}",
            What::Layer(_) => "/{stream}/whep/{session}/layer",
        }
    }
}

/// The route of WHEP's endpoint.
pub(super) const ENDPOINT: &str = "/{stream}/whep";

/// What is written as it is in a segment (RFC 3986 §2.3).
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A segment as it was meant; nothing if it is not UTF-8.
fn decode(segment: &str) -> Option<String> {
    percent_decode_str(segment).decode_utf8().ok().map(Cow::into_owned)
}

/// A segment as it must be written.
pub(super) fn encode(segment: &str) -> impl std::fmt::Display {
    utf8_percent_encode(segment, PLAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_path_says_what_and_the_rest_is_the_name() {
        let to_page = |last: &str| What::ToPage(last.to_owned());
        for (path, stream, what) in [
            ("/gate", "gate", to_page("gate")),
            ("/gate/", "gate", What::Page(1)),
            ("/site1/gate", "site1/gate", to_page("gate")),
            ("/site1/b.2/gate/", "site1/b.2/gate", What::Page(3)),
            ("/site1%2Fgate/", "site1/gate", What::Page(1)),
            ("/gate/frame.mp4", "gate", What::Frame),
            ("/site1/gate/frame.mp4", "site1/gate", What::Frame),
            ("/site1/gate/reader.js", "site1/gate", What::Reader),
            ("/site1/gate/streams.json", "site1/gate", What::List),
            ("/gate/whep", "gate", What::Endpoint),
            ("/gate/whep/", "gate", What::Endpoint),
            ("/site1/gate/wh%65p", "site1/gate", What::Endpoint),
            ("/site1/gate/whep/12ab", "site1/gate", What::Session("12ab".to_owned())),
            ("/site1/gate/whep/12ab/layer", "site1/gate", What::Layer("12ab".to_owned())),
            ("/gate/layer", "gate/layer", to_page("layer")),
            ("/%C3%A4%20b", "ä b", to_page("ä b")),
            ("/100%", "100%", to_page("100%")),
        ] {
            assert_eq!(StreamPath::of(path), Some(StreamPath { stream: stream.to_owned(), what }), "{path}");
        }
    }

    #[test]
    fn what_names_no_stream_is_nothing() {
        for path in [
            "",
            "/",
            "//",
            "/gate//",
            "//gate",
            "/whep",
            "/whep/",
            "/frame.mp4",
            "/./",
            "/../gate",
            "/gate/../",
            "/%2e%2e/gate/",
            "/gate/whep/x/y",
            "/gate/whep/x/",
            "/static/x/y",
            "/api/v1/streams",
            "/gate/publish",
            "/gate/whip",
            "/a%2Fwhep/",
            "/%FF/",
        ] {
            assert_eq!(StreamPath::of(path), None, "{path}");
        }
        assert_eq!(StreamPath::of(&"/a".repeat(NAME_MAX)), None);
    }

    #[test]
    fn what_was_encoded_is_decoded_again() {
        for segment in ["gate", "ä b", "//", "100%", "a:b?c#d"] {
            assert_eq!(decode(&encode(segment).to_string()).as_deref(), Some(segment));
        }
    }
}
