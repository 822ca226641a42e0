//! From the file, the environment and the command line to one [`Config`]: later sources win, and every source is read to
//! its end so that all problems are shown at once. Which keys exist is said in `schema.rs`; what does not go together,
//! in `load/checks.rs`.

mod checks;
mod command_line;
mod file;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    slice,
};

use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

pub use self::file::File;
use crate::{
    Config, ConfigError, Effective, StreamKey, StreamName, StreamText, absent,
    error::{API, ENVIRONMENT, Place, Problem, Text},
    redact::shown,
    resolve::{Found, NoNode, Node, PREFIX, Schema},
    schema::{Draft, SCHEMA},
    value::{Fault, Given},
    variable::path_of,
};

/// Where configuration comes from, in the order in which later wins. It may hold passwords, so it does not print.
#[derive(Clone, Default)]
pub struct Inputs {
    /// `-c FILE`.
    pub file: Option<File>,
    /// Variables, see [`environment`](crate::environment); those without `SLUICE_` are passed over. `SLUICE_UDP_PORT` is `udp.port`.
    /// Variables know no case and no `-`: `SLUICE_STREAMS_GATE_1_SOURCE` is of the stream that the file or the command
    /// line names `gate_1`, `gate-1` or `Gate_1`, and of a new one `gate_1` if none is named so.
    pub env: Vec<(String, String)>,
    /// `--set key=value`: the value without TOML's quotes, lists with commas. The last of several wins.
    pub sets: Vec<String>,
    /// `name=url` or `name=demo`, each name once. Replaces the source of a stream of that name and adds others.
    pub streams: Vec<String>,
    /// Streams as the API has set them: instead of what all others say of them. `None` is one that was removed.
    pub api: BTreeMap<StreamKey, Option<StreamText>>,
    /// Commands of the program: what is no stream may be one of them, mistyped.
    pub commands: Vec<String>,
}

/// Merges and checks everything.
///
/// # Errors
/// Every problem of every source. A file that is not TOML hides only its own further problems.
pub fn load(inputs: Inputs) -> Result<Config, ConfigError> {
    effective(inputs).map(|effective| effective.config)
}

/// As [`load`], with the value of each key and who gave it.
///
/// # Errors
/// Those of [`load`].
pub fn effective(inputs: Inputs) -> Result<Effective, ConfigError> {
    let mut loader = Loader::new(&SCHEMA);
    if let Some(file) = inputs.file {
        loader.file(file);
    }
    loader.spelt = loader.named.keys().filter_map(|name| name.parse().ok()).collect();
    loader.spelt.extend(command_line::names(&inputs.sets, &inputs.streams));
    for (name, value) in &inputs.env {
        loader.variable(name, value);
    }
    for set in &inputs.sets {
        loader.set(set);
    }
    loader.positional(&inputs.streams, &inputs.commands);
    for (name, stream) in &inputs.api {
        loader.stream(name, stream.as_ref());
    }
    loader.finish()
}

struct Loader {
    schema: &'static Schema<Draft>,
    draft: Draft,
    /// Names of streams as the file and the command line spell them.
    spelt: BTreeSet<StreamName>,
    /// Where each table was named first, by its path.
    tables: BTreeMap<String, Place>,
    /// Where each stream was named first. Its name may have dots, so a path does not tell.
    named: BTreeMap<String, Place>,
    /// Where each key was set last, by its path, and to what.
    places: BTreeMap<String, (Place, String)>,
    /// Keys that were refused at least once, or mistyped: they hold something nobody wrote.
    refused: BTreeSet<String>,
    /// The file could not be read to its end.
    incomplete: bool,
    problems: Vec<Problem>,
}

impl Loader {
    fn new(schema: &'static Schema<Draft>) -> Self {
        Self {
            schema,
            draft: Draft::default(),
            spelt: BTreeSet::new(),
            tables: BTreeMap::new(),
            named: BTreeMap::new(),
            places: BTreeMap::new(),
            refused: BTreeSet::new(),
            incomplete: false,
            problems: Vec::new(),
        }
    }

    fn file(&mut self, file: File) {
        let (name, raw) = match file.content() {
            Ok(content) => content,
            Err(problem) => {
                self.incomplete = true;
                return self.problems.push(problem);
            }
        };
        let (root, errors) = DeTable::parse_recoverable(&raw);
        let text = Text::hiding(&name, &raw, &self.strange(&mut Vec::new(), root.get_ref()));
        // Behind one mistake in the syntax a line often breaks more rules, and of a table that is there twice each key
        // may be: none of which is the reader's problem.
        let mut lines = BTreeSet::new();
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let (line, header) = (line_of(&raw, span.start), header_above(&raw, span.start));
            let duplicate = error.message() == "duplicate key";
            let follows = duplicate && header.is_some_and(|header| header != line && lines.contains(&header));
            if !follows && lines.insert(line) {
                self.incomplete |= !duplicate;
                self.problems.push(match duplicate {
                    true => Problem::new(format!(
                        "`{}` is set twice",
                        shown(raw.get(span.clone()).unwrap_or_default())
                    ))
                    .at(text.at(span), "again here".to_owned())
                    .help("remove one of the two".to_owned()),
                    false => Problem::new(format!("this is not TOML: {}", error.message()))
                        .at(text.at(span), "here".to_owned()),
                });
            }
        }
        if !self.incomplete {
            self.table(&mut Vec::new(), root.get_ref(), &text);
        }
        self.problems.sort_by_key(Problem::offset);
    }

    /// Where the values are that stand under a name that no key has, or where a table belongs.
    fn strange<'a>(&self, path: &mut Vec<&'a str>, table: &'a DeTable<'a>) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for (key, value) in table {
            path.push(key.get_ref());
            match (self.schema.resolve(path), value.get_ref()) {
                (Ok(Node::Table), DeValue::Table(inner)) => found.extend(self.strange(path, inner)),
                // Of the members of a key that takes a table those that it knows are texts or lists.
                (Ok(Node::Key(_)), DeValue::Table(members)) => {
                    let known = |name: &str, value: &DeValue<'_>| {
                        ["high", "low"].contains(&name) && !matches!(value, DeValue::Table(_))
                    };
                    let odd = members.iter().filter(|(name, value)| !known(name.get_ref(), value.get_ref()));
                    odd.for_each(|(_, value)| values(value, &mut found));
                }
                (Ok(Node::Key(_) | Node::Rows), _) => {}
                (Ok(Node::Table) | Err(_), _) => values(value, &mut found),
            }
            path.pop();
        }
        found
    }

    /// Walks `table`, which stands at `path`, a table of the schema.
    fn table<'a>(&mut self, path: &mut Vec<&'a str>, table: &'a DeTable<'a>, text: &Text) {
        for (key, value) in table {
            path.push(key.get_ref());
            let joined = path.join(".");
            match (self.schema.resolve(path), value.get_ref()) {
                (Ok(Node::Table), DeValue::Table(inner)) => {
                    self.tables.entry(joined).or_insert_with(|| text.at(key.span()));
                    self.name_stream(path, || text.at(key.span()));
                    self.table(path, inner, text);
                }
                (Ok(Node::Rows), DeValue::Array(rows)) => self.rows(path, rows, text),
                (Ok(Node::Key(found)), _) => self.apply(path, &found, &Given::Toml(value), text),
                (Ok(Node::Table | Node::Rows), _) => self.not_a_table(path, text.at(value.span())),
                (Err(no_node), _) => self.unknown("key", &joined, text.at(key.span()), no_node),
            }
            path.pop();
        }
    }

    /// Walks tables in a row; what tells them apart in a path is their number.
    fn rows<'a>(&mut self, path: &[&str], rows: &'a DeArray<'a>, text: &Text) {
        for (number, row) in rows.iter().enumerate() {
            let number = number.to_string();
            let mut path: Vec<&str> = path.iter().copied().chain([number.as_str()]).collect();
            match row.get_ref() {
                DeValue::Table(inner) => {
                    self.tables.entry(path.join(".")).or_insert_with(|| text.at(row.span()));
                    self.table(&mut path, inner, text);
                }
                _ => self.not_a_table(&path, text.at(row.span())),
            }
        }
    }

    fn variable(&mut self, name: &str, value: &str) {
        if !name.starts_with(PREFIX) {
            return;
        }
        // One line, whatever the value holds: the rules that hide passwords work on lines.
        let line = format!("{name}={value}").replace('\n', " ");
        let text = Text::new(ENVIRONMENT, &line);
        let place = || text.at(0..name.len());
        let unknown = |loader: &mut Self, no_node| {
            let text = Text::hiding(ENVIRONMENT, &line, slice::from_ref(&(name.len() + 1..line.len())));
            loader.unknown("variable", name, text.at(0..name.len()), no_node);
        };
        let mut path = match path_of(name, &self.schema.keys()) {
            Ok(path) => path,
            Err(no_node) => return unknown(self, no_node),
        };
        if let [table, stream, ..] = &mut path[..]
            && table == "streams"
            && let Ok(folded) = stream.parse()
        {
            match self.stream_meant(folded) {
                Ok(meant) => *stream = meant.to_string(),
                Err(several) => {
                    return self.problems.push(
                        Problem::new(format!("`{name}` may be of any of the streams {several}"))
                            .at(place(), "a variable knows no case and no `-`".to_owned())
                            .help("rename one of them, or use --set".to_owned()),
                    );
                }
            }
        }
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match self.schema.resolve(&path) {
            Ok(Node::Key(found)) => {
                self.apply(&path, &found, &Given::Text { text: value, at: name.len() + 1 }, &text);
            }
            // Only keys have variables.
            Ok(Node::Table | Node::Rows) => {}
            Err(no_node) => unknown(self, no_node),
        }
    }

    /// The stream that a variable is about, whose name came out in lower case and with `_` for `-`: the one that
    /// is named so elsewhere, or a new one. Fails with their names if they are several.
    fn stream_meant(&self, folded: StreamName) -> Result<StreamName, String> {
        if self.spelt.contains(&folded) {
            return Ok(folded);
        }
        let found: Vec<&StreamName> =
            self.spelt.iter().filter(|name| name.folded() == folded.as_str()).collect();
        match found[..] {
            [] => Ok(folded),
            [name] => Ok(name.clone()),
            _ => Err(found.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
        }
    }

    /// Makes a stream what the API has set, and nothing of what others said of it.
    fn stream(&mut self, name: &StreamKey, stream: Option<&StreamText>) {
        self.draft.streams.remove(name);
        self.named.remove(name.as_str());
        for key in self.schema.keys() {
            if let Some(key) = key.path.strip_prefix("streams.NAME.") {
                self.places.remove(&format!("streams.{name}.{key}"));
            }
        }
        let Some(stream) = stream else { return };
        let (root, errors) = DeTable::parse_recoverable(stream.lines());
        let text = Text::hiding(
            API,
            stream.lines(),
            &self.strange(&mut vec!["streams", name.as_str()], root.get_ref()),
        );
        if let Some(error) = errors.first() {
            let problem = Problem::new(format!("this is not TOML: {}", error.message()));
            return self.problems.push(problem.at(text.at(error.span().unwrap_or(0..0)), "here".to_owned()));
        }
        let mut path = vec!["streams", name.as_str()];
        self.name_stream(&path, || text.at(0..0));
        self.table(&mut path, root.get_ref(), &text);
    }

    /// Writes down where a stream was named, if `path` leads into one.
    fn name_stream(&mut self, path: &[&str], place: impl FnOnce() -> Place) {
        if let ["streams", name, ..] = path
            && !self.named.contains_key(*name)
        {
            self.named.insert((*name).to_owned(), place());
        }
    }

    /// Sets the key at `path`.
    fn apply(&mut self, path: &[&str], found: &Found<Draft>, given: &Given<'_>, text: &Text) {
        if let [table @ .., _] = path {
            self.tables.entry(table.join(".")).or_insert_with(|| text.at(given.span()));
        }
        self.name_stream(path, || text.at(given.span()));
        let path = path.join(".");
        let Err(faults) = (found.set)(&mut self.draft, given) else {
            self.places.insert(path, (text.at(given.span()), given.written()));
            return;
        };
        let bare = matches!(given, Given::Text { .. });
        let commas = if bare && found.is_list { ", with commas between them: A,B" } else { "" };
        for Fault { why, meant, span } in faults {
            let problem = Problem::new(format!("`{path}`: {why}"));
            let (place, allowed) = (text.at(span), format!("allowed: {}{commas}", found.allowed));
            self.problems.push(match meant {
                Some(meant) => problem.at(place, format!("did you mean `{meant}`?")).help(allowed),
                None => problem.at(place, allowed),
            });
        }
        self.refused.insert(path);
    }

    fn not_a_table(&mut self, path: &[&str], place: Place) {
        let table = path.join(".");
        let example = match (self.schema.resolve(path), path) {
            (Ok(Node::Rows), _) => format!("write [[{table}]] and its keys below it"),
            (_, [""] | []) => {
                let problem = Problem::new("there is no key before the `=`".to_owned());
                return self
                    .problems
                    .push(problem.at(place, "write KEY=VALUE, as in udp.port=8189".to_owned()));
            }
            (_, ["streams"]) => "write streams.NAME.source = ...".to_owned(),
            (_, ["streams", name]) => format!("write streams.{name}.source = ..."),
            _ => format!("write {table}.KEY = ..."),
        };
        let problem = Problem::new(format!("`{table}` is a table of keys, not a value"));
        self.problems.push(problem.at(place, example));
    }

    fn unknown(&mut self, what: &str, name: &str, place: Place, no_node: NoNode) {
        if let Some(reason) = absent::reason(name) {
            let problem = Problem::new(format!("`{}` is no key: {reason}", shown(name)));
            return self.problems.push(problem.at(place, "this".to_owned()));
        }
        self.problems.push(match no_node {
            NoNode::Name(why) => Problem::new(why).at(place, "this name".to_owned()),
            NoNode::Unknown { meant, known } => {
                let label = match meant {
                    Some(meant) => {
                        let label = format!("did you mean `{meant}`?");
                        // One mistake: that this key is missing is no other.
                        self.refused.insert(meant);
                        label
                    }
                    None => "nothing like it is known".to_owned(),
                };
                Problem::new(format!("unknown {what} `{}`", shown(name))).at(place, label).help(known)
            }
        });
    }

    /// What can only be seen when everything was read.
    fn finish(mut self) -> Result<Effective, ConfigError> {
        if !self.incomplete {
            self.check();
        }
        if !self.problems.is_empty() {
            return Err(ConfigError::new(self.problems));
        }
        let mut places = self.places;
        let given = |key: &str| places.remove(key).map(|(place, value)| (value, place.given()));
        Ok(Effective::new(self.draft.config, given))
    }
}

/// Where all that is no table is in `value`.
fn values(value: &Spanned<DeValue<'_>>, found: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::Table(inner) => inner.values().for_each(|value| values(value, found)),
        DeValue::Array(inner) => inner.iter().for_each(|value| values(value, found)),
        _ => found.push(value.span()),
    }
}

/// The line, counted from 0, that a byte is in.
fn line_of(text: &str, byte: usize) -> usize {
    ends(&text.as_bytes()[..byte.min(text.len())])
}

fn ends(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

/// The line, counted from 0, with the name of the table that a byte is in, or of the name itself.
fn header_above(text: &str, byte: usize) -> Option<usize> {
    let lines = text.lines().take(line_of(text, byte) + 1);
    lines.enumerate().filter(|(_, line)| line.trim_start().starts_with('[')).last().map(|(number, _)| number)
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
