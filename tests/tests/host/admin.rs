//! The admin socket under clients that mean no good: whose it is, and that it goes on whatever they send or not.

use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use seam::limits;
use seam_tests::System;
use seam_tests::host::{Host, seam};
use seam_tests::version::Version;
use seam_tests::wait::{TIMEOUT, until};

struct Fixture {
    host: Host,
    manifest: PathBuf,
    socket: PathBuf,
    _system: System,
}

impl Fixture {
    fn new() -> Result<Self> {
        let system = System::new().context("numbers", &Version::times(2).wasm()?, "")?;
        let (manifest, data) = (system.write()?, system.folder.path().join("data"));
        let host = Host::up(&manifest, &data)?;
        Ok(Self { host, manifest, socket: data.join("seam.sock"), _system: system })
    }

    /// What the host answers to these bytes until it closes the connection.
    fn send(&self, bytes: &[u8]) -> Result<String> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        // It may close the connection before it has all of them.
        stream.write_all(bytes).ok();
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => anyhow::bail!("the connection stays open"),
            _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
        }
    }

    fn serves(&self) -> Result<()> {
        let output = seam(&self.manifest, &["call", "numbers", "numbers.times(7)"])?;
        ensure!(output.stdout == b"ok(14)\n", "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

#[test]
fn the_socket_is_the_hosts_own_in_a_folder_of_its_own() -> Result<()> {
    let fixture = Fixture::new()?;
    let (socket, folder) = (fixture.socket.metadata()?, fixture.socket.with_file_name("").metadata()?);
    let process = std::fs::metadata(format!("/proc/{}", fixture.host.pid()))?;
    assert_eq!((socket.mode() & 0o777, folder.mode() & 0o777), (0o600, 0o700));
    assert_eq!((socket.uid(), folder.uid()), (process.uid(), process.uid()));
    Ok(())
}

#[test]
fn garbage_and_requests_beyond_the_bounds_are_answered_or_cut_off() -> Result<()> {
    let fixture = Fixture::new()?;
    let body = |bytes: usize| {
        let head = format!("POST /call HTTP/1.1\r\nhost: seam\r\nconnection: close\r\ncontent-length: {bytes}\r\n\r\n");
        [head.into_bytes(), vec![b'x'; bytes]].concat()
    };
    let long = |what: &str, bytes: usize| format!("GET /contexts HTTP/1.1\r\n{what}: {}\r\n\r\n", "x".repeat(bytes));
    let cases: [(&str, Vec<u8>, &[&str]); 7] = [
        ("zeros", vec![0; 1 << 20], &["", "HTTP/1.1 400"]),
        (
            "bytes of any kind",
            (0..1 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect(),
            &["", "HTTP/1.1 400"],
        ),
        ("another protocol", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), &["", "HTTP/1.1 400"]),
        ("a huge head", long("x", 4 << 20).into_bytes(), &["", "HTTP/1.1 431"]),
        ("a huge body", body(limits::ADMIN_BODY_BYTES_MAX + 1), &["HTTP/1.1 400"]),
        ("a body that is no request", body(100), &["HTTP/1.1 400"]),
        (
            "an unknown path",
            b"GET /../etc HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".to_vec(),
            &["HTTP/1.1 404"],
        ),
    ];
    for (what, bytes, expect) in cases {
        let answer = fixture.send(&bytes)?;
        let fits = |start: &&str| if start.is_empty() { answer.is_empty() } else { answer.starts_with(start) };
        ensure!(expect.iter().any(fits), "{what}: {answer:?}");
        fixture.serves()?;
    }
    Ok(())
}

#[test]
fn clients_that_send_nothing_do_not_keep_others_out() -> Result<()> {
    let fixture = Fixture::new()?;
    let connect = |_| Ok(UnixStream::connect(&fixture.socket)?);
    let silent: Vec<UnixStream> = (0..limits::ADMIN_CONNECTIONS_MAX).map(connect).collect::<Result<_>>()?;
    // All places are taken until the host gives up on them.
    until(TIMEOUT, || Ok(fixture.serves().map_err(|error| error.to_string())))?;
    let mut slow = UnixStream::connect(&fixture.socket)?;
    slow.write_all(b"POST /call HTTP/1.1\r\nhost: seam\r\nconnection: close\r\ncontent-length: 100\r\n\r\n{")?;
    slow.set_read_timeout(Some(TIMEOUT))?;
    let mut answer = String::new();
    slow.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 400") && answer.contains("did not arrive in time"), "{answer}");
    drop(silent);
    assert!(fixture.host.stop(Duration::from_secs(10))?.success());
    Ok(())
}
