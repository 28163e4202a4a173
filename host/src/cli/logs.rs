//! `seam logs`: the log files in the data folder, also without a running host.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::error::{CommandError, unknown_context};
use super::global::Format;
use super::out;
use crate::manifest::Manifest;
use crate::{folder, limits, logging};

#[derive(Debug, Args)]
pub struct Options {
    /// Only lines about this context; by default all
    context: Option<String>,
    /// Print new lines as they are written
    #[arg(long)]
    follow: bool,
    /// The number of last lines
    #[arg(long, value_name = "N", default_value_t = limits::LOG_LINES_SHOWN as u64,
          value_parser = clap::value_parser!(u64).range(0..=limits::LOG_LINES_SHOWN_MAX as u64))]
    lines: u64,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(manifest: &Manifest, options: &Options) -> Result<(), CommandError> {
    if let Some(name) = &options.context
        && manifest.context(name).is_none()
    {
        return Err(unknown_context(manifest, name));
    }
    let logs = Logs { folder: folder::logs(&manifest.host.data), context: options.context.as_deref() };
    let files = logs.files();
    if files.is_empty() && !options.follow {
        return Err(CommandError::message(
            format!("there is no log in `{}`", logs.folder.display()),
            "start a host with `seam up`",
        ));
    }
    let show = |line: &str| match options.format {
        Format::Json => out::line(line),
        Format::Human => out::line(&human(line)),
    };
    let (lines, mut at) = logs.last(&files, usize::try_from(options.lines).unwrap_or(usize::MAX))?;
    lines.iter().try_for_each(|line| show(line))?;
    if !options.follow {
        return Ok(());
    }
    loop {
        std::thread::sleep(Duration::from_millis(limits::LOG_FOLLOW_MS));
        logs.next(&mut at, &mut |line| show(line))?;
    }
}

struct Logs<'a> {
    folder: PathBuf,
    context: Option<&'a str>,
}

/// How far the log has been read.
#[derive(Default)]
struct Position {
    file: Option<PathBuf>,
    bytes: u64,
}

impl Logs<'_> {
    /// Oldest first: their names end in the date.
    fn files(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return Vec::new() };
        let named = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(logging::FILE_PREFIX))
        };
        let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(named).collect();
        files.sort();
        files
    }

    fn matches(&self, line: &str) -> bool {
        let Some(context) = self.context else { return true };
        // Searching the text is faster than parsing the JSON, and most lines belong to other contexts.
        line.contains(context)
            && serde_json::from_str::<Value>(line).is_ok_and(|line| {
                let named = |value: &Value| value.get("context").and_then(Value::as_str) == Some(context);
                named(&line) || line.get("span").is_some_and(named)
            })
    }

    /// The last `count` lines of all files, and where they end.
    fn last(&self, files: &[PathBuf], count: usize) -> Result<(VecDeque<String>, Position), CommandError> {
        let mut lines: VecDeque<String> = VecDeque::new();
        let mut end = Position::default();
        for path in files.iter().rev() {
            let mut of_file = VecDeque::new();
            let room = count - lines.len();
            let read = self.read(path, 0, &mut |line| {
                of_file.push_back(line.to_owned());
                if of_file.len() > room {
                    of_file.pop_front();
                }
                Ok(())
            })?;
            if end.file.is_none() {
                end = Position { file: Some(path.clone()), bytes: read };
            }
            of_file.into_iter().rev().for_each(|line| lines.push_front(line));
            if lines.len() >= count {
                break;
            }
        }
        Ok((lines, end))
    }

    /// The lines written since `at`, also in newer files.
    fn next(
        &self,
        at: &mut Position,
        show: &mut dyn FnMut(&str) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        for path in self.files() {
            match &at.file {
                Some(current) if path < *current => continue,
                Some(current) if path == *current => {}
                _ => *at = Position { file: Some(path.clone()), bytes: 0 },
            }
            at.bytes = self.read(&path, at.bytes, show)?;
        }
        Ok(())
    }

    /// Passes the matching lines from byte `from` to `show`; returns the end of the last whole line.
    fn read(
        &self,
        path: &Path,
        from: u64,
        show: &mut dyn FnMut(&str) -> Result<(), CommandError>,
    ) -> Result<u64, CommandError> {
        let unreadable = |error: std::io::Error| {
            CommandError::message(
                format!("cannot read `{}`: {error}", path.display()),
                "run this as the user that runs the host",
            )
        };
        let mut file = match File::open(path) {
            Ok(file) => file,
            // Deleted since the folder was listed, because of its age.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(from),
            Err(error) => return Err(unreadable(error)),
        };
        file.seek(SeekFrom::Start(from)).map_err(unreadable)?;
        let mut reader = BufReader::new(file);
        let (mut at, mut line) = (from, Vec::new());
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line).map_err(unreadable)?;
            if line.last() != Some(&b'\n') {
                return Ok(at);
            }
            at += read as u64;
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end();
            if self.matches(text) {
                show(text)?;
            }
        }
    }
}

/// `time LEVEL context: message key=value ...`
fn human(line: &str) -> String {
    let Ok(Value::Object(mut event)) = serde_json::from_str::<Value>(line) else { return line.to_owned() };
    let mut take = |key: &str| match event.remove(key) {
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let (timestamp, level, target, context, message) =
        (take("timestamp"), take("level"), take("target"), take("context"), take("message"));
    let who = if context.is_empty() { target } else { context };
    // Milliseconds are enough for a reader.
    let time = timestamp.get(..23).map_or(timestamp.clone(), |short| format!("{short}Z"));
    let mut text = format!("{time} {level:5} {who}: {message}");
    for (key, value) in event {
        match value {
            Value::String(value) if value.is_empty() => {}
            Value::String(value) => text.push_str(&format!(" {key}={value}")),
            Value::Object(_) => {}
            other => text.push_str(&format!(" {key}={other}")),
        }
    }
    // A guest's line must not control the terminal.
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn line(context: &str, message: &str) -> String {
        let (time, level) = ("2026-01-02T03:04:05.678901Z", "INFO");
        serde_json::json!({"timestamp": time, "level": level, "target": "guest", "context": context, "message": message, "trace": "00ab", "topic": ""})
            .to_string()
    }

    #[test]
    fn a_line_is_shortened_for_the_terminal() {
        let expect = "2026-01-02T03:04:05.678Z INFO  orders: took \u{fffd}[2J it trace=00ab";
        assert_eq!(human(&line("orders", "took \u{1b}[2J it")), expect);
        assert_eq!(human("not json"), "not json");
    }

    #[test]
    fn the_last_lines_come_from_several_files_and_following_continues_in_new_ones() {
        let folder = tempfile::tempdir().unwrap();
        let write = |day: &str, lines: &[String]| {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            std::fs::write(folder.path().join(format!("seam.log.{day}")), text).unwrap();
        };
        let messages = |lines: &VecDeque<String>| -> Vec<String> {
            let message = |line: &String| serde_json::from_str::<Value>(line).unwrap()["message"].to_string();
            lines.iter().map(message).collect()
        };
        write("2026-01-01", &[line("a", "1"), line("b", "2"), line("a", "3")]);
        write("2026-01-02", &[line("a", "4")]);
        let logs = Logs { folder: folder.path().to_owned(), context: Some("a") };
        let (lines, mut at) = logs.last(&logs.files(), 2).unwrap();
        assert_eq!(messages(&lines), ["\"3\"", "\"4\""]);
        write("2026-01-02", &[line("a", "4"), line("b", "5"), line("a", "6")]);
        write("2026-01-03", &[line("a", "7")]);
        let mut seen = VecDeque::new();
        let mut show = |line: &str| {
            seen.push_back(line.to_owned());
            Ok(())
        };
        logs.next(&mut at, &mut show).unwrap();
        logs.next(&mut at, &mut show).unwrap();
        assert_eq!(messages(&seen), ["\"6\"", "\"7\""]);
        let all = Logs { folder: folder.path().to_owned(), context: None };
        assert_eq!(all.last(&all.files(), 0).unwrap().0.len(), 0);
    }
}
