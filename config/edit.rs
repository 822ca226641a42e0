//! A stream put into the text of a configuration file, or taken out of it: everything else stays byte for byte, comments
//! and order too. It judges nothing: the text is loaded afterwards like any other.

use std::fmt;

use toml_edit::{DocumentMut, Item, Table, TomlError};

use crate::StreamKey;

/// The keys of one stream as lines of TOML, as they stand below `[streams.NAME]`. They may hold a password, so it does not
/// print.
#[derive(Clone, PartialEq, Eq)]
pub struct StreamText(String);

impl StreamText {
    /// These lines; whether they are any is found out when they are loaded.
    pub fn new(lines: String) -> StreamText {
        StreamText(lines)
    }

    pub(crate) fn lines(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for StreamText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamText(***)")
    }
}

/// The text of a file in which the stream has these keys and no others; without any, it is not there.
///
/// # Errors
///
/// The file, or the stream, is not TOML. Neither is shown.
pub fn with_stream(text: &str, name: &StreamKey, stream: Option<&StreamText>) -> Result<String, NotToml> {
    let edited = edited(text, name, stream)?;
    // Reading takes the one for the other. Whoever looks for what was changed would find every line.
    let ends_by_both = text.split_once('\n').is_some_and(|(first, _)| first.ends_with('\r'));
    Ok(if ends_by_both { edited.replace("\r\n", "\n").replace('\n', "\r\n") } else { edited })
}

fn edited(text: &str, name: &StreamKey, stream: Option<&StreamText>) -> Result<String, NotToml> {
    let mut document: DocumentMut = text.parse().map_err(NotToml::of)?;
    let Some(StreamText(lines)) = stream else {
        if let Some(streams) = document.get_mut("streams").and_then(Item::as_table_like_mut) {
            streams.remove(name.as_str());
        }
        return Ok(document.to_string());
    };
    let wanted: DocumentMut = lines.parse().map_err(NotToml::of)?;
    let streams = document.entry("streams").or_insert_with(|| {
        let mut table = Table::new();
        // Its name alone on a line would say nothing.
        table.set_implicit(true);
        Item::Table(table)
    });
    let Some(streams) = streams.as_table_like_mut() else { return Err(NotToml) };
    if streams.get(name.as_str()).and_then(Item::as_table_like).is_none() {
        streams.insert(name.as_str(), Item::Table(Table::new()));
    }
    let Some(stream) = streams.get_mut(name.as_str()).and_then(Item::as_table_like_mut) else {
        return Err(NotToml);
    };
    let gone: Vec<String> = stream.iter().map(|(key, _)| key.to_owned()).collect();
    for key in gone.iter().filter(|key| !wanted.contains_key(key)) {
        stream.remove(key);
    }
    for (key, item) in wanted.iter() {
        match (stream.get_mut(key).and_then(Item::as_value_mut), item.as_value()) {
            // What is written behind a value on its line stays there.
            (Some(old), Some(new)) => {
                let decor = old.decor().clone();
                *old = new.clone();
                *old.decor_mut() = decor;
            }
            _ => _ = stream.insert(key, item.clone()),
        }
    }
    Ok(document.to_string())
}

/// A text is not TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not TOML any more, or has no tables where there should be some")]
pub struct NotToml;

impl NotToml {
    fn of(_: TomlError) -> NotToml {
        NotToml
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# All of the house.
[udp]
port = 9000 # of the firewall

# At the gate.
[streams.gate]
# Behind the tree.
source = \"rtsp://user:old@192.0.2.10/main\" # 2019
rtsp_transport = \"udp\"

# The last one.
[streams.yard]
source = \"demo\"
";

    fn edited(name: &str, stream: Option<&str>) -> String {
        edited_of(FILE, name, stream)
    }

    fn edited_of(text: &str, name: &str, stream: Option<&str>) -> String {
        let stream = stream.map(|lines| StreamText::new(lines.to_owned()));
        with_stream(text, &name.parse().expect(name), stream.as_ref()).expect("TOML")
    }

    #[test]
    fn a_stream_that_is_changed_keeps_its_comments_and_all_else_its_bytes() {
        let new = "source = \"rtsp://user:new@192.0.2.10/main\"\n";
        let expected = FILE.replace(":old@", ":new@").replace("rtsp_transport = \"udp\"\n", "");
        assert_eq!(edited("gate", Some(new)), expected);
    }

    #[test]
    fn lines_end_as_they_did() {
        let dos = |text: &str| text.replace('\n', "\r\n");
        for stream in [Some("source = \"rtsp://user:new@192.0.2.10/main\"\n"), None] {
            let edited = edited("gate", stream);
            assert_eq!(edited_of(&dos(FILE), "gate", stream), dos(&edited));
        }
        assert_eq!(edited_of(&dos(FILE), "nobody", None), dos(FILE));
    }

    #[test]
    fn a_stream_that_is_added_stands_behind_the_others_under_its_name() {
        let added = edited("site1/v1.2", Some("source = \"demo\"\nrtsp_transport = \"tcp\"\n"));
        let expected = "\n[streams.\"site1/v1.2\"]\nsource = \"demo\"\nrtsp_transport = \"tcp\"\n";
        assert_eq!(added, format!("{FILE}{expected}"));
        let first = with_stream(
            "",
            &"a".parse().expect("a name"),
            Some(&StreamText::new("source = \"demo\"".into())),
        );
        assert_eq!(first.expect("TOML").trim(), "[streams.a]\nsource = \"demo\"");
    }

    #[test]
    fn a_stream_that_is_taken_out_takes_along_what_stood_above_it_and_nothing_else() {
        let without = edited("gate", None);
        assert!(!without.contains("gate") && !without.contains("tree"), "{without}");
        assert!(without.contains("# of the firewall") && without.contains("# The last one.\n[streams.yard]"));
        assert_eq!(edited("nobody", None), FILE);
    }

    #[test]
    fn streams_that_are_written_on_one_line_are_changed_there() {
        let name = "gate".parse().expect("a name");
        let text = "streams = { gate = { source = \"demo\" }, yard = { source = \"demo\" } } # all\n";
        let new = StreamText::new("source = \"rtsp://192.0.2.1/\"".to_owned());
        let changed = with_stream(text, &name, Some(&new)).expect("TOML");
        assert_eq!(changed, text.replacen("\"demo\"", "\"rtsp://192.0.2.1/\"", 1));
        assert!(!format!("{new:?}").contains("rtsp"));
    }
}
