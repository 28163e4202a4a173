//! Calls, questions for events and totals, and their outcomes as HTTP/2 requests and responses: docs/remote-calls.md,
//! "Over HTTP/2".
//!
//! Invariant: what one side writes, the other side reads as the same value, or refuses with the field that is wrong.

mod head;
pub mod outbox;
mod outcome;
mod step;
pub mod total;
pub mod two_phase;
mod wanted;

pub use self::head::{greeting, request};
pub use self::outcome::{Answered, Rejection, answered, carried, greeted, rejected};
pub use self::step::{Step, request as step_request};
pub use self::wanted::{Wanted, read};

/// The first segment of each path. Another form of requests gets another one.
pub const FORM: &str = "v1";

/// The fields of this form. A request with another field of this prefix is refused.
pub mod field {
    pub const PREFIX: &str = "seam-";
    pub const CODEC: &str = "seam-codec";
    pub const PLACEMENT: &str = "seam-placement";
    pub const SIGNATURE: &str = "seam-signature";
    pub const REMAINING: &str = "seam-remaining-ms";
    pub const CHAIN: &str = "seam-chain";
    pub const VISITOR: &str = "seam-visitor";
    pub const FORCED: &str = "seam-forced";
    pub const BULK: &str = "seam-bulk";
    pub const SUBSCRIBER: &str = "seam-subscriber";
    pub const AFTER: &str = "seam-after";
    pub const UP_TO: &str = "seam-up-to";
    pub const MOST: &str = "seam-most";
    pub const WAIT: &str = "seam-wait-ms";
    pub const TAKEN: &str = "seam-taken";
    pub const TRANSACTION: &str = "seam-transaction";
    pub const COORDINATOR: &str = "seam-coordinator";
    pub const BEFORE: &str = "seam-before";
    pub const CALLEE: &str = "seam-callee";
    pub const AT: &str = "seam-at-ms";
    pub const SIDE: &str = "seam-side";
    pub const TRACE: &str = "traceparent";
    pub const OUTCOME: &str = "seam-outcome";
    pub const CONTEXT: &str = "seam-context";
    pub const RULE: &str = "seam-rule";
    pub const HOME: &str = "seam-home";
    pub const TOKEN: &str = "seam-token";
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn the_page_for_writers_of_clients_names_each_field_and_outcome() {
        let page = include_str!("../../../../docs/remote-calls.md");
        let fields = [
            field::CODEC,
            field::PLACEMENT,
            field::SIGNATURE,
            field::REMAINING,
            field::CHAIN,
            field::VISITOR,
            field::FORCED,
            field::BULK,
            field::SUBSCRIBER,
            field::AFTER,
            field::UP_TO,
            field::MOST,
            field::WAIT,
            field::TAKEN,
            field::TRANSACTION,
            field::COORDINATOR,
            field::BEFORE,
            field::CALLEE,
            field::AT,
            field::SIDE,
            field::TRACE,
            field::OUTCOME,
            field::CONTEXT,
            field::RULE,
            field::HOME,
            field::TOKEN,
        ];
        for name in fields.into_iter().chain(super::outcome::NAMES) {
            assert!(page.contains(&format!("`{name}`")), "{name}");
        }
    }
}
