//! `[[reconcile]]`: the totals on which the host has contexts agree, how often it looks, and which context mends.

use std::collections::HashSet;
use std::time::Duration;

use seam_runtime::did_you_mean;
use seam_store::ids::ContextName;

use super::model::{Context, Reconcile};
use super::table::{Document, Table};
use crate::limits;
use crate::times::duration;

/// A total that is reconciled; whether it and its context are there is checked later.
pub fn reconcile(table: Table<'_, '_>) -> Option<Reconcile> {
    let total = table.string("total", "copies-reserved");
    if !table.has("total") {
        let message = format!("`{}` is missing", table.path("total"));
        table.document.report(
            table.place,
            message,
            "name a total that contexts declare: `total = \"copies-reserved\"`",
        );
    }
    let (least, most) = (limits::RECONCILE_EVERY_S_MIN, limits::RECONCILE_EVERY_S_MAX);
    let every = time(&table, "every", limits::RECONCILE_EVERY_S, (least, most));
    let after = time(&table, "after", limits::RECONCILE_AFTER_S, (0, most));
    let mend = table.string("mend", "orders").and_then(|name| match ContextName::new(&name.value) {
        Some(context) => Some((context, name.place)),
        None => {
            let message = format!("`{}` is `{}`, which is no name of a context", table.path("mend"), name.value);
            table.document.report(name.place, message, "name a context that exports `seam:host/reconciliation`");
            None
        }
    });
    let place = table.place;
    table.finish();
    let (mend, mend_place) = mend.map_or((None, place), |(context, place)| (Some(context), place));
    total.map(|total| Reconcile { total: total.value, every, after, mend, place, mend_place })
}

fn time(table: &Table<'_, '_>, key: &'static str, default: u64, (least, most): (u64, u64)) -> Duration {
    let usual = Duration::from_secs(default);
    let Some(text) = table.string(key, "10m") else { return usual };
    let report = |what: String, remedy: String| {
        table.document.report(text.place, format!("`{}` is `{}`, {what}", table.path(key), text.value), remedy);
        usual
    };
    match duration(&text.value) {
        None => report("which is no time".to_owned(), "write `10m`, `30s`, `12h` or `1d`".to_owned()),
        Some(time) if time.as_secs() < least => report(
            format!("which is too short: the least is {least} s"),
            "write a longer time: at each look commits wait for some milliseconds".to_owned(),
        ),
        Some(time) if time.as_secs() > most => {
            report(format!("which is too long: the most is {most} s"), "write a shorter time".to_owned())
        }
        Some(time) => time,
    }
}

/// Reports totals that stand there twice, too many of them, and contexts that are not there. Entries that are `broken`
/// have been reported.
pub fn check(document: &Document<'_>, all: &[Reconcile], contexts: &[Context], broken: &[String]) {
    if let Some(one_more) = all.get(limits::RECONCILE_TOTALS_MAX) {
        let message = format!("more than {} totals are reconciled", limits::RECONCILE_TOTALS_MAX);
        document.report(one_more.place, message, "leave out those whose contexts have never disagreed");
    }
    let mut seen = HashSet::new();
    for one in all {
        if !seen.insert(&one.total) {
            let message = format!("the total `{}` is reconciled twice", one.total);
            document.report(one.place, message, "remove one of the two");
        }
        let Some(mend) = &one.mend else { continue };
        let names = || contexts.iter().map(|context| context.settings.name.as_str());
        if !names().any(|name| name == mend.as_str()) && !broken.iter().any(|name| name == mend.as_str()) {
            let message = format!("`reconcile.mend` names `{mend}`, and there is no such context");
            document.report(one.mend_place, message, did_you_mean::hint(mend.as_str(), names()));
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use crate::limits;
    use crate::manifest::Manifest;

    const CONTEXTS: &str = "[context.orders]\ncomponent = \"component.wasm\"\nstore = true\n";

    #[test]
    fn what_is_wrong_of_a_reconciled_total_is_said_with_its_place() {
        let of = |lines: &str| {
            let text = format!("{CONTEXTS}[[reconcile]]\n{lines}\n");
            Manifest::parse(&text, Path::new("seam.toml")).unwrap_err().to_string()
        };
        for (lines, expect) in [
            ("every = \"10m\"", "seam.toml:4:1: error: `reconcile.total` is missing"),
            ("total = \"t\"\nevery = \"1s\"", "seam.toml:6:9: error: `reconcile.every` is `1s`, which is too short"),
            ("total = \"t\"\nevery = \"30d\"", "`reconcile.every` is `30d`, which is too long"),
            ("total = \"t\"\nafter = \"soon\"", "seam.toml:6:9: error: `reconcile.after` is `soon`, which is no time"),
            ("total = \"t\"\nmend = \"No!\"", "`reconcile.mend` is `No!`, which is no name of a context"),
            (
                "total = \"t\"\nmend = \"ordres\"",
                "seam.toml:6:8: error: `reconcile.mend` names `ordres`, and there is no such context\n  \
                 hint: did you mean `orders`?",
            ),
            ("total = \"t\"\n[[reconcile]]\ntotal = \"t\"", "seam.toml:6:1: error: the total `t` is reconciled twice"),
            ("total = \"t\"\nwhy = \"x\"", "why"),
        ] {
            let said = of(lines);
            assert!(said.contains(expect), "no `{expect}` in:\n{said}");
        }
        let many =
            format!("{CONTEXTS}{}", (0..101).map(|n| format!("[[reconcile]]\ntotal = \"t{n}\"\n")).collect::<String>());
        let said = Manifest::parse(&many, Path::new("seam.toml")).unwrap_err().to_string();
        assert!(said.contains("more than 100 totals are reconciled"), "{said}");
    }

    #[test]
    fn the_defaults_are_those_of_the_limits() {
        let text = format!(
            "{CONTEXTS}[[reconcile]]\ntotal = \"t\"\n[[reconcile]]\ntotal = \"u\"\nevery = \"30s\"\nafter = \"0s\"\nmend = \"orders\"\n"
        );
        let manifest = Manifest::parse(&text, Path::new("seam.toml")).unwrap();
        let (first, second) = (&manifest.reconciles[0], &manifest.reconciles[1]);
        assert_eq!(first.every, Duration::from_secs(limits::RECONCILE_EVERY_S));
        assert_eq!(first.after, Duration::from_secs(limits::RECONCILE_AFTER_S));
        assert_eq!(first.mend, None);
        assert_eq!((second.every, second.after), (Duration::from_secs(30), Duration::ZERO));
        assert_eq!(second.mend.as_ref().map(|context| context.as_str()), Some("orders"));
    }
}
