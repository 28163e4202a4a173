//! The threads that perform sagas, with steps in this process that a test holds up.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::sagas::{Contexts, Driver};

/// Performs the step `go` at once, and `hold` once the test lets it.
#[derive(Clone)]
struct Gate {
    database: Arc<Database>,
    held: Arc<AtomicUsize>,
    open: Arc<Barrier>,
}

impl Performer for Gate {
    fn database(&self) -> Result<Arc<Database>, Failure> {
        Ok(self.database.clone())
    }

    fn definition(&self, kind: &str) -> Result<Option<SagaDefinition>, Failure> {
        Ok(Some(SagaDefinition { kind: kind.into(), steps: definition(&[kind]).steps }))
    }

    fn perform(&self, step: Performance<'_>) -> Result<SagaOutcome, Undelivered> {
        let Performance { task, mark, .. } = step;
        match task.step.as_str() {
            "hold" => {
                self.held.fetch_add(1, Ordering::SeqCst);
                self.open.wait();
            }
            "trap" => std::panic::resume_unwind(Box::new("a fault of the host")),
            _ => {}
        }
        let mut tx = self.database.begin(soon()).map_err(Undelivered::Store)?;
        mark(&mut tx, &SagaOutcome::Done).map_err(Undelivered::Store)?;
        tx.commit().map_err(Undelivered::Store)?;
        Ok(SagaOutcome::Done)
    }

    fn pause_ms(&self, _: Option<u32>) -> u64 {
        1
    }
}

struct Gates(BTreeMap<String, Gate>);

impl Contexts for Gates {
    type Performer = Gate;

    fn all(&self) -> Vec<(String, Arc<Database>)> {
        self.0.iter().map(|(name, gate)| (name.clone(), gate.database.clone())).collect()
    }

    fn performer(&self, context: &str) -> Gate {
        self.0[context].clone()
    }
}

fn gate(folder: &tempfile::TempDir, name: &str, held: usize) -> Gate {
    let path = folder.path().join(format!("{name}.db"));
    let database = Database::open(Config::plain(path, 64)).unwrap();
    Gate { database, held: Arc::default(), open: Arc::new(Barrier::new(held + 1)) }
}

fn start(gate: &Gate, kind: &str, id: &str) {
    let of_kind = SagaDefinition { kind: kind.into(), steps: definition(&[kind]).steps };
    assert!(in_tx(&gate.database, |tx| tx.saga_start(&of_kind, id, "", Clock::system().wall_ms())));
}

/// Waits until this holds; fails after a time that no machine takes.
fn until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn done(gate: &Gate, kind: &str) -> usize {
    let filter =
        seam_store::SagaFilter { kind: Some(kind.into()), states: vec![SagaState::Done], ..Default::default() };
    gate.database.sagas(&filter, 0, 10_000).unwrap().len()
}

#[test]
fn slow_sagas_hold_a_bounded_share_and_stop_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let most = limits::SAGA_WORKERS_PER_CONTEXT;
    let (slow, fast) = (gate(&folder, "slow", most), gate(&folder, "fast", 0));
    for id in 0..2 * most {
        start(&slow, "hold", &id.to_string());
    }
    let gates = Gates([("slow".to_owned(), slow.clone()), ("fast".to_owned(), fast.clone())].into());
    let _driver = Driver::start(gates, Clock::system());
    let held = || slow.held.load(Ordering::SeqCst);
    until("its share is full", || held() == most);
    for id in 0..100 {
        start(&fast, "go", &id.to_string());
    }
    until("those of the other context are done", || done(&fast, "go") == 100);
    assert_eq!((held(), done(&slow, "hold")), (most, 0));
    slow.open.wait();
    until("the rest of the slow ones have their turn", || held() == 2 * most);
    slow.open.wait();
    until("all are done", || done(&slow, "hold") == 2 * most);
}

#[test]
fn a_saga_starts_with_the_commit_that_starts_it_and_without_a_look_by_time() {
    let folder = tempfile::tempdir().unwrap();
    let shop = gate(&folder, "shop", 0);
    let _driver = Driver::start(Gates([("shop".to_owned(), shop.clone())].into()), Clock::system());
    start(&shop, "go", "first");
    until("it is done", || done(&shop, "go") == 1);
    let started = Instant::now();
    for id in 0..20 {
        start(&shop, "go", &id.to_string());
        until("it is done", || done(&shop, "go") == id + 2);
    }
    let looks = Duration::from_millis(20 * limits::SAGA_LOOK_MS);
    assert!(started.elapsed() < looks / 2, "each took about as long as a look: {:?}", started.elapsed());
}

#[test]
fn a_thread_that_ends_by_a_fault_of_the_host_takes_no_saga_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let shop = gate(&folder, "shop", 0);
    for id in 0..2 * limits::SAGA_WORKERS_MAX {
        start(&shop, "trap", &id.to_string());
    }
    let driver = Driver::start(Gates([("shop".to_owned(), shop.clone())].into()), Clock::system());
    for id in 0..10 {
        start(&shop, "go", &id.to_string());
    }
    until("others go on", || done(&shop, "go") == 10);
    drop(driver);
    let filter = seam_store::SagaFilter { kind: Some("trap".into()), ..Default::default() };
    let left = shop.database.sagas(&filter, 0, 10_000).unwrap();
    assert_eq!(left.len(), 2 * limits::SAGA_WORKERS_MAX);
}
