//! A survey, as text.

use std::fmt::Write as _;

use seam_split::file::Journal;
use seam_split::proposal::{Reason, Tie};
use seam_split::references::{Reference, Witness};
use seam_split::rows::Count;
use seam_split::survey::Survey;
use seam_split::tangle::Tangle;

use super::out;

/// Tangles of one kind that are shown; JSON has all.
const SHOWN: usize = 20;

pub fn survey(survey: &Survey) -> String {
    let mut text = file(survey);
    text.push_str(&contexts(survey));
    text.push_str(&tables(survey));
    text.push_str(&references(survey));
    text.push_str(&log(survey));
    text.push_str(&tangles(survey));
    text
}

fn file(survey: &Survey) -> String {
    let keys = survey.references.iter().filter(|reference| reference.declared.is_some()).count();
    let journal = match survey.file.journal {
        Journal::Wal => "WAL",
        Journal::Rollback => "a rollback journal",
    };
    let mut text = format!(
        "tables: {}, views: {}, triggers: {}, declared keys: {keys}; {journal}",
        survey.schema.own().count(),
        survey.schema.views.len(),
        survey.schema.triggers.len()
    );
    if let Some(version) = survey.file.written_by {
        let _ = write!(text, "; last written by SQLite {version}");
        if version.may_lose_commits() && survey.file.journal == Journal::Wal {
            text.push_str(", which can lose commits in WAL (before 3.51.3)");
        }
    }
    text.push('\n');
    let program = &survey.program;
    for (what, names) in
        [("functions", &program.functions), ("collations", &program.collations), ("modules", &program.modules)]
    {
        if !names.is_empty() {
            let _ = writeln!(text, "only the program has the {what} {}", list(names));
        }
    }
    for (name, why) in &survey.broken {
        let _ = writeln!(text, "`{name}` cannot be used as it is declared: {why}");
    }
    text
}

fn contexts(survey: &Survey) -> String {
    let mut text = format!("\nPROPOSED CONTEXTS (seed {})\n", survey.proposal.seed);
    for context in &survey.proposal.contexts {
        let _ = writeln!(text, "\n{}", context.name);
        for member in &context.tables {
            let why = member.ties.first().map(because).unwrap_or_default();
            let _ = writeln!(text, "  {}{why}", member.table);
        }
    }
    if !survey.proposal.static_data.is_empty() {
        let _ = writeln!(text, "\nstatic data: {}", list(&survey.proposal.static_data));
    }
    text
}

fn because(tie: &Tie) -> String {
    let reason = |reason: &Reason| match reason {
        Reason::Reference => "a reference".to_owned(),
        Reason::Part => "one is a part of the other".to_owned(),
        Reason::Guess => "what looks like a reference".to_owned(),
        Reason::Trigger(name) => format!("the trigger `{name}`"),
        Reason::Word(word) => format!("the word `{word}`"),
        Reason::Code(module) => format!("the code of `{module}`"),
    };
    let reasons: Vec<_> = tie.because.iter().map(reason).collect();
    format!(": with `{}` by {}", tie.to, reasons.join(", "))
}

fn tables(survey: &Survey) -> String {
    let rows: Vec<_> = survey
        .sizes
        .iter()
        .map(|(table, size)| {
            let count = match size.rows {
                Count::Exact(count) => count.to_string(),
                Count::AtMost(count) => format!("<= {count}"),
                Count::Unknown => "?".to_owned(),
            };
            let found =
                survey.difficulties.get(table).map(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>());
            let bytes = size.bytes.map_or_else(|| "?".to_owned(), out::size);
            vec![table.clone(), count, bytes, found.unwrap_or_default().join("; ")]
        })
        .collect();
    format!("\n{}", out::table(&["TABLE", "ROWS", "SIZE", "DIFFICULTIES"], &rows, &["ROWS", "SIZE"]))
}

/// What is not declared, and what has orphans.
fn references(survey: &Survey) -> String {
    let orphans = |reference: &Reference| reference.rows.filter(|rows| rows.orphans > 0);
    let shown =
        survey.references.iter().filter(|reference| reference.declared.is_none() || orphans(reference).is_some());
    let rows: Vec<_> = shown
        .map(|reference| {
            let witness = |witness: &Witness| match witness {
                Witness::Name => "name",
                Witness::Values => "values",
                Witness::Statement => "statements",
            };
            let witnesses: Vec<_> = reference.witnesses.iter().map(witness).collect();
            let known = match reference.declared {
                Some(_) => "declared".to_owned(),
                None if reference.is_certain() => witnesses.join(" and "),
                None => format!("a guess by {}", witnesses.join(" and ")),
            };
            let missing = orphans(reference).map(|rows| {
                let sample = if rows.is_sample { ", in a sample" } else { "" };
                format!("{} of {}{sample}", rows.orphans, rows.looked_at)
            });
            vec![
                format!("{}({})", reference.child, reference.columns.join(", ")),
                format!("{}({})", reference.parent, reference.parent_columns.join(", ")),
                known,
                missing.unwrap_or_default(),
            ]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    format!("\n{}", out::table(&["REFERENCE", "TO", "KNOWN BY", "WITHOUT PARENT"], &rows, &[]))
}

fn log(survey: &Survey) -> String {
    let Some(usage) = &survey.usage else {
        return "\nWithout a log of statements (`--log`), joins, transactions and shared tables are not known.\n"
            .to_owned();
    };
    let mut text = format!(
        "\nlines of the log: {}, different statements: {}, kinds of transaction that write: {}\n",
        usage.lines,
        usage.statements.len(),
        usage.transactions.len()
    );
    let left_out = &usage.left_out;
    if let Some((line, why)) = &left_out.first {
        let _ = writeln!(text, "lines left out: {}; the first is line {line}: {why}", left_out.lines);
    }
    for (why, count) in &left_out.statements {
        let _ = writeln!(text, "statements that do not fit this database: {count} ({why})");
    }
    for (count, what) in [
        (left_out.too_many, "statements and transactions were too many"),
        (left_out.unfinished, "transactions have no end"),
    ] {
        if count > 0 {
            let _ = writeln!(text, "{what}: {count}");
        }
    }
    text
}

fn tangles(survey: &Survey) -> String {
    let mut text = format!("\nTANGLES under the proposed contexts: {}, the most harmful first\n", survey.tangles.len());
    for of_kind in survey.tangles.chunk_by(|one, other| one.remedy() == other.remedy()) {
        let Some(first) = of_kind.first() else { continue };
        let _ = writeln!(text, "\n{} ({}). Remedy: {}", kind(first), of_kind.len(), first.remedy());
        for tangle in of_kind.iter().take(SHOWN) {
            let _ = writeln!(text, "  {}", evidence(tangle));
        }
        if of_kind.len() > SHOWN {
            let _ = writeln!(text, "  and {} more (`--format json` has all)", of_kind.len() - SHOWN);
        }
    }
    text
}

fn kind(tangle: &Tangle) -> &'static str {
    match tangle {
        Tangle::SharedTable { .. } => "Shared tables",
        Tangle::SharedData { .. } => "Shared data",
        Tangle::StaticData { .. } => "Shared static data",
        Tangle::KeyAcross { .. } => "Keys across contexts",
        Tangle::JoinAcross { .. } => "Joins across contexts",
        Tangle::TransactionAcross { .. } => "Transactions across contexts",
        Tangle::LogicAcross { .. } => "Logic in the database across contexts",
    }
}

fn evidence(tangle: &Tangle) -> String {
    match tangle {
        Tangle::SharedTable { table, columns } => {
            let each = columns.iter().map(|(context, columns)| format!("{context} writes {}", list(columns)));
            format!("`{table}`: {}", each.collect::<Vec<_>>().join("; "))
        }
        Tangle::SharedData { table, columns, writers } => {
            format!("`{table}`: {} write {}", writers.iter().cloned().collect::<Vec<_>>().join(", "), list(columns))
        }
        Tangle::StaticData { table, readers } => {
            format!("`{table}`: read by {}", readers.iter().cloned().collect::<Vec<_>>().join(", "))
        }
        Tangle::KeyAcross { child, columns, parent, contexts: [from, to], is_declared } => {
            let guess = if *is_declared { "" } else { ", not declared" };
            format!("`{child}`({}) of {from} to `{parent}` of {to}{guess}", columns.join(", "))
        }
        Tangle::JoinAcross { fingerprint, callers, contexts, count } => {
            let contexts = contexts.iter().cloned().collect::<Vec<_>>().join(", ");
            format!("{contexts}, by {} ({count} x): {fingerprint}", list(callers))
        }
        Tangle::TransactionAcross { callers, writes, contexts, count } => {
            let contexts = contexts.iter().cloned().collect::<Vec<_>>().join(", ");
            format!("{contexts}, by {} ({count} x): writes {}", list(callers), list(writes))
        }
        Tangle::LogicAcross { name, tables, .. } => format!("`{name}` uses {}", list(tables)),
    }
}

fn list<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
