//! What config/sluice.toml says of each key: the prose that documentation and editors show. The file is written for
//! people who read it from above; here it is taken apart.

use std::collections::BTreeMap;

/// The file itself.
const REFERENCE: &str = include_str!("sluice.toml");

/// What is said of tables and keys.
#[derive(Debug, Default)]
pub(crate) struct Reference {
    /// By the path of the table, in order.
    pub(crate) tables: Vec<(String, String)>,
    /// By the path of the key; of a stream's keys as `streams.NAME.source`.
    pub(crate) keys: BTreeMap<String, String>,
}

/// Takes the file apart. A paragraph of comments is said of all keys below it until the next; one above a table is said of
/// the table.
pub(crate) fn reference() -> Reference {
    let mut found = Reference::default();
    let (mut table, mut said, mut was_key) = (String::new(), String::new(), false);
    for line in REFERENCE.lines() {
        let comment = line.strip_prefix('#').map(|text| text.strip_prefix(' ').unwrap_or(text));
        let bare = comment.unwrap_or(line);
        if let Some(name) = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            table = example(name);
            if !found.tables.iter().any(|(known, _)| *known == table) {
                found.tables.push((table.clone(), std::mem::take(&mut said)));
            }
            (said, was_key) = (String::new(), false);
        } else if let Some((key, rest)) = bare.split_once(" = ").filter(|(key, _)| is_bare_key(key)) {
            // Behind an example there may be a word on it.
            let beside = rest.split_once(" # ").map_or("", |(_, beside)| beside);
            let own = beside.split_once("; ").map(|(_, own)| own.to_owned());
            let text = if comment.is_some() { own.unwrap_or_default() } else { said.clone() };
            found.keys.entry(format!("{table}.{key}")).or_insert(text);
            was_key = true;
        } else if let Some(text) = comment {
            if std::mem::take(&mut was_key) {
                said.clear();
            }
            said.push_str(text);
            said.push('\n');
        } else {
            said.clear();
            was_key = false;
        }
    }
    found
}

/// A table as the schema has it: `[streams.cam1]` and `[access.users.ann]` are examples of any.
fn example(table: &str) -> String {
    match table.split_once('.') {
        Some(("streams", _)) => "streams.NAME".to_owned(),
        Some(("access", rest)) if rest.starts_with("users.") => "access.users.NAME".to_owned(),
        _ => table.trim_matches(['[', ']']).to_owned(),
    }
}

fn is_bare_key(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys;

    #[test]
    fn something_is_said_of_every_key_and_table() {
        let found = reference();
        for key in keys() {
            assert!(found.keys.contains_key(&key.path), "{}", key.path);
            if !key.path.contains("NAME") {
                assert!(!found.keys[&key.path].trim().is_empty(), "{}", key.path);
            }
        }
        assert!(
            found.keys["udp.send_buffer"].contains("kernel grants no more"),
            "one paragraph is of two keys"
        );
        assert!(found.keys["http.listen"].starts_with("Where to listen"), "{}", found.keys["http.listen"]);
        assert!(found.tables.iter().any(|(table, said)| table == "http" && said.starts_with("Pages")));
    }
}
