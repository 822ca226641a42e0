//! From the file, the environment and the command line to one [`Config`]: later sources win, and every source is read to
//! its end so that all problems are shown at once. Which keys exist is said in `schema.rs`; this file reads one file,
//! nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{ErrorKind, Read},
    ops::Range,
    path::{Path, PathBuf},
    slice,
};

use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use crate::{
    Acme, Config, ConfigError, Effective, Stream, StreamName, StreamText,
    error::{API, COMMAND_LINE, ENVIRONMENT, Place, Problem, Text},
    redact::shown,
    resolve::{Found, NoNode, Node, PREFIX, Schema},
    schema::{Draft, SCHEMA, StreamDraft},
    suggest::nearest,
    value::{Fault, Given},
    variable::path_of,
};

/// The largest file read. Ten thousand streams fit; `/dev/zero` does not.
const FILE_MAX: u64 = 4 << 20;

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
    pub api: BTreeMap<StreamName, Option<StreamText>>,
    /// Commands of the program: what is no stream may be one of them, mistyped.
    pub commands: Vec<String>,
}

/// A file to read, or one that was read already.
#[derive(Clone)]
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

impl File {
    /// The same file, with the text that it has now. The name that is shown stays.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn read(self) -> Result<File, ConfigError> {
        let (name, text) = self.content().map_err(|problem| ConfigError::new(vec![problem]))?;
        Ok(File::Text { name, text })
    }

    /// Name and text.
    fn content(self) -> Result<(String, String), Problem> {
        match self {
            File::Text { name, text } => Ok((name, text)),
            File::Path(path) => match read(&path) {
                Ok(text) => Ok((path.display().to_string(), text)),
                Err((why, way_out)) => {
                    let problem = Problem::new(format!("cannot read `{}`: {why}", path.display()));
                    Err(problem.help(way_out.to_owned()))
                }
            },
        }
    }
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
    loader.spelt.extend(names(&inputs.sets, &inputs.streams));
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

/// Names of streams on the command line. What is wrong with them is said where they are applied.
fn names(sets: &[String], streams: &[String]) -> impl Iterator<Item = StreamName> {
    let named = |argument: &String| argument.split_once('=')?.0.parse().ok();
    let set = |argument: &String| match segments(argument.split_once('=')?.0)[..] {
        ["streams", name, ..] => name.parse().ok(),
        _ => None,
    };
    streams.iter().filter_map(named).chain(sets.iter().filter_map(set))
}

/// The segments of a key: apart at dots, but for those between quotation marks (`streams."v1.2".source`), as TOML has it.
fn segments(key: &str) -> Vec<&str> {
    let mut is_quoted = false;
    let apart = key.split(|c| {
        is_quoted ^= c == '"';
        c == '.' && !is_quoted
    });
    let bare = |segment: &str| Some((segment.strip_prefix('"')?.strip_suffix('"')?).len());
    apart.map(|segment| bare(segment).map_or(segment, |length| &segment[1..=length])).collect()
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

    fn set(&mut self, argument: &str) {
        const OPTION: &str = "--set ";
        let line = format!("{OPTION}{argument}").replace('\n', " ");
        let text = Text::new(COMMAND_LINE, &line);
        let Some((key, value)) = argument.split_once('=') else {
            let place = text.at(OPTION.len()..OPTION.len() + argument.len());
            return self.problems.push(
                Problem::new("`--set` without a value".to_owned())
                    .at(place, "write KEY=VALUE, as in udp.port=8189".to_owned()),
            );
        };
        let path = segments(key);
        let end = OPTION.len() + key.len();
        let place =
            Text::hiding(COMMAND_LINE, &line, slice::from_ref(&(end + 1..line.len()))).at(OPTION.len()..end);
        match self.schema.resolve(&path) {
            Ok(Node::Table | Node::Rows) => self.not_a_table(&path, place),
            Ok(Node::Key(found)) => {
                let given = Given::Text { text: value, at: OPTION.len() + key.len() + 1 };
                self.apply(&path, &found, &given, &text);
            }
            Err(no_node) => self.unknown("key", key, place, no_node),
        }
    }

    fn positional(&mut self, arguments: &[String], commands: &[String]) {
        let mut named = BTreeSet::new();
        for argument in arguments {
            let text = Text::new(COMMAND_LINE, &argument.replace('\n', " "));
            let Some((name, url)) = argument.split_once('=').filter(|(name, _)| !name.contains("://")) else {
                let command = nearest(argument, commands.iter().map(String::as_str));
                self.problems.push(no_stream(argument, text.at(0..argument.len()), command, commands));
                // What comes behind a command is for it.
                if command.is_some() {
                    return;
                }
                continue;
            };
            let path = ["streams", name, "source"];
            match self.schema.resolve(&path) {
                Ok(_) if !named.insert(name) => self.problems.push(
                    Problem::new(format!("the stream `{name}` is named twice"))
                        .at(text.at(0..name.len()), "give one of them another name".to_owned()),
                ),
                Ok(Node::Key(found)) => {
                    self.apply(&path, &found, &Given::Text { text: url, at: name.len() + 1 }, &text);
                }
                Ok(Node::Table | Node::Rows) => self.not_a_table(&path, text.at(0..name.len())),
                Err(no_node) => self.unknown("stream", name, text.at(0..name.len()), no_node),
            }
        }
    }

    /// Makes a stream what the API has set, and nothing of what others said of it.
    fn stream(&mut self, name: &StreamName, stream: Option<&StreamText>) {
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
        for Fault { why, meant, span } in faults {
            let problem = Problem::new(format!("`{path}`: {why}"));
            let (place, allowed) = (text.at(span), format!("allowed: {}", found.allowed));
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
            (_, ["streams"]) => "write streams.NAME.source = ...".to_owned(),
            (_, ["streams", name]) => format!("write streams.{name}.source = ..."),
            _ => format!("write {table}.KEY = ..."),
        };
        let problem = Problem::new(format!("`{table}` is a table of keys, not a value"));
        self.problems.push(problem.at(place, example));
    }

    fn unknown(&mut self, what: &str, name: &str, place: Place, no_node: NoNode) {
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
            self.check_ports();
            self.check_reconnect();
            self.check_tls();
            self.check_users();
            self.finish_streams();
        }
        if !self.problems.is_empty() {
            return Err(ConfigError::new(self.problems));
        }
        let mut places = self.places;
        let given = |key: &str| places.remove(key).map(|(place, value)| (value, place.given()));
        Ok(Effective::new(self.draft.config, given))
    }

    fn check_ports(&mut self) {
        let (port, count) = (self.draft.config.udp.port, self.draft.config.shards.count);
        let tcp_port = self.draft.config.ice.tcp_listen.map(|address| address.port());
        for (key, port) in [("udp.port", Some(port)), ("ice.tcp_listen", tcp_port)] {
            let last = u32::from(port.unwrap_or_default()) + u32::from(count.max(1)) - 1;
            if let Some(port) = port
                && last > u32::from(u16::MAX)
            {
                let highest = u32::from(u16::MAX) + 1 - u32::from(count);
                self.conflict(
                    [key, "shards.count"],
                    format!("{count} shards from `{key}` = {port} need ports up to {last}"),
                    format!("at most {highest} for {count} shards"),
                );
            }
        }
    }

    fn check_reconnect(&mut self) {
        let (min, max) = (self.draft.config.rtsp.reconnect_min, self.draft.config.rtsp.reconnect_max);
        if min > max {
            let [min, max] = [min, max].map(crate::format_duration);
            self.conflict(
                ["rtsp.reconnect_min", "rtsp.reconnect_max"],
                format!("`rtsp.reconnect_min` = {min} is longer than `rtsp.reconnect_max` = {max}"),
                "raise the one or lower the other".to_owned(),
            );
        }
    }

    fn check_tls(&mut self) {
        let Config { http, admin, .. } = &self.draft.config;
        let (http, admin) = (http.clone(), admin.tls.clone());
        let pairs = [
            ("http.tls", http.tls.certificate.as_ref(), http.tls.key.as_ref()),
            ("admin.tls", admin.certificate.as_ref(), admin.key.as_ref()),
        ];
        for (table, certificate, key) in pairs {
            let names = [format!("{table}.certificate"), format!("{table}.key")];
            let (there, missing) = match (certificate, key) {
                (Some(_), None) => (&names[0], &names[1]),
                (None, Some(_)) => (&names[1], &names[0]),
                _ => continue,
            };
            self.conflict(
                [&names[0], &names[1]],
                format!("`{there}` without `{missing}`"),
                format!("set {missing} too, or neither of them for plain HTTP"),
            );
        }
        if http.tls.acme.is_on() && http.tls.certificate.is_some() {
            self.conflict(
                ["http.tls.acme.domains", "http.tls.certificate"],
                "`http.tls.acme.domains` beside `http.tls.certificate`: one listener shows one certificate"
                    .to_owned(),
                "take one of them out".to_owned(),
            );
        }
        let (acme, usual) = (&http.tls.acme, Acme::default());
        for (key, is_set) in [
            ("contact", acme.contact != usual.contact),
            ("directory", acme.directory != usual.directory),
            ("cache", acme.cache != usual.cache),
            ("root", acme.root != usual.root),
        ] {
            if is_set && !acme.is_on() {
                let key = format!("http.tls.acme.{key}");
                self.conflict(
                    [&key, "http.tls.acme.domains"],
                    format!("`{key}` without `http.tls.acme.domains`: no certificate is asked for"),
                    "set http.tls.acme.domains too, or take this out".to_owned(),
                );
            }
        }
        if !http.hsts.is_zero() && !http.tls.is_on() {
            self.conflict(
                ["http.hsts", "http.tls.certificate"],
                "`http.hsts` without `http.tls.certificate`: plain HTTP may not ask for it (RFC 6797 §7.2)"
                    .to_owned(),
                "where a proxy does TLS, let it send the header".to_owned(),
            );
        }
    }

    fn check_users(&mut self) {
        for (name, user) in &self.draft.config.access.users {
            let table = format!("access.users.{name}");
            let refused = |key: &str| self.refused.contains(&format!("{table}.{key}"));
            if user.password.is_some() || !user.from.is_empty() || refused("password") || refused("from") {
                continue;
            }
            let problem = Problem::new(format!("the user `{name}` has neither a password nor addresses"));
            let label = format!("set {table}.password, or {table}.from for whoever comes from there");
            self.problems.push(match self.tables.get(&table) {
                Some(place) => problem.at(place.clone(), label),
                None => problem.help(label),
            });
        }
    }

    /// Two keys that do not go together; shown at the first of them that somebody wrote.
    fn conflict(&mut self, keys: [&str; 2], message: String, label: String) {
        if keys.iter().any(|key| self.refused.contains(*key)) {
            return;
        }
        let problem = Problem::new(message);
        let place = keys.iter().find_map(|key| self.places.get(*key)).map(|(place, _)| place.clone());
        self.problems.push(match place {
            Some(place) => problem.at(place, label),
            None => problem.help(label),
        });
    }

    fn finish_streams(&mut self) {
        for (name, StreamDraft { source, rtsp_transport }) in std::mem::take(&mut self.draft.streams) {
            if let Some(source) = source {
                self.draft.config.streams.insert(name, Stream { source, rtsp_transport });
            }
        }
        // A table counts even if it is empty.
        for (name, place) in &self.named {
            let source = format!("streams.{name}.source");
            if !self.draft.config.streams.contains_key(&**name) && !self.refused.contains(&source) {
                self.problems.push(
                    Problem::new(format!("the stream `{name}` has no source"))
                        .at(place.clone(), format!("add {source}")),
                );
            }
        }
    }
}

/// What an argument that is no NAME=URL was meant as.
/// Where all that is no table is in `value`.
fn values(value: &Spanned<DeValue<'_>>, found: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::Table(inner) => inner.values().for_each(|value| values(value, found)),
        DeValue::Array(inner) => inner.iter().for_each(|value| values(value, found)),
        _ => found.push(value.span()),
    }
}

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

/// The text of a file, or why there is none and the way out.
fn read(path: &Path) -> Result<String, (String, &'static str)> {
    let unreadable = |error: std::io::Error| {
        let way_out = match error.kind() {
            ErrorKind::NotFound => {
                "-c names the file itself; without -c Sluice serves a demo, or NAME=URL of the command line"
            }
            ErrorKind::IsADirectory => "name the file in it, as in -c /etc/sluice/sluice.toml",
            ErrorKind::PermissionDenied => "let the user read it that Sluice runs as",
            _ => "name another file",
        };
        (error.to_string(), way_out)
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let other = "this is not a configuration: name another file";
    if bytes.len() as u64 > FILE_MAX {
        return Err((format!("it is larger than {}", crate::Bytes::new(FILE_MAX)), other));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = ends(&error.as_bytes()[..error.utf8_error().valid_up_to()]) + 1;
        (format!("line {line} is not UTF-8"), "save it as UTF-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Reload,
        resolve::{Key, Repeated},
        value::Kind,
    };

    /// `[[admin.users]]` with a name, put into a list that is there.
    static USERS: Repeated<Draft, String, usize> = Repeated {
        path: "admin.users",
        rows: true,
        one: "a user",
        name: |number| number.parse().map_err(|_| format!("`{number}` is no number of a user")),
        enter: |draft, number| {
            let users = &mut draft.config.admin.hosts;
            users.resize(users.len().max(number + 1), String::new());
            &mut users[*number]
        },
        schema: Schema {
            keys: &[Key {
                path: "name",
                default: None,
                reload: Reload::Live,
                kind: Kind::Choice(&["ann", "bob"], |user, index| *user = ["ann", "bob"][index].to_owned()),
            }],
            repeated: &[],
        },
    };
    static WITH_USERS: Schema<Draft> = Schema { keys: SCHEMA.keys, repeated: &[&USERS] };

    fn read(text: &str, sets: &[&str], env: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let mut loader = Loader::new(&WITH_USERS);
        loader.file(File::Text { name: "a.toml".to_owned(), text: text.to_owned() });
        env.iter().for_each(|(name, value)| loader.variable(name, value));
        sets.iter().for_each(|set| loader.set(set));
        let config = loader.finish().map_err(|error| error.to_string())?.config;
        Ok(config.admin.hosts)
    }

    #[test]
    fn tables_in_a_row_are_read_in_order_and_reached_by_their_numbers() {
        let two = "[[admin.users]]\nname = \"ann\"\n[[admin.users]]\nname = \"ann\"\n";
        assert_eq!(read(two, &[], &[]), Ok(vec!["ann".to_owned(), "ann".to_owned()]));
        let changed = read(two, &["admin.users.1.name=bob"], &[("SLUICE_ADMIN_USERS_0_NAME", "bob")]);
        assert_eq!(changed, Ok(vec!["bob".to_owned(), "bob".to_owned()]));
    }

    #[test]
    fn what_is_wrong_in_a_row_is_said_with_its_number_and_its_place() {
        for (text, lines) in [
            (
                "[[admin.users]]\nname = \"bib\"\n",
                &["`admin.users.0.name`: `bib` is not known", "[a.toml:2:8]", "did you mean `\"bob\"`?"][..],
            ),
            (
                "[[admin.users]]\n[[admin.users]]\nnme = \"bob\"\n",
                &["unknown key `admin.users.1.nme`", "did you mean `admin.users.1.name`?", "a user has name"],
            ),
            (
                "[admin.users]\nname = \"bob\"\n",
                &["`admin.users` is a table of keys, not a value", "write [[admin.users]]"],
            ),
            ("admin.users = [7]\n", &["`admin.users.0` is a table of keys, not a value", "[a.toml:1:16]"]),
        ] {
            let said = read(text, &[], &[]).expect_err(text);
            for line in lines {
                assert!(said.contains(line), "{said}");
            }
        }
    }
}
