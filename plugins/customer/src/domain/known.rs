//! Accounts made elsewhere, as a seed puts them: the rules of the forms hold for them, and every problem names its row
//! and field.

use std::collections::BTreeMap;

use super::form::{self, Email};
use super::{Countries, is_id};
use crate::administration::KnownAccount;
use crate::wit::Error;

/// Accounts in one call.
pub const ACCOUNTS_MAX: usize = 1_000;
/// The last second of the year 9999.
const SINCE_MAX: u64 = 253_402_300_799;

/// An account that has passed the checks.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    pub account: KnownAccount,
    /// The e-mail address as it is compared.
    pub email_key: String,
}

/// Checks all of `accounts`; `why_not` says what is wrong with a password's hash.
pub fn check(
    accounts: Vec<KnownAccount>,
    countries: &Countries,
    why_not: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Checked>, Error> {
    if accounts.len() > ACCOUNTS_MAX {
        return Err(Error::Invalid(format!("{} accounts in one call; {ACCOUNTS_MAX} are allowed", accounts.len())));
    }
    let (mut ids, mut keys) = (BTreeMap::new(), BTreeMap::new());
    let mut checked = Vec::with_capacity(accounts.len());
    for (i, mut account) in accounts.into_iter().enumerate() {
        if !is_id(&account.id) {
            return Err(wrong(i, "id", "not `C-` and digits or letters, at most 32 characters"));
        }
        // No message repeats an address or a name: messages reach logs.
        let Email { shown, key: email_key } = form::email(&account.email).map_err(|error| in_row(i, "", error))?;
        account.email = shown;
        account.name = form::name(&account.name).map_err(|error| in_row(i, "", error))?;
        if let Some(address) = &mut account.address {
            *address = form::address(address, countries).map_err(|error| in_row(i, "address.", error))?;
        }
        if account.since > SINCE_MAX {
            return Err(wrong(i, "since", "after the year 9999"));
        }
        if let Some(why) = why_not(&account.password_hash) {
            return Err(wrong(i, "password-hash", &why));
        }
        for (seen, field, value) in [(&mut ids, "id", &account.id), (&mut keys, "email", &email_key)] {
            if let Some(first) = seen.insert(value.clone(), i) {
                return Err(wrong(i, field, &format!("stands in row {} already", first + 1)));
            }
        }
        checked.push(Checked { account, email_key });
    }
    Ok(checked)
}

/// What is wrong with `field` of the `i`th account, counted from 0.
pub fn wrong(i: usize, field: &str, why: &str) -> Error {
    Error::Invalid(format!("row {}, {field}: {why}", i + 1))
}

fn in_row(i: usize, within: &str, error: Error) -> Error {
    let Error::Fields(problems) = error else { return error };
    let texts: Vec<_> = problems.iter().map(|p| format!("row {}, {within}{}: {}", i + 1, p.field, p.problem)).collect();
    Error::Invalid(texts.join("; "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "tests")]

    use super::*;
    use crate::wit::Address;

    fn account(number: usize) -> KnownAccount {
        KnownAccount {
            id: format!("C-{number}"),
            email: format!("Anna{number}@example.org"),
            name: "Anna Lind".into(),
            address: None,
            operator: false,
            since: 1_700_000_000,
            password_hash: "good".into(),
        }
    }

    fn checked(accounts: Vec<KnownAccount>) -> Result<Vec<Checked>, Error> {
        let hash = |hash: &str| (hash != "good").then(|| "not good".into());
        check(accounts, &Countries::new(Some("SE Sweden".into())), hash)
    }

    #[test]
    fn good_accounts_pass_with_the_key_of_their_address() {
        let passed = checked(vec![account(1), KnownAccount { operator: true, ..account(2) }]);
        assert!(passed.is_ok_and(|passed| passed[1].email_key == "anna2@example.org"));
    }

    #[test]
    fn a_list_over_its_bound_is_refused() {
        let accounts: Vec<_> = (0..=ACCOUNTS_MAX).map(account).collect();
        assert_eq!(
            checked(accounts.clone()),
            Err(Error::Invalid("1001 accounts in one call; 1000 are allowed".into()))
        );
        assert!(checked(accounts[1..].to_vec()).is_ok());
    }

    #[test]
    fn a_problem_names_its_row_and_field() {
        let nowhere = Address {
            name: "Anna".into(),
            street: String::new(),
            extra: String::new(),
            city: "Malmö".into(),
            postcode: "1".repeat(17),
            country: "SE".into(),
        };
        for (bad, expect) in [
            (KnownAccount { id: "7".into(), ..account(2) }, "row 2, id: not `C-` and"),
            (KnownAccount { id: "C-1".into(), ..account(2) }, "row 2, id: stands in row 1 already"),
            (KnownAccount { email: "anna".into(), ..account(2) }, "row 2, email: Please enter a whole"),
            (KnownAccount { email: "ANNA1@Example.org".into(), ..account(2) }, "row 2, email: stands in row 1 already"),
            (KnownAccount { name: "\n".into(), ..account(2) }, "row 2, name: Please tell us"),
            (
                KnownAccount { address: Some(nowhere), ..account(2) },
                "row 2, address.street: Please enter the street and the number.; row 2, address.postcode: Please use at most 16",
            ),
            (KnownAccount { since: u64::MAX, ..account(2) }, "row 2, since: after the year"),
            (KnownAccount { password_hash: "plain".into(), ..account(2) }, "row 2, password-hash: not good"),
        ] {
            match checked(vec![account(1), bad]) {
                Err(Error::Invalid(why)) => assert!(why.starts_with(expect), "{why}"),
                other => panic!("{expect}: {other:?}"),
            }
        }
    }
}
