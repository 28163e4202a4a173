//! What waits for the operator: parcels, returns, interrupted orders, and whether copies and money add up.
//!
//! Every part comes from a call of its own, and says so if the context does not answer.

use askama::Template;

use crate::assets;
use crate::money::{Count, Price};
use crate::pages::Problem;
use crate::reference::Currencies;
use crate::reply::Reply;
use crate::seams::ordering::{self, State, Summary};
use crate::seams::{Pick, Seams, Tally};

use super::books::out;
use super::desk::{Desk, Section, Shell};
use super::notice::{Done, Failed, Notice};
use super::query::Query;
use super::reply;
use super::view::When;

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
    in_between: Option<OrderCount>,
    tally: Option<Tally>,
    /// By how much the books are out, and how many entries they have.
    books: Option<(Vec<Price<'a>>, u64)>,
}

impl OverviewPage<'_> {
    fn complete(&self, tally: &Tally) -> bool {
        complete(tally)
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
    show(desk, query.done.map(Notice::from), 200)
}

/// `POST /office/settle`
pub fn settle<S: Seams>(desk: &Desk<'_, S>) -> Result<Reply, Problem> {
    match desk.seams().settle() {
        Ok(0) => Ok(desk.done("", Done::NothingToSettle)),
        Ok(_) => Ok(desk.done("", Done::Settled)),
        Err(error) => {
            let failed = Failed::from(error);
            let status = failed.status;
            show(desk, Some(failed.into()), status)
        }
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
        in_between: seams.orders_in_between(1).ok().map(stack),
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
