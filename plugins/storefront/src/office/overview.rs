//! What waits for the operator: parcels, returns, orders that were cut off, and whether copies and money add up.
//!
//! Every part comes from a call of its own, and says so if the context does not answer.

use askama::Template;

use crate::assets;
use crate::form::Form;
use crate::money::{Count, Price};
use crate::pages::Problem;
use crate::reference::Currencies;
use crate::reply::Reply;
use crate::seams::desk::CutOff;
use crate::seams::ordering::{self, State, Summary};
use crate::seams::{Pick, Seams, Tally};

use super::books::out;
use super::cut_off::{NAMED_MAX, Notes, notes};
use super::desk::{Desk, Section, Shell};
use super::notice::{Done, Failed, Notice};
use super::query::Query;
use super::reply;
use super::view::{When, is_number};

/// The warehouse lists at most this many parcels.
pub const PICKS_MAX: u32 = 200;
/// Orders that are named here; the list shows all.
const NAMED: usize = 5;

#[derive(Template)]
#[template(path = "office/overview.html")]
struct OverviewPage<'a> {
    shell: Shell<'a>,
    picks: Option<Waiting>,
    returns: Option<OrderCount>,
    cut_off: Option<Vec<CutOff>>,
    tally: Option<Tally>,
    /// By how much the books are out, and how many entries they have.
    books: Option<(Vec<Price<'a>>, u64)>,
}

impl OverviewPage<'_> {
    fn complete(&self, tally: &Tally) -> bool {
        complete(tally)
    }

    /// The orders that are named.
    fn named<'a>(&self, cut_off: &'a [CutOff]) -> Vec<Notes<'a>> {
        cut_off.iter().take(NAMED).map(notes).collect()
    }

    /// There may be more.
    fn more(&self, cut_off: &[CutOff]) -> bool {
        cut_off.len() >= NAMED_MAX as usize
    }
}

/// Parcels to pack.
struct Waiting {
    count: Count,
    /// There may be more.
    more: bool,
    since: Option<When>,
}

/// How many orders wait for one thing, counted on the first page of the list.
struct OrderCount {
    count: usize,
    more: bool,
    first: Vec<Summary>,
}

/// `GET /office`
pub fn page<S: Seams>(desk: &Desk<'_, S>, query: &Query) -> Result<Reply, Problem> {
    let notice = Notice::drafted(desk.draft("").as_ref());
    show(desk, notice.or(query.done.map(Notice::from)), 200)
}

/// `POST /office/settle`, from the page that the form names.
pub fn settle<S: Seams>(desk: &Desk<'_, S>, form: &Form<'_>) -> Result<Reply, Problem> {
    let page = back(form.raw("page"));
    match desk.seams().settle(desk.account()) {
        Ok(0) => Ok(desk.done(page, Done::NothingToSettle)),
        Ok(_) => Ok(desk.done(page, Done::Settled)),
        Err(error) => {
            let failed = Failed::from(error);
            let (status, draft) = (failed.status, failed.draft(""));
            Ok(show(desk, Some(failed.into()), status)?.again(draft))
        }
    }
}

/// The page below `/office` to go back to: that of the orders or of one order, or else the overview.
fn back(page: &str) -> &str {
    match page.strip_prefix("/orders") {
        Some("") => page,
        Some(rest) if rest.strip_prefix('/').is_some_and(is_number) => page,
        _ => "",
    }
}

fn show<S: Seams>(desk: &Desk<'_, S>, notice: Option<Notice>, status: u16) -> Result<Reply, Problem> {
    let seams = desk.seams();
    let stack = |page: ordering::Page| OrderCount {
        count: page.orders.len(),
        more: page.more,
        first: page.orders.into_iter().take(NAMED).collect(),
    };
    let currencies = Currencies::of(seams);
    let balance = seams.trial_balance().ok();
    let page = OverviewPage {
        shell: desk.shell(Section::Overview, notice),
        picks: seams.pick_list(PICKS_MAX).ok().map(|picks| waiting(&picks)),
        returns: seams.orders_in_state(State::ReturnRequested, 1).ok().map(stack),
        cut_off: seams.cut_off_orders(NAMED_MAX).ok(),
        tally: seams.tally(&[]).ok(),
        books: balance.as_ref().map(|balance| (out(balance, &currencies), balance.entries)),
    };
    Ok(reply(&page, status))
}

fn waiting(picks: &[Pick]) -> Waiting {
    let count = u32::try_from(picks.len()).unwrap_or(u32::MAX);
    Waiting { count: Count(count), more: count >= PICKS_MAX, since: picks.first().map(|pick| When(pick.at)) }
}

/// Whether all copies that ever came in are accounted for.
pub fn complete(tally: &Tally) -> bool {
    let somewhere =
        [tally.on_hand, tally.reserved, tally.shipped].iter().try_fold(0, |sum: u64, part| sum.checked_add(*part));
    somewhere == Some(tally.received)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_leads_to_a_page_of_orders() {
        for (page, to) in [
            ("/orders", "/orders"),
            ("/orders/1000123", "/orders/1000123"),
            ("", ""),
            ("/orders/", ""),
            ("/orders/1/ship", ""),
            ("/orders?x=1", ""),
            ("/ordersx", ""),
            ("//evil.example", ""),
            ("/books", ""),
        ] {
            assert_eq!(back(page), to, "{page}");
        }
    }
}
