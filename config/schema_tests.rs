//! The table of keys, against itself and the configuration that it fills.

use std::collections::BTreeSet;

use toml::de::DeValue;

use super::*;
use crate::{
    resolve::{NoNode, Node},
    value::Given,
    variable::path_of,
};

#[test]
fn the_defaults_written_here_are_the_defaults() {
    for key in SCHEMA.own() {
        let mut draft = Draft::default();
        let default = key.default.expect("a key of the configuration has a default");
        let value = DeValue::parse(default).expect(default);
        key.kind
            .apply(&mut draft, &Given::Toml(&value))
            .map_err(|faults| format!("{faults:?}"))
            .expect(key.path);
        assert_eq!(draft.config, Config::default(), "{}", key.path);
    }
}

#[test]
fn every_key_has_a_path_a_table_and_a_variable_of_its_own() {
    let all = keys();
    assert_eq!(all.iter().map(|key| &key.path).collect::<BTreeSet<_>>().len(), all.len());
    assert_eq!(all.iter().map(|key| &key.variable).collect::<BTreeSet<_>>().len(), all.len());
    for KeyInfo { path, variable, .. } in &all {
        let segments: Vec<_> = path.split('.').collect();
        assert!(matches!(SCHEMA.resolve(&segments), Ok(Node::Key(_))), "{path}");
        let found = path_of(variable, &all).unwrap_or_default();
        assert_eq!(found.join("."), path.replace("NAME", "name"), "{variable}");
    }
}

#[test]
fn setters_reach_the_field_they_are_named_after() {
    for key in SCHEMA.own() {
        let text = match &key.kind {
            Kind::Bool(_) => (key.default == Some("false")).to_string(),
            Kind::Integer(_, max, _) => max.to_string(),
            // Its default is its most.
            Kind::Bytes(min, _, _) if key.path == "rtsp.max_frame" => min.to_string(),
            Kind::Bytes(_, max, _) => max.to_string(),
            Kind::Duration(_, max, _) => crate::format_duration(*max),
            Kind::Choice(words, _) => words[words.len() - 1].to_owned(),
            Kind::List(..) if matches!(key.path, "http.trusted_proxies" | "access.read") => "::1".to_owned(),
            Kind::List(..)
                if key.path.ends_with(".actions")
                    || matches!(key.path, "http.allow_origin" | "admin.sources") =>
            {
                String::new()
            }
            Kind::List(..) => "lo".to_owned(),
            Kind::Text(..) if key.path == "access.hook.url" => "http://a.b/".to_owned(),
            Kind::Text(..) if key.path == "log.level" => "debug".to_owned(),
            Kind::Text(..) if key.path == "drain.elsewhere" => "https://a.b".to_owned(),
            Kind::Texts(..) => "ab".repeat(32),
            Kind::Text(RATE, _) => "1Gbit/s".to_owned(),
            Kind::Text(..) if key.path == "udp.address" => "10.0.0.1".to_owned(),
            Kind::Text(..) if key.path == "http.tls.acme.contact" => "ops@a.b".to_owned(),
            Kind::Text(..) if key.path == "http.tls.acme.directory" => "https://a.b/".to_owned(),
            Kind::Text(..) if key.path.contains(".tls.") => "/etc/a.pem".to_owned(),
            Kind::Text(..) => "10.0.0.1:1".to_owned(),
            Kind::Source(..) => "demo".to_owned(),
        };
        let mut draft = Draft::default();
        key.kind
            .apply(&mut draft, &Given::Text { text: &text, at: 0 })
            .map_err(|faults| format!("{faults:?}"))
            .expect(key.path);
        // The first line that differs is the field's.
        let (before, after) = (format!("{:#?}", Config::default()), format!("{:#?}", draft.config));
        let line =
            before.lines().zip(after.lines()).position(|(before, after)| before != after).expect(key.path);
        let depth = |line: &str| line.len() - line.trim_start().len();
        let lines: Vec<_> = after.lines().take(line + 1).collect();
        // Upwards, each line that is less indented than all before it names a table that the field is in.
        let mut path = Vec::new();
        let mut inside = usize::MAX;
        for line in lines.iter().rev().filter(|line| depth(line) > 0) {
            if depth(line) < inside {
                inside = depth(line);
                path.insert(0, line.trim().split(':').next().unwrap_or_default());
            }
        }
        assert_eq!(path.join("."), key.path);
    }
}

#[test]
fn suggestions_come_from_the_nearest_table() {
    for (path, expected) in [
        ("udp.prt", Some("udp.port")),
        ("port", Some("udp.port")),
        ("udp.viewers", Some("limits.viewers")),
        ("udpp.port", Some("udp.port")),
        ("htpp", Some("http")),
        ("streams.a.sorce", Some("streams.a.source")),
        ("tls.certificate", Some("http.tls.certificate")),
        ("dtls.certificates", None),
    ] {
        match SCHEMA.resolve(&path.split('.').collect::<Vec<_>>()) {
            Err(NoNode::Unknown { meant, .. }) => assert_eq!(meant.as_deref(), expected, "{path}"),
            _ => panic!("{path} is no key"),
        }
    }
}
