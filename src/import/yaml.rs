//! YAML as text with its lines: what a scalar means is decided by the key that it stands at, because MediaMTX's `yes`,
//! `:8889` and `0600` are not what a YAML library makes of them.
//!
//! Owns the tree, aliases and merged tables (`<<`), and the bound on how large those can make it.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// Nodes of one file at the most, those that aliases repeat counted. A file of 10,000 paths has some 100,000.
const NODES_MAX: usize = 1_000_000;

/// Tables within tables at the most.
const DEPTH_MAX: usize = 32;

/// A value, and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    /// From 1.
    pub(super) line: usize,
    pub(super) value: Value,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// A scalar, as written.
    Text(String),
    List(Vec<Node>),
    /// In the order of the file.
    Table(Vec<(String, Node)>),
}

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum YamlError {
    #[error("line {0}: {1}")]
    Syntax(usize, String),
    #[error("line {0}: `{1}` stands there twice")]
    Twice(usize, String),
    #[error("line {0}: a key that is no text")]
    Key(usize),
    #[error("line {0}: more than {NODES_MAX} values, or more than {DEPTH_MAX} levels")]
    Large(usize),
    #[error("it is no table of keys")]
    NoTable,
}

impl Node {
    /// The text of a scalar; "" of nothing.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Null => Some(""),
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A boolean in any of the spellings of YAML 1.1.
    pub(super) fn truth(&self) -> Option<bool> {
        match self.text()?.to_ascii_lowercase().as_str() {
            "yes" | "true" | "on" | "y" => Some(true),
            "no" | "false" | "off" | "n" | "" => Some(false),
            _ => None,
        }
    }

    /// Texts of a list; one text counts as a list of it, nothing as an empty one.
    pub(super) fn texts(&self) -> Vec<&str> {
        match &self.value {
            Value::List(nodes) => nodes.iter().filter_map(Node::text).collect(),
            Value::Text(text) if !text.is_empty() => vec![text],
            _ => Vec::new(),
        }
    }

    /// Members of a table; none of anything else.
    pub(super) fn members(&self) -> &[(String, Node)] {
        match &self.value {
            Value::Table(members) => members,
            _ => &[],
        }
    }

    pub(super) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    pub(super) fn member(&self, key: &str) -> Option<&Node> {
        self.members().iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// Whether it asks for nothing: off, none, empty or zero.
    pub(super) fn is_off(&self) -> bool {
        match &self.value {
            Value::Null => true,
            Value::Text(text) => self.truth() == Some(false) || matches!(&text[..], "0" | "0s" | "0B"),
            Value::List(items) => items.is_empty(),
            Value::Table(members) => members.is_empty(),
        }
    }
}

/// Reads the first document of `text`, which must be a table.
pub(super) fn read(text: &str) -> Result<Node, YamlError> {
    let mut reader = Reader { anchors: HashMap::new(), nodes: 0 };
    let mut events = Parser::new_from_str(text);
    let root = loop {
        let Some((event, line)) = next(&mut events)? else { return Err(YamlError::NoTable) };
        match event {
            Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
            Event::StreamEnd | Event::DocumentEnd => return Err(YamlError::NoTable),
            other => break reader.node(other, line, &mut events, 0)?,
        }
    };
    // A mistake further on is one, too.
    while next(&mut events)?.is_some() {}
    match root.value {
        Value::Table(_) => Ok(root),
        _ => Err(YamlError::NoTable),
    }
}

type Events<'a> = Parser<'a, saphyr_parser::StrInput<'a>>;

/// The next event, with its line.
fn next<'a>(events: &mut Events<'a>) -> Result<Option<(Event<'a>, usize)>, YamlError> {
    match events.next() {
        None => Ok(None),
        Some(Ok((event, span))) => Ok(Some((event, span.start.line()))),
        Some(Err(error)) => Err(YamlError::Syntax(error.marker().line(), error.info().to_owned())),
    }
}

struct Reader {
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl Reader {
    fn node(
        &mut self,
        event: Event<'_>,
        line: usize,
        events: &mut Events<'_>,
        depth: usize,
    ) -> Result<Node, YamlError> {
        self.count(1, line)?;
        if depth > DEPTH_MAX {
            return Err(YamlError::Large(line));
        }
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                let null = plain && matches!(&text[..], "" | "~" | "null" | "Null" | "NULL");
                (if null { Value::Null } else { Value::Text(text.into_owned()) }, anchor)
            }
            Event::SequenceStart(anchor, _) => (Value::List(self.list(events, depth)?), anchor),
            Event::MappingStart(anchor, _) => (Value::Table(self.table(events, depth)?), anchor),
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| YamlError::Syntax(line, "an alias of nothing".to_owned()))?;
                self.count(size(&node), line)?;
                return Ok(Node { line, ..node });
            }
            _ => return Err(YamlError::Syntax(line, "a value is missing".to_owned())),
        };
        let node = Node { line, value };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, events: &mut Events<'_>, depth: usize) -> Result<Vec<Node>, YamlError> {
        let mut items = Vec::new();
        while let Some((event, line)) = next(events)? {
            if matches!(event, Event::SequenceEnd) {
                break;
            }
            items.push(self.node(event, line, events, depth + 1)?);
        }
        Ok(items)
    }

    fn table(&mut self, events: &mut Events<'_>, depth: usize) -> Result<Vec<(String, Node)>, YamlError> {
        let mut own: Vec<(String, Node)> = Vec::new();
        let mut merged = Vec::new();
        while let Some((event, line)) = next(events)? {
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.node(event, line, events, depth + 1)?;
            let Some(key) = key.text().map(str::to_owned) else { return Err(YamlError::Key(line)) };
            let Some((event, at)) = next(events)? else { break };
            let mut value = self.node(event, at, events, depth + 1)?;
            if key == "<<" {
                merged.push(value);
            } else if own.iter().any(|(name, _)| *name == key) {
                return Err(YamlError::Twice(line, key));
            } else {
                // Where the key is, is where people look.
                value.line = line;
                own.push((key, value));
            }
        }
        // What stands in the table itself goes before what is merged into it.
        let tables = merged.iter().flat_map(|node| match &node.value {
            Value::List(items) => items.iter().collect::<Vec<_>>(),
            _ => vec![node],
        });
        for (name, node) in tables.flat_map(Node::members) {
            if own.iter().all(|(other, _)| other != name) {
                own.push((name.clone(), node.clone()));
            }
        }
        Ok(own)
    }

    fn count(&mut self, nodes: usize, line: usize) -> Result<(), YamlError> {
        self.nodes += nodes;
        if self.nodes > NODES_MAX { Err(YamlError::Large(line)) } else { Ok(()) }
    }
}

fn size(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Table(members) => 1 + members.iter().map(|(_, node)| size(node)).sum::<usize>(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_stay_as_they_are_written_and_know_their_lines() {
        let text = "a: yes\nb: :8889\nc: 0600\nd:\ne: 'null'\nf: [1, x]\ng: {h: \"a\\tb\"}\n~cam: on\n";
        let root = read(text).expect("YAML");
        let of = |key: &str| root.member(key).unwrap_or_else(|| panic!("{key}"));
        assert_eq!((of("a").truth(), of("~cam").truth(), of("b").truth()), (Some(true), Some(true), None));
        assert_eq!((of("b").text(), of("c").text(), of("d").text()), (Some(":8889"), Some("0600"), Some("")));
        assert_eq!((of("e").text(), of("f").texts()), (Some("null"), vec!["1", "x"]));
        assert_eq!(of("g").member("h").and_then(Node::text), Some("a\tb"));
        assert_eq!((of("a").line, of("f").line, of("g").line), (1, 6, 7));
        assert_eq!((of("d").value.clone(), of("b").texts()), (Value::Null, vec![":8889"]));
    }

    #[test]
    fn aliases_and_merged_tables_are_filled_in_and_bounded() {
        let text =
            "base: &base {source: x, record: no}\npaths:\n  a:\n    <<: *base\n    source: y\n  b: *base\n";
        let root = read(text).expect("YAML");
        let paths = root.member("paths").expect("paths");
        let source = |path: &str| paths.member(path)?.member("source")?.text();
        assert_eq!((source("a"), source("b")), (Some("y"), Some("x")));
        assert!(paths.member("a").and_then(|path| path.member("record")).is_some());
        let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (name, of) in ["b", "c", "d", "e", "f", "g", "h"].iter().zip(["a", "b", "c", "d", "e", "f", "g"])
        {
            bomb += &format!("{name}: &{name} [{}]\n", vec![format!("*{of}"); 10].join(", "));
        }
        assert!(matches!(read(&bomb), Err(YamlError::Large(_))));
        assert!(read(&"[".repeat(1_000)).is_err());
    }

    #[test]
    fn what_is_no_table_is_told_with_its_line() {
        for text in ["", "# nothing\n", "just text", "- a\n- b\n"] {
            assert_eq!(read(text), Err(YamlError::NoTable), "{text:?}");
        }
        assert_eq!(read("a: 1\na: 2\n"), Err(YamlError::Twice(2, "a".to_owned())));
        assert!(matches!(read("a: 1\nb: [1\n"), Err(YamlError::Syntax(2.., _))));
    }
}
