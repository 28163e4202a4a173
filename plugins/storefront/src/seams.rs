//! What the storefront asks of other contexts, as a trait, so that pages can be tested without a host.
//!
//! The types are those of the WIT interfaces. Of the catalogue's reading side the trait says only "it did not work", as the pages make no
//! other difference; of everything that changes something, or that belongs to a person, it hands on the interface's own error.

pub use crate::bindings::exports::seam::host::http_handler::{Request, Response};
pub use crate::bindings::musiccorp::catalog::albums::{Album, AlbumPage, Error as CatalogError, Facet, Facets, Money};
pub use crate::bindings::musiccorp::customer::accounts;
pub use crate::bindings::musiccorp::finance::{books, payments};
pub use crate::bindings::musiccorp::orders::ordering;
pub use crate::bindings::musiccorp::recommendation::engine::Suggestion;
pub use crate::bindings::musiccorp::warehouse::fulfilment::{Error as FulfilmentError, Line as PickLine, Pick, Stage};
pub use crate::bindings::musiccorp::warehouse::stock::{Cause, Error as StockError, Level, Movement, Tally};

/// Why a question to another context has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The other side refused the question: what the visitor asked makes no sense to it.
    Refused,
    /// The other side is not there, or not in time. The page goes on without it where it can.
    Absent,
}

/// What to browse by; the fields given must all match.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter<'a> {
    pub genre: Option<&'a str>,
    pub artist: Option<&'a str>,
    pub decade: Option<u16>,
}

/// A function that somebody does not provide is one whose context is not there: the catalogue's pages alone are a shop too.
const NOT_LINKED: &str = "not linked";

/// Declares functions of [`Seams`] that are `unavailable` unless provided.
macro_rules! optional {
    ($($(#[$doc:meta])* fn $name:ident(&self $(, $arg:ident: $type:ty)* $(,)?) -> Result<$ok:ty, $error:ty>;)*) => {
        $($(#[$doc])*
        #[allow(unused_variables)]
        fn $name(&self $(, $arg: $type)*) -> Result<$ok, $error> {
            Err(<$error>::Unavailable(NOT_LINKED.into()))
        })*
    };
}

/// The other contexts, and what the host gives. Pages count from 1. What a `key` means is said in the interfaces.
pub trait Seams {
    /// In the order asked, unknown ones left out.
    fn albums(&self, skus: &[&str]) -> Result<Vec<Album>, Trouble>;
    fn search(&self, words: &str, page: u32, size: u32) -> Result<AlbumPage, Trouble>;
    fn browse(&self, filter: Filter<'_>, page: u32, size: u32) -> Result<AlbumPage, Trouble>;
    fn facets(&self) -> Result<Facets, Trouble>;
    /// In the order asked, one for each.
    fn levels(&self, skus: &[&str]) -> Result<Vec<Level>, Trouble>;
    /// Best first; the popular ones when `skus` is empty.
    fn suggest(&self, skus: &[&str], count: u32) -> Result<Vec<Suggestion>, Trouble>;

    optional! {
        // `catalog/editing`
        fn add_album(&self, album: &Album) -> Result<(), CatalogError>;
        fn change_price(&self, sku: &str, price: &Money) -> Result<(), CatalogError>;
        fn discontinue(&self, sku: &str) -> Result<(), CatalogError>;

        // `warehouse/stock`
        fn restock(&self, key: &str, sku: &str, copies: u32, note: &str) -> Result<Level, StockError>;
        fn stocktake(&self, levels: &[Level]) -> Result<u32, StockError>;
        /// Newest first.
        fn stock_history(&self, sku: &str, count: u32) -> Result<Vec<Movement>, StockError>;
        /// Of everything when `skus` is empty.
        fn tally(&self, skus: &[&str]) -> Result<Tally, StockError>;

        // `warehouse/fulfilment`
        /// Oldest first.
        fn pick_list(&self, count: u32) -> Result<Vec<Pick>, FulfilmentError>;

        // `customer/accounts`
        fn sign_up(
            &self,
            email: &str,
            password: &str,
            name: &str,
            from: &str,
        ) -> Result<accounts::Session, accounts::Error>;
        fn sign_in(&self, email: &str, password: &str, from: &str) -> Result<accounts::Session, accounts::Error>;
        fn sign_out(&self, token: &str) -> Result<(), accounts::Error>;
        fn who(&self, token: &str) -> Result<Option<accounts::Account>, accounts::Error>;
        fn change_address(
            &self,
            token: &str,
            address: &accounts::Address,
        ) -> Result<accounts::Account, accounts::Error>;
        fn change_password(&self, token: &str, old: &str, new: &str) -> Result<(), accounts::Error>;
        fn delete_account(&self, token: &str, password: &str) -> Result<(), accounts::Error>;
        /// In the order asked.
        fn names(&self, ids: &[&str]) -> Result<Vec<Option<String>>, accounts::Error>;
        /// The id of who has this e-mail address.
        fn find_customer(&self, email: &str) -> Result<Option<String>, accounts::Error>;

        // `orders/ordering`
        fn quote(&self, lines: &[ordering::Line]) -> Result<ordering::Quote, ordering::Error>;
        fn place(&self, key: &str, request: &ordering::Request) -> Result<ordering::Order, ordering::Error>;
        fn order(&self, customer: &str, number: &str) -> Result<ordering::Order, ordering::Error>;
        fn orders_of(&self, customer: &str, page: u32) -> Result<ordering::Page, ordering::Error>;
        fn cancel(&self, key: &str, customer: &str, number: &str) -> Result<ordering::Order, ordering::Error>;
        fn request_return(
            &self,
            key: &str,
            customer: &str,
            number: &str,
            lines: &[ordering::Line],
        ) -> Result<ordering::Order, ordering::Error>;

        // `orders/desk`
        fn orders_in_state(&self, state: ordering::State, page: u32) -> Result<ordering::Page, ordering::Error>;
        fn desk_order(&self, number: &str) -> Result<ordering::Order, ordering::Error>;
        fn ship(&self, key: &str, number: &str) -> Result<ordering::Order, ordering::Error>;
        fn receive_return(&self, key: &str, number: &str) -> Result<ordering::Order, ordering::Error>;
        fn desk_cancel(&self, key: &str, number: &str, reason: &str) -> Result<ordering::Order, ordering::Error>;
        fn settle(&self) -> Result<u32, ordering::Error>;

        // `finance/books` and `finance/payments`
        fn statement(&self, customer: &str) -> Result<books::Statement, payments::Error>;
        fn invoice(&self, order: &str) -> Result<Option<books::Invoice>, payments::Error>;
        fn trial_balance(&self) -> Result<books::TrialBalance, payments::Error>;
        fn payments(&self, orders: &[&str]) -> Result<Vec<payments::Payment>, payments::Error>;
        fn refund(
            &self,
            key: &str,
            order: &str,
            amount: u64,
            reason: &str,
        ) -> Result<payments::Payment, payments::Error>;
    }

    /// A setting that the manifest gives, such as `reference.currencies`.
    fn setting(&self, _key: &str) -> Option<String> {
        None
    }

    /// Bytes that nobody can guess.
    fn random(&self) -> [u8; 16] {
        seam_sdk::random::bytes()
    }

    /// Seconds since 1970, UTC.
    fn now(&self) -> u64 {
        seam_sdk::clock::now()
    }

    /// Something that an operator should look at some day. Nothing personal goes in here.
    fn warn(&self, message: &str) {
        seam_sdk::log::warn(message);
    }
}
