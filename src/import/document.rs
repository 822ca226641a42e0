//! The configuration that an import writes: tables in the order of config/sluice.toml, each line with the key that it
//! comes from.
//!
//! Owns how TOML is written. What is in it stands on the caller.

use std::collections::HashMap;
use std::fmt::{self, Write as _};

use sluice_config::{Access, Config, ConfigError, File, Inputs, Mistake};

/// Tables in the order that they are written in; all others come behind.
const ORDER: [&str; 17] = [
    "http",
    "http.tls",
    "access",
    "access.jwt",
    "access.hook",
    "access.users",
    "admin",
    "admin.tls",
    "metrics",
    "compat",
    "pprof",
    "udp",
    "ice",
    "limits",
    "rtsp",
    "log",
    "streams",
];

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Toml {
    Text(String),
    Number(u64),
    Truth(bool),
    List(Vec<String>),
}

impl From<&str> for Toml {
    fn from(text: &str) -> Toml {
        Toml::Text(text.to_owned())
    }
}

impl fmt::Display for Toml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Toml::Text(text) => quote(f, text),
            Toml::Number(number) => write!(f, "{number}"),
            Toml::Truth(truth) => write!(f, "{truth}"),
            Toml::List(texts) => {
                f.write_char('[')?;
                for (place, text) in texts.iter().enumerate() {
                    f.write_str(if place == 0 { "" } else { ", " })?;
                    quote(f, text)?;
                }
                f.write_char(']')
            }
        }
    }
}

/// A basic string (TOML 1.0).
fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            c if c.is_control() => write!(f, "\\u{:04X}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

/// A name as a part of a key: bare where it may be.
pub(super) fn name(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { Toml::from(name).to_string() }
}

/// Tables with their lines.
#[derive(Debug, Default)]
pub(super) struct Document {
    tables: Vec<Table>,
    /// Where each is: a file has thousands of streams.
    places: HashMap<String, usize>,
}

#[derive(Debug)]
struct Table {
    path: String,
    lines: Vec<String>,
}

impl Document {
    /// A key of a table, behind those that it has; `from` says where it comes from.
    pub(super) fn set(&mut self, table: &str, key: &str, value: &Toml, from: &str) {
        let line = format!("{key} = {value}");
        let line = if from.is_empty() { line } else { format!("{line:<40}  # {from}") };
        self.lines(table).push(line);
    }

    /// A comment in a table, which begins with it if there is nothing before.
    pub(super) fn comment(&mut self, table: &str, text: &str) {
        self.lines(table).extend(text.lines().map(|line| format!("# {line}")));
    }

    /// Whether there is such a table.
    pub(super) fn has(&self, table: &str) -> bool {
        self.places.contains_key(table)
    }

    /// Who may do what by what is in it so far.
    pub(super) fn access(&self) -> Access {
        // Each value was tried before it was taken; whether they are good together is asked at the end.
        loaded(self.text("")).map(|config| config.access).unwrap_or_default()
    }

    fn lines(&mut self, path: &str) -> &mut Vec<String> {
        let at = self.places.get(path).copied().unwrap_or_else(|| {
            self.places.insert(path.to_owned(), self.tables.len());
            self.tables.push(Table { path: path.to_owned(), lines: Vec::new() });
            self.tables.len() - 1
        });
        &mut self.tables[at].lines
    }

    /// The file, with `head` as its first comment.
    pub(super) fn text(&self, head: &str) -> String {
        let mut text: String =
            head.lines().map(|line| format!("# {line}").trim_end().to_owned() + "\n").collect();
        let place = |path: &str| {
            let within = |table: &str| path == table || path.starts_with(&format!("{table}."));
            ORDER.iter().rposition(|table| within(table)).unwrap_or(ORDER.len())
        };
        let mut tables: Vec<&Table> = self.tables.iter().collect();
        // What is said of all streams comes before the first of them.
        tables.sort_by_key(|table| (place(&table.path), table.path != "streams"));
        for Table { path, lines } in tables {
            write!(text, "\n[{path}]\n").expect("a string takes everything");
            lines.iter().for_each(|line| {
                text += line;
                text.push('\n');
            });
        }
        text
    }
}

/// The listeners, any of which may have the port that another has unless somebody moves it.
const LISTENERS: [&str; 5] =
    ["http.listen", "admin.listen", "metrics.listen", "pprof.listen", "ice.tcp_listen"];

/// Reads a configuration, whatever other listener's port one of its own has: a value that is tried stands alone, and where two
/// collide in the end, `sluice check` says so of the result.
fn loaded(text: String) -> Result<Config, ConfigError> {
    let moved = LISTENERS.iter().filter(|key| !text.starts_with(*key));
    let sets = moved.map(|key| format!("{key}=127.0.0.1:0")).collect();
    let file = Some(File::Text { name: "imported".to_owned(), text });
    sluice_config::load(Inputs { file, sets, ..Inputs::default() })
}

/// Whether Sluice takes a configuration.
///
/// # Errors
///
/// The first thing that is wrong with it, in a sentence, and what is allowed.
pub(super) fn accepted(text: String) -> Result<(), String> {
    loaded(text).map(drop).map_err(|error| {
        // Where it stands is of no use, because nobody has that text.
        let Mistake { message, hint, .. } = error.mistakes().next().expect("an error is about something");
        // The key that is tried is named by whoever tells of it.
        let message = match message.strip_prefix('`').and_then(|rest| rest.split_once("`: ")) {
            Some((_, why)) => why.to_owned(),
            None => message,
        };
        hint.map_or(message.clone(), |hint| format!("{message} ({hint})"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_come_in_the_order_of_the_reference_and_texts_are_escaped() {
        let mut document = Document::default();
        document.set(
            &format!("streams.{}", name("site1/gate")),
            "source",
            &"rtsp://a/\"x\"\\".into(),
            "line 7",
        );
        document.set("log", "level", &"info".into(), "");
        document.set("http", "listen", &":8117".into(), "webrtcAddress");
        document.set("http.tls", "key", &"k".into(), "");
        document.set("access.users.ann", "read", &Toml::List(vec!["a".to_owned(), "~^b\n".to_owned()]), "");
        document.comment("http", "two\nlines");
        let expected = "# head\n\n[http]\nlisten = \":8117\"                          # webrtcAddress\n# two\n# lines\n\n\
                        [http.tls]\nkey = \"k\"\n\n[access.users.ann]\nread = [\"a\", \"~^b\\u000A\"]\n\n\
                        [log]\nlevel = \"info\"\n\n\
                        [streams.\"site1/gate\"]\nsource = \"rtsp://a/\\\"x\\\"\\\\\"               # line 7\n";
        assert_eq!(document.text("head"), expected);
    }

    #[test]
    fn what_is_refused_is_told_in_one_sentence() {
        assert_eq!(accepted("http.listen = ':8117'".to_owned()), Ok(()));
        for (text, why) in [
            (
                "http.listen = 'x'",
                "`x` is not an IP address and a port (allowed: \"ADDRESS:PORT\", or \":PORT\" for every address)",
            ),
            ("limits.setup_timeout = '5m'", "5m is out of range (allowed: 1s to 1m)"),
        ] {
            assert_eq!(accepted(text.to_owned()), Err(why.to_owned()));
        }
    }
}
