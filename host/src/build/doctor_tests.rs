//! What `seam doctor` finds and prints.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use super::super::tools::tests::script;
use super::*;

fn machine(dir: &Path) -> Machine {
    Machine { search: Search { folders: vec![dir.join("bin")] }, folder: dir.into(), root: true }
}

#[test]
fn on_a_bare_machine_everything_is_missing_and_has_a_fix() {
    let dir = tempfile::tempdir().unwrap();
    script(&dir.path().join("bin"), "dnf", "exit 1");
    let diagnosis = machine(dir.path()).examine_all(&items(None, dir.path(), Purpose::Test));
    assert!(!diagnosis.ready());
    for name in ["Rust", "wasm target", "wasm linker", "C compiler", "browser", "browser driver", "axe-core"] {
        let check = diagnosis.checks.iter().find(|c| c.name == name).unwrap();
        assert!(!check.found() && !check.fixes.is_empty(), "{check:?}");
    }
    let text = diagnosis.to_string();
    assert!(text.contains("missing  C compiler"), "{text}");
    assert!(text.contains("fix: dnf install -y gcc\n"), "{text}");
    let json = diagnosis.to_json();
    assert_eq!(json["ready"], false);
    assert_eq!(json["checks"][3]["state"], "missing");
}

#[test]
fn programs_of_variants_are_advice_and_required_for_tests() {
    let dir = tempfile::tempdir().unwrap();
    script(&dir.path().join("bin"), "apt-get", "");
    let text = "[context.a]\ncomponent = \"a.wasm\"\nbuild = { command = \"cd x && make a\", sources = [] }\n\
                [context.a.variant.b]\ncomponent = \"b.wasm\"\nbuild = { command = \"node b\", sources = [] }\n\
                [context.a.variant.c]\ncomponent = \"c.wasm\"\nbuild = { command = \"node c\", sources = [] }\n";
    let manifest = Manifest::parse(text, &dir.path().join("seam.toml")).unwrap();
    let look = |purpose| {
        let diagnosis = machine(dir.path()).examine_all(&programs(Some(&manifest), purpose));
        diagnosis.checks.into_iter().map(|check| (check.name.clone(), check.required, check)).collect::<Vec<_>>()
    };
    let [(make, true, _), (node, false, check)] = &look(Purpose::Run)[..] else { panic!("{:?}", look(Purpose::Run)) };
    assert_eq!((make.as_str(), node.as_str()), ("make", "node"));
    assert!(format!("{:?}", check.state).contains("`a@b`, `a@c`"), "{check:?}");
    assert!(check.fixes[0].ends_with("install -y --no-install-recommends nodejs npm"), "{check:?}");
    assert!(look(Purpose::Test).iter().all(|(_, required, _)| *required));
}

#[test]
fn a_python_without_virtual_environments_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("bin");
    script(&bin, "apt-get", "");
    script(&bin, "python3", "[ \"$1\" = --version ] && echo 'Python 3.13.5'");
    let python = Item::Program { name: "python3".into(), contexts: vec!["`a`".into()], required: true };
    let check = machine(dir.path()).examine(&python);
    assert!(format!("{:?}", check.state).contains("ensurepip"), "{check:?}");
    assert!(check.fixes[0].ends_with("python3 python3-venv"), "{check:?}");
    script(&bin, "python3", "echo 'Python 3.13.5'");
    assert!(machine(dir.path()).examine(&python).found());
}

#[test]
fn the_accessibility_library_is_found_in_the_tools_folder_or_installed_there() {
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("bin");
    script(&bin, "apt-get", "");
    let look = || machine(dir.path()).examine(&Item::AccessibilityLibrary);
    let bare = look();
    assert!(bare.required && !bare.found());
    let [fix] = &bare.fixes[..] else { panic!("{bare:?}") };
    assert!(fix.contains("apt-get install") && fix.contains("npm && npm install --prefix .tools"), "{fix}");
    script(&bin, "npm", "");
    assert_eq!(look().fixes, ["npm install --prefix .tools --no-save --ignore-scripts axe-core@4.14.1"]);

    let folder = dir.path().join(".tools/node_modules/axe-core");
    std::fs::create_dir_all(&folder).unwrap();
    let version = |version: &str| {
        let text = format!(r#"{{"name": "axe-core", "version": "{version}"}}"#);
        std::fs::write(folder.join("package.json"), text).unwrap();
        look()
    };
    assert!(!version("4.14.1").found(), "without its script it is not complete");
    std::fs::write(folder.join("axe.min.js"), "/* something else under its name */").unwrap();
    let State::Missing { reason } = version("4.14.1").state else { panic!("another script was taken for it") };
    assert!(reason.contains("by its hash"), "{reason}");
}

#[test]
fn a_found_program_has_its_version_and_path() {
    let dir = tempfile::tempdir().unwrap();
    let cc = script(&dir.path().join("bin"), "cc", "echo 'cc (Debian 12.2.0-14) 12.2.0'");
    let check = machine(dir.path()).examine(&Item::CCompiler);
    assert_eq!(check.state, State::Found { version: "12.2.0".into(), path: cc });
    assert!(check.fixes.is_empty());
}

#[test]
fn a_machine_is_ready_without_what_is_only_advised() {
    let dir = tempfile::tempdir().unwrap();
    let diagnosis = machine(dir.path()).examine_all(&[Item::Just]);
    assert!(diagnosis.ready());
    assert!(diagnosis.to_string().starts_with("advice   just  no `just`"), "{diagnosis}");
}

#[test]
fn a_user_who_is_not_root_gets_sudo() {
    let dir = tempfile::tempdir().unwrap();
    script(&dir.path().join("bin"), "apk", "");
    let check = Machine { root: false, ..machine(dir.path()) }.examine(&Item::CCompiler);
    assert_eq!(check.fixes, ["sudo apk add gcc musl-dev"]);
    let mut printed = Vec::new();
    let mut tried = HashSet::new();
    assert!(machine(dir.path()).run_next_fix(check.fixes.iter(), &mut tried, &mut |l| printed.push(l.to_owned())));
    assert!(printed[0].contains("sudo is not installed"), "{printed:?}");
    assert!(!machine(dir.path()).run_next_fix(check.fixes.iter(), &mut tried, &mut |_| ()), "tried twice");
}

#[test]
fn fixes_run_in_the_manifests_folder() {
    let dir = tempfile::tempdir().unwrap();
    let mut printed = Vec::new();
    let commands = ["touch fixed".to_owned(), "exit 3".to_owned()];
    let mut tried = HashSet::new();
    for _ in &commands {
        assert!(machine(dir.path()).run_next_fix(commands.iter(), &mut tried, &mut |l| printed.push(l.to_owned())));
    }
    assert!(dir.path().join("fixed").exists());
    assert_eq!(printed, ["running touch fixed", "running exit 3", "the command ended with exit status: 3"]);
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

#[test]
fn a_project_is_asked_for_the_tools_that_it_uses_and_for_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let names = |entry: &str| -> Vec<String> {
        let text = format!("[context.a]\ncomponent = \"a.wasm\"\n{entry}\n");
        let manifest = Manifest::parse(&text, &dir.path().join("seam.toml")).unwrap();
        let checks = machine(dir.path()).examine_all(&items(Some(&manifest), dir.path(), Purpose::Run)).checks;
        checks.into_iter().map(|check| check.name).collect()
    };
    assert_eq!(names("build = { command = \"node b.mjs\", sources = [\"a\"] }"), ["node", "disk space", "open files"]);
    let rust = ["Rust", "wasm target", "wasm linker", "disk space", "open files"];
    assert_eq!(names("build = { cargo = \"a\" }"), rust);
    std::fs::write(dir.path().join("justfile"), "").unwrap();
    assert!(names("build = { cargo = \"a\" }").contains(&"just".to_owned()));
}
