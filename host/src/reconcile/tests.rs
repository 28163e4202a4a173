//! Disagreements between files of contexts: found, said and mended, on files of this process.

#![expect(clippy::unwrap_used, reason = "tests")]

mod killed;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use seam_store::clock::{Clock, ManualClock};
use seam_store::ids::ContextName;
use seam_store::{Acceptance, HostFile};

use super::record::State::{self, Accepted, GivenUp, Gone, Mended, Open, Settling};
use super::world::EachKey;
use super::*;
use crate::audit::Audit;
use crate::limits;
use crate::manifest::Reconcile;
use crate::verify::{TotalLook, Unlooked};

const TOTAL: &str = "copies";

/// What the contexts say, and what they answer: by key, the amounts of `a` and of `b`.
#[derive(Default)]
pub(super) struct Said {
    amounts: BTreeMap<String, (i64, i64)>,
    /// The answers to come; without one, `a` mends: it takes the amount of `b`.
    answers: Vec<MendAnswer>,
    asked: Vec<(String, String, u32)>,
    broken: Option<Unlooked>,
    /// Keys that change while they are compared.
    changing: Vec<String>,
    looked_at_by: Option<String>,
    /// In the file of `a`.
    accepted: BTreeMap<String, Acceptance>,
}

#[derive(Clone, Default)]
pub(super) struct Contexts(Arc<Mutex<Said>>);

impl World for Contexts {
    fn is_declared(&self, _: &str) -> Result<(), Unlooked> {
        Ok(())
    }

    fn looked_at_by(&self, _: &Reconcile) -> Option<String> {
        self.0.lock().looked_at_by.clone()
    }

    fn look(&self, _: &Reconcile, each: &mut EachKey<'_>) -> Result<TotalLook, Unlooked> {
        let said = self.0.lock();
        said.changing.iter().for_each(|key| each(key, None));
        for (key, (a, b)) in said.amounts.iter().filter(|(_, (a, b))| a != b) {
            let amount = |context: &str, amount: i64| Amount { context: context.into(), least: amount, most: amount };
            each(key, Some(vec![amount("a", *a), amount("b", *b)]));
        }
        // As a statement that ends in the middle: some keys have come before.
        said.broken.clone().map_or(Ok(()), Err)?;
        Ok(TotalLook { contexts: vec!["a".into(), "b".into()], keys: said.amounts.len() as u64 })
    }

    fn accepted(&self, _: &Reconcile) -> Result<Vec<Acceptance>, Unlooked> {
        Ok(self.0.lock().accepted.values().cloned().collect())
    }

    fn accept(&self, _: &Reconcile, accepted: &[Acceptance], over: &[String]) -> Result<(), Unlooked> {
        let kept = &mut self.0.lock().accepted;
        over.iter().for_each(|key| assert!(kept.remove(key).is_some(), "{key}"));
        kept.extend(accepted.iter().map(|one| (one.key.clone(), one.clone())));
        Ok(())
    }

    fn mend(&self, context: &str, found: &Disagreement) -> MendAnswer {
        assert_eq!((context, found.total.as_str()), ("a", TOTAL));
        let mut said = self.0.lock();
        said.asked.push((found.key.clone(), found.id.clone(), found.attempts));
        if said.answers.is_empty() {
            let pair = said.amounts.get_mut(&found.key).unwrap();
            pair.0 = pair.1;
            return MendAnswer::Mended;
        }
        said.answers.remove(0)
    }
}

/// A reconciler of one total, with a clock that the test moves.
struct Desk {
    folder: tempfile::TempDir,
    contexts: Contexts,
    time: ManualClock,
    rule: Reconcile,
    reconciler: Reconciler<Contexts>,
}

fn rule(mend: bool) -> Reconcile {
    Reconcile {
        total: TOTAL.into(),
        every: Duration::from_secs(60),
        after: Duration::from_secs(120),
        mend: mend.then(|| ContextName::new("a").unwrap()),
        place: Default::default(),
        mend_place: Default::default(),
    }
}

fn reconciler(folder: &std::path::Path, rule: &Reconcile, contexts: &Contexts, clock: Clock) -> Reconciler<Contexts> {
    let file = Arc::new(HostFile::open(folder).unwrap());
    let (book, audit) = (Book::new(file.clone()).unwrap(), Audit::new(file).unwrap());
    let metrics = ReconcileMetrics::new(&prometheus::Registry::new()).unwrap();
    Reconciler::new(vec![rule.clone()], contexts.clone(), book, audit, clock, metrics)
}

impl Desk {
    fn new(mend: bool) -> Self {
        let (folder, contexts, time) = (tempfile::tempdir().unwrap(), Contexts::default(), Clock::manual());
        let rule = rule(mend);
        let reconciler = reconciler(folder.path(), &rule, &contexts, time.clock());
        Self { folder, contexts, time, rule, reconciler }
    }

    /// The host ends and starts again.
    fn restart(&mut self) {
        self.reconciler = reconciler(self.folder.path(), &self.rule, &self.contexts, self.time.clock());
        self.reconciler.start();
    }

    fn say(&self, key: &str, a: i64, b: i64) {
        self.contexts.0.lock().amounts.insert(key.into(), (a, b));
    }

    /// `seconds` pass, and the host looks.
    fn look_after(&self, seconds: u64) {
        self.time.advance(Duration::from_secs(seconds));
        self.reconciler.look(&self.rule);
    }

    fn standing(&self) -> Vec<(String, State)> {
        self.reconciler.book.standing(TOTAL).unwrap().into_values().map(|one| (one.key, one.state)).collect()
    }

    fn over(&self) -> Vec<(String, State)> {
        self.reconciler.book.over(TOTAL).unwrap().into_iter().map(|one| (one.key, one.state)).collect()
    }

    fn act(&self, order: ReconcileOrder, key: &str, why: &str, preview: bool) -> Result<ReconcileAct, String> {
        let request = ReconcileActRequest { total: TOTAL.into(), key: key.into(), order, why: why.into(), preview };
        self.reconciler
            .act("ada (1000)", &request)
            .map_err(|refused| format!("{} ({})", refused.message, refused.remedy))
    }

    fn audited(&self) -> Vec<(String, String, Option<String>)> {
        self.reconciler
            .audit
            .lines(100)
            .unwrap()
            .into_iter()
            .map(|line| (line.who, line.command, line.outcome))
            .collect()
    }
}

fn of(key: &str, state: State) -> Vec<(String, State)> {
    vec![(key.to_owned(), state)]
}

#[test]
fn a_key_that_changes_while_hosts_compare_it_is_neither_found_nor_over() {
    let desk = Desk::new(false);
    desk.contexts.0.lock().changing.push("k".into());
    desk.look_after(0);
    assert_eq!(desk.standing(), []);
    desk.say("k", 0, 2);
    desk.contexts.0.lock().changing.clear();
    desk.look_after(60);
    desk.look_after(120);
    assert_eq!(desk.standing(), of("k", Open));
    // Whether they agree again is not certain yet.
    desk.say("k", 2, 2);
    desk.contexts.0.lock().changing.push("k".into());
    desk.look_after(60);
    assert_eq!((desk.standing(), desk.over()), (of("k", Open), vec![]));
    desk.contexts.0.lock().changing.clear();
    desk.look_after(60);
    assert_eq!((desk.standing(), desk.over()), (vec![], of("k", Gone)));
}

#[test]
fn a_total_that_another_host_looks_at_is_left_to_it_and_comes_back_as_it_was() {
    let desk = Desk::new(false);
    desk.say("k", 0, 2);
    desk.look_after(0);
    desk.look_after(120);
    desk.contexts.0.lock().looked_at_by = Some("books".into());
    desk.look_after(60);
    let all = ReconcileSelection::default();
    let list = desk.reconciler.list(&all).unwrap();
    assert_eq!((list.totals, list.disagreements), (vec![], vec![]));
    assert_eq!(list.elsewhere, [(TOTAL.to_owned(), "books".to_owned())]);
    let refused = desk.act(ReconcileOrder::Accept, "k", "because", false).unwrap_err();
    assert_eq!(refused, format!("host `books` looks at the total `{TOTAL}` (run it for that host: `--as books`)"));
    desk.contexts.0.lock().looked_at_by = None;
    assert_eq!(desk.standing(), of("k", Open));
    desk.say("k", 2, 2);
    desk.look_after(60);
    assert_eq!((desk.standing(), desk.over()), (vec![], of("k", Gone)));
}

#[test]
fn what_is_accepted_is_so_on_the_host_that_looks_next() {
    let desk = Desk::new(false);
    desk.say("k", 0, 2);
    desk.look_after(0);
    desk.look_after(120);
    desk.act(ReconcileOrder::Accept, "k", "kept for the fair", false).unwrap();
    // `a` moves with its file to another host, which has a book of its own.
    let mut other = Desk { contexts: desk.contexts.clone(), ..Desk::new(false) };
    other.restart();
    other.look_after(0);
    other.look_after(120);
    assert_eq!(other.standing(), of("k", Accepted));
    let shown = other.reconciler.show(TOTAL, "k").unwrap();
    assert_eq!((shown.by.as_deref(), shown.why.as_str()), (Some("ada (1000)"), "kept for the fair"));
    // And ends there with its amounts, for whichever host looks next.
    other.say("k", 0, 3);
    other.look_after(60);
    assert_eq!((other.standing(), other.over()), (of("k", Settling), of("k", Gone)));
    assert!(other.contexts.0.lock().accepted.is_empty());
    other.say("k", 0, 2);
    other.look_after(60);
    assert_eq!(other.standing(), of("k", Settling));
}

#[test]
fn what_the_book_alone_has_accepted_goes_into_the_file_and_ends_with_a_mending() {
    let desk = Desk::new(true);
    desk.contexts.0.lock().answers = vec![MendAnswer::Refused("ask a person".into()); 2];
    desk.say("k", 0, 2);
    desk.look_after(0);
    desk.look_after(120);
    desk.act(ReconcileOrder::Accept, "k", "kept for the fair", false).unwrap();
    let kept = std::mem::take(&mut desk.contexts.0.lock().accepted);
    desk.look_after(60);
    assert_eq!(desk.contexts.0.lock().accepted.keys().collect::<Vec<_>>(), kept.keys().collect::<Vec<_>>());
    // An operator who has it mended after all no longer accepts it.
    desk.act(ReconcileOrder::Mend, "k", "the fair is over", false).unwrap();
    desk.look_after(60);
    assert_eq!((desk.standing(), desk.contexts.0.lock().accepted.len()), (of("k", GivenUp), 0));
}

#[test]
fn what_is_under_way_is_not_said_and_leaves_no_trace() {
    let desk = Desk::new(true);
    desk.say("x", 0, 2);
    desk.say("y", 1, 1);
    desk.look_after(0);
    desk.look_after(119);
    assert_eq!(desk.standing(), of("x", Settling));
    desk.say("x", 2, 2);
    desk.look_after(60);
    assert_eq!((desk.standing(), desk.over()), (vec![], vec![]));
    // It starts again.
    desk.say("x", 2, 3);
    desk.look_after(60);
    assert_eq!(desk.standing(), of("x", Settling));
    assert!(desk.contexts.0.lock().asked.is_empty() && desk.audited().is_empty());
}

#[test]
fn what_stands_for_long_enough_is_mended_at_once_and_audited() {
    let desk = Desk::new(true);
    desk.say("x", 0, 2);
    desk.look_after(0);
    desk.look_after(120);
    assert_eq!((desk.standing(), desk.over()), (vec![], of("x", Mended)));
    let shown = desk.reconciler.show(TOTAL, "x").unwrap();
    assert_eq!((shown.attempts, shown.answer.as_deref(), shown.state.as_str()), (1, Some("mended"), "mended"));
    let line = (
        "the host".to_owned(),
        format!("seam reconcile mend {TOTAL} x"),
        Some("done: `a` says that it has mended it".into()),
    );
    assert_eq!(desk.audited(), [line]);
    // On the same key again, it is another one.
    desk.say("x", 2, 5);
    desk.look_after(60);
    desk.look_after(120);
    let ids: Vec<String> = desk.contexts.0.lock().asked.iter().map(|(_, id, _)| id.clone()).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1] && ids.iter().all(|id| id.len() == 32), "{ids:?}");
}

#[test]
fn no_context_is_asked_where_none_is_named() {
    let desk = Desk::new(false);
    desk.say("x", 0, 2);
    desk.look_after(0);
    desk.look_after(120);
    desk.look_after(60);
    assert_eq!(desk.standing(), of("x", Open));
    assert!(desk.contexts.0.lock().asked.is_empty());
    let refused = desk.act(ReconcileOrder::Mend, "x", "", true).unwrap_err();
    assert!(refused.contains("no context is named that mends `copies`"), "{refused}");
    // A person has mended it.
    desk.say("x", 2, 2);
    desk.look_after(60);
    assert_eq!(desk.over(), of("x", Gone));
}

#[test]
fn each_attempt_has_the_same_key_and_the_pauses_grow_until_it_is_given_up() {
    let desk = Desk::new(true);
    desk.say("x", 0, 2);
    let tries = limits::RECONCILE_TRIES as usize;
    // The last one claims what is not so.
    desk.contexts.0.lock().answers =
        (1..tries).map(|n| MendAnswer::Later(format!("no {n}"))).chain([MendAnswer::Mended]).collect();
    desk.look_after(0);
    desk.look_after(120);
    // Nothing is asked again before its pause has passed.
    desk.look_after(0);
    assert_eq!(desk.contexts.0.lock().asked.len(), 1);
    for _ in 1..tries {
        assert_eq!(desk.standing(), of("x", Open));
        desk.look_after(2 * limits::RECONCILE_PAUSE_S);
    }
    let asked = desk.contexts.0.lock().asked.clone();
    assert!(asked.iter().all(|(_, id, _)| *id == asked[0].1), "{asked:?}");
    assert_eq!(
        asked.iter().map(|(.., attempt)| *attempt as usize).collect::<Vec<_>>(),
        (1..=tries).collect::<Vec<_>>()
    );
    assert_eq!(desk.standing(), of("x", GivenUp), "it says that it is mended, and it is not");
    desk.look_after(2 * limits::RECONCILE_PAUSE_S);
    assert_eq!(desk.contexts.0.lock().asked.len(), tries, "it is not asked any more");
}

#[test]
fn what_is_refused_waits_for_a_person_who_can_have_it_asked_again() {
    let desk = Desk::new(true);
    desk.say("x", 3, 0);
    desk.contexts.0.lock().answers =
        vec![MendAnswer::Refused("it is placed".into()), MendAnswer::Failed("trapped".into())];
    desk.look_after(0);
    desk.look_after(120);
    desk.look_after(60);
    assert_eq!(desk.standing(), of("x", GivenUp));
    assert_eq!(desk.reconciler.show(TOTAL, "x").unwrap().answer.as_deref(), Some("refused: it is placed"));
    let preview = desk.act(ReconcileOrder::Mend, "x", "", true).unwrap();
    assert_eq!((preview.done, preview.effect.as_str()), (false, "`a` is asked to mend it, attempt 2: a 3, b 0"));
    assert_eq!(desk.contexts.0.lock().asked.len(), 1, "a preview asks nothing");
    let act = desk.act(ReconcileOrder::Mend, "x", "seen to", false).unwrap();
    assert_eq!((act.effect.as_str(), act.disagreement.state.as_str()), ("`a` answered failed: trapped", "open"));
    let act = desk.act(ReconcileOrder::Mend, "x", "once more", false).unwrap();
    assert_eq!((act.effect.as_str(), act.disagreement.state.as_str()), ("`a` answered mended", "mended"));
    let who: Vec<String> = desk.audited().into_iter().map(|(who, ..)| who).collect();
    assert_eq!(who, ["ada (1000)", "ada (1000)", "the host"]);
    let gone = desk.act(ReconcileOrder::Mend, "x", "", false).unwrap_err();
    assert!(gone.contains("do not disagree on `x` of `copies`"), "{gone}");
}

#[test]
fn what_is_accepted_is_let_alone_until_its_amounts_change() {
    let mut desk = Desk::new(true);
    desk.contexts.0.lock().answers = vec![MendAnswer::Refused("no".into())];
    desk.say("x", 0, 2);
    desk.look_after(0);
    desk.look_after(120);
    let missing = desk.act(ReconcileOrder::Accept, "x", " ", false).unwrap_err();
    assert!(missing.contains("add `--why TEXT`"), "{missing}");
    assert_eq!(desk.standing(), of("x", GivenUp), "nothing has changed");
    desk.act(ReconcileOrder::Accept, "x", "", true).unwrap();
    desk.act(ReconcileOrder::Accept, "x", "a gift", false).unwrap();
    let twice = desk.act(ReconcileOrder::Accept, "x", "again", false).unwrap_err();
    assert!(twice.contains("ada (1000) has accepted it already"), "{twice}");
    desk.look_after(60);
    desk.restart();
    desk.look_after(600);
    assert_eq!(desk.standing(), of("x", Accepted));
    let shown = desk.reconciler.show(TOTAL, "x").unwrap();
    assert_eq!((shown.by.as_deref(), shown.why.as_str()), (Some("ada (1000)"), "a gift"));
    desk.say("x", 0, 3);
    desk.look_after(60);
    assert_eq!((desk.standing(), desk.over()), (of("x", Settling), of("x", Gone)));
}

#[test]
fn after_a_start_or_a_jump_of_the_clock_it_has_to_stand_again() {
    let mut desk = Desk::new(false);
    desk.say("x", 0, 2);
    desk.say("y", 0, 2);
    desk.look_after(0);
    desk.look_after(120);
    assert_eq!(desk.standing(), [("x".to_owned(), Open), ("y".to_owned(), Open)]);
    desk.say("z", 0, 2);
    desk.look_after(60);
    // The host was away for an hour.
    desk.time.advance(Duration::from_secs(3_600));
    desk.restart();
    desk.look_after(10);
    let states: Vec<State> = desk.standing().into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, [Open, Open, Settling], "what was said stays said; what settled starts again");
    desk.time.set_wall(std::time::SystemTime::now() + Duration::from_secs(86_400));
    desk.look_after(60);
    assert_eq!(desk.standing()[2].1, Settling, "the time of day decides nothing");
    desk.look_after(60);
    assert_eq!(desk.standing()[2].1, Open);
}

#[test]
fn a_look_that_fails_closes_nothing_and_says_why() {
    let desk = Desk::new(false);
    desk.say("x", 0, 2);
    desk.look_after(0);
    desk.look_after(120);
    desk.say("x", 2, 2);
    desk.contexts.0.lock().broken = Some(Unlooked { why: "`b` is out of service".into(), remedy: "restore it".into() });
    desk.look_after(60);
    assert_eq!(desk.standing(), of("x", Open));
    let list = desk.reconciler.list(&ReconcileSelection::default()).unwrap();
    let problem = list.totals[0].problem.as_ref().unwrap();
    assert_eq!((problem.why.as_str(), problem.remedy.as_str()), ("`b` is out of service", "restore it"));
    desk.contexts.0.lock().broken = None;
    let list = desk.reconciler.run(None).unwrap();
    assert_eq!((list.totals[0].problem.as_ref(), list.disagreements.len()), (None, 0));
    let unknown = desk.reconciler.run(Some("copie")).unwrap_err();
    assert_eq!(
        (unknown.message.as_str(), unknown.remedy.as_str()),
        ("the total `copie` is not reconciled", "did you mean `copies`?")
    );
}

#[test]
fn what_is_kept_is_bounded_and_the_rest_is_counted() {
    let desk = Desk::new(false);
    let most = limits::RECONCILE_KEPT_MAX;
    for number in 0..most + 7 {
        desk.say(&format!("k{number:05}"), 0, 1);
    }
    desk.say(&"long".repeat(100), 0, 1);
    desk.look_after(0);
    let status = || desk.reconciler.list(&ReconcileSelection::default()).unwrap().totals.remove(0);
    assert_eq!((desk.standing().len(), status().unkept), (most, 8));
    // As there is room, the rest is kept: after the look that makes the room.
    desk.say("k00000", 1, 1);
    desk.look_after(60);
    desk.look_after(60);
    assert_eq!((desk.standing().len(), status().unkept), (most, 7));
    // What is over is bounded, too, and forgotten after a month.
    desk.look_after(60);
    desk.look_after(60);
    desk.contexts.0.lock().amounts.clear();
    desk.look_after(60);
    desk.look_after(60);
    assert_eq!((desk.standing().len(), desk.over().len()), (0, most.min(limits::RECONCILE_OVER_MAX as usize)));
    desk.say("new", 0, 1);
    desk.look_after(limits::RECONCILE_OVER_S + 1);
    desk.look_after(120);
    desk.say("new", 1, 1);
    desk.look_after(60);
    assert_eq!(desk.over(), of("new", Gone));
}

#[test]
fn what_is_reconciled_no_longer_is_over_at_the_next_start() {
    let mut desk = Desk::new(false);
    desk.say("x", 0, 2);
    desk.look_after(0);
    desk.look_after(120);
    desk.rule.total = "another".into();
    desk.restart();
    assert_eq!((desk.standing(), desk.over()), (vec![], of("x", Gone)));
}
