//! `[[schedule]]`: intervals and times of day, and mistakes in them.

use super::*;

#[test]
fn a_schedule_has_an_interval_or_times_of_day() {
    let with = |lines: &str| {
        let head =
            "[context.a]\ncomponent = \"component.wasm\"\nstore = true\n[context.b]\ncomponent = \"component.wasm\"\n";
        format!("{head}[[schedule]]\ncontext = \"a\"\ncall = \"i.f\"\n{lines}\n")
    };
    let due = |lines: &str| {
        let manifest = Manifest::parse(&with(lines), &folder().path().join("seam.toml"));
        match manifest.unwrap_or_else(|problems| panic!("{problems}")).schedules.remove(0) {
            Schedule { when: When::Due(due), .. } => due,
            other => panic!("{other:?}"),
        }
    };
    let plain = due("cron = \"30  3 * * 1-5\"");
    assert_eq!((&*plain.cron.to_string(), plain.missed, plain.transaction), ("30 3 * * 1-5 UTC", Missed::Once, true));
    let all = due("cron = \"0 9 1 * *\"\nzone = \"Europe/Berlin\"\nmissed = \"each\"\ntransaction = false");
    assert_eq!((&*all.cron.to_string(), all.missed, all.transaction), ("0 9 1 * * Europe/Berlin", Missed::Each, false));
    for (lines, words) in [
        ("", "`schedule.every_s` is missing"),
        (
            "cron = \"0 3 * *\"",
            "seam.toml:9:8: error: `0 3 * *` is no cron line: it has 4 fields\n  hint: write minute, hour",
        ),
        ("cron = \"0 0 30 2 *\"", "its time never comes"),
        ("cron = \"0 3 * * *\"\nevery_s = 30", "`schedule` has both `every_s` and `cron`"),
        ("every_s = 30\nmissed = \"each\"", "`schedule.missed` is for times of day"),
        ("cron = \"0 3 * * *\"\nmissed = \"all\"", "`schedule.missed` cannot be `all`"),
        (
            "cron = \"0 3 * * *\"\nzone = \"Europe/Berlim\"",
            "there is no time zone `Europe/Berlim`\n  hint: did you mean `Europe/Berlin`?",
        ),
        (
            "cron = \"0 3 * * *\"\n[[schedule]]\ncontext = \"a\"\ncall = \"i.f\"\ncron = \"0 3 * * *\"",
            "`i.f` of `a` has two schedules with the same times",
        ),
        (
            "every_s = 1\n[[schedule]]\ncontext = \"b\"\ncall = \"i.f\"\ncron = \"0 3 * * *\"",
            "`b` has no store, and the due times that are done are noted there\n  hint: add `store = true` to [context.b]",
        ),
        (
            "every_s = 1\n[[schedule]]\ncontext = \"b\"\ncall = \"i.f\"\nevery_s = 3\ntransaction = true",
            "`b` has no store, and the due times that are done are noted there\n  hint: add `store = true` to \
             [context.b], or remove `transaction`",
        ),
        (
            "every_s = 1\n[[schedule]]\ncontext = \"a\"\ncall = \"i.f\"\nevery_s = 1",
            "`i.f` of `a` has two schedules with the same times",
        ),
    ] {
        let found = problems(&with(lines));
        assert!(found.contains(words), "{lines}: {found}");
        assert_eq!(found.matches("error:").count(), 1, "{found}");
    }
}
