//! Questions for the amounts of a total, and their answers: docs/remote-calls.md, "Totals".
//!
//! An answer is lines of JSON: a list for each row, and an object at the end. Amounts are text: they are larger than
//! the numbers that JSON has in some languages.

use std::time::Duration;

use bytes::Bytes;
use http::uri::Authority;
use http::{Method, Request};
use seam_store::Range;
use seam_store::ids::ContextName;
use serde::{Deserialize, Serialize};

use super::head::{Fields, Repeats, common, set, unreadable, uri};
use super::outcome::Rejection;
use super::{FORM, field};
use crate::limits;
use crate::remote::config::System;
use crate::remote::totals::{Page, TotalAsk};

/// The segment of the path after the form.
pub const FIRST: &str = "totals";

/// # Errors
/// Which part of it cannot travel.
pub fn request(authority: &Authority, system: &System, ask: &TotalAsk) -> Result<Request<Bytes>, String> {
    let path = format!("/{FORM}/{FIRST}/{}/{}", ask.context, ask.total);
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = uri(authority, &path).ok_or_else(|| format!("`{path}` cannot be sent as a path"))?;
    let fields = request.headers_mut();
    common(fields, system);
    set(fields, field::SIDE, &ask.side, Repeats::Often)?;
    set(fields, field::REMAINING, ask.remaining.as_millis(), Repeats::Seldom)?;
    Ok(request)
}

/// Reads what `request` has written.
///
/// # Errors
/// What is wrong, and where.
pub(super) fn read(fields: &Fields<'_>, context: &str, total: &str) -> Result<TotalAsk, Rejection> {
    let invalid = |what: &str, text: &str| unreadable(format!("`{}` is no {what}", text.escape_debug()));
    let name = |text: &str| ContextName::parse(text).ok_or_else(|| invalid("name of a context", text));
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = (1..=seam_store::limits::STORE_INVARIANT_NAME_BYTES_MAX).contains(&total.len());
    if !fits || !total.bytes().all(is_part) {
        return Err(invalid("name of a total", total));
    }
    Ok(TotalAsk {
        context: name(context)?,
        total: total.to_owned(),
        side: name(fields.required(field::SIDE)?)?,
        remaining: Duration::from_millis(fields.number(field::REMAINING, limits::RECONCILE_LOOK_MS)?),
    })
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    /// A key, its least and its most.
    Row(String, String, String),
    End {
        rows: u64,
    },
    Failed {
        failed: String,
    },
}

/// Writes pages as lines, and counts the rows.
#[derive(Default)]
pub struct Writer {
    rows: u64,
}

impl Writer {
    pub fn write(&mut self, page: Page) -> Bytes {
        let mut bytes = Vec::new();
        let mut line = |line: &Line| {
            // Texts and numbers have a form in JSON.
            bytes.extend(serde_json::to_vec(line).unwrap_or_default());
            bytes.push(b'\n');
        };
        match page {
            Page::Rows(rows) => {
                self.rows += rows.len() as u64;
                for (key, range) in rows {
                    line(&Line::Row(key, range.least.to_string(), range.most.to_string()));
                }
            }
            Page::End => line(&Line::End { rows: self.rows }),
            Page::Failed(why) => {
                let end = why.floor_char_boundary(limits::REMOTE_REASON_BYTES_MAX);
                line(&Line::Failed { failed: why.get(..end).unwrap_or_default().to_owned() });
            }
        }
        bytes.into()
    }
}

/// Reads the lines of an answer as its bytes come.
#[derive(Default)]
pub struct Reader {
    /// The start of a line whose end has not come.
    partial: Vec<u8>,
    rows: u64,
}

impl Reader {
    /// The pages that `bytes` complete. After `Page::End` or `Page::Failed` there are no more.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(&mut self, mut bytes: &[u8]) -> Result<Vec<Page>, String> {
        let (mut pages, mut rows) = (Vec::new(), Vec::new());
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            bytes = rest.get(1..).unwrap_or_default();
            self.keep(line)?;
            let line = std::mem::take(&mut self.partial);
            match serde_json::from_slice(&line).map_err(|error| error.to_string())? {
                Line::Row(key, least, most) => {
                    let number = |text: &str| text.parse::<i64>().map_err(|_| format!("`{text}` is no amount"));
                    rows.push((key, Range { least: number(&least)?, most: number(&most)? }));
                    self.rows += 1;
                }
                Line::End { rows: said } => {
                    let have = self.rows;
                    if said != have {
                        return Err(format!("{have} rows have come, not {said}"));
                    }
                    pages.extend([Page::Rows(std::mem::take(&mut rows)), Page::End]);
                    return Ok(pages);
                }
                Line::Failed { failed } => return Ok(vec![Page::Failed(failed)]),
            }
        }
        self.keep(bytes)?;
        if !rows.is_empty() {
            pages.push(Page::Rows(rows));
        }
        Ok(pages)
    }

    fn keep(&mut self, part: &[u8]) -> Result<(), String> {
        if self.partial.len() + part.len() > limits::TOTAL_LINE_BYTES_MAX {
            return Err(format!("a line has more than {} bytes", limits::TOTAL_LINE_BYTES_MAX));
        }
        self.partial.extend_from_slice(part);
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::wanted::{Wanted, read};
    use super::*;

    const SYSTEM: System = System { codec: 1, placement: [7; 32] };

    fn ask() -> TotalAsk {
        TotalAsk {
            context: ContextName::parse("finance@js").unwrap(),
            total: "money-held".to_owned(),
            side: ContextName::parse("orders").unwrap(),
            remaining: Duration::from_millis(1_500),
        }
    }

    #[test]
    fn a_question_is_read_as_it_was_written() {
        let request = request(&Authority::from_static("books:7443"), &SYSTEM, &ask()).unwrap();
        assert_eq!(read(&request.into_parts().0, &SYSTEM), Ok(Wanted::Total(ask())));
    }

    #[test]
    fn what_is_wrong_in_a_question_is_named() {
        for (path, side, remaining, expect) in [
            ("/v1/totals/Finance/money-held", "orders", "1", "`Finance` is no name of a context"),
            ("/v1/totals/finance/Money", "orders", "1", "`Money` is no name of a total"),
            ("/v1/totals/finance/", "orders", "1", "`` is no name of a total"),
            ("/v1/totals/finance/money-held", "", "1", "`seam-side` is missing"),
            ("/v1/totals/finance/money-held", "Orders", "1", "`Orders` is no name of a context"),
            ("/v1/totals/finance/money-held", "orders", "60001", "up to 60000"),
            ("/v1/totals/finance", "orders", "1", "compares no total"),
        ] {
            let request = request(&Authority::from_static("books:7443"), &SYSTEM, &ask()).unwrap();
            let mut parts = request.into_parts().0;
            parts.uri = path.parse().unwrap();
            parts.headers.insert(field::REMAINING, remaining.parse().unwrap());
            parts.headers.remove(field::SIDE);
            if !side.is_empty() {
                parts.headers.insert(field::SIDE, side.parse().unwrap());
            }
            let found = read(&parts, &SYSTEM).unwrap_err().to_string();
            assert!(found.contains(expect), "{path} {side} {remaining}: {found}");
        }
    }

    fn row(key: &str, least: i64, most: i64) -> (String, Range) {
        (key.to_owned(), Range { least, most })
    }

    /// All rows, and the last page.
    fn joined(pages: Vec<Page>) -> (Vec<(String, Range)>, Option<Page>) {
        let (mut rows, mut last) = (Vec::new(), None);
        for page in pages {
            match page {
                Page::Rows(some) => rows.extend(some),
                end => last = Some(end),
            }
        }
        (rows, last)
    }

    #[test]
    fn an_answer_is_read_as_it_was_written_in_whichever_pieces_it_comes() {
        let first = vec![row("", i64::MIN, i64::MAX), row("a\n\"\u{e9}", 0, 7)];
        let second = vec![row("b", -1, -1)];
        let all = [first.clone(), second.clone()].concat();
        for end in [Page::End, Page::Failed("its host stops".to_owned())] {
            let mut writer = Writer::default();
            let pages = [Page::Rows(first.clone()), Page::Rows(second.clone()), end.clone()];
            let bytes: Vec<u8> = pages.into_iter().flat_map(|page| writer.write(page)).collect();
            for size in [1, 7, bytes.len()] {
                let mut reader = Reader::default();
                let pages = bytes.chunks(size).flat_map(|piece| reader.read(piece).unwrap()).collect();
                let (rows, last) = joined(pages);
                assert_eq!(last, Some(end.clone()), "in pieces of {size} bytes");
                // Rows before a failure are worth nothing.
                assert!(rows == all || end != Page::End, "in pieces of {size} bytes: {rows:?}");
            }
        }
    }

    #[test]
    fn an_answer_that_lacks_rows_or_has_wrong_ones_is_refused() {
        let long = format!("[\"{}\", \"1\", \"1\"]\n", "x".repeat(limits::TOTAL_LINE_BYTES_MAX));
        for (text, expect) in [
            ("[\"a\", \"1\", \"1\"]\n{\"rows\": 2}\n", "1 rows have come, not 2"),
            ("[\"a\", \"one\", \"1\"]\n", "`one` is no amount"),
            ("[\"a\", 1, 1]\n", "did not match"),
            ("\n", "EOF"),
            (long.as_str(), "a line has more than"),
            (&long[..long.len() - 1], "a line has more than"),
        ] {
            let found = Reader::default().read(text.as_bytes()).unwrap_err();
            assert!(found.contains(expect), "{}: {found}", &text[..text.len().min(40)]);
        }
    }
}
