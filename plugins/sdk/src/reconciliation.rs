//! Reconciliation: the context is asked to mend a key on whose amounts several contexts disagree.
//!
//! `seam_sdk::mends!(Name, mend)` exports it, and the context's world exports `seam:host/reconciliation`. What the
//! context asks of others has a key that stays the same, because it may be asked about one disagreement again.
//! Not here: the totals, which are invariants ([`Invariant`](crate::Invariant)), and when it is asked: the host.

/// What one context says of the key: a range, while a change of it is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    pub context: String,
    pub least: i64,
    pub most: i64,
}

/// Several contexts disagree on a key. The amounts may have changed since they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    pub total: String,
    pub key: String,
    /// All contexts that declare the total; one without a row for the key has 0.
    pub sides: Vec<Side>,
    /// When the host saw it first; seconds since 1970.
    pub since: u64,
    /// Counts from 1.
    pub attempt: u32,
    /// An idempotency key, 32 characters: the same for each attempt.
    pub id: String,
}

/// What has become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All that there was to do is done. The host looks again, and asks again while the contexts still disagree.
    Mended,
    /// It could not be done now: why. It is asked again.
    Later(String),
    /// A person has to decide: why. It is not asked again by itself.
    Refused(String),
}

/// What the store cannot do now, it may do later.
impl From<crate::store::Error> for Outcome {
    fn from(error: crate::store::Error) -> Self {
        Self::Later(error.unavailable())
    }
}

/// Lets the host ask the context to mend: exports `seam:host/reconciliation`, which the context's world names. `$mend`
/// takes a `&Disagreement` and returns an `Outcome`.
///
/// ```ignore
/// seam_sdk::mends!(Orders, mending::mend);
/// ```
#[macro_export]
macro_rules! mends {
    ($context:ident, $mend:expr) => {
        impl exports::seam::host::reconciliation::Guest for $context {
            fn mend(
                found: exports::seam::host::reconciliation::Disagreement,
            ) -> exports::seam::host::reconciliation::Outcome {
                use exports::seam::host::reconciliation as wit;
                use $crate::reconciliation::{Disagreement, Outcome, Side};
                let side = |side: wit::Side| Side { context: side.context, least: side.least, most: side.most };
                let mend: fn(&Disagreement) -> Outcome = $mend;
                let outcome = mend(&Disagreement {
                    total: found.total,
                    key: found.key,
                    sides: found.sides.into_iter().map(side).collect(),
                    since: found.since,
                    attempt: found.attempt,
                    id: found.id,
                });
                match outcome {
                    Outcome::Mended => wit::Outcome::Mended,
                    Outcome::Later(why) => wit::Outcome::Later(why),
                    Outcome::Refused(why) => wit::Outcome::Refused(why),
                }
            }
        }
    };
}
