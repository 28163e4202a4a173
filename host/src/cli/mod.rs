//! The command line: arguments to calls, results to text.
//!
//! Standard output is data, standard error the rest. Exit 0: done; 1: it failed, or a guest said `err(..)`; 2: the command was not understood.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::context::component::Compiler;
use crate::did_you_mean;
use crate::manifest::{self, Manifest, Place, Problem, Problems};

mod build;
mod call;
mod check;
mod compare;
mod contexts;
mod deploy;
mod dev;
mod local;
mod logs;
mod new;
mod out;
mod record;
mod route;
mod seed;
mod test;
mod up;

use out::Stop;

/// A host for modular monoliths: each bounded context a sandboxed component with its own SQLite file.
#[derive(Debug, Parser)]
#[command(
    name = "seam",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  seam up                                          serve what seam.toml in this folder describes
  seam check                                       say everything that is wrong with it
  seam contexts                                    what runs, how often it was called, how fast it was
  seam call orders 'desk.find(\"7\")'                call a context's function
  seam logs orders --follow                        what it says

Run `seam COMMAND --help` for more."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Global {
    /// The manifest; by default `seam.toml` in this folder or the nearest one above it
    #[arg(short = 'f', long, global = true, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// How the log looks on standard error; by default as the manifest says
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or a filter as in RUST_LOG
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Human,
    Json,
}

/// How a result is written to standard output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    #[default]
    Human,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or Ctrl-C
    #[command(after_help = "\
The first signal lets requests finish, a second one cuts them off.

Examples:
  seam up
  seam up --build --listen 127.0.0.1:9000
  seam up --log-format json --log-level info,guest=debug")]
    Up(up::Options),
    /// Serve, and make live what is saved: sources, interfaces, static files, the manifest
    #[command(after_help = "\
Builds only what changed. What does not build or fit is told here and in the open pages, while what served before serves on.

Examples:
  seam dev
  seam dev --listen 127.0.0.1:9000")]
    Dev(dev::Options),
    /// Check the manifest, the components and the links between them, without serving
    #[command(after_help = "Exit 0: sound; 1: problems, each with its line and what to do about it.")]
    Check {
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Build the components whose sources changed
    Build {
        /// Only these; by default all
        contexts: Vec<String>,
        /// Build them even if nothing changed
        #[arg(long)]
        force: bool,
    },
    /// Make a new context: its interface, code, migration, test and manifest entry
    #[command(after_help = "\
Where there is no manifest yet, the folder becomes a project of its own.

Examples:
  seam new guestbook
  seam new front-desk --lang js")]
    New(new::Options),
    /// Say what this machine has and lacks for building and running, and how to mend it
    Doctor {
        /// Run the commands that mend it
        #[arg(long)]
        fix: bool,
        /// What it is to be ready for
        #[arg(long = "for", value_enum, default_value_t, value_name = "PURPOSE")]
        purpose: crate::build::doctor::Purpose,
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show what runs: versions, links, store sizes, calls, errors, times
    Contexts {
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Call a function of a context, in the running host or, without one, in this process
    #[command(after_help = "\
Arguments and results are in WAVE, the component model's notation for values:
  7   -1.5   true   'c'   \"text\"   [1, 2]   (1, \"pair\")   {field: 1}   some(1)   none   ok(1)   case(1)

Examples:
  seam call orders 'desk.find(\"7\")'
  seam call orders 'desk.list({customer: some(\"ada\")}, {page: 1, size: 20})' --format json
  seam call orders 'acme:orders/desk.find(\"7\")'

Exit 1 when the function returns an `err(..)`, which is printed like any other result.")]
    Call(call::Options),
    /// Put a new version of a context into the place of the one that serves, if it passes every step
    #[command(after_help = "\
The steps, each printed as it is passed: read, compile, wit, capabilities, start, migrations, health, replay, publish,
watch.
Refused at one of them, the running version serves on untouched. docs/deploy.md says what each looks at.

Examples:
  seam deploy orders target/orders.wasm
  seam deploy orders target/orders.wasm --allow clocks
  seam deploy orders target/orders.wasm --format json    the whole report

Exit 0: it serves; 1: it does not, and why.")]
    Deploy(deploy::Options),
    /// Put the version before into the place of the one that serves
    #[command(after_help = "\
The rows stay, if the older version was seen to work with the newer schema. If not, the file can go back to its restore point:
by itself when nothing was written since, else with --restore, and the report says what is lost.")]
    Rollback(deploy::BackOptions),
    /// Show what was deployed, and what was refused; the newest first
    History {
        /// Only of this context
        context: Option<String>,
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show the host's log
    #[command(after_help = "\
Examples:
  seam logs                    the last lines of everything
  seam logs orders --follow    what one context says, as it says it
  seam logs --format json      the lines as they stand in the files")]
    Logs(logs::Options),
    /// Show or set what share of a context's calls each of its variants gets
    #[command(after_help = "\
Weights that are given replace all weights; who is not named gets 0. What is set applies to the requests that begin from then on, and after a restart.

Examples:
  seam route                                  every context that has variants
  seam route engine rust=90 js=10             a tenth of the visitors, always the same ones
  seam route engine shadow=python             called beside whoever answers; what it says is compared and never shown
  seam route engine rust=1 shadow=none        back to one")]
    Route(route::Options),
    /// Show the variants of a context side by side: calls, errors, times, clicks, and what a shadow's answers have in common with the live ones
    Compare {
        /// The context
        context: String,
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Run the contexts' scenarios and the contracts of their interfaces, each context alone
    #[command(after_help = "\
Exit 0: all passed; 1: something did not; 2: the command was not understood.

Examples:
  seam test                                   what has changed since it passed
  seam test orders --scenario refused --all   some of one context
  seam test --watch                           again and again, as files change
  seam test --contract acme:notes/notes@0.1.0 other.wasm")]
    Test(test::Options),
    /// Make a scenario of the calls that a context of the running host gets
    #[command(after_help = "\
Random numbers and, unless told otherwise, secrets are not in it: read it before it becomes a test.

Examples:
  seam record orders                      until Ctrl-C, into its scenarios
  seam record orders --seconds 10 -o one.toml")]
    Record(record::Options),
    /// Load the manifest's seeds into the running host or, without one, in this process
    Seed {
        /// Load those that have been loaded already, too
        #[arg(long)]
        force: bool,
    },
    /// Print a shell's completions, to be put where it looks for them
    #[command(after_help = "Example: seam completions bash > ~/.local/share/bash-completion/completions/seam")]
    Completions { shell: clap_complete::Shell },
    /// Compile a component from standard input to machine code on standard output: the host's own child
    #[command(hide = true, name = "compile-component")]
    CompileComponent,
}

/// What the binary does.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing is left to say when the terminal is gone.
            error.print().ok();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => stop.report(),
    }
}

fn run(cli: Cli) -> Result<(), Stop> {
    let global = &cli.global;
    match cli.command {
        Command::Up(options) => up::run(global, options),
        Command::Dev(options) => dev::run(global, options),
        Command::Check { format } => check::run(global, format),
        Command::Build { contexts, force } => build::run(&global.load()?, &contexts, force),
        Command::New(options) => new::run(global, &options),
        Command::Doctor { fix, purpose, format } => build::doctor(global, purpose, fix, format),
        Command::Contexts { format } => contexts::run(&global.load()?, format),
        Command::Call(options) => call::run(global, &options),
        Command::Deploy(options) => deploy::run(global, options),
        Command::Rollback(options) => deploy::roll_back(global, options),
        Command::History { context, format } => deploy::history(&global.load()?, context.as_deref(), format),
        Command::Logs(options) => logs::run(&global.load()?, &options),
        Command::Route(options) => route::run(global, &options),
        Command::Compare { context, format } => compare::run(&global.load()?, &context, format),
        Command::Test(options) => test::run(global, options),
        Command::Record(options) => record::run(global, &options),
        Command::Seed { force } => seed::run(global, force),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut <Cli as clap::CommandFactory>::command(), "seam", &mut script);
            out::bytes(&script)
        }
        Command::CompileComponent => crate::context::component::compile_child()
            .map_err(|error| Stop::trouble(format!("{error:#}"), String::new())),
    }
}

impl Global {
    /// Where the manifest is: as said, or in this folder or the nearest one above it.
    fn path(&self) -> PathBuf {
        if let Some(path) = &self.manifest {
            return path.clone();
        }
        let here = PathBuf::from(manifest::FILE_NAME);
        if here.is_file() {
            return here;
        }
        let folder = std::env::current_dir().unwrap_or_default();
        let above =
            folder.ancestors().skip(1).map(|folder| folder.join(manifest::FILE_NAME)).find(|path| path.is_file());
        above.unwrap_or(here)
    }

    fn load(&self) -> Result<Manifest, Stop> {
        Ok(Manifest::load(&self.path())?)
    }
}

/// Components are compiled by this same binary, as a child with bounds.
fn compiler() -> Compiler {
    std::env::current_exe().map_or(Compiler::InProcess, Compiler::Child)
}

fn unknown_context(manifest: &Manifest, name: &str) -> Stop {
    let hint = did_you_mean::hint(name, manifest.contexts.iter().map(|context| context.settings.name.as_str()));
    Stop::trouble(format!("there is no context `{name}`"), hint)
}

/// What the application says, with the manifest's lines where it is about a context.
fn refused(manifest: &Path, contexts: &[manifest::Context], error: crate::app::Error) -> Stop {
    use crate::{app, context, http};
    match error {
        app::Error::Contexts(context::serve::Error::Problems(all)) => {
            let place = |problem: &context::component::ContextProblem| {
                let entry = contexts.iter().find(|context| context.settings.name == problem.context);
                entry.map_or(Place::default(), |context| context.places.of(&problem.part))
            };
            let all = all.into_iter().map(|p| Problem::new(place(&p), p.message.clone(), p.remedy.clone())).collect();
            Stop::Problems(Problems::new(manifest, all))
        }
        app::Error::Host(error) => Stop::error(&error, error.remedy()),
        app::Error::Deploy(error) => Stop::error(&error, error.remedy()),
        app::Error::Http(error @ http::Error::Listen { .. }) => {
            let remedy =
                "stop whoever listens there, or name another address in `listen` of `[host]`, or with `--listen`";
            Stop::error(&error, remedy)
        }
        error @ app::Error::Contexts(context::serve::Error::Component(context::component::Error::Cache { .. })) => {
            Stop::error(&error, "mend the data folder's permissions, or name another one in `data` of `[host]`")
        }
        other => Stop::error(&other, ""),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
