//! What `seam doctor` finds and says.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use super::super::tools::tests::script;
use super::*;

fn machine(dir: &Path) -> Machine {
    Machine { search: Search { folders: vec![dir.join("bin")] }, folder: dir.into(), root: true }
}

#[test]
fn a_bare_machine_lacks_everything_and_is_told_how_to_get_it() {
    let dir = tempfile::tempdir().unwrap();
    script(&dir.path().join("bin"), "dnf", "exit 1");
    let report = machine(dir.path()).examine_all(&items(None, Purpose::Test));
    assert!(!report.ready());
    for name in ["Rust", "wasm target", "wasm linker", "C compiler", "browser", "browser driver", "axe-core"] {
        let check = report.checks.iter().find(|c| c.name == name).unwrap();
        assert!(!check.found() && !check.mend.is_empty(), "{check:?}");
    }
    let text = report.to_string();
    assert!(text.contains("missing  C compiler"), "{text}");
    assert!(text.contains("mend: dnf install -y gcc\n"), "{text}");
    let json = report.to_json();
    assert_eq!(json["ready"], false);
    assert_eq!(json["checks"][3]["state"], "missing");
}

#[test]
fn what_only_variants_are_built_with_is_advice_and_no_duty_but_for_tests() {
    let dir = tempfile::tempdir().unwrap();
    script(&dir.path().join("bin"), "apt-get", "");
    let text = "[context.a]\ncomponent = \"a.wasm\"\nbuild = { command = \"cd x && make a\", sources = [] }\n\
                [context.a.variant.b]\ncomponent = \"b.wasm\"\nbuild = { command = \"node b\", sources = [] }\n\
                [context.a.variant.c]\ncomponent = \"c.wasm\"\nbuild = { command = \"node c\", sources = [] }\n";
    let manifest = Manifest::parse(text, &dir.path().join("seam.toml")).unwrap();
    let look = |purpose| {
        let report = machine(dir.path()).examine_all(&programs(Some(&manifest), purpose));
        report.checks.into_iter().map(|check| (check.name.clone(), check.required, check)).collect::<Vec<_>>()
    };
    let [(make, true, _), (node, false, check)] = &look(Purpose::Run)[..] else { panic!("{:?}", look(Purpose::Run)) };
    assert_eq!((make.as_str(), node.as_str()), ("make", "node"));
    assert!(format!("{:?}", check.state).contains("`a@b`, `a@c`"), "{check:?}");
    assert!(check.mend[0].ends_with("install -y --no-install-recommends nodejs npm"), "{check:?}");
    assert!(look(Purpose::Test).iter().all(|(_, required, _)| *required));
}

#[test]
fn the_accessibility_library_is_found_among_the_tools_or_fetched_there() {
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("bin");
    script(&bin, "apt-get", "");
    let look = || machine(dir.path()).examine(&Item::AccessibilityLibrary);
    let bare = look();
    assert!(bare.required && !bare.found());
    let [mend] = &bare.mend[..] else { panic!("{bare:?}") };
    assert!(mend.contains("apt-get install") && mend.contains("npm && npm install --prefix .tools"), "{mend}");
    script(&bin, "npm", "");
    assert_eq!(look().mend, ["npm install --prefix .tools --no-save --ignore-scripts 'axe-core@~4.14.0'"]);

    let folder = dir.path().join(".tools/node_modules/axe-core");
    std::fs::create_dir_all(&folder).unwrap();
    let version = |version: &str| {
        let text = format!(r#"{{"name": "axe-core", "version": "{version}"}}"#);
        std::fs::write(folder.join("package.json"), text).unwrap();
        look()
    };
    assert!(!version("4.14.1").found(), "without its script it is not whole");
    std::fs::write(folder.join("axe.min.js"), "/* */").unwrap();
    let state = State::Found { version: "4.14.1".into(), path: folder.join("axe.min.js") };
    assert_eq!(version("4.14.1").state, state);
    assert!(!version("4.13.0").found() && !version("4.140.0").found());
}

#[test]
fn what_is_found_says_its_version_and_place() {
    let dir = tempfile::tempdir().unwrap();
    let cc = script(&dir.path().join("bin"), "cc", "echo 'cc (Debian 12.2.0-14) 12.2.0'");
    let check = machine(dir.path()).examine(&Item::CCompiler);
    assert_eq!(check.state, State::Found { version: "12.2.0".into(), path: cc });
    assert!(check.mend.is_empty());
}

#[test]
fn advice_does_not_make_a_machine_unfit() {
    let dir = tempfile::tempdir().unwrap();
    let report = machine(dir.path()).examine_all(&[Item::Just]);
    assert!(report.ready());
    assert!(report.to_string().starts_with("advice   just  no `just`"), "{report}");
}

#[test]
fn a_user_who_is_not_root_is_given_sudo() {
    let dir = tempfile::tempdir().unwrap();
    script(&dir.path().join("bin"), "apk", "");
    let check = Machine { root: false, ..machine(dir.path()) }.examine(&Item::CCompiler);
    assert_eq!(check.mend, ["sudo apk add gcc musl-dev"]);
    let mut said = Vec::new();
    let mut tried = HashSet::new();
    assert!(machine(dir.path()).mend(check.mend.iter(), &mut tried, &mut |l| said.push(l.to_owned())));
    assert!(said[0].contains("no sudo"), "{said:?}");
    assert!(!machine(dir.path()).mend(check.mend.iter(), &mut tried, &mut |_| ()), "tried twice");
}

#[test]
fn mending_runs_in_the_manifests_folder() {
    let dir = tempfile::tempdir().unwrap();
    let mut said = Vec::new();
    let commands = ["touch mended".to_owned(), "exit 3".to_owned()];
    let mut tried = HashSet::new();
    for _ in &commands {
        assert!(machine(dir.path()).mend(commands.iter(), &mut tried, &mut |l| said.push(l.to_owned())));
    }
    assert!(dir.path().join("mended").exists());
    assert_eq!(said, ["running touch mended", "running exit 3", "that ended with exit status: 3"]);
}

#[test]
fn the_program_of_a_build_command_is_its_first_plain_word() {
    for (command, expected) in [
        ("npm run build", Some("npm")),
        ("cd web && npm ci && npm run build", Some("npm")),
        ("NODE_ENV=production npx esbuild", Some("npx")),
        ("./build.sh", None),
        ("echo hello", None),
        ("cd web", None),
        ("", None),
    ] {
        assert_eq!(program(command), expected, "{command}");
    }
}
