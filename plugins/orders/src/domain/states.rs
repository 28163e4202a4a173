//! The state machine of an order: one table.

use serde::{Deserialize, Serialize};

use crate::wit::State;

/// What changes an order's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Confirm,
    Reject,
    Cancel,
    Ship,
    RequestReturn,
    ReceiveReturn,
}

/// A change that calls other contexts, and so takes longer than a transaction. While one is under way, no other starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Doing {
    Place,
    /// As `Place`, of orders from before sagas.
    Undo,
    Cancel,
    Ship,
    TakeBack,
}

impl Doing {
    pub fn name(self) -> &'static str {
        match self {
            Self::Place => "place",
            Self::Undo => "undo",
            Self::Cancel => "cancel",
            Self::Ship => "ship",
            Self::TakeBack => "take-back",
        }
    }

    /// Why nothing else can be done now, in a sentence for the customer.
    pub fn refusal(self) -> &'static str {
        match self {
            Self::Place | Self::Undo => "The order is still being placed.",
            Self::Cancel => "The order is being cancelled at this moment.",
            Self::Ship => "The order is being shipped at this moment.",
            Self::TakeBack => "The returned copies are being taken in at this moment.",
        }
    }
}

pub const ALL: [State; 7] = [
    State::Placing,
    State::Placed,
    State::Shipped,
    State::ReturnRequested,
    State::Returned,
    State::Cancelled,
    State::Rejected,
];

impl Step {
    pub const ALL: [Step; 6] =
        [Step::Confirm, Step::Reject, Step::Cancel, Step::Ship, Step::RequestReturn, Step::ReceiveReturn];

    /// From which state it leads to which. Every step has one of each.
    pub fn way(self) -> (State, State) {
        match self {
            Self::Confirm => (State::Placing, State::Placed),
            Self::Reject => (State::Placing, State::Rejected),
            Self::Cancel => (State::Placed, State::Cancelled),
            Self::Ship => (State::Placed, State::Shipped),
            Self::RequestReturn => (State::Shipped, State::ReturnRequested),
            Self::ReceiveReturn => (State::ReturnRequested, State::Returned),
        }
    }

    /// As it stands with a key.
    pub fn name(self) -> &'static str {
        match self {
            Self::Confirm | Self::Reject => "place",
            Self::Cancel => "cancel",
            Self::Ship => "ship",
            Self::RequestReturn => "request-return",
            Self::ReceiveReturn => "receive-return",
        }
    }

    /// The change that is under way meanwhile; none: a transaction is enough.
    pub fn doing(self) -> Option<Doing> {
        match self {
            Self::Confirm | Self::Reject => Some(Doing::Place),
            Self::Cancel => Some(Doing::Cancel),
            Self::Ship => Some(Doing::Ship),
            Self::RequestReturn => None,
            Self::ReceiveReturn => Some(Doing::TakeBack),
        }
    }

    /// The state after it, or why it cannot be taken, in a sentence for the customer.
    pub fn from(self, state: State) -> Result<State, &'static str> {
        let (before, after) = self.way();
        if state == before { Ok(after) } else { Err(refusal(state)) }
    }

    /// Whether an order that is in `state` now has taken it on its way.
    pub fn taken_by(self, state: State) -> bool {
        let (_, mut reached) = self.way();
        loop {
            if reached == state {
                return true;
            }
            // After the first choice, an order has one way to go.
            reached = match reached {
                State::Shipped => State::ReturnRequested,
                State::ReturnRequested => State::Returned,
                _ => return false,
            };
        }
    }
}

fn refusal(state: State) -> &'static str {
    match state {
        State::Placing => "The order is still being placed.",
        State::Placed => "The order has not been shipped yet.",
        State::Shipped => "The order has been shipped.",
        State::ReturnRequested => "A return of the order is under way.",
        State::Returned => "Copies of the order have been returned.",
        State::Cancelled => "The order has been cancelled.",
        State::Rejected => "The order was never placed.",
    }
}

/// As it stands in the file.
pub fn name(state: State) -> &'static str {
    match state {
        State::Placing => "placing",
        State::Placed => "placed",
        State::Shipped => "shipped",
        State::ReturnRequested => "return-requested",
        State::Returned => "returned",
        State::Cancelled => "cancelled",
        State::Rejected => "rejected",
    }
}

/// The other way round.
pub fn named(text: &str) -> Option<State> {
    ALL.into_iter().find(|state| name(*state) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_from_every_state() {
        use State::*;
        for step in Step::ALL {
            for state in ALL {
                let expect = match (step, state) {
                    (Step::Confirm, Placing) => Some(Placed),
                    (Step::Reject, Placing) => Some(Rejected),
                    (Step::Cancel, Placed) => Some(Cancelled),
                    (Step::Ship, Placed) => Some(Shipped),
                    (Step::RequestReturn, Shipped) => Some(ReturnRequested),
                    (Step::ReceiveReturn, ReturnRequested) => Some(Returned),
                    _ => None,
                };
                assert_eq!(step.from(state).ok(), expect, "{step:?} from {state:?}");
            }
        }
    }

    #[test]
    fn a_state_tells_which_steps_led_to_it() {
        use State::*;
        let taken = |state| Step::ALL.into_iter().filter(|step| step.taken_by(state)).collect::<Vec<_>>();
        for (state, expect) in [
            (Placing, vec![]),
            (Placed, vec![Step::Confirm]),
            (Shipped, vec![Step::Ship]),
            (ReturnRequested, vec![Step::Ship, Step::RequestReturn]),
            (Returned, vec![Step::Ship, Step::RequestReturn, Step::ReceiveReturn]),
            (Cancelled, vec![Step::Cancel]),
            (Rejected, vec![Step::Reject]),
        ] {
            assert_eq!(taken(state), expect, "{state:?}");
        }
    }

    #[test]
    fn a_state_is_read_as_it_was_written() {
        for state in ALL {
            assert_eq!(named(name(state)), Some(state));
        }
        assert_eq!(named("Placed"), None);
    }
}
