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

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

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
    pub const AT: &str = "seam-at-ms";
    pub const SIDE: &str = "seam-side";
    pub const TRACE: &str = "traceparent";
    pub const OUTCOME: &str = "seam-outcome";
    pub const CONTEXT: &str = "seam-context";
    pub const RULE: &str = "seam-rule";
    pub const HOME: &str = "seam-home";
    pub const TOKEN: &str = "seam-token";
}

/// Why a body was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    #[error("it has more than {max} bytes")]
    TooLarge { max: usize },
    #[error("it was cut off")]
    Cut(#[source] hyper::Error),
}

/// The bytes of a body of at most `max` bytes.
///
/// # Errors
/// When it is larger, or ends before its end.
pub async fn collect(mut body: Incoming, max: usize) -> Result<Bytes, Unread> {
    let too_large = Unread::TooLarge { max };
    let length = body.size_hint().exact().unwrap_or_default();
    if length > max as u64 {
        return Err(too_large);
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Unread::Cut)?.into_data() else { continue };
        if first.len().max(all.len()) + data.len() > max {
            return Err(too_large);
        }
        // Most bodies come in one piece, which is not copied.
        if first.is_empty() && all.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.reserve(usize::try_from(length).unwrap_or_default().min(max));
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
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
