//! What is looked at and asked: the contexts of the running system. Tests put something else in its place.

use std::time::{Duration, Instant};

use seam_runtime::call::Call;
use seam_runtime::guest::reconciliation::{DisagreementRecord, SideRecord};
use seam_runtime::run::Mended;
use seam_runtime::serve::Registry;
use seam_store::ids::Trace;
use seam_store::{Acceptance, Range};

use super::record::{Amount, Disagreement, MendAnswer};
use crate::limits;
use crate::manifest::Reconcile;
use crate::verify::{Elsewhere, TotalLook, Unlooked, compared_by, deciding_file, declaring, look_at_total};

/// Gets a key, and what each context says of it; `None` if it changes while hosts compare it, so that it is not known
/// whether they agree.
pub type EachKey<'e> = dyn FnMut(&str, Option<Vec<Amount>>) + 'e;

pub trait World: Send + Sync + 'static {
    /// The other host that looks at the total of this rule, if it is not this one. It changes as contexts move.
    fn looked_at_by(&self, rule: &Reconcile) -> Option<String>;

    /// Whether at least two contexts declare the total.
    ///
    /// # Errors
    /// Why it cannot be looked at.
    fn is_declared(&self, total: &str) -> Result<(), Unlooked>;

    /// Calls `each` for every key of the rule's total on which its contexts do not agree.
    ///
    /// # Errors
    /// When it could not be looked at, or not to the end.
    fn look(&self, rule: &Reconcile, each: &mut EachKey<'_>) -> Result<TotalLook, Unlooked>;

    /// What is accepted of the rule's total, as the file says of the context that decides which host looks. Empty if it
    /// has no file.
    ///
    /// # Errors
    /// When the file cannot be read.
    fn accepted(&self, rule: &Reconcile) -> Result<Vec<Acceptance>, Unlooked>;

    /// Notes in that file what is accepted from now on, and what is no longer, by its keys.
    ///
    /// # Errors
    /// When the file cannot be written.
    fn accept(&self, rule: &Reconcile, accepted: &[Acceptance], over: &[String]) -> Result<(), Unlooked>;

    /// Asks `context` to mend.
    fn mend(&self, context: &str, found: &Disagreement) -> MendAnswer;
}

/// The contexts that serve, and those of other hosts.
pub struct RunningContexts {
    pub registry: Registry,
    pub elsewhere: Elsewhere,
}

impl World for RunningContexts {
    fn is_declared(&self, total: &str) -> Result<(), Unlooked> {
        declaring(&self.registry, total).map(drop)
    }

    fn looked_at_by(&self, rule: &Reconcile) -> Option<String> {
        compared_by(&self.registry, &rule.total, rule.mend.as_ref())
    }

    fn look(&self, rule: &Reconcile, each: &mut EachKey<'_>) -> Result<TotalLook, Unlooked> {
        let amount = |(context, range): &(&str, Range)| Amount {
            context: (*context).to_owned(),
            least: range.least,
            most: range.most,
        };
        let of = (rule.total.as_str(), rule.mend.as_ref());
        look_at_total(&self.registry, &self.elsewhere, of, &mut |key, sides| {
            each(key, sides.map(|sides| sides.iter().map(amount).collect()));
        })
    }

    fn accepted(&self, rule: &Reconcile) -> Result<Vec<Acceptance>, Unlooked> {
        let file = deciding_file(&self.registry, &rule.total, rule.mend.as_ref());
        file.map_or_else(|| Ok(Vec::new()), |file| file.accepted(&rule.total).map_err(unkept))
    }

    fn accept(&self, rule: &Reconcile, accepted: &[Acceptance], over: &[String]) -> Result<(), Unlooked> {
        let file = deciding_file(&self.registry, &rule.total, rule.mend.as_ref());
        file.map_or_else(|| Ok(()), |file| file.accept(&rule.total, accepted, over).map_err(unkept))
    }

    fn mend(&self, context: &str, found: &Disagreement) -> MendAnswer {
        let sides = found.amounts.iter();
        let sides = sides.map(|one| SideRecord { context: &one.context, least: one.least, most: one.most });
        let sides: Vec<SideRecord<'_>> = sides.collect();
        let record = DisagreementRecord {
            total: &found.total,
            key: &found.key,
            sides: &sides,
            since: found.first_ms / 1_000,
            attempt: found.attempts,
            id: &found.id,
        };
        let deadline = Instant::now() + Duration::from_millis(limits::RECONCILE_CALL_MS);
        let asked =
            self.registry.live(context).and_then(|live| live.mend(Call::start(deadline, Trace::start()), &record));
        let short = |why: String| why.chars().take(limits::RECONCILE_ANSWER_CHARS_MAX).collect();
        match asked {
            Ok(Mended::Mended) => MendAnswer::Mended,
            Ok(Mended::Later(why)) => MendAnswer::Later(short(why)),
            Ok(Mended::Refused(why)) => MendAnswer::Refused(short(why)),
            Err(failure) => MendAnswer::Failed(short(failure.to_string())),
        }
    }
}

fn unkept(error: seam_store::Error) -> Unlooked {
    Unlooked {
        why: format!("what is accepted cannot be read or written: {error}"),
        remedy: "`seam contexts` shows which store does not work".to_owned(),
    }
}
