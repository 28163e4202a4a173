//! The places that a request holds in the contexts which it runs through: how it gives them away while it waits, and
//! how many of them may be in one callee.
//!
//! A context runs a bounded number of calls at the same time; each has a place. A call that waits for its store's
//! writer, for a commit, for a saga, or for a callee that has its share already (`bulkhead`), computes nothing. So the
//! host gives the places of its whole chain to other calls meanwhile: however slow the disk or a callee is, calls that
//! do not need it get an answer.
//!
//! Invariants: a call takes its places back without waiting, so nothing can deadlock; a context then runs more calls
//! than it has places, and admits none until it has a free place again. How many calls may be away is bounded. Beyond
//! it the host refuses the first write of a request, or its call, and never a later one, which may belong to what is
//! already committed; one that would wait for a saga goes on at once. Every place of a request counts for the context
//! in which the request is now, and for no other.

use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use super::admission::FunctionId;
use super::bulkhead::{Bulkheads, Callee, NotEntered};

/// What a call waits for while it is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The writer, for the first write of its request: refused when too many calls wait for a disk.
    FirstWrite,
    /// The writer or a commit, of a request that may have written before.
    Disk,
    /// A callee. Its bulkhead bounds how many calls do.
    Callee,
    /// A saga: refused when too many calls do.
    Saga,
}

/// The places of one context.
pub trait Place: Send + Sync {
    /// Gives the place of a running call of `function` to another call. `false`: too many calls are away already, and
    /// the call keeps its place.
    fn give_away(&self, wait: Wait, function: Option<FunctionId>) -> bool;

    /// Takes a place back that was given away.
    fn take_back(&self, wait: Wait, function: Option<FunctionId>);

    /// How many of the places may be in one callee.
    fn bulkheads(&self) -> &Bulkheads;
}

/// The places of one request, innermost first.
pub struct Places {
    place: Arc<dyn Place>,
    /// The context of `place` and the function that it runs, as its caller names them: a variant counts for its
    /// context.
    callee: Callee,
    outer: Option<Arc<Places>>,
    /// The request has waited for a writer, and may have committed since. Kept in the outermost level.
    has_written: AtomicBool,
    /// The waits for which the place is away: of this call and of what it calls.
    away: Mutex<Waits>,
    /// Calls and waits for which the request has left this context. All belong to one task, so that no two threads
    /// count at the same time.
    elsewhere: AtomicU32,
}

/// Waits of calls that run side by side: the place is given away for the first and taken back after the last.
#[derive(Default)]
struct Waits {
    number: u32,
    /// Of the first.
    wait: Option<Wait>,
}

/// While it lives, the request is away from its places.
pub struct Away<'p> {
    places: &'p Places,
}

/// While it lives, the request is in a callee of its innermost context.
pub struct InCallee<'p> {
    places: &'p Places,
    callee: Callee,
}

impl Places {
    pub fn new(place: Arc<dyn Place>, callee: Callee, outer: Option<Arc<Self>>) -> Self {
        let (has_written, away, elsewhere) = Default::default();
        Self { place, callee, outer, has_written, away, elsewhere }
    }

    fn levels(&self) -> impl Iterator<Item = &Self> {
        iter::successors(Some(self), |level| level.outer.as_deref())
    }

    /// The bulkheads that this context's calls are behind: those of all contexts above it.
    fn above(&self) -> impl Iterator<Item = &Bulkheads> {
        self.levels().skip(1).map(|level| level.place.bulkheads())
    }

    fn has_written(&self) -> bool {
        self.levels().last().is_some_and(|outermost| outermost.has_written.load(Ordering::Relaxed))
    }

    /// Before the call waits for a writer. `None`: too many calls wait already, and the call must not write.
    pub fn away_for_writer(&self) -> Option<Away<'_>> {
        let away = self.give_away(if self.has_written() { Wait::Disk } else { Wait::FirstWrite })?;
        self.levels().last()?.has_written.store(true, Ordering::Relaxed);
        Some(away)
    }

    /// Before the call waits for the end of its transaction.
    pub fn away_for_commit(&self) -> Option<Away<'_>> {
        self.give_away(Wait::Disk)
    }

    /// Before the call waits for a saga, whose steps need places, too. `None`: as many calls wait for one as may.
    pub fn away_for_saga(&self) -> Option<Away<'_>> {
        self.give_away(Wait::Saga)
    }

    /// Before the call waits for a callee on another host. Its bulkheads bound how many calls do.
    pub fn away_for_callee(&self) -> Option<Away<'_>> {
        self.give_away(Wait::Callee)
    }

    fn give_away(&self, wait: Wait) -> Option<Away<'_>> {
        let given = self.levels().take_while(|level| level.give_own_away(wait)).count();
        if self.levels().nth(given).is_some() {
            self.levels().take(given).for_each(Self::take_own_back);
            return None;
        }
        self.step_out();
        Some(Away { places: self })
    }

    fn give_own_away(&self, wait: Wait) -> bool {
        let mut away = self.away.lock();
        if away.number == 0 {
            if !self.place.give_away(wait, self.callee.function) {
                return false;
            }
            away.wait = Some(wait);
        }
        away.number += 1;
        true
    }

    fn take_own_back(&self) {
        let mut away = self.away.lock();
        away.number = away.number.saturating_sub(1);
        if let (0, Some(wait)) = (away.number, away.wait) {
            self.place.take_back(wait, self.callee.function);
        }
    }

    /// The request is not in this context any more, for the contexts above: it has entered a callee, or waits away from
    /// its places.
    fn step_out(&self) {
        let before = self.elsewhere.load(Ordering::Relaxed);
        self.elsewhere.store(before + 1, Ordering::Relaxed);
        if before == 0 {
            self.above().for_each(|bulkheads| bulkheads.leave(self.callee));
        }
    }

    /// Ends a `step_out`.
    fn step_back(&self) {
        let left = self.elsewhere.load(Ordering::Relaxed).saturating_sub(1);
        self.elsewhere.store(left, Ordering::Relaxed);
        if left == 0 {
            self.above().for_each(|bulkheads| bulkheads.come_back(self.callee));
        }
    }

    /// Before the call calls `callee`. Where `callee` has its share of the places of one of the contexts that the
    /// request runs through, the request waits until `deadline` says, away from its places.
    ///
    /// # Errors
    /// When too many calls wait for the callee already, or none leaves it in time.
    pub fn enter(&self, callee: Callee, deadline: impl FnOnce() -> Instant) -> Result<InCallee<'_>, NotEntered> {
        if !self.enter_at_once(callee) {
            self.wait_to_enter(callee, deadline())?;
        }
        Ok(self.entered(callee))
    }

    /// Like `enter`, without holding a thread.
    ///
    /// # Errors
    /// As `enter`.
    pub async fn enter_async(&self, callee: Callee, deadline: Instant) -> Result<InCallee<'_>, NotEntered> {
        if !self.enter_at_once(callee) {
            let always = self.has_written();
            let _away = self.give_away(Wait::Callee);
            let mut entering = Entering { callee, levels: Vec::new() };
            for level in self.outermost_first() {
                level.place.bulkheads().wait_to_enter_async(callee, deadline, always).await?;
                entering.levels.push(level);
            }
            entering.levels.clear();
        }
        Ok(self.entered(callee))
    }

    /// Enters where there is room in every context that the request runs through, or nowhere.
    fn enter_at_once(&self, callee: Callee) -> bool {
        let free = self.levels().take_while(|level| level.place.bulkheads().enter(callee)).count();
        let entered = self.levels().nth(free).is_none();
        if !entered {
            self.levels().take(free).for_each(|level| level.place.bulkheads().leave(callee));
        }
        entered
    }

    fn entered(&self, callee: Callee) -> InCallee<'_> {
        // The places of the contexts above count for the callee now.
        self.step_out();
        InCallee { places: self, callee }
    }

    #[cold]
    fn wait_to_enter(&self, callee: Callee, deadline: Instant) -> Result<(), NotEntered> {
        let always = self.has_written();
        let _away = self.give_away(Wait::Callee);
        let mut entering = Entering { callee, levels: Vec::new() };
        for level in self.outermost_first() {
            level.place.bulkheads().wait_to_enter(callee, deadline, always)?;
            entering.levels.push(level);
        }
        entering.levels.clear();
        Ok(())
    }

    /// All requests enter in this order, which is that of the imports, so they do not wait for each other in a circle.
    fn outermost_first(&self) -> impl Iterator<Item = &Self> {
        let levels: Vec<_> = self.levels().collect();
        levels.into_iter().rev()
    }
}

/// The levels in which a request has entered a callee, until it has entered it in all of them: if that fails, or the
/// request ends, it leaves.
struct Entering<'p> {
    callee: Callee,
    levels: Vec<&'p Places>,
}

impl Drop for Entering<'_> {
    fn drop(&mut self) {
        self.levels.iter().for_each(|level| level.place.bulkheads().leave(self.callee));
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        self.places.levels().for_each(Places::take_own_back);
        self.places.step_back();
    }
}

impl Drop for InCallee<'_> {
    fn drop(&mut self) {
        self.places.step_back();
        self.places.levels().for_each(|level| level.place.bulkheads().leave(self.callee));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    /// Places of which `away` are given away and at most `most` may be.
    struct Counted {
        away: Mutex<u32>,
        most: u32,
        bulkheads: Bulkheads,
    }

    impl Place for Counted {
        fn give_away(&self, wait: Wait, _: Option<FunctionId>) -> bool {
            let mut away = self.away.lock();
            let allowed = matches!(wait, Wait::Disk | Wait::Callee) || *away < self.most;
            *away += u32::from(allowed);
            allowed
        }

        fn take_back(&self, _: Wait, _: Option<FunctionId>) {
            *self.away.lock() -= 1;
        }

        fn bulkheads(&self) -> &Bulkheads {
            &self.bulkheads
        }
    }

    /// A context of which one place may be in each callee, and one call may wait for it.
    fn context(most: u32) -> Arc<Counted> {
        Arc::new(Counted { away: Mutex::default(), most, bulkheads: Bulkheads::new(1, 1, 4) })
    }

    const FRONT: Callee = Callee::without_function(0);
    const DESK: Callee = Callee::without_function(1);
    const BANK: Callee = Callee::without_function(2);

    /// How many places of the context are in each of these.
    fn inside(context: &Counted) -> [u32; 3] {
        let loads = context.bulkheads.loads();
        [FRONT, DESK, BANK].map(|at| loads.iter().find(|load| load.callee == at.context).map_or(0, |load| load.inside))
    }

    /// The places of a request that the front has passed on to the desk.
    fn at_desk(front: &Arc<Counted>, desk: &Arc<Counted>) -> (Places, Arc<Places>) {
        front.bulkheads.come_back(DESK);
        let outer = Arc::new(Places::new(front.clone(), FRONT, None));
        (Places::new(desk.clone(), DESK, Some(outer.clone())), outer)
    }

    fn never() -> Instant {
        panic!("nothing waits here")
    }

    #[test]
    fn a_place_counts_for_the_context_in_which_its_request_is_now() {
        let (front, desk, bank) = (context(8), context(8), context(8));
        let outermost = Arc::new(Places::new(front.clone(), FRONT, None));
        let at_desk = outermost.enter(DESK, never).unwrap();
        let middle = Arc::new(Places::new(desk.clone(), DESK, Some(outermost.clone())));
        assert_eq!((inside(&front), inside(&desk)), ([0, 1, 0], [0, 0, 0]));
        let at_bank = middle.enter(BANK, never).unwrap();
        let innermost = Places::new(bank.clone(), BANK, Some(middle.clone()));
        assert_eq!((inside(&front), inside(&desk)), ([0, 0, 1], [0, 0, 1]), "the desk is free for other calls");
        let away = innermost.away_for_writer().unwrap();
        assert_eq!((inside(&front), inside(&desk)), ([0, 0, 0], [0, 0, 0]), "who waits for a disk is in no one's way");
        drop(away);
        assert_eq!((inside(&front), inside(&desk)), ([0, 0, 1], [0, 0, 1]));
        drop(at_bank);
        assert_eq!((inside(&front), inside(&desk)), ([0, 1, 0], [0, 0, 0]));
        drop(at_desk);
        assert_eq!((inside(&front), inside(&desk)), ([0; 3], [0; 3]));
    }

    #[test]
    fn a_request_that_waits_for_another_host_counts_for_its_callee_alone() {
        let (front, desk) = (context(8), context(8));
        let (inner, _outer) = at_desk(&front, &desk);
        let in_bank = inner.enter(BANK, never).unwrap();
        let away = inner.away_for_callee().unwrap();
        assert_eq!((inside(&front), inside(&desk), *desk.away.lock()), ([0, 0, 1], [0, 0, 1], 1));
        drop(away);
        assert_eq!((inside(&front), inside(&desk), *desk.away.lock()), ([0, 0, 1], [0, 0, 1], 0));
        drop(in_bank);
        assert_eq!((inside(&front), inside(&desk)), ([0, 1, 0], [0; 3]));
    }

    #[test]
    fn calls_side_by_side_are_in_all_their_callees_and_their_caller_gives_its_place_away_once() {
        const SAFE: Callee = Callee::without_function(3);
        let (front, desk) = (context(8), context(8));
        let safe = |context: &Counted| context.bulkheads.loads().iter().filter(|load| load.callee == 3).count();
        let (inner, _outer) = at_desk(&front, &desk);
        let bank = inner.enter(BANK, never).unwrap();
        let bank_away = inner.away_for_callee().unwrap();
        let in_safe = inner.enter(SAFE, never).unwrap();
        let safe_away = inner.away_for_callee().unwrap();
        assert_eq!((inside(&front), inside(&desk)), ([0, 0, 1], [0, 0, 1]));
        assert_eq!((safe(&front), safe(&desk), *front.away.lock(), *desk.away.lock()), (1, 1, 1, 1));
        drop((bank_away, bank));
        assert_eq!((inside(&front), inside(&desk)), ([0; 3], [0; 3]), "the other call is in its callee yet");
        assert_eq!((safe(&front), *front.away.lock(), *desk.away.lock()), (1, 1, 1));
        drop(safe_away);
        assert_eq!((*front.away.lock(), *desk.away.lock()), (0, 0));
        drop(in_safe);
        assert_eq!((inside(&front), safe(&front)), ([0, 1, 0], 0));
    }

    #[test]
    fn a_request_waits_for_its_callee_away_from_its_places_and_beyond_the_queue_it_is_refused() {
        let (front, desk) = (context(0), context(0));
        let request = || at_desk(&front, &desk).0;
        let soon = || Instant::now() + std::time::Duration::from_secs(20);
        let first = request();
        let in_bank = first.enter(BANK, never).unwrap();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| request().enter(BANK, soon).map(drop));
            while front.bulkheads.loads().iter().all(|load| load.waiting == 0) {
                std::thread::yield_now();
            }
            assert_eq!((*front.away.lock(), *desk.away.lock()), (1, 1));
            assert_eq!(request().enter(BANK, soon).err(), Some(NotEntered::Full));
            assert_eq!((*front.away.lock(), *desk.away.lock()), (1, 1), "a refusal leaves every place taken");
            drop(in_bank);
            assert_eq!(waits.join().unwrap(), Ok(()));
        });
        assert_eq!((*front.away.lock(), *desk.away.lock(), inside(&front)[2], inside(&desk)[2]), (0, 0, 0, 0));
    }

    #[test]
    fn a_request_gives_the_places_of_its_whole_chain_away_and_takes_all_of_them_back() {
        let (front, desk) = (context(8), context(8));
        let (inner, _) = at_desk(&front, &desk);
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
        let request = || at_desk(&front, &desk);
        let ((first, _), (second, front_of_second)) = (request(), request());
        assert!(second.away_for_writer().is_some());
        let _away = first.away_for_writer().unwrap();
        let (third, _) = request();
        assert!(third.away_for_writer().is_none(), "the front has one call away already");
        assert_eq!((*front.away.lock(), *desk.away.lock()), (1, 1), "the desk's place was taken back");
        assert!(second.away_for_writer().is_some(), "what has written may write on");
        let another_context = Places::new(context(0), BANK, Some(front_of_second));
        assert!(another_context.away_for_writer().is_some(), "in every context");
        assert!(third.away_for_commit().is_some(), "a commit is never refused");
    }
}
