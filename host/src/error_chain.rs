//! An error with its causes, in one line.

use std::error::Error;

/// The message of `error` and those of all that caused it, joined by colons: what `{:#}` prints of an `anyhow::Error`.
pub fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read `a`")]
    struct Read(#[source] std::io::Error);

    #[test]
    fn causes_follow_the_error() {
        assert_eq!(chain(&Read(std::io::Error::other("gone"))), "cannot read `a`: gone");
    }
}
