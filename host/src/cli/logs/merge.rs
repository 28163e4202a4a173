//! Lines of several hosts as one log, by their times.
//!
//! Invariant: the lines of one host stay in their order, also where their times do not ascend.
//! Not here: clocks of several machines. The hosts whose logs are here run on this one.

use std::borrow::Cow;

use serde::Deserialize;

/// A line with the name of its host; `None` when there is one host.
pub type Line<'h> = (Option<&'h str>, String);

/// The lines of each host, oldest first, as one list.
pub fn merged(hosts: Vec<(Option<&str>, Vec<String>)>) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    for (host, of_host) in hosts {
        let mut latest = String::new();
        for line in of_host {
            let time = time(&line).unwrap_or_default();
            if time > latest {
                latest = time;
            }
            lines.push((latest.clone(), (host, line)));
        }
    }
    // It is stable.
    lines.sort_by(|(a, _), (b, _)| a.cmp(b));
    lines.into_iter().map(|(_, line)| line).collect()
}

/// Its text has the same digits in each line, so that it sorts by age.
fn time(line: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Timed {
        timestamp: String,
    }
    serde_json::from_str::<Timed>(line).ok().map(|timed| timed.timestamp)
}

/// A line of JSON with the name of its host as `on_host`.
pub fn with_host<'l>(line: &'l str, host: Option<&str>) -> Cow<'l, str> {
    match (host, line.strip_prefix('{')) {
        // A name has lower-case words with hyphens alone.
        (Some(host), Some(rest)) => format!("{{\"on_host\":\"{host}\",{rest}").into(),
        _ => line.into(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn line(second: u32, message: &str) -> String {
        let timestamp = format!("2026-01-02T03:04:{second:02}.678901Z");
        serde_json::json!({"timestamp": timestamp, "message": message}).to_string()
    }

    #[test]
    fn lines_of_hosts_are_merged_by_time_and_those_of_one_host_stay_in_order() {
        let shop = vec![line(1, "a"), line(5, "d"), line(4, "e"), "no JSON".to_owned(), line(8, "h")];
        let books = vec![line(2, "b"), line(3, "c"), line(6, "g")];
        let merged = merged(vec![(Some("shop"), shop), (Some("books"), books)]);
        let said: Vec<(&str, String)> = merged
            .iter()
            .map(|(host, line)| {
                let message = serde_json::from_str::<serde_json::Value>(line);
                let message =
                    message.map_or_else(|_| line.clone(), |line| line["message"].as_str().unwrap().to_owned());
                (host.unwrap(), message)
            })
            .collect();
        let expect = [
            ("shop", "a"),
            ("books", "b"),
            ("books", "c"),
            ("shop", "d"),
            ("shop", "e"),
            ("shop", "no JSON"),
            ("books", "g"),
            ("shop", "h"),
        ];
        assert_eq!(said, expect.map(|(host, message)| (host, message.to_owned())));
    }

    #[test]
    fn a_line_of_json_stays_one_with_the_name_of_its_host() {
        let line = line(1, "a");
        let named: serde_json::Value = serde_json::from_str(&with_host(&line, Some("shop"))).unwrap();
        assert_eq!((named["on_host"].as_str(), named["message"].as_str()), (Some("shop"), Some("a")));
        assert_eq!(with_host(&line, None), line);
        assert_eq!(with_host("no JSON", Some("shop")), "no JSON");
    }
}
