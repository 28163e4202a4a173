//! Random guests and random clients against the real host: it lives, answers others, keeps its memory, and none of its
//! own code panics.
//!
//! The seed is printed, and stands in every failure. Ten minutes with one seed:
//! `SEAM_FUZZ_SEED=7 SEAM_FUZZ_S=600 cargo test --workspace --test components fuzzing -- --nocapture`.
//! The guests and what each client does depend on the seed alone; their order depends on the machine.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, ensure};
use seam_tests::fuzz::{Random, buffered_guest, streaming_guest, visit};
use seam_tests::host::Host;
use seam_tests::{MEMORY, System, component, wait};

/// Guests of each kind.
const GUESTS: usize = 6;
/// Most of their time they wait.
const CLIENTS: u64 = 16;
/// What the host may use more than at its start: its guests' memory (`limits` below) and the answers that are on their
/// way to `CLIENTS` clients, several times over.
const MEMORY_MB: u64 = 700;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Answers every request with 204.
fn steady() -> Result<Vec<u8>> {
    let wat = format!(
        r#"(module {MEMORY} (func (export "seam:host/http-handler@0.1.0#handle")
            (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
            (global.set $top (i32.const 4096))
            (i32.store16 (i32.const 16) (i32.const 204))
            (i32.const 16)))"#
    );
    component("package t:steady; world this { export seam:host/http-handler@0.1.0; }", "this", &wat)
}

fn memory_mb(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("the host has ended")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS: the host has ended")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? >> 10)
}

#[test]
fn random_guests_and_clients_do_not_harm_the_host() -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    let seed = variable("SEAM_FUZZ_SEED").unwrap_or(now % 1_000_000);
    let time = Duration::from_secs(variable("SEAM_FUZZ_S").unwrap_or(6));
    println!("SEAM_FUZZ_SEED={seed}");
    run(seed, time).with_context(|| format!("SEAM_FUZZ_SEED={seed}"))
}

fn run(seed: u64, time: Duration) -> Result<()> {
    let mut random = Random::new(seed);
    let limits = "limits = { timeout_ms = 300, instance_memory_mb = 32, context_memory_mb = 64, concurrency = 4 }";
    let mut system = System::new()
        .lines("[http]\nbody_kb = 64\nbody_ms = 500\nidle_ms = 1000\nheader_ms = 500")
        .context("steady", &steady()?, "")?
        .lines("[[mount]]\npath = \"/steady\"\ncontext = \"steady\"");
    let mut paths = Vec::new();
    for guest in 0..GUESTS {
        for (kind, wasm) in [("buffered", buffered_guest(&mut random)?), ("streaming", streaming_guest(&mut random)?)] {
            let name = format!("{kind}-{guest}");
            system = system.context(&name, &wasm, &format!("capabilities = [\"clocks\"]\n{limits}"))?;
            system = system.lines(&format!("[[mount]]\npath = \"/{name}\"\ncontext = \"{name}\""));
            paths.push(format!("/{name}/"));
        }
    }
    let host = Host::up(&system.write()?, &system.folder.path().join("data"))?;
    let (address, pid) = (host.url.trim_start_matches("http://"), host.pid());
    let (start_mb, deadline) = (memory_mb(pid)?, Instant::now() + time);
    let visits: u64 = std::thread::scope(|scope| -> Result<u64> {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (mut random, paths) = (Random::new(seed ^ (client + 1) << 32), &paths);
                scope.spawn(move || {
                    let mut visits = 0;
                    while Instant::now() < deadline {
                        visit(&mut random, address, paths).ok();
                        visits += 1;
                    }
                    visits
                })
            })
            .collect();
        while Instant::now() < deadline {
            ensure!(host.get("/steady/x")?.status == 204, "another request is not answered");
            let mb = memory_mb(pid)?;
            ensure!(mb < start_mb + MEMORY_MB, "the host uses {mb} MB, {start_mb} MB at its start");
            std::thread::sleep(Duration::from_millis(50));
        }
        let visits = clients.into_iter().map(|client| client.join().map_err(|_| anyhow!("a client panicked")));
        visits.sum()
    })?;
    println!("{visits} visits, {start_mb} MB at the start, {} MB at the end", memory_mb(pid)?);
    for status in [200, 500] {
        let (kind, status) = ("\"context\":\"buffered-", format!("\"status\":{status},"));
        let met = host.log()?.lines().any(|line| line.contains(kind) && line.contains(&status));
        ensure!(met, "no buffered guest answered {status} in {visits} visits");
    }
    // Every connection and every call ends by its bounds.
    wait::until(wait::TIMEOUT, || {
        let text = host.get("/metrics")?.text();
        let open = text.lines().find_map(|line| line.strip_prefix("seam_http_connections "));
        Ok((open == Some("1")).then_some(()).ok_or_else(|| format!("{open:?} connections are open")))
    })?;
    let metrics = host.get("/metrics")?.text();
    ensure!(metrics.contains("seam_host_panics_total 0\n"), "{}", panics(&host)?);
    ensure!(panics(&host)?.is_empty(), "{}", panics(&host)?);
    ensure!(host.stop(wait::TIMEOUT)?.success());
    Ok(())
}

/// Lines of the log that tell of a panic in the host.
fn panics(host: &Host) -> Result<String> {
    let log = host.log()?;
    Ok(log.lines().filter(|line| line.contains("panicked")).collect::<Vec<_>>().join("\n"))
}
