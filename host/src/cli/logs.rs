//! `seam logs`: the log files in the data folder, also without a running host; those of all hosts of this machine as
//! one.

mod merge;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use seam_store::visible::one_line;
use serde_json::Value;

use super::error::{CommandError, unknown_context};
use super::global::{Format, Global};
use super::out;
use crate::manifest::Manifest;
use crate::{folder, homes, limits, logging};

#[derive(Debug, Args)]
pub struct Options {
    /// Only lines about this context; by default all
    pub context: Option<String>,
    /// Print new lines as they are written
    #[arg(long)]
    follow: bool,
    /// The number of last lines
    #[arg(long, value_name = "N", default_value_t = limits::LOG_LINES_SHOWN as u64,
          value_parser = clap::value_parser!(u64).range(0..=limits::LOG_LINES_SHOWN_MAX as u64))]
    lines: u64,
    /// Only lines of this level and worse: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL")]
    level: Option<tracing::Level>,
    /// Leave out the access log's lines, one a request
    #[arg(long)]
    no_access: bool,
    /// Only lines of the request with this trace id, which stands in its error page and in its `traceparent`
    #[arg(long, value_name = "ID")]
    trace: Option<String>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(global: &Global, options: &Options) -> Result<(), CommandError> {
    let (manifest, hosts) = hosts(global, options)?;
    if let Some(name) = &options.context
        && manifest.context(name).is_none()
    {
        return Err(unknown_context(&manifest, name));
    }
    let wanted = Wanted {
        context: options.context.as_deref(),
        level: options.level,
        no_access: options.no_access,
        trace: options.trace.as_deref().map(trace_id).transpose()?,
    };
    let logs: Vec<Logs<'_>> =
        hosts.into_iter().map(|(host, folder)| Logs { host, folder, wanted: wanted.clone() }).collect();
    let folders = || logs.iter().map(|one| format!("`{}`", one.folder.display())).collect::<Vec<_>>().join(" and ");
    if logs.iter().all(|one| one.files().is_empty()) && !options.follow {
        return Err(CommandError::message(format!("there is no log in {}", folders()), "start a host with `seam up`"));
    }
    let show = |line: &str, host: Option<&str>| match options.format {
        Format::Json => out::json_line(&merge::with_host(line, host)),
        Format::Human => out::line(&human(line, host)),
    };
    let most = usize::try_from(options.lines).unwrap_or(usize::MAX);
    let (mut last, mut ends) = (Vec::new(), Vec::new());
    for one in &logs {
        let (lines, end) = one.last(&one.files(), most)?;
        last.push((one.host.as_deref(), lines.into()));
        ends.push(end);
    }
    let lines = merge::merged(last);
    let lines = lines.get(lines.len().saturating_sub(most)..).unwrap_or_default();
    lines.iter().try_for_each(|(host, line)| show(line, *host))?;
    if !options.follow {
        return match lines.is_empty() && options.lines > 0 && wanted.is_filter() {
            true => Err(CommandError::message(
                format!("no line of the log in {} is like that", folders()),
                "ask for less, or look at all lines with `seam logs`",
            )),
            false => Ok(()),
        };
    }
    loop {
        std::thread::sleep(Duration::from_millis(limits::LOG_FOLLOW_MS));
        let mut next = Vec::new();
        for (one, at) in logs.iter().zip(&mut ends) {
            let mut lines = Vec::new();
            one.next(at, &mut |line| {
                lines.push(line.to_owned());
                Ok(())
            })?;
            next.push((one.host.as_deref(), lines));
        }
        merge::merged(next).iter().try_for_each(|(host, line)| show(line, *host))?;
    }
}

/// A host, if its name is shown, and the folder of its log.
type HostLog = (Option<String>, PathBuf);

/// The hosts whose logs are shown, each with its folder, and the manifest: the one that `--as` names, without its name,
/// or all that have a log on this machine. A context may have moved from one to another.
fn hosts(global: &Global, options: &Options) -> Result<(Manifest, Vec<HostLog>), CommandError> {
    let manifest = global.load()?;
    let all = &manifest.placement.hosts;
    if global.host.is_none() && !global.together && all.iter().any(|host| folder::logs(&host.data).is_dir()) {
        let manifest = homes::known_here(manifest)?;
        let mut hosts = Vec::new();
        for host in &manifest.placement.hosts {
            let (name, folder) = (host.name.to_string(), folder::logs(&host.data));
            match folder.is_dir() {
                true => hosts.push((Some(name), folder)),
                false => out::note(&format!(
                    "host `{name}` at {} has no log on this machine, and is not shown",
                    host.address
                )),
            }
        }
        return Ok((manifest, hosts));
    }
    let manifest = global.load_host_of(options.context.as_deref())?;
    let folder = folder::logs(&manifest.host.data);
    Ok((manifest, vec![(None, folder)]))
}

/// A trace id from what a user has at hand: the id itself, or a whole `traceparent`.
fn trace_id(text: &str) -> Result<String, CommandError> {
    let text = text.trim().to_ascii_lowercase();
    let id = text.split('-').find(|part| part.len() == 32).unwrap_or(&text);
    if id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(id.to_owned());
    }
    Err(CommandError::message(
        format!("`{}` is not a trace id", text.escape_debug()),
        "give the 32 hexadecimal digits of the error page, or the response's `traceparent`",
    ))
}

struct Logs<'a> {
    /// `None`: there is one host, and its name is not shown.
    host: Option<String>,
    folder: PathBuf,
    wanted: Wanted<'a>,
}

/// Which lines to show; all conditions apply.
#[derive(Default, Clone)]
struct Wanted<'a> {
    context: Option<&'a str>,
    /// This level or a worse one.
    level: Option<tracing::Level>,
    no_access: bool,
    /// 32 lower-case hexadecimal digits.
    trace: Option<String>,
}

impl Wanted<'_> {
    fn is_filter(&self) -> bool {
        self.context.is_some() || self.trace.is_some() || self.level.is_some() || self.no_access
    }

    fn matches(&self, line: &str) -> bool {
        // Searching the text is faster than parsing the JSON, and most lines belong to other contexts or requests.
        if [self.context, self.trace.as_deref()].into_iter().flatten().any(|text| !line.contains(text)) {
            return false;
        }
        if !self.is_filter() {
            return true;
        }
        let Ok(line) = serde_json::from_str::<Value>(line) else { return false };
        let is = |value: &Value, key: &str, text: &str| value.get(key).and_then(Value::as_str) == Some(text);
        let says = |key, text: &str| is(&line, key, text) || line.get("span").is_some_and(|span| is(span, key, text));
        let level = || line.get("level").and_then(Value::as_str).and_then(|level| level.parse::<tracing::Level>().ok());
        self.context.is_none_or(|context| says("context", context))
            && self.trace.as_deref().is_none_or(|trace| {
                says("trace", trace) || in_traceparent(&line, trace) || is(&line, "client_trace", trace)
            })
            // In tracing's order, the worst level is the least.
            && self.level.is_none_or(|least| level().is_some_and(|level| level <= least))
            && !(self.no_access && is(&line, "target", "access"))
    }
}

/// Whether the line's trace is a whole `traceparent` with this id, as in lines of calls that no request made.
fn in_traceparent(line: &Value, id: &str) -> bool {
    let trace = line.get("trace").and_then(Value::as_str).unwrap_or_default();
    trace.split('-').nth(1) == Some(id)
}

/// How far the log has been read.
#[derive(Default)]
struct Position {
    file: Option<PathBuf>,
    bytes: u64,
}

impl Logs<'_> {
    fn files(&self) -> Vec<PathBuf> {
        logging::files(&self.folder)
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
            if self.wanted.matches(text) {
                show(text)?;
            }
        }
    }
}

/// `time LEVEL context: message key=value ...`, with the host before the context.
fn human(line: &str, host: Option<&str>) -> String {
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
    let host = host.map(|host| format!("{host} ")).unwrap_or_default();
    let mut text = format!("{time} {level:5} {host}{who}: {message}");
    for (key, value) in event {
        match value {
            Value::String(value) if value.is_empty() => {}
            Value::String(value) => text.push_str(&format!(" {key}={value}")),
            Value::Object(_) => {}
            other => text.push_str(&format!(" {key}={other}")),
        }
    }
    // A guest's line ends where the host ends it.
    one_line(&text).into_owned()
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
        let expect = "2026-01-02T03:04:05.678Z INFO  orders: took \\u{1b}[2J it trace=00ab";
        assert_eq!(human(&line("orders", "took \u{1b}[2J it"), None), expect);
        let of_host = human(&line("orders", "took it"), Some("shop"));
        assert_eq!(of_host, "2026-01-02T03:04:05.678Z INFO  shop orders: took it trace=00ab");
        assert_eq!(human("not json", None), "not json");
    }

    #[test]
    fn errors_are_found_among_access_lines_by_level_by_trace_and_without_the_access_log() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let json = |value: Value| value.to_string();
        let lines = [
            json(serde_json::json!({"level": "INFO", "target": "access", "context": "shop", "trace": id})),
            json(serde_json::json!({"level": "ERROR", "target": "call", "context": "shop",
                                    "span": {"name": "request", "trace": id}})),
            json(serde_json::json!({"level": "WARN", "target": "http", "context": "shop", "message": id})),
            json(serde_json::json!({"level": "ERROR", "target": "call", "context": "stock",
                                    "trace": format!("00-{id}-00f067aa0ba902b7-01")})),
            json(serde_json::json!({"level": "INFO", "target": "access", "context": "shop", "trace": "00ab",
                                    "client_trace": id})),
        ];
        let check = |wanted: Wanted<'_>, expect: &[usize]| {
            let found: Vec<usize> = (0..lines.len()).filter(|at| wanted.matches(&lines[*at])).collect();
            assert_eq!(found, expect);
        };
        let context = Some("shop");
        check(Wanted::default(), &[0, 1, 2, 3, 4]);
        check(Wanted { level: Some(tracing::Level::WARN), ..Wanted::default() }, &[1, 2, 3]);
        check(Wanted { level: Some(tracing::Level::ERROR), context, ..Wanted::default() }, &[1]);
        check(Wanted { no_access: true, context, ..Wanted::default() }, &[1, 2]);
        check(Wanted { trace: Some(id.into()), ..Wanted::default() }, &[0, 1, 3, 4]);
        check(Wanted { trace: Some(id.into()), no_access: true, ..Wanted::default() }, &[1, 3]);
        check(Wanted { trace: Some("00f067aa0ba902b7".repeat(2)), ..Wanted::default() }, &[]);
        for text in [id, "4BF92F3577B34DA6A3CE929D0E0E4736", &format!("00-{id}-00f067aa0ba902b7-01")] {
            assert_eq!(trace_id(text).unwrap(), id);
        }
        assert!(trace_id("4bf9").is_err() && trace_id("").is_err());
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
        let wanted = Wanted { context: Some("a"), ..Wanted::default() };
        let logs = Logs { host: None, folder: folder.path().to_owned(), wanted };
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
        let all = Logs { host: None, folder: folder.path().to_owned(), wanted: Wanted::default() };
        assert_eq!(all.last(&all.files(), 0).unwrap().0.len(), 0);
    }
}
