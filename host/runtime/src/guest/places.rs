//! The places that a request holds in the contexts which it runs through, and how it gives them away while it waits for
//! a disk.
//!
//! A context runs a bounded number of calls at the same time; each has a place. A call that waits for its store's
//! writer or for a commit computes nothing. So the host gives the places of its whole chain to other calls meanwhile:
//! however slow the disk is, calls that only read get an answer.
//!
//! Invariants: a call takes its places back without waiting, so nothing can deadlock; a context then runs more calls
//! than it has places, and admits none until it has a free place again. How many calls may be away is bounded. Beyond
//! it the host refuses the first write of a request, and never a later one, which may belong to what is already
//! committed.

use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The places of one context.
pub trait Place: Send + Sync {
    /// Gives the place of a running call to another call. `false`: too many calls are away already, and the call keeps
    /// its place. With `always`, that number does not matter.
    fn give_away(&self, always: bool) -> bool;

    /// Takes a place back that was given away.
    fn take_back(&self);
}

/// The places of one request, innermost first.
pub struct Places {
    place: Arc<dyn Place>,
    outer: Option<Arc<Places>>,
    /// The request has waited for a writer, and may have committed since. Kept in the outermost level.
    has_written: AtomicBool,
}

/// While it lives, the request is away from its places.
pub struct Away<'p> {
    places: &'p Places,
    /// How many levels are given away.
    levels: usize,
}

impl Places {
    pub fn new(place: Arc<dyn Place>, outer: Option<Arc<Self>>) -> Self {
        Self { place, outer, has_written: AtomicBool::new(false) }
    }

    fn levels(&self) -> impl Iterator<Item = &Self> {
        iter::successors(Some(self), |level| level.outer.as_deref())
    }

    /// Before the call waits for a writer. `None`: too many calls wait already, and the call must not write.
    pub fn away_for_writer(&self) -> Option<Away<'_>> {
        let has_written = &self.levels().last()?.has_written;
        let away = self.give_away(has_written.load(Ordering::Relaxed))?;
        has_written.store(true, Ordering::Relaxed);
        Some(away)
    }

    /// Before the call waits for the end of its transaction.
    pub fn away_for_commit(&self) -> Option<Away<'_>> {
        self.give_away(true)
    }

    fn give_away(&self, always: bool) -> Option<Away<'_>> {
        let mut away = Away { places: self, levels: 0 };
        for level in self.levels() {
            if !level.place.give_away(always) {
                return None;
            }
            away.levels += 1;
        }
        Some(away)
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        self.places.levels().take(self.levels).for_each(|level| level.place.take_back());
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    /// Places of which `away` are given away and at most `most` may be.
    #[derive(Default)]
    struct Counted {
        away: Mutex<u32>,
        most: u32,
    }

    impl Place for Counted {
        fn give_away(&self, always: bool) -> bool {
            let mut away = self.away.lock();
            let allowed = always || *away < self.most;
            *away += u32::from(allowed);
            allowed
        }

        fn take_back(&self) {
            *self.away.lock() -= 1;
        }
    }

    fn context(most: u32) -> Arc<Counted> {
        Arc::new(Counted { most, ..Counted::default() })
    }

    #[test]
    fn a_request_gives_the_places_of_its_whole_chain_away_and_takes_all_of_them_back() {
        let (front, desk) = (context(8), context(8));
        let outer = Arc::new(Places::new(front.clone(), None));
        let inner = Places::new(desk.clone(), Some(outer));
        for away in [Places::away_for_writer, Places::away_for_commit] {
            let away = away(&inner).unwrap();
            assert_eq!((*front.away.lock(), *desk.away.lock()), (1, 1));
            drop(away);
            assert_eq!((*front.away.lock(), *desk.away.lock()), (0, 0));
        }
    }

    #[test]
    fn only_the_first_write_of_a_request_is_refused_and_a_refusal_leaves_every_place_taken() {
        let (front, desk) = (context(1), context(8));
        let request = || {
            let outer = Arc::new(Places::new(front.clone(), None));
            (Places::new(desk.clone(), Some(outer.clone())), outer)
        };
        let ((first, _), (second, front_of_second)) = (request(), request());
        assert!(second.away_for_writer().is_some());
        let _away = first.away_for_writer().unwrap();
        let (third, _) = request();
        assert!(third.away_for_writer().is_none(), "the front has one call away already");
        assert_eq!((*front.away.lock(), *desk.away.lock()), (1, 1), "the desk's place was taken back");
        assert!(second.away_for_writer().is_some(), "what has written may write on");
        let another_context = Places::new(context(0), Some(front_of_second));
        assert!(another_context.away_for_writer().is_some(), "in every context");
        assert!(third.away_for_commit().is_some(), "a commit is never refused");
    }
}
