//! One call of `seam:host/reconciliation`: a context is asked to mend what several contexts disagree on.
//!
//! An ordinary call: with the context's own places and time, in the version that serves.
//! Not here: what is asked, when, and what follows from the answer (the host's reconciler).

use std::time::Instant;

use super::Generation;
use crate::call::{Call, Failure};
use crate::guest::bulkhead::Callee;
use crate::guest::dispatch::DispatchTable;
use crate::guest::reconciliation::{DisagreementRecord, OutcomeCase};

/// What a context answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mended {
    Mended,
    /// It could not be done now: why.
    Later(String),
    /// A person has to decide: why.
    Refused(String),
}

impl From<OutcomeCase> for Mended {
    fn from(outcome: OutcomeCase) -> Self {
        match outcome {
            OutcomeCase::Mended => Self::Mended,
            OutcomeCase::Later(why) => Self::Later(why),
            OutcomeCase::Refused(why) => Self::Refused(why),
        }
    }
}

impl Generation {
    /// Whether it exports `seam:host/reconciliation`, and can be called for it.
    pub fn mends(&self) -> bool {
        self.blueprint.mend.is_some() && !self.blueprint.serves_wasi_http
    }

    /// Asks the guest.
    ///
    /// # Errors
    /// When it gave no answer: it may have done what it was asked.
    pub(crate) fn mend(
        &self,
        call: Call,
        callees: &DispatchTable,
        found: &DisagreementRecord<'_>,
    ) -> Result<Mended, Failure> {
        let Some(index) = self.blueprint.mend.as_ref().filter(|_| self.mends()) else {
            let reason = "the version that serves does not export `seam:host/reconciliation`".to_owned();
            return Err(Failure::Absent { context: self.blueprint.context.to_string(), reason });
        };
        self.run(call, Callee::without_function(self.index), callees, Instant::now(), |instance| {
            let (outcome,): (OutcomeCase,) = instance.call(index, (found,))?;
            Ok(outcome.into())
        })
    }
}
