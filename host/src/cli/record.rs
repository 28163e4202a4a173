//! `seam record`: writes the calls that a context of the running host receives as a scenario.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use seam_store::private;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::error::CommandError;
use super::global::{Global, compiler};
use super::out;
use crate::admin::client::Client;
use crate::admin::{RecordRequest, ScenarioHead};
use crate::harness::Harness;
use crate::manifest::Manifest;
use crate::{app, limits};

#[derive(Debug, Args)]
pub struct Options {
    /// The context
    context: String,
    /// The file of the scenario; by default `recorded.toml` in the context's scenarios. A copy of the context's store
    /// goes beside it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// End after this time; by default with Ctrl-C
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=limits::RECORD_LOG_S_MAX))]
    seconds: Option<u64>,
    /// The name of the scenario
    #[arg(long, default_value = "as it was recorded")]
    name: String,
    /// Keep passwords, tokens and card numbers, too: for a system with invented data
    #[arg(long)]
    secrets: bool,
}

pub fn run(global: &Global, options: &Options) -> Result<(), CommandError> {
    let manifest = global.load_host_of(Some(&options.context))?;
    let data = &manifest.host.data;
    let folder = manifest.context(&options.context).map(|context| context.scenarios.clone()).unwrap_or_default();
    let output = options.output.clone().unwrap_or_else(|| folder.join("recorded.toml"));
    let output = std::path::absolute(&output).map_err(|error| CommandError::caused_by(&error, ""))?;
    let unwritable = |error: std::io::Error| {
        CommandError::message(
            format!("cannot write `{}`: {error}", output.display()),
            "name another file with `--output`",
        )
    };
    if let Some(folder) = output.parent() {
        std::fs::create_dir_all(folder).map_err(unwritable)?;
    }
    let file = output.with_extension("sqlite");
    let start = RecordRequest::Start { context: options.context.clone(), secrets: options.secrets, file: file.clone() };
    let failed = |error: std::io::Error| CommandError::caused_by(&error, "");
    let runtime = app::runtime().map_err(failed)?;
    // Before anything says that Ctrl-C ends the recording: until then it would end this process.
    let interrupt = runtime.block_on(async { signal(SignalKind::interrupt()) }).map_err(failed)?;
    let started = Client::connect(data)?.start_record(&start)?;
    let until = options.seconds.map_or("Ctrl-C ends it".to_owned(), |seconds| format!("for {seconds} s"));
    let (calls, mib) = (limits::RECORD_LOG_CALLS_MAX, limits::RECORD_LOG_BYTES_MAX >> 20);
    let context = &options.context;
    out::note(&format!("recording the calls of {context}: {until}; at most {calls} calls and {mib} MiB"));
    if started.file {
        out::warning(&format!("`{}` is a copy of the whole store of `{context}`, every row", file.display()));
        ignore(&file).map_err(unwritable)?;
    }
    runtime.block_on(wait(options.seconds, interrupt));
    let head = ScenarioHead {
        name: options.name.clone(),
        started,
        file: file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
    };
    let recording =
        Client::connect(data)?.stop_record(&RecordRequest::Stop { context: options.context.clone(), head })?;
    if recording.calls + recording.left_out + recording.dropped == 0 {
        std::fs::remove_file(&file).ok();
        return Err(CommandError::message(
            format!("`{}` received no call", options.context),
            "use the system while it is recorded",
        ));
    }
    private::write(&output, recording.scenario.as_bytes()).map_err(unwritable)?;
    ignore(&output).map_err(unwritable)?;
    out::line(&format!("{}: {} calls", output.display(), recording.calls))?;
    out::warning(
        "it holds values of real calls, and its first lines say which; you alone can read it, and git ignores it",
    );
    if recording.dropped > 0 {
        out::warning(&format!("{} more calls are missing: the recording was full", recording.dropped));
    }
    if recording.left_out > 0 {
        let why = "they failed in a way that does not repeat; the file names them";
        out::warning(&format!("{} calls are left out: {why}", recording.left_out));
    }
    if recording.blanked > 0 {
        out::warning(&format!("secrets were removed from {} calls; `--secrets` keeps them", recording.blanked));
    }
    let (context, blanked) = (options.context.clone(), recording.blanked > 0);
    // On a thread of the runtime's: it has the stack that a guest needs.
    let again = runtime.block_on(runtime.spawn_blocking(move || run_again(manifest, &context, &output, blanked)));
    again.map_err(|error| CommandError::caused_by(&error, ""))
}

/// Has git ignore a file with values of real calls: names it in the `.gitignore` of its folder.
fn ignore(file: &Path) -> std::io::Result<()> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else { return Ok(()) };
    let list = folder.join(".gitignore");
    let known = match std::fs::read_to_string(&list) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        known => known?,
    };
    // With the slash, in this folder alone.
    let line = format!("/{}", name.to_string_lossy());
    if known.lines().any(|known| known == line) {
        return Ok(());
    }
    let end = if known.is_empty() || known.ends_with('\n') { "" } else { "\n" };
    std::fs::write(&list, format!("{known}{end}{line}\n"))
}

/// Runs the scenario, and says what of it does not repeat. The file stays either way.
fn run_again(manifest: Manifest, context: &str, file: &Path, blanked: bool) {
    let report = Harness::open(manifest, compiler()).and_then(|harness| harness.run_scenarios(context, file));
    let report = match report {
        Ok(report) => report,
        Err(error) => return out::warning(&format!("the scenario was not run again: {error}")),
    };
    if report.passed() {
        return out::note("it passes when it is run again");
    }
    let problem = report.problems.first().map(|problem| (problem.place.line, problem.message.clone()));
    let failure = report.scenarios.iter().flat_map(|scenario| &scenario.failures).next();
    let first = problem.or(failure.map(|failure| (failure.line, failure.what.clone())));
    let (line, what) = first.unwrap_or_default();
    let hint = match blanked {
        true => "a result may depend on a secret: fill in `***`, or record with `--secrets`",
        false => "a result may depend on the time or on random numbers: write `_` in their place",
    };
    out::warning(&format!("it does not pass when it is run again: line {line}: {what}\n  hint: {hint}"));
}

/// Waits for the end of the time, or for Ctrl-C.
async fn wait(seconds: Option<u64>, mut interrupt: Signal) {
    let over = async {
        match seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = over => {}
        _ = interrupt.recv() => {}
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_added_once_to_what_git_ignores() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join(".gitignore");
        let recorded = |name: &str| {
            ignore(&folder.path().join(name)).unwrap();
            std::fs::read_to_string(&list).unwrap()
        };
        assert_eq!(recorded("recorded.toml"), "/recorded.toml\n");
        std::fs::write(&list, "*.tmp").unwrap();
        assert_eq!(recorded("recorded.toml"), "*.tmp\n/recorded.toml\n");
        assert_eq!(recorded("recorded.toml"), "*.tmp\n/recorded.toml\n");
        assert_eq!(recorded("recorded.sqlite"), "*.tmp\n/recorded.toml\n/recorded.sqlite\n");
    }
}
