//! The schema as JSON Schema (draft 2020-12), for editors and for whoever checks files without Sluice. It allows all that
//! loads; of texts it knows less than the loader (an address is any text), so `sluice check` stays the judge.

use serde_json::{Map, Value, json};
use toml::de::{DeTable, DeValue};

use crate::{
    KeyInfo, SOURCES_MAX,
    reference::{Reference, reference},
    resolve::{NAME, ROW},
    schema::{LISTEN, LISTEN_OR_NONE, keys},
    value::Shape,
};

/// What a listener's address looks like: of an IP address only its letters are looked at, of a port whether there is one.
const ADDRESS_AND_PORT: &str = "([0-9.]+|\\[[0-9A-Fa-f:.%]+\\])?\
    :\\+?0*(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5]?[0-9]{1,4})";

/// The schema of a configuration file.
pub fn json_schema() -> Value {
    let reference = reference();
    let mut root = object(None);
    for key in keys() {
        insert(&mut root, &key.path.split('.').collect::<Vec<_>>(), &mut Vec::new(), &key, &reference);
    }
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!("Sluice configuration");
    root
}

/// A table that has nothing but what is put into it.
fn object(said: Option<&str>) -> Value {
    let mut object = json!({ "type": "object", "properties": {}, "additionalProperties": false });
    if let Some(said) = said {
        object["description"] = json!(said);
    }
    object
}

/// Puts a key into the table at `path`, and the tables on the way where they are missing.
fn insert(table: &mut Value, path: &[&str], above: &mut Vec<String>, key: &KeyInfo, reference: &Reference) {
    let [first, rest @ ..] = path else { return };
    let name = (*first).to_owned();
    if rest.is_empty() {
        table["properties"][&name] = of_key(key, reference);
        // A stream without one is none.
        if key.path == "streams.NAME.source" {
            table["required"] = json!(["source"]);
        }
        return;
    }
    above.push(name.clone());
    let joined = above.join(".");
    let said = reference.tables.iter().find(|(table, _)| *table == joined);
    let said = said.map(|(_, said)| said.trim()).filter(|said| !said.is_empty());
    // Rows are items of an array, and tables that repeat have any name.
    let inner = match (*first, rest.first()) {
        (NAME, _) => {
            if table["additionalProperties"] == json!(false) {
                table["additionalProperties"] = object(said);
            }
            &mut table["additionalProperties"]
        }
        (_, Some(&ROW)) => {
            let array = &mut table["properties"][&name];
            if array.is_null() {
                *array = json!({ "type": "array", "items": object(said) });
            }
            above.push(ROW.to_owned());
            insert(&mut array["items"], &rest[1..], above, key, reference);
            above.truncate(above.len() - 2);
            return;
        }
        _ => {
            let inner = &mut table["properties"][&name];
            if inner.is_null() {
                *inner = object(said);
            }
            inner
        }
    };
    insert(inner, rest, above, key, reference);
    above.pop();
}

fn of_key(key: &KeyInfo, reference: &Reference) -> Value {
    let mut schema = match &key.shape {
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Integer(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Shape::Bytes(min, max) => json!({
            "anyOf": [
                { "type": "integer", "minimum": min, "maximum": max },
                { "type": "string", "pattern": "^[0-9]+ *(B|KiB|MiB|GiB|kB|MB|GB)?$" },
            ],
        }),
        Shape::Duration => json!({ "type": "string", "pattern": "^[0-9]+ *(ms|s|m|h)$" }),
        Shape::Choice(words) => json!({ "enum": words }),
        Shape::Text if key.allowed == LISTEN => {
            json!({ "type": "string", "pattern": format!("^{ADDRESS_AND_PORT}$") })
        }
        Shape::Text if key.allowed == LISTEN_OR_NONE => {
            json!({ "type": "string", "pattern": format!("^(none|{ADDRESS_AND_PORT})$") })
        }
        Shape::Text => json!({ "type": "string" }),
        Shape::Texts => {
            json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
        }
        Shape::List => json!({ "type": "array", "items": { "type": "string" } }),
        Shape::Source => {
            let cameras = json!({ "type": "array", "items": { "type": "string" }, "minItems": 1, "maxItems": SOURCES_MAX });
            let layer = json!({ "anyOf": [{ "type": "string" }, cameras] });
            let pair = json!({
                "type": "object",
                "properties": { "high": layer, "low": layer },
                "required": ["high", "low"],
                "additionalProperties": false,
            });
            json!({ "anyOf": [{ "type": "string" }, cameras, pair] })
        }
    };
    let said = reference.keys.get(&key.path).map(|said| said.trim()).unwrap_or_default();
    let change = format!("A change needs: {}. Allowed: {}.", key.reload.label(), key.allowed);
    schema["description"] = json!(format!("{said}\n\n{change}").trim());
    if let Some(default) = key.default.and_then(parsed) {
        schema["default"] = default;
    }
    schema
}

/// A default of the schema, which is TOML, as JSON.
fn parsed(default: &str) -> Option<Value> {
    let text = format!("default = {default}");
    let table = DeTable::parse(&text).ok()?;
    let (_, value) = table.get_ref().iter().next()?;
    as_json(value.get_ref())
}

fn as_json(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => json!(text),
        DeValue::Boolean(boolean) => json!(boolean),
        DeValue::Integer(integer) => json!(integer.as_str().parse::<u64>().ok()?),
        DeValue::Array(array) => {
            array.iter().map(|element| as_json(element.get_ref())).collect::<Option<Vec<_>>>()?.into()
        }
        _ => Map::new().into(),
    })
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;
    use crate::parse;

    #[test]
    fn an_address_that_loads_is_one_and_a_port_that_there_is_not_is_none() {
        let schema = json_schema();
        let pattern = |table: &str, key: &str| {
            let pattern = &schema["properties"][table]["properties"][key]["pattern"];
            Regex::new(pattern.as_str().expect("a pattern")).expect("an expression")
        };
        let (listen, or_none) = (pattern("http", "listen"), pattern("metrics", "listen"));
        for good in
            [":0", ":8889", ":65535", "10.0.0.1:80", "[::1]:1", "[fe80::1%2]:59999", ":+080", "[::]:6"]
        {
            assert!(parse::listen(good).is_ok() && listen.is_match(good) && or_none.is_match(good), "{good}");
        }
        assert!(or_none.is_match("none") && !listen.is_match("none"));
        for wrong in
            [":99999", ":65536", ":", "8889", "localhost:80", "10.0.0.1", ":-1", "[::1]:100000", "nonet"]
        {
            assert!(parse::listen(wrong).is_err() && !listen.is_match(wrong), "{wrong}");
            assert!(!or_none.is_match(wrong), "{wrong}");
        }
    }
}
