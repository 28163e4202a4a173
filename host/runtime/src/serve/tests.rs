//! Changes of the set that serves, in every order: the publisher keeps one set after another, whole.

mod elsewhere;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::Registry as MetricsRegistry;
use seam_store::HostFile;
use seam_store::clock::Clock;
use seam_store::ids::{ContextName, Trace};
use tempfile::TempDir;
use wit_component::{ComponentEncoder, StringEncoding};

use super::{Error, LinkedSystem, Probation, Registry};
use crate::call::{Call, Failure};
use crate::component::{Compiler, Component, ContextSpec};
use crate::limits;
use crate::run::{Generation, Metrics};
use crate::settings::{ContextLimits, ContextSettings, Recording, SystemSettings};

const CALL_TIME: Duration = Duration::from_secs(60);

/// A context that can be called by no other one.
fn settings(name: &str, variant: &str, component: &Path) -> ContextSettings {
    let context = ContextName::new(name.split('@').next().unwrap()).unwrap();
    ContextSettings {
        name: if name.contains('@') { context.with_variant(variant).unwrap() } else { context },
        variant: variant.to_owned(),
        publishes: Vec::new(),
        subscribes: Vec::new(),
        clicks: None,
        component: component.to_owned(),
        built: false,
        imports: Vec::new(),
        store: None,
        two_phase: Vec::new(),
        capabilities: Vec::new(),
        config: Default::default(),
        shared: Vec::new(),
        outgoing: Vec::new(),
        at: None,
        token: 0,
        limits: ContextLimits {
            instance_memory_mb: 1,
            context_memory_mb: 2,
            concurrency: 2,
            queue: 2,
            per_callee: None,
            timeout: CALL_TIME,
            log_kb_per_s: 1,
        },
    }
}

/// Two contexts, one of them with a variant, and versions of the context `a` to publish.
struct Scene {
    registry: Registry,
    versions: Vec<Component>,
    next: usize,
    /// Every generation that has served, so that none goes away before it is looked at.
    known: Vec<Arc<Generation>>,
    _folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        Self::with_clock(Clock::system(), |n| wat::parse_str(format!("(component $v{n})")).unwrap())
    }

    /// `component(n)` is the n-th version.
    fn with_clock(clock: Clock, component: impl Fn(usize) -> Vec<u8>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |n: usize| {
            let path = folder.path().join(format!("{n}.wasm"));
            std::fs::write(&path, component(n)).unwrap();
            path
        };
        let first = file(0);
        let contexts = vec![settings("a", "main", &first), settings("b", "main", &first), settings("a@x", "x", &first)];
        let system = SystemSettings { contexts, recording: Recording::default() };
        let linked = LinkedSystem::load(&system, Compiler::InProcess, &folder.path().join("cache")).unwrap();
        let host = Arc::new(HostFile::open(folder.path()).unwrap());
        let metrics = Metrics::new(&MetricsRegistry::new()).unwrap();
        let registry = linked.with_clock(clock).start(folder.path(), host, &metrics).unwrap();
        let versions = (1..=6).map(|n| registry.load(&file(n)).unwrap()).collect();
        Self { registry, versions, next: 0, known: Vec::new(), _folder: folder }
    }

    /// What serves, with a new version of `a`, and the hash of that version.
    fn with_new_version(&mut self) -> (Vec<ContextSpec>, String) {
        self.next = (self.next + 1) % self.versions.len();
        let component = self.versions[self.next].clone();
        let mut specs = self.registry.specs();
        specs[0].component = component.clone();
        (specs, component.hash)
    }

    fn served_by_a(&self) -> String {
        self.registry.live("a").unwrap().generation().component().hash.clone()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Publish,
    PublishOnProbation,
    Route,
    Keep,
    Undo,
}

const CHANGES: [Change; 5] = [Change::Publish, Change::PublishOnProbation, Change::Route, Change::Keep, Change::Undo];

/// What should be true of a probation.
struct Expected {
    probation: Probation,
    /// The hash of the version before.
    before: String,
    /// Another version was published meanwhile.
    overtaken: bool,
}

/// Makes `changes` one after the other and checks after each that what serves is what the changes say.
fn check(scene: &mut Scene, changes: &[Change]) {
    let (mut serves, mut watched): (String, Option<Expected>) = (scene.served_by_a(), None);
    // Prepared from the set that serves now, and published after all changes.
    let (late, _) = scene.with_new_version();
    let late = scene.registry.prepare(late).unwrap();
    let base = scene.registry.generations();
    for (at, change) in changes.iter().enumerate() {
        match change {
            Change::Publish => {
                let (specs, hash) = scene.with_new_version();
                scene.registry.publish(scene.registry.prepare(specs).unwrap()).unwrap();
                serves = hash;
                if let Some(expected) = &mut watched {
                    expected.overtaken = true;
                }
            }
            // The deployer makes one change at a time.
            Change::PublishOnProbation if watched.is_some() => continue,
            Change::PublishOnProbation => {
                let (specs, hash) = scene.with_new_version();
                let prepared = scene.registry.prepare(specs).unwrap();
                let probation = scene.registry.publish_on_probation(prepared, "a").unwrap();
                watched = Some(Expected { probation, before: serves, overtaken: false });
                serves = hash;
            }
            Change::Route => {
                scene.registry.route("a", &[format!("main={}", at + 1), "x=1".to_owned()]).unwrap();
            }
            Change::Keep => {
                let Some(expected) = watched.take() else { continue };
                expected.probation.keep();
            }
            Change::Undo => {
                let Some(expected) = watched.take() else { continue };
                scene.registry.undo(expected.probation, None).unwrap();
                serves = expected.before;
            }
        }
        scene.known.extend(scene.registry.generations());
        assert_eq!(scene.served_by_a(), serves, "{changes:?} at {at}");
        let on_probation = watched.as_ref().is_some_and(|expected| !expected.overtaken);
        assert_eq!(scene.registry.on_probation().is_some(), on_probation, "{changes:?} at {at}");
        for generation in &scene.known {
            let (reachable, retired) = (scene.registry.reaches(generation), generation.is_retired());
            assert_ne!(reachable, retired, "{changes:?} at {at}: {} {}", generation.context(), generation.number);
        }
    }
    drop(watched);
    // An undo brings back the very set from before.
    let serving = scene.registry.generations();
    let unchanged = base.iter().zip(&serving).all(|(before, now)| Arc::ptr_eq(before, now));
    match scene.registry.publish(late) {
        Ok(()) => assert!(unchanged, "{changes:?}"),
        Err(error) => assert!(matches!(error, Error::Overtaken) && !unchanged, "{changes:?}: {error}"),
    }
}

#[test]
fn changes_in_every_order_leave_one_whole_set_and_retire_what_no_request_can_reach() {
    let mut scene = Scene::new();
    for a in CHANGES {
        for b in CHANGES {
            for c in CHANGES {
                for d in CHANGES {
                    check(&mut scene, &[a, b, c, d]);
                    scene.known.clear();
                }
            }
        }
    }
}

#[test]
fn of_two_changes_at_the_same_time_one_is_published_and_the_other_is_overtaken() {
    let mut scene = Scene::new();
    for _ in 0..50 {
        let systems: Vec<_> = (0..2).map(|_| scene.with_new_version().0).collect();
        let prepared: Vec<_> = systems.into_iter().map(|specs| scene.registry.prepare(specs).unwrap()).collect();
        let registry = &scene.registry;
        let published: Vec<bool> = std::thread::scope(|scope| {
            let threads = prepared.into_iter().map(|one| scope.spawn(move || registry.publish(one).is_ok()));
            threads.collect::<Vec<_>>().into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(published.iter().filter(|published| **published).count(), 1);
    }
}

/// Exports a function that never returns.
fn spinning(n: usize) -> Vec<u8> {
    with_a_function(&format!("(loop $again (br $again)) (i32.const {n})"), "")
}

/// Exports one function with this `body`, and runs `start` when it is instantiated.
fn with_a_function(body: &str, start: &str) -> Vec<u8> {
    let wit = "package t:spinning@0.1.0;
         interface loops { variant error { unavailable(string) } spin: func() -> result<u32, error>; }
         world this { export loops; }";
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("test.wit", wit).unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    let wat = format!(
        r#"(module (memory (export "memory") 1)
            (func (export "t:spinning/loops@0.1.0#spin") (result i32) {body}) {start})"#
    );
    let mut module = wat::parse_str(wat).unwrap();
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}

#[test]
fn a_running_call_of_a_replaced_generation_is_cut_off_after_exactly_its_limit() {
    let time = Clock::manual();
    let mut scene = Scene::with_clock(time.clock(), spinning);
    let live = scene.registry.live("a").unwrap();
    let replaced = Arc::downgrade(live.generation());
    let began = Instant::now();
    std::thread::scope(|scope| {
        let spins = move || {
            let call = Call::start(Instant::now() + CALL_TIME, Trace::start());
            live.call(call, &live.generation().exports()[0], &[]).map(drop)
        };
        let thread = std::thread::Builder::new().stack_size(limits::THREAD_STACK_KB << 10);
        let call = thread.spawn_scoped(scope, spins).unwrap();
        while !call.is_finished() && replaced.upgrade().is_some_and(|generation| generation.occupancy().0 == 0) {
            std::thread::yield_now();
        }
        let (specs, _) = scene.with_new_version();
        scene.registry.publish(scene.registry.prepare(specs).unwrap()).unwrap();
        let cut_off = || replaced.upgrade().is_none_or(|generation| generation.is_cut_off());

        time.advance(Duration::from_millis(limits::DRAIN_MS_MAX));
        scene.registry.check_draining();
        assert!(!cut_off() && !call.is_finished(), "its time is not over yet");
        assert_eq!(scene.registry.draining(), [(ContextName::new("a").unwrap(), 1)]);

        time.advance(Duration::from_nanos(1));
        scene.registry.check_draining();
        assert!(cut_off());
        assert!(matches!(call.join().unwrap(), Err(Failure::TimedOut { .. })));
        assert!(began.elapsed() < CALL_TIME, "it was cut off, and did not run out of its own time");
    });
    assert!(replaced.upgrade().is_none(), "its last call has ended");
    assert_eq!((scene.registry.draining(), scene.registry.known_to_drain()), (Vec::new(), 1));
    scene.registry.check_draining();
    assert_eq!(scene.registry.known_to_drain(), 0);
}

#[test]
fn a_version_knows_the_calls_of_all_versions_before_it() {
    let mut scene = Scene::new();
    let mut expected = 0;
    for calls in [3, 4, 5] {
        let generation = scene.registry.live("a").unwrap().generation().clone();
        assert_eq!(generation.calls_before().calls(), expected);
        (0..calls).for_each(|_| generation.call_stats.record(Duration::from_millis(1), None));
        expected += calls;
        let (specs, _) = scene.with_new_version();
        let prepared = scene.registry.prepare(specs).unwrap();
        let probation = scene.registry.publish_on_probation(prepared, "a").unwrap();
        assert_eq!((probation.counts().0.calls(), probation.calls_earlier().calls()), (calls, expected - calls));
        probation.keep();
    }
}

#[test]
fn of_two_changes_that_were_prepared_at_once_the_second_is_refused() {
    let mut scene = Scene::new();
    let prepared = [(); 2].map(|()| {
        let (specs, hash) = scene.with_new_version();
        (scene.registry.prepare(specs).unwrap(), hash)
    });
    let [(first, served), (second, _)] = prepared;
    let probation = scene.registry.publish_on_probation(first, "a").unwrap();
    assert!(matches!(scene.registry.publish_on_probation(second, "a"), Err(Error::Overtaken)));
    assert_eq!(scene.served_by_a(), served);
    probation.keep();
}
