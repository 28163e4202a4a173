//! From the contexts' types to those that the pages take: the same fields, moved.

use catalog::albums::{self as domain, AlbumPage as Found};
use customer::domain::{Countries, form};
use customer::wit::{Account, Address};
use finance::domain::card::Typed;
use orders::musiccorp::catalog::albums;
use orders::wit;
use storefront::seams::{Album, AlbumPage, Money, accounts, ordering, payments};

use super::reference::{Reference, now};

pub fn album(album: domain::Album) -> Album {
    let domain::Album { sku, artist, title, year, genre, label, price, notes, discontinued } = album;
    let price = Money { minor_units: price.minor_units, currency: price.currency };
    Album { sku, artist, title, year, genre, label, price, notes, discontinued }
}

pub fn albums(albums: Vec<domain::Album>) -> Vec<Album> {
    albums.into_iter().map(album).collect()
}

pub fn album_page(found: Found) -> AlbumPage {
    AlbumPage { albums: albums(found.albums), total: found.total, more: found.more }
}

pub fn account(account: Account) -> accounts::Account {
    let Account { id, email, name, address, operator, since } = account;
    let address = address.map(|Address { name, street, extra, city, postcode, country }| accounts::Address {
        name,
        street,
        extra,
        city,
        postcode,
        country,
    });
    accounts::Account { id, email, name, address, operator, since }
}

/// As orders looks at it for its price.
pub fn priced_album(album: domain::Album) -> albums::Album {
    let domain::Album { sku, artist, title, year, genre, label, price, notes, discontinued } = album;
    let price = albums::Money { minor_units: price.minor_units, currency: price.currency };
    albums::Album { sku, artist, title, year, genre, label, price, notes, discontinued }
}

pub fn lines(lines: &[ordering::Line]) -> Vec<wit::Line> {
    lines.iter().map(|line| wit::Line { sku: line.sku.clone(), copies: line.copies }).collect()
}

pub fn request(request: &ordering::Request) -> wit::Request {
    let ordering::Request { customer, lines, address, card, total, from } = request.clone();
    let ordering::Address { name, street, extra, city, postcode, country } = address;
    let ordering::Card { number, holder, expiry, code } = card;
    wit::Request {
        customer,
        lines: self::lines(&lines),
        address: wit::Address { name, street, extra, city, postcode, country },
        card: wit::Card { number, holder, expiry, code },
        total,
        from,
    }
}

/// By the rules of `customer` and `finance`. The split links them instead of asking two services more: if anything,
/// that favours it.
pub fn check_address(address: &accounts::Address, reference: &Reference) -> Result<(), accounts::Error> {
    let accounts::Address { name, street, extra, city, postcode, country } = address.clone();
    let countries = Countries::new(reference.countries().map(Into::into));
    let checked = form::address(&Address { name, street, extra, city, postcode, country }, &countries);
    checked.map(drop).map_err(|error| accounts::Error::Invalid(error.to_string()))
}

pub fn check_card(card: &payments::Card) -> Result<(), payments::Error> {
    let payments::Card { number, holder, expiry, code } = card.clone();
    let checked = Typed(finance::wit::Card { number, holder, expiry, code }).check(now());
    checked.map(drop).map_err(|problems| payments::Error::Invalid(format!("{problems:?}")))
}

pub fn shipping(reference: &Reference) -> ordering::Shipping {
    let wit::Shipping { fee, free_from } = reference.post();
    ordering::Shipping { fee, free_from }
}

pub fn quote(quote: wit::Quote) -> ordering::Quote {
    let wit::Quote { lines, gone, shipping, total, currency } = quote;
    let line = |line: wit::PricedLine| {
        let wit::PricedLine { sku, artist, title, copies, price } = line;
        ordering::PricedLine { sku, artist, title, copies, price }
    };
    ordering::Quote { lines: lines.into_iter().map(line).collect(), gone, shipping, total, currency }
}

pub fn order(order: wit::Order) -> ordering::Order {
    let wit::Order { number, customer, state, lines, shipping, total, currency, address, at, history } = order;
    let wit::Address { name, street, extra, city, postcode, country } = address;
    let line = |line: wit::PlacedLine| {
        let wit::PlacedLine { sku, copies, price, returned } = line;
        ordering::PlacedLine { sku, copies, price, returned }
    };
    let event = |event: wit::Event| ordering::Event { at: event.at, state: self::state(event.state), note: event.note };
    ordering::Order {
        number,
        customer,
        state: self::state(state),
        lines: lines.into_iter().map(line).collect(),
        shipping,
        total,
        currency,
        address: ordering::Address { name, street, extra, city, postcode, country },
        at,
        history: history.into_iter().map(event).collect(),
    }
}

fn state(state: wit::State) -> ordering::State {
    match state {
        wit::State::Placing => ordering::State::Placing,
        wit::State::Placed => ordering::State::Placed,
        wit::State::Shipped => ordering::State::Shipped,
        wit::State::ReturnRequested => ordering::State::ReturnRequested,
        wit::State::Returned => ordering::State::Returned,
        wit::State::Cancelled => ordering::State::Cancelled,
        wit::State::Rejected => ordering::State::Rejected,
    }
}

pub fn error(error: wit::Error) -> ordering::Error {
    match error {
        wit::Error::Fields(problems) => {
            let problem = |one: wit::FieldProblem| ordering::FieldProblem { field: one.field, problem: one.problem };
            ordering::Error::Fields(problems.into_iter().map(problem).collect())
        }
        wit::Error::Changed(now) => ordering::Error::Changed(quote(now)),
        wit::Error::Short(short) => {
            let shortage = |s: wit::Shortage| ordering::Shortage { sku: s.sku, wanted: s.wanted, on_hand: s.on_hand };
            ordering::Error::Short(short.into_iter().map(shortage).collect())
        }
        wit::Error::Declined(why) => ordering::Error::Declined(why),
        wit::Error::Wait(seconds) => ordering::Error::Wait(seconds),
        wit::Error::Busy(seconds) => ordering::Error::Busy(seconds),
        wit::Error::InProcess(number) => ordering::Error::InProcess(number),
        wit::Error::UnknownOrder => ordering::Error::UnknownOrder,
        wit::Error::Refused(why) => ordering::Error::Refused(why),
        wit::Error::Invalid(why) => ordering::Error::Invalid(why),
        wit::Error::Unavailable(why) => ordering::Error::Unavailable(why),
    }
}
