//! What the customer context accepts, and what it says when it does not. Pure: no store, no host, no hashing.
//!
//! `form` checks what a shopper typed, `passwords` what may be a password, `known` the accounts of a seed, `limits` how
//! often one may try.

pub mod form;
pub mod known;
pub mod limits;
pub mod passwords;

/// Ids in one call of `names`.
pub const NAMES_MAX: usize = 500;
/// How long a session lasts.
pub const SESSION_SECONDS: u64 = 30 * 24 * 60 * 60;
/// How long an operator's session lasts.
pub const OPERATOR_SECONDS: u64 = 24 * 60 * 60;
/// How long an operator's session may rest: a working day ends it.
pub const REST_SECONDS: u64 = 8 * 60 * 60;
/// How exactly it is noted when an operator's session was used last: each note is a commit.
pub const USED_SECONDS: u64 = 5 * 60;
/// How long a typed password proves that the session is in its owner's hands.
pub const PROOF_SECONDS: u64 = 15 * 60;
/// How long a form that changed the password or deleted the account is known when it is sent again.
pub const REPEAT_SECONDS: u64 = 60;
/// Sessions of one account; a further one ends the oldest. A customer has fewer devices, and signing in must not fill
/// the store.
pub const SESSIONS_MAX: u32 = 200;
/// How long a browser stays known after the account was last signed in there.
pub const BROWSER_SECONDS: u64 = 180 * 24 * 60 * 60;
/// Known browsers of one account; a further one replaces the longest unused. A customer has fewer, and each adds its
/// own limit of guesses.
pub const BROWSERS_MAX: u32 = 20;
/// The name of a customer who deleted the account.
pub const DELETED_NAME: &str = "deleted account";
const ID_CHARS_MAX: usize = 32;

/// Whether `id` could be a customer's.
pub fn is_id(id: &str) -> bool {
    let rest = id.strip_prefix("C-").unwrap_or_default();
    !rest.is_empty() && id.len() <= ID_CHARS_MAX && rest.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Whether `token` could be a session's, or the key of a browser.
pub fn is_token(token: &str) -> bool {
    token.len() == 64 && token.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The countries of the shared reference data; without them any two capital letters are a country.
#[derive(Debug, Clone, Default)]
pub struct Countries(Option<String>);

impl Countries {
    /// Takes lines such as `GB United Kingdom`.
    pub fn new(lines: Option<String>) -> Self {
        Self(lines)
    }

    fn has(&self, code: &str) -> bool {
        code.len() == 2
            && code.bytes().all(|b| b.is_ascii_uppercase())
            && match &self.0 {
                Some(lines) => lines.lines().any(|line| line.split_whitespace().next() == Some(code)),
                None => true,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_and_tokens_are_taken_for_them() {
        for good in ["C-1", "C-0f3a", &format!("C-{}", "z".repeat(30))] {
            assert!(is_id(good), "{good}");
        }
        for bad in ["", "C-", "c-1", "1", "C-1 ", "C-1-2", "C-é", "C-1\0", &format!("C-{}", "z".repeat(31))] {
            assert!(!is_id(bad), "{bad:?}");
        }
        assert!(is_token(&"0f".repeat(32)));
        for bad in ["", "0f", &"0F".repeat(32), &"0g".repeat(32), &"0f".repeat(33)] {
            assert!(!is_token(bad), "{bad:?}");
        }
    }

    #[test]
    fn countries_are_those_of_the_list_or_any_two_capitals() {
        let listed = Countries::new(Some("GB United Kingdom\nIE Ireland\n".into()));
        assert!(listed.has("GB") && listed.has("IE"));
        for bad in ["FR", "gb", "United", "", "GB United Kingdom", " GB"] {
            assert!(!listed.has(bad), "{bad}");
        }
        let any = Countries::default();
        assert!(any.has("FR") && !any.has("fr") && !any.has("FRA") && !any.has("É"));
    }
}
