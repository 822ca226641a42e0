//! The schema as JSON Schema (draft 2020-12), for editors and for whoever checks files without Sluice. It allows all that
//! loads; of texts it knows less than the loader (an address is any text), so `sluice check` stays the judge.

use serde_json::{Map, Value, json};
use toml::de::{DeTable, DeValue};

use crate::{
    KeyInfo, SOURCES_MAX,
    reference::{Reference, reference},
    resolve::{NAME, ROW},
    schema::keys,
    value::Shape,
};

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
        Shape::Text => json!({ "type": "string" }),
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
