//! The storefront's calls to other contexts. The functions of the trait make them; tests override these functions and
//! so need no host.
//!
//! The types are those of the WIT interfaces. A function that reads goods fails with [`CallError`], because the pages
//! need no more detail. A function that changes something or reads a person's data fails with the interface's error.

pub use crate::bindings::exports::seam::host::http_handler::{Request, Response};
use crate::bindings::musiccorp::catalog::albums;
pub use crate::bindings::musiccorp::catalog::albums::{
    Album, AlbumPage, Error as CatalogError, Facet, Facets, Money, Sorting,
};
pub use crate::bindings::musiccorp::catalog::editing;
pub use crate::bindings::musiccorp::customer::accounts;
pub use crate::bindings::musiccorp::finance::{books, payments};
pub use crate::bindings::musiccorp::orders::{desk, ordering};
use crate::bindings::musiccorp::recommendation::engine;
pub use crate::bindings::musiccorp::recommendation::engine::Suggestion;
pub use crate::bindings::musiccorp::warehouse::fulfilment::{Error as FulfilmentError, Line as PickLine, Pick, Stage};
pub use crate::bindings::musiccorp::warehouse::stock::{
    Cause, Error as StockError, Level, Movement, MovementBy, Tally,
};
use crate::bindings::musiccorp::warehouse::{fulfilment, stock};

/// Why a call to another context has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallError {
    /// The callee rejected the arguments.
    Invalid,
    /// The callee is absent or did not answer in time. Pages that can do without its answer leave it out.
    Unavailable,
}

/// Albums must match all given fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter<'a> {
    pub genre: Option<&'a str>,
    pub artist: Option<&'a str>,
    pub decade: Option<u16>,
}

/// Calls to the other contexts and to the host. Pages count from 1. The interfaces define the meaning of a `key`.
pub trait Seams {
    // `catalog/albums`, `warehouse/stock` and `recommendation/engine`, to read goods
    /// In the order of `skus`, without unknown ones.
    fn albums(&self, skus: &[&str]) -> Result<Vec<Album>, CallError> {
        Ok(albums::get_albums(skus)?)
    }

    fn search(&self, words: &str, page: u32, size: u32) -> Result<AlbumPage, CallError> {
        Ok(albums::search(words, albums::Paging { page, size })?)
    }

    fn browse(&self, filter: Filter<'_>, page: u32, size: u32) -> Result<AlbumPage, CallError> {
        let Filter { genre, artist, decade } = filter;
        let filter = albums::Filter { genre: genre.map(Into::into), artist: artist.map(Into::into), decade };
        Ok(albums::browse(&filter, albums::Paging { page, size })?)
    }

    /// The SKUs of a whole list, up to 1,000: of a search, or without `words` of a filter.
    fn list_skus(&self, words: &str, filter: Filter<'_>, sorting: Sorting) -> Result<Vec<String>, CallError> {
        let Filter { genre, artist, decade } = filter;
        let filter = albums::Filter { genre: genre.map(Into::into), artist: artist.map(Into::into), decade };
        Ok(albums::list_skus(words, &filter, sorting)?)
    }

    /// Words that find more than these.
    fn did_you_mean(&self, words: &str) -> Result<Option<String>, CallError> {
        Ok(albums::did_you_mean(words)?)
    }

    fn facets(&self) -> Result<Facets, CallError> {
        Ok(albums::get_facets()?)
    }

    /// One for each of `skus`, in their order.
    fn levels(&self, skus: &[&str]) -> Result<Vec<Level>, CallError> {
        Ok(stock::levels(skus)?)
    }

    /// Best first. Without `skus`, the most popular albums.
    fn suggest(&self, skus: &[&str], count: u32) -> Result<Vec<Suggestion>, CallError> {
        Ok(engine::suggest(skus, count)?)
    }

    // `catalog/editing`; here and below, `by` is the account of the operator who does it
    fn add_album(&self, album: &Album, by: &str) -> Result<(), CatalogError> {
        editing::add_album_by(album, by)
    }

    fn change_price(&self, sku: &str, price: &Money, by: &str) -> Result<(), CatalogError> {
        editing::change_price_by(sku, price, by)
    }

    fn discontinue(&self, sku: &str, by: &str) -> Result<(), CatalogError> {
        editing::discontinue_by(sku, by)
    }

    fn relist(&self, sku: &str, by: &str) -> Result<(), CatalogError> {
        editing::relist_by(sku, by)
    }

    fn describe(&self, sku: &str, description: &editing::Description, by: &str) -> Result<(), CatalogError> {
        editing::describe_by(sku, description, by)
    }

    /// Newest first.
    fn album_changes(&self, sku: &str, count: u32) -> Result<Vec<editing::Change>, CallError> {
        Ok(editing::list_changes(sku, count)?)
    }

    /// In the order of their SKUs, after this one.
    fn discontinued(&self, after: &str, count: u32) -> Result<Vec<Album>, CallError> {
        Ok(editing::list_discontinued(after, count)?)
    }

    // `warehouse/stock`
    fn restock(&self, key: &str, sku: &str, copies: u32, note: &str, by: &str) -> Result<Level, StockError> {
        stock::restock_by(key, sku, copies, note, by)
    }

    fn stocktake(&self, levels: &[Level], by: &str) -> Result<u32, StockError> {
        stock::stocktake_by(&levels.iter().collect::<Vec<_>>(), by)
    }

    /// Newest first.
    fn stock_history(&self, sku: &str, count: u32) -> Result<Vec<MovementBy>, StockError> {
        stock::history_by(sku, count)
    }

    /// Without `skus`, the sums for all albums.
    fn tally(&self, skus: &[&str]) -> Result<Tally, StockError> {
        stock::get_tally(skus)
    }

    // `warehouse/fulfilment`
    /// Oldest first.
    fn pick_list(&self, count: u32) -> Result<Vec<Pick>, FulfilmentError> {
        fulfilment::pick_list(count)
    }

    // `customer/accounts`
    fn sign_up(
        &self,
        email: &str,
        password: &str,
        name: &str,
        from: &str,
    ) -> Result<accounts::Session, accounts::Error> {
        accounts::sign_up(email, password, name, from)
    }

    fn sign_in(&self, email: &str, password: &str, from: &str) -> Result<accounts::Session, accounts::Error> {
        accounts::sign_in(email, password, from)
    }

    /// As `sign_in`, from a browser that holds a key of `remember_browser`.
    fn sign_in_known(
        &self,
        email: &str,
        password: &str,
        from: &str,
        browser: &str,
    ) -> Result<accounts::Session, accounts::Error> {
        accounts::sign_in_known(email, password, from, browser)
    }

    fn remember_browser(&self, token: &str, browser: Option<&str>) -> Result<String, accounts::Error> {
        accounts::remember_browser(token, browser)
    }

    fn sign_out(&self, token: &str) -> Result<(), accounts::Error> {
        accounts::sign_out(token)
    }

    fn who(&self, token: &str) -> Result<Option<accounts::Account>, accounts::Error> {
        accounts::who(token)
    }

    fn prove(&self, token: &str, password: &str) -> Result<(), accounts::Error> {
        accounts::prove(token, password)
    }

    /// Whether the session's owner has typed the password a short while ago.
    fn is_proved(&self, token: &str) -> Result<bool, accounts::Error> {
        accounts::is_proved(token)
    }

    /// `Fields` if no parcel can be sent there. The rule is `customer`'s, also for addresses that it does not keep.
    fn check_address(&self, address: &accounts::Address) -> Result<(), accounts::Error> {
        accounts::check_address(address)
    }

    fn change_address(&self, token: &str, address: &accounts::Address) -> Result<accounts::Account, accounts::Error> {
        accounts::change_address(token, address)
    }

    fn change_password(&self, token: &str, old: &str, new: &str) -> Result<(), accounts::Error> {
        accounts::change_password(token, old, new)
    }

    fn delete_account(&self, token: &str, password: &str) -> Result<(), accounts::Error> {
        accounts::delete_account(token, password)
    }

    /// In the order of `ids`.
    fn names(&self, ids: &[&str]) -> Result<Vec<Option<String>>, accounts::Error> {
        accounts::names(ids)
    }

    /// The id of the customer with this e-mail address.
    fn find_customer(&self, email: &str) -> Result<Option<String>, accounts::Error> {
        accounts::find(email)
    }

    // `orders/ordering`
    fn quote(&self, lines: &[ordering::Line]) -> Result<ordering::Quote, ordering::Error> {
        ordering::get_quote(&lines.iter().collect::<Vec<_>>())
    }

    fn shipping(&self) -> Result<ordering::Shipping, ordering::Error> {
        ordering::get_shipping()
    }

    fn place(&self, key: &str, request: &ordering::Request) -> Result<ordering::Order, ordering::Error> {
        ordering::place(key, request)
    }

    fn order(&self, customer: &str, number: &str) -> Result<ordering::Order, ordering::Error> {
        ordering::get_order(customer, number)
    }

    /// Of those orders that something is being done with.
    fn progress(&self, customer: &str, numbers: &[&str]) -> Result<Vec<ordering::Progress>, ordering::Error> {
        ordering::get_progress(customer, numbers)
    }

    fn orders_of(&self, customer: &str, page: u32) -> Result<ordering::Page, ordering::Error> {
        ordering::orders_of(customer, page)
    }

    fn cancel(&self, key: &str, customer: &str, number: &str) -> Result<ordering::Order, ordering::Error> {
        ordering::cancel(key, customer, number)
    }

    fn request_return(
        &self,
        key: &str,
        customer: &str,
        number: &str,
        lines: &[ordering::Line],
    ) -> Result<ordering::Order, ordering::Error> {
        ordering::request_return(key, customer, number, &lines.iter().collect::<Vec<_>>())
    }

    // `orders/desk`
    fn orders_in_state(&self, state: ordering::State, page: u32) -> Result<ordering::Page, ordering::Error> {
        desk::in_state(state, page)
    }

    /// Newest first.
    fn find_orders(&self, search: &desk::Search, skip: u32, count: u32) -> Result<ordering::Page, ordering::Error> {
        desk::find(search, desk::Range { skip, count })
    }

    /// Those that are held up first, then returns, then parcels.
    fn waiting_orders(&self, skip: u32, count: u32) -> Result<ordering::Page, ordering::Error> {
        desk::waiting(desk::Range { skip, count })
    }

    /// In the order of `orders`, without unknown ones.
    fn recipients(&self, orders: &[&str]) -> Result<Vec<desk::Recipient>, ordering::Error> {
        desk::recipients(orders)
    }

    /// The longest first.
    fn held_up_orders(&self, count: u32) -> Result<Vec<desk::HeldUp>, ordering::Error> {
        desk::list_held_up(count)
    }

    fn desk_order(&self, number: &str) -> Result<ordering::Order, ordering::Error> {
        desk::get_order(number)
    }

    /// One for each event of the order's history, in its order.
    fn authors(&self, number: &str) -> Result<Vec<desk::Author>, ordering::Error> {
        desk::get_authors(number)
    }

    fn ship(&self, key: &str, number: &str, by: &str) -> Result<ordering::Order, ordering::Error> {
        desk::ship_by(key, number, by)
    }

    fn receive_return(&self, key: &str, number: &str, by: &str) -> Result<ordering::Order, ordering::Error> {
        desk::receive_return_by(key, number, by)
    }

    fn desk_cancel(&self, key: &str, number: &str, reason: &str, by: &str) -> Result<ordering::Order, ordering::Error> {
        desk::cancel_by(key, number, reason, by)
    }

    // `finance/books` and `finance/payments`
    fn statement(&self, customer: &str) -> Result<books::Statement, payments::Error> {
        books::get_statement(customer)
    }

    fn invoice(&self, order: &str) -> Result<Option<books::Invoice>, payments::Error> {
        books::get_invoice(order)
    }

    fn trial_balance(&self) -> Result<books::TrialBalance, payments::Error> {
        books::get_trial_balance()
    }

    fn payments(&self, orders: &[&str]) -> Result<Vec<payments::Payment>, payments::Error> {
        payments::payments(orders)
    }

    /// `Card` if it was not typed well. Nothing is held.
    fn check_card(&self, card: &payments::Card) -> Result<(), payments::Error> {
        payments::check_card(card)
    }

    fn refund(
        &self,
        key: &str,
        order: &str,
        amount: u64,
        reason: &str,
        by: &str,
    ) -> Result<payments::Payment, payments::Error> {
        payments::refund_by(key, order, amount, reason, by)
    }

    /// Oldest first.
    fn refunds(&self, order: &str) -> Result<Vec<books::GivenBack>, payments::Error> {
        books::get_refunds(order)
    }

    /// Whether several calls made together take less time than one after the other.
    fn together_pays(&self) -> bool {
        seam_sdk::together_pays()
    }

    /// A setting from the manifest, such as `reference.currencies`.
    fn setting(&self, key: &str) -> Option<String> {
        seam_sdk::config::get(key).ok().flatten()
    }

    /// Bytes that no visitor can guess.
    fn random(&self) -> [u8; 16] {
        seam_sdk::random::bytes()
    }

    /// Seconds since 1970, UTC.
    fn now(&self) -> u64 {
        seam_sdk::clock::now()
    }

    /// Logs a message that the operator should read, without personal data.
    fn warn(&self, message: &str) {
        seam_sdk::log::warn(message);
    }
}

/// Calls the contexts that the host has linked.
pub struct Linked;

impl Seams for Linked {}

/// Logs only `invalid`, which is a mistake of the storefront: the host has logged why a context is unavailable.
macro_rules! call_error {
    ($($interface:ident),*) => {
        $(impl From<$interface::Error> for CallError {
            fn from(error: $interface::Error) -> CallError {
                match error {
                    $interface::Error::Invalid(why) => {
                        seam_sdk::log::warn(format_args!("{} refused: {why}", stringify!($interface)));
                        CallError::Invalid
                    }
                    $interface::Error::Unavailable(_) => CallError::Unavailable,
                }
            }
        })*
    };
}

call_error!(albums, stock, engine);
