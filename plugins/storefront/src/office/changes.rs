//! What was changed of a record, by whom: on its page and as a file.

use crate::pages::Problem;
use crate::reference::Currencies;
use crate::reply::Reply;
use crate::seams::Seams;
use crate::seams::editing::{Aspect, Change};

use super::csv::{Cell, Csv};
use super::desk::Desk;
use super::view::{Names, When};

/// Changes on the page, and in a file: the catalog lists no more.
pub const SHOWN: u32 = 20;
const FILE: u32 = 200;

pub struct Row<'a> {
    pub at: When,
    pub what: &'static str,
    pub was: String,
    pub now: String,
    /// Empty if no operator was named.
    pub by: &'a str,
}

pub fn rows<'a>(changes: &'a [Change], names: &'a Names, currencies: &Currencies) -> Vec<Row<'a>> {
    let row = |change: &'a Change| Row {
        at: When(change.at),
        what: what(change),
        was: value(change.aspect, &change.was, currencies),
        now: value(change.aspect, &change.now, currencies),
        by: names.name(&change.by),
    };
    changes.iter().map(row).collect()
}

fn what(change: &Change) -> &'static str {
    match change.aspect {
        Aspect::Artist => "Artist",
        Aspect::Title => "Title",
        Aspect::Year => "Year",
        Aspect::Genre => "Genre",
        Aspect::Label => "Label",
        Aspect::Notes => "Notes",
        Aspect::Price => "Price",
        Aspect::Sale if change.was.is_empty() => "Put into the catalogue",
        Aspect::Sale if change.now == "no" => "Sale ended",
        Aspect::Sale => "Sold again",
    }
}

/// A price as money; whether it is sold is said already.
fn value(aspect: Aspect, text: &str, currencies: &Currencies) -> String {
    match (aspect, text.split_once(' ')) {
        (Aspect::Sale, _) => String::new(),
        (Aspect::Price, Some((units, currency))) => match units.parse::<u64>() {
            Ok(units) => currencies.price(units, currency).to_string(),
            Err(_) => text.into(),
        },
        _ => text.into(),
    }
}

/// `GET /office/records/SKU/changes.csv`: the latest changes, as many as the catalog lists.
pub fn csv<S: Seams>(desk: &Desk<'_, S>, sku: &str) -> Result<Reply, Problem> {
    let seams = desk.seams();
    let changes = seams.album_changes(sku, FILE)?;
    let names = Names::of(changes.iter().map(|change| change.by.as_str()), seams);
    let currencies = Currencies::of(seams);
    let mut csv = Csv::new(&["When", "What", "Before", "After", "By"]);
    for (change, row) in changes.iter().zip(rows(&changes, &names, &currencies)) {
        let (was, now) = (row.was.as_str(), row.now.as_str());
        csv.row(&[Cell::Time(change.at), row.what.into(), was.into(), now.into(), row.by.into()]);
    }
    Ok(csv.reply(&format!("changes-{sku}")))
}
