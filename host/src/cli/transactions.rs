//! `seam transactions`: transactions over several files, and an operator's choice for a file in doubt.

use clap::{Args, Subcommand};

use super::error::CommandError;
use super::global::{Format, Global};
use super::out;
use crate::admin::TransactionsRequest;
use crate::admin::client::Client;
use crate::transactions::{Choice, Overview, Shown};

#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[arg(long, value_enum, default_value_t, global = true)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Have the files that are in doubt about a transaction commit what they promised
    Commit(Which),
    /// Have the files that are in doubt about a transaction forget what they promised
    Rollback(Which),
    /// Forget what a choice has damaged, once the files agree
    Forget(Which),
}

#[derive(Debug, Args)]
struct Which {
    /// The transaction's id
    transaction: String,
    /// The reason, for the audit log
    #[arg(long, value_name = "TEXT")]
    why: String,
}

pub fn run(global: &Global, options: Options) -> Result<(), CommandError> {
    let manifest = global.load_host()?;
    let client = Client::connect(&manifest.host.data)?;
    let (choice, Which { transaction, why }) = match options.verb {
        None => {
            let overview = client.transactions()?;
            return match options.format {
                Format::Json => out::json(&overview),
                Format::Human => {
                    warnings(&overview).iter().for_each(|warning| out::warning(warning));
                    if overview.ended.is_empty() {
                        out::note("no transaction over several files has ended since the host started");
                        return Ok(());
                    }
                    out::text(&shown(&overview.ended))
                }
            };
        }
        Some(Verb::Commit(which)) => (Choice::Commit, which),
        Some(Verb::Rollback(which)) => (Choice::Rollback, which),
        Some(Verb::Forget(which)) => (Choice::Forget, which),
    };
    let done = client.choose(&TransactionsRequest { transaction, choice, why })?;
    match options.format {
        Format::Json => out::json(&done),
        Format::Human => out::text(&format!("done: {}\n", done.join(", "))),
    }
}

/// What an operator has to look at.
fn warnings(overview: &Overview) -> Vec<String> {
    let word = |committed| if committed { "committed" } else { "rolled back" };
    let in_doubt = overview.in_doubt.iter().map(|one| {
        let transaction = one.transaction.as_deref().unwrap_or("of an unknown id");
        format!("`{}` is in doubt about transaction {transaction} since {}: {}", one.context, one.since, one.why)
    });
    let chosen = overview.chosen.iter().map(|one| match one.damaged {
        true => format!(
            "heuristic damage: `{}` has {} transaction {}, and it was {}; its part was: {}",
            one.context,
            word(one.committed),
            one.transaction,
            word(!one.committed),
            one.statements.join("; ")
        ),
        false => format!(
            "`{}` has {} transaction {} by an operator's choice; `{}` has not said yet what was decided",
            one.context,
            word(one.committed),
            one.transaction,
            one.coordinator
        ),
    });
    in_doubt.chain(chosen).collect()
}

fn shown(ended: &[Shown]) -> String {
    let row = |one: &Shown| {
        let second = one.at.get(..19).map_or_else(|| one.at.clone(), |second| format!("{second}Z"));
        let held =
            one.held.iter().map(|held| format!("{} {} ms", held.context, held.ms)).collect::<Vec<_>>().join(", ");
        vec![second, one.transaction.clone(), one.coordinator.clone(), one.outcome.clone(), held, one.why.clone()]
    };
    let rows: Vec<_> = ended.iter().map(row).collect();
    out::table(&["TIME", "TRANSACTION", "CONTEXT", "OUTCOME", "HELD", "WHY"], &rows, &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transactions::{Chosen, Hold, InDoubt};

    #[test]
    fn what_is_in_doubt_or_damaged_is_said_and_the_last_ones_are_a_table() {
        let chosen = Chosen {
            context: "finance".into(),
            transaction: "4e1f".into(),
            coordinator: "orders".into(),
            committed: false,
            at: "2026-11-29T20:00:00Z".into(),
            damaged: true,
            statements: vec!["INSERT INTO entry VALUES (?1)".into()],
        };
        let hold = |context: &str, ms| Hold { context: context.into(), ms, wrote: true };
        let overview = Overview {
            in_doubt: vec![InDoubt {
                context: "warehouse".into(),
                transaction: Some("4e1f".into()),
                coordinator: Some("orders".into()),
                since: "2026-11-29T20:00:00Z".into(),
                why: "`orders`, which decides, cannot be asked".into(),
            }],
            chosen: vec![Chosen { damaged: false, ..chosen.clone() }, chosen],
            ended: vec![Shown {
                transaction: "4e1f".into(),
                coordinator: "orders".into(),
                at: "2026-11-29T20:00:00.5Z".into(),
                outcome: "committed".into(),
                why: String::new(),
                trace: String::new(),
                held: vec![hold("orders", 12), hold("warehouse", 9)],
            }],
        };
        let expect = [
            "`warehouse` is in doubt about transaction 4e1f since 2026-11-29T20:00:00Z: `orders`, which decides, cannot \
             be asked",
            "`finance` has rolled back transaction 4e1f by an operator's choice; `orders` has not said yet what was \
             decided",
            "heuristic damage: `finance` has rolled back transaction 4e1f, and it was committed; its part was: INSERT \
             INTO entry VALUES (?1)",
        ];
        assert_eq!(warnings(&overview), expect);
        let expect = "\
TIME                  TRANSACTION  CONTEXT  OUTCOME    HELD                          WHY
2026-11-29T20:00:00Z  4e1f         orders   committed  orders 12 ms, warehouse 9 ms
";
        assert_eq!(shown(&overview.ended), expect);
    }
}
