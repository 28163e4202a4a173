//! The pages, made from what the services answer, one question after the other as the pages ask them.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::Result;
use hyper::Request;
use hyper::body::Incoming;
use orders::wit;
use serde::Serialize;
use serde::de::DeserializeOwned;
use storefront::seams::{self, accounts, ordering, payments};

use super::client::Client;
use super::wire;
use crate::native::reference::{self, Reference};
use crate::native::server::{self, absent, answer};
use crate::native::types;

struct Services {
    reference: Arc<Reference>,
    catalog: RefCell<Client>,
    warehouse: RefCell<Client>,
    recommendation: RefCell<Client>,
    customer: RefCell<Client>,
    orders: RefCell<Client>,
}

/// `services` are catalog, warehouse, recommendation, customer, orders.
pub fn storefront(services: [SocketAddr; 5]) -> Result<()> {
    let reference = Arc::new(Reference::read()?);
    server::serve_threads(move || {
        let [catalog, warehouse, recommendation, customer, orders] = services.map(|at| RefCell::new(Client::new(at)));
        let reference = reference.clone();
        let services = Rc::new(Services { reference, catalog, warehouse, recommendation, customer, orders });
        move |request: Request<Incoming>| {
            let services = services.clone();
            async move {
                match server::asked(request).await {
                    Ok(asked) => server::rendered(storefront::handle(&asked, &*services)),
                    Err(error) => answer(400, "text/plain; charset=utf-8", format!("{error:#}\n")),
                }
            }
        }
    })
}

fn ask<T: DeserializeOwned>(service: &RefCell<Client>, function: &str, arguments: &impl Serialize) -> Result<T> {
    service.borrow_mut().ask(function, arguments)
}

fn unavailable(error: anyhow::Error) -> ordering::Error {
    eprintln!("a question has no answer: {error:#}");
    ordering::Error::Unavailable(format!("{error:#}"))
}

impl seams::Seams for Services {
    fn albums(&self, skus: &[&str]) -> Result<Vec<seams::Album>, seams::CallError> {
        ask(&self.catalog, "albums", &skus).map(types::albums).map_err(absent)
    }

    fn search(&self, words: &str, page: u32, size: u32) -> Result<seams::AlbumPage, seams::CallError> {
        let found = ask::<wire::AlbumPage>(&self.catalog, "search", &(words, page, size));
        found.map(|found| types::album_page(found.into())).map_err(absent)
    }

    /// Nothing is mistyped in the bench.
    fn did_you_mean(&self, _words: &str) -> Result<Option<String>, seams::CallError> {
        Ok(None)
    }

    fn browse(&self, filter: seams::Filter<'_>, page: u32, size: u32) -> Result<seams::AlbumPage, seams::CallError> {
        let (genre, artist) = (filter.genre.map(str::to_owned), filter.artist.map(str::to_owned));
        let filter = wire::Filter { genre, artist, decade: filter.decade };
        let found = ask::<wire::AlbumPage>(&self.catalog, "browse", &(filter, page, size));
        found.map(|found| types::album_page(found.into())).map_err(absent)
    }

    fn facets(&self) -> Result<seams::Facets, seams::CallError> {
        let facets: wire::Facets = ask(&self.catalog, "facets", &()).map_err(absent)?;
        let (genres, decades, artists) =
            (wire::all(facets.genres), wire::all(facets.decades), wire::all(facets.artists));
        Ok(seams::Facets { genres, decades, artists })
    }

    fn levels(&self, skus: &[&str]) -> Result<Vec<seams::Level>, seams::CallError> {
        ask::<Vec<wire::Level>>(&self.warehouse, "levels", &skus).map(wire::all).map_err(absent)
    }

    fn suggest(&self, skus: &[&str], count: u32) -> Result<Vec<seams::Suggestion>, seams::CallError> {
        ask::<Vec<wire::Suggestion>>(&self.recommendation, "suggest", &(skus, count)).map(wire::all).map_err(absent)
    }

    fn who(&self, token: &str) -> Result<Option<accounts::Account>, accounts::Error> {
        let who: Result<Option<wire::Account>> = ask(&self.customer, "who", &token);
        who.map(|account| account.map(|account| types::account(account.into())))
            .map_err(|error| accounts::Error::Unavailable(format!("{error:#}")))
    }

    fn check_address(&self, address: &accounts::Address) -> Result<(), accounts::Error> {
        types::check_address(address, &self.reference)
    }

    fn check_card(&self, card: &payments::Card) -> Result<(), payments::Error> {
        types::check_card(card)
    }

    fn shipping(&self) -> Result<ordering::Shipping, ordering::Error> {
        Ok(types::shipping(&self.reference))
    }

    fn quote(&self, lines: &[ordering::Line]) -> Result<ordering::Quote, ordering::Error> {
        let quote: Result<wit::Quote, wit::Error> =
            ask(&self.orders, "quote", &types::lines(lines)).map_err(unavailable)?;
        quote.map(types::quote).map_err(types::error)
    }

    fn place(&self, key: &str, request: &ordering::Request) -> Result<ordering::Order, ordering::Error> {
        let placed: Result<wit::Order, wit::Error> =
            ask(&self.orders, "place", &(key, types::request(request))).map_err(unavailable)?;
        placed.map(types::order).map_err(types::error)
    }

    fn order(&self, customer: &str, number: &str) -> Result<ordering::Order, ordering::Error> {
        let order: Result<wit::Order, wit::Error> =
            ask(&self.orders, "order", &(customer, number)).map_err(unavailable)?;
        order.map(types::order).map_err(types::error)
    }

    /// Nothing: here a request that is answered has placed its order.
    fn progress(&self, _: &str, _: &[&str]) -> Result<Vec<ordering::Progress>, ordering::Error> {
        Ok(Vec::new())
    }

    fn setting(&self, key: &str) -> Option<String> {
        self.reference.get(key)
    }

    fn random(&self) -> [u8; 16] {
        reference::random()
    }

    fn now(&self) -> u64 {
        reference::now()
    }

    fn warn(&self, message: &str) {
        eprintln!("{message}");
    }
}
