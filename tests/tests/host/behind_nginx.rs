//! The real binary behind nginx, with the configuration of `docs/behind-a-proxy.md`. Where nginx or curl is not
//! installed, the tests say so and pass.

use std::io::Read;
use std::net::TcpListener;

use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use anyhow::{Context, Result, ensure};
use seam_tests::host::Host;
use seam_tests::proxy::proxy;
use seam_tests::{MEMORY, System, component, repo, wait};

/// The documented names.
const NAMES: [&str; 2] = ["shop.example", "raw.shop.example"];

/// A context that sets a cookie, redirects, and answers with the request that it got, somewhere among other bytes.
fn echo() -> Result<Vec<u8>> {
    let wit = "package t:echo; world this { export seam:host/http-handler@0.1.0; }";
    let wat = format!(
        r#"(module {MEMORY}
            (data (i32.const 1024) "set-cookie") (data (i32.const 1040) "__Host-session=1; Path=/; Secure")
            (data (i32.const 1080) "location") (data (i32.const 1090) "/cart?a=b")
            (func $text (param $at i32) (param $text i32) (param $length i32)
                (i32.store (local.get $at) (local.get $text))
                (i32.store offset=4 (local.get $at) (local.get $length)))
            (func (export "seam:host/http-handler@0.1.0#handle")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
                (call $text (i32.const 256) (i32.const 1024) (i32.const 10))
                (call $text (i32.const 264) (i32.const 1040) (i32.const 32))
                (call $text (i32.const 272) (i32.const 1080) (i32.const 8))
                (call $text (i32.const 280) (i32.const 1090) (i32.const 9))
                (i32.store16 (i32.const 128) (i32.const 303))
                (call $text (i32.const 132) (i32.const 256) (i32.const 2))
                (call $text (i32.const 140) (i32.const 4096) (i32.sub (global.get $top) (i32.const 4096)))
                (global.set $top (i32.const 4096))
                (i32.const 128)))"#
    );
    component(wit, "this", &wat)
}

/// A context that sends an event, and nothing more for longer than a test waits.
fn events() -> Result<Vec<u8>> {
    proxy(
        "event: tick\\0a\\0a",
        r#"(local.set $stream (call $start (local.get $out)))
        (call $put (local.get $stream) (i32.const 512) (i32.const 13))
        (call $sleep (i32.const 600000))
        (call $end (local.get $stream))"#,
    )
}

/// A running nginx; killed when dropped.
struct Nginx {
    child: Child,
    port: u16,
    tls_port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Nginx {
    /// Serves what `url` serves, as the documentation says; `None` where a program is missing.
    fn start(url: &str) -> Result<Option<Self>> {
        for (program, flag) in [("nginx", "-v"), ("curl", "--version")] {
            if Command::new(program).arg(flag).output().is_err() {
                eprintln!("skipped: `{program}` is not installed");
                return Ok(None);
            }
        }
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name).display().to_string();
        let key = rcgen::KeyPair::generate()?;
        let certificate = rcgen::CertificateParams::new(NAMES.map(str::to_owned))?.self_signed(&key)?;
        std::fs::write(at("shop.pem"), certificate.pem())?;
        std::fs::write(at("shop.key"), key.serialize_pem())?;
        let page = std::fs::read_to_string(repo().join("docs/behind-a-proxy.md"))?;
        let (_, documented) = page.split_once("```nginx\n").context("a block for nginx")?;
        let (documented, _) = documented.split_once("```").context("the end of the block")?;
        let (port, tls_port) = free_ports()?;
        let mut servers = documented.to_owned();
        for (from, to) in [
            ("listen 80", format!("listen 127.0.0.1:{port}")),
            ("listen 443", format!("listen 127.0.0.1:{tls_port}")),
            ("server 127.0.0.1:8080;", format!("server {};", url.trim_start_matches("http://"))),
            ("/etc/ssl/", at("")),
        ] {
            ensure!(servers.contains(from), "the documented configuration has no `{from}`");
            servers = servers.replace(from, &to);
        }
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary: String = temporary.iter().map(|kind| format!("{kind}_temp_path {};\n", at(kind))).collect();
        let pid = at("pid");
        // One process, which can be killed.
        let whole = format!(
            "daemon off; master_process off; pid {pid}; error_log stderr;\nevents {{}}\n\
             http {{ access_log off;\n{temporary}{servers}}}\n"
        );
        std::fs::write(at("nginx.conf"), whole)?;
        let mut child = Command::new("nginx");
        child.args(["-e", "stderr", "-p", &at(""), "-c", &at("nginx.conf")]).stdin(Stdio::null()).stdout(Stdio::null());
        let mut nginx = Self { child: child.spawn()?, port, tls_port, _folder: folder };
        wait::until(wait::TIMEOUT, || {
            ensure!(nginx.child.try_wait()?.is_none(), "nginx ended; see its messages above");
            let serves = std::net::TcpStream::connect(("127.0.0.1", tls_port));
            Ok(serves.map_err(|error| format!("nginx does not listen: {error}")))
        })?;
        Ok(Some(nginx))
    }

    /// curl that asks for an address, such as `https://shop.example/x`, from another address than nginx's.
    fn curl(&self, address: &str) -> Result<Command> {
        let (scheme, rest) = address.split_once("://").context("a scheme")?;
        let (host, path) = rest.split_once('/').context("a path")?;
        let port = if scheme == "https" { self.tls_port } else { self.port };
        let mut curl = Command::new("curl");
        curl.args(["-q", "--silent", "--insecure", "--include", "--path-as-is", "--noproxy", "*", "--max-time", "60"]);
        curl.args(["--interface", "127.0.0.2", "--resolve", &format!("{host}:{port}:127.0.0.1")]);
        curl.arg(format!("{scheme}://{host}:{port}/{path}"));
        Ok(curl)
    }

    /// The answer: its head and whatever body there is; empty without one.
    fn get(&self, address: &str, more: &[&str]) -> Result<String> {
        let output = self.curl(address)?.args(more).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n"))
    }
}

/// Two ports that nothing listens on.
fn free_ports() -> Result<(u16, u16)> {
    let (one, other) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok((one.local_addr()?.port(), other.local_addr()?.port()))
}

/// The documented `[http]` and mounts, served, with `raw` as the second context. The system's folder lasts as long.
fn start(raw: &[u8], lines: &str) -> Result<(Host, System)> {
    let page = std::fs::read_to_string(repo().join("docs/behind-a-proxy.md"))?;
    let (_, documented) = page.split_once("[http]\n").context("the manifest's block")?;
    let (documented, _) = documented.split_once("```").context("the end of the block")?;
    let system = System::new().context("storefront", &echo()?, "")?.context("raw", raw, lines)?;
    let system = system.lines(&format!("[http]\n{documented}"));
    Ok((Host::up(&system.write()?, &system.folder.path().join("data"))?, system))
}

fn has_line(answer: &str, start: &str) -> bool {
    answer.lines().any(|line| line.to_ascii_lowercase().starts_with(start))
}

#[test]
fn clients_schemes_hosts_cookies_and_redirects_pass_nginx() -> Result<()> {
    let (host, _system) = start(&echo()?, "")?;
    let Some(nginx) = Nginx::start(&host.url)? else { return Ok(()) };
    for name in NAMES {
        let lies = ["-H", "X-Forwarded-For: 192.0.2.9", "-H", "Forwarded: for=192.0.2.9;proto=http"];
        let answer = nginx.get(&format!("https://{name}/x?y=z"), &lies)?;
        assert!(answer.starts_with("HTTP/2 303"), "{answer:?}");
        assert!(answer.contains("for=127.0.0.2;proto=https") && !answer.contains("192.0.2.9"), "{answer:?}");
        assert!(answer.contains(name) && answer.contains("y=z"), "{answer:?}");
        assert!(has_line(&answer, "set-cookie: __host-session=1; path=/; secure"), "{answer:?}");
        assert!(has_line(&answer, "location: /cart?a=b") && has_line(&answer, "strict-transport-security: max-age="));
        assert_eq!(answer.to_ascii_lowercase().matches("strict-transport-security").count(), 1, "{answer:?}");
    }
    let line = host.log_line(&["access", "127.0.0.2", "/x"])?;
    assert!(!line.contains("192.0.2.9"), "{line}");
    let plain = nginx.get("http://shop.example/x?y", &[])?;
    assert!(plain.starts_with("HTTP/1.1 308") && has_line(&plain, "location: https://shop.example/x?y"), "{plain:?}");
    for address in ["https://other.example/", "http://other.example/"] {
        assert_eq!(nginx.get(address, &[])?, "", "a name that nothing serves: {address}");
    }
    Ok(())
}

#[test]
fn paths_that_nginx_reads_differently_and_pages_of_operators_do_not_pass() -> Result<()> {
    let (host, _system) = start(&echo()?, "")?;
    let Some(nginx) = Nginx::start(&host.url)? else { return Ok(()) };
    for path in ["/a/../b", "/a/%2e%2e/b", "/a//b", "/a%2Fb", "/a/..;x/b", "/a%5cb", "/a%00"] {
        let answer = nginx.get(&format!("https://shop.example{path}"), &[])?;
        assert!(answer.starts_with("HTTP/2 400"), "{path}: {answer:?}");
    }
    for path in ["/healthz", "/metrics"] {
        let answer = nginx.get(&format!("https://shop.example{path}"), &["--interface", "127.0.0.1"])?;
        assert!(answer.starts_with("HTTP/2 303"), "{path}: {answer:?}");
    }
    Ok(())
}

#[test]
fn events_pass_nginx_while_the_answer_goes_on() -> Result<()> {
    let lines = "capabilities = [\"clocks\"]\nlimits = { timeout_ms = 120000 }";
    let (host, _system) = start(&events()?, lines)?;
    let Some(nginx) = Nginx::start(&host.url)? else { return Ok(()) };
    let mut curl = nginx.curl("https://raw.shop.example/")?.arg("--no-buffer").stdout(Stdio::piped()).spawn()?;
    let mut body = curl.stdout.take().context("its output")?;
    let (send, pieces) = mpsc::channel();
    std::thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(read) = body.read(&mut piece) {
            if read == 0 || send.send(String::from_utf8_lossy(&piece[..read]).into_owned()).is_err() {
                break;
            }
        }
    });
    let mut seen = String::new();
    let came = loop {
        match pieces.recv_timeout(wait::TIMEOUT) {
            Ok(piece) => seen += &piece,
            Err(_) => break false,
        }
        if seen.contains("event: tick") {
            break true;
        }
    };
    // The answer has not ended: the event came before.
    let open = curl.try_wait()?.is_none();
    curl.kill().ok();
    curl.wait()?;
    assert!(came && open, "{seen:?}");
    Ok(())
}
