//! Calls of other contexts that do not depend on each other, made side by side.
//!
//! Where the contexts live on other hosts, the calls together take the time of the slowest. Where they live in the same
//! process, nothing is gained, and the calls are made one after the other, as without this module.
//!
//! ```ignore
//! let (levels, albums) = seam_sdk::together((|| stock::levels(&skus), || albums::get_albums(&skus)));
//! ```

#[cfg(target_family = "wasm")]
use crate::bindings::seam::host::together as host;

/// Two to six functions without parameters.
pub trait Calls {
    type Answers;

    /// Has the host keep the first call of each.
    #[doc(hidden)]
    fn keep(&self);

    /// Calls each, one after the other.
    #[doc(hidden)]
    fn answers(&self) -> Self::Answers;
}

macro_rules! calls {
    ($($call:ident $answer:ident $at:tt),+) => {
        impl<$($answer, $call: Fn() -> $answer),+> Calls for ($($call,)+) {
            type Answers = ($($answer,)+);

            fn keep(&self) {
                $(
                    collect();
                    drop((self.$at)());
                )+
            }

            fn answers(&self) -> Self::Answers {
                ($((self.$at)(),)+)
            }
        }
    };
}

calls!(A RA 0, B RB 1);
calls!(A RA 0, B RB 1, C RC 2);
calls!(A RA 0, B RB 1, C RC 2, D RD 3);
calls!(A RA 0, B RB 1, C RC 2, D RD 3, E RE 4);
calls!(A RA 0, B RB 1, C RC 2, D RD 3, E RE 4, F RF 5);

/// The answers of `calls`, a tuple of closures. Each closure calls one function of another context and does nothing
/// else but put its answer into shape: it may run twice, and the first time its call answers `unavailable`, before it
/// is made. What a closure calls after that is made one after the other with the rest. A call that fails does not stop
/// the others.
pub fn together<C: Calls>(calls: C) -> C::Answers {
    if !collect() {
        return calls.answers();
    }
    calls.keep();
    perform();
    let answers = calls.answers();
    finish();
    answers
}

/// Whether calls that are made together take less time than one after the other now: one of the contexts that this one
/// calls lives on another host. A context may then ask for more than it needs, and so wait once instead of twice.
pub fn together_pays() -> bool {
    let pays = collect();
    if pays {
        finish();
    }
    pays
}

#[cfg(target_family = "wasm")]
fn collect() -> bool {
    host::collect()
}

#[cfg(target_family = "wasm")]
fn perform() {
    host::perform();
}

#[cfg(target_family = "wasm")]
fn finish() {
    host::finish();
}

/// Natively there is no host that could keep a call.
#[cfg(not(target_family = "wasm"))]
fn collect() -> bool {
    false
}

#[cfg(not(target_family = "wasm"))]
fn perform() {}

#[cfg(not(target_family = "wasm"))]
fn finish() {}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn natively_calls_are_made_once_and_in_their_order() {
        let made = RefCell::new(Vec::new());
        let call = |name: &'static str| {
            made.borrow_mut().push(name);
            name.len()
        };
        let (first, second, third) = together((|| call("a"), || call("bb"), || Err::<(), _>(call("ccc"))));
        assert_eq!((first, second, third), (1, 2, Err(3)));
        assert_eq!(*made.borrow(), ["a", "bb", "ccc"]);
        assert!(!together_pays());
    }
}
