//! How long a saved line takes to be live under `seam dev`, beside visitors who are to notice nothing of it.
//!
//! Edits are made in a copy of this repository's sources, in `run/bench/dev`. A file is saved as editors do, and the clock runs until the
//! stream of events that open pages listen to tells of a new version; what of it was the compiler and what the host, the host says.

mod copy;
mod events;
mod visitors;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::figures::median;
use crate::load;
use crate::process::Server;
use events::Events;
use visitors::Visitors;

const COPY: &str = "run/bench/dev";
/// What `seam dev` compiles dependencies into, so that the tests' and this need it once.
const TARGET: &str = "target/tests/desk";
const DEMO: &str = "run/demo";
/// The album whose page visitors ask for.
const PAGE: &str = "/albums/MC-0042";

const TOTAL_TARGET_MS: f64 = 2_000.0;
const HOST_TARGET_MS: f64 = 100.0;

/// One line of one file, and what it becomes: `#` is another number each time.
struct Edit {
    name: &'static str,
    file: &'static str,
    line: &'static str,
    becomes: &'static str,
}

const EDITS: [Edit; 4] = [
    Edit {
        name: "catalog",
        file: "plugins/catalog/src/lib.rs",
        line: "domain::check_skus(&skus)?;",
        becomes: "domain::check_skus(&skus)?; if skus.len() == # { return Ok(Vec::new()); }",
    },
    Edit {
        name: "recommendation",
        file: "plugins/recommendation/src/lib.rs",
        line: "domain::Question::new(skus, count)?",
        becomes: "domain::Question::new(skus, count.min(#))?",
    },
    Edit {
        name: "storefront",
        file: "plugins/storefront/src/pages/album.rs",
        line: "render(&page, 8 * 1024)",
        becomes: "render(&page, 8 * 1024 + #)",
    },
    Edit {
        name: "storefront, a template",
        file: "plugins/storefront/templates/album.html",
        line: "Bought together</h2>",
        becomes: "Bought together #</h2>",
    },
];

/// Of one edit, in milliseconds.
struct Round {
    total: f64,
    build: f64,
    host: f64,
}

/// Measures all edits, so often each; a table, and whether it keeps its targets.
pub fn run(rounds: u32) -> Result<(String, bool)> {
    let (server, folder) = start()?;
    let page = load::get_once(server.address, PAGE, None)?;
    ensure!(page.status == 200, "{PAGE} answers {}", page.status);
    let mut events = Events::of(server.address)?;
    let visitors = Visitors::start(server.address, PAGE);
    let mut text = format!(
        "{:<28}{:>12}{:>12}{:>12}{:>12}{:>12}\n",
        "one line saved", "live after", "slowest", "build", "host", "the first"
    );
    let mut kept = true;
    for edit in &EDITS {
        eprintln!("{}", edit.name);
        let (first, all) = edit.measure(&folder, rounds, server.address, &mut events)?;
        let of = |part: fn(&Round) -> f64| median(all.iter().map(part).collect());
        let (total, host) = (of(|round| round.total), of(|round| round.host));
        let slowest = all.iter().map(|round| round.total).fold(0.0, f64::max);
        let good = total <= TOTAL_TARGET_MS && host <= HOST_TARGET_MS;
        kept &= good;
        writeln!(
            text,
            "  {:<26}{total:>9.0} ms{slowest:>9.0} ms{:>9.0} ms{host:>9.0} ms{:>9.0} ms  {}",
            edit.name,
            of(|round| round.build),
            first.total,
            if good { "ok" } else { "MISSED" }
        )?;
    }
    let seen = visitors.end()?;
    kept &= seen.lost == 0;
    writeln!(
        text,
        "targets: live after {TOTAL_TARGET_MS:.0} ms, of it the host {HOST_TARGET_MS:.0} ms; medians of {rounds} after the first"
    )?;
    writeln!(
        text,
        "meanwhile {} pages were asked for, {} lost, the slowest took {:.0} ms",
        seen.pages, seen.lost, seen.slowest_ms
    )?;
    if let Some(why) = seen.why {
        writeln!(text, "the first one lost: {why}")?;
    }
    server.stop()?;
    Ok((text, kept))
}

/// `seam dev` on a copy of the sources.
fn start() -> Result<(Server, PathBuf)> {
    let here = std::env::current_dir()?;
    ensure!(Path::new("seam.toml").is_file(), "run the benches in the repository's folder: there is no seam.toml here");
    ensure!(Path::new(DEMO).join("albums.jsonl").is_file(), "{DEMO} is missing; `just demo-data` makes it");
    let seam = std::env::current_exe()?.with_file_name("seam");
    ensure!(seam.is_file(), "`{}` is missing; run `cargo build --release -p seam -p seam-bench`", seam.display());
    let folder = here.join(COPY);
    copy::sources(&here, &folder)?;
    let config = format!("[build]\ntarget-dir = {:?}\n", here.join(TARGET));
    std::fs::create_dir_all(folder.join(".cargo"))?;
    std::fs::write(folder.join(".cargo/config.toml"), config)?;
    let manifest = std::fs::read_to_string("seam.toml")?;
    let manifest = manifest
        .replace("127.0.0.1:8080", "127.0.0.1:0")
        .replace(&format!("\"{DEMO}/"), &format!("\"{}/", here.join(DEMO).display()));
    std::fs::write(folder.join("seam.toml"), manifest)?;
    eprintln!("seam dev; the first time it compiles all dependencies, some minutes long");
    let mut command = Command::new(seam);
    command.arg("-f").arg(folder.join("seam.toml")).arg("dev");
    Ok((Server::start(command)?, folder))
}

impl Edit {
    /// The first round, and so many after it.
    fn measure(
        &self,
        folder: &Path,
        rounds: u32,
        address: std::net::SocketAddr,
        events: &mut Events,
    ) -> Result<(Round, Vec<Round>)> {
        let file = folder.join(self.file);
        let text = std::fs::read_to_string(&file)?;
        ensure!(text.contains(self.line), "`{}` does not contain `{}`", self.file, self.line);
        // Other numbers than in the last bench, and no larger than a page may be.
        let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.subsec_nanos() % 8_192;
        let mut all = Vec::new();
        for round in 0..=rounds {
            let number = (1_024 + seed + round).to_string();
            let saved = Instant::now();
            save(&file, &text.replacen(self.line, &self.becomes.replace('#', &number), 1))?;
            all.push(Self::live(saved, events)?);
            if self.file.ends_with(".html") {
                let page = load::get_once(address, PAGE, None)?;
                let shown = String::from_utf8_lossy(&page.body).contains(&number);
                ensure!(shown, "{PAGE} does not show what is said to be live");
            }
            std::thread::sleep(Duration::from_millis(300));
        }
        let back = Instant::now();
        save(&file, &text)?;
        Self::live(back, events)?;
        let first = all.remove(0);
        Ok((first, all))
    }

    /// Waits until what was saved serves.
    fn live(saved: Instant, events: &mut Events) -> Result<Round> {
        let (at, state) = events.settled()?;
        if let Some(problem) = state["problems"].as_array().and_then(|all| all.first()) {
            bail!("what was saved is not live: {problem}");
        }
        let ms = |key: &str| state["last"][key].as_f64().with_context(|| format!("no `{key}` in {state}"));
        let total = at.saturating_duration_since(saved).as_secs_f64() * 1e3;
        Ok(Round { total, build: ms("build_ms")?, host: ms("host_ms")? })
    }
}

/// As editors do: written aside, and renamed over the old one.
fn save(file: &Path, text: &str) -> Result<()> {
    let aside = file.with_extension("tmp");
    std::fs::write(&aside, text)?;
    Ok(std::fs::rename(aside, file)?)
}
