//! The customer context: who the shop's customers are, and whether a visitor is one of them.
//!
//! The records of the interfaces are its types. `domain` holds the rules, `secrets` the hashes, `store` the SQL,
//! `accounts` the order in which they are asked; this file is where they meet.

pub mod accounts;
pub mod domain;
pub mod secrets;
pub mod store;

wit_bindgen::generate!({
    path: ["../../wit/host", "../../wit/customer"],
    world: "musiccorp:customer/customer",
    generate_all,
    additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
});

pub use exports::musiccorp::customer::{accounts as wit, administration};

seam_sdk::context!(Customer, migrations);
seam_sdk::errors!(wit::Error);

impl wit::Guest for Customer {
    fn sign_up(email: String, password: String, name: String, from: String) -> Result<wit::Session, wit::Error> {
        accounts::sign_up(&email, &password, &name, &from)
    }

    fn sign_in(email: String, password: String, from: String) -> Result<wit::Session, wit::Error> {
        accounts::sign_in(&email, &password, &from, None)
    }

    fn sign_in_known(
        email: String,
        password: String,
        from: String,
        browser: String,
    ) -> Result<wit::Session, wit::Error> {
        accounts::sign_in(&email, &password, &from, Some(&browser))
    }

    fn remember_browser(token: String, browser: Option<String>) -> Result<String, wit::Error> {
        accounts::remember_browser(&token, browser.as_deref())
    }

    fn sign_out(token: String) -> Result<(), wit::Error> {
        accounts::sign_out(&token)
    }

    fn who(token: String) -> Result<Option<wit::Account>, wit::Error> {
        accounts::who(&token)
    }

    fn prove(token: String, password: String) -> Result<(), wit::Error> {
        accounts::prove(&token, &password)
    }

    fn is_proved(token: String) -> Result<bool, wit::Error> {
        accounts::is_proved(&token)
    }

    fn check_address(address: wit::Address) -> Result<(), wit::Error> {
        accounts::check_address(&address)
    }

    fn change_address(token: String, address: wit::Address) -> Result<wit::Account, wit::Error> {
        accounts::change_address(&token, &address)
    }

    fn change_password(token: String, old: String, new: String) -> Result<(), wit::Error> {
        accounts::change_password(&token, &old, &new)
    }

    fn delete_account(token: String, password: String) -> Result<(), wit::Error> {
        accounts::delete_account(&token, &password)
    }

    fn names(ids: Vec<String>) -> Result<Vec<Option<String>>, wit::Error> {
        accounts::names(&ids)
    }

    fn find(email: String) -> Result<Option<String>, wit::Error> {
        accounts::find(&email)
    }
}

impl administration::Guest for Customer {
    fn put_accounts(accounts: Vec<administration::KnownAccount>) -> Result<u32, wit::Error> {
        accounts::put_accounts(accounts)
    }

    fn set_operator(email: String, operator: bool) -> Result<(), wit::Error> {
        accounts::set_operator(&email, operator)
    }

    fn forget_attempts() -> Result<u32, wit::Error> {
        accounts::forget_attempts()
    }
}
