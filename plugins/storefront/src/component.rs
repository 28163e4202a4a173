//! Connects the pages to the world in `wit/storefront`. No logic.

use crate::bindings::exports::seam::host::http_handler::Guest;
use crate::bindings::musiccorp::catalog::{albums, editing};
use crate::bindings::musiccorp::orders::desk;
use crate::bindings::musiccorp::recommendation::engine;
use crate::bindings::musiccorp::warehouse::{fulfilment, stock};
use crate::seams::{
    Album, AlbumPage, CatalogError, Facets, Filter, FulfilmentError, Level, Money, Movement, Pick, Request, Response,
    Seams, StockError, Suggestion, Tally, Trouble, accounts, books, ordering, payments,
};

struct Storefront;

impl Guest for Storefront {
    fn handle(request: Request) -> Response {
        crate::handle(&request, &LinkedContexts)
    }
}

#[cfg(target_arch = "wasm32")]
crate::bindings::export!(Storefront with_types_in crate::bindings);

/// The contexts that the host has linked.
struct LinkedContexts;

/// Functions that only have another name on the other side.
macro_rules! forward {
    ($($name:ident($($arg:ident: $type:ty),*) -> $ok:ty, $error:ty = $target:path;)*) => {
        $(fn $name(&self $(, $arg: $type)*) -> Result<$ok, $error> {
            $target($($arg),*)
        })*
    };
}

impl Seams for LinkedContexts {
    fn albums(&self, skus: &[&str]) -> Result<Vec<Album>, Trouble> {
        Ok(albums::get_albums(skus)?)
    }

    fn search(&self, words: &str, page: u32, size: u32) -> Result<AlbumPage, Trouble> {
        Ok(albums::search(words, albums::Paging { page, size })?)
    }

    fn browse(&self, filter: Filter<'_>, page: u32, size: u32) -> Result<AlbumPage, Trouble> {
        let filter = albums::Filter {
            genre: filter.genre.map(Into::into),
            artist: filter.artist.map(Into::into),
            decade: filter.decade,
        };
        Ok(albums::browse(&filter, albums::Paging { page, size })?)
    }

    fn facets(&self) -> Result<Facets, Trouble> {
        Ok(albums::get_facets()?)
    }

    fn levels(&self, skus: &[&str]) -> Result<Vec<Level>, Trouble> {
        Ok(stock::levels(skus)?)
    }

    fn suggest(&self, skus: &[&str], count: u32) -> Result<Vec<Suggestion>, Trouble> {
        Ok(engine::suggest(skus, count)?)
    }

    forward! {
        add_album(album: &Album) -> (), CatalogError = editing::add_album;
        change_price(sku: &str, price: &Money) -> (), CatalogError = editing::change_price;
        discontinue(sku: &str) -> (), CatalogError = editing::discontinue;

        restock(key: &str, sku: &str, copies: u32, note: &str) -> Level, StockError = stock::restock;
        stock_history(sku: &str, count: u32) -> Vec<Movement>, StockError = stock::history;
        tally(skus: &[&str]) -> Tally, StockError = stock::get_tally;
        pick_list(count: u32) -> Vec<Pick>, FulfilmentError = fulfilment::pick_list;

        sign_up(email: &str, password: &str, name: &str, from: &str) -> accounts::Session, accounts::Error
            = accounts::sign_up;
        sign_in(email: &str, password: &str, from: &str) -> accounts::Session, accounts::Error = accounts::sign_in;
        sign_out(token: &str) -> (), accounts::Error = accounts::sign_out;
        who(token: &str) -> Option<accounts::Account>, accounts::Error = accounts::who;
        change_address(token: &str, address: &accounts::Address) -> accounts::Account, accounts::Error
            = accounts::change_address;
        change_password(token: &str, old: &str, new: &str) -> (), accounts::Error = accounts::change_password;
        delete_account(token: &str, password: &str) -> (), accounts::Error = accounts::delete_account;
        names(ids: &[&str]) -> Vec<Option<String>>, accounts::Error = accounts::names;
        find_customer(email: &str) -> Option<String>, accounts::Error = accounts::find;

        place(key: &str, request: &ordering::Request) -> ordering::Order, ordering::Error = ordering::place;
        order(customer: &str, number: &str) -> ordering::Order, ordering::Error = ordering::get_order;
        orders_of(customer: &str, page: u32) -> ordering::Page, ordering::Error = ordering::orders_of;
        cancel(key: &str, customer: &str, number: &str) -> ordering::Order, ordering::Error = ordering::cancel;

        orders_in_state(state: ordering::State, page: u32) -> ordering::Page, ordering::Error = desk::in_state;
        desk_order(number: &str) -> ordering::Order, ordering::Error = desk::get_order;
        ship(key: &str, number: &str) -> ordering::Order, ordering::Error = desk::ship;
        receive_return(key: &str, number: &str) -> ordering::Order, ordering::Error = desk::receive_return;
        desk_cancel(key: &str, number: &str, reason: &str) -> ordering::Order, ordering::Error = desk::cancel;
        settle() -> u32, ordering::Error = desk::settle;

        statement(customer: &str) -> books::Statement, payments::Error = books::get_statement;
        invoice(order: &str) -> Option<books::Invoice>, payments::Error = books::get_invoice;
        trial_balance() -> books::TrialBalance, payments::Error = books::get_trial_balance;
        payments(orders: &[&str]) -> Vec<payments::Payment>, payments::Error = payments::payments;
        refund(key: &str, order: &str, amount: u64, reason: &str) -> payments::Payment, payments::Error
            = payments::refund;
    }

    fn stocktake(&self, levels: &[Level]) -> Result<u32, StockError> {
        stock::stocktake(&levels.iter().collect::<Vec<_>>())
    }

    fn quote(&self, lines: &[ordering::Line]) -> Result<ordering::Quote, ordering::Error> {
        ordering::get_quote(&lines.iter().collect::<Vec<_>>())
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

    fn setting(&self, key: &str) -> Option<String> {
        seam_sdk::config::get(key).ok().flatten()
    }
}

/// The host has logged already why a context is unavailable. `Invalid` means that we broke the interface's rules.
macro_rules! trouble {
    ($($interface:ident),*) => {
        $(impl From<$interface::Error> for Trouble {
            fn from(error: $interface::Error) -> Trouble {
                match error {
                    $interface::Error::Invalid(why) => {
                        seam_sdk::log::warn(format_args!("{} refused: {why}", stringify!($interface)));
                        Trouble::Refused
                    }
                    $interface::Error::Unavailable(_) => Trouble::Absent,
                }
            }
        })*
    };
}

trouble!(albums, stock, engine);
