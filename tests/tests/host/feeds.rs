//! A feed of the real binary, read as `docs/feeds.md` says.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seam_tests::host::Host;
use seam_tests::news::News;
use seam_tests::{repo, wait};
use serde_json::Value;

const FEED: &str = "[[feed]]\ncontext = \"sender\"\ntokens.reports.file = \"secrets/reports.token\"";

/// The code blocks of `docs/feeds.md` in this language.
fn blocks(language: &str) -> Result<Vec<String>> {
    let page = std::fs::read_to_string(repo().join("docs/feeds.md"))?;
    let fence = format!("```{language}\n");
    let blocks = page.split(fence.as_str()).skip(1);
    Ok(blocks.filter_map(|block| block.split("```").next().map(str::to_owned)).collect())
}

/// Runs a documented block in `folder`, with the address of this host; its output.
fn run(block: &str, folder: &Path, url: &str) -> Result<String> {
    let block = block.replace("http://localhost:8080", &url.replace("127.0.0.1", "localhost"));
    let block = block.replace("/feeds/orders", "/feeds/sender");
    let ended = Command::new("sh").args(["-eu", "-c", &block]).current_dir(folder).stdin(Stdio::null()).output()?;
    ensure!(ended.status.success(), "{block}: {}", String::from_utf8_lossy(&ended.stderr));
    Ok(String::from_utf8(ended.stdout)?)
}

/// A system with a feed, whose token the documented commands have made.
fn news() -> Result<News> {
    let news = News::new("{ batch = 100 }", FEED)?;
    let folder = news.manifest();
    let folder = folder.parent().context("a folder")?;
    run(blocks("sh")?.first().context("how to make a token")?, folder, "")?;
    Ok(news)
}

fn token(news: &News) -> Result<String> {
    let folder = news.manifest();
    let token = std::fs::read_to_string(folder.with_file_name("secrets").join("reports.token"))?;
    Ok(format!("Bearer {}", token.trim()))
}

/// All that the feed has after `path`, page by page, and the address at which it goes on.
fn read(host: &Host, token: &str, mut path: String) -> Result<(Vec<Value>, String)> {
    let mut all = Vec::new();
    loop {
        let page = host.get_with(&path, &[("authorization", token)])?;
        ensure!(page.status == 200, "{path}: {} {}", page.status, page.text());
        let events: Vec<Value> = serde_json::from_slice(&page.body)?;
        let link = page.header("link").context("no next page")?;
        path = link.split(['<', '>']).nth(1).context("no address")?.to_owned();
        if events.is_empty() {
            return Ok((all, path));
        }
        all.extend(events);
    }
}

fn ids(events: &[Value]) -> Vec<u64> {
    events.iter().filter_map(|event| event.pointer("/data/id").and_then(Value::as_u64)).collect()
}

#[test]
fn the_documented_commands_read_a_feed() -> Result<()> {
    let news = news()?;
    let folder = news.manifest();
    let folder = folder.parent().context("a folder")?;
    let host = news.up()?;
    news.seam(&["call", "sender", "sender.send(1, 5, 2)"])?;
    let blocks = blocks("sh")?;
    let [_, page, stream] = blocks.as_slice() else { anyhow::bail!("{} blocks", blocks.len()) };
    let page = run(page, folder, &host.url)?;
    ensure!(page.contains("HTTP/1.1 200") && page.contains("link: </feeds/sender?after="), "{page}");
    ensure!(page.contains("\"type\":\"seambench:shop/news.arrived\"") && page.contains("Long Player 5"), "{page}");
    let stream = run(stream, folder, &host.url)?;
    ensure!(stream.contains("retry: ") && stream.contains("id: ") && stream.contains("Long Player 5"), "{stream}");
    Ok(())
}

#[test]
fn a_reader_misses_nothing_while_the_host_is_killed_and_the_publisher_swapped() -> Result<()> {
    let news = news()?;
    let token = token(&news)?;
    let (mut path, mut seen, mut sent) = ("/feeds/sender?count=70".to_owned(), Vec::new(), Vec::new());
    for round in 0..3u64 {
        let host = news.up()?;
        news.seam(&["call", "sender", &format!("sender.send({}, 200, 5)", round * 1_000)])?;
        sent.extend(round * 1_000..round * 1_000 + 200);
        let (events, next) = read(&host, &token, path)?;
        seen.extend(ids(&events));
        path = next;
        // Another version: the same component with a section more, which says nothing.
        let mut bytes = std::fs::read(seam_tests::news::component("sender")?)?;
        bytes.extend([0, 3, 1, b'x', u8::try_from(round)?]);
        let other = news.data().join("other.wasm");
        std::fs::write(&other, bytes)?;
        news.seam(&["deploy", "sender", &other.to_string_lossy(), "--watch", "0"])?;
        news.seam(&["call", "sender", &format!("sender.note({}, true)", round * 1_000 + 500)])?;
        sent.push(round * 1_000 + 500);
        host.kill()?;
    }
    let host = news.up()?;
    let (events, _) = read(&host, &token, path)?;
    seen.extend(ids(&events));
    ensure!(seen == sent, "{} of {} events, or in another order", seen.len(), sent.len());
    Ok(())
}

#[test]
fn after_a_restore_a_reader_learns_what_never_happened() -> Result<()> {
    let news = news()?;
    let token = token(&news)?;
    let host = news.up()?;
    news.seam(&["call", "sender", "sender.send(1, 3, 1)"])?;
    let (before, _) = read(&host, &token, "/feeds/sender".into())?;
    let backup = news.seam(&["backup"])?.trim().to_owned();
    news.seam(&["call", "sender", "sender.send(4, 2, 1)"])?;
    let (all, path) = read(&host, &token, "/feeds/sender".into())?;
    ensure!((before.len(), all.len()) == (3, 5));
    host.stop(Duration::from_secs(20))?;
    news.seam(&["restore", "sender", "--from", &backup, "--replace"])?;
    let host = news.up()?;
    news.seam(&["call", "sender", "sender.send(6, 1, 1)"])?;
    let (events, _) = read(&host, &token, path)?;
    let [restored, after] = events.as_slice() else { anyhow::bail!("{events:?}") };
    let id = |event: &Value| event.pointer("/id").and_then(Value::as_str).unwrap_or_default().parse::<u64>();
    ensure!(restored.pointer("/type").and_then(Value::as_str) == Some("seam.feed.restored"), "{restored}");
    let last = restored.pointer("/data/last").and_then(Value::as_str).context("no last")?.parse::<u64>()?;
    ensure!(ids(std::slice::from_ref(after)) == [6], "{after}");
    // What is gone lies between the two, and what is left does not.
    for event in &all {
        let gone = (last + 1..id(restored)?).contains(&id(event)?);
        ensure!(gone == (id(event)? > id(before.last().context("none")?)?), "{event}");
    }
    Ok(())
}

#[test]
fn open_streams_end_and_do_not_hold_a_stop_up() -> Result<()> {
    let news = news()?;
    let token = token(&news)?;
    let host = news.up()?;
    let mut curl = Command::new("curl");
    let url = format!("{}/feeds/sender", host.url);
    let curl = curl.args(["-sSN", "-H", &format!("authorization: {token}"), "-H", "accept: text/event-stream", &url]);
    let file = news.data().join("stream");
    let mut child = curl.stdout(std::fs::File::create(&file)?).stderr(Stdio::piped()).spawn()?;
    news.seam(&["call", "sender", "sender.send(1, 1, 1)"])?;
    wait::until(wait::TIMEOUT, || {
        let text = std::fs::read_to_string(&file)?;
        Ok(if text.contains("Long Player 1") { Ok(()) } else { Err(format!("no event: {text}")) })
    })?;
    let started = std::time::Instant::now();
    ensure!(host.stop(Duration::from_secs(20))?.success());
    ensure!(started.elapsed() < Duration::from_secs(6), "the stop waited for the stream until the drain time");
    ensure!(child.wait()?.success(), "the body was cut off");
    Ok(())
}
