//! What an import says: what it took, what has no counterpart and what to do, and what it does not know.
//!
//! Owns the grouping: a key that stands at 64 paths is one line. Holds no value of a key that could be a secret.

use std::fmt;

/// Where something stands in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'a> {
    /// The key.
    pub(super) key: &'a str,
    /// Its line; 0 if it is not there, and MediaMTX's default holds.
    pub(super) line: usize,
    /// The path that it is of.
    pub(super) path: Option<&'a str>,
}

/// The parts of a report, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
        let same = |line: &&mut Line| (line.part, &line.key[..], &line.words) == (part, at.key, &words);
        match self.lines.iter_mut().find(same) {
            Some(line) => line.at.push(place),
            None => self.lines.push(Line { part, key: at.key.to_owned(), words, at: vec![place] }),
        }
    }

    /// Things that somebody has to do something about.
    pub(super) fn missing(&self) -> usize {
        self.lines.iter().filter(|line| line.part == Part::Missing).count()
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line { key, words, at, .. } = self;
        let named: Vec<&str> = at.iter().filter_map(|(_, path)| path.as_deref()).take(NAMED).collect();
        let more = at.iter().filter(|(_, path)| path.is_some()).count() - named.len();
        write!(f, "  {key} (")?;
        match at[0].0 {
            // What MediaMTX does where the file says nothing.
            0 => f.write_str("not in the file")?,
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
        writeln!(f, "{}: {taken} of {all} paths are streams now", self.file)?;
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
        assert_eq!(report.missing(), 1);
    }
}
