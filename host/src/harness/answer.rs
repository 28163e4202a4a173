//! Compares the body of a response with the expected one.

use seam_runtime::run::recorder::BLANK;
use serde_json::Value;

use super::pattern;
use seam_runtime::json;

/// The lines that differ; empty when the body is the expected one. JSON is compared by its values, where the text `***`
/// stands for any value; all else is compared to the byte.
pub fn diff(expected: &str, body: &str) -> String {
    if expected == body {
        return String::new();
    }
    // JSON with a key twice is compared as text: its values depend on the reader.
    match (json::parse(expected.as_bytes()), json::parse(body.as_bytes())) {
        (Ok(mut expected), Ok(actual)) => {
            fill(&mut expected, &actual);
            if expected == actual { String::new() } else { pattern::lines(&lines(&expected), &lines(&actual)) }
        }
        _ => pattern::lines(expected, body),
    }
}

fn lines(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// Puts the actual values in the place of those that do not matter.
fn fill(expected: &mut Value, actual: &Value) {
    if expected.as_str() == Some(BLANK) {
        *expected = actual.clone();
        return;
    }
    match (expected, actual) {
        (Value::Array(expected), Value::Array(actual)) => {
            expected.iter_mut().zip(actual).for_each(|(expected, actual)| fill(expected, actual));
        }
        (Value::Object(expected), Value::Object(actual)) => {
            for (name, value) in expected {
                if let Some(actual) = actual.get(name) {
                    fill(value, actual);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_compared_by_value_and_text_to_the_byte() {
        for (expected, body, same) in [
            ("{\"a\": 1, \"b\": [2]}", "{\"b\":[2],\"a\":1}", true),
            ("{\"a\": \"***\", \"b\": 1}", "{\"a\":[7],\"b\":1}", true),
            ("{\"a\": \"***\", \"b\": 1}", "{\"a\":[7],\"b\":2}", false),
            ("{\"a\": \"***\"}", "{}", false),
            ("[\"***\"]", "[1,2]", false),
            ("plain", "plain", true),
            ("plain", "plain ", false),
            ("{}", "plain", false),
            ("{\"a\": 1}", "{\"a\":2,\"a\":1}", false),
            ("{\"a\":2,\"a\":1}", "{\"a\":2,\"a\":1}", true),
        ] {
            assert_eq!(diff(expected, body).is_empty(), same, "{expected} {body}");
        }
    }
}
