//! Contexts with copies behind a real NATS server: hosts join, leave, are killed, and the server is.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use seam::admin::CallRequest;
use seam::admin::client::Client;
use seam_tests::System;
use seam_tests::broker::{Broker, free_port};
use seam_tests::caller_callee::{asking, numbers};
use seam_tests::host::{Host, seam};
use seam_tests::wait::{TIMEOUT, until};

fn tests() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `asking` lives on the host `shop` and calls `numbers`, of which `web1` and `web2` have copies.
struct Copied {
    system: System,
    manifest: PathBuf,
    broker: Broker,
}

impl Copied {
    fn new() -> Result<Self> {
        let (port, mut hosts) = (free_port()?, String::new());
        for (host, more) in [("shop", ""), ("web1", "copies = [\"numbers\"]\n"), ("web2", "copies = [\"numbers\"]\n")] {
            let address = free_port()?;
            hosts.push_str(&format!(
                "[hosts.{host}]\naddress = \"127.0.0.1:{address}\"\ndata = \"{host}\"\nlisten = [\"127.0.0.1:0\"]\n{more}"
            ));
        }
        let system = System::new()
            .context("asking", &asking(), "store = true\nat = \"shop\"\nimports = [\"t:numbers/numbers\"]")?
            .context("numbers", &numbers(), &format!("at = \"nats://127.0.0.1:{port}\""))?
            .lines(&hosts);
        let manifest = system.write()?;
        for arguments in [
            &["cert", "authority"][..],
            &["cert", "broker"],
            &["cert", "host", "shop"],
            &["cert", "host", "web1"],
            &["cert", "host", "web2"],
        ] {
            let made = seam(&manifest, &[&["--as", "shop"], arguments].concat())?;
            ensure!(made.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&made.stderr));
        }
        let configuration = system.folder.path().join("shop/certificates/broker/broker.conf");
        let broker = Broker::start(tests(), &configuration, port)?;
        Ok(Self { system, manifest, broker })
    }

    fn data(&self, host: &str) -> PathBuf {
        self.system.folder.path().join(host)
    }

    fn up(&self, host: &str) -> Result<Host> {
        Host::up_as(&self.manifest, &self.data(host), host, &[])
    }

    /// A call of `asking`, which calls `numbers` twice.
    fn ask(&self) -> Result<Result<(), String>> {
        ask(&self.data("shop"))
    }

    fn until_it_answers(&self) -> Result<()> {
        until(TIMEOUT, || self.ask())
    }

    /// Calls that this host has performed for `shop`.
    fn answered(&self, host: &Host) -> Result<u64> {
        let metrics = host.get("/metrics")?.text();
        let line = metrics
            .lines()
            .find(|line| line.starts_with("seam_remote_answers_total{outcome=\"answered\",peer=\"shop\"}"));
        let count = line.and_then(|line| line.rsplit_once(' ')).map_or(Ok(0), |(_, count)| count.parse());
        count.context("a number")
    }
}

fn ask(data: &Path) -> Result<Result<(), String>> {
    let request = CallRequest { context: "asking".into(), text: "asking.ask(6)".into(), timeout_ms: 3_000 };
    let answer = Client::connect(data)?.call(&request)?;
    Ok(if answer.wave.contains("ok(12)") { Ok(()) } else { Err(answer.wave) })
}

#[test]
fn hosts_with_copies_join_leave_and_die_and_no_call_fails_but_those_in_one_that_is_killed() -> Result<()> {
    let mut copied = Copied::new()?;
    let shop = copied.up("shop")?;
    let alone = copied.ask()?.err().unwrap_or_default();
    ensure!(alone.contains("unavailable"), "{alone}");
    let web1 = copied.up("web1")?;
    copied.until_it_answers()?;

    let (stop, asked, failures) = (AtomicBool::new(false), AtomicUsize::new(0), parking_lot::Mutex::new(Vec::new()));
    let data = copied.data("shop");
    let load = || {
        while !stop.load(SeqCst) {
            match ask(&data) {
                Ok(Ok(())) => drop(asked.fetch_add(1, SeqCst)),
                Ok(Err(why)) => failures.lock().push(why),
                Err(error) => failures.lock().push(error.to_string()),
            }
        }
    };
    let (web1, web2) = std::thread::scope(|scope| -> Result<(Host, Host)> {
        let callers: Vec<_> = (0..4).map(|_| scope.spawn(load)).collect();
        let under_load = || -> Result<(Host, Host)> {
            let web2 = copied.up("web2")?;
            until(TIMEOUT, || {
                let both = [copied.answered(&web1)?, copied.answered(&web2)?];
                Ok(if both.iter().all(|count| *count > 20) { Ok(()) } else { Err(format!("{both:?}")) })
            })?;
            // One leaves, and comes back; then the other one leaves.
            ensure!(web1.stop(Duration::from_secs(20))?.success(), "its end");
            let web1 = copied.up("web1")?;
            until(TIMEOUT, || {
                let count = copied.answered(&web1)?;
                Ok(if count > 20 { Ok(()) } else { Err(count.to_string()) })
            })?;
            Ok((web1, web2))
        };
        let hosts = under_load();
        stop.store(true, SeqCst);
        callers.into_iter().for_each(|caller| drop(caller.join()));
        hosts
    })?;
    assert_eq!(*failures.lock(), [""; 0], "of {}", asked.load(SeqCst));
    ensure!(asked.load(SeqCst) > 100, "there was load");

    // A host that dies takes no more calls: the other one has them all.
    web2.kill()?;
    copied.until_it_answers()?;
    for _ in 0..20 {
        ensure!(copied.ask()?.is_ok(), "the copy that is left answers");
    }

    // Without the broker, calls fail within their time; afterwards all is as before.
    copied.broker.kill()?;
    let started = Instant::now();
    until(TIMEOUT, || Ok(copied.ask()?.err().filter(|why| why.contains("unavailable")).ok_or_else(String::new)))?;
    ensure!(started.elapsed() < TIMEOUT);
    until(TIMEOUT, || {
        let metrics = shop.get("/metrics")?.text();
        Ok(if metrics.contains("seam_remote_up{peer=\"broker\"} 0") { Ok(()) } else { Err(metrics) })
    })?;
    copied.broker.start_again(tests())?;
    copied.until_it_answers()?;
    let contexts = seam(&copied.manifest, &["contexts", "--as", "shop"])?;
    let contexts = String::from_utf8_lossy(&contexts.stdout).into_owned();
    ensure!(contexts.contains("at broker"), "{contexts}");
    for host in [web1, shop] {
        ensure!(host.stop(Duration::from_secs(20))?.success(), "its end");
    }
    Ok(())
}
