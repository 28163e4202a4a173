//! Text to JSON with one reading only.
//!
//! JSON does not say what an object means that has one key twice: most readers take the last value, some the first.
//! Here it is an error.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The one value in `text`.
///
/// # Errors
/// When it is not JSON; and, as an error of its data (`is_data`), when an object has a key twice.
pub fn parse(text: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice::<Unique>(text).map(|unique| unique.0)
}

/// The message of an error without its line, which means nothing in a text of one line.
pub fn message(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    let column = error.column();
    if error.is_data() {
        format!("column {column}: {message}; leave one out")
    } else {
        format!("not JSON: {message} at column {column}")
    }
}

/// A value whose objects have each key once.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(de::Error::custom(format_args!("an object has the key `{key}` twice")));
            }
            let Unique(value) = entries.next_value()?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_has_one_reading_is_read_as_everywhere() {
        for text in [
            "null",
            " [true, false, -1, 18446744073709551615, -9223372036854775808, 0.1, -0.0, 1e300, \"\", \"\\u00e9\\\"\"] ",
            r#"{"a": {"b": 1}, "b": [{"a": 1}, {"a": 2}], "A": 3, "": null}"#,
        ] {
            let known: Value = serde_json::from_str(text).unwrap();
            assert_eq!(parse(text.as_bytes()).unwrap(), known, "{text}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_at_any_depth_and_in_any_spelling() {
        for (text, column) in [
            (r#"{"a": 1, "a": 1}"#, 12),
            (r#"{"a": 1, "\u0061": 2}"#, 17),
            (r#"[{"b": {"a": null, "c": 1, "a": null}}]"#, 30),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            let expect = format!("column {column}: an object has the key `a` twice; leave one out");
            assert_eq!(message(&error), expect, "{text}");
        }
    }

    #[test]
    fn what_is_not_json_or_too_deep_is_an_error_with_its_column() {
        for (text, expect) in [
            ("{\"a\": 1,}", "not JSON: trailing comma at column 9"),
            ("1 2", "not JSON: trailing characters at column 3"),
            ("1e400", "not JSON: number out of range at column 5"),
        ] {
            assert_eq!(message(&parse(text.as_bytes()).unwrap_err()), expect);
        }
        assert!(parse("[".repeat(10_000).as_bytes()).is_err());
    }
}
