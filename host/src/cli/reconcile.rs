//! `seam reconcile`: on what contexts disagree, and what an operator does about it.

use clap::{Args, Subcommand};

use super::error::CommandError;
use super::global::{Format, Global};
use super::out;
use crate::admin::ReconcileRequest;
use crate::admin::client::Client;
use crate::reconcile::{
    Amount, ReconcileAct, ReconcileActRequest, ReconcileList, ReconcileOrder, ReconcileSelection, ShownDisagreement,
    State, TotalStatus,
};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Of this total alone
    #[arg(long)]
    total: Option<String>,
    /// Those that are over, too
    #[arg(long)]
    all: bool,
    #[arg(long, value_enum, default_value_t, global = true)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Look now, at one total or at all
    Run { total: Option<String> },
    /// Show one disagreement: the amounts, since when, what was done about it
    Show { total: String, key: String },
    /// Have the context that the manifest names mend it now, also if it has been given up
    Mend(Action),
    /// Say that it is all right, until its amounts change
    Accept(Action),
}

#[derive(Debug, Args)]
struct Action {
    total: String,
    key: String,
    /// Do it. Without this, the command says what it would do, and changes nothing
    #[arg(long)]
    yes: bool,
    /// The reason, for the audit log
    #[arg(long, value_name = "TEXT", default_value = "")]
    why: String,
}

impl Action {
    fn request(self, order: ReconcileOrder) -> ReconcileRequest {
        let Self { total, key, yes, why } = self;
        ReconcileRequest::Act(ReconcileActRequest { total, key, order, why, preview: !yes })
    }
}

pub fn run(global: &Global, options: Options) -> Result<(), CommandError> {
    let client = Client::connect(&global.load_host()?.host.data)?;
    let format = options.format;
    match options.verb {
        None => {
            let of = ReconcileSelection { total: options.total, over: options.all };
            list(&client.reconcile(&ReconcileRequest::List(of))?, format)
        }
        Some(Verb::Run { total }) => list(&client.reconcile(&ReconcileRequest::Run { total })?, format),
        Some(Verb::Show { total, key }) => {
            let one: ShownDisagreement = client.reconcile(&ReconcileRequest::Show { total, key })?;
            if format == Format::Json { out::json(&one) } else { out::text(&shown(&one)) }
        }
        Some(Verb::Mend(action)) => act(client, &action.request(ReconcileOrder::Mend), format),
        Some(Verb::Accept(action)) => act(client, &action.request(ReconcileOrder::Accept), format),
    }
}

/// Ends with 1 if a disagreement is open, and with 2 if that is not known of a total.
fn list(list: &ReconcileList, format: Format) -> Result<(), CommandError> {
    match format {
        Format::Json => out::json(list)?,
        Format::Human => {
            if !list.disagreements.is_empty() {
                out::text(&listed(&list.disagreements))?;
            }
            notes(list).iter().for_each(|note| out::note(note));
        }
    }
    let is_open = |one: &ShownDisagreement| [State::Open.name(), State::GivenUp.name()].contains(&one.state.as_str());
    let is_known = |one: &TotalStatus| one.looked.is_some() && one.problem.is_none();
    if list.disagreements.iter().any(is_open) || list.totals.iter().any(|one| one.unkept > 0) {
        return Err(CommandError::Reported);
    }
    match !(list.totals.is_empty() && list.elsewhere.is_empty()) && list.totals.iter().all(is_known) {
        true => Ok(()),
        false => Err(CommandError::Unknown(Box::new(CommandError::Reported))),
    }
}

/// What is known of the totals.
fn notes(list: &ReconcileList) -> Vec<String> {
    let elsewhere = list.elsewhere.iter().map(|(total, host)| format!("{total}: host `{host}` looks at it"));
    let mut notes: Vec<String> = elsewhere.collect();
    if list.totals.is_empty() && notes.is_empty() {
        return vec!["no total is reconciled: add a `[[reconcile]]` to the manifest".to_owned()];
    }
    for one in &list.totals {
        let TotalStatus { total, unkept, .. } = one;
        match (&one.problem, &one.looked) {
            (Some(problem), _) => {
                notes
                    .push(format!("warning: {total} cannot be looked at: {}\n  hint: {}", problem.why, problem.remedy));
            }
            (None, None) => {
                notes.push(format!("{total}: not looked at since the host started; `seam reconcile run` does"))
            }
            (None, Some(at)) => {
                let standing =
                    list.disagreements.iter().filter(|one| one.total == *total && one.over.is_none()).count();
                let agree = one.keys.unwrap_or(0).saturating_sub(standing as u64 + unkept);
                let contexts = one.contexts.join(" and ");
                notes.push(format!("{total}: {contexts} agree on {agree} keys and disagree on {standing}, at {at}"));
            }
        }
        if *unkept > 0 {
            notes.push(format!("warning: {total}: they disagree on {unkept} more keys, which the host does not keep"));
        }
    }
    notes
}

fn act(client: Client, request: &ReconcileRequest, format: Format) -> Result<(), CommandError> {
    let act: ReconcileAct = client.reconcile(request)?;
    match format {
        Format::Json => out::json(&act)?,
        Format::Human => {
            out::text(&format!("{}\n", act.effect))?;
            if act.done {
                out::note(&format!("it is {} now", act.disagreement.state));
            } else {
                out::note("nothing was changed; the same with `--yes` does it");
            }
        }
    }
    let stands = [State::Open.name(), State::GivenUp.name()].contains(&act.disagreement.state.as_str());
    if act.done && stands { Err(CommandError::Reported) } else { Ok(()) }
}

fn listed(all: &[ShownDisagreement]) -> String {
    let row = |one: &ShownDisagreement| {
        vec![
            one.total.clone(),
            one.key.clone(),
            one.state.clone(),
            amounts(&one.amounts),
            second(&one.first_seen),
            one.attempts.to_string(),
            one.answer.clone().or_else(|| one.by.as_ref().map(|by| format!("{by}: {}", one.why))).unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    out::table(&["TOTAL", "KEY", "STATE", "AMOUNTS", "SINCE", "TRIES", "ANSWER"], &rows, &["TRIES"])
}

fn amounts(all: &[Amount]) -> String {
    all.iter().map(Amount::to_string).collect::<Vec<_>>().join(", ")
}

fn second(time: &str) -> String {
    time.get(..19).map_or_else(|| time.to_owned(), |second| format!("{second}Z"))
}

fn shown(one: &ShownDisagreement) -> String {
    let ShownDisagreement { total, key, state, attempts, .. } = one;
    let mut text = format!("{key} of {total}: {state}\n");
    let mut line = |name: &str, value: &str| text.push_str(&format!("  {name:<12}{value}\n"));
    one.amounts.iter().for_each(|amount| line("amount", &amount.to_string()));
    line("first seen", &one.first_seen);
    line("last seen", &one.last_seen);
    one.said.iter().for_each(|at| line("said", at));
    if *attempts > 0 {
        let asked = one.asked.as_deref().unwrap_or("-");
        line("attempts", &format!("{attempts}, the last at {asked}"));
        line("answer", one.answer.as_deref().unwrap_or("none: it is being made, or was cut off"));
        line("key of it", &one.id);
    }
    one.over.iter().for_each(|at| line("over", at));
    one.by.iter().for_each(|by| line("accepted by", &format!("{by}: {}", one.why)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> ShownDisagreement {
        let amount = |context: &str, least, most| Amount { context: context.into(), least, most };
        ShownDisagreement {
            total: "copies-reserved".into(),
            key: "MC-100121 A-1".into(),
            id: "0123456789abcdef0123456789abcdef".into(),
            state: "given-up".into(),
            amounts: vec![amount("orders", 0, 1), amount("warehouse", 2, 2)],
            first_seen: "2026-11-29T20:00:00.123Z".into(),
            last_seen: "2026-11-29T20:10:00.123Z".into(),
            said: Some("2026-11-29T20:05:00.123Z".into()),
            over: None,
            attempts: 1,
            asked: Some("2026-11-29T20:05:00.200Z".into()),
            answer: Some("refused: the order is placed".into()),
            by: None,
            why: String::new(),
        }
    }

    fn total() -> TotalStatus {
        TotalStatus {
            total: "copies-reserved".into(),
            contexts: vec!["orders".into(), "warehouse".into()],
            every_s: 600,
            after_s: 300,
            mend: Some("orders".into()),
            looked: Some("2026-11-29T20:10:00Z".into()),
            keys: Some(12),
            unkept: 0,
            problem: None,
        }
    }

    #[test]
    fn a_disagreement_is_a_line_of_the_list_and_a_page_of_its_own() {
        let expect = "\
TOTAL            KEY            STATE     AMOUNTS                     SINCE                 TRIES  ANSWER
copies-reserved  MC-100121 A-1  given-up  orders 0 to 1, warehouse 2  2026-11-29T20:00:00Z      1  refused: the order is placed
";
        assert_eq!(listed(&[one()]), expect);
        let expect = "\
MC-100121 A-1 of copies-reserved: given-up
  amount      orders 0 to 1
  amount      warehouse 2
  first seen  2026-11-29T20:00:00.123Z
  last seen   2026-11-29T20:10:00.123Z
  said        2026-11-29T20:05:00.123Z
  attempts    1, the last at 2026-11-29T20:05:00.200Z
  answer      refused: the order is placed
  key of it   0123456789abcdef0123456789abcdef
";
        assert_eq!(shown(&one()), expect);
    }

    #[test]
    fn what_is_not_known_is_never_said_to_agree() {
        let of = |disagreements: Vec<ShownDisagreement>, totals: Vec<TotalStatus>| ReconcileList {
            totals,
            disagreements,
            elsewhere: Vec::new(),
        };
        assert_eq!(
            notes(&of(vec![one()], vec![total()])),
            ["copies-reserved: orders and warehouse agree on 11 keys and disagree on 1, at 2026-11-29T20:10:00Z"]
        );
        let unlooked = TotalStatus { looked: None, keys: None, ..total() };
        let problem = crate::reconcile::ShownProblem { why: "no file".into(), remedy: "restore it".into() };
        let failed = TotalStatus { problem: Some(problem), ..total() };
        for (totals, expect) in [
            (vec![], "no total is reconciled"),
            (vec![unlooked], "not looked at since the host started"),
            (vec![failed], "warning: copies-reserved cannot be looked at: no file\n  hint: restore it"),
        ] {
            let all = of(Vec::new(), totals);
            assert!(notes(&all).concat().contains(expect), "{:?}", notes(&all));
            assert!(matches!(list(&all, Format::Json), Err(CommandError::Unknown(_))), "{expect}");
        }
        let accepted = ShownDisagreement { state: "accepted".into(), ..one() };
        assert!(list(&of(vec![accepted], vec![total()]), Format::Json).is_ok());
        assert!(matches!(list(&of(vec![one()], vec![total()]), Format::Json), Err(CommandError::Reported)));
        let more = TotalStatus { unkept: 3, ..total() };
        assert!(matches!(list(&of(Vec::new(), vec![more]), Format::Json), Err(CommandError::Reported)));
    }
}
