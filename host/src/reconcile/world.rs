//! What is looked at and asked: the contexts of the running system. Tests put something else in its place.

use std::time::{Duration, Instant};

use seam_runtime::call::Call;
use seam_runtime::guest::reconciliation::{DisagreementRecord, SideRecord};
use seam_runtime::run::Mended;
use seam_runtime::serve::Registry;
use seam_store::Range;
use seam_store::ids::Trace;

use super::record::{Amount, Disagreement, MendAnswer};
use crate::limits;
use crate::verify::{TotalLook, Unlooked, declaring, look_at_total};

pub trait World: Send + Sync + 'static {
    /// Whether at least two contexts declare the total.
    ///
    /// # Errors
    /// Why it cannot be looked at.
    fn is_declared(&self, total: &str) -> Result<(), Unlooked>;

    /// Calls `each` for every key of the total on which its contexts do not agree.
    ///
    /// # Errors
    /// When it could not be looked at, or not to the end.
    fn look(&self, total: &str, each: &mut dyn FnMut(&str, Vec<Amount>)) -> Result<TotalLook, Unlooked>;

    /// Asks `context` to mend.
    fn mend(&self, context: &str, found: &Disagreement) -> MendAnswer;
}

/// The contexts that serve.
pub struct RunningContexts(pub Registry);

impl World for RunningContexts {
    fn is_declared(&self, total: &str) -> Result<(), Unlooked> {
        declaring(&self.0, total).map(drop)
    }

    fn look(&self, total: &str, each: &mut dyn FnMut(&str, Vec<Amount>)) -> Result<TotalLook, Unlooked> {
        let amount = |(context, range): &(&str, Range)| Amount {
            context: (*context).to_owned(),
            least: range.least,
            most: range.most,
        };
        look_at_total(&self.0, total, &mut |key, sides| each(key, sides.iter().map(amount).collect()))
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
        let asked = self.0.live(context).and_then(|live| live.mend(Call::start(deadline, Trace::start()), &record));
        let short = |why: String| why.chars().take(limits::RECONCILE_ANSWER_CHARS_MAX).collect();
        match asked {
            Ok(Mended::Mended) => MendAnswer::Mended,
            Ok(Mended::Later(why)) => MendAnswer::Later(short(why)),
            Ok(Mended::Refused(why)) => MendAnswer::Refused(short(why)),
            Err(failure) => MendAnswer::Failed(short(failure.to_string())),
        }
    }
}
