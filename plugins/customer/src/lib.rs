//! The customer context: who the shop's customers are, and whether somebody is one of them.
//!
//! `domain` holds the rules, `secrets` the hashes, `store` the SQL, `accounts` the order in which they are asked; this file is where they
//! meet the component's interfaces.

pub mod accounts;
pub mod domain;
pub mod secrets;
pub mod store;

wit_bindgen::generate!({
    path: ["../../wit/host", "../../wit/customer"],
    world: "musiccorp:customer/customer",
    generate_all,
});

use exports::musiccorp::customer::accounts as wit;
use exports::musiccorp::customer::administration;

seam_sdk::context!(Customer, "0001-accounts");

impl wit::Guest for Customer {
    fn sign_up(email: String, password: String, name: String, from: String) -> Result<wit::Session, wit::Error> {
        Ok(accounts::sign_up(&email, &password, &name, &from)?.into())
    }

    fn sign_in(email: String, password: String, from: String) -> Result<wit::Session, wit::Error> {
        Ok(accounts::sign_in(&email, &password, &from)?.into())
    }

    fn sign_out(token: String) -> Result<(), wit::Error> {
        Ok(accounts::sign_out(&token)?)
    }

    fn who(token: String) -> Result<Option<wit::Account>, wit::Error> {
        Ok(accounts::who(&token)?.map(wit::Account::from))
    }

    fn change_address(token: String, address: wit::Address) -> Result<wit::Account, wit::Error> {
        Ok(accounts::change_address(&token, &address.into())?.into())
    }

    fn change_password(token: String, old: String, new: String) -> Result<(), wit::Error> {
        Ok(accounts::change_password(&token, &old, &new)?)
    }

    fn delete_account(token: String, password: String) -> Result<(), wit::Error> {
        Ok(accounts::delete_account(&token, &password)?)
    }

    fn names(ids: Vec<String>) -> Result<Vec<Option<String>>, wit::Error> {
        Ok(accounts::names(&ids)?)
    }

    fn find(email: String) -> Result<Option<String>, wit::Error> {
        Ok(accounts::find(&email)?)
    }
}

impl administration::Guest for Customer {
    fn put_accounts(accounts: Vec<administration::KnownAccount>) -> Result<u32, wit::Error> {
        let known = accounts.into_iter().map(domain::known::Known::from).collect();
        Ok(accounts::put_accounts(known)?)
    }

    fn set_operator(email: String, operator: bool) -> Result<(), wit::Error> {
        Ok(accounts::set_operator(&email, operator)?)
    }
}

impl From<domain::Error> for wit::Error {
    fn from(error: domain::Error) -> Self {
        use domain::{Error, Problem};
        match error {
            Error::Fields(problems) => {
                let field = |Problem { field, problem }| wit::FieldProblem { field: field.into(), problem };
                Self::Fields(problems.into_iter().map(field).collect())
            }
            Error::Taken => Self::Taken,
            Error::WrongPassword => Self::WrongPassword,
            Error::Wait(seconds) => Self::Wait(seconds),
            Error::SignedOut => Self::SignedOut,
            Error::Invalid(why) => Self::Invalid(why),
            Error::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

impl From<domain::Session> for wit::Session {
    fn from(session: domain::Session) -> Self {
        let domain::Session { token, expires, account } = session;
        Self { token, expires, account: account.into() }
    }
}

impl From<domain::Account> for wit::Account {
    fn from(account: domain::Account) -> Self {
        let domain::Account { id, email, name, address, operator, since } = account;
        Self { id, email, name, address: address.map(wit::Address::from), operator, since }
    }
}

impl From<domain::Address> for wit::Address {
    fn from(address: domain::Address) -> Self {
        let domain::Address { name, street, extra, city, postcode, country } = address;
        Self { name, street, extra, city, postcode, country }
    }
}

impl From<wit::Address> for domain::Address {
    fn from(address: wit::Address) -> Self {
        let wit::Address { name, street, extra, city, postcode, country } = address;
        Self { name, street, extra, city, postcode, country }
    }
}

impl From<administration::KnownAccount> for domain::known::Known {
    fn from(account: administration::KnownAccount) -> Self {
        let administration::KnownAccount { id, email, name, address, operator, since, password_hash } = account;
        // The key is made when the address is checked.
        let email = domain::form::Email { shown: email, key: String::new() };
        Self { id, email, name, address: address.map(domain::Address::from), operator, since, password_hash }
    }
}
