//! Builds that change sources, as `seam dev` runs them. Builds of crates: `tests/tests/dev`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use super::*;
use crate::manifest::Manifest;

/// A shell command that writes the smallest component there is to `FILE`.
const WRITE_EMPTY: &str = r"printf '\0asm\015\0\001\0' > FILE";

struct Folder {
    dir: tempfile::TempDir,
    builder: IncrementalBuilder,
}

impl Folder {
    /// A system of contexts, each with its command and its folder of sources, which has the file `edit`.
    fn new(contexts: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(dir.path()).unwrap();
        let mut text = String::new();
        for (name, command) in contexts {
            fs::create_dir(base.join(name)).unwrap();
            fs::write(base.join(name).join("edit"), "1").unwrap();
            let write = WRITE_EMPTY.replace("FILE", &format!("{name}.wasm"));
            text += &format!("[context.{name}]\ncomponent = \"{name}.wasm\"\n");
            text += &format!("build = {{ command = '''{command}; {write}''', sources = [\"{name}\"] }}\n");
        }
        let manifest = Manifest::parse(&text, &base.join("seam.toml")).unwrap();
        let builder = IncrementalBuilder::open(&manifest.contexts, &base, &mut |_| ()).unwrap();
        Self { dir, builder }
    }

    fn path(&self, path: &str) -> PathBuf {
        fs::canonicalize(self.dir.path()).unwrap().join(path)
    }

    /// Builds after these files have changed, and again after what the builds changed, as the development loop does.
    /// Returns the contexts that were built, and the messages.
    fn rounds(&mut self, changed: &[&str]) -> (Vec<String>, Vec<String>) {
        let mut changed: BTreeSet<PathBuf> = changed.iter().map(|path| self.path(path)).collect();
        let (mut built, mut messages) = (Vec::new(), Vec::new());
        for _ in 0..20 {
            let affected = self.builder.affected_by(&changed);
            let before = self.builder.states();
            let results = self.builder.build(&affected, &mut |_| ());
            assert!(results.failed.is_empty(), "{:?}", results.failed);
            built.extend(results.up_to_date.iter().filter(|made| made.rebuilt).map(|made| made.context.to_string()));
            messages.extend(results.rebuild_loop.map(|(context, changes)| changes.text(context.as_str()).0));
            let after = self.builder.states();
            changed = after.iter().filter(|(p, s)| before.get(*p) != Some(s)).map(|(p, _)| p.clone()).collect();
            if changed.is_empty() {
                return (built, messages);
            }
        }
        panic!("the builds do not come to rest: {built:?}");
    }
}

#[test]
fn a_build_that_writes_its_own_sources_rests_and_is_named_once() {
    let mut folder = Folder::new(&[("a", "date +%s%N > a/stamp.txt")]);
    let (built, messages) = folder.rounds(&["a/edit"]);
    assert_eq!(built.len(), 3, "{built:?}");
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0].contains("`a`") && messages[0].contains("`a/stamp.txt`"), "{messages:?}");
    assert!(messages[0].contains("by `date +%s%N > a/stamp.txt;"), "{messages:?}");
    for edited in ["a/edit", "a/stamp.txt"] {
        fs::write(folder.path(edited), "2").unwrap();
        assert_eq!(folder.rounds(&[edited]), (vec!["a".to_owned()], Vec::new()), "{edited}");
    }
}

#[test]
fn builds_that_write_the_sources_of_each_other_rest_too() {
    let mut folder = Folder::new(&[("a", "date +%s%N > b/stamp.txt"), ("b", "date +%s%N > a/stamp.txt")]);
    let (built, messages) = folder.rounds(&["a/edit"]);
    assert!(built.len() <= 4 && messages.len() == 1, "{built:?} {messages:?}");
    // What one writes for the other is built after each edit.
    fs::write(folder.path("a/edit"), "2").unwrap();
    assert!(folder.rounds(&["a/edit"]).0.starts_with(&["a".to_owned(), "b".to_owned()]));
}

#[test]
fn a_build_that_comes_to_rest_by_itself_is_not_named() {
    let mut folder = Folder::new(&[("a", "tr a-z A-Z < a/edit > a/upper.txt")]);
    let (built, messages) = folder.rounds(&["a/edit"]);
    assert_eq!((built.len(), messages), (2, Vec::new()));
}
