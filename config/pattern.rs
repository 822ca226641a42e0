//! Names of streams, several at once: `gate`, `yard-*`, `*`, or `~` and a regular expression, as files of MediaMTX have
//! them. It is asked for each request, and takes time in proportion to the name.

use std::str::FromStr;

use regex::{Regex, RegexBuilder};

/// Bytes that the program of one expression may take. More lets one line of the file, or one claim of a token, take
/// more memory.
const PROGRAM_MAX: usize = 64 * 1_024;

/// The longest pattern, in bytes.
const LONGEST: usize = 256;

/// Which streams are meant.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    /// Of one that begins with `~`.
    expression: Option<Regex>,
}

impl Pattern {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands behind `~`, if it begins with that.
    pub(crate) fn expression(&self) -> Option<&Regex> {
        self.expression.as_ref()
    }

    /// Whether the stream `name` is meant.
    pub fn fits(&self, name: &str) -> bool {
        match &self.expression {
            Some(expression) => expression.is_match(name),
            None => stars(self.text.as_bytes(), name.as_bytes()),
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("a pattern has {} characters: at most {LONGEST}", text.len()));
        }
        let Some(expression) = text.strip_prefix('~') else {
            let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '*');
            return match text.chars().find(|c| !known(*c)) {
                _ if text.is_empty() => Err("a pattern is empty: \"*\" means every stream".to_owned()),
                Some(c) => Err(format!(
                    "a pattern has a `{}`: write the name of a stream, with * for anything, or ~ and a regular \
                     expression",
                    c.escape_debug()
                )),
                None => Ok(Self { text: text.to_owned(), expression: None }),
            };
        };
        let expression = RegexBuilder::new(expression).size_limit(PROGRAM_MAX).build();
        match expression {
            Ok(expression) => Ok(Self { text: text.to_owned(), expression: Some(expression) }),
            Err(regex::Error::CompiledTooBig(_)) => Err("a regular expression is too large".to_owned()),
            Err(_) => Err("what follows ~ is no regular expression".to_owned()),
        }
    }
}

/// Whether `name` fits a pattern in which `*` stands for anything. Goes back to the last star only, so that it takes
/// no more than the product of the two lengths.
fn stars(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, n));
            p += 1;
        } else if pattern.get(p) == Some(&name[n]) {
            (p, n) = (p + 1, n + 1);
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            (p, n) = (at + 1, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_and_an_expression_for_what_it_says() {
        for (pattern, name, fits) in [
            ("gate", "gate", true),
            ("gate", "gates", false),
            ("gate", "Gate", false),
            ("*", "gate", true),
            ("yard-*", "yard-", true),
            ("yard-*", "yard-7", true),
            ("yard-*", "yard", false),
            ("*-7", "yard-7-7", true),
            ("*-7", "yard-77", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXcYb", false),
            ("site1/*", "site1/gate", true),
            ("site1/*", "site2/gate", false),
            ("**", "x", true),
            ("~^cam[0-9]+$", "cam12", true),
            ("~^cam[0-9]+$", "cam", false),
            ("~am", "cam1", true),
        ] {
            let parsed: Pattern = pattern.parse().expect(pattern);
            assert_eq!(parsed.fits(name), fits, "{pattern} {name}");
            assert_eq!(parsed.as_str(), pattern);
        }
    }

    #[test]
    fn what_means_no_stream_is_refused() {
        for (wrong, why) in [
            ("", "empty"),
            ("a b", "` `"),
            ("a?b", "`?`"),
            ("~(", "no regular expression"),
            ("~(a{1000}){1000}", "too large"),
            (&"x".repeat(300), "300 characters"),
        ] {
            let said = wrong.parse::<Pattern>().expect_err(wrong);
            assert!(said.contains(why), "{wrong}: {said}");
        }
    }
}
