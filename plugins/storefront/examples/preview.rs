//! Writes the shop's pages to `target/preview/`, to look at them without a host.
//!
//! `cargo run -p storefront --example preview`, then open `target/preview/index.html`. The albums are those of
//! `data/albums.csv`; stock and suggestions are invented.

use std::error::Error;
use std::fs;
use std::path::Path;

use storefront::handle;
use storefront::seams::{
    Album, AlbumPage, CallError, Facet, Facets, Filter, Level, Money, Request, Seams, Suggestion, accounts, books,
    ordering, payments,
};

struct Shop {
    albums: Vec<Album>,
    open: bool,
}

const PAGES: [(&str, &str); 10] = [
    ("index.html", "/"),
    ("browse.html", "/browse?page=2"),
    ("genre.html", "/browse?genre=Jazz&decade=1960"),
    ("search.html", "/search?q=blue"),
    ("nothing.html", "/search?q=zzz"),
    ("album.html", "/albums/MC-0060"),
    ("few.html", "/albums/MC-0123"),
    ("gone.html", "/albums/MC-0009"),
    ("missing.html", "/albums/MC-9999"),
    ("bad.html", "/browse?page=abc"),
];

/// Pages of a customer with a cart.
const OWN: [(&str, &str); 9] = [
    ("cart.html", "/cart?note=added"),
    ("checkout.html", "/checkout"),
    ("account.html", "/account"),
    ("order.html", "/orders/1000123?note=placed"),
    ("shipped.html", "/orders/1000122"),
    ("invoice.html", "/orders/1000122/invoice"),
    ("statement.html", "/account/statement"),
    ("delete.html", "/account/delete"),
    ("address.html", "/account/address"),
];
const COOKIES: &str = "session=abababababababababababababababababababababababababababababababab; \
                       cart=MC-0060.1~MC-0123.9~MC-0009.1~MC-0200.2";
const NOW: u64 = 1_772_460_309;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let out = root.join("target/preview");
    for folder in ["assets", "covers"] {
        fs::create_dir_all(out.join(folder))?;
    }
    for file in ["storefront.css", "shop.js", "favicon.svg"] {
        fs::copy(root.join("plugins/storefront/assets").join(file), out.join("assets").join(file))?;
    }
    let mut shop = Shop { albums: read(&fs::read_to_string(root.join("data/albums.csv"))?), open: true };
    if let Some(album) = shop.albums.get_mut(8) {
        album.discontinued = true;
    }
    for (file, address) in PAGES {
        fs::write(out.join(file), local(&fetch(&shop, address)))?;
    }
    fs::write(out.join("sign-in.html"), local(&fetch(&shop, "/sign-in")))?;
    fs::write(out.join("sign-up.html"), local(&fetch(&shop, "/sign-up?next=%2Fcheckout")))?;
    for (file, address) in OWN {
        fs::write(out.join(file), local(&ask(&shop, request(address, COOKIES))))?;
    }
    fs::write(out.join("wrong.html"), local(&wrong(&shop)))?;
    let mut sheet = String::from("<link rel=stylesheet href=assets/storefront.css><ul class='cards six'>");
    for album in &shop.albums {
        let file = format!("covers/{}.svg", album.sku);
        sheet += &format!("<li><img src='{file}' width=600 height=600>");
        fs::write(out.join(&file), fetch(&shop, &format!("/{file}")))?;
    }
    fs::write(out.join("covers.html"), sheet)?;
    shop.open = false;
    fs::write(out.join("closed.html"), local(&fetch(&shop, "/")))?;
    println!("{}", out.display());
    Ok(())
}

fn fetch(shop: &Shop, address: &str) -> String {
    ask(shop, request(address, ""))
}

fn ask(shop: &Shop, request: Request) -> String {
    String::from_utf8_lossy(&handle(&request, shop).body).into_owned()
}

fn request(address: &str, cookies: &str) -> Request {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    Request {
        method: "GET".into(),
        path: path.into(),
        query: Some(query.into()),
        headers: vec![("cookie".into(), cookies.into())],
        body: Vec::new(),
    }
}

/// The checkout after an incomplete form.
fn wrong(shop: &Shop) -> String {
    let page = ask(shop, request("/checkout", COOKIES));
    let hidden = |name: &str| {
        let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_default();
        rest.split('"').next().unwrap_or_default().to_owned()
    };
    let fields = ["csrf", "key", "lines", "total"].map(|name| format!("{name}={}", hidden(name)));
    let mut request = request("/checkout", COOKIES);
    request.method = "POST".into();
    request.headers.push(("content-type".into(), "application/x-www-form-urlencoded".into()));
    request.headers.push(("sec-fetch-site".into(), "same-origin".into()));
    request.body = format!("{}&name=Ann+Lee&city=Leeds&country=GB&holder=Ann+Lee", fields.join("&")).into_bytes();
    ask(shop, request)
}

/// Rewrites addresses, because absolute ones do not work in a folder.
fn local(page: &str) -> String {
    page.replace("=\"/assets/", "=\"assets/").replace("=\"/covers/", "=\"covers/")
}

fn read(csv: &str) -> Vec<Album> {
    csv.lines().skip(1).filter_map(|line| album(&fields(line))).collect()
}

fn album(fields: &[String]) -> Option<Album> {
    let [sku, artist, title, year, genre, label, price, currency, notes, _] = fields else { return None };
    Some(Album {
        sku: sku.clone(),
        artist: artist.clone(),
        title: title.clone(),
        year: year.parse().ok()?,
        genre: genre.clone(),
        label: label.clone(),
        price: Money { minor_units: price.parse().ok()?, currency: currency.clone() },
        notes: notes.clone(),
        discontinued: false,
    })
}

fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            _ => fields.last_mut().into_iter().for_each(|field| field.push(letter)),
        }
    }
    fields
}

impl Shop {
    fn page(&self, page: u32, size: u32, matches: impl Fn(&Album) -> bool) -> Result<AlbumPage, CallError> {
        if !self.open {
            return Err(CallError::Unavailable);
        }
        let found: Vec<&Album> = self.albums.iter().filter(|album| !album.discontinued && matches(album)).collect();
        let albums = found.iter().skip(((page - 1) * size) as usize).take(size as usize).map(|&album| album.clone());
        let total = found.len() as u32;
        Ok(AlbumPage { albums: albums.collect(), total, more: page * size < total })
    }

    fn count(&self, name: impl Fn(&Album) -> String) -> Vec<Facet> {
        let mut facets: Vec<Facet> = Vec::new();
        for album in &self.albums {
            let name = name(album);
            match facets.iter_mut().find(|facet| facet.name == name) {
                Some(facet) => facet.count += 1,
                None => facets.push(Facet { name, count: 1 }),
            }
        }
        facets.sort_by_key(|facet| std::cmp::Reverse(facet.count));
        facets
    }
}

impl Seams for Shop {
    fn albums(&self, skus: &[&str]) -> Result<Vec<Album>, CallError> {
        if !self.open {
            return Err(CallError::Unavailable);
        }
        Ok(skus.iter().filter_map(|sku| self.albums.iter().find(|album| album.sku == **sku).cloned()).collect())
    }

    fn search(&self, words: &str, page: u32, size: u32) -> Result<AlbumPage, CallError> {
        self.page(page, size, |album| album.title.to_lowercase().contains(&words.to_lowercase()))
    }

    fn browse(&self, filter: Filter<'_>, page: u32, size: u32) -> Result<AlbumPage, CallError> {
        self.page(page, size, |album| {
            filter.genre.is_none_or(|genre| genre == album.genre)
                && filter.artist.is_none_or(|artist| artist == album.artist)
                && filter.decade.is_none_or(|decade| decade == album.year / 10 * 10)
        })
    }

    fn facets(&self) -> Result<Facets, CallError> {
        let mut decades = self.count(|album| (album.year / 10 * 10).to_string());
        decades.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Facets {
            genres: self.count(|album| album.genre.clone()),
            decades,
            artists: self.count(|album| album.artist.clone()),
        })
    }

    fn levels(&self, skus: &[&str]) -> Result<Vec<Level>, CallError> {
        let on_hand = |sku: &str| sku.bytes().fold(0, |sum: u32, byte| sum * 7 % 1009 + u32::from(byte)) % 9;
        Ok(skus.iter().map(|sku| Level { sku: (*sku).into(), on_hand: on_hand(sku) }).collect())
    }

    fn suggest(&self, skus: &[&str], count: u32) -> Result<Vec<Suggestion>, CallError> {
        let start = skus.first().map_or(41, |sku| sku.len() * 3);
        let some = self.albums.iter().skip(start).step_by(37).take(count as usize);
        Ok(some.map(|album| Suggestion { sku: album.sku.clone(), score: 1.0 }).collect())
    }

    fn who(&self, _token: &str) -> Result<Option<accounts::Account>, accounts::Error> {
        let (id, email, name) = ("C-1".into(), "ann@example.test".into(), "Ann".into());
        Ok(Some(accounts::Account { id, email, name, address: None, operator: true, since: NOW }))
    }

    fn check_address(&self, _address: &accounts::Address) -> Result<(), accounts::Error> {
        Ok(())
    }

    fn check_card(&self, _card: &payments::Card) -> Result<(), payments::Error> {
        Ok(())
    }

    fn shipping(&self) -> Result<ordering::Shipping, ordering::Error> {
        Ok(ordering::Shipping { fee: 350, free_from: 7500 })
    }

    fn quote(&self, lines: &[ordering::Line]) -> Result<ordering::Quote, ordering::Error> {
        let mut quote =
            ordering::Quote { lines: Vec::new(), gone: Vec::new(), shipping: 350, total: 350, currency: "GBP".into() };
        for ordering::Line { sku, copies } in lines.iter().cloned() {
            match self.albums.iter().find(|album| album.sku == sku && !album.discontinued).cloned() {
                Some(Album { artist, title, price, .. }) => {
                    quote.total += u64::from(price.minor_units) * u64::from(copies);
                    quote.lines.push(ordering::PricedLine { sku, artist, title, copies, price: price.minor_units });
                }
                None => quote.gone.push(sku),
            }
        }
        Ok(quote)
    }

    fn order(&self, _customer: &str, number: &str) -> Result<ordering::Order, ordering::Error> {
        let event = |at, state, note: &str| ordering::Event { at, state, note: note.into() };
        let mut history = vec![
            event(NOW - 9000, ordering::State::Placing, ""),
            event(NOW - 8999, ordering::State::Placed, "Held on your card ending 4242."),
        ];
        if number == "1000122" {
            history.push(event(NOW - 60, ordering::State::Shipped, "Your parcel has left us."));
        }
        let line = |sku: &str, copies| ordering::PlacedLine { sku: sku.into(), copies, price: 2199, returned: 0 };
        Ok(ordering::Order {
            number: number.into(),
            customer: "C-1".into(),
            state: history.last().map_or(ordering::State::Placing, |event| event.state),
            lines: vec![line("MC-0060", 1), line("MC-0123", 2)],
            shipping: 350,
            total: 3 * 2199 + 350,
            currency: "GBP".into(),
            address: ordering::Address {
                name: "Ann Lee".into(),
                street: "1 High Street".into(),
                extra: String::new(),
                city: "Leeds".into(),
                postcode: "LS1 1AA".into(),
                country: "GB".into(),
            },
            at: NOW - 9000,
            history,
        })
    }

    fn orders_of(&self, _customer: &str, _page: u32) -> Result<ordering::Page, ordering::Error> {
        let states = [ordering::State::Placed, ordering::State::Shipped, ordering::State::Returned];
        let order = |(at, state): (usize, ordering::State)| ordering::Summary {
            number: (1_000_123 - at).to_string(),
            customer: "C-1".into(),
            state,
            at: NOW - 4_000_000 * at as u64,
            copies: 3,
            total: 6947,
            currency: "GBP".into(),
        };
        Ok(ordering::Page { orders: states.into_iter().enumerate().map(order).collect(), more: true })
    }

    fn statement(&self, _customer: &str) -> Result<books::Statement, payments::Error> {
        let line = |text: &str, amount, balance| books::StatementLine {
            at: NOW,
            order: "1000122".into(),
            text: text.into(),
            amount,
            balance,
            currency: "GBP".into(),
        };
        let lines = vec![line("Paid by card ending 4242", -6947, 0), line("Invoice 1000077", 6947, 6947)];
        Ok(books::Statement { lines, more: false })
    }

    fn invoice(&self, order: &str) -> Result<Option<books::Invoice>, payments::Error> {
        let line = |sku: &str, title, quantity| books::InvoiceLine { sku: sku.into(), title, quantity, price: 2199 };
        Ok(Some(books::Invoice {
            number: "1000077".into(),
            order: order.into(),
            customer: "C-1".into(),
            at: NOW,
            lines: vec![
                line("MC-0060", books::Title::Known("Blue Train".into()), 1),
                line("MC-9", books::Title::Gone, 2),
            ],
            shipping: 350,
            total: payments::Money { minor_units: 6947, currency: "GBP".into() },
            refunded: 2199,
            card: "4242".into(),
        }))
    }

    fn setting(&self, key: &str) -> Option<String> {
        match key {
            "reference.currencies" => Some("GBP £ 2".into()),
            "reference.countries" => Some("DE Germany\nGB United Kingdom".into()),
            _ => None,
        }
    }

    fn random(&self) -> [u8; 16] {
        [7; 16]
    }

    fn now(&self) -> u64 {
        NOW
    }

    fn warn(&self, message: &str) {
        eprintln!("{message}");
    }
}
