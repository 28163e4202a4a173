//! `seam record`: live calls of a context of the running host as a scenario.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{Global, Stop, out};
use crate::admin::client::Client;
use crate::admin::{RecordHead, RecordRequest};
use crate::{app, limits};

#[derive(Debug, Args)]
pub struct Options {
    /// The context
    context: String,
    /// Where the scenario goes; by default `recorded.toml` among the context's scenarios. The copy of the context's file lies beside it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// End by itself after so long; by default with Ctrl-C
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=limits::RECORD_LOG_S_MAX))]
    seconds: Option<u64>,
    /// What the scenario is called
    #[arg(long, default_value = "as it was recorded")]
    name: String,
    /// Keep passwords, tokens and cards as well: for a system with invented ones
    #[arg(long)]
    secrets: bool,
}

pub fn run(global: &Global, options: &Options) -> Result<(), Stop> {
    let manifest = global.load()?;
    let data = &manifest.host.data;
    let folder = manifest.context(&options.context).map(|context| context.scenarios.clone()).unwrap_or_default();
    let output = options.output.clone().unwrap_or_else(|| folder.join("recorded.toml"));
    let output = std::path::absolute(&output).map_err(|error| Stop::error(&error, ""))?;
    let unwritable = |error: std::io::Error| {
        Stop::trouble(format!("cannot write `{}`: {error}", output.display()), "name another file with `--output`")
    };
    if let Some(folder) = output.parent() {
        std::fs::create_dir_all(folder).map_err(unwritable)?;
    }
    let file = output.with_extension("sqlite");
    let start = RecordRequest::Start { context: options.context.clone(), secrets: options.secrets, file: file.clone() };
    let begun = Client::connect(data)?.start_record(&start)?;
    let until = options.seconds.map_or("Ctrl-C ends it".to_owned(), |seconds| format!("for {seconds} s"));
    out::note(&format!("recording the calls of {}: {until}", options.context));
    wait(options.seconds)?;
    let head = RecordHead {
        name: options.name.clone(),
        begun,
        file: file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
    };
    let recording =
        Client::connect(data)?.stop_record(&RecordRequest::Stop { context: options.context.clone(), head })?;
    if recording.calls == 0 {
        std::fs::remove_file(&file).ok();
        return Err(Stop::trouble("nothing called it meanwhile", "use the system while it is recorded"));
    }
    std::fs::write(&output, &recording.scenario).map_err(unwritable)?;
    out::line(&format!("{}: {} calls", output.display(), recording.calls))?;
    if recording.dropped > 0 {
        out::warning(&format!("{} more calls found no room", recording.dropped));
    }
    if recording.blanked > 0 {
        out::warning(&format!("secrets were blanked out of {} calls; `--secrets` keeps them", recording.blanked));
    }
    Ok(())
}

/// Until the time is over, or somebody ends it.
fn wait(seconds: Option<u64>) -> Result<(), Stop> {
    let runtime = app::runtime().map_err(|error| Stop::error(&error, ""))?;
    runtime.block_on(async {
        let over = async {
            match seconds {
                Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = over => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    });
    Ok(())
}
