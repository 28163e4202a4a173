//! Events in one transaction, handled by the stretch: one savepoint for some dozens of events, since one for each would
//! cost more than a short handler does.
//!
//! A rejected event must undo its own rows alone. If it was the first of its stretch, that is what undoing the stretch
//! does. Otherwise the stretch is undone and handled again, up to that event with a savepoint for each. So an event is
//! handled at most twice in one transaction, and its rows of the first time are gone before the second.
//!
//! Invariant: after an event of a subject was rejected, no later one of that subject is handled.
//! Not here: what handles an event (`delivery`; tests have handlers of their own).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::limits;

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handled {
    Done,
    /// The handler returned an error; what it wrote is undone.
    Rejected(String),
    /// An earlier event of its subject was rejected, so it was not handled.
    Behind,
}

/// The handlers of some events, and the transaction in which they write. Each error ends the delivery.
pub trait Handlers {
    type Error;

    /// From now on `end` can undo what is written.
    ///
    /// # Errors
    /// As for a statement.
    fn start(&mut self) -> Result<(), Self::Error>;

    /// Handles the event at this position. The inner error is the reason for which the handler rejects it.
    ///
    /// # Errors
    /// When the handler traps, and when its store does not work.
    fn handle(&mut self, at: usize) -> Result<Result<(), String>, Self::Error>;

    /// Keeps what was written since the last `start`, or undoes it.
    ///
    /// # Errors
    /// As for a statement.
    fn end(&mut self, keep: bool) -> Result<(), Self::Error>;

    fn now(&self) -> Instant;
}

/// Handles the events with these subjects, one after the other, until all are handled or `DELIVERY_BATCH_MS` has
/// passed: a stretch that is handled again has that time again. Returns what became of the first ones, at least one.
///
/// # Errors
/// The first one of `handlers`.
pub fn handle<H: Handlers>(handlers: &mut H, subjects: &[Option<&str>]) -> Result<Vec<Handled>, H::Error> {
    let (mut handled, mut failed) = (Vec::with_capacity(subjects.len()), BTreeSet::new());
    // Events before this one have a savepoint each.
    let mut alone = 0;
    let mut started = handlers.now();
    let mut in_time = true;
    while handled.len() < subjects.len() && (in_time || handled.is_empty()) {
        let first = handled.len();
        let most = if first < alone { 1 } else { limits::DELIVERY_STRETCH_EVENTS };
        let (mut wrote, mut rejected) = (false, None);
        handlers.start()?;
        for (at, subject) in subjects.iter().enumerate().skip(first).take(most) {
            if subject.is_some_and(|subject| failed.contains(subject)) {
                handled.push(Handled::Behind);
                continue;
            }
            if let Err(why) = handlers.handle(at)? {
                rejected = Some((at, why));
                break;
            }
            wrote = true;
            handled.push(Handled::Done);
            in_time = handlers.now() - started <= Duration::from_millis(limits::DELIVERY_BATCH_MS);
            if !in_time {
                break;
            }
        }
        handlers.end(rejected.is_none())?;
        match rejected {
            None => {}
            Some((at, _)) if wrote => {
                handled.truncate(first);
                (alone, started, in_time) = (at + 1, handlers.now(), true);
            }
            Some((at, why)) => {
                failed.extend(subjects.get(at).copied().flatten());
                handled.push(Handled::Rejected(why));
            }
        }
    }
    Ok(handled)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    /// Rows of a transaction, and the calls that wrote them.
    struct Rows {
        time: Instant,
        rejects: BTreeSet<usize>,
        breaks: Option<usize>,
        slow: Option<usize>,
        rows: Vec<usize>,
        savepoint: Option<usize>,
        calls: Vec<usize>,
    }

    impl Handlers for Rows {
        type Error = usize;

        fn start(&mut self) -> Result<(), usize> {
            assert_eq!(self.savepoint.replace(self.rows.len()), None);
            Ok(())
        }

        fn handle(&mut self, at: usize) -> Result<Result<(), String>, usize> {
            self.calls.push(at);
            self.rows.push(at);
            if self.breaks == Some(at) {
                return Err(at);
            }
            if self.slow == Some(at) {
                self.time += Duration::from_millis(limits::DELIVERY_BATCH_MS + 1);
            }
            Ok(if self.rejects.contains(&at) { Err(format!("no {at}")) } else { Ok(()) })
        }

        fn end(&mut self, keep: bool) -> Result<(), usize> {
            let savepoint = self.savepoint.take().unwrap();
            if !keep {
                self.rows.truncate(savepoint);
            }
            Ok(())
        }

        fn now(&self) -> Instant {
            self.time
        }
    }

    impl Default for Rows {
        fn default() -> Self {
            let (rejects, rows, calls) = Default::default();
            Self { time: Instant::now(), rejects, breaks: None, slow: None, rows, savepoint: None, calls }
        }
    }

    const MANY: usize = 3 * limits::DELIVERY_STRETCH_EVENTS + 5;

    /// Handles so many events, each of a subject of its own but for those `of_one`.
    fn run(rows: &mut Rows, count: usize, of_one: &[usize]) -> Result<Vec<Handled>, usize> {
        let subject = |at: usize| if of_one.contains(&at) { "one".to_owned() } else { at.to_string() };
        let subjects: Vec<String> = (0..count).map(subject).collect();
        handle(rows, &subjects.iter().map(|subject| Some(subject.as_str())).collect::<Vec<_>>())
    }

    #[test]
    fn a_rejected_event_undoes_its_own_rows_alone_wherever_it_stands() {
        let ends = limits::DELIVERY_STRETCH_EVENTS;
        for rejects in [vec![], vec![0], vec![1], vec![ends - 1], vec![ends], vec![MANY - 1], vec![3, 4, 7, ends + 9]] {
            let mut rows = Rows { rejects: rejects.iter().copied().collect(), ..Rows::default() };
            let handled = run(&mut rows, MANY, &[]).unwrap();
            for (at, one) in handled.iter().enumerate() {
                let expect = if rejects.contains(&at) { Handled::Rejected(format!("no {at}")) } else { Handled::Done };
                assert_eq!(*one, expect, "{at} with {rejects:?}");
            }
            let kept: Vec<usize> = (0..MANY).filter(|at| !rejects.contains(at)).collect();
            assert_eq!(rows.rows, kept, "{rejects:?}");
            let most = (0..MANY).map(|at| rows.calls.iter().filter(|call| **call == at).count()).max();
            assert!(most <= Some(2), "{:?}", rows.calls);
        }
    }

    #[test]
    fn no_event_is_handled_twice_without_a_rejected_one_in_its_stretch() {
        let rejects = limits::DELIVERY_STRETCH_EVENTS + 2;
        let mut rows = Rows { rejects: BTreeSet::from([rejects]), ..Rows::default() };
        run(&mut rows, MANY, &[]).unwrap();
        let twice: Vec<usize> =
            (0..MANY).filter(|at| rows.calls.iter().filter(|call| *call == at).count() == 2).collect();
        assert_eq!(twice, (limits::DELIVERY_STRETCH_EVENTS..=rejects).collect::<Vec<_>>());
    }

    #[test]
    fn later_events_of_a_rejected_ones_subject_are_not_handled() {
        let mut rows = Rows { rejects: BTreeSet::from([2]), ..Rows::default() };
        let handled = run(&mut rows, MANY, &[1, 2, 3, MANY - 1]).unwrap();
        assert_eq!(handled[1], Handled::Done);
        assert_eq!((&handled[3], &handled[MANY - 1]), (&Handled::Behind, &Handled::Behind));
        assert!(!rows.calls.contains(&3) && !rows.calls.contains(&(MANY - 1)));
        assert_eq!(rows.rows.len(), MANY - 3);
    }

    #[test]
    fn a_trap_ends_it_at_its_event() {
        let mut rows = Rows { breaks: Some(limits::DELIVERY_STRETCH_EVENTS + 9), ..Rows::default() };
        assert_eq!(run(&mut rows, MANY, &[]), Err(limits::DELIVERY_STRETCH_EVENTS + 9));
    }

    #[test]
    fn it_ends_when_the_time_is_up_and_repeats_a_stretch_all_the_same() {
        let mut rows = Rows { slow: Some(0), ..Rows::default() };
        assert_eq!(run(&mut rows, 3, &[]).unwrap(), [Handled::Done]);
        // Slow the first time: it is rejected behind that, and handled again.
        let mut rows = Rows { slow: Some(1), rejects: BTreeSet::from([1]), ..Rows::default() };
        let handled = run(&mut rows, 3, &[]).unwrap();
        assert_eq!(handled, [Handled::Done, Handled::Rejected("no 1".into()), Handled::Done]);
        assert_eq!(rows.rows, [0, 2]);
    }
}
