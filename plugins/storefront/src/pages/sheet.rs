//! An invoice as it is shown and printed, for its customer and in the office.

use crate::money::{Charge, Price};
use crate::reference::{Countries, Currencies};
use crate::seams::{books, ordering};
use crate::time::Day;

/// What the template `invoice-sheet.html` shows.
pub struct Sheet<'a> {
    pub invoice: &'a books::Invoice,
    pub day: Day,
    /// The recipient, line by line.
    pub to: Vec<&'a str>,
    pub items: Vec<Item<'a>>,
    pub shipping: Charge<'a>,
    pub total: Price<'a>,
    pub refunded: Option<Price<'a>>,
}

pub struct Item<'a> {
    pub sku: &'a str,
    pub title: &'a str,
    pub quantity: u32,
    pub price: Price<'a>,
    pub sum: Price<'a>,
}

impl<'a> Sheet<'a> {
    pub fn new(invoice: &'a books::Invoice, to: Vec<&'a str>, currencies: &'a Currencies) -> Sheet<'a> {
        let currency = invoice.total.currency.as_str();
        let item = |line: &'a books::InvoiceLine| Item {
            sku: &line.sku,
            title: match &line.title {
                books::Title::Known(title) => title,
                books::Title::Gone => "A record that is no longer in our catalogue",
                books::Title::Unavailable => "(the title cannot be looked up just now)",
            },
            quantity: line.quantity,
            price: currencies.price(line.price, currency),
            sum: currencies.price(u64::from(line.price) * u64::from(line.quantity), currency),
        };
        Sheet {
            invoice,
            day: Day(invoice.at),
            to,
            items: invoice.lines.iter().map(item).collect(),
            shipping: Charge(currencies.price(invoice.shipping, currency)),
            total: currencies.price(invoice.total.minor_units, currency),
            refunded: (invoice.refunded > 0).then(|| currencies.price(invoice.refunded, currency)),
        }
    }
}

/// An address as it stands on a parcel, without empty lines.
pub fn address_lines<'a>(address: &'a ordering::Address, countries: &'a Countries) -> Vec<&'a str> {
    let lines = [&address.name, &address.street, &address.extra, &address.postcode, &address.city];
    let mut to: Vec<&str> = lines.into_iter().map(String::as_str).collect();
    to.push(countries.name(&address.country));
    to.retain(|line| !line.is_empty());
    to
}
