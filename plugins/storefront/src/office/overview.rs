//! What waits for the operator: parcels, returns, orders that are held up, and whether copies and money add up.
//!
//! Every part comes from a call of its own, and says so if the context does not answer.

use askama::Template;

use crate::assets;
use crate::money::{Count, Price};
use crate::pages::Problem;
use crate::reference::Currencies;
use crate::reply::Reply;
use crate::seams::desk::HeldUp;
use crate::seams::ordering::{self, State, Summary};
use crate::seams::{Pick, Seams, Tally};

use super::books::out;
use super::desk::{Desk, Section, Shell};
use super::held_up::{NAMED_MAX, Notes, notes};
use super::notice::Notice;
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
    held_up: Option<Vec<HeldUp>>,
    tally: Option<Tally>,
    /// By how much the books are out, and how many entries they have.
    books: Option<(Vec<Price<'a>>, u64)>,
}

impl OverviewPage<'_> {
    fn complete(&self, tally: &Tally) -> bool {
        complete(tally)
    }

    /// The orders that are named.
    fn named<'a>(&self, held_up: &'a [HeldUp]) -> Vec<Notes<'a>> {
        held_up.iter().take(NAMED).map(notes).collect()
    }

    /// There may be more.
    fn more(&self, held_up: &[HeldUp]) -> bool {
        held_up.len() >= NAMED_MAX as usize
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

fn show<S: Seams>(desk: &Desk<'_, S>, notice: Option<Notice>, status: u16) -> Result<Reply, Problem> {
    let seams = desk.seams();
    let stack = |page: ordering::Page| OrderCount {
        count: page.orders.len(),
        more: page.more,
        first: page.orders.into_iter().take(NAMED).collect(),
    };
    let currencies = Currencies::of(seams);
    let (balance, picks, returns, held_up, tally) = seam_sdk::together((
        || seams.trial_balance().ok(),
        || seams.pick_list(PICKS_MAX).ok(),
        || seams.orders_in_state(State::ReturnRequested, 1).ok(),
        || seams.held_up_orders(NAMED_MAX).ok(),
        || seams.tally(&[]).ok(),
    ));
    let page = OverviewPage {
        shell: desk.shell(Section::Overview, notice),
        picks: picks.map(|picks| waiting(&picks)),
        returns: returns.map(stack),
        held_up,
        tally,
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
