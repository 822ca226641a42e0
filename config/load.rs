//! From the file, the environment and the command line to one [`Config`]: later sources win, and every source is read to
//! its end so that all problems are shown at once. Which keys exist is said in `schema.rs`; this file reads one file and
//! the process's environment, nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    path::{Path, PathBuf},
};

use toml::de::{DeTable, DeValue};

use crate::{
    Config, ConfigError, Stream, StreamName,
    error::{Place, Problem, Text},
    redact::shown,
    schema::{Draft, NoNode, Node, resolve, resolve_variable},
    suggest::nearest,
    value::{Fault, Given},
};

/// The largest file read. Ten thousand streams fit; `/dev/zero` does not.
const FILE_MAX: u64 = 4 << 20;

/// The prefix of the variables that belong to us. There is none with it that is not a key.
const PREFIX: &str = "SLUICE_";

/// Where configuration comes from, in the order in which later wins. It may hold passwords, so it does not print.
#[derive(Default)]
pub struct Inputs {
    /// `-c FILE`.
    pub file: Option<File>,
    /// Variables, see [`environment`]; those without `SLUICE_` are passed over. `SLUICE_UDP_PORT` is `udp.port`.
    /// Variables know no case and no `-`: `SLUICE_STREAMS_GATE_1_SOURCE` is of the stream that the file or the command
    /// line names `gate_1`, `gate-1` or `Gate_1`, and of a new one `gate_1` if none is named so.
    pub env: Vec<(String, String)>,
    /// `--set key=value`: the value without TOML's quotes, lists with commas. The last of several wins.
    pub sets: Vec<String>,
    /// `name=url` or `name=demo`, each name once. Replaces the source of a stream of that name and adds others.
    pub streams: Vec<String>,
    /// Commands of the program: what is no stream may be one of them, mistyped.
    pub commands: Vec<String>,
}

/// A file to read, or one that was read already.
pub enum File {
    /// At most 4 MiB of UTF-8.
    Path(PathBuf),
    /// Its name is only shown.
    Text {
        /// For messages.
        name: String,
        /// TOML.
        text: String,
    },
}

/// The `SLUICE_*` variables of this process, sorted by name. Bytes that are not UTF-8 become U+FFFD, which no key takes.
pub fn environment() -> Vec<(String, String)> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let ours = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
    let mut ours: Vec<_> = ours.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    ours.sort();
    ours
}

/// Merges and checks everything.
///
/// # Errors
/// Every problem of every source. A file that is not TOML hides only its own further problems.
pub fn load(inputs: Inputs) -> Result<Config, ConfigError> {
    let mut loader = Loader::default();
    if let Some(file) = inputs.file {
        loader.file(file);
    }
    loader.spelt = loader.streams.keys().cloned().collect();
    loader.spelt.extend(names(&inputs.sets, &inputs.streams));
    for (name, value) in &inputs.env {
        loader.variable(name, value);
    }
    for set in &inputs.sets {
        loader.set(set);
    }
    loader.positional(&inputs.streams, &inputs.commands);
    loader.finish()
}

/// Names of streams on the command line. What is wrong with them is said where they are applied.
fn names(sets: &[String], streams: &[String]) -> impl Iterator<Item = StreamName> {
    let named = |argument: &String| argument.split_once('=')?.0.parse().ok();
    let set = |argument: &String| {
        let (name, _) = argument.split_once('=')?.0.strip_prefix("streams.")?.split_once('.')?;
        name.parse().ok()
    };
    streams.iter().filter_map(named).chain(sets.iter().filter_map(set))
}

#[derive(Default)]
struct Loader {
    config: Config,
    streams: BTreeMap<StreamName, StreamDraft>,
    /// Names of streams as the file and the command line spell them.
    spelt: BTreeSet<StreamName>,
    /// Where each key was set last.
    places: BTreeMap<&'static str, Place>,
    /// Keys that were refused at least once: they hold something nobody wrote.
    refused: BTreeSet<&'static str>,
    /// The file could not be read to its end.
    incomplete: bool,
    problems: Vec<Problem>,
}

#[derive(Default)]
struct StreamDraft {
    values: Draft,
    /// Where the stream was named first.
    place: Option<Place>,
    /// A source was given and refused; one problem is enough.
    source_refused: bool,
}

impl Loader {
    fn file(&mut self, file: File) {
        let (name, raw) = match file {
            File::Text { name, text } => (name, text),
            File::Path(path) => match read(&path) {
                Ok(raw) => (path.display().to_string(), raw),
                Err(why) => {
                    self.incomplete = true;
                    return self
                        .problems
                        .push(Problem::new(format!("cannot read `{}`: {why}", path.display())));
                }
            },
        };
        let text = Text::new(&name, &raw);
        let (root, errors) = DeTable::parse_recoverable(&raw);
        // Behind one mistake in the syntax a line often breaks more rules, none of which is the reader's problem.
        let mut lines = BTreeSet::new();
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            if lines.insert(raw[..span.start.min(raw.len())].matches('\n').count()) {
                let duplicate = error.message() == "duplicate key";
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

    /// Walks `table`, which stands at `path`, a table of the schema.
    fn table<'a>(&mut self, path: &mut Vec<&'a str>, table: &'a DeTable<'a>, text: &Text) {
        for (key, value) in table {
            path.push(key.get_ref());
            match (resolve(path), value.get_ref()) {
                (Ok(Node::Table), DeValue::Table(inner)) => {
                    if let ["streams", name] = path[..] {
                        self.name_stream(name, text.at(key.span()));
                    }
                    self.table(path, inner, text);
                }
                (Ok(Node::Table), _) => self.not_a_table(path, text.at(value.span())),
                (Ok(node), _) => self.apply(node, &Given::Toml(value), text),
                (Err(no_node), _) => self.unknown("key", &path.join("."), text.at(key.span()), no_node),
            }
            path.pop();
        }
    }

    fn variable(&mut self, name: &str, value: &str) {
        if !name.starts_with(PREFIX) {
            return;
        }
        // One line, whatever the value holds: the rules that hide passwords work on lines.
        let text = Text::new("environment", &format!("{name}={value}").replace('\n', " "));
        match resolve_variable(name) {
            Ok(Node::StreamKey(stream, key)) => match self.stream_meant(stream) {
                Ok(stream) => {
                    let given = Given::Text { text: value, at: name.len() + 1 };
                    self.apply(Node::StreamKey(stream, key), &given, &text);
                }
                Err(several) => self.problems.push(
                    Problem::new(format!("`{name}` may be of any of the streams {several}"))
                        .at(text.at(0..name.len()), "a variable knows no case and no `-`".to_owned())
                        .help("rename one of them, or use --set".to_owned()),
                ),
            },
            Ok(node) => self.apply(node, &Given::Text { text: value, at: name.len() + 1 }, &text),
            Err(no_node) => self.unknown("variable", name, text.at(0..name.len()), no_node),
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

    fn set(&mut self, argument: &str) {
        const OPTION: &str = "--set ";
        let text = Text::new("command line", &format!("{OPTION}{argument}").replace('\n', " "));
        let Some((key, value)) = argument.split_once('=') else {
            let place = text.at(OPTION.len()..OPTION.len() + argument.len());
            return self.problems.push(
                Problem::new("`--set` without a value".to_owned())
                    .at(place, "write KEY=VALUE, as in udp.port=8189".to_owned()),
            );
        };
        let path: Vec<_> = key.split('.').collect();
        let place = text.at(OPTION.len()..OPTION.len() + key.len());
        match resolve(&path) {
            Ok(Node::Table) => self.not_a_table(&path, place),
            Ok(node) => {
                self.apply(node, &Given::Text { text: value, at: OPTION.len() + key.len() + 1 }, &text)
            }
            Err(no_node) => self.unknown("key", key, place, no_node),
        }
    }

    fn positional(&mut self, arguments: &[String], commands: &[String]) {
        let mut named = BTreeSet::new();
        for argument in arguments {
            let text = Text::new("command line", &argument.replace('\n', " "));
            let Some((name, url)) = argument.split_once('=').filter(|(name, _)| !name.contains("://")) else {
                let command = nearest(argument, commands.iter().map(String::as_str));
                self.problems.push(no_stream(argument, text.at(0..argument.len()), command, commands));
                // What comes behind a command is for it.
                if command.is_some() {
                    return;
                }
                continue;
            };
            match resolve(&["streams", name, "source"]) {
                Ok(_) if !named.insert(name) => self.problems.push(
                    Problem::new(format!("the stream `{name}` is named twice"))
                        .at(text.at(0..name.len()), "give one of them another name".to_owned()),
                ),
                Ok(node) => self.apply(node, &Given::Text { text: url, at: name.len() + 1 }, &text),
                Err(no_node) => self.unknown("stream", name, text.at(0..name.len()), no_node),
            }
        }
    }

    fn apply(&mut self, node: Node, given: &Given<'_>, text: &Text) {
        let (path, allowed, result) = match node {
            Node::Table => return,
            Node::Key(key) => {
                let result = key.kind.apply(&mut self.config, given);
                match result {
                    Ok(()) => _ = self.places.insert(key.path, text.at(given.span())),
                    Err(_) => _ = self.refused.insert(key.path),
                }
                (key.path.to_owned(), key.kind.allowed(), result)
            }
            Node::StreamKey(name, key) => {
                let path = format!("streams.{name}.{}", key.path);
                let stream = self.streams.entry(name).or_default();
                stream.place.get_or_insert_with(|| text.at(given.span()));
                let result = key.kind.apply(&mut stream.values, given);
                stream.source_refused |= key.path == "source" && result.is_err();
                (path, key.kind.allowed(), result)
            }
        };
        let Err(Fault { why, meant, span }) = result else { return };
        let (problem, place, allowed) =
            (Problem::new(format!("`{path}`: {why}")), text.at(span), format!("allowed: {allowed}"));
        self.problems.push(match meant {
            Some(meant) => problem.at(place, format!("did you mean `{meant}`?")).help(allowed),
            None => problem.at(place, allowed),
        });
    }

    /// A stream's table counts even if it is empty. Its name is known to be good.
    fn name_stream(&mut self, name: &str, place: Place) {
        if let Ok(name) = name.parse() {
            self.streams.entry(name).or_default().place.get_or_insert(place);
        }
    }

    fn not_a_table(&mut self, path: &[&str], place: Place) {
        let example = match path {
            ["streams"] => "streams.NAME.source".to_owned(),
            ["streams", name] => format!("streams.{name}.source"),
            path => format!("{}.KEY", path.join(".")),
        };
        let problem = Problem::new(format!("`{}` is a table of keys, not a value", path.join(".")));
        self.problems.push(problem.at(place, format!("write {example} = ...")));
    }

    fn unknown(&mut self, what: &str, name: &str, place: Place, no_node: NoNode) {
        self.problems.push(match no_node {
            NoNode::Name(error) => Problem::new(error.to_string()).at(place, "this name".to_owned()),
            NoNode::Unknown { meant, known } => {
                let label = match meant {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => "nothing like it is known".to_owned(),
                };
                Problem::new(format!("unknown {what} `{}`", shown(name))).at(place, label).help(known)
            }
        });
    }

    /// What can only be seen when everything was read.
    fn finish(mut self) -> Result<Config, ConfigError> {
        if !self.incomplete {
            self.check_ports();
            self.check_reconnect();
            self.finish_streams();
        }
        if self.problems.is_empty() { Ok(self.config) } else { Err(ConfigError::new(self.problems)) }
    }

    fn check_ports(&mut self) {
        let (port, count) = (self.config.udp.port, self.config.shards.count);
        let last = u32::from(port) + u32::from(count.max(1)) - 1;
        if last > u32::from(u16::MAX) {
            let highest = u32::from(u16::MAX) + 1 - u32::from(count);
            self.conflict(
                ["udp.port", "shards.count"],
                format!("{count} shards from `udp.port` = {port} need ports up to {last}"),
                format!("at most {highest} for {count} shards"),
            );
        }
    }

    fn check_reconnect(&mut self) {
        let (min, max) = (self.config.rtsp.reconnect_min, self.config.rtsp.reconnect_max);
        if min > max {
            let [min, max] = [min, max].map(crate::format_duration);
            self.conflict(
                ["rtsp.reconnect_min", "rtsp.reconnect_max"],
                format!("`rtsp.reconnect_min` = {min} is longer than `rtsp.reconnect_max` = {max}"),
                "raise the one or lower the other".to_owned(),
            );
        }
    }

    /// Two keys that do not go together; shown at the first of them that somebody wrote.
    fn conflict(&mut self, keys: [&str; 2], message: String, label: String) {
        if keys.iter().any(|key| self.refused.contains(key)) {
            return;
        }
        let problem = Problem::new(message);
        let place = keys.iter().find_map(|key| self.places.get(key)).cloned();
        self.problems.push(match place {
            Some(place) => problem.at(place, label),
            None => problem.help(label),
        });
    }

    fn finish_streams(&mut self) {
        for (name, StreamDraft { values, place, source_refused }) in std::mem::take(&mut self.streams) {
            match (values.source, place) {
                (Some(source), _) => {
                    self.config
                        .streams
                        .insert(name, Stream { source, rtsp_transport: values.rtsp_transport });
                }
                (None, Some(place)) if !source_refused => {
                    let label = format!("add streams.{name}.source");
                    self.problems
                        .push(Problem::new(format!("the stream `{name}` has no source")).at(place, label));
                }
                (None, _) => {}
            }
        }
    }
}

/// What an argument that is no NAME=URL was meant as.
fn no_stream(argument: &str, place: Place, command: Option<&str>, commands: &[String]) -> Problem {
    if argument.contains("://") {
        return Problem::new("a stream without a name".to_owned())
            .at(place, "write NAME= before it, as in cam1=rtsp://...".to_owned());
    }
    let problem = Problem::new(format!("`{}` is neither a command nor a stream", shown(argument)));
    if argument.ends_with(".toml") || Path::new(argument).is_file() {
        return problem.at(place, "to serve what a file says, write -c before it".to_owned());
    }
    match command {
        Some(meant) => problem.at(place, format!("did you mean `{meant}`?")),
        None => problem
            .at(place, "a stream is NAME=URL, as in cam1=rtsp://...".to_owned())
            .help(format!("commands: {}", commands.join(", "))),
    }
}

fn read(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(format!("it is larger than {}", crate::Bytes::new(FILE_MAX)));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        format!("line {} is not UTF-8", valid.iter().filter(|b| **b == b'\n').count() + 1)
    })
}
