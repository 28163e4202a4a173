//! Plants faults in the sources, one at a time, and runs the tests that should notice them: a measure of the tests.
//!
//! `just mutants` runs it. It works in a checkout of its own and takes about an hour, so it is no part of the suite.

mod list;
mod tree;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Parser;

use list::Mutant;
use tree::{Fate, Tree};

/// Below this rate the run fails.
const CAUGHT_PERCENT_MIN: usize = 95;
/// A test with a fault may take this much longer than without, before it counts as one that hangs.
const TIMES_LONGER: u32 = 10;
const LONGER: Duration = Duration::from_secs(60);

/// Plant faults one at a time, and say which of them the tests notice
#[derive(Parser)]
#[command(name = "just mutants")]
struct Args {
    /// Only mutants whose name or file contains one of these
    filters: Vec<String>,
    /// List them, with the tests that should notice each
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<bool> {
    let repo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let mut mutants = list::read(&repo)?;
    let has = |mutant: &Mutant, filter: &String| mutant.name.contains(filter) || mutant.file.contains(filter);
    for filter in &args.filters {
        let some = mutants.iter().any(|mutant| has(mutant, filter));
        ensure!(some, "no mutant has `{filter}` in its name or file; `--list` shows them");
    }
    mutants.retain(|mutant| args.filters.is_empty() || args.filters.iter().any(|filter| has(mutant, filter)));
    if args.list {
        for mutant in &mutants {
            println!("{:<48} {}  (cargo test {})", mutant.name, mutant.file, mutant.test);
        }
        return Ok(true);
    }
    let tree = Tree::of_head(&repo)?;
    eprintln!("building the sound sources in target/mutants");
    tree.build()?;
    let times = controls(&tree, &mutants)?;
    let fates = try_all(&tree, &mutants, &times)?;
    Ok(report(&fates))
}

/// Runs each test command once without a fault: a test that fails anyway tells nothing.
fn controls<'m>(tree: &Tree, mutants: &'m [Mutant]) -> Result<BTreeMap<&'m str, Duration>> {
    let tests: std::collections::BTreeSet<&str> = mutants.iter().map(|mutant| mutant.test.as_str()).collect();
    let mut times = BTreeMap::new();
    for (n, test) in (1..).zip(&tests) {
        eprintln!("sound {n}/{}  cargo test {test}", tests.len());
        times.insert(*test, tree.control(test)?);
    }
    Ok(times)
}

fn try_all<'m>(
    tree: &Tree,
    mutants: &'m [Mutant],
    times: &BTreeMap<&str, Duration>,
) -> Result<Vec<(&'m Mutant, Fate)>> {
    let mut fates = Vec::new();
    for (n, mutant) in (1..).zip(mutants) {
        let time = times.get(mutant.test.as_str()).map_or(LONGER, |time| *time * TIMES_LONGER + LONGER);
        let began = Instant::now();
        let fate = tree.try_mutant(mutant, time)?;
        let word = match fate {
            Fate::Caught => "caught",
            Fate::Missed => "MISSED",
            Fate::Hung => "HANGS",
            Fate::DoesNotCompile => "NO PROGRAM",
        };
        println!("{n:>3}/{}  {word:<10} {:>5.1} s  {}", mutants.len(), began.elapsed().as_secs_f64(), mutant.name);
        fates.push((mutant, fate));
    }
    Ok(fates)
}

/// Prints what was not caught; whether the rate is high enough, and every mutant is a program.
fn report(fates: &[(&Mutant, Fate)]) -> bool {
    let count = |wanted: Fate| fates.iter().filter(|(_, fate)| *fate == wanted).count();
    let (caught, broken) = (count(Fate::Caught), count(Fate::DoesNotCompile));
    let planted = fates.len() - broken;
    println!();
    for (mutant, fate) in fates.iter().filter(|(_, fate)| *fate != Fate::Caught) {
        println!("{fate:?}: {} ({}), cargo test {}", mutant.name, mutant.file, mutant.test);
    }
    println!("{caught} of {planted} mutants were caught");
    broken == 0 && caught * 100 >= planted * CAUGHT_PERCENT_MIN
}
