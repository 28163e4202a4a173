//! The invoice of an order, as its customer has it; made for printing.

use askama::Template;

use crate::assets;
use crate::pages::Problem;
use crate::pages::sheet::{Sheet, address_lines};
use crate::reference::{Countries, Currencies};
use crate::reply::Reply;
use crate::seams::Seams;

use super::books::problem;
use super::desk::{Desk, Section, Shell};
use super::reply;

#[derive(Template)]
#[template(path = "office/invoice.html")]
struct InvoicePage<'a> {
    shell: Shell<'a>,
    sheet: Sheet<'a>,
}

/// `GET /office/orders/NUMBER/invoice`
pub fn page<S: Seams>(desk: &Desk<'_, S>, number: &str) -> Result<Reply, Problem> {
    let seams = desk.seams();
    let Some(invoice) = seams.invoice(number).map_err(|error| problem(&error, seams))? else {
        return Err(Problem::NoInvoice);
    };
    // The address comes from the order. While `orders` is away, the invoice shows the customer's id only.
    let order = seams.desk_order(number).ok();
    let countries = Countries::of(seams);
    let currencies = Currencies::of(seams);
    let to = match &order {
        Some(order) => address_lines(&order.address, &countries),
        None => vec![invoice.customer.as_str()],
    };
    let sheet = Sheet::new(&invoice, to, &currencies);
    Ok(reply(&InvoicePage { shell: desk.shell(Section::Orders, None), sheet }, 200))
}
