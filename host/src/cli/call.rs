//! `seam call`: one function of one context.

use std::time::Duration;

use clap::Args;

use super::error::CommandError;
use super::global::{Format, Global};
use super::{local, out};
use crate::admin::client::{Client, Error};
use crate::admin::{CallRequest, CallResult};
use crate::{invoke, limits};

#[derive(Debug, Args)]
pub struct Options {
    /// The context
    context: String,
    /// `interface.function(args)`; `interface@VERSION.function(args)` where a context has several versions
    #[arg(value_name = "CALL")]
    text: String,
    /// The longest time that the call may take
    #[arg(long, value_name = "MS", default_value_t = limits::CALL_TIMEOUT_MS,
          value_parser = clap::value_parser!(u64).range(1..=limits::CALL_TIMEOUT_MS_MAX))]
    timeout_ms: u64,
    /// The format of the result: `human` is WAVE
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(global: &Global, options: &Options) -> Result<(), CommandError> {
    let manifest = global.load_host_of(Some(&options.context))?;
    let request =
        CallRequest { context: options.context.clone(), text: options.text.clone(), timeout_ms: options.timeout_ms };
    let answer = match Client::connect(&manifest.host.data) {
        Ok(client) => client.call(&request)?,
        Err(Error::NotRunning { .. }) => local::with_app(global, manifest, move |app, _| {
            let timeout = Duration::from_millis(request.timeout_ms);
            let answer = invoke::run(&app.registry, &request.context, &request.text, timeout)?;
            Ok(CallResult::from(&answer))
        })?,
        Err(error) => return Err(error.into()),
    };
    match options.format {
        Format::Human if answer.wave.is_empty() => {}
        Format::Human => out::line(&answer.wave)?,
        Format::Json => out::json(&answer.json)?,
    }
    if answer.ok { Ok(()) } else { Err(CommandError::Reported) }
}
