//! `seam sagas`: the sagas of a system, and what an operator does with them. Those of a stopped host are only shown.

use clap::{Args, Subcommand, ValueEnum};
use seam_store::SagaState;

use super::error::CommandError;
use super::global::{Format, Global, compiler};
use super::sagas_shown::{acted, grouped, listed, plan, shown, unread};
use super::{local, out};
use crate::admin::SagasRequest;
use crate::admin::client::{Client, Error};
use crate::folder::{self, Folder};
use crate::manifest::Manifest;
use crate::refused::Refused;
use crate::sagas::{
    SagaActRequest, SagaGroups, SagaList, SagaName, SagaOrder, SagaPlan, SagaSelection, SagaTarget, ShownSaga,
    StoppedSagas,
};
use crate::times::{duration, parse_rfc3339};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    filter: Filter,
    /// Count those that are at the same step for the same reason
    #[arg(long, value_enum)]
    by: Option<By>,
    /// How many, at most 1000
    #[arg(long, default_value_t = 50)]
    count: u32,
    #[arg(long, value_enum, default_value_t, global = true)]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    Cause,
}

/// Which sagas; everything that is given must hold.
#[derive(Debug, Clone, Default, Args)]
struct Filter {
    /// Of this context
    #[arg(long)]
    context: Option<String>,
    /// Of this kind
    #[arg(long)]
    kind: Option<String>,
    /// In this state, or `any`; may be given more than once. Without it, those in process
    #[arg(long = "state", value_name = "STATE", value_parser = state)]
    states: Vec<String>,
    /// Started so long ago, or earlier: `90s`, `45m`, `12h`, `30d`
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    older_than: Option<u64>,
    /// With this text in the cause; case does not matter
    #[arg(long, value_name = "TEXT")]
    cause: Option<String>,
}

impl From<Filter> for SagaSelection {
    fn from(Filter { context, kind, mut states, older_than, cause }: Filter) -> Self {
        if states.iter().any(|state| state == ANY) {
            states = SagaState::ALL.iter().map(|state| state.name().to_owned()).collect();
        }
        Self { context, kind, states, older_than_s: older_than, cause }
    }
}

const ANY: &str = "any";

fn state(text: &str) -> Result<String, String> {
    if text == ANY || SagaState::parse(text).is_some() {
        return Ok(text.to_owned());
    }
    let all: Vec<_> = SagaState::ALL.iter().map(|state| state.name()).collect();
    Err(format!("write one of {}, or `{ANY}`", all.join(", ")))
}

fn seconds(text: &str) -> Result<u64, String> {
    duration(text).map(|duration| duration.as_secs()).ok_or_else(|| "write for example 90s, 45m, 12h or 30d".to_owned())
}

fn time(text: &str) -> Result<u64, String> {
    parse_rfc3339(text).ok_or_else(|| "write it as the preview does: 2026-11-29T20:00:00.123Z".to_owned())
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show one saga: its steps and what has become of each, each try and what it answered, who acted
    Show { context: String, kind: String, id: String },
    /// Try the step of a saga now, as often as a new one
    Retry(Action),
    /// Have the step that fails count as performed, or as undone
    Skip(Action),
    /// Give a saga up: undo its steps
    Undo(Action),
    /// Go on after the step that waits: what it waits for has come
    Resume(Action),
    /// End with 1 if a saga is stuck, and with 2 if a context could not be asked
    Check {
        /// Only of this context
        #[arg(long)]
        context: Option<String>,
        /// Only of this kind
        #[arg(long)]
        kind: Option<String>,
        /// Those count, too, that do not wait, and started so long ago
        #[arg(long, value_name = "DURATION", value_parser = seconds)]
        older_than: Option<u64>,
    },
}

/// On which sagas, and whether really.
#[derive(Debug, Args)]
struct Action {
    /// The context, the kind and the id of one saga
    #[arg(num_args = 3, value_names = ["CONTEXT", "KIND", "ID"], required_unless_present = "all", conflicts_with = "all")]
    saga: Vec<String>,
    /// All that match the filters, at most 1000 at once
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filter: Filter,
    /// Do it. Without this, the command says what it would do, and changes nothing
    #[arg(long)]
    yes: bool,
    /// The time of the preview: sagas that have moved on since are left alone
    #[arg(long, value_name = "TIME", value_parser = time)]
    as_of: Option<u64>,
    /// The reason, for the audit log and the timeline
    #[arg(long, value_name = "TEXT", default_value = "")]
    why: String,
}

impl Action {
    fn request(self, order: SagaOrder) -> SagaActRequest {
        let of = match <[String; 3]>::try_from(self.saga) {
            Ok([context, kind, id]) => SagaTarget::One(SagaName { context, kind, id }),
            Err(_) => SagaTarget::All(self.filter.into()),
        };
        SagaActRequest { of, order, why: self.why, as_of_ms: self.as_of, preview: !self.yes }
    }
}

impl Options {
    /// The context that is meant, if it is only one.
    fn context(&self) -> Option<&str> {
        match &self.verb {
            None => self.filter.context.as_deref(),
            Some(Verb::Show { context, .. }) => Some(context),
            Some(Verb::Check { context, .. }) => context.as_deref(),
            Some(Verb::Retry(action) | Verb::Skip(action) | Verb::Undo(action) | Verb::Resume(action)) => {
                action.saga.first().map(String::as_str).or(action.filter.context.as_deref())
            }
        }
    }
}

/// Where the sagas are looked at.
enum Host<'g> {
    Running(Client),
    Stopped { global: &'g Global, manifest: Box<Manifest> },
}

impl<'g> Host<'g> {
    /// The one of this context, or the one that `--as` names.
    fn of(global: &'g Global, context: Option<&str>) -> Result<Self, CommandError> {
        let manifest = global.load_host_of(context)?;
        match Client::connect(&manifest.host.data) {
            Ok(client) => Ok(Self::Running(client)),
            Err(Error::NotRunning { .. }) if folder::is_data(&manifest.host.data) => {
                Ok(Self::Stopped { global, manifest: Box::new(manifest) })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Asks the running host for `request`, or the files of the stopped one by `read`.
    fn look<T: serde::de::DeserializeOwned + Send + 'static>(
        self,
        request: &SagasRequest,
        read: impl FnOnce(&StoppedSagas) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, CommandError> {
        let (global, manifest) = match self {
            Self::Running(client) => return Ok(client.sagas(request)?),
            Self::Stopped { global, manifest } => (global, manifest),
        };
        // No host starts meanwhile.
        let folder = Folder::lock(&manifest.host.data).map_err(local::busy)?;
        let read = local::on_a_guests_stack(global, move || {
            let _folder = folder;
            let refused = |Refused { message, remedy }| CommandError::message(message, remedy);
            StoppedSagas::open(*manifest, compiler()).and_then(|sagas| read(&sagas)).map_err(refused)
        })?;
        out::note("the host is stopped: this is what its files say, and nothing goes on until it runs");
        Ok(read)
    }

    fn running(self) -> Result<Client, CommandError> {
        match self {
            Self::Running(client) => Ok(client),
            Self::Stopped { .. } => Err(CommandError::message(
                "the host is stopped, and only a running one acts on sagas; nothing was changed",
                "start it with `seam up`, then repeat the command",
            )),
        }
    }

    fn list(self, of: SagaSelection, count: u32) -> Result<SagaList, CommandError> {
        let asked = of.clone();
        self.look(&SagasRequest::List { of, count }, move |sagas| sagas.list(&asked, count))
    }
}

pub fn run(global: &Global, options: Options) -> Result<(), CommandError> {
    let host = Host::of(global, options.context())?;
    let format = options.format;
    match options.verb {
        None if options.by.is_some() => {
            let of = SagaSelection::from(options.filter);
            let asked = of.clone();
            let groups: SagaGroups = host.look(&SagasRequest::Groups { of }, move |sagas| sagas.groups(&asked))?;
            match format {
                Format::Json => out::json(&groups),
                Format::Human => {
                    unread(&groups.unread);
                    some(groups.groups.is_empty(), || grouped(&groups.groups))
                }
            }
        }
        None => list(host, options.filter.into(), options.count, format).map(drop),
        Some(Verb::Show { context, kind, id }) => {
            let name = SagaName { context, kind, id };
            let asked = name.clone();
            let saga: ShownSaga = host.look(&SagasRequest::Show(name), move |sagas| sagas.show(&asked))?;
            if format == Format::Json { out::json(&saga) } else { out::text(&shown(&saga)) }
        }
        Some(Verb::Retry(action)) => act(host, action.request(SagaOrder::Retry), format),
        Some(Verb::Skip(action)) => act(host, action.request(SagaOrder::Skip), format),
        Some(Verb::Undo(action)) => act(host, action.request(SagaOrder::Undo), format),
        Some(Verb::Resume(action)) => act(host, action.request(SagaOrder::Resume), format),
        Some(Verb::Check { context, kind, older_than }) => {
            let of = SagaSelection { context, kind, ..SagaSelection::default() };
            check(host, of, older_than, format)
        }
    }
}

fn list(host: Host<'_>, of: SagaSelection, count: u32, format: Format) -> Result<SagaList, CommandError> {
    let list = host.list(of, count)?;
    match format {
        Format::Json => out::json(&list)?,
        Format::Human => {
            unread(&list.unread);
            some(list.sagas.is_empty(), || listed(&list.sagas))?;
            if list.more {
                out::note("there are more: `--count` shows up to 1000, `--by cause` counts all of them");
            }
        }
    }
    Ok(list)
}

fn some(is_empty: bool, text: impl FnOnce() -> String) -> Result<(), CommandError> {
    if is_empty {
        out::note("no saga matches");
        return Ok(());
    }
    out::text(&text())
}

/// Says what an action would do, or does it. Ends with 1 if it was not done to each saga that was meant.
fn act(host: Host<'_>, request: SagaActRequest, format: Format) -> Result<(), CommandError> {
    let result: SagaPlan = host.running()?.sagas(&SagasRequest::Act(request.clone()))?;
    match format {
        Format::Json => out::json(&result)?,
        Format::Human if result.done => out::text(&acted(&result))?,
        Format::Human => {
            out::text(&plan(&result))?;
            if !result.acts.is_empty() {
                out::note(&format!(
                    "nothing was changed; the same with `--yes --as-of {}` acts on these, and leaves those alone that \
                     have moved on until then",
                    result.as_of
                ));
            }
        }
    }
    if result.more {
        out::note("more sagas match than are acted on at once: repeat the command for the next ones");
    }
    let is_whole = result.refused.is_empty() && result.moved.is_empty();
    if result.done && !is_whole { Err(CommandError::Reported) } else { Ok(()) }
}

fn check(host: Host<'_>, of: SagaSelection, older_than: Option<u64>, format: Format) -> Result<(), CommandError> {
    let states = |states: &[SagaState]| states.iter().map(|state| state.name().to_owned()).collect();
    let (stuck, moving) = ([SagaState::Stuck], [SagaState::Running, SagaState::Undoing, SagaState::Stuck]);
    let of = match older_than {
        None => SagaSelection { states: states(&stuck), ..of },
        Some(_) => SagaSelection { states: states(&moving), ..of },
    };
    let mut list = host.list(of, u32::MAX)?;
    let is_old = |age_s| older_than.is_some_and(|older| age_s >= older);
    list.sagas.retain(|saga| saga.state == SagaState::Stuck.name() || is_old(saga.age_s));
    match format {
        Format::Json => out::json(&list)?,
        Format::Human => {
            unread(&list.unread);
            if !list.sagas.is_empty() {
                out::text(&listed(&list.sagas))?;
            } else if list.unread.is_empty() {
                out::note("no saga is stuck");
            }
        }
    }
    match (list.sagas.is_empty(), list.unread.is_empty()) {
        (false, _) => Err(CommandError::Reported),
        (true, false) => Err(CommandError::Unknown(Box::new(CommandError::Reported))),
        (true, true) => Ok(()),
    }
}
