//! What a reader asks for: `?after=POSITION&interface=PATH&count=N`, and `Last-Event-ID`.

use std::fmt::Write as _;

use http::StatusCode;
use http::header::HeaderName;
use http::request::Parts;
use percent_encoding::percent_decode_str;

use super::problem::Problem;
use crate::limits;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

#[derive(Debug, PartialEq, Eq)]
pub struct Query {
    /// The position up to which the reader has read; `None`: from the oldest event on.
    pub after: Option<u64>,
    /// The paths of the interfaces that it wants.
    pub interfaces: Vec<String>,
    /// The most events of a page.
    pub count: u32,
    /// The parameters but `after`, for the address of the next page.
    others: String,
}

impl Query {
    /// `granted` are the interfaces of the feed. `Last-Event-ID`, which a stream's reader sends when it comes back,
    /// counts more than `after`.
    pub fn read(parts: &Parts, granted: &[String]) -> Result<Self, Problem> {
        let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
        let mut query =
            Self { after: None, interfaces: granted.to_vec(), count: limits::FEED_PAGE, others: String::new() };
        let mut seen: Vec<String> = Vec::new();
        let pairs = parts.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        for pair in pairs {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode_str(value).decode_utf8().map_err(|_| bad(format!("`{name}` is no text")))?;
            if seen.iter().any(|other| other == name) {
                return Err(bad(format!("`{name}` is there twice")));
            }
            seen.push(name.to_owned());
            match name {
                "after" => query.after = Some(position("after", &value)?),
                "count" => {
                    let count = value.parse::<u32>().ok().filter(|count| *count > 0 && is_number(&value));
                    let count = count.ok_or_else(|| bad("`count` is a number from 1 on".to_owned()))?;
                    query.count = count.min(limits::FEED_PAGE_MAX);
                    let _ = write!(query.others, "&count={count}");
                }
                "interface" => {
                    if !granted.iter().any(|granted| *granted == *value) {
                        let known = granted.join(", ");
                        let detail = format!("this feed has no such `interface`; it has: {known}");
                        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
                    }
                    query.interfaces = vec![value.clone().into_owned()];
                    let _ = write!(query.others, "&interface={value}");
                }
                _ => return Err(bad("a feed knows `after`, `interface` and `count`, and no other parameter".into())),
            }
        }
        if let Some(last) = parts.headers.get(LAST_EVENT_ID) {
            query.after = Some(position("Last-Event-ID", last.to_str().unwrap_or_default())?);
        }
        Ok(query)
    }

    /// The parameters with this position.
    pub fn at(&self, after: u64) -> String {
        format!("after={after}{}", self.others)
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Positions are SQLite's, which have 63 bits.
fn position(name: &str, text: &str) -> Result<u64, Problem> {
    let position = text.parse::<u64>().ok().filter(|position| is_number(text) && i64::try_from(*position).is_ok());
    let detail = || format!("`{name}` is the id of an event of this feed, which is a whole number");
    position.ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, detail()))
}
