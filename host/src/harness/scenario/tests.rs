//! Files as data: what a good one means, and the problem that each mistake gets.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::*;

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.toml");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

/// The problems of a file of scenarios, with its folder left out.
fn problems(text: &str) -> String {
    let (folder, path) = file(text);
    match suite(&path) {
        Ok(_) => String::new(),
        Err(problems) => problems.to_string().replace(&format!("{}/", folder.path().display()), ""),
    }
}

#[test]
fn every_mistake_is_reported_at_its_place_with_a_hint() {
    let step = "[[scenario.when]]\ncall = 'a.b()'\n";
    for (text, place, says, remedy) in [
        ("", "1:1", "the file has no scenario", "add `[[scenario]]`"),
        ("[[scenario]]\n", "1:1", "the scenario has no `name`", "say what it shows"),
        ("[[scenario]]\nname = \"a\"\n", "1:1", "the scenario has no `when`", "add `when = "),
        ("[[scenario]]\nname = 1\nwhen = []\n", "2:8", "a whole number, expected a string", "name = "),
        (&format!("[[scenaro]]\nname = \"a\"\n{step}"), "1:3", "unknown key `scenaro`", "did you mean `scenario`?"),
        (&format!("[[scenario]]\nname = \"a\"\n{step}thn = 'x'\n"), "5:1", "unknown key `thn`", "did you mean `then`?"),
        ("[[scenario]]\nname = \"a\"\nwhen = [{ cal = 'a.b()' }]\n", "3:9", "exactly one of", "write `call = "),
        (
            "[[scenario]]\nname = \"a\"\nwhen = [{ call = 'a.b()', request = 'GET /' }]\n",
            "3:9",
            "exactly one of",
            "request = ",
        ),
        ("[[scenario]]\nname = \"a\"\nwhen = [{ request = 'get' }]\n", "3:21", "`get` is not a request", "GET /notes"),
        (
            "[[scenario]]\nname = \"a\"\nwhen = [{ call = 'a.b()', then = 'ok', fails = 'trapped' }]\n",
            "3:34",
            "has both `then` and `fails`",
            "keep one",
        ),
        (
            "[[scenario]]\nname = \"a\"\nwhen = [{ call = 'a.b()', fails = 'gone' }]\n",
            "3:35",
            "cannot be `gone`",
            "`timed-out`",
        ),
        (
            &format!("[given]\nclock = \"noon\"\n[[scenario]]\nname = \"a\"\n{step}"),
            "2:9",
            "not a time after 1970",
            "2026-01-31T12:00:00Z",
        ),
        (
            &format!("[given]\nfile = \"gone.sqlite\"\n[[scenario]]\nname = \"a\"\n{step}"),
            "2:8",
            "which is not a file",
            "correct the path",
        ),
        (
            &format!("[[given.stub]]\nfunction = 'a.b'\n[[scenario]]\nname = \"a\"\n{step}"),
            "1:1",
            "neither `answer` nor `fails`",
            "add `answer",
        ),
        (
            &format!("[[given.stub]]\nanswer = 'ok'\n[[scenario]]\nname = \"a\"\n{step}"),
            "1:1",
            "`stub.function` is missing",
            "add `function",
        ),
        (
            &format!(
                "[[given.stub]]\nfunction = 'a.b'\nanswer = 'ok'\nfails = 'absent'\n[[scenario]]\nname = \"a\"\n{step}"
            ),
            "3:10",
            "the stub has both `answer` and `fails`",
            "keep one",
        ),
        (
            &format!("[[scenario]]\nname = \"a\"\n{step}[scenario.then]\nrows = [{{ sql = 'SELECT 1', are = 7 }}]\n"),
            "6:35",
            "is not a list of rows",
            "`[]` is NULL",
        ),
        (
            &format!("[[scenario]]\nname = \"a\"\n{step}[[scenario]]\nname = \"a\"\n{step}"),
            "6:8",
            "the name `a` is used twice",
            "a name of its own",
        ),
        ("[[scenario]]\nname = \n", "2:8", "", "toml.io"),
    ] {
        let shown = problems(text);
        let found = shown.split("s.toml:").any(|problem| {
            problem.starts_with(&format!("{place}: error: ")) && problem.contains(says) && problem.contains(remedy)
        });
        assert!(found, "no `{says}` at {place} with `{remedy}` for\n{text}\nbut\n{shown}");
    }
}

#[test]
fn a_contract_uses_no_tables_and_names_its_interface() {
    let step = "[[scenario.when]]\ncall = 'a.b()'\n";
    for (text, says) in [
        (format!("[[scenario]]\nname = \"a\"\n{step}"), "`interface` is missing"),
        (
            format!("interface = 'a:b/c'\n[given]\nsql = 'x'\n[[scenario]]\nname = \"a\"\n{step}"),
            "implementations have different tables",
        ),
        (
            format!("interface = 'a:b/c'\n[[scenario]]\nname = \"a\"\nthen.rows = [{{ sql = 'x', are = [] }}]\n{step}"),
            "implementations have different tables",
        ),
        ("interface = 'a:b/c'\n[[rule]]\nfunction = 'f'\n".to_owned(), "neither `answers` nor `list`"),
    ] {
        let (_folder, path) = file(&text);
        let shown = contract(&path).unwrap_err().to_string();
        assert!(shown.contains(says), "{text}\n{shown}");
    }
    let (_folder, path) = file("interface = 'a:b/c@0.1.0'\n[[rule]]\nfunction = 'f'\nlist = { at_most = 'count' }\n");
    let read = contract(&path).unwrap();
    assert_eq!((read.rules.len(), read.scenarios.len(), read.interface.value.as_str()), (1, 0, "a:b/c@0.1.0"));
}

#[test]
fn each_scenario_inherits_the_file_s_given_and_its_own_stubs_come_first() {
    let text = r#"
        [given]
        clock = 1970-01-02T01:00:00+01:00
        random = 7
        config = { a = 1, b = "x" }
        sql = "INSERT 1"
        [[given.stub]]
        function = "n.f"
        answer = "ok"

        [[scenario]]
        name = "one"
        given.config = { b = "y" }
        given.sql = ["INSERT 2"]
        given.stub = [{ function = "n.f", with = "(1)", fails = "timed-out", slow_ms = 5, times = 2 }]
        when = [
            { call = "a.b(1)", then = "ok(_)", asked = [], published = ["e.f(1)"] },
            { wait_s = 60 },
            { request = "POST /x?y=1", headers = { accept = "a/b" }, body = "c=d", status = 303, contains = ["e"], take = { t = ["<", ">"] } },
        ]
        then.asked = ["n.f(1)"]
        then.published = []
        then.rows = [{ sql = "SELECT 1", are = [["a", 1, 1.5, [], "_", true]] }]
    "#;
    let (_folder, path) = file(text);
    let read = suite(&path).unwrap_or_else(|problems| panic!("{problems}"));
    let [one] = &read.scenarios[..] else { panic!("one scenario") };
    assert_eq!((one.given.clock_s, one.given.random), (86_400, 7));
    assert_eq!((one.given.config["a"].as_str(), one.given.config["b"].as_str()), ("1", "y"));
    let sql: Vec<&str> = one.given.sql.iter().map(|sql| sql.value.as_str()).collect();
    assert_eq!(sql, ["INSERT 1", "INSERT 2"]);
    let replies: Vec<&Reply> = one.given.stubs.iter().map(|stub| &stub.reply).collect();
    assert!(matches!(replies[..], [Reply::Fails(FailureKind::TimedOut), Reply::Answer(_)]), "{replies:?}");
    assert_eq!((one.given.stubs[0].after, one.given.stubs[0].times), (Duration::from_millis(5), Some(2)));
    assert!(one.when[0].asked.as_ref().is_some_and(Vec::is_empty) && one.when[1].asked.is_none());
    assert_eq!(one.when[0].published.as_ref().map(Vec::len), Some(1));
    assert!(one.when[1].published.is_none() && one.then.published.as_ref().is_some_and(Vec::is_empty));
    let Action::Request(request) = &one.when[2].what else { panic!("a request") };
    assert_eq!((request.status, request.take.len(), request.headers.len()), (Some(303), 1, 1));
    let cells = [Cell::Text("a".into()), Cell::Integer(1), Cell::Real(1.5), Cell::Null, Cell::Any, Cell::Integer(1)];
    assert_eq!(one.then.rows[0].are, [cells]);
}

#[test]
fn dates_become_seconds() {
    for (date, seconds) in [
        ("1970-01-01", 0),
        ("2000-02-29T12:30:15Z", 951_827_415),
        ("2026-01-01T12:00:00Z", crate::limits::SCENARIO_CLOCK_S),
        ("2026-01-01T14:00:00+02:00", crate::limits::SCENARIO_CLOCK_S),
        ("2100-03-01T00:00:00Z", 4_107_542_400),
    ] {
        let text = format!("[given]\nclock = {date}\n[[scenario]]\nname = 'a'\nwhen = [{{ wait_s = 1 }}]\n");
        let (_folder, path) = file(&text);
        let read = suite(&path).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(read.scenarios[0].given.clock_s, seconds, "{date}");
    }
}
