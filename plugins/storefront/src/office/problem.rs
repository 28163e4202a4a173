//! A page of the office that cannot be shown: what an operator reads instead, with the office's menu around it.

use askama::Template;

use crate::assets;
use crate::pages::{self, Problem};
use crate::reply::Reply;
use crate::seams::Seams;

use super::desk::{Desk, Section, Shell};
use super::reply;

#[derive(Template)]
#[template(path = "office/problem.html")]
struct ProblemPage<'a> {
    shell: Shell<'a>,
    title: &'static str,
    text: &'static str,
}

/// The page of a problem, with its status. `here` is the part of the office that was asked for.
pub fn page<S: Seams>(desk: &Desk<'_, S>, here: Section, problem: &Problem) -> Reply {
    let words = pages::words(problem);
    let (title, text) = match (problem, here) {
        (Problem::NotFound, Section::Orders) => (
            "No such order",
            "No order has this number. Orders are found by their number, the recipient's name, the customer's e-mail \
             address, and their date.",
        ),
        (Problem::NotFound, Section::Records) => (
            "No such record",
            "The catalogue has no record with this SKU. Records are found by artist, title, label and SKU.",
        ),
        (Problem::NotFound, Section::Books) => {
            ("Nothing is booked here", "No customer has this number or this e-mail address.")
        }
        (Problem::NotFound, _) => ("No such page", "The office has no page at this address."),
        (Problem::NoInvoice, _) => ("No invoice yet", "The invoice is written when the parcel leaves."),
        _ => (words.title, words.text),
    };
    let page = ProblemPage { shell: desk.shell(here, None), title, text };
    let mut reply = reply(&page, words.status);
    reply.headers.extend(problem.headers());
    reply
}
