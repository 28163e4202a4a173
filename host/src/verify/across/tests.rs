//! Sides that change, end early or say nonsense, merged.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::time::{Duration, Instant};

use seam_store::Range;
use seam_store::ids::ContextName;
use tokio::sync::mpsc;

use super::compare::{Seen, Source, twice};
use crate::remote::Page;

type Row = (&'static str, i64, i64);

fn page(rows: &[Row]) -> Page {
    Page::Rows(
        rows.iter().map(|(key, least, most)| ((*key).to_owned(), Range { least: *least, most: *most })).collect(),
    )
}

/// A side of which these pages come.
fn source(context: &str, pages: Vec<Page>) -> Source {
    let (sender, receiver) = mpsc::channel(pages.len().max(1));
    pages.into_iter().for_each(|page| sender.try_send(page).unwrap());
    Source::new(ContextName::new(context).unwrap(), receiver, Instant::now() + Duration::from_secs(30))
}

fn whole(context: &str, rows: &[Row]) -> Source {
    // Each row in a page of its own: where pages end means nothing.
    let pages = rows.iter().map(|row| page(&[*row])).chain([page(&[]), Page::End]).collect();
    source(context, pages)
}

/// The lines of what is found, how many keys there are, and how often the sides were opened.
type Found = (Vec<String>, Result<u64, String>, usize);

/// `looks`: what the sides say each time that they are opened.
fn compare(looks: &[[&[Row]; 2]]) -> Found {
    let (mut found, mut opened) = (Vec::new(), 0);
    let keys = twice(
        &mut || {
            let [here, there] = looks[opened.min(looks.len() - 1)];
            opened += 1;
            Ok(vec![whole("orders", here), whole("finance", there)])
        },
        &mut |key, seen| {
            found.push(match seen {
                Seen::Disagree(ranges) => format!("{key}: {} / {}", ranges[0], ranges[1]),
                Seen::Changes => format!("{key} changes"),
            });
        },
    );
    (found, keys.map_err(|unlooked| unlooked.why), opened)
}

#[test]
fn sides_that_agree_are_read_once() {
    let (here, there): (&[Row], &[Row]) = (&[("B", 2, 2), ("a", 0, 9), ("z", 0, 0)], &[("B", 2, 2), ("a", 5, 5)]);
    assert_eq!(compare(&[[here, there]]), (vec![], Ok(3), 1));
    assert_eq!(compare(&[[&[], &[]]]), (vec![], Ok(0), 1));
}

#[test]
fn what_each_side_says_twice_is_a_disagreement() {
    let (here, there): (&[Row], &[Row]) = (&[("a", 1, 1), ("b", 1, 3)], &[("a", 1, 1), ("b", 4, 4), ("c", 7, 7)]);
    let expect = vec!["b: 1 to 3 / 4".to_owned(), "c: 0 / 7".to_owned()];
    assert_eq!(compare(&[[here, there]]), (expect, Ok(3), 3));
}

#[test]
fn work_under_way_between_two_looks_is_no_disagreement() {
    let (none, held): (&[Row], &[Row]) = (&[], &[("a", 5, 5)]);
    // The order is not there yet in the older file, and is in the next one.
    assert_eq!(compare(&[[none, held], [held, held]]), (vec![], Ok(1), 3));
    // It is seen so in one of the two looks that count, whichever it is.
    let changes = || vec!["a changes".to_owned()];
    assert_eq!(compare(&[[none, held], [none, held], [held, held]]), (changes(), Ok(1), 3));
    assert_eq!(compare(&[[none, held], [held, held], [held, none]]), (changes(), Ok(1), 3));
    // And in both, with another amount: what they said at one instant is not known.
    assert_eq!(compare(&[[none, held], [none, held], [none, &[("a", 6, 6)]]]), (changes(), Ok(1), 3));
}

#[test]
fn what_is_not_whole_is_not_known() {
    let late = || {
        let (sender, receiver) = mpsc::channel(1);
        // It stays open, and nothing comes.
        std::mem::forget(sender);
        Source::new(ContextName::new("finance").unwrap(), receiver, Instant::now())
    };
    let cases: [(Source, &str); 6] = [
        (source("finance", vec![page(&[("a", 1, 1)])]), "was cut off"),
        (source("finance", vec![page(&[("a", 1, 1)]), Page::Failed("its host stops".into())]), "its host stops"),
        (source("finance", vec![page(&[("b", 0, 0), ("a", 1, 1)]), Page::End]), "not sorted"),
        (source("finance", vec![page(&[("a", 1, 1)]), page(&[("a", 1, 1)]), Page::End]), "not sorted"),
        (source("finance", vec![page(&[("a", 2, 1)]), Page::End]), "above its most"),
        (late(), "not all of them have come in time"),
    ];
    for (broken, expect) in cases {
        let mut broken = Some(broken);
        let here = || whole("orders", &[("a", 0, 9)]);
        let compared = twice(&mut || Ok(vec![here(), broken.take().unwrap()]), &mut |key, _| panic!("{key}"));
        let why = compared.unwrap_err().why;
        assert!(why.starts_with("the amounts of `finance`: ") && why.contains(expect), "{expect}: {why}");
    }
}
