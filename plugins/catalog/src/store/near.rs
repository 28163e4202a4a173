//! The words that are near a mistyped one: two tables that the component fills when it writes the spellings of albums.

use std::collections::{BTreeMap, BTreeSet};

use seam_sdk::store::{Error, Transaction, list, one, params, query};

use crate::domain::near::{self, Term, Typed};
use crate::domain::{Page, Words};

/// Terms read near one word, and of these the ones that are tried.
const NEAR_MAX: u32 = 200;
const TRIED_MAX: usize = 6;
/// Questions tried in one call: each is a walk along the matches of its rarest word.
const TRIES_MAX: usize = 16;
/// Matches of one of them that are counted.
const COUNTED_MAX: u32 = 50;

/// Adds the terms of texts that are not there yet.
pub fn learn<'a>(tx: &Transaction, texts: impl Iterator<Item = &'a str>) -> Result<(), Error> {
    let mut terms = BTreeMap::new();
    for Term { term, shown } in texts.flat_map(near::terms) {
        terms.entry(term).or_insert(shown);
    }
    let asked: Vec<_> = terms.keys().collect();
    let missing: Vec<String> = tx.query(
        "SELECT asked.value FROM json_each(?1) AS asked WHERE NOT EXISTS (SELECT 1 FROM terms WHERE term = asked.value)",
        params![&list(&asked)],
    )?;
    let forms = missing.iter().flat_map(|term| near::forms(term).into_iter().map(move |form| (form, term)));
    tx.execute_many("INSERT INTO near_terms (form, term) VALUES (?1, ?2)", forms)?;
    let rows = missing.iter().filter_map(|term| terms.get(term).map(|shown| (term, shown)));
    tx.execute_many("INSERT INTO terms (term, shown) VALUES (?1, ?2)", rows)?;
    Ok(())
}

/// Another question that finds more albums, in which each word that the catalog does not know is one that it knows and
/// that is one slip apart, or two of them, or a half of one. If it knows all words, a question that finds nothing has
/// one of them exchanged.
pub fn did_you_mean(words: &Words) -> Result<Option<String>, Error> {
    // First: a search writes the terms of albums that wait for theirs.
    let found = super::search(words, Page::FIRST)?.total;
    let typed = near::typed(words.typed());
    let known = known(&typed)?;
    let is_known = |word: &Typed| match &word.term {
        Some(term) => {
            known.contains_key(term) || !word.parts.is_empty() && word.parts.iter().all(|p| known.contains_key(p))
        }
        None => true,
    };
    let unknown: Vec<bool> = typed.iter().map(|word| !is_known(word)).collect();
    let nothing_unknown = !unknown.contains(&true);
    if nothing_unknown && found > 0 {
        return Ok(None);
    }
    let mut others = Vec::new();
    for (word, unknown) in typed.iter().zip(&unknown) {
        others.push(if *unknown || nothing_unknown { near_to(word, &known)? } else { Vec::new() });
    }
    let mut questions = joined(&typed, &known);
    if nothing_unknown {
        questions.extend(one_exchanged(&typed, &others));
    } else {
        questions.extend(all_exchanged(&typed, &unknown, &others));
    }
    let mut best = (found, None);
    for question in questions.into_iter().take(TRIES_MAX) {
        let matches = matches(&question)?;
        if matches > best.0 {
            best = (matches, Some(question));
        }
    }
    Ok(best.1)
}

/// The terms among the question's words, their parts, their halves and two of them as one; with how each is written.
fn known(typed: &[Typed]) -> Result<BTreeMap<String, String>, Error> {
    let mut asked = BTreeSet::new();
    for word in typed {
        asked.extend(word.term.iter().cloned().chain(word.parts.iter().cloned()));
        let halves = word.term.iter().flat_map(|term| near::halves(term));
        asked.extend(halves.flat_map(|(left, right)| [left.to_owned(), right.to_owned()]));
    }
    asked.extend(neighbours(typed).map(|(_, term)| term));
    let asked: Vec<_> = asked.into_iter().collect();
    let rows: Vec<(String, String)> = query(
        "SELECT t.term, t.shown FROM json_each(?1) AS asked CROSS JOIN terms AS t ON t.term = asked.value",
        params![&list(&asked)],
    )?;
    // Collected, it would be sorted first: see `near::forms`.
    let mut known = BTreeMap::new();
    known.extend(rows);
    Ok(known)
}

/// Two words that follow each other as one term, with the place of the first.
fn neighbours(typed: &[Typed]) -> impl Iterator<Item = (usize, String)> {
    let pairs = typed.iter().zip(typed.iter().skip(1)).enumerate();
    pairs.filter_map(|(at, pair)| match pair {
        (Typed { term: Some(one), .. }, Typed { term: Some(other), .. }) => Some((at, format!("{one}{other}"))),
        _ => None,
    })
}

/// What may stand for a word: its halves with a blank between them, then the terms near it. Most slips leave the first
/// letter and the length as they are.
fn near_to(word: &Typed, known: &BTreeMap<String, String>) -> Result<Vec<String>, Error> {
    let Some(term) = &word.term else { return Ok(Vec::new()) };
    let halves = near::halves(term).into_iter().filter_map(|(left, right)| Some((known.get(left)?, known.get(right)?)));
    let halves = halves.map(|(left, right)| format!("{left} {right}"));
    let rows: Vec<(String, String)> = query(
        "SELECT DISTINCT t.term, t.shown
         FROM json_each(?1) AS asked CROSS JOIN near_terms AS n ON n.form = asked.value
         CROSS JOIN terms AS t ON t.term = n.term LIMIT ?2",
        params![&list(&near::forms(term)), NEAR_MAX],
    )?;
    let mut rows: Vec<_> = rows.into_iter().filter(|(other, _)| near::is_near(term, other)).collect();
    rows.sort_by_key(|(other, _)| (other.chars().next() != term.chars().next(), other.len().abs_diff(term.len())));
    Ok(halves.chain(rows.into_iter().map(|(_, shown)| shown)).take(TRIED_MAX).collect())
}

/// Questions in which two words that follow each other are one term.
fn joined(typed: &[Typed], known: &BTreeMap<String, String>) -> Vec<String> {
    let known = neighbours(typed).filter_map(|(at, term)| Some((at, known.get(&term)?)));
    let question = |(at, shown): (usize, &String)| {
        let before = typed.iter().take(at).map(|word| word.shown.as_str());
        let after = typed.iter().skip(at + 2).map(|word| word.shown.as_str());
        before.chain([shown.as_str()]).chain(after).collect::<Vec<_>>().join(" ")
    };
    known.map(question).collect()
}

/// Questions with one word exchanged.
fn one_exchanged(typed: &[Typed], others: &[Vec<String>]) -> Vec<String> {
    let at = others.iter().enumerate().flat_map(|(at, others)| others.iter().map(move |other| (at, other)));
    let question = |(at, other): (usize, &String)| {
        let words = typed.iter().enumerate().map(|(nth, word)| if nth == at { other } else { &word.shown });
        words.map(String::as_str).collect::<Vec<_>>().join(" ")
    };
    at.map(question).collect()
}

/// Questions with every unknown word exchanged; none if nothing is near one of them.
fn all_exchanged(typed: &[Typed], unknown: &[bool], others: &[Vec<String>]) -> Vec<String> {
    let mut questions = vec![String::new()];
    for ((word, unknown), others) in typed.iter().zip(unknown).zip(others) {
        let kept = [word.shown.clone()];
        let words: &[String] = if *unknown { others } else { &kept };
        let longer = questions.iter().flat_map(|start| words.iter().map(move |word| format!("{start} {word}")));
        questions = longer.take(TRIES_MAX).collect();
    }
    questions.into_iter().map(|question| question.trim().to_owned()).collect()
}

/// How many albums have all words of a question as they are written, up to [`COUNTED_MAX`].
fn matches(question: &str) -> Result<u32, Error> {
    let Ok(words) = Words::new(question) else { return Ok(0) };
    one(
        "SELECT count(*) FROM (SELECT 1 FROM album_words WHERE album_words MATCH ?1 LIMIT ?2)",
        params![&words.whole(), COUNTED_MAX],
    )
}
