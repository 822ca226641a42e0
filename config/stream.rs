//! What viewers can ask for: a name and where its media comes from. A name is safe in a URL, a metric label and an
//! environment variable by construction; whether a source answers is not known here.

use std::{borrow::Borrow, fmt, ops::Deref, str::FromStr, sync::Arc, time::Duration};

use crate::{Fingerprint, RtspUrl, Transport, redact::shown};

/// The longest name of a stream, in bytes. Longer makes addresses, metrics and log lines that nobody reads.
pub const NAME_MAX: usize = 128;

/// Segments of the server's own paths: as part of a name they would make a path that means two things.
const RESERVED: [&str; 9] =
    ["api", "frame.mp4", "metrics", "publish", "reader.js", "static", "streams.json", "whep", "whip"];

/// What browsers and crawlers ask every server for, whether or not a page names it.
const ASKED_FOR: [&str; 2] = ["favicon.ico", "robots.txt"];

/// Whether the server's own paths have a segment like this, so that no stream's name has.
pub fn is_reserved(segment: &str) -> bool {
    RESERVED.contains(&segment) || ASKED_FOR.contains(&segment)
}

/// The reserved parts of a name, and the others that nobody may have.
fn reserved_in(name: &str) -> String {
    let quoted =
        |parts: Vec<&str>| parts.iter().map(|part| format!("`{part}`")).collect::<Vec<_>>().join(", ");
    let (found, others): (Vec<&str>, Vec<&str>) = RESERVED
        .into_iter()
        .chain(ASKED_FOR)
        .partition(|reserved| name.split('/').any(|part| part == *reserved));
    format!("has {}, a path of the server, as are {}", quoted(found), quoted(others))
}

/// `[streams.NAME]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// Where the media comes from.
    pub source: Source,
    /// Instead of `rtsp.transport`; see [`Config::rtsp_of`](crate::Config::rtsp_of).
    pub rtsp_transport: Option<Transport>,
    /// Instead of `rtsp.fingerprint` if there are any; as above.
    pub rtsp_fingerprint: Vec<Fingerprint>,
    /// Instead of `on_demand.enabled`; see [`Config::on_demand_of`](crate::Config::on_demand_of).
    pub on_demand: Option<bool>,
    /// Instead of `on_demand.start_timeout`.
    pub on_demand_start_timeout: Option<Duration>,
    /// Instead of `on_demand.close_after`.
    pub on_demand_close_after: Option<Duration>,
}

impl Stream {
    /// One that says no more than where its media comes from.
    pub fn new(source: Source) -> Self {
        Self {
            source,
            rtsp_transport: None,
            rtsp_fingerprint: Vec::new(),
            on_demand: None,
            on_demand_start_timeout: None,
            on_demand_close_after: None,
        }
    }
}

/// Cameras that are tried for one stream at the most. More of them keep the first longer from its next turn.
pub const SOURCES_MAX: usize = 8;

/// Where a stream's media comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A camera, pulled.
    Rtsp(Cameras),
    /// Two encodings of what one camera sees, each pulled.
    Pair {
        /// The one with more pixels.
        high: Cameras,
        /// The one with fewer.
        low: Cameras,
    },
    /// The clip inside the binary.
    Demo,
}

/// One camera, or several that are tried in order. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cameras(Vec<RtspUrl>);

impl Cameras {
    /// Those, of which there are 1 to [`SOURCES_MAX`].
    pub fn new(cameras: Vec<RtspUrl>) -> Option<Self> {
        (1..=SOURCES_MAX).contains(&cameras.len()).then_some(Self(cameras))
    }

    /// Host and port of each, for everybody who may see a page: some cameras carry their password in the path.
    pub fn label(&self) -> String {
        self.iter()
            .map(|camera| format!("{}://{}", camera.url.scheme(), camera.address()))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

impl Deref for Cameras {
    type Target = [RtspUrl];

    fn deref(&self) -> &[RtspUrl] {
        &self.0
    }
}

impl From<RtspUrl> for Cameras {
    fn from(camera: RtspUrl) -> Self {
        Self(vec![camera])
    }
}

impl Source {
    /// The same of other cameras; nothing if one of them becomes none.
    pub(crate) fn map_cameras(&self, map: impl Fn(&RtspUrl) -> Option<RtspUrl>) -> Option<Source> {
        let all = |cameras: &Cameras| cameras.iter().map(&map).collect::<Option<Vec<_>>>().map(Cameras);
        Some(match self {
            Self::Rtsp(cameras) => Self::Rtsp(all(cameras)?),
            Self::Pair { high, low } => Self::Pair { high: all(high)?, low: all(low)? },
            Self::Demo => Self::Demo,
        })
    }

    /// Where it comes from: host and port of each camera.
    pub fn label(&self) -> String {
        match self {
            Self::Rtsp(cameras) => cameras.label(),
            Self::Pair { high, low } => format!("{{ high = {}, low = {} }}", high.label(), low.label()),
            Self::Demo => "demo".to_owned(),
        }
    }

    /// All cameras that it names.
    pub fn cameras(&self) -> impl Iterator<Item = &RtspUrl> {
        let (first, second): (&[RtspUrl], &[RtspUrl]) = match self {
            Self::Rtsp(cameras) => (cameras, &[]),
            Self::Pair { high, low } => (high, low),
            Self::Demo => (&[], &[]),
        };
        first.iter().chain(second)
    }

    /// What each layer comes from: the high one, and the low one if there is one.
    pub fn layers(&self) -> (Self, Option<Self>) {
        match self {
            Self::Pair { high, low } => (Self::Rtsp(high.clone()), Some(Self::Rtsp(low.clone()))),
            one => (one.clone(), None),
        }
    }
}

/// One path segment or several with `/` between them, as in `site1/gate`: 1 to 128 of `A-Z a-z 0-9 _ - . /`. No segment is
/// empty, begins with a dot (so that none leads elsewhere), or is one of the server's own paths. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName(Arc<str>);

/// Why a name was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamNameError {
    /// Nothing is no name.
    #[error("a stream's name is empty: write 1 to {NAME_MAX} of A-Z a-z 0-9 _ - . /")]
    Empty,
    /// More than 128 bytes; holds how many.
    #[error("the stream name `{}` has {} characters: write at most {NAME_MAX}", .0, .1)]
    Long(String, usize),
    /// A character that is not allowed.
    #[error("the stream name `{name}` has a `{}`: write 1 to {NAME_MAX} of A-Z a-z 0-9 _ - . /", .character.escape_debug())]
    Character {
        /// The name as it may be shown.
        name: String,
        /// The first character that is not allowed.
        character: char,
    },
    /// A segment that is empty or begins with a dot.
    #[error("the stream name `{}` has a part that is empty or begins with a dot: write it like site1/gate", .0)]
    Segment(String),
    /// A segment the server uses itself.
    #[error("the stream name `{}` {}: add a letter", .0, reserved_in(.0))]
    Reserved(String),
}

impl StreamName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As variables know it: in lower case, `_` for `-`, `.` and `/`.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase().replace(['-', '.', '/'], "_")
    }

    /// The environment variable that sets this stream's source. It reaches a name that is not [`folded`](Self::folded)
    /// only where the file or the command line has it, too.
    pub fn source_variable(&self) -> String {
        format!("SLUICE_STREAMS_{}_SOURCE", self.folded().to_ascii_uppercase())
    }
}

impl FromStr for StreamName {
    type Err = StreamNameError;

    fn from_str(name: &str) -> Result<Self, StreamNameError> {
        if name.is_empty() {
            return Err(StreamNameError::Empty);
        }
        if let Some(character) =
            name.chars().find(|c| !matches!(c, 'A'..='Z' | 'a'..='z' | '0'..='9' | '_' | '-' | '.' | '/'))
        {
            return Err(StreamNameError::Character { name: shown(name), character });
        }
        if name.len() > NAME_MAX {
            return Err(StreamNameError::Long(shown(name), name.len()));
        }
        if name.split('/').any(|segment| segment.is_empty() || segment.starts_with('.')) {
            return Err(StreamNameError::Segment(shown(name)));
        }
        if name.split('/').any(is_reserved) {
            return Err(StreamNameError::Reserved(name.to_owned()));
        }
        Ok(Self(name.into()))
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl AsRef<str> for StreamName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for StreamName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_path_segments() {
        for name in [
            "a",
            "cam1",
            "Front-Door_2",
            &"x".repeat(128),
            "apis",
            "demo",
            "site1/gate",
            "v1.2/a.b/c",
            "a..b",
        ] {
            assert_eq!(name.parse::<StreamName>().map(|name| name.to_string()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn says_which_rule_a_name_breaks() {
        for (name, message) in [
            ("", "a stream's name is empty: write 1 to 128 of A-Z a-z 0-9 _ - . /"),
            ("a b", "the stream name `a b` has a ` `: write 1 to 128 of A-Z a-z 0-9 _ - . /"),
            ("café", "the stream name `café` has a `é`: write 1 to 128 of A-Z a-z 0-9 _ - . /"),
            ("a\n", "the stream name `a ` has a `\\n`: write 1 to 128 of A-Z a-z 0-9 _ - . /"),
            ("u:canary@h", "the stream name `u:******@h` has a `:`: write 1 to 128 of A-Z a-z 0-9 _ - . /"),
        ] {
            assert_eq!(name.parse::<StreamName>().expect_err(name).to_string(), message);
        }
        for name in ["/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/.", ".well-known/x"] {
            let error = name.parse::<StreamName>().expect_err(name);
            assert_eq!(error, StreamNameError::Segment(name.to_owned()));
        }
        for name in ["whep", "a/whep", "a/whep/b", "static/x", "a/frame.mp4", "streams.json", "favicon.ico"] {
            assert_eq!(name.parse::<StreamName>(), Err(StreamNameError::Reserved(name.to_owned())));
        }
        let message = StreamNameError::Reserved("a/whep".to_owned()).to_string();
        assert!(
            message.starts_with("the stream name `a/whep` has `whep`, a path of the server, as are `api`, ")
        );
        assert_eq!(message.matches("`whep`").count(), 1, "{message}");
        let long = "x".repeat(129).parse::<StreamName>().expect_err("129 characters").to_string();
        assert_eq!(
            long,
            format!("the stream name `{}...` has 129 characters: write at most 128", "x".repeat(60))
        );
    }
}
