//! Clients that read or send slowly, stall or leave: the time in which a guest waits for them is not its own, and what
//! they do is no fault of its context.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use seam_tests::host::Host;
use seam_tests::proxy::proxy;
use seam_tests::{System, wait};

/// Bytes of `/big`: more than the kernel holds for a client that does not read.
const BIG: usize = 24 << 20;

/// `/big` writes `BIG` bytes, `/slow` four pieces with a pause before each, `/count` reads the upload and answers with
/// its length, `/echo` sends each piece of the upload back.
fn guest() -> Result<Vec<u8>> {
    let pieces = BIG / 4096;
    proxy(
        "",
        &format!(
            r#"(local.set $n (call $letter (local.get $request)))
            (if (i32.eq (local.get $n) (i32.const 98)) (then
                (local.set $stream (call $start (local.get $out)))
                (local.set $n (i32.const {pieces}))
                (loop $more
                    (call $put (local.get $stream) (i32.const 32768) (i32.const 4096))
                    (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                    (br_if $more (local.get $n)))
                (call $end (local.get $stream))
                (return)))
            (if (i32.eq (local.get $n) (i32.const 115)) (then
                (local.set $stream (call $start (local.get $out)))
                (local.set $n (i32.const 4))
                (loop $more
                    (call $sleep (i32.const 400))
                    (call $number (local.get $stream) (local.get $n))
                    (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                    (br_if $more (local.get $n)))
                (call $end (local.get $stream))
                (return)))
            (local.set $body-stream (call $upload (local.get $request)))
            (if (i32.eq (local.get $n) (i32.const 101)) (then
                (local.set $stream (call $start (local.get $out)))
                (block $all (loop $more
                    (local.set $n (call $read (local.get $body-stream)))
                    (br_if $all (i32.lt_s (local.get $n) (i32.const 0)))
                    (call $put (local.get $stream) (global.get $bytes) (local.get $n))
                    (br $more)))
                (call $end (local.get $stream))
                (return)))
            (local.set $n (i32.const 0))
            (block $all (loop $more
                (local.set $m (call $read (local.get $body-stream)))
                (br_if $all (i32.lt_s (local.get $m) (i32.const 0)))
                (local.set $n (i32.add (local.get $n) (local.get $m)))
                (br $more)))
            (local.set $stream (call $start (local.get $out)))
            (call $number (local.get $stream) (local.get $n))
            (call $end (local.get $stream))"#
        ),
    )
}

/// The host with the guest, whose calls have a second, and with `http` in the manifest's `[http]`.
fn serving(http: &str) -> Result<(Host, System)> {
    let lines = "capabilities = [\"clocks\"]\nlimits = { timeout_ms = 1000, concurrency = 1 }";
    let system = System::new()
        .context("third-party", &guest()?, lines)?
        .lines(&format!("[http]\n{http}\n[[mount]]\npath = \"/\"\ncontext = \"third-party\""));
    Ok((Host::up(&system.write()?, &system.folder.path().join("data"))?, system))
}

fn ask(host: &Host, head: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(host.url.trim_start_matches("http://"))?;
    stream.set_read_timeout(Some(wait::TIMEOUT))?;
    stream.write_all(format!("{head} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n").as_bytes())?;
    Ok(stream)
}

/// Sends `body` as chunks, with a pause before each.
fn upload(stream: &mut TcpStream, chunks: usize, chunk: &[u8], pause: Duration) -> Result<()> {
    stream.write_all(b"transfer-encoding: chunked\r\n\r\n")?;
    for _ in 0..chunks {
        std::thread::sleep(pause);
        stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes())?;
        stream.write_all(chunk)?;
        stream.write_all(b"\r\n")?;
    }
    Ok(stream.write_all(b"0\r\n\r\n")?)
}

/// The whole answer; a reset is an end.
fn rest(stream: &mut TcpStream) -> Result<String> {
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => Err(error.into()),
        _ => Ok(String::from_utf8_lossy(&all).into_owned()),
    }
}

fn metric(host: &Host, name: &str) -> Result<u64> {
    let text = host.get("/metrics")?.text();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    Ok(line.with_context(|| format!("no {name} in {text}"))?.trim().parse()?)
}

fn cuts(host: &Host, kind: &str) -> Result<u64> {
    metric(host, &format!("seam_http_client_cuts_total{{context=\"third-party\",kind=\"{kind}\"}}"))
}

/// Waits until the guest has ended so many calls, none of which is its fault.
fn blameless(host: &Host, calls: u64) -> Result<()> {
    wait::until(wait::TIMEOUT, || {
        let ended = metric(host, "seam_call_duration_seconds_count{context=\"third-party\"}")?;
        Ok((ended == calls).then_some(()).ok_or_else(|| format!("{ended} calls have ended, not {calls}")))
    })?;
    for kind in ["trapped", "timed-out", "overloaded"] {
        let failures = metric(host, &format!("seam_call_failures_total{{context=\"third-party\",kind=\"{kind}\"}}"))?;
        ensure!(failures == 0, "{failures} calls {kind}: {}", host.log()?);
    }
    let log = host.log()?;
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("\"ERROR\"")).collect();
    ensure!(errors.is_empty(), "{errors:?}");
    Ok(())
}

/// The client takes twice the time that the guest has. The kernel holds a part of the body, so the guest waits for the
/// client for the rest of that time.
#[test]
fn a_client_that_reads_slowly_gets_every_byte() -> Result<()> {
    let (host, _system) = serving("")?;
    let mut stream = ask(&host, "GET /big")?;
    stream.write_all(b"\r\n")?;
    let (mut all, mut piece) = (0, vec![0; 128 << 10]);
    loop {
        let read = stream.read(&mut piece)?;
        if read == 0 {
            break;
        }
        all += read;
        // 24 MiB at 8 MiB a second.
        std::thread::sleep(Duration::from_nanos(read as u64 * 120));
    }
    assert!(all > BIG, "{all} of {BIG} bytes");
    blameless(&host, 1)
}

#[test]
fn a_client_of_http_2_that_reads_slowly_gets_every_byte() -> Result<()> {
    let (host, _system) = serving("")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let all = runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(host.url.trim_start_matches("http://")).await?;
        let (mut client, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(64 << 10)
            .handshake(TokioIo::new(stream))
            .await?;
        tokio::spawn(connection);
        let request = http::Request::get(format!("{}/big", host.url)).body(Empty::<&[u8]>::new())?;
        let mut body = client.send_request(request).await?.into_body();
        let mut all = 0;
        while let Some(frame) = body.frame().await {
            let read = frame?.data_ref().map_or(0, |data| data.len());
            all += read;
            tokio::time::sleep(Duration::from_nanos(read as u64 * 120)).await;
        }
        anyhow::Ok(all)
    })?;
    assert_eq!(all, BIG);
    blameless(&host, 1)
}

#[test]
fn a_stream_may_last_longer_than_the_guest_has_for_one_piece() -> Result<()> {
    let (host, _system) = serving("")?;
    let mut stream = ask(&host, "GET /slow")?;
    stream.write_all(b"\r\n")?;
    let text = rest(&mut stream)?;
    assert!(text.contains("00000004") && text.ends_with("00000001\r\n0\r\n\r\n"), "{text}");
    blameless(&host, 1)
}

#[test]
fn an_upload_may_be_slow_and_one_that_is_too_slow_ends_with_408() -> Result<()> {
    let (host, _system) = serving("body_ms = 4000")?;
    for path in ["/count", "/echo"] {
        let mut stream = ask(&host, &format!("POST {path}"))?;
        upload(&mut stream, 20, &[b'x'; 1000], Duration::from_millis(75))?;
        let text = rest(&mut stream)?;
        let found = if path == "/count" { text.contains("00004e20") } else { text.matches('x').count() == 20_000 };
        assert!(found && text.ends_with("\r\n0\r\n\r\n"), "{path}: {text}");
    }
    blameless(&host, 2)?;
    let mut stream = ask(&host, "POST /count")?;
    stream.write_all(b"content-length: 10\r\n\r\nabc")?;
    let text = rest(&mut stream)?;
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
    blameless(&host, 3)?;
    assert_eq!(cuts(&host, "upload-slow")?, 1);
    Ok(())
}

#[test]
fn a_guest_reads_no_more_of_an_upload_than_it_may() -> Result<()> {
    let (host, _system) = serving("body_kb = 8")?;
    let mut announced = ask(&host, "POST /count")?;
    announced.write_all(b"content-length: 8193\r\n\r\n")?;
    assert!(rest(&mut announced)?.starts_with("HTTP/1.1 413 "));
    let mut fits = ask(&host, "POST /count")?;
    upload(&mut fits, 8, &[b'x'; 1024], Duration::ZERO)?;
    assert!(rest(&mut fits)?.contains("00002000"));
    let mut streamed = ask(&host, "POST /count")?;
    upload(&mut streamed, 9, &[b'x'; 1024], Duration::ZERO).ok();
    let text = rest(&mut streamed)?;
    assert!(text.starts_with("HTTP/1.1 413 "), "{text}");
    // Its head is on its way when the limit is met, so the answer can only be cut off.
    let mut echoed = ask(&host, "POST /echo")?;
    upload(&mut echoed, 64, &[b'x'; 1024], Duration::ZERO).ok();
    let text = rest(&mut echoed)?;
    assert!(text.matches('x').count() <= 8192 && !text.ends_with("\r\n0\r\n\r\n"), "{}", text.len());
    blameless(&host, 3)?;
    assert_eq!(cuts(&host, "upload-large")?, 2);
    Ok(())
}

/// The guest has one place, so the last answer shows that it was given back.
#[test]
fn a_client_that_stalls_is_cut_off_and_its_place_given_back() -> Result<()> {
    let (host, _system) = serving("idle_ms = 1000\nheader_ms = 500")?;
    let mut stalled = ask(&host, "GET /big")?;
    stalled.write_all(b"\r\n")?;
    wait::until(wait::TIMEOUT, || {
        let cut = cuts(&host, "stalled")?;
        Ok((cut == 1).then_some(()).ok_or_else(|| "the connection is open".to_owned()))
    })?;
    let mut next = ask(&host, "POST /count")?;
    next.write_all(b"content-length: 3\r\n\r\nabc")?;
    assert!(rest(&mut next)?.contains("00000003"));
    assert!(!rest(&mut stalled)?.ends_with("\r\n0\r\n\r\n"));
    blameless(&host, 2)
}

#[test]
fn what_clients_cut_is_counted_under_names_of_its_own() -> Result<()> {
    let (host, _system) = serving("")?;
    let mut head = ask(&host, "HEAD /slow")?;
    head.write_all(b"\r\n")?;
    assert!(rest(&mut head)?.starts_with("HTTP/1.1 200 "));
    blameless(&host, 1)?;
    let mut left = ask(&host, "GET /slow")?;
    left.write_all(b"\r\n")?;
    left.read_exact(&mut [0; 12])?;
    drop(left);
    blameless(&host, 2)?;
    let mut cut = ask(&host, "POST /count")?;
    cut.write_all(b"content-length: 10\r\n\r\nabc")?;
    drop(cut);
    blameless(&host, 3)?;
    assert_eq!((cuts(&host, "head")?, cuts(&host, "hang-up")? + cuts(&host, "upload-cut")?), (1, 2));
    assert_eq!((cuts(&host, "stalled")?, cuts(&host, "upload-slow")?), (0, 0));
    Ok(())
}
