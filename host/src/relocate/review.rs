//! What was predicted of a move beside what came of it, while the host runs.
//!
//! Pure: what was counted before the move and what is counted now in, figures out. A caller is linked again when its
//! callee moves, so its counts start at the move; the recorder's go on.

use seam_runtime::serve::{EdgeTraffic, MadeTraffic, PathTraffic};
use serde::{Deserialize, Serialize};

use super::report::Moved;
use crate::forecast::{EdgeForecast, Forecast, PageForecast, Snapshot, forecast};

/// A move, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoveReview {
    pub moved: Moved,
    /// Since the move, in seconds.
    pub since_s: f64,
    /// The calls that cross hosts since then, and those that do not any more.
    pub edges: Vec<EdgeReview>,
    /// The pages that wait for calls that cross hosts since then, or not any more.
    pub pages: Vec<PageReview>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeReview {
    pub caller: String,
    pub callee: String,
    /// Without its version.
    pub interface: String,
    pub predicted: EdgeFigures,
    /// `None`: there was no call.
    pub happened: Option<EdgeFigures>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeFigures {
    pub calls_per_s: f64,
    /// Of one call, in both directions.
    pub bytes: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageReview {
    pub context: String,
    pub page: String,
    /// Less than nothing for a page that does not wait for another host any more.
    pub predicted: PageFigures,
    /// `None`: no request was recorded.
    pub happened: Option<PageFigures>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageFigures {
    /// Calls to or from the context in one request.
    pub crossings: f64,
    pub added_us: f64,
}

/// `before` was counted right before the move, and `now` is counted now, `between_s` seconds later and `since_s` after
/// its end.
pub fn review(moved: &Moved, (before, now): (&Snapshot, &Snapshot), between_s: f64, since_s: f64) -> MoveReview {
    let (mut edges, mut pages) = (Vec::new(), Vec::new());
    let after = since(now, before, between_s);
    let predicted = moved.predicted.as_deref();
    for (predicted, sign) in
        [(predicted.and_then(|all| all.added.as_ref()), 1.0), (predicted.and_then(|all| all.saved.as_ref()), -1.0)]
    {
        let Some(predicted) = predicted else { continue };
        let happened = forecast(&only(&after, &predicted.edges), &moved.context, predicted.way);
        edges.extend(predicted.edges.iter().filter(|edge| edge.calls > 0).map(|edge| edge_review(edge, &happened)));
        pages.extend(predicted.pages.iter().map(|page| page_review(page, sign, before, &after, &happened)));
    }
    MoveReview { moved: moved.clone(), since_s, edges, pages }
}

fn edge_review(edge: &EdgeForecast, happened: &Forecast) -> EdgeReview {
    let figures = |edge: &EdgeForecast| EdgeFigures {
        calls_per_s: edge.calls_per_s,
        bytes: edge.request_bytes + edge.answer_bytes,
    };
    let EdgeForecast { caller, callee, interface, .. } = edge.clone();
    let is_it = |other: &&EdgeForecast| {
        (&other.caller, &other.callee, &other.interface) == (&caller, &callee, &interface) && other.calls > 0
    };
    let happened = happened.edges.iter().find(is_it).map(figures);
    EdgeReview { predicted: figures(edge), happened, caller, callee, interface }
}

fn page_review(page: &PageForecast, sign: f64, before: &Snapshot, after: &Snapshot, happened: &Forecast) -> PageReview {
    let took = |snapshot: &Snapshot| {
        let is_it = |path: &&PathTraffic| path.context == page.context && path.name == page.page && path.samples > 0;
        snapshot.paths.iter().find(is_it).map(|path| path.took_us as f64 / path.samples as f64)
    };
    let is_it = |other: &&PageForecast| other.context == page.context && other.page == page.page;
    let crossings = happened.pages.iter().find(is_it).map_or(0.0, |page| page.crossings);
    let added = took(after).zip(took(before)).map(|(after, before)| after - before);
    PageReview {
        context: page.context.clone(),
        page: page.page.clone(),
        predicted: PageFigures { crossings: page.crossings, added_us: sign * page.added_us },
        happened: added.map(|added_us| PageFigures { crossings, added_us }),
    }
}

/// By how much the time of the same counts may differ between two looks: they are not read at one moment.
const SAME_S: f64 = 0.05;

/// What was counted after `before`, `between_s` seconds ago.
fn since(now: &Snapshot, before: &Snapshot, between_s: f64) -> Snapshot {
    let mut after = now.clone();
    for edge in &mut after.edges {
        let is_it = |other: &&EdgeTraffic| {
            (&other.caller, &other.callee, &other.interface, &other.function)
                == (&edge.caller, &edge.callee, &edge.interface, &edge.function)
        };
        // A caller that was linked again counts from then on.
        let goes_on = |then: &&EdgeTraffic| (edge.over_s - then.over_s - between_s).abs() < SAME_S;
        if let Some(then) = before.edges.iter().find(is_it).filter(goes_on) {
            edge.over_s -= then.over_s;
            edge.calls = edge.calls.saturating_sub(then.calls);
            edge.sampled = edge.sampled.saturating_sub(then.sampled);
            edge.request_bytes = edge.request_bytes.saturating_sub(then.request_bytes);
            edge.answer_bytes = edge.answer_bytes.saturating_sub(then.answer_bytes);
        }
    }
    for path in &mut after.paths {
        let is_it = |other: &&PathTraffic| other.context == path.context && other.name == path.name;
        let Some(then) = before.paths.iter().find(is_it).filter(|then| then.samples <= path.samples) else { continue };
        path.samples -= then.samples;
        path.took_us = path.took_us.saturating_sub(then.took_us);
        for made in &mut path.made {
            let is_it = |other: &&MadeTraffic| other.callee == made.callee && other.function == made.function;
            made.calls -= then.made.iter().find(is_it).map_or(0, |then| then.calls.min(made.calls));
        }
    }
    after
}

/// Only the calls of these edges, and those below them.
fn only(snapshot: &Snapshot, edges: &[EdgeForecast]) -> Snapshot {
    let mut snapshot = snapshot.clone();
    let is_one = |caller: &str, callee: &str, interface: &str| {
        let is_it = |edge: &EdgeForecast| edge.caller == caller && edge.callee == callee && edge.interface == interface;
        edges.iter().any(is_it)
    };
    snapshot.edges.retain(|edge| is_one(&edge.caller, &edge.callee, &edge.interface));
    snapshot
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::super::report::{PauseParts, Prediction};
    use super::*;
    use crate::forecast::Way;

    const WAY: Way = Way { round_trip_us: 1_000.0, bytes_per_s: 0.0 };

    /// `front` asks `bank` twice for each page; each call has 30 bytes.
    fn snapshot(over_s: f64, calls: u64, pages: u64, took_us: u64) -> Snapshot {
        let edge = EdgeTraffic {
            caller: "front".into(),
            callee: "bank".into(),
            interface: "a:bank/api".into(),
            function: "rate".into(),
            over_s,
            calls,
            sampled: calls,
            request_bytes: calls * 10,
            answer_bytes: calls * 20,
        };
        let made = MadeTraffic { callee: "bank".into(), function: "a:bank/api.rate".into(), calls: 2 * pages };
        let (context, name) = ("front".into(), "GET /".into());
        let path = PathTraffic { context, name, samples: pages, took_us, made: vec![made] };
        Snapshot { edges: vec![edge], paths: vec![path], stores: Vec::new() }
    }

    fn moved(predicted: Prediction) -> Moved {
        Moved {
            context: "bank".into(),
            from: "here".into(),
            to: "there".into(),
            token: 2,
            pages: 1,
            again: 0,
            bytes: 1,
            tables: 1,
            rows: 1,
            copy_ms: 1,
            pause_us: 1,
            parts: PauseParts::default(),
            waited: 0,
            late: None,
            predicted: Some(Box::new(predicted)),
        }
    }

    #[test]
    fn only_what_came_after_the_move_stands_beside_what_was_predicted() {
        let before = snapshot(100.0, 1_000, 500, 500 * 4_000);
        let added = Some(forecast(&before, "bank", WAY));
        let moved = moved(Prediction { added, ..Prediction::empty("bank", "here", "there") });
        // The caller is linked again: its calls are counted from the move on, and its pages since the start.
        let now = snapshot(10.0, 120, 560, 500 * 4_000 + 60 * 6_500);
        let seen = review(&moved, (&before, &now), 11.0, 10.0);
        let edge = &seen.edges[0];
        let happened = edge.happened.unwrap();
        assert_eq!((edge.predicted.calls_per_s, happened.calls_per_s), (10.0, 12.0));
        assert_eq!(edge.predicted.bytes, happened.bytes);
        let page = &seen.pages[0];
        assert_eq!(page.predicted, PageFigures { crossings: 2.0, added_us: 2_000.0 });
        assert_eq!(page.happened.unwrap(), PageFigures { crossings: 2.0, added_us: 2_500.0 });
        // Without a call, nothing has happened.
        let quiet = review(&moved, (&before, &snapshot(1.0, 0, 500, 500 * 4_000)), 2.0, 1.0);
        assert_eq!((quiet.edges[0].happened, quiet.pages[0].happened), (None, None));
        // Counts that were young before and are older now are not those of before.
        let young = snapshot(1.0, 20, 0, 0);
        let again = review(&moved, (&young, &snapshot(1.5, 20, 0, 0)), 1.6, 1.4);
        assert!(again.edges[0].happened.is_some_and(|happened| happened.calls_per_s > 13.0), "{again:?}");
        let goes_on = review(&moved, (&young, &snapshot(2.6, 50, 0, 0)), 1.6, 1.4);
        assert!(goes_on.edges[0].happened.is_some_and(|happened| happened.calls_per_s < 19.0), "{goes_on:?}");
    }

    #[test]
    fn a_context_that_comes_home_saves_what_it_cost() {
        let before = snapshot(100.0, 1_000, 500, 500 * 6_000);
        let saved = Some(forecast(&before, "bank", WAY));
        let moved = moved(Prediction { saved, ..Prediction::empty("bank", "there", "here") });
        let now = snapshot(10.0, 20, 510, 500 * 6_000 + 10 * 4_100);
        let page = review(&moved, (&before, &now), 11.0, 10.0).pages[0].clone();
        assert_eq!((page.predicted.added_us, page.happened.unwrap().added_us), (-2_000.0, -1_900.0));
    }
}
