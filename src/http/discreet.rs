//! What everybody may read of a camera's trouble: what kind it is, and not where the camera is.
//!
//! The whole text is for operators (the log and the admin listener). It may hold words of the camera's own, in any form.

use std::net::{IpAddr, SocketAddr};

/// Stands for the source's own address.
const CAMERA: &str = "the camera";

/// Stands for any other.
const OTHER: &str = "another address";

/// Names that mean a machine of the operator whatever the source is called.
const LOCAL: [&str; 2] = ["localhost", "localhost.localdomain"];

/// What stands before the address of a camera.
const NAMED: &str = "camera ";

/// What stands between its address and the one that it led to.
const DETOUR: &str = " led to ";

/// Ways to cameras, as advices name them. Of `rtsp+http://` the end is looked at.
const SCHEMES: [&str; 4] = ["rtsp://", "rtsps://", "http://", "https://"];

/// A text about a source without hosts, addresses, ports and URLs. `source` is the stream's own label, as in
/// `rtsp://host:port`, or several with `, ` between them.
pub fn discreet(text: &str, source: &str) -> String {
    let place = Place::of(source);
    let mut out = String::with_capacity(text.len());
    let mut rest = place.without_urls(&without_cameras(text));
    while !rest.is_empty() {
        // What an address can be written with; everything between is left as it is.
        let word = rest.find(|c: char| !is_of_word(c)).unwrap_or(rest.len());
        let gap = rest[word..].find(is_of_word).map_or(rest.len(), |at| word + at);
        place.tell(&rest[..word], &mut out);
        out.push_str(&rest[word..gap]);
        rest = rest.split_off(gap);
    }
    for stand_in in [CAMERA, OTHER] {
        let twice = format!("{stand_in} {stand_in}");
        while out.contains(&twice) {
            out = out.replace(&twice, stand_in);
        }
    }
    out
}

/// The text without the address of `camera HOST:PORT`, whichever: failures begin so, wherever in a text they stand, and a camera
/// may be where it was before its source was changed. That it led to another of its addresses is left out with that.
fn without_cameras(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(NAMED) {
        let (before, named) = rest.split_at(at);
        let behind = &named[NAMED.len()..];
        let end = behind.find(|c: char| !is_of_word(c)).unwrap_or(behind.len());
        out.push_str(before);
        let is_word = !before.ends_with(char::is_alphanumeric);
        if is_word && has_port(&behind[..end]) {
            let article = if before.ends_with("the ") { "camera" } else { CAMERA };
            out.push_str(article);
            rest = behind[end..].strip_prefix(DETOUR).and_then(behind_detour).unwrap_or(&behind[end..]);
        } else {
            out.push_str(NAMED);
            rest = behind;
        }
    }
    out + rest
}

/// What is behind ` led to HOST:PORT, which`.
fn behind_detour(text: &str) -> Option<&str> {
    let (address, behind) = text.split_once(", which")?;
    (has_port(address) && address.chars().all(is_of_word)).then_some(behind)
}

fn has_port(word: &str) -> bool {
    word.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | ':' | '-' | '_' | '[' | ']' | '%')
}

/// Where a source is, or may be: hosts and ports.
struct Place<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Place<'a> {
    fn of(source: &'a str) -> Place<'a> {
        let each = source.split(", ").map(|source| {
            let authority = source.split_once("://").map_or("", |(_, rest)| rest);
            let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
            (host.trim_matches(['[', ']']), port)
        });
        Place(each.collect())
    }

    fn is_port(&self, word: &str) -> bool {
        !word.is_empty() && self.0.iter().any(|(_, port)| *port == word)
    }

    /// The text with what stands for it where a URL is.
    fn without_urls(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("://") {
            let scheme = rest[..at]
                .rfind(|c: char| !c.is_ascii_alphanumeric())
                .map_or(0, |before| before + rest[before..].chars().next().map_or(1, char::len_utf8));
            let end = rest[at..].find(|c: char| c.is_whitespace() || "\"'<>,;".contains(c));
            let end = end.map_or(rest.len(), |length| at + length);
            let url = rest[..end].trim_end_matches(['.', ':', '!', '?', ')']);
            out.push_str(&rest[..scheme]);
            if SCHEMES.contains(&&url[scheme..]) {
                // The name of a scheme alone, in an advice: it names no place.
                out.push_str(&url[scheme..]);
                rest = &rest[url.len()..];
                continue;
            }
            let authority = url.get(at..).unwrap_or_default().trim_start_matches("://");
            let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
            let host = authority.rsplit('@').next().unwrap_or_default();
            out.push_str(self.stand_in(host));
            rest = &rest[url.len().max(at + 3)..];
        }
        out + rest
    }

    /// What stands for a word that names a place.
    fn stand_in(&self, word: &str) -> &'static str {
        let own = |part: &str| self.is_host(part);
        let whole = word.rsplit_once(':').map_or(word, |(name, _)| name).trim_matches(['[', ']']);
        let is_own = own(word.trim_matches(['[', ']']))
            || own(whole)
            || self.is_port(word)
            || word.split([':', '[', ']', '%', '_', '-']).any(own);
        if is_own { CAMERA } else { OTHER }
    }

    /// Writes `word`, or what stands for it.
    fn tell(&self, word: &str, out: &mut String) {
        let bare = word.trim_end_matches(['.', ':', '-']);
        let tail = &word[bare.len()..];
        if bare.is_empty() || !self.is_named_by(bare) {
            return out.push_str(word);
        }
        out.push_str(self.stand_in(bare));
        out.push_str(tail);
    }

    fn is_named_by(&self, word: &str) -> bool {
        let whole = word.trim_matches(['[', ']']);
        let is_address = |text: &str| text.parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok();
        let without_port = word.rsplit_once(':').map_or(word, |(name, _)| name).trim_matches(['[', ']']);
        // As in `http:127.0.0.1`, `name:8554`, `x-10.0.0.7`, and the port alone.
        let pieces = word.split([':', '[', ']', '%']);
        let parts = pieces.flat_map(|piece| std::iter::once(piece).chain(piece.split(['_', '-'])));
        is_address(whole)
            || is_address(word)
            || self.is_host(whole)
            || self.is_host(without_port)
            || self.is_port(whole)
            || parts.into_iter().any(|part: &str| is_address(part) || self.is_host(part))
    }

    /// Whether it is the host's name, or a name below that.
    fn is_host(&self, name: &str) -> bool {
        // A dot at the end means the same name (RFC 1034 §3.1).
        let plain = |name: &str| name.trim_matches('.').to_ascii_lowercase();
        let name = plain(name);
        let is_of = |host: &str| {
            let host = plain(host);
            let below = || name.strip_suffix(&host).is_some_and(|front| front.ends_with('.'));
            !host.is_empty() && (name == host || below())
        };
        !name.is_empty() && (LOCAL.contains(&&*name) || self.0.iter().any(|(host, _)| is_of(host)))
    }
}

/// The kind of a source, for everybody: `rtsp`, `demo`.
/// Of several they are of one kind.
pub fn kind(source: &str) -> &str {
    source.split_once("://").map_or(source, |(scheme, _)| scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_left_out_and_the_rest_stays() {
        for (text, source, expected) in [
            (
                "cannot connect to 192.0.2.7:554: connection refused (os error 111)",
                "rtsp://192.0.2.7:554",
                "cannot connect to the camera: connection refused (os error 111)",
            ),
            (
                "camera 192.0.2.7:554 cannot be reached: is it on?",
                "rtsp://192.0.2.7:554",
                "the camera cannot be reached: is it on?",
            ),
            ("gate.lan:554 does not answer", "rtsp://gate.lan:554", "the camera does not answer"),
            (
                "GATE.lan, 10.0.0.7 and [fd00::7]:554!",
                "rtsp://gate.lan:554",
                "the camera, another address and another address!",
            ),
            (
                "it says \"moved to rtsp://10.0.0.9/x\".",
                "rtsp://a:554",
                "it says \"moved to another address\".",
            ),
            (
                "fd00::7 at 12:30 sent 4.5 MB (404)",
                "rtsp://[fd00::7]:554",
                "the camera at 12:30 sent 4.5 MB (404)",
            ),
            (
                "is it the right port, or does it want rtsp://? Or rtsp+http://. Or (rtsps://)",
                "rtsp://a:554",
                "is it the right port, or does it want rtsp://? Or rtsp+http://. Or (rtsps://)",
            ),
            ("the demo ended", "demo", "the demo ended"),
            (
                "camera old.lan:554 has a name that does not resolve (127.0.0.53 says no): check it",
                "rtsp://new.lan:554",
                "the camera has a name that does not resolve (another address says no): check it",
            ),
            (
                "no picture yet: camera old.lan:554 has a name that does not resolve; the camera old.lan:554 is away",
                "rtsp://new.lan:554",
                "no picture yet: the camera has a name that does not resolve; the camera is away",
            ),
            (
                "camera gate.lan:554 led to gate.lan:8554, which cannot be reached: is it on?",
                "rtsp://gate.lan:554",
                "the camera cannot be reached: is it on?",
            ),
            (
                "camera gate.lan:554 led to another path of its own, and there it closed the connection",
                "rtsp://gate.lan:554",
                "the camera led to another path of its own, and there it closed the connection",
            ),
            ("is gate.lan.:554 right?", "rtsp://gate.lan.:554", "is the camera right?"),
            ("is gate.lan:554 right?", "rtsp://gate.lan.:554", "is the camera right?"),
            ("is [fe80::7%eth0]:554 right?", "rtsp://[fe80::7%eth0]:554", "is the camera right?"),
            (
                "camera yard.lan:8554 does not answer, nor does gate.lan",
                "rtsp://gate.lan:554, rtsp://yard.lan:8554",
                "the camera does not answer, nor does the camera",
            ),
        ] {
            assert_eq!(discreet(text, source), expected);
        }
        assert_eq!((kind("rtsp://192.0.2.7:554"), kind("demo")), ("rtsp", "demo"));
    }

    #[test]
    fn a_camera_that_tells_where_it_is_in_its_own_words_is_not_repeated() {
        for said in [
            "RTSP/1.0 404 127.0.0.1:8555/Streaming/101 is not there",
            "404 Stream 127.0.0.1/live not found",
            "404 host=127.0.0.1;port=8555",
            "x,127.0.0.1,y",
            "at?127.0.0.1?not",
            "http:127.0.0.1",
            "localhost:8555",
            "(127.0.0.1)",
            "rtsp://u:p@127.0.0.1:8555/a?b=c, or so",
            "a://://127.0.0.1",
            "cam-127.0.0.1_8555",
        ] {
            let told = discreet(said, "rtsp://127.0.0.1:8555");
            let leaks = ["127.0", "8555", "localhost"].iter().any(|part| told.contains(part));
            assert!(!leaks, "{said} gives {told}");
        }
        let told = discreet("x=cam7.gate.lan;y", "rtsp://gate.lan:554");
        assert_eq!(told, "x=the camera;y");
        assert_eq!(
            discreet("\u{e4}://\u{fc} \u{20ac}://", "rtsp://a:1"),
            "\u{e4}another address \u{20ac}another address"
        );
    }
}
