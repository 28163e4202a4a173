//! The whole shop in one process and one file: every question of a page is a function call away, an order is one
//! transaction.

use std::path::PathBuf;
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use storefront::seams::{self, accounts, ordering, payments};

use super::reader::{self, Reader};
use super::reference::{self, Reference};
use super::server::{self, Answer, answer, json};
use super::till::{self, Stop};
use super::types;
use super::writer::Writer;

struct Shop {
    file: PathBuf,
    writer: Writer,
    reference: Reference,
}

/// For how long transactions have held the file's writer.
#[derive(serde::Serialize)]
struct Held {
    held_us: u64,
}

pub fn run(file: PathBuf) -> anyhow::Result<()> {
    let shop = Arc::new(Shop { writer: Writer::open(&file)?, file, reference: Reference::read()? });
    server::serve(move || {
        let shop = shop.clone();
        move |request| respond(shop.clone(), request)
    })
}

async fn respond(shop: Arc<Shop>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path();
    if path == "/bench/hello" {
        return answer(200, "text/plain; charset=utf-8", "Hello from the shop\n");
    }
    if path == "/bench/held" {
        return json(Ok(Some(Held { held_us: shop.writer.held_us() })));
    }
    if let Some(sku) = path.strip_prefix("/bench/items/") {
        return json(reader::with(&shop.file, |open| open.item(sku)));
    }
    match server::asked(request).await {
        Ok(asked) => {
            let page = || page(&shop, &asked);
            // An order waits for others and for the disk: meanwhile this thread's other connections go on on another
            // one.
            match asked.method.as_str() {
                "POST" => tokio::task::block_in_place(page),
                _ => page(),
            }
        }
        Err(error) => answer(400, "text/plain; charset=utf-8", format!("{error:#}\n")),
    }
}

fn page(shop: &Shop, asked: &seams::Request) -> Answer {
    match reader::with(&shop.file, |open| Ok(storefront::handle(asked, &Inside { open, shop }))) {
        Ok(page) => server::rendered(page),
        Err(error) => answer(500, "text/plain; charset=utf-8", format!("{error:#}\n")),
    }
}

/// The shop, as a page sees it from a thread.
struct Inside<'a> {
    open: &'a Reader,
    shop: &'a Shop,
}

impl seams::Seams for Inside<'_> {
    fn albums(&self, skus: &[&str]) -> Result<Vec<seams::Album>, seams::CallError> {
        self.open.albums(skus).map(types::albums).map_err(server::absent)
    }

    fn search(&self, words: &str, page: u32, size: u32) -> Result<seams::AlbumPage, seams::CallError> {
        self.open.search(words, page, size).map(types::album_page).map_err(server::absent)
    }

    /// Nothing is mistyped in the bench.
    fn did_you_mean(&self, _words: &str) -> Result<Option<String>, seams::CallError> {
        Ok(None)
    }

    fn browse(&self, filter: seams::Filter<'_>, page: u32, size: u32) -> Result<seams::AlbumPage, seams::CallError> {
        self.open.browse(filter, page, size).map(types::album_page).map_err(server::absent)
    }

    fn facets(&self) -> Result<seams::Facets, seams::CallError> {
        self.open.facets().map_err(server::absent)
    }

    fn levels(&self, skus: &[&str]) -> Result<Vec<seams::Level>, seams::CallError> {
        self.open.levels(skus).map_err(server::absent)
    }

    fn suggest(&self, skus: &[&str], count: u32) -> Result<Vec<seams::Suggestion>, seams::CallError> {
        self.open.suggest(skus, count).map_err(server::absent)
    }

    fn who(&self, token: &str) -> Result<Option<accounts::Account>, accounts::Error> {
        let who = self.open.who(token, reference::now());
        who.map(|account| account.map(types::account))
            .map_err(|error| accounts::Error::Unavailable(format!("{error:#}")))
    }

    fn check_address(&self, address: &accounts::Address) -> Result<(), accounts::Error> {
        types::check_address(address, &self.shop.reference)
    }

    fn check_card(&self, card: &payments::Card) -> Result<(), payments::Error> {
        types::check_card(card)
    }

    fn shipping(&self) -> Result<ordering::Shipping, ordering::Error> {
        Ok(types::shipping(&self.shop.reference))
    }

    fn quote(&self, lines: &[ordering::Line]) -> Result<ordering::Quote, ordering::Error> {
        let quote = till::price(self.open.connection(), &types::lines(lines), &self.shop.reference);
        quote.map(types::quote).map_err(|Stop(error)| types::error(error))
    }

    fn place(&self, key: &str, request: &ordering::Request) -> Result<ordering::Order, ordering::Error> {
        let placed = till::place(&self.shop.writer, key, &types::request(request), &self.shop.reference);
        placed.map(types::order).map_err(|Stop(error)| types::error(error))
    }

    fn order(&self, customer: &str, number: &str) -> Result<ordering::Order, ordering::Error> {
        match self.open.order(number) {
            Ok(Some(order)) if order.customer == customer => Ok(types::order(order)),
            Ok(_) => Err(ordering::Error::UnknownOrder),
            Err(error) => Err(ordering::Error::Unavailable(format!("{error:#}"))),
        }
    }

    /// Nothing: here one transaction places an order.
    fn progress(&self, _: &str, _: &[&str]) -> Result<Vec<ordering::Progress>, ordering::Error> {
        Ok(Vec::new())
    }

    fn setting(&self, key: &str) -> Option<String> {
        self.shop.reference.get(key)
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
