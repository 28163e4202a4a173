//! For tests: a shop of a few albums, one customer and her order. Each context can be made to fail, and `calls` lists
//! the calls to contexts.

mod requests;
mod samples;

use std::cell::{Cell, RefCell};
use std::fmt::Display;

pub use requests::*;
pub use samples::*;

use crate::seams::{
    Album, AlbumPage, CallError, CatalogError, Facet, Facets, Filter, FulfilmentError, Level, Money, MovementBy, Pick,
    Seams, Sorting, StockError, Suggestion, Tally, accounts, books, desk, editing, ordering, payments,
};

/// The error that a context returns instead of its answer, if there is one.
pub type FixedError<E> = RefCell<Option<E>>;

/// Contexts answer from these fields. One whose error is set returns that error. `calls` has every call, in order.
#[derive(Default)]
pub struct Shop {
    pub albums: Vec<Album>,
    pub levels: Vec<Level>,
    pub suggestions: Vec<Suggestion>,
    pub facets: Vec<(&'static str, u32)>,
    /// The number of matches that the catalog reports; the number of albums by default.
    pub total: Option<u32>,
    pub meant: Option<&'static str>,
    /// The words under which the catalog finds nothing.
    pub unknown_words: &'static str,
    pub catalog: Cell<Option<CallError>>,
    pub facets_error: Cell<Option<CallError>>,
    pub warehouse: Cell<Option<CallError>>,
    pub recommendation: Cell<Option<CallError>>,
    /// For every call to these contexts.
    pub customer: FixedError<accounts::Error>,
    pub remembering: FixedError<accounts::Error>,
    pub proving: FixedError<accounts::Error>,
    /// The password was typed long ago.
    pub unproved: Cell<bool>,
    pub orders: FixedError<ordering::Error>,
    pub finance: FixedError<payments::Error>,
    pub editing: FixedError<CatalogError>,
    pub stock: FixedError<StockError>,
    /// For calls that change an order or an address; calls that read still work.
    pub changing: FixedError<ordering::Error>,
    pub change_address: FixedError<accounts::Error>,
    /// What is wrong with every address or card that is checked.
    pub address_check: FixedError<accounts::Error>,
    pub card_check: FixedError<payments::Error>,
    /// The account whose session has [`TOKEN`].
    pub account: Option<accounts::Account>,
    /// The orders that `orders` knows, newest first.
    pub known_orders: Vec<ordering::Order>,
    pub more_orders: bool,
    pub held_up: Vec<desk::HeldUp>,
    pub progress: Vec<ordering::Progress>,
    pub authors: Vec<desk::Author>,
    pub invoice: Option<books::Invoice>,
    pub statement: Vec<books::StatementLine>,
    pub refunds: Vec<books::GivenBack>,
    /// Replaces the payment that is held.
    pub payment: Option<payments::Payment>,
    pub picks: Vec<Pick>,
    pub settings: Vec<(&'static str, &'static str)>,
    pub random: Cell<u8>,
    pub now: u64,
    pub together_pays: bool,
    pub calls: RefCell<Vec<String>>,
}

impl Shop {
    /// Albums `A` to `F`, 10 of each but 2 of `B` and none of `C`; all but `A` are suggested. Ann has an account and
    /// order 1000123.
    pub fn open() -> Shop {
        let skus = ["A", "B", "C", "D", "E", "F"];
        Shop {
            albums: skus.iter().map(|sku| album(sku)).collect(),
            levels: skus.iter().zip([10, 2, 0, 10, 10, 10]).map(|(sku, on_hand)| level(sku, on_hand)).collect(),
            suggestions: skus.iter().skip(1).map(|sku| Suggestion { sku: (*sku).into(), score: 1.0 }).collect(),
            facets: vec![("Jazz", 6)],
            account: Some(account()),
            known_orders: vec![order()],
            invoice: Some(invoice()),
            statement: statement(),
            settings: REFERENCE.to_vec(),
            now: NOW,
            ..Shop::default()
        }
    }

    /// A call that fails with a `CallError`.
    fn read<T>(
        &self,
        error: &Cell<Option<CallError>>,
        call: String,
        answer: impl FnOnce() -> T,
    ) -> Result<T, CallError> {
        self.calls.borrow_mut().push(call);
        match error.get() {
            Some(error) => Err(error),
            None => Ok(answer()),
        }
    }

    /// A call that fails with the interface's own error.
    fn call<T, E: Clone>(
        &self,
        error: &FixedError<E>,
        call: impl Display,
        answer: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.calls.borrow_mut().push(call.to_string());
        match &*error.borrow() {
            Some(error) => Err(error.clone()),
            None => answer(),
        }
    }

    fn known_order(&self, number: &str) -> Result<ordering::Order, ordering::Error> {
        let known = self.known_orders.iter().find(|order| order.number == number);
        known.cloned().ok_or(ordering::Error::UnknownOrder)
    }

    fn change(&self, call: impl Display, number: &str) -> Result<ordering::Order, ordering::Error> {
        self.call(&self.changing, call, || match &*self.orders.borrow() {
            Some(error) => Err(error.clone()),
            None => self.known_order(number),
        })
    }
}

impl Seams for Shop {
    fn albums(&self, skus: &[&str]) -> Result<Vec<Album>, CallError> {
        self.read(&self.catalog, format!("albums {}", skus.join(" ")), || {
            skus.iter().filter_map(|sku| self.albums.iter().find(|album| album.sku == **sku).cloned()).collect()
        })
    }

    fn search(&self, words: &str, page: u32, size: u32) -> Result<AlbumPage, CallError> {
        self.read(&self.catalog, format!("search {words} {page}"), || match words == self.unknown_words {
            true => AlbumPage { albums: Vec::new(), total: 0, more: false },
            false => album_page(&self.albums, self.total, page, size),
        })
    }

    fn browse(&self, filter: Filter<'_>, page: u32, size: u32) -> Result<AlbumPage, CallError> {
        let found = || album_page(&self.albums, self.total, page, size);
        self.read(&self.catalog, format!("browse {filter:?} {page}"), found)
    }

    fn list_skus(&self, words: &str, filter: Filter<'_>, sorting: Sorting) -> Result<Vec<String>, CallError> {
        self.read(&self.catalog, format!("list-skus {words} {:?} {sorting:?}", filter.genre), || {
            if !words.is_empty() && words == self.unknown_words {
                return Vec::new();
            }
            self.albums.iter().filter(|album| !album.discontinued).map(|album| album.sku.clone()).collect()
        })
    }

    fn did_you_mean(&self, words: &str) -> Result<Option<String>, CallError> {
        self.read(&self.catalog, format!("did-you-mean {words}"), || self.meant.map(String::from))
    }

    fn facets(&self) -> Result<Facets, CallError> {
        self.read(&self.facets_error, "facets".into(), || Facets {
            genres: self.facets.iter().map(|(name, count)| Facet { name: (*name).into(), count: *count }).collect(),
            decades: vec![Facet { name: "1950".into(), count: 6 }],
            artists: vec![Facet { name: "Artist A".into(), count: 1 }],
        })
    }

    fn levels(&self, skus: &[&str]) -> Result<Vec<Level>, CallError> {
        self.read(&self.warehouse, format!("levels {}", skus.join(" ")), || {
            let known = |sku: &str| self.levels.iter().find(|level| level.sku == sku).map_or(0, |level| level.on_hand);
            skus.iter().map(|sku| level(sku, known(sku))).collect()
        })
    }

    fn suggest(&self, skus: &[&str], count: u32) -> Result<Vec<Suggestion>, CallError> {
        self.read(&self.recommendation, format!("suggest {}", skus.join(" ")), || {
            self.suggestions.iter().take(count as usize).cloned().collect()
        })
    }

    fn add_album(&self, album: &Album, by: &str) -> Result<(), CatalogError> {
        self.call(&self.editing, format!("add-album {} by {by}", album.sku), || Ok(()))
    }

    fn change_price(&self, sku: &str, price: &Money, by: &str) -> Result<(), CatalogError> {
        let call = format!("change-price {sku} {} {} by {by}", price.minor_units, price.currency);
        self.call(&self.editing, call, || Ok(()))
    }

    fn discontinue(&self, sku: &str, by: &str) -> Result<(), CatalogError> {
        self.call(&self.editing, format!("discontinue {sku} by {by}"), || Ok(()))
    }

    fn relist(&self, sku: &str, by: &str) -> Result<(), CatalogError> {
        self.call(&self.editing, format!("relist {sku} by {by}"), || Ok(()))
    }

    fn describe(&self, sku: &str, said: &editing::Description, by: &str) -> Result<(), CatalogError> {
        let editing::Description { artist, title, year, genre, label, .. } = said;
        self.call(&self.editing, format!("describe {sku} {artist}/{title}/{year}/{genre}/{label} by {by}"), || Ok(()))
    }

    fn album_changes(&self, sku: &str, count: u32) -> Result<Vec<editing::Change>, CallError> {
        self.read(&self.catalog, format!("album-changes {sku} {count}"), album_changes)
    }

    fn discontinued(&self, after: &str, count: u32) -> Result<Vec<Album>, CallError> {
        self.read(&self.catalog, format!("discontinued {after} {count}"), || {
            let gone = self.albums.iter().filter(|album| album.discontinued && album.sku.as_str() > after);
            gone.take(count as usize).cloned().collect()
        })
    }

    fn restock(&self, key: &str, sku: &str, copies: u32, note: &str, by: &str) -> Result<Level, StockError> {
        self.call(&self.stock, format!("restock {key} {sku} {copies} {note} by {by}"), || Ok(level(sku, copies)))
    }

    fn stock_history(&self, sku: &str, count: u32) -> Result<Vec<MovementBy>, StockError> {
        self.call(&self.stock, format!("stock-history {sku} {count}"), || Ok(movements()))
    }

    fn tally(&self, skus: &[&str]) -> Result<Tally, StockError> {
        let answer = || Ok(Tally { on_hand: 42, reserved: 3, shipped: 5, received: 50 });
        self.call(&self.stock, format!("tally {}", skus.join(" ")), answer)
    }

    fn stocktake(&self, levels: &[Level], by: &str) -> Result<u32, StockError> {
        let shown: Vec<String> = levels.iter().map(|level| format!("{} {}", level.sku, level.on_hand)).collect();
        self.call(&self.stock, format!("stocktake {} by {by}", shown.join(" ")), || Ok(1))
    }

    fn pick_list(&self, count: u32) -> Result<Vec<Pick>, FulfilmentError> {
        let answer = || self.picks.iter().take(count as usize).cloned().collect();
        let answer = self.read(&self.warehouse, format!("pick-list {count}"), answer);
        answer.map_err(|_| FulfilmentError::Unavailable("away".into()))
    }

    fn sign_up(
        &self,
        email: &str,
        password: &str,
        name: &str,
        from: &str,
    ) -> Result<accounts::Session, accounts::Error> {
        self.call(&self.customer, format!("sign-up {email} {password} {name} {from}"), || Ok(session()))
    }

    fn sign_in(&self, email: &str, password: &str, from: &str) -> Result<accounts::Session, accounts::Error> {
        self.call(&self.customer, format!("sign-in {email} {password} {from}"), || Ok(session()))
    }

    fn sign_in_known(
        &self,
        email: &str,
        password: &str,
        from: &str,
        browser: &str,
    ) -> Result<accounts::Session, accounts::Error> {
        let call = format!("sign-in-known {email} {password} {from} {browser}");
        self.call(&self.customer, call, || Ok(session()))
    }

    fn remember_browser(&self, token: &str, browser: Option<&str>) -> Result<String, accounts::Error> {
        let call = format!("remember-browser {token} {browser:?}");
        self.call(&self.remembering, call, || Ok(browser.map_or_else(|| "b".repeat(64), String::from)))
    }

    fn sign_out(&self, token: &str) -> Result<(), accounts::Error> {
        self.call(&self.customer, format!("sign-out {token}"), || Ok(()))
    }

    fn who(&self, token: &str) -> Result<Option<accounts::Account>, accounts::Error> {
        self.call(&self.customer, "who", || Ok(self.account.clone().filter(|_| token == TOKEN)))
    }

    fn prove(&self, _token: &str, password: &str) -> Result<(), accounts::Error> {
        self.call(&self.proving, format!("prove {password}"), || Ok(()))
    }

    fn is_proved(&self, _token: &str) -> Result<bool, accounts::Error> {
        Ok(!self.unproved.get())
    }

    fn check_address(&self, address: &accounts::Address) -> Result<(), accounts::Error> {
        self.call(&self.address_check, format!("check-address {}", address.name), || Ok(()))
    }

    fn change_address(&self, _token: &str, address: &accounts::Address) -> Result<accounts::Account, accounts::Error> {
        let call = format!("change-address {}, {}", address.name, address.street);
        self.call(&self.change_address, call, || match &*self.customer.borrow() {
            Some(error) => Err(error.clone()),
            None => Ok(account()),
        })
    }

    fn change_password(&self, _token: &str, old: &str, new: &str) -> Result<(), accounts::Error> {
        self.call(&self.customer, format!("change-password {old} {new}"), || Ok(()))
    }

    fn delete_account(&self, _token: &str, password: &str) -> Result<(), accounts::Error> {
        self.call(&self.customer, format!("delete-account {password}"), || Ok(()))
    }

    fn names(&self, ids: &[&str]) -> Result<Vec<Option<String>>, accounts::Error> {
        let name = |id: &&str| (*id == "C-1").then(|| account().name);
        self.call(&self.customer, format!("names {}", ids.join(" ")), || Ok(ids.iter().map(name).collect()))
    }

    fn find_customer(&self, email: &str) -> Result<Option<String>, accounts::Error> {
        let known = (email == account().email).then(|| account().id);
        self.call(&self.customer, format!("find {email}"), || Ok(known))
    }

    fn quote(&self, lines: &[ordering::Line]) -> Result<ordering::Quote, ordering::Error> {
        self.call(&self.orders, format!("quote {}", shown(lines)), || quote(&self.albums, lines))
    }

    fn shipping(&self) -> Result<ordering::Shipping, ordering::Error> {
        self.call(&self.orders, "shipping", || Ok(ordering::Shipping { fee: 350, free_from: 10_000 }))
    }

    fn place(&self, key: &str, request: &ordering::Request) -> Result<ordering::Order, ordering::Error> {
        let ordering::Request { customer, lines, address, card, total, from: _ } = request;
        let call = format!(
            "place {key} {customer} {} {total} to {} {} card {} {} {} {}",
            shown(lines),
            address.name,
            address.country,
            card.number,
            card.holder,
            card.expiry,
            card.code
        );
        self.call(&self.changing, call, || Ok(order()))
    }

    fn order(&self, customer: &str, number: &str) -> Result<ordering::Order, ordering::Error> {
        self.call(&self.orders, format!("order {customer} {number}"), || {
            self.known_order(number)
                .ok()
                .filter(|order| order.customer == customer)
                .ok_or(ordering::Error::UnknownOrder)
        })
    }

    fn orders_of(&self, customer: &str, page: u32) -> Result<ordering::Page, ordering::Error> {
        let orders = || self.known_orders.iter().map(summary).collect();
        self.call(&self.orders, format!("orders-of {customer} {page}"), || {
            Ok(ordering::Page { orders: if page == 1 { orders() } else { Vec::new() }, more: self.more_orders })
        })
    }

    fn cancel(&self, key: &str, customer: &str, number: &str) -> Result<ordering::Order, ordering::Error> {
        self.change(format!("cancel {key} {customer} {number}"), number)
    }

    fn request_return(
        &self,
        key: &str,
        customer: &str,
        number: &str,
        lines: &[ordering::Line],
    ) -> Result<ordering::Order, ordering::Error> {
        self.change(format!("return {key} {customer} {number} {}", shown(lines)), number)
    }

    fn orders_in_state(&self, state: ordering::State, page: u32) -> Result<ordering::Page, ordering::Error> {
        self.call(&self.orders, format!("in-state {state:?} {page}"), || {
            let orders = self.known_orders.iter().filter(|order| order.state == state).map(summary).collect();
            Ok(ordering::Page { orders, more: self.more_orders })
        })
    }

    fn find_orders(&self, search: &desk::Search, skip: u32, count: u32) -> Result<ordering::Page, ordering::Error> {
        let desk::Search { number, state, customer, recipient, since, before } = search;
        let call = format!(
            "find-orders {number:?} {state:?} {customer:?} {recipient:?} {since:?} {before:?} from {skip} count {count}"
        );
        self.call(&self.orders, call, || {
            let matching = self.known_orders.iter().filter(|order| {
                number.as_ref().is_none_or(|number| order.number == *number)
                    && state.is_none_or(|state| order.state == state)
                    && customer.as_ref().is_none_or(|customer| order.customer == *customer)
            });
            let orders = matching.skip(skip as usize).take(count as usize).map(summary).collect();
            Ok(ordering::Page { orders, more: self.more_orders })
        })
    }

    fn waiting_orders(&self, skip: u32, count: u32) -> Result<ordering::Page, ordering::Error> {
        self.call(&self.orders, format!("waiting {skip} {count}"), || {
            let orders = self.known_orders.iter().skip(skip as usize).take(count as usize).map(summary).collect();
            Ok(ordering::Page { orders, more: self.more_orders })
        })
    }

    fn recipients(&self, orders: &[&str]) -> Result<Vec<desk::Recipient>, ordering::Error> {
        self.call(&self.orders, format!("recipients {}", orders.join(" ")), || {
            let known = |number: &&str| self.known_order(number).ok();
            let recipient =
                |order: ordering::Order| desk::Recipient { order: order.number.clone(), address: order.address };
            Ok(orders.iter().filter_map(known).map(recipient).collect())
        })
    }

    fn held_up_orders(&self, count: u32) -> Result<Vec<desk::HeldUp>, ordering::Error> {
        self.call(&self.orders, format!("held-up {count}"), || Ok(self.held_up.clone()))
    }

    fn progress(&self, customer: &str, numbers: &[&str]) -> Result<Vec<ordering::Progress>, ordering::Error> {
        self.call(&self.orders, format!("progress {customer} {}", numbers.join(" ")), || Ok(self.progress.clone()))
    }

    fn desk_order(&self, number: &str) -> Result<ordering::Order, ordering::Error> {
        self.call(&self.orders, format!("desk-order {number}"), || self.known_order(number))
    }

    fn authors(&self, number: &str) -> Result<Vec<desk::Author>, ordering::Error> {
        self.call(&self.orders, format!("authors {number}"), || Ok(self.authors.clone()))
    }

    fn ship(&self, key: &str, number: &str, by: &str) -> Result<ordering::Order, ordering::Error> {
        self.change(format!("ship {key} {number} by {by}"), number)
    }

    fn receive_return(&self, key: &str, number: &str, by: &str) -> Result<ordering::Order, ordering::Error> {
        self.change(format!("receive-return {key} {number} by {by}"), number)
    }

    fn desk_cancel(&self, key: &str, number: &str, reason: &str, by: &str) -> Result<ordering::Order, ordering::Error> {
        self.change(format!("desk-cancel {key} {number} {reason} by {by}"), number)
    }

    fn statement(&self, customer: &str) -> Result<books::Statement, payments::Error> {
        let answer = || Ok(books::Statement { lines: self.statement.clone(), more: false });
        self.call(&self.finance, format!("statement {customer}"), answer)
    }

    fn invoice(&self, order: &str) -> Result<Option<books::Invoice>, payments::Error> {
        let answer = || Ok(self.invoice.clone().filter(|invoice| invoice.order == order));
        self.call(&self.finance, format!("invoice {order}"), answer)
    }

    fn trial_balance(&self) -> Result<books::TrialBalance, payments::Error> {
        self.call(&self.finance, "trial-balance", || Ok(trial_balance()))
    }

    fn payments(&self, orders: &[&str]) -> Result<Vec<payments::Payment>, payments::Error> {
        let paid = || self.payment.clone().unwrap_or_else(payment);
        let answer = || Ok(orders.iter().filter(|order| **order == "1000123").map(|_| paid()).collect());
        self.call(&self.finance, format!("payments {}", orders.join(" ")), answer)
    }

    fn check_card(&self, card: &payments::Card) -> Result<(), payments::Error> {
        self.call(&self.card_check, format!("check-card {}", card.expiry), || Ok(()))
    }

    fn refund(
        &self,
        key: &str,
        order: &str,
        amount: u64,
        reason: &str,
        by: &str,
    ) -> Result<payments::Payment, payments::Error> {
        self.call(&self.finance, format!("refund {key} {order} {amount} {reason} by {by}"), || Ok(payment()))
    }

    fn refunds(&self, order: &str) -> Result<Vec<books::GivenBack>, payments::Error> {
        self.call(&self.finance, format!("refunds {order}"), || Ok(self.refunds.clone()))
    }

    fn together_pays(&self) -> bool {
        self.together_pays
    }

    fn setting(&self, key: &str) -> Option<String> {
        self.settings.iter().find(|(known, _)| *known == key).map(|(_, value)| (*value).into())
    }

    fn random(&self) -> [u8; 16] {
        self.random.set(self.random.get().wrapping_add(1));
        [self.random.get(); 16]
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn warn(&self, message: &str) {
        self.calls.borrow_mut().push(format!("warn {message}"));
    }
}
