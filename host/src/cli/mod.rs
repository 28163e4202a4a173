//! The command line: arguments to calls, results to text.
//!
//! Standard output is for data, standard error for the rest. Exit 0: done; 1: it failed, or a guest returned `err(..)`;
//! 2: wrong usage, or `seam verify` or `seam reconcile` could not look at everything.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod accept;
mod audit;
mod backup;
mod broker;
mod build;
mod call;
mod cert;
mod check;
mod compare;
mod contexts;
mod deploy;
mod dev;
mod error;
mod events;
mod global;
mod local;
mod logs;
mod new;
mod out;
mod pretend;
mod progress;
mod reconcile;
mod record;
mod relocate;
mod relocate_shown;
mod restore;
mod route;
mod sagas;
mod sagas_shown;
mod schedules;
mod seed;
mod split;
mod split_shown;
mod test;
mod transactions;
mod up;
mod verify;

use error::CommandError;
use global::{Format, Global};

/// A host for modular monoliths: each bounded context a sandboxed component with its own SQLite file.
#[derive(Debug, Parser)]
#[command(
    name = "seam",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  seam up                                          serve what seam.toml in this folder describes
  seam check                                       find every problem of its contexts
  seam contexts                                    show the running contexts: calls, errors, times
  seam call orders 'desk.find(\"7\")'                call a function of a context
  seam logs orders --follow                        show the log of a context

Run `seam COMMAND --help` for more."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or Ctrl-C
    #[command(after_help = "\
The first signal waits for running requests, a second one stops at once.

Examples:
  seam up
  seam up --build --listen 127.0.0.1:9000
  seam up --log-format json --log-level info,guest=debug")]
    Up(up::Options),
    /// Serve, and apply saved changes at once: sources, interfaces, static files, the manifest
    #[command(after_help = "\
Builds only what changed. Errors appear here and in open pages, while the version before continues to serve.

Examples:
  seam dev
  seam dev --listen 127.0.0.1:9000")]
    Dev(dev::Options),
    /// Check the manifest, the components and the links between them, without serving
    #[command(after_help = "Exit 0: no problems; 1: problems, each with its line and a hint.")]
    Check {
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Build the components whose sources changed
    Build {
        /// The contexts; by default all, without variants
        contexts: Vec<String>,
        /// Build even if nothing changed
        #[arg(long)]
        force: bool,
    },
    /// Make a new context: its interface, code, migration, test and manifest entry
    #[command(after_help = "\
In a folder without a manifest, it makes a new project as well.

Examples:
  seam new guestbook
  seam new front-desk --lang js
  seam new tea-menu --lang python")]
    New(new::Options),
    /// Check this machine for the tools that building and running need
    Doctor {
        /// Install what is missing
        #[arg(long)]
        fix: bool,
        /// What the machine should be able to do
        #[arg(long = "for", value_enum, default_value_t, value_name = "PURPOSE")]
        purpose: crate::build::doctor::Purpose,
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show the running contexts: versions, links, store sizes, calls, errors, times
    Contexts {
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show what the running host does by time: schedules, when each ran and is due, and the timers of each context
    #[command(after_help = "Exit 0: all is well; 1: the last run of a schedule failed, or no host runs.")]
    Schedules {
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
    /// Replace the serving version of a context by a new one, if it passes every step
    #[command(after_help = "\
The steps are read, compile, wit, capabilities, start, migrations, health, replay, publish and \
watch; each is printed once it is passed.
If a step refuses the new version, the running one continues to serve. docs/deploy.md describes the steps.

Examples:
  seam deploy orders target/orders.wasm
  seam deploy orders target/orders.wasm --allow clocks
  seam deploy orders target/orders.wasm --format json    the whole report

Exit 0: the new version serves; 1: it does not, with the reason.")]
    Deploy(deploy::Options),
    /// Move a context of a running host to another one, with its code and its file, while it is called
    #[command(after_help = "\
The file is copied while it is written to; calls wait for the last part of it, some milliseconds, and go to the other \
host then. docs/placement.md says what moves and what does not. `--dry-run` says what it would take and cost: calls \
and bytes, the time that pages wait longer, the copy, the pause, and every reason why it would not move.

Examples:
  seam extract finance --to records --dry-run
  seam extract finance --to records
  seam extract finance --to records --as shop --format json

Exit 0: it lives there; 1: it does not, with the reason, and everything is as it was.")]
    Extract(relocate::ExtractOptions),
    /// Bring a context home that lives on another host, while it is called
    #[command(after_help = "\
Examples:
  seam absorb finance --dry-run --as shop
  seam absorb finance --as shop

Exit 0: it lives here; 1: it does not, with the reason, and everything is as it was.")]
    Absorb(relocate::AbsorbOptions),
    /// Show the last move of each context, and what came of it beside what was predicted
    Moves {
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Replace the serving version of a context by the one before
    #[command(after_help = "\
The rows stay if the older version has worked with the newer schema before. Otherwise the store \
can return to its restore point: automatically if nothing was written since, else with --restore, \
which prints what is lost.")]
    Rollback(deploy::RollbackOptions),
    /// Show deployed and refused versions, the newest first
    History {
        /// Only of this context
        context: Option<String>,
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show the host's log
    #[command(after_help = "\
Examples:
  seam logs                    the last lines of all contexts
  seam logs orders --follow    the lines of one context as they are written
  seam logs orders --level warn --no-access    what went wrong in one context
  seam logs --trace 4bf92f3577b34da6a3ce929d0e0e4736    one request, by the number on its error page, on all hosts
  seam logs --format json      the lines as they are in the files")]
    Logs(logs::Options),
    /// Show or set the share of a context's calls that each of its variants gets
    #[command(after_help = "\
The given weights replace all weights; a variant without one gets 0. They apply to later requests, also after a restart.

Examples:
  seam route                                  every context with variants
  seam route engine rust=90 js=10             a tenth of the visitors, always the same ones
  seam route engine shadow=python             call it as well; compare its results and never show them
  seam route engine rust=1 shadow=none        one variant for all calls")]
    Route(route::Options),
    /// Pretend that calls within the running host cross hosts: latency, loss, duplicates, and the codec
    #[command(after_help = "\
Without an order, it shows what is pretended. It ends with `off`, and when the host ends. Put the edge in quotes.

Examples:
  seam pretend 'orders->finance' latency=5ms jitter=2ms loss=1% duplicates=0.1%
  seam pretend '*->finance' latency=0ms      nothing but the codec
  seam pretend 'orders->*' loss=100%         every host but this one is gone
  seam pretend 'orders->finance' off
  seam pretend off")]
    Pretend(pretend::Options),
    /// Take the file that lies in place of a context's store, whatever the host remembers of it, while no host runs
    Accept {
        /// The context
        context: String,
    },
    /// Show the events that subscribers have not handled; retry, discard or replay them
    #[command(after_help = "\
Without a verb, it shows every subscription: how far behind it is, what is set aside, why it does not go on.
Each change needs a running host, and stands in the audit log (`seam audit`).

Examples:
  seam events
  seam events list mail --dead             the dead letters of a subscriber
  seam events show mail 117512             one event: its data, its tries, the reason
  seam events retry mail --all-dead
  seam events discard mail 117512 --why 'a test order'
  seam events replay mail --from start --dry-run    say what would be delivered again")]
    Events(events::Options),
    /// Show the transactions over several files; end the doubt about a file that has promised to commit
    #[command(after_help = "\
Without a verb, it shows which files are in doubt and why, and the last transactions: how they ended, and for how long
they held each file. A file in doubt takes no writes; it goes on by itself once the file that decides can be asked.
A choice that turns out to be the wrong one is shown as heuristic damage until the files agree again.
docs/transactions.md says what each choice means.

Examples:
  seam transactions
  seam transactions rollback 4e1f0c --why 'the file of orders is lost'
  seam transactions forget 4e1f0c --why 'booked by hand'")]
    Transactions(transactions::Options),
    /// Show the sagas of contexts: where each is, and why; retry, skip, undo or resume them
    #[command(after_help = "\
Without a verb, it lists the sagas that are in process, the oldest first.
An action says what it would do; with --yes it does it, and stands in the audit log (`seam audit`) and in the timeline.

Examples:
  seam sagas
  seam sagas --state stuck --cause 'out of service'
  seam sagas --by cause                      how many are at the same step for the same reason
  seam sagas show orders order MC-100121     one saga: its steps, each try, who acted
  seam sagas retry orders order MC-100121 --yes
  seam sagas undo --all --kind order --older-than 2d        say which would be undone

Exit 0: done; 1: it failed, or not each saga that was meant was acted on; 2: wrong usage.
`seam sagas check` ends with 1 if a saga is stuck, and with 2 if a context could not be asked.")]
    Sagas(sagas::Options),
    /// Show on what contexts disagree; look now, have it mended, accept it
    #[command(after_help = "\
The host looks at each total that a [[reconcile]] of the manifest names. docs/reconcile.md says what follows.
An action says what it would do; with --yes it does it, and stands in the audit log (`seam audit`).

Examples:
  seam reconcile                            what stands, and what was compared
  seam reconcile run copies-reserved        look now
  seam reconcile show copies-reserved 'MC-100121 MC-0042'
  seam reconcile mend money-held MC-100121 --yes
  seam reconcile accept money-held MC-100121 --why 'paid back by hand' --yes

Exit 0: nothing is open; 1: something is, or it failed; 2: a total could not be looked at, or wrong usage.")]
    Reconcile(reconcile::Options),
    /// Show what operators have changed by hand: who, when, why, and what came of it
    Audit {
        /// How many lines, the newest first
        #[arg(long, default_value_t = 50)]
        count: u32,
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Compare the variants of a context: calls, errors, times, clicks, and how often a shadow agrees with the live
    /// variant
    Compare {
        /// The context
        context: String,
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Run the scenarios of each context, and the contracts of its interfaces, without the other contexts
    #[command(after_help = "\
Exit 0: all passed; 1: some failed; 2: wrong usage.

Examples:
  seam test                                   what changed since it passed
  seam test orders --scenario refused --all   some scenarios of one context
  seam test --watch                           again whenever files change
  seam test --contract acme:notes/notes@0.1.0 other.wasm")]
    Test(test::Options),
    /// Record the calls that a context of the running host receives as a scenario
    #[command(after_help = "\
It contains no random numbers and, without --secrets, no secrets: read it before you use it as a test.

Examples:
  seam record orders                      until Ctrl-C, into its scenarios
  seam record orders --seconds 10 -o one.toml")]
    Record(record::Options),
    /// Copy the files of all contexts as they are at one moment, while the host serves or stopped
    #[command(after_help = "\
Commits wait some milliseconds for the moment, not for the copies.

Examples:
  seam backup                     into the folder `backups` of the data folder
  seam backup /mnt/backups        into a folder of its own there
  seam backup --list              the backups, and the restore points of deploys
  seam backup drill               fetch and verify what `[backup]` of the manifest has stored")]
    Backup(backup::Options),
    /// Put the files of a backup, or a restore point, back; the host must be stopped
    #[command(after_help = "\
It verifies every file first, and says which rows would be lost. Files that it replaces are kept.

Examples:
  seam restore --from 2026-11-29T05-00-00                   all contexts of a backup
  seam restore orders --from /mnt/backups/NAME --replace    one of them
  seam restore orders --schema 3 --replace                  the file from before migration 4
  seam restore orders --at 2026-11-29T20:00:00Z --replace   as it was then, by `[backup]` of the manifest")]
    Restore(restore::Options),
    /// Check that what the contexts declare holds in their files and between them, while the host serves or stopped
    #[command(after_help = "\
It reads all files as they are at one moment, and changes none. docs/verify.md says how a context declares what holds.
Exit 0: everything holds; 1: something is violated; 2: something could not be checked, or there was nothing to check.

Examples:
  seam verify                             the running system, or the files of a stopped one; all of its hosts
  seam verify --context orders            one context, and what it must agree on with others
  seam verify --as books                  one host of several
  seam verify --backup NAME               a backup, while the host serves or not; given again, one of each host
  seam verify --format json               every check, for scripts")]
    Verify(verify::Options),
    /// Load the manifest's seeds into the running host or, without one, in this process
    #[command(after_help = "\
A seed is loaded once, into a context without rows. A file that has changed since is not loaded by itself.

Examples:
  seam seed                                load what was never loaded
  seam seed catalog --again                say which rows the files of a context would overwrite
  seam seed catalog --again --overwrite    load them")]
    Seed(seed::Options),
    /// Take the database of another program apart, while the program goes on using it
    Split {
        #[command(subcommand)]
        command: split::Command,
    },
    /// Make, show and revoke the certificates with which hosts know each other
    #[command(after_help = "\
It makes files, and needs no running host. A host takes up renewed files by itself.

Examples:
  seam cert authority                              once for each system
  seam cert host books --contexts finance          its certificate and key, in a folder of its own
  seam cert show books/certificate.pem             whose it is, and until when it is valid
  seam cert revoke books/certificate.pem")]
    Cert(cert::Options),
    /// Print the completions for a shell
    #[command(after_help = "Example: seam completions bash > ~/.local/share/bash-completion/completions/seam")]
    Completions { shell: clap_complete::Shell },
    /// Compile a component from standard input to machine code on standard output: the host's child process
    #[command(hide = true, name = "compile-component")]
    CompileComponent,
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Fails when standard error is closed, where no message could help.
            error.print().ok();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => out::report(&error),
    }
}

fn run(cli: Cli) -> Result<(), CommandError> {
    let global = &cli.global;
    match cli.command {
        Command::Up(options) => up::run(global, options),
        Command::Dev(options) => dev::run(global, options),
        Command::Check { format } => check::run(global, format),
        Command::Build { contexts, force } => build::run(&global.load()?, &contexts, force),
        Command::New(options) => new::run(global, &options),
        Command::Doctor { fix, purpose, format } => build::doctor(global, purpose, fix, format),
        Command::Contexts { format } => contexts::run(&global.load_running()?, format),
        Command::Schedules { format } => schedules::run(&global.load_running()?, format),
        Command::Call(options) => call::run(global, &options),
        Command::Deploy(options) => deploy::run(global, options),
        Command::Extract(options) => relocate::extract(global, options),
        Command::Absorb(options) => relocate::absorb(global, options),
        Command::Moves { format } => relocate::moves(&global.load_running()?, format),
        Command::Rollback(options) => deploy::roll_back(global, options),
        Command::History { context, format } => {
            deploy::history(&global.load_host_of(context.as_deref())?, context.as_deref(), format)
        }
        Command::Logs(options) => logs::run(global, &options),
        Command::Route(options) => route::run(global, &options),
        Command::Pretend(options) => pretend::run(global, &options),
        Command::Events(options) => events::run(global, options),
        Command::Transactions(options) => transactions::run(global, options),
        Command::Sagas(options) => sagas::run(global, options),
        Command::Reconcile(options) => reconcile::run(global, options),
        Command::Audit { count, format } => audit::run(&global.load_host()?, count, format),
        Command::Accept { context } => accept::run(&global.load_host_of(Some(&context))?, &context),
        Command::Compare { context, format } => compare::run(&global.load_host_of(Some(&context))?, &context, format),
        Command::Test(options) => test::run(global, options),
        Command::Record(options) => record::run(global, &options),
        Command::Backup(options) => backup::run(global, &options),
        Command::Restore(options) => restore::run(global, options),
        Command::Verify(options) => verify::run(global, &options),
        Command::Seed(options) => seed::run(global, options),
        Command::Split { command } => split::run(&command),
        Command::Cert(options) => cert::run(global, options),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut <Cli as clap::CommandFactory>::command(), "seam", &mut script);
            out::bytes(&script)
        }
        Command::CompileComponent => seam_runtime::component::compile_child()
            .map_err(|error| CommandError::message(format!("{error:#}"), String::new())),
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
