//! Writing results, errors and tables. Colours only on a terminal, and not with `NO_COLOR`.
//!
//! Invariant: what comes from a guest, a client or a file does not control the terminal. All but `bytes` is escaped.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use seam_store::visible::{self, visible};

use super::error::CommandError;

/// Writes the error to standard error.
pub fn report(error: &CommandError) -> ExitCode {
    let colours = colours_on_stderr();
    let text = match error {
        CommandError::Unknown(reason) => {
            report(reason);
            return ExitCode::from(2);
        }
        CommandError::Reported => String::new(),
        CommandError::Problems(problems) => format!("{problems}\n"),
        CommandError::Message(error) => {
            let mut text = format!("error: {}\n", error.message);
            for line in error.excerpt.iter().flat_map(|excerpt| excerpt.lines()) {
                text.push_str(&format!("  {line}\n"));
            }
            if !error.remedy.is_empty() {
                text.push_str(&format!("hint: {}\n", error.remedy));
            }
            text
        }
    };
    let text = visible(&text);
    note_raw(&if colours { coloured(&text) } else { text.into_owned() });
    ExitCode::from(1)
}

fn coloured(text: &str) -> String {
    let mut coloured = String::new();
    for line in text.split_inclusive('\n') {
        let line = match line.split_once("error: ") {
            Some((before, after)) => format!("{before}\x1b[1;31merror:\x1b[0m {after}"),
            None => match line.trim_start().strip_prefix("hint: ") {
                Some(after) => {
                    let indent = line.len() - line.trim_start().len();
                    format!("{}\x1b[36mhint:\x1b[0m {after}", " ".repeat(indent))
                }
                None => line.to_owned(),
            },
        };
        coloured.push_str(&line);
    }
    coloured
}

pub fn colours_on_stderr() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// Writes a warning to standard error.
pub fn warning(text: &str) {
    note(&format!("warning: {text}"));
}

/// Writes a line to standard error.
pub fn note(text: &str) {
    note_raw(&format!("{}\n", visible(text)));
}

fn note_raw(text: &str) {
    // Without standard error there is no place to report its failure.
    std::io::stderr().write_all(text.as_bytes()).ok();
}

/// Writes a line of data to standard output. When its reader closes the pipe, the command ends without a message.
pub fn line(text: &str) -> Result<(), CommandError> {
    self::text(&format!("{text}\n"))
}

/// Writes lines of data for people to standard output, as `line`.
pub fn text(text: &str) -> Result<(), CommandError> {
    bytes(visible(text).as_bytes())
}

/// Writes a line that is JSON to standard output, as `line`.
pub fn json_line(json: &str) -> Result<(), CommandError> {
    bytes(format!("{}\n", visible::json(json)).as_bytes())
}

/// Writes data to standard output as it is: only for what the host makes itself.
pub fn bytes(data: &[u8]) -> Result<(), CommandError> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(data).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(CommandError::Reported),
        Err(error) => Err(CommandError::message(format!("cannot write to standard output: {error}"), "")),
    }
}

pub fn json(value: &impl serde::Serialize) -> Result<(), CommandError> {
    match serde_json::to_string_pretty(value) {
        Ok(text) => json_line(&text),
        Err(error) => Err(CommandError::caused_by(&error, "")),
    }
}

/// Columns as wide as their widest cell; those in `right` are aligned to the right. No space at the end of a line.
pub fn table(header: &[&str], rows: &[Vec<String>], right: &[&str]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(header.get(column).map(|h| h.len())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for ((cell, width), name) in cells.zip(&widths).zip(header) {
            let cell = if right.contains(name) { format!("{cell:>width$}  ") } else { format!("{cell:<width$}  ") };
            line.push_str(&cell);
        }
        format!("{}\n", line.trim_end())
    };
    let mut text = line(&mut header.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

/// `512 B`, `1.5 KB`, `20 MB`, with decimal steps of 1000.
pub fn size(bytes: u64) -> String {
    scaled(bytes as f64, 1e3, &["B", "KB", "MB", "GB", "TB"])
}

/// `850 us`, `1.2 ms`, `3.0 s`.
pub fn time(us: f64) -> String {
    scaled(us, 1e3, &["us", "ms", "s"])
}

fn scaled(mut value: f64, step: f64, units: &[&str]) -> String {
    let mut units = units.iter().peekable();
    let mut first = true;
    while let Some(unit) = units.next() {
        if value < step - 0.5 || units.peek().is_none() {
            let digits = usize::from(!first && value < 9.95);
            return format!("{value:.digits$} {unit}");
        }
        value /= step;
        first = false;
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_short() {
        for (bytes, shown) in
            [(0, "0 B"), (999, "999 B"), (1_500, "1.5 KB"), (20_400_000, "20 MB"), (999_999, "1.0 MB")]
        {
            assert_eq!(size(bytes), shown, "{bytes}");
        }
        for (us, shown) in
            [(0.0, "0 us"), (849.7, "850 us"), (1_234.0, "1.2 ms"), (3_000_000.0, "3.0 s"), (7.2e9, "7200 s")]
        {
            assert_eq!(time(us), shown, "{us}");
        }
    }

    #[test]
    fn tables_line_up() {
        let rows = [vec!["a".into(), "1".into(), "x".into()], vec!["long".into(), "200".into(), String::new()]];
        let expect = "NAME  CALLS  REST\na         1  x\nlong    200\n";
        assert_eq!(table(&["NAME", "CALLS", "REST"], &rows, &["CALLS"]), expect);
    }

    #[test]
    fn only_the_words_error_and_hint_are_coloured() {
        let text = coloured("seam.toml:1:2: error: a\n  hint: b\nplain\n");
        assert_eq!(text, "seam.toml:1:2: \u{1b}[1;31merror:\u{1b}[0m a\n  \u{1b}[36mhint:\u{1b}[0m b\nplain\n");
    }
}
