//! What waits for the operator: parcels, returns, orders that were cut off, and whether copies and money add up.
//!
//! Every part comes from a question of its own, and says so where nobody answers.

use askama::Template;

use crate::assets;
use crate::money::Count;
use crate::pages::Problem;
use crate::reply::Reply;
use crate::seams::ordering::{State, Summary};
use crate::seams::{Pick, Seams, Tally, books::TrialBalance};

use super::desk::{Desk, Place, Shell};
use super::notice::{Done, Failed, Notice};
use super::query::Query;
use super::reply;
use super::view::{When, or_away};

/// As far as the warehouse counts what waits.
pub const PICKS_MAX: u32 = 200;
/// Returns that are named here; the list has the others.
const NAMED: usize = 5;

#[derive(Template)]
#[template(path = "office/overview.html")]
struct OverviewPage<'a> {
    shell: Shell<'a>,
    picks: Option<Waiting>,
    returns: Option<Stack>,
    stuck: Option<Stack>,
    tally: Option<Tally>,
    balance: Option<TrialBalance>,
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

/// Orders in one state, as many as one answer has.
struct Stack {
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
    let stack = |state| {
        or_away(seams.orders_in_state(state, 1)).map(|page| Stack {
            count: page.orders.len(),
            more: page.more,
            first: page.orders.into_iter().take(NAMED).collect(),
        })
    };
    let page = OverviewPage {
        shell: desk.shell(Place::Overview, notice),
        picks: or_away(seams.pick_list(PICKS_MAX)).map(|picks| waiting(&picks)),
        returns: stack(State::ReturnRequested),
        stuck: stack(State::Placing),
        tally: or_away(seams.tally(&[])),
        balance: or_away(seams.trial_balance()),
    };
    Ok(reply(&page, status))
}

fn waiting(picks: &[Pick]) -> Waiting {
    let count = u32::try_from(picks.len()).unwrap_or(u32::MAX);
    Waiting { count: Count(count), more: count >= PICKS_MAX, since: picks.first().map(|pick| When(pick.at)) }
}

/// Whether every copy that ever came in is somewhere.
pub fn complete(tally: &Tally) -> bool {
    let somewhere =
        [tally.on_hand, tally.reserved, tally.shipped].iter().try_fold(0, |sum: u64, part| sum.checked_add(*part));
    somewhere == Some(tally.received)
}
