//! JSON of a request as a line of the configuration file.

use serde_json::Value;

/// A value of a key as TOML has it; nothing if no key can have it. What JSON has for a text, a number, and true or false is
/// TOML, too, but for a character that no key takes; a list of such is, and an object becomes a table in one line.
pub(super) fn as_toml(value: &Value) -> Option<String> {
    let plain = |value: &Value| matches!(value, Value::String(_) | Value::Bool(_) | Value::Number(_));
    let listed = |value: &Value| plain(value) || value.as_array().is_some_and(|all| all.iter().all(plain));
    match value {
        Value::Object(members) if members.values().all(listed) => {
            let member = |(key, value): (&String, &Value)| {
                key.bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                    .then(|| format!("{key} = {value}"))
            };
            let members = members.iter().map(member).collect::<Option<Vec<_>>>()?;
            Some(format!("{{ {} }}", members.join(", ")))
        }
        value if listed(value) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_becomes_what_the_file_would_have() {
        for (value, expected) in [
            (json!("a \"b\""), Some(r#""a \"b\"""#)),
            (json!(["a", "b"]), Some(r#"["a","b"]"#)),
            (json!({ "high": "a", "low": ["b", "c"] }), Some(r#"{ high = "a", low = ["b","c"] }"#)),
            (json!({ "a b": 1 }), None),
            (json!({ "a": { "b": 1 } }), None),
            (json!([["a"]]), None),
            (json!(null), None),
        ] {
            assert_eq!(as_toml(&value).as_deref(), expected, "{value}");
        }
    }
}
