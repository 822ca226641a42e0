//! What the command line says: `--set KEY=VALUE`, and streams as `NAME=URL`.

use std::{collections::BTreeSet, path::Path, slice};

use super::Loader;
use crate::{
    StreamName,
    error::{COMMAND_LINE, Place, Problem, Text},
    redact::shown,
    resolve::Node,
    suggest::nearest,
    value::Given,
};

/// Names of streams on the command line. What is wrong with them is said where they are applied.
pub(super) fn names(sets: &[String], streams: &[String]) -> impl Iterator<Item = StreamName> {
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

impl Loader {
    pub(super) fn set(&mut self, argument: &str) {
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

    pub(super) fn positional(&mut self, arguments: &[String], commands: &[String]) {
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
