//! What an import says: what it took, what has no counterpart and what to do, and what it does not know.
//!
//! Owns the grouping: a key that stands at 64 paths is one line. Holds no value of a key that could be a secret.

use std::collections::HashMap;
use std::fmt;

/// Where something stands in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'a> {
    /// The key.
    pub(super) key: &'a str,
    /// Its line; 0 if it is not there, and what MediaMTX does then holds.
    pub(super) line: usize,
    /// The path that it is of.
    pub(super) path: Option<&'a str>,
}

/// The parts of a report, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// It is in the result, in other words.
    Taken,
    /// It is not, and somebody has to do something.
    Missing,
    /// It is not, and nothing is lost.
    Needless,
    /// It is none of MediaMTX's.
    Unknown,
}

#[derive(Debug)]
struct Line {
    part: Part,
    key: String,
    words: String,
    /// Line and path, in the order of the file.
    at: Vec<(usize, Option<String>)>,
}

/// A report.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// The file.
    pub(super) file: String,
    /// Paths that are streams now, and all that there were.
    pub(super) streams: (usize, usize),
    /// Sentences about the whole.
    pub(super) notes: Vec<String>,
    lines: Vec<Line>,
    /// Where the line of each thing is.
    places: HashMap<(Part, String, String), usize>,
}

/// Paths named in one line; the rest is counted.
const NAMED: usize = 5;

impl Report {
    /// Of a file that nothing is known of yet.
    pub(super) fn new(file: &str) -> Report {
        Report { file: file.to_owned(), ..Report::default() }
    }

    /// Something about a key.
    pub(super) fn add(&mut self, part: Part, at: At<'_>, words: impl Into<String>) {
        let words = words.into();
        let place = (at.line, at.path.map(str::to_owned));
        match self.places.get(&(part, at.key.to_owned(), words.clone())) {
            Some(index) => self.lines[*index].at.push(place),
            None => {
                self.places.insert((part, at.key.to_owned(), words.clone()), self.lines.len());
                self.lines.push(Line { part, key: at.key.to_owned(), words, at: vec![place] });
            }
        }
    }

    /// The same of what stands at one place for several paths: told once for that place.
    pub(super) fn once(&mut self, part: Part, at: At<'_>, words: String) {
        let place = |(line, path): &(usize, Option<String>)| (*line, path.as_deref()) == (at.line, at.path);
        let line = self.places.get(&(part, at.key.to_owned(), words.clone()));
        let is_told = line.is_some_and(|index| self.lines[*index].at.iter().any(place));
        if !is_told {
            self.add(part, at, words);
        }
    }

    /// Things that somebody has to do something about.
    fn missing(&self) -> usize {
        self.lines.iter().filter(|line| line.part == Part::Missing).count()
    }

    /// What to do once the result is written into a file.
    pub(super) fn next(&self, file: &str) -> String {
        let look = match self.missing() {
            0 => String::new(),
            1 => "look at the one thing that is not here, then: ".to_owned(),
            several => format!("look at the {several} things that are not here, then: "),
        };
        format!("{file} is written; {look}sluice check {}", quoted(file))
    }
}

/// Somebody's text without what would move a terminal's cursor.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// A name in a list: in quotation marks where it would not be seen to end.
fn listed(name: &str) -> String {
    let name = printable(name);
    if name.contains(|c: char| c.is_whitespace() || c == ',') { format!("\"{name}\"") } else { name }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,%@+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line { key, words, at, .. } = self;
        let named: Vec<String> =
            at.iter().filter_map(|(_, path)| path.as_deref()).take(NAMED).map(listed).collect();
        let more = at.iter().filter(|(_, path)| path.is_some()).count() - named.len();
        write!(f, "  {} (", printable(key))?;
        match at[0].0 {
            0 => f.write_str("MediaMTX's default")?,
            line => write!(f, "line {line}")?,
        }
        if at.len() > 1 {
            write!(f, " and {} more", at.len() - 1)?;
        }
        if !named.is_empty() {
            write!(f, "; {}", named.join(", "))?;
            if more > 0 {
                write!(f, " and {more} more")?;
            }
        }
        writeln!(f, "): {words}")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (taken, all) = self.streams;
        let paths = match (taken, all) {
            (1, 1) => "its one path is a stream now".to_owned(),
            (1, all) => format!("1 of {all} paths is a stream now"),
            (taken, all) => format!("{taken} of {all} paths are streams now"),
        };
        writeln!(f, "{}: {paths}", self.file)?;
        for (part, head) in [
            (Part::Taken, "Taken over:"),
            (Part::Missing, "Not here, and what to do:"),
            (Part::Needless, "Not here, and nothing is lost:"),
            (Part::Unknown, "Unknown, left out:"),
        ] {
            let lines: Vec<&Line> = self.lines.iter().filter(|line| line.part == part).collect();
            if !lines.is_empty() {
                writeln!(f, "\n{head}")?;
                lines.iter().try_for_each(|line| line.fmt(f))?;
            }
        }
        if !self.notes.is_empty() {
            writeln!(f, "\nBesides:")?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "  {note}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_many_paths_is_one_line() {
        let mut report = Report { streams: (7, 7), ..Report::new("m.yml") };
        report.add(Part::Taken, At { key: "webrtcAddress", line: 3, path: None }, "http.listen");
        for path in 1..=7 {
            let name = format!("cam{path}");
            report.add(
                Part::Missing,
                At { key: "record", line: 10 + path, path: Some(&name) },
                "nothing is recorded",
            );
        }
        report.notes.push("a note".to_owned());
        let expected = "m.yml: 7 of 7 paths are streams now\n\nTaken over:\n  webrtcAddress (line 3): http.listen\n\n\
                        Not here, and what to do:\n  record (line 11 and 6 more; cam1, cam2, cam3, cam4, cam5 and 2 \
                        more): nothing is recorded\n\nBesides:\n  a note\n";
        assert_eq!(report.to_string(), expected);
    }

    #[test]
    fn one_thing_is_not_called_several_and_names_are_seen_to_end() {
        let mut report = Report { streams: (1, 3), ..Report::new("m.yml") };
        assert_eq!(report.next("/etc/s.toml"), "/etc/s.toml is written; sluice check /etc/s.toml");
        report.add(
            Part::Missing,
            At { key: "record", line: 4, path: Some("back yard") },
            "nothing is recorded",
        );
        report.add(Part::Unknown, At { key: "a\u{1b}[31m", line: 9, path: Some("b\u{1b}[31m") }, "unknown");
        report.add(Part::Taken, At { key: "apiAddress", line: 0, path: None }, "admin.listen = \":9997\"");
        assert_eq!(
            report.next("my file"),
            "my file is written; look at the one thing that is not here, then: sluice check 'my file'"
        );
        report.add(Part::Missing, At { key: "record", line: 5, path: None }, "nothing else is recorded");
        assert!(report.next("a").contains("look at the 2 things that are not here"), "{}", report.next("a"));
        let said = report.to_string();
        for line in [
            "m.yml: 1 of 3 paths is a stream now\n",
            "  apiAddress (MediaMTX's default): admin.listen = \":9997\"\n",
            "  record (line 4; \"back yard\"): nothing is recorded\n",
            "  a?[31m (line 9; b?[31m): unknown\n",
        ] {
            assert!(said.contains(line), "{line}{said}");
        }
    }
}
