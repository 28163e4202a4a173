//! Sample data of the contexts in tests: albums, an account, an order, its payment and its bookings.

use crate::seams::{
    Album, AlbumPage, Cause, Level, Money, Movement, MovementBy, accounts, books, desk, editing, ordering, payments,
};

/// 2 March 2026, 14:05 UTC.
pub const NOW: u64 = 1_772_460_309;
pub const TOKEN: &str = "abababababababababababababababababababababababababababababababab";
pub const REFERENCE: [(&str, &str); 3] = [
    ("reference.currencies", "GBP £ 2\nEUR € 2\nUSD $ 2\nJPY ¥ 0\n"),
    ("reference.countries", "AT Austria\nGB United Kingdom\n"),
    ("reference.returns", "MusicCorp Returns\n1 Yard\n"),
];

pub fn album(sku: &str) -> Album {
    Album {
        sku: sku.into(),
        artist: format!("Artist {sku}"),
        title: format!("Title {sku}"),
        year: 1959,
        genre: "Jazz".into(),
        label: "Columbia".into(),
        price: Money { minor_units: 2499, currency: "GBP".into() },
        notes: "Notes.".into(),
        discontinued: false,
    }
}

pub fn level(sku: &str, on_hand: u32) -> Level {
    Level { sku: sku.into(), on_hand }
}

pub fn account() -> accounts::Account {
    accounts::Account {
        id: "C-1".into(),
        email: "ann@example.test".into(),
        name: "Ann".into(),
        address: Some(accounts::Address {
            name: "Ann Lee".into(),
            street: "1 High Street".into(),
            extra: String::new(),
            city: "Leeds".into(),
            postcode: "LS1 1AA".into(),
            country: "GB".into(),
        }),
        operator: false,
        since: NOW - 30,
    }
}

pub fn session() -> accounts::Session {
    accounts::Session { token: TOKEN.into(), expires: NOW + 2_592_000, account: account() }
}

/// One copy of `A`, two of `B`, placed an hour ago.
pub fn order() -> ordering::Order {
    let line = |sku: &str, copies| ordering::PlacedLine { sku: sku.into(), copies, price: 2499, returned: 0 };
    ordering::Order {
        number: "1000123".into(),
        customer: "C-1".into(),
        state: ordering::State::Placed,
        lines: vec![line("A", 1), line("B", 2)],
        shipping: 350,
        total: 3 * 2499 + 350,
        currency: "GBP".into(),
        address: ordering::Address {
            name: "Ann Lee".into(),
            street: "1 High Street".into(),
            extra: String::new(),
            city: "Leeds".into(),
            postcode: "LS1 1AA".into(),
            country: "GB".into(),
        },
        at: NOW - 3600,
        history: vec![
            ordering::Event { at: NOW - 3600, state: ordering::State::Placing, note: String::new() },
            ordering::Event {
                at: NOW - 3599,
                state: ordering::State::Placed,
                note: "Paid by card ending 4242.".into(),
            },
        ],
    }
}

pub fn summary(order: &ordering::Order) -> ordering::Summary {
    ordering::Summary {
        number: order.number.clone(),
        customer: order.customer.clone(),
        state: order.state,
        at: order.at,
        copies: order.lines.iter().map(|line| line.copies).sum(),
        total: order.total,
        currency: order.currency.clone(),
    }
}

/// A quote with the albums' current prices and £3.50 for shipping, which is free from £100.00 on.
pub fn quote(albums: &[Album], lines: &[ordering::Line]) -> Result<ordering::Quote, ordering::Error> {
    let mut quote =
        ordering::Quote { lines: Vec::new(), gone: Vec::new(), shipping: 350, total: 0, currency: "GBP".into() };
    for line in lines {
        match albums.iter().find(|album| album.sku == line.sku && !album.discontinued) {
            Some(album) if album.price.currency != quote.currency => {
                return Err(ordering::Error::Invalid("two currencies".into()));
            }
            Some(album) => {
                quote.total += u64::from(line.copies) * u64::from(album.price.minor_units);
                quote.lines.push(ordering::PricedLine {
                    sku: line.sku.clone(),
                    artist: album.artist.clone(),
                    title: album.title.clone(),
                    copies: line.copies,
                    price: album.price.minor_units,
                });
            }
            None => quote.gone.push(line.sku.clone()),
        }
    }
    if quote.total >= 10_000 {
        quote.shipping = 0;
    }
    quote.total += u64::from(quote.shipping);
    Ok(quote)
}

/// `A.1 B.2`
pub fn shown(lines: &[ordering::Line]) -> String {
    lines.iter().map(|line| format!("{}.{}", line.sku, line.copies)).collect::<Vec<_>>().join(" ")
}

pub fn invoice() -> books::Invoice {
    let line = |sku: &str, title, quantity| books::InvoiceLine { sku: sku.into(), title, quantity, price: 2499 };
    books::Invoice {
        number: "I-77".into(),
        order: "1000123".into(),
        customer: "C-1".into(),
        at: NOW - 60,
        lines: vec![line("A", books::Title::Known("Title A".into()), 1), line("B", books::Title::Gone, 2)],
        shipping: 350,
        total: payments::Money { minor_units: 3 * 2499 + 350, currency: "GBP".into() },
        refunded: 0,
        card: "4242".into(),
    }
}

pub fn statement() -> Vec<books::StatementLine> {
    let line = |text: &str, amount, balance| books::StatementLine {
        at: NOW - 60,
        order: "1000123".into(),
        text: text.into(),
        amount,
        balance,
        currency: "GBP".into(),
    };
    vec![line("Paid by card ending 4242", -7847, 0), line("Invoice I-77", 7847, 7847)]
}

pub fn trial_balance() -> books::TrialBalance {
    let line = |account: &str, debit, credit| books::TrialBalanceLine {
        account: account.into(),
        currency: "GBP".into(),
        debit,
        credit,
    };
    books::TrialBalance {
        lines: vec![line("card-clearing", 7847, 0), line("sales", 0, 7497), line("shipping", 0, 350)],
        sum: 0,
        entries: 1,
    }
}

pub fn payment() -> payments::Payment {
    payments::Payment {
        order: "1000123".into(),
        stage: payments::Stage::Authorised,
        authorised: payments::Money { minor_units: 7847, currency: "GBP".into() },
        refunded: 0,
        card: "4242".into(),
    }
}

pub fn movements() -> Vec<MovementBy> {
    let movement = |cause, change, on_hand, reference: &str, by: &str| MovementBy {
        movement: Movement { at: NOW - 60, cause, change, on_hand, reference: reference.into() },
        by: by.into(),
    };
    vec![movement(Cause::Reserved, -1, 9, "1000123", ""), movement(Cause::Counted, 10, 10, "", "C-1")]
}

/// The price of `A` was changed by Ann after the record had been described by an account that is gone.
pub fn album_changes() -> Vec<editing::Change> {
    let change = |aspect, was: &str, now: &str, by: &str| editing::Change {
        at: NOW - 60,
        aspect,
        was: was.into(),
        now: now.into(),
        by: by.into(),
    };
    vec![
        change(editing::Aspect::Price, "1999 GBP", "2499 GBP", "C-1"),
        change(editing::Aspect::Title, "Titel A", "Title A", "C-7"),
        change(editing::Aspect::Sale, "", "yes", ""),
    ]
}

/// An order that has been held up for an hour.
pub fn held_up(order: &ordering::Order, change: desk::Change) -> desk::HeldUp {
    desk::HeldUp {
        order: summary(order),
        change,
        since: NOW - 3600,
        step: "capture".into(),
        stuck: false,
        cause: "finance does not answer".into(),
    }
}

/// The catalog's page of the albums on sale, of `total` or all of them.
pub fn album_page(albums: &[Album], total: Option<u32>, page: u32, size: u32) -> AlbumPage {
    let total = total.unwrap_or(albums.len() as u32);
    let on_sale = || albums.iter().filter(|album| !album.discontinued).cloned().collect();
    let albums = if (page - 1) * size < total { on_sale() } else { Vec::new() };
    AlbumPage { albums, total, more: page * size < total }
}
