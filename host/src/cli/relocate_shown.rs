//! Moves as text: what is predicted, and what came of it.

use std::fmt::Write as _;

use super::out;
use crate::forecast::{self, Forecast, PageForecast};
use crate::relocate::{EdgeFigures, MoveReview, Moved, PageFigures, PauseParts, Prediction, Spread};

/// A prediction.
pub fn prediction(prediction: &Prediction) -> String {
    let Prediction { context, from, to, refused, round_trip, added, saved, copy, pause } = prediction;
    let mut text = format!("`{context}` from host `{from}` to host `{to}`\n");
    if let Some(Spread { median_us, p99_us }) = round_trip {
        let (median, p99) = (out::time(*median_us), out::time(*p99_us));
        add(&mut text, &format!("a small request takes {median} there and back, and {p99} at the 99th percentile"));
    }
    if let Some(copy) = copy {
        let seconds = |ms: u64| out::time(ms as f64 * 1e3);
        let (bytes, all, compare) = (out::size(copy.bytes), seconds(copy.copy_ms), seconds(copy.compare_ms));
        let again = copy.again;
        add(
            &mut text,
            &format!(
                "the copy: {bytes} in {all}, {compare} of it to compare the tables; {again} pages come from the log"
            ),
        );
    }
    if let Some(pause) = pause {
        let [low, high] = [pause.p10_us, pause.p90.total_us()].map(|us| out::time(us as f64));
        add(
            &mut text,
            &format!(
                "the pause, while calls of it wait: {low} to {high} in 8 of 10 of {} rehearsals",
                pause.rehearsals
            ),
        );
        text.push_str(&parts(&[("MEDIAN", pause.median), ("1 IN 10", pause.p90)]));
    }
    if let Some(added) = added {
        text.push_str(&with_p99(added, *round_trip));
    }
    if let Some(saved) = saved {
        text.push_str("calls that cross hosts now, and would not then:\n");
        for edge in saved.edges.iter().filter(|edge| edge.calls > 0) {
            let (time, calls) = (out::time(edge.added_us), edge.calls_per_s);
            let seam = format!("{}->{} {}", edge.caller, edge.callee, edge.interface);
            add(&mut text, &format!("  {seam}: {calls:.1} calls/s, {time} less a call"));
        }
        for page in &saved.pages {
            let (name, time) = (page_name(page), out::time(page.added_us));
            add(&mut text, &format!("  {name}: {time} less than {}", out::time(page.took_us)));
        }
    }
    for refused in refused {
        add(&mut text, &format!("it would not move: {}", refused.message));
        add(&mut text, &format!("  hint: {}", refused.remedy));
    }
    text
}

/// The forecast, with what pages wait for when one of their calls is slow.
fn with_p99(added: &Forecast, round_trip: Option<Spread>) -> String {
    let mut text = forecast::text(added);
    let more = round_trip.map_or(0.0, |Spread { median_us, p99_us }| p99_us - median_us);
    for page in &added.pages {
        let time = out::time(page.added_us + more);
        add(&mut text, &format!("if one of its calls is slow, {} takes {time} more", page_name(page)));
    }
    text
}

fn page_name(page: &PageForecast) -> String {
    format!("{} {}", page.context, page.page)
}

/// How long a move took, beside what was predicted.
pub fn took(moved: &Moved) -> String {
    let (size, seconds) = (out::size(moved.bytes), moved.copy_ms as f64 / 1e3);
    let mut text = format!(
        "{size} sent in {seconds:.1} s: {} pages, and {} that were changed meanwhile\n",
        moved.pages, moved.again
    );
    let predicted = moved.predicted.as_ref();
    if let Some(copy) = predicted.and_then(|predicted| predicted.copy) {
        let (size, seconds) = (out::size(copy.bytes), copy.copy_ms as f64 / 1e3);
        add(&mut text, &format!("predicted: {size} in {seconds:.1} s, {} pages, and {}", copy.pages, copy.again));
    }
    add(&mut text, &format!("its calls waited for {:.1} ms:", moved.pause_us as f64 / 1e3));
    match predicted.and_then(|predicted| predicted.pause) {
        Some(pause) => {
            text.push_str(&parts(&[("HAPPENED", moved.parts), ("PREDICTED", pause.median), ("1 IN 10", pause.p90)]))
        }
        None => text.push_str(&parts(&[("HAPPENED", moved.parts)])),
    }
    text
}

fn parts(columns: &[(&str, PauseParts)]) -> String {
    let header: Vec<&str> = std::iter::once("PART").chain(columns.iter().map(|(name, _)| *name)).collect();
    let row = |at: usize| {
        let part = |parts: &PauseParts| parts.named().get(at).copied().unwrap_or(("all", parts.total_us()));
        let name = columns.first().map_or("", |(_, parts)| part(parts).0);
        let times = columns.iter().map(|(_, parts)| out::time(part(parts).1 as f64));
        std::iter::once(name.to_owned()).chain(times).collect::<Vec<_>>()
    };
    // One more than there are parts: all of them.
    let rows: Vec<_> = (0..=PauseParts::default().named().len()).map(row).collect();
    out::table(&header, &rows, header.get(1..).unwrap_or_default())
}

/// A move, and what came of it.
pub fn review(review: &MoveReview) -> String {
    let MoveReview { moved, since_s, edges, pages } = review;
    let Moved { context, from, to, .. } = moved;
    let mut text = format!("`{context}` from host `{from}` to host `{to}`, {since_s:.0} s ago\n{}", took(moved));
    let figures =
        |EdgeFigures { calls_per_s, bytes }: EdgeFigures| [format!("{calls_per_s:.1}"), out::size(bytes as u64)];
    let rows = edges.iter().map(|edge| {
        let mut row = vec![format!("{}->{} {}", edge.caller, edge.callee, edge.interface)];
        let happened = edge.happened.map(figures).unwrap_or_else(|| [String::from("none"), String::new()]);
        let [calls, bytes] = figures(edge.predicted);
        row.extend([happened[0].clone(), calls, happened[1].clone(), bytes]);
        row
    });
    let header = ["EDGE", "CALLS/S", "PREDICTED", "BYTES A CALL", "PREDICTED"];
    if !edges.is_empty() {
        text.push_str(&out::table(&header, &rows.collect::<Vec<_>>(), header.get(1..).unwrap_or_default()));
    }
    let figures = |PageFigures { crossings, added_us }: PageFigures| [format!("{crossings:.1}"), signed(added_us)];
    let rows = pages.iter().map(|page| {
        let happened = page.happened.map(figures).unwrap_or_else(|| [String::from("none"), String::new()]);
        let [calls, added] = figures(page.predicted);
        vec![format!("{} {}", page.context, page.page), happened[0].clone(), calls, happened[1].clone(), added]
    });
    let header = ["PAGE", "CALLS", "PREDICTED", "MORE TIME", "PREDICTED"];
    if !pages.is_empty() {
        text.push_str(&out::table(&header, &rows.collect::<Vec<_>>(), header.get(1..).unwrap_or_default()));
    }
    text
}

fn signed(us: f64) -> String {
    if us < 0.0 { format!("-{}", out::time(-us)) } else { out::time(us) }
}

fn add(text: &mut String, line: &str) {
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relocate::{CopyPrediction, PausePrediction, Refused};

    #[test]
    fn a_prediction_shows_what_is_known_and_every_reason_against_the_move() {
        let median = PauseParts { rest_us: 900, hand_over_us: 1_100, activate_us: 7_000, ..PauseParts::default() };
        let p90 = PauseParts { drain_us: 40_000, ..median };
        let refused = Refused { message: "`bank` has a feed".to_owned(), remedy: "stop the hosts".to_owned() };
        let shown = prediction(&Prediction {
            refused: vec![refused],
            round_trip: Some(Spread { median_us: 300.0, p99_us: 1_200.0 }),
            copy: Some(CopyPrediction { pages: 10, again: 2, bytes: 49_200, copy_ms: 40, compare_ms: 5 }),
            pause: Some(PausePrediction { median, p90, p10_us: 8_000, rehearsals: 11 }),
            ..Prediction::empty("bank", "here", "there")
        });
        let expect = "\
`bank` from host `here` to host `there`
a small request takes 300 us there and back, and 1.2 ms at the 99th percentile
the copy: 49 KB in 40 ms, 5.0 ms of it to compare the tables; 2 pages come from the log
the pause, while calls of it wait: 8.0 ms to 49 ms in 8 of 10 of 11 rehearsals
PART                      MEDIAN  1 IN 10
calls that run end          0 us    40 ms
the last pages travel     900 us   900 us
the file is handed over   1.1 ms   1.1 ms
the other host serves it  7.0 ms   7.0 ms
calls go there              0 us     0 us
all                       9.0 ms    49 ms
it would not move: `bank` has a feed
  hint: stop the hosts
";
        assert_eq!(shown, expect);
    }
}
