//! What an operator asks of disagreements, and does with them: list, show, look now, mend, accept.
//!
//! Invariants: a preview and a request that is refused change nothing. Every change goes through `Audit::act`, which
//! notes who made it and why.

use std::time::Duration;

use seam_runtime::did_you_mean;
use serde::{Deserialize, Serialize};

use super::reconciler::Reconciler;
use super::record::{Amount, Disagreement, State, listed};
use super::world::World;
use crate::audit::{Act, quoted};
use crate::limits;
use crate::manifest::Reconcile;
use crate::refused::{Refused, reason};
use crate::times::rfc3339;

/// Which disagreements.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReconcileSelection {
    /// Of this total alone.
    pub total: Option<String>,
    /// Those that are over, too.
    pub over: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileList {
    pub totals: Vec<TotalStatus>,
    /// Those that stand by their keys, then those that are over, the newest first.
    pub disagreements: Vec<ShownDisagreement>,
    /// Totals that other hosts look at: each with its host.
    #[serde(default)]
    pub elsewhere: Vec<(String, String)>,
}

/// A total that is reconciled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotalStatus {
    pub total: String,
    /// Those that declare it, as of the last look.
    pub contexts: Vec<String>,
    pub every_s: u64,
    pub after_s: u64,
    /// The context that mends.
    pub mend: Option<String>,
    /// When the host last saw all of it since it started: RFC 3339.
    pub looked: Option<String>,
    /// Keys that were compared then.
    pub keys: Option<u64>,
    /// Disagreements that it found then, and that the host does not keep.
    pub unkept: u64,
    /// Why it cannot be looked at.
    pub problem: Option<ShownProblem>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownProblem {
    pub why: String,
    pub remedy: String,
}

/// A disagreement, its times as RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownDisagreement {
    pub total: String,
    pub key: String,
    /// The idempotency key of all attempts to mend it.
    pub id: String,
    pub state: String,
    pub amounts: Vec<Amount>,
    pub first_seen: String,
    pub last_seen: String,
    pub said: Option<String>,
    pub over: Option<String>,
    pub attempts: u32,
    pub asked: Option<String>,
    /// That of the last attempt: `mended`, `later: why`, `refused: why`, `failed: why`.
    pub answer: Option<String>,
    /// The operator who accepted it, and why.
    pub by: Option<String>,
    pub why: String,
}

impl From<&Disagreement> for ShownDisagreement {
    fn from(one: &Disagreement) -> Self {
        Self {
            total: one.total.clone(),
            key: one.key.clone(),
            id: one.id.clone(),
            state: one.state.name().to_owned(),
            amounts: one.amounts.clone(),
            first_seen: rfc3339(one.first_ms),
            last_seen: rfc3339(one.last_ms),
            said: one.said_ms.map(rfc3339),
            over: one.over_ms.map(rfc3339),
            attempts: one.attempts,
            asked: one.asked_ms.map(rfc3339),
            answer: one.answer.as_ref().map(ToString::to_string),
            by: one.by.clone(),
            why: one.why.clone(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReconcileOrder {
    /// Ask the context to mend it now, also if it has been given up.
    Mend,
    /// It is all right as it is, until its amounts change.
    Accept,
}

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReconcileActRequest {
    pub total: String,
    pub key: String,
    pub order: ReconcileOrder,
    pub why: String,
    /// Only say what it would do.
    pub preview: bool,
}

/// What an action does, or did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileAct {
    pub done: bool,
    pub effect: String,
    /// As it is now.
    pub disagreement: ShownDisagreement,
}

impl<W: World> Reconciler<W> {
    /// What contexts disagree on, as of the last look.
    ///
    /// # Errors
    /// For a total that is not reconciled, or when the host's file cannot be read.
    pub fn list(&self, of: &ReconcileSelection) -> Result<ReconcileList, Refused> {
        let rules = self.selected(of.total.as_deref())?;
        let (mut standing, mut over) = (Vec::new(), Vec::new());
        for rule in &rules {
            standing.extend(self.book.standing(&rule.total)?.values().map(ShownDisagreement::from));
            if of.over {
                over.extend(self.book.over(&rule.total)?.iter().map(ShownDisagreement::from));
            }
        }
        standing.append(&mut over);
        let totals = rules.iter().map(|rule| self.status(rule)).collect();
        let at = |rule: &Reconcile| Some((rule.total.clone(), self.world.looked_at_by(rule)?));
        let elsewhere = if of.total.is_none() { self.rules.iter().filter_map(at).collect() } else { Vec::new() };
        Ok(ReconcileList { totals, disagreements: standing, elsewhere })
    }

    /// One disagreement: the one that stands, or else the last one on this key.
    ///
    /// # Errors
    /// When there is none.
    pub fn show(&self, total: &str, key: &str) -> Result<ShownDisagreement, Refused> {
        self.selected(Some(total))?;
        if let Some(one) = self.book.standing(total)?.get(key) {
            return Ok(one.into());
        }
        let over = self.book.over(total)?;
        over.iter().find(|one| one.key == key).map(ShownDisagreement::from).ok_or_else(|| none_on(total, key))
    }

    /// Looks now, as by time, at one total or at all; then as `list`.
    ///
    /// # Errors
    /// For a total that is not reconciled, or while another look is under way.
    pub fn run(&self, total: Option<&str>) -> Result<ReconcileList, Refused> {
        let rules = self.selected(total)?;
        let mut turn = self.my_turn()?;
        rules.iter().for_each(|rule| self.look_in(rule, &mut turn));
        drop(turn);
        self.list(&ReconcileSelection { total: total.map(str::to_owned), over: false })
    }

    /// Has a disagreement mended, or accepts it; or says what that would do.
    ///
    /// # Errors
    /// When it is refused: then nothing has changed, unless the message says otherwise.
    pub fn act(&self, who: &str, request: &ReconcileActRequest) -> Result<ReconcileAct, Refused> {
        let ReconcileActRequest { total, key, order, why, preview } = request;
        self.selected(Some(total))?;
        let rule = self.rule(total).ok_or_else(|| none_on(total, key))?;
        let needed = (*order == ReconcileOrder::Accept).then_some("what is accepted is alarmed no longer");
        let why = reason(why, needed.filter(|_| !preview))?;
        let stands = || -> Result<Disagreement, Refused> {
            self.book.standing(total)?.remove(key).ok_or_else(|| none_on(total, key))
        };
        if *preview {
            let one = stands()?;
            let effect = effect(*order, rule, &one)?;
            return Ok(ReconcileAct { done: false, effect, disagreement: (&one).into() });
        }
        let mut turn = self.my_turn()?;
        let mut one = stands()?;
        let effect = effect(*order, rule, &one)?;
        match (order, &rule.mend) {
            (ReconcileOrder::Mend, Some(context)) => {
                // What is asked about is as it is now.
                if !self.compare(rule, &mut turn) {
                    let problem = self.looked(total).problem;
                    let (why, remedy) = problem.map_or_else(Default::default, |problem| (problem.why, problem.remedy));
                    return Err(Refused::new(format!("nothing was asked: {why}"), remedy));
                }
                one = stands()?;
                if one.state == State::Accepted {
                    let kept = self.world.accept(rule, &[], std::slice::from_ref(key));
                    kept.map_err(|unlooked| Refused::new(unlooked.why, unlooked.remedy))?;
                }
                let answer = self.ask(rule, context.as_str(), &mut one, (who, why))?;
                self.compare(rule, &mut turn);
                self.measure(rule);
                let effect = format!("`{context}` answered {answer}");
                Ok(ReconcileAct { done: true, effect, disagreement: self.show(total, key)? })
            }
            _ => {
                let command = format!("seam reconcile accept {} {}", quoted(total), quoted(key));
                self.audit.act(&Act { who, command: &command, why }, || {
                    one.accepted(who, why);
                    let now_ms = self.clock.wall_ms();
                    let accepted: Vec<_> = one.acceptance(now_ms).into_iter().collect();
                    let kept = self.world.accept(rule, &accepted, &[]);
                    kept.map_err(|unlooked| Refused::new(unlooked.why, unlooked.remedy))?;
                    self.book.save(std::slice::from_ref(&one), &[], now_ms)?;
                    Ok::<_, Refused>(((), "accepted until its amounts change".to_owned()))
                })?;
                self.measure(rule);
                Ok(ReconcileAct { done: true, effect, disagreement: (&one).into() })
            }
        }
    }

    fn my_turn(&self) -> Result<parking_lot::MutexGuard<'_, super::reconciler::Turn>, Refused> {
        let most = Duration::from_millis(limits::RECONCILE_TURN_MS);
        self.turn(most)
            .ok_or_else(|| Refused::new("the host is looking at the totals already", "try again in a moment"))
    }

    /// The rule of this total, or all; of those totals that this host looks at.
    fn selected(&self, total: Option<&str>) -> Result<Vec<&Reconcile>, Refused> {
        let Some(total) = total else { return Ok(self.own_rules()) };
        let rule = self.rule(total).ok_or_else(|| {
            let hint = did_you_mean::hint(total, self.rules.iter().map(|rule| rule.total.as_str()));
            let hint = if self.rules.is_empty() { "add a `[[reconcile]]` to the manifest".to_owned() } else { hint };
            Refused::new(format!("the total `{total}` is not reconciled"), hint)
        })?;
        match self.world.looked_at_by(rule) {
            None => Ok(vec![rule]),
            Some(host) => {
                let message = format!("host `{host}` looks at the total `{total}`");
                Err(Refused::new(message, format!("run it for that host: `--as {host}`")))
            }
        }
    }

    fn status(&self, rule: &Reconcile) -> TotalStatus {
        let looked = self.looked(&rule.total);
        let (contexts, keys) = looked.look.map_or((Vec::new(), None), |look| (look.contexts, Some(look.keys)));
        TotalStatus {
            total: rule.total.clone(),
            contexts,
            every_s: rule.every.as_secs(),
            after_s: rule.after.as_secs(),
            mend: rule.mend.as_ref().map(ToString::to_string),
            looked: looked.at_ms.map(rfc3339),
            keys,
            unkept: looked.unkept,
            problem: looked.problem.map(|problem| ShownProblem { why: problem.why, remedy: problem.remedy }),
        }
    }
}

fn none_on(total: &str, key: &str) -> Refused {
    let message = format!("the contexts do not disagree on `{key}` of `{total}`");
    Refused::new(message, "`seam reconcile` shows on what they do, and `seam reconcile run` looks now")
}

/// What the order does.
///
/// # Errors
/// When it cannot be done to this one.
fn effect(order: ReconcileOrder, rule: &Reconcile, one: &Disagreement) -> Result<String, Refused> {
    let amounts = listed(&one.amounts);
    match (order, &rule.mend) {
        (ReconcileOrder::Accept, _) if one.state == State::Accepted => {
            let by = one.by.as_deref().unwrap_or("an operator");
            Err(Refused::new(format!("{by} has accepted it already"), ""))
        }
        (ReconcileOrder::Accept, _) => {
            Ok(format!("it counts as all right, and is looked at again when its amounts are no longer {amounts}"))
        }
        (ReconcileOrder::Mend, None) => {
            let message = format!("no context is named that mends `{}`", rule.total);
            Err(Refused::new(message, "add `mend = \"CONTEXT\"` to its `[[reconcile]]`, or mend it by hand"))
        }
        (ReconcileOrder::Mend, Some(context)) => {
            Ok(format!("`{context}` is asked to mend it, attempt {}: {amounts}", one.attempts + 1))
        }
    }
}
