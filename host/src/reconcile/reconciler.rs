//! Looks at totals, keeps what it finds, and has contexts mend it.
//!
//! One look at a time, by time or for an operator. How long a disagreement stands is counted while
//! the host runs, by a clock that does not jump; after a start the count starts again, because what a crash has cut off
//! needs its time, too.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use seam_store::clock::Clock;
use seam_store::{HostFileError, chain, fault};

use super::acceptances::Acceptances;
use super::book::Book;
use super::metrics::ReconcileMetrics;
use super::record::{Disagreement, MendAnswer, State, listed};
use super::world::World;
use crate::audit::{Act, Audit, quoted};
use crate::limits;
use crate::manifest::Reconcile;
use crate::pause::pause_ms;
use crate::refused::Refused;
use crate::verify::{TotalLook, Unlooked};

/// Who asks for an attempt to mend that no operator asks for, in the audit log.
const BY_ITSELF: &str = "the host";

pub struct Reconciler<W> {
    pub(super) rules: Vec<Reconcile>,
    pub(super) world: W,
    pub(super) book: Book,
    pub(super) audit: Audit,
    pub(super) clock: Clock,
    metrics: ReconcileMetrics,
    turn: Mutex<Turn>,
    looked: Mutex<BTreeMap<String, Looked>>,
}

/// Held by the one who looks. By total and key: what is counted by the clock that does not jump.
#[derive(Default)]
pub(super) struct Turn(BTreeMap<(String, String), Timing>);

struct Timing {
    /// When it was found first since the host started.
    found: Instant,
    /// When a context may be asked again to mend it.
    again: Option<Instant>,
}

/// What the looks at a total have come to since the host started.
#[derive(Debug, Clone, Default)]
pub(super) struct Looked {
    /// The last one that saw all of it, in milliseconds since 1970, and what it saw.
    pub at_ms: Option<u64>,
    pub look: Option<TotalLook>,
    /// Disagreements that it found, and that the host does not keep.
    pub unkept: u64,
    /// Why the last one saw nothing.
    pub problem: Option<Unlooked>,
}

impl<W: World> Reconciler<W> {
    pub fn new(
        rules: Vec<Reconcile>,
        world: W,
        book: Book,
        audit: Audit,
        clock: Clock,
        metrics: ReconcileMetrics,
    ) -> Self {
        let (turn, looked) = Default::default();
        Self { rules, world, book, audit, clock, metrics, turn, looked }
    }

    pub fn world(&self) -> &W {
        &self.world
    }

    /// The rules whose totals this host looks at now. The others are for other hosts.
    pub(super) fn own_rules(&self) -> Vec<&Reconcile> {
        self.rules.iter().filter(|rule| self.world.looked_at_by(rule).is_none()).collect()
    }

    pub(super) fn rule(&self, total: &str) -> Option<&Reconcile> {
        self.rules.iter().find(|rule| rule.total == total)
    }

    /// What the looks at this total have come to.
    pub(super) fn looked(&self, total: &str) -> Looked {
        self.looked.lock().get(total).cloned().unwrap_or_default()
    }

    /// Before the first look: what no rule is about any more is over, and a total that cannot be looked at is said.
    pub fn start(&self) {
        let now_ms = self.clock.wall_ms();
        let forgotten = || -> Result<(), HostFileError> {
            for total in self.book.totals()?.into_iter().filter(|total| self.rule(total).is_none()) {
                let mut standing: Vec<_> = self.book.standing(&total)?.into_values().collect();
                standing.iter_mut().for_each(|one| one.over(now_ms));
                self.book.save(&standing, &[], now_ms)?;
            }
            Ok(())
        };
        if let Err(error) = forgotten() {
            tracing::warn!(target: "reconcile", "cannot close what is reconciled no longer: {}", chain(&error));
        }
        for rule in self.own_rules() {
            if let Err(unlooked) = self.world.is_declared(&rule.total) {
                self.cannot_look(rule, unlooked);
            }
            self.measure(rule);
        }
    }

    /// The right to look, once a look that is under way has ended; none after `most`.
    pub(super) fn turn(&self, most: Duration) -> Option<MutexGuard<'_, Turn>> {
        self.turn.try_lock_for(most)
    }

    /// Looks at a total, has a context mend what stands open, and looks again if it says that it has mended something.
    pub fn look(&self, rule: &Reconcile) {
        let mut turn = self.turn.lock();
        self.look_in(rule, &mut turn);
    }

    pub(super) fn look_in(&self, rule: &Reconcile, turn: &mut Turn) {
        if self.world.looked_at_by(rule).is_some() {
            return self.leave(rule, turn);
        }
        if self.compare(rule, turn) && self.mend_open(rule, turn) {
            self.compare(rule, turn);
        }
        self.measure(rule);
    }

    /// Another host looks at the total. What stands stays in the book: if the total comes back, a look says whether it
    /// still does.
    fn leave(&self, rule: &Reconcile, turn: &mut Turn) {
        turn.0.retain(|(total, _), _| *total != rule.total);
        if self.looked.lock().remove(&rule.total).is_some() {
            tracing::info!(target: "reconcile", total = rule.total, "another host looks at the total from now on");
        }
        self.metrics.forget(&rule.total);
    }

    /// Looks at a total and keeps what it finds. Whether it could be looked at.
    pub(super) fn compare(&self, rule: &Reconcile, turn: &mut Turn) -> bool {
        let compared = self.try_to_compare(rule, turn);
        let kept = compared.unwrap_or_else(|error| Err(Unlooked { why: chain(&error), remedy: error.remedy() }));
        match kept {
            Ok(looked) => {
                let before = self.looked.lock().insert(rule.total.clone(), looked.clone()).unwrap_or_default();
                if before.problem.is_some() {
                    tracing::info!(target: "reconcile", total = rule.total, "the total can be looked at again");
                }
                if looked.unkept > 0 && before.unkept == 0 {
                    tracing::warn!(
                        target: "reconcile", total = rule.total, unkept = looked.unkept,
                        "contexts disagree on more keys than the host keeps: what it keeps shows the cause"
                    );
                }
                true
            }
            Err(unlooked) => {
                self.cannot_look(rule, unlooked);
                false
            }
        }
    }

    /// Says so once, not at each look.
    fn cannot_look(&self, rule: &Reconcile, unlooked: Unlooked) {
        let mut looked = self.looked.lock();
        let looked = looked.entry(rule.total.clone()).or_default();
        if looked.problem.as_ref() != Some(&unlooked) {
            tracing::warn!(
                target: "reconcile", total = rule.total, hint = unlooked.remedy,
                "the total cannot be reconciled: {}", unlooked.why
            );
        }
        looked.problem = Some(unlooked);
    }

    fn try_to_compare(&self, rule: &Reconcile, turn: &mut Turn) -> Result<Result<Looked, Unlooked>, HostFileError> {
        let total = rule.total.as_str();
        let mut standing = self.book.standing(total)?;
        let mut room = limits::RECONCILE_KEPT_MAX.saturating_sub(standing.len());
        let acceptances = match self.world.accepted(rule) {
            Ok(kept) => Acceptances::new(kept),
            Err(unlooked) => return Ok(Err(unlooked)),
        };
        let (mut found, mut unkept) = (Vec::new(), 0);
        let mut changing = BTreeSet::new();
        let look = self.world.look(rule, &mut |key, amounts| {
            let is_known = standing.contains_key(key) || acceptances.has(key);
            let Some(amounts) = amounts else {
                // Of one that is not known, nothing is noted before it is certain.
                changing.extend(is_known.then(|| key.to_owned()));
                return;
            };
            if !is_known && (room == 0 || key.len() > limits::RECONCILE_KEY_BYTES_MAX) {
                unkept += 1;
                return;
            }
            room -= usize::from(!is_known);
            found.push((key.to_owned(), amounts));
        });
        // Nothing is known of what it may not have come to.
        let look = match look {
            Ok(look) => look,
            Err(unlooked) => return Ok(Err(unlooked)),
        };
        let now_ms = self.clock.wall_ms();
        let (mut changed, mut said) = (Vec::new(), Vec::new());
        for (key, amounts) in found {
            let mut one = standing.remove(&key);
            let name = (total.to_owned(), key.clone());
            if let Some(mut past) = one.take_if(|one| one.is_past(&amounts)) {
                past.over(now_ms);
                changed.push(past);
                turn.0.remove(&name);
            }
            let timing = turn.0.entry(name).or_insert_with(|| Timing { found: self.clock.now(), again: None });
            let settled = self.clock.elapsed_since(timing.found) >= rule.after;
            let mut one = one.unwrap_or_else(|| Disagreement::new(total, &key, now_ms));
            acceptances.apply(&mut one, &amounts);
            if one.seen(amounts, now_ms, settled) {
                said.push(changed.len());
            }
            changed.push(one);
        }
        standing.retain(|key, _| !changing.contains(key));
        let (new, over) = acceptances.changes(&changed, &changing, now_ms);
        if let Err(unlooked) = self.world.accept(rule, &new, &over) {
            return Ok(Err(unlooked));
        }
        let mut dropped = Vec::new();
        for (key, mut gone) in standing {
            turn.0.remove(&(total.to_owned(), key));
            if gone.state == State::Settling {
                dropped.push(gone);
                continue;
            }
            gone.over(now_ms);
            tracing::info!(
                target: "reconcile", total, key = gone.key, state = gone.state.name(), attempts = gone.attempts,
                "the contexts agree again"
            );
            changed.push(gone);
        }
        self.book.save(&changed, &dropped, now_ms)?;
        say(rule, &said.into_iter().filter_map(|at| changed.get(at)).collect::<Vec<_>>());
        Ok(Ok(Looked { at_ms: Some(now_ms), look: Some(look), unkept, problem: None }))
    }

    /// Asks the context of the rule about each disagreement that is open and whose time has come. Whether it says of
    /// one that it has mended it.
    fn mend_open(&self, rule: &Reconcile, turn: &mut Turn) -> bool {
        let Some(context) = &rule.mend else { return false };
        let Ok(standing) = self.book.standing(&rule.total) else { return false };
        let ends = self.clock.now() + Duration::from_millis(limits::RECONCILE_MENDING_MS);
        let mut any = false;
        for mut one in standing.into_values().filter(|one| one.state == State::Open) {
            let now = self.clock.now();
            if now >= ends {
                break;
            }
            let name = (one.total.clone(), one.key.clone());
            if turn.0.get(&name).and_then(|timing| timing.again).is_some_and(|again| again > now) {
                continue;
            }
            let stood_s = self.clock.wall_ms().saturating_sub(one.first_ms) / 1_000;
            let why = format!("attempt {}: the contexts have disagreed for {stood_s} s", one.attempts + 1);
            match self.ask(rule, context.as_str(), &mut one, (BY_ITSELF, &why)) {
                Ok(answer) => any |= answer == MendAnswer::Mended,
                Err(error) => {
                    tracing::warn!(target: "reconcile", total = rule.total, key = one.key, "cannot mend: {error}");
                    break;
                }
            }
            let longest = Duration::from_secs(limits::RECONCILE_PAUSE_S);
            let pause = Duration::from_millis(pause_ms(one.attempts, longest));
            if let Some(timing) = turn.0.get_mut(&name) {
                timing.again = Some(self.clock.now() + pause);
            }
        }
        any
    }

    /// Asks `context` to mend `one`. That it is asked is kept before, what it answers afterwards.
    ///
    /// # Errors
    /// When that cannot be kept.
    pub(super) fn ask(
        &self,
        rule: &Reconcile,
        context: &str,
        one: &mut Disagreement,
        (who, why): (&str, &str),
    ) -> Result<MendAnswer, Refused> {
        let command = format!("seam reconcile mend {} {}", quoted(&one.total), quoted(&one.key));
        let answer = self.audit.act(&Act { who, command: &command, why }, || {
            let now_ms = self.clock.wall_ms();
            one.asked(now_ms);
            self.book.save(std::slice::from_ref(one), &[], now_ms)?;
            fault::point("reconcile.before-mend");
            let answer = self.world.mend(context, one);
            fault::point("reconcile.after-mend");
            let is_given_up = one.answered(answer.clone());
            self.book.save(std::slice::from_ref(one), &[], now_ms)?;
            if is_given_up {
                say(rule, &[&*one]);
            }
            // Its reasons may have values in them, and the audit log has none.
            let said = match &answer {
                MendAnswer::Mended => "says that it has mended it",
                MendAnswer::Later(_) => "cannot mend it now",
                MendAnswer::Refused(_) => "leaves it to a person",
                MendAnswer::Failed(_) => "has not answered",
            };
            Ok::<_, Refused>((answer, format!("`{context}` {said}")))
        })?;
        self.metrics.asked(&rule.total, answer.parts().0);
        Ok(answer)
    }

    /// Sets the figures of a total.
    pub(super) fn measure(&self, rule: &Reconcile) {
        let looked = self.looked(&rule.total);
        match self.book.standing(&rule.total) {
            Ok(standing) => {
                let (unkept, at_ms) = (looked.unkept, looked.at_ms);
                self.metrics.set(&rule.total, standing.values().map(|one| one.state), unkept, at_ms);
                self.metrics.set_unlooked(&rule.total, looked.problem.is_some());
            }
            Err(error) => tracing::debug!(target: "reconcile", "no figures: {}", chain(&error)),
        }
    }
}

/// Tells the operator, in the log, that these stand.
fn say(rule: &Reconcile, all: &[&Disagreement]) {
    for one in all.iter().take(limits::RECONCILE_SAID_MAX) {
        let amounts = listed(&one.amounts);
        let (total, key) = (one.total.as_str(), one.key.as_str());
        match (one.state, &rule.mend) {
            (State::GivenUp, _) => {
                let answer = one.answer.as_ref().map_or_else(|| "no answer".to_owned(), MendAnswer::to_string);
                let (attempts, hint) = (one.attempts, "`seam reconcile show` has it; a person has to decide");
                tracing::warn!(
                    target: "reconcile", total, key, amounts, attempts, hint,
                    "contexts disagree, and it is not mended: {answer}"
                );
            }
            (_, Some(context)) => tracing::warn!(
                target: "reconcile", total, key, amounts, "contexts disagree; `{context}` is asked to mend it"
            ),
            (_, None) => tracing::warn!(
                target: "reconcile", total, key, amounts,
                hint = "`seam reconcile show` has it; no context is named that mends it", "contexts disagree"
            ),
        }
    }
    let more = all.len().saturating_sub(limits::RECONCILE_SAID_MAX);
    if more > 0 {
        tracing::warn!(
            target: "reconcile", total = rule.total, more, hint = "`seam reconcile` lists all",
            "contexts disagree on more keys"
        );
    }
}
