//! What stands behind `streams.`: the name of a stream, or a pattern of names (`~` and a regular expression, as MediaMTX has
//! it) for streams that are made when somebody asks for one of them.
//!
//! Owns which names a pattern is for, and what becomes of one.

use std::{cmp::Ordering, fmt, str::FromStr};

use crate::{Config, Pattern, Stream, StreamName, redact::shown, template};

/// A pattern of names. The longest goes before others: it says most.
#[derive(Clone)]
pub struct StreamPattern {
    pattern: Pattern,
    groups: usize,
}

impl StreamPattern {
    /// As it was written, `~` and all.
    pub fn as_str(&self) -> &str {
        self.pattern.as_str()
    }

    /// How many parts of a name it finds.
    pub(crate) fn groups(&self) -> usize {
        self.groups
    }

    /// What its groups find in a name, if it is for that.
    fn found<'n>(&self, name: &'n str) -> Option<Vec<Option<&'n str>>> {
        let captures = self.pattern.expression()?.captures(name)?;
        Some(captures.iter().skip(1).map(|group| group.map(|group| group.as_str())).collect())
    }
}

impl FromStr for StreamPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("the pattern of names `{}`: {why}", shown(text));
        let pattern: Pattern = text.parse().map_err(|why: String| wrong(&why))?;
        let groups = pattern.expression().map(|expression| expression.captures_len().saturating_sub(1));
        let groups = groups.ok_or_else(|| wrong("it does not begin with ~"))?;
        Ok(Self { pattern, groups })
    }
}

impl PartialEq for StreamPattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for StreamPattern {}

impl PartialOrd for StreamPattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for StreamPattern {
    fn cmp(&self, other: &Self) -> Ordering {
        let (own, others) = (self.as_str(), other.as_str());
        others.len().cmp(&own.len()).then_with(|| own.cmp(others))
    }
}

impl fmt::Debug for StreamPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// One of the two.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StreamKey {
    /// A stream.
    Name(StreamName),
    /// Those that are made.
    Pattern(StreamPattern),
}

impl StreamKey {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        match self {
            StreamKey::Name(name) => name.as_str(),
            StreamKey::Pattern(pattern) => pattern.as_str(),
        }
    }
}

impl FromStr for StreamKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.starts_with('~') {
            true => text.parse().map(StreamKey::Pattern),
            false => {
                text.parse().map(StreamKey::Name).map_err(|error: crate::StreamNameError| error.to_string())
            }
        }
    }
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<StreamName> for StreamKey {
    fn from(name: StreamName) -> Self {
        StreamKey::Name(name)
    }
}

impl Config {
    /// What is said of a stream, or of those that are made by a pattern.
    pub fn said_of(&self, key: &StreamKey) -> Option<&Stream> {
        match key {
            StreamKey::Name(name) => self.streams.get(name),
            StreamKey::Pattern(pattern) => self.patterns.get(pattern),
        }
    }

    /// The stream that is made when somebody asks for `name`, and the pattern that it is made by: the longest
    /// that is for that name and whose source may be asked by it. It is on demand, whatever is said of others.
    /// Nothing for the name of a stream that there is.
    pub fn made(&self, name: &str) -> Option<(&StreamPattern, Stream)> {
        if self.patterns.is_empty() || self.streams.contains_key(name) || name.parse::<StreamName>().is_err()
        {
            return None;
        }
        self.patterns.iter().find_map(|(pattern, stream)| {
            let source = template::fill(&stream.source, &pattern.found(name)?)?;
            Some((pattern, Stream { source, on_demand: Some(true), ..stream.clone() }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{File, Inputs, load};

    fn config(text: &str) -> Result<Config, String> {
        let file = Some(File::Text { name: "a.toml".to_owned(), text: text.to_owned() });
        load(Inputs { file, ..Inputs::default() }).map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_that_fits_makes_a_stream_that_is_on_demand() {
        let config = config(
            "[streams.cam1]\nsource = 'demo'\n\
             [streams.'~^cam(\\d+)$']\nsource = 'rtsp://u:canary@10.0.0.$1/main'\nrtsp_transport = 'udp'\n\
             [streams.'~^(.+)$']\nsource = 'rtsp://origin/$1'\n",
        )
        .expect("a configuration");
        let made = |name: &str| {
            config.made(name).map(|(pattern, stream)| (pattern.as_str().to_owned(), stream.source.label()))
        };
        let of = |pattern: &str, label: &str| Some((pattern.to_owned(), label.to_owned()));
        assert_eq!(made("cam17"), of("~^cam(\\d+)$", "rtsp://10.0.0.17:554"));
        assert_eq!(made("site1/gate"), of("~^(.+)$", "rtsp://origin:554"));
        assert_eq!(made("cam300"), of("~^(.+)$", "rtsp://origin:554"), "the next that takes it");
        assert_eq!(made("cam1"), None, "it is there");
        for none in ["a/../b", "cam17/whep", "", "a b", "cam\n1"] {
            assert_eq!(made(none), None, "{none:?}");
        }
        let (_, stream) = config.made("cam17").expect("a stream");
        assert!(config.on_demand_of(&stream).enabled);
        assert_eq!(stream.rtsp_transport, Some(crate::Transport::Udp));
    }

    #[test]
    fn what_is_wrong_with_a_pattern_is_said_with_its_name() {
        for (text, lines) in [
            ("[streams.'~^cam(']\nsource = 'demo'\n", &["`~^cam(`", "no regular expression"][..]),
            (
                "[streams.'~^cam(\\d+)$']\nsource = 'rtsp://u:canary@h/$9'\n",
                &["~^cam(", "there is no `$9`", "one group, which is $1", "[a.toml:2:10]"],
            ),
            (
                "[streams.'~^a$']\nsource = 'demo'\non_demand = false\n",
                &["made when somebody asks", "[a.toml:3:13]"],
            ),
            ("[streams.'~^a$']\nrtsp_transport = 'tcp'\n", &["`~^a$` has no source"]),
        ] {
            let said = config(text).expect_err(text);
            for line in lines {
                assert!(said.contains(line), "{line}\n{said}");
            }
            assert!(!said.contains("canary"), "{said}");
        }
    }
}
