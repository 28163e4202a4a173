//! Contexts that live on another host: known by their types alone.

use super::*;
use crate::settings::StoreGrant;

/// A context `b` with a store, at `at`, beside a context `a`. A start of `b` traps.
fn start(folder: &Path, at: Option<&str>) -> Result<Registry, Error> {
    let file = |name: &str, component: Vec<u8>| {
        let path = folder.join(name);
        std::fs::write(&path, component).unwrap();
        path
    };
    let traps = with_a_function("(i32.const 0)", "(func $f unreachable) (start $f)");
    let here = settings("a", "main", &file("a.wasm", spinning(1)));
    let mut other = settings("b", "main", &file("b.wasm", traps));
    (other.at, other.store) = (at.map(ToOwned::to_owned), Some(StoreGrant::plain(1)));
    let system = SystemSettings { contexts: vec![here, other], recording: Recording::default() };
    let linked = LinkedSystem::load(&system, Compiler::InProcess, &folder.join("cache")).unwrap();
    let host = Arc::new(HostFile::open(folder).unwrap());
    linked.start(folder, host, &Metrics::new(&MetricsRegistry::new()).unwrap())
}

fn names(generations: &[Arc<Generation>]) -> Vec<&str> {
    generations.iter().map(|generation| generation.context().as_str()).collect()
}

#[test]
fn nothing_of_a_context_on_another_host_is_started_and_it_gets_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let registry = start(folder.path(), Some("books")).unwrap();
    assert_eq!(registry.out_of_service(), []);
    assert_eq!(names(&registry.generations()), ["a"]);
    let all = registry.all_generations();
    assert_eq!(names(&all), ["a", "b"]);
    assert_eq!((all[0].lives_elsewhere(), all[1].lives_elsewhere()), (None, Some("books")));
    assert_eq!(registry.lives_elsewhere("b").as_deref(), Some("books"));
    assert_eq!(all[1].exports().len(), 1, "its types are known");
    assert!(registry.stores().is_empty() && !folder.path().join("b.db").exists());
    drop((all, registry));
    // The same context here: it is opened and started.
    let registry = start(folder.path(), None).unwrap();
    assert_eq!(registry.out_of_service(), [ContextName::new("b").unwrap()]);
    assert!(folder.path().join("b.db").exists());
}

#[test]
fn a_call_of_a_context_on_another_host_says_where_it_lives() {
    let folder = tempfile::tempdir().unwrap();
    let registry = start(folder.path(), Some("books")).unwrap();
    let live = registry.live("b").unwrap();
    let call = Call::start(Instant::now() + CALL_TIME, Trace::start());
    let failure = live.call(call, &live.generation().exports()[0], &[]).unwrap_err();
    assert!(matches!(&failure, Failure::Absent { .. }) && failure.to_string().contains("`books`"), "{failure}");
}

#[test]
fn a_host_of_several_serves_without_a_working_context_and_a_host_alone_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.wasm");
    std::fs::write(&path, with_a_function("(i32.const 0)", "(func $f unreachable) (start $f)")).unwrap();
    let start = |other: Option<&str>| {
        let mut a = settings("a", "main", &path);
        a.at = other.map(ToOwned::to_owned);
        let contexts = vec![a, settings("b", "main", &path)];
        let system = SystemSettings { contexts, recording: Recording::default() };
        let linked = LinkedSystem::load(&system, Compiler::InProcess, &folder.path().join("cache"));
        let host = Arc::new(HostFile::open(folder.path()).unwrap());
        linked.unwrap().start(folder.path(), host, &Metrics::new(&MetricsRegistry::new()).unwrap())
    };
    let of_several = start(Some("books")).unwrap();
    assert_eq!(of_several.out_of_service(), [ContextName::new("b").unwrap()]);
    drop(of_several);
    let error = start(None).err().unwrap();
    assert!(matches!(&error, Error::Problems(all) if all.len() == 2), "{error}");
}
