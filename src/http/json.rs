//! JSON in which a name stands once in an object.
//!
//! RFC 8259 (§4) leaves open what two of them mean, and what reads before us may see the other one: none can be meant.

use serde::de::{DeserializeOwned, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use sluice_media::shown;

/// A value in which no object, however deep, has a name twice.
pub(super) struct Once(pub(super) Value);

/// Reads one.
///
/// # Errors
///
/// It is no JSON, no `T`, or says something twice.
pub(super) fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, serde_json::Error> {
    let Once(value) = serde_json::from_slice(text)?;
    T::deserialize(value)
}

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Once, D::Error> {
        deserializer.deserialize_any(Reader).map(Once)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Once(value)) = elements.next_element()? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format!("{:?} stands there twice", shown(&name))));
            }
            let Once(value) = members.next_value()?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_something_twice_is_refused_and_all_else_is_as_it_was() {
        let read = |text: &str| read::<Value>(text.as_bytes());
        for text in [
            "null",
            "[true, -1, 18446744073709551615, 1.5, \"\\u00e4\", {}]",
            "{\"a\": {\"a\": 1}, \"b\": [{\"a\": 1}, {\"a\": 2}]}",
        ] {
            let plain: Value = serde_json::from_str(text).expect("JSON");
            assert_eq!(read(text).expect("JSON"), plain);
        }
        for text in ["{\"a\": 1, \"a\": 1}", "[{\"b\": {\"a\": 1, \"\\u0061\": 2}}]"] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains("\"a\" stands there twice"), "{error}");
        }
        assert!(read("{\"a\": 1").is_err() && read(&"[".repeat(1_000)).is_err());
    }
}
