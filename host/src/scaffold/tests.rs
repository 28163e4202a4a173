//! Planning and writing a context; `tests/tests/dev/new.rs` builds it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::manifest::Manifest;

const LANGUAGES: [Language; 3] = [Language::Rust, Language::Js, Language::Python];

fn repo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file below `folder`, sorted, with its text; without the byte code that Python's tests leave behind.
fn everything(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut next = vec![folder.to_path_buf()];
    while let Some(inside) = next.pop() {
        for entry in fs::read_dir(&inside).unwrap().flatten() {
            match entry.path() {
                path if path.ends_with("__pycache__") => {}
                path if path.is_dir() => next.push(path),
                path => found.push((path.strip_prefix(folder).unwrap().into(), fs::read_to_string(&path).unwrap())),
            }
        }
    }
    found.sort();
    found
}

/// A context without events.
fn plan(manifest: &Path, name: &str, language: Language) -> Result<Plan, Error> {
    super::plan(manifest, name, language, &EventNames::default())
}

fn events(publishes: &str, subscribes: &str) -> EventNames {
    let named = |name: &str| (!name.is_empty()).then(|| name.to_owned());
    EventNames { publishes: named(publishes), subscribes: named(subscribes) }
}

fn refused(folder: &Path, name: &str, language: Language) -> Error {
    let before = everything(folder);
    let error = plan(&folder.join("seam.toml"), name, language).unwrap_err();
    assert_eq!(everything(folder), before, "{name}: {error}");
    error
}

#[test]
fn names_that_wit_rust_or_the_project_use_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "",
        "Guestbook",
        "guest_book",
        "guest--book",
        "7up",
        "top-10",
        "../evil",
        "list",
        "match",
        "std",
        "sdk-js",
        "host",
    ] {
        let error = refused(dir.path(), name, Language::Rust);
        assert!(matches!(error, Error::Name { .. }), "{name}: {error}");
        assert!(error.remedy().contains("guest-book"), "{name}");
    }
}

#[test]
fn names_that_python_uses_are_refused_only_for_python() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["calendar", "lambda", "app", "wit-world"] {
        let error = refused(dir.path(), name, Language::Python);
        assert!(matches!(error, Error::Name { .. }) && error.to_string().contains("Python"), "{name}: {error}");
        assert!(plan(&dir.path().join("seam.toml"), name, Language::Rust).is_ok(), "{name}");
    }
}

#[test]
fn an_empty_folder_becomes_a_complete_project() {
    for language in LANGUAGES {
        let dir = tempfile::tempdir().unwrap();
        let plan = plan(&dir.path().join("seam.toml"), "guest-book", language).unwrap();
        assert!(plan.new_project && plan.changed.is_empty());
        plan.write().unwrap();
        let manifest = Manifest::load(&dir.path().join("seam.toml")).unwrap();
        assert_eq!(manifest.contexts.len(), 1);
        for (path, text) in everything(dir.path()) {
            assert!(!text.contains("{{") || path.starts_with("plugins/sdk"), "{}: {text}", path.display());
            assert!(!text.contains("workspace = true"), "{}: it cannot inherit", path.display());
        }
        assert!(dir.path().join("wit/host/store.wit").is_file());
    }
}

#[test]
fn a_second_context_leaves_the_first_and_every_comment_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("seam.toml");
    let contexts =
        [("first", Language::Rust), ("second", Language::Js), ("third", Language::Python), ("fourth", Language::Rust)];
    for (name, language) in contexts {
        plan(&manifest, name, language).unwrap().write().unwrap();
        let text = format!(
            "# About {name}.\n{}\n[[mount]] # here\npath = \"/{name}\" # its place\ncontext = \"{name}\"\n",
            fs::read_to_string(&manifest).unwrap()
        );
        fs::write(&manifest, text).unwrap();
    }
    let text = fs::read_to_string(&manifest).unwrap();
    for kept in ["# About first.", "# About second.", "[[mount]] # here\npath = \"/first\" # its place"] {
        assert!(text.contains(kept), "{kept}: {text}");
    }
    let tables = ["[context.first]", "[context.second]", "[context.third]", "[context.fourth]", "[[mount]] # here"];
    let order: Vec<_> = tables.map(|table| text.find(table)).into();
    assert!(order.is_sorted() && order[0].is_some(), "{text}");
    assert!(fs::read_to_string(dir.path().join("Cargo.toml")).unwrap().contains("\"plugins/fourth\""));
}

#[test]
fn existing_files_are_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("seam.toml");
    plan(&manifest, "first", Language::Js).unwrap().write().unwrap();
    assert!(matches!(refused(dir.path(), "first", Language::Rust), Error::ContextExists { .. }));
    fs::create_dir_all(dir.path().join("plugins/second/src")).unwrap();
    fs::write(dir.path().join("plugins/second/src/store.rs"), "mine").unwrap();
    let error = refused(dir.path(), "second", Language::Rust);
    assert!(error.to_string().contains("plugins/second/src/store.rs"), "{error}");
    fs::write(dir.path().join("Cargo.toml"), "[package]\nname = \"mine\"\n").unwrap();
    let error = refused(dir.path(), "third", Language::Rust);
    assert!(error.to_string().contains("no `[workspace]`"), "{error}");
    fs::write(&manifest, "[host]\nlisten = 7\n").unwrap();
    assert!(matches!(refused(dir.path(), "third", Language::Js), Error::Manifest(_)));
}

#[test]
fn a_failed_write_is_undone() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("seam.toml");
    plan(&manifest, "first", Language::Js).unwrap().write().unwrap();
    let before = everything(dir.path());
    let mut late = plan(&manifest, "second", Language::Rust).unwrap();
    // The last changed file does not exist any more.
    late.changed.push(("gone.toml".into(), String::new()));
    assert!(matches!(late.write(), Err(Error::Write { .. })));
    assert_eq!(everything(dir.path()), before);
    let mut early = plan(&manifest, "second", Language::Rust).unwrap();
    // A file has the path of a folder.
    early.new.push(("seam.toml/inside".into(), String::new()));
    assert!(matches!(early.write(), Err(Error::Write { .. })));
    assert_eq!(everything(dir.path()), before);
    assert!(!dir.path().join("plugins/second").exists());
}

#[test]
fn a_workspace_keeps_its_form_and_gets_the_member_after_those_in_its_folder() {
    let check = |before: &str, expect: &str| {
        assert_eq!(cargo::workspace(before, &["plugins/new".into()]).unwrap(), expect);
    };
    check("[workspace]\nmembers = []\n", "[workspace]\nmembers = [\"plugins/new\"]\n");
    check(
        "[workspace]\nmembers = [\"a\", \"plugins/b\"] # all\n",
        "[workspace]\nmembers = [\"a\", \"plugins/b\", \"plugins/new\"] # all\n",
    );
    check(
        "[workspace]\nmembers = [\n  \"plugins/b\",\n  \"tests\", # real\n]\n",
        "[workspace]\nmembers = [\n  \"plugins/b\",\n  \"plugins/new\",\n  \"tests\", # real\n]\n",
    );
    check("[workspace]\nmembers = [\"plugins/*\"]\n", "[workspace]\nmembers = [\"plugins/*\"]\n");
}

#[test]
fn an_inherited_value_is_replaced_by_the_workspaces() {
    let root = "[workspace.package]\nedition = \"2024\" # new\n[workspace.dependencies]\na = \"1\"\n\
                b = { version = \"2\", features = [\"x\"] }\n";
    let member = "[package]\nname = \"m\"\nedition.workspace = true\n[dependencies]\na.workspace = true\n\
                  [target.'cfg(x)'.dependencies]\nb = { workspace = true, optional = true }\n";
    let expect = "[package]\nname = \"m\"\nedition = \"2024\"\n[dependencies]\na = \"1\"\n\
                  [target.'cfg(x)'.dependencies]\nb = { version = \"2\", features = [\"x\"], optional = true }\n";
    assert_eq!(cargo::standalone(member, root).unwrap(), expect);
}

/// A file of an SDK that is not listed in `sdk.rs` would be missing in every new project.
#[test]
fn every_file_of_an_sdk_is_listed() {
    for (folder, files) in [
        ("wit/host", sdk::INTERFACES),
        (sdk::RUST, sdk::RUST_FILES),
        (sdk::PACKED, sdk::PACKED_FILES),
        (sdk::JAVASCRIPT, sdk::JAVASCRIPT_FILES),
        (sdk::PYTHON, sdk::PYTHON_FILES),
    ] {
        let mut known: Vec<_> = files.iter().map(|(path, text)| (PathBuf::from(path), text.to_string())).collect();
        known.sort();
        let there: Vec<_> = everything(&repo().join(folder))
            .into_iter()
            .map(|(path, text)| (Path::new(folder).join(path), text))
            .collect();
        let names = |files: &[(PathBuf, String)]| files.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
        assert_eq!(names(&known), names(&there));
        assert!(known == there, "{folder}: built from other files");
    }
}

#[test]
fn a_project_s_namespace_is_that_of_its_interfaces() {
    assert_eq!(name::namespace(&repo()), "musiccorp");
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path().join("tea-house");
    fs::create_dir_all(project.join("wit/host")).unwrap();
    assert_eq!(name::namespace(&project), "tea-house");
    fs::create_dir_all(project.join("wit/menu")).unwrap();
    fs::write(project.join("wit/menu/menu.wit"), "// teas\npackage  kettle:menu@0.1.0;\n").unwrap();
    assert_eq!(name::namespace(&project), "kettle");
    fs::create_dir_all(dir.path().join("7 days")).unwrap();
    assert_eq!(name::namespace(&dir.path().join("7 days")), "project");
}

/// An events interface with types of its own, and one that is none.
const ORDERS: &str = "package tea-house:kettle@0.2.0;
interface orders {
  enum size { small, large }
  variant how { by-post(string), by-hand }
  record placed { order: u64, tea: string, size: size, notes: list<string>, gift: option<string>, how: how }
  variant failure { unavailable(string) }
  order-placed: func(order: placed, paid: bool) -> result<_, failure>;
  order-sent: func(number: u64, text: string) -> result<_, failure>;
}
interface levels {
  variant error { unavailable(string) }
  level: func() -> result<u64, error>;
}
interface letters {
  variant error { unavailable(string) }
  sent: func(initial: char) -> result<_, error>;
}
";

/// A project with a context `first`, and with these events.
fn with_orders() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path().join("tea-house");
    fs::create_dir_all(project.join("wit/kettle")).unwrap();
    fs::write(project.join("wit/kettle/orders.wit"), ORDERS).unwrap();
    plan(&project.join("seam.toml"), "first", Language::Js).unwrap().write().unwrap();
    (dir, project)
}

#[test]
fn an_interface_that_is_new_is_made_and_one_that_exists_is_used() {
    let (_dir, project) = with_orders();
    let manifest = project.join("seam.toml");
    for (name, language) in [("one", Language::Rust), ("two", Language::Js), ("three", Language::Python)] {
        let made = super::plan(&manifest, name, language, &events("events", "kettle/orders")).unwrap();
        let (file, text) = made.new.last().unwrap();
        assert_eq!(*file, Path::new("wit").join(name).join("events.wit"));
        assert!(text.starts_with(&format!("package tea-house:{name}@0.1.0;")) && text.contains("interface events"));
        made.write().unwrap();
        let used = format!("user-of-{name}");
        let used =
            super::plan(&manifest, &used, language, &events("kettle/orders", &format!("{name}/events"))).unwrap();
        assert!(!used.new.iter().any(|(path, _)| path.starts_with("wit/kettle") || path.ends_with("events.wit")));
        used.write().unwrap();
    }
    // Beside the interfaces of another package, in its version.
    let beside = super::plan(&manifest, "four", Language::Rust, &events("kettle/steam", "")).unwrap();
    let (file, text) = beside.new.last().unwrap();
    assert!(
        *file == Path::new("wit/kettle/steam.wit") && text.starts_with("package tea-house:kettle@0.2.0;"),
        "{text}"
    );
    let loaded = Manifest::load(&manifest).unwrap();
    let settings = &loaded.context("user-of-two").unwrap().settings;
    assert_eq!(
        settings.publishes.first().map(|one| (&*one.interface, &one.key)),
        Some(("tea-house:kettle/orders", &None))
    );
    assert_eq!(
        settings.subscribes.first().map(|one| (&*one.interface, one.batch)),
        Some(("tea-house:two/events", 100))
    );
    let publishes = &loaded.context("two").unwrap().settings.publishes;
    assert_eq!(publishes.first().and_then(|one| one.key.as_deref()), Some("number"));
    for (path, text) in everything(&project) {
        assert!(!text.contains("{{") || path.starts_with("plugins/sdk"), "{}: {text}", path.display());
    }
    let text = fs::read_to_string(&manifest).unwrap();
    assert!(text.contains("\"wit/user-of-three\", \"wit/kettle\", \"wit/three\"]"), "{text}");
}

#[test]
fn an_interface_that_cannot_be_used_is_refused_with_what_to_do() {
    let (_dir, project) = with_orders();
    let manifest = project.join("seam.toml");
    for (publishes, subscribes, says, remedy) in [
        ("Events", "", "`Events` cannot be the name", "`package/interface`"),
        ("entries", "", "`entries` cannot be the name", "are taken"),
        ("list", "", "`list` cannot be the name", "are taken"),
        ("kettle/orders@1", "", "`kettle/orders@1` cannot be the name", "1.2.3"),
        ("", "events", "`events` cannot be the name", "`package/interface`"),
        (
            "",
            "kettle/order",
            "there is no interface `tea-house:kettle/order` in `wit`",
            "did you mean `tea-house:kettle/orders`?",
        ),
        (
            "",
            "teapot/spills",
            "there is no interface `tea-house:teapot/spills`",
            "seam new PUBLISHER --publishes tea-house:teapot/spills",
        ),
        ("kettle/steam@0.9.0", "", "`tea-house:kettle/steam@0.9.0`", "did you mean `tea-house:kettle/steam@0.2.0`?"),
        ("events@0.2.0", "", "`tea-house:second/events@0.2.0`", "did you mean `tea-house:second/events@0.1.0`?"),
        ("", "first/entries", "`first/entries` cannot be the name", "are taken"),
        (
            "",
            "kettle/levels",
            "`tea-house:kettle/levels@0.2.0` is no events interface: `level` is answered",
            "result<_, error>",
        ),
        ("kettle/letters", "", "no example of an event `sent` of `tea-house:kettle/letters@0.2.0`", "by hand"),
        ("kettle/orders", "kettle/orders", "`tea-house:kettle/orders` is both published and subscribed to", "timers"),
    ] {
        let before = everything(&project);
        let error = super::plan(&manifest, "second", Language::Rust, &events(publishes, subscribes)).unwrap_err();
        let (said, hint) = (error.to_string(), error.remedy());
        assert!(said.contains(says) && hint.contains(remedy), "{publishes} {subscribes}: {said}\n{hint}");
        assert_eq!(everything(&project), before);
    }
    fs::write(project.join("wit/kettle/orders.wit"), "package tea-house:kettle@0.2.0; interface {").unwrap();
    let error = super::plan(&manifest, "second", Language::Rust, &events("", "kettle/orders")).unwrap_err();
    assert!(matches!(error, Error::Wit { .. }) && error.to_string().contains("wit/kettle"), "{error}");
}
