//! Merges the rows of several sides, as they come, and finds the keys on which they do not agree.

use std::time::Instant;

use seam_store::ids::ContextName;
use seam_store::{Range, agree, blocking};
use tokio::time::timeout_at;

use super::super::unlooked::Unlooked;
use crate::remote::{Page, Pages};

/// A key that no number suits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen<'r> {
    /// The range of each side, at one instant.
    Disagree(&'r [Range]),
    /// Work goes on that changes it: whether the sides agree is not known.
    Changes,
}

/// The rows of one side, one of them read ahead.
pub struct Source {
    context: ContextName,
    pages: Pages,
    rows: std::vec::IntoIter<(String, Range)>,
    ahead: Option<(String, Range)>,
    has_ended: bool,
    deadline: Instant,
}

impl Source {
    pub fn new(context: ContextName, pages: Pages, deadline: Instant) -> Self {
        Self { context, pages, rows: Vec::new().into_iter(), ahead: None, has_ended: false, deadline }
    }

    /// Reads the next row ahead.
    fn read(&mut self) -> Result<(), Unlooked> {
        let before = self.ahead.take();
        let next = loop {
            if let Some(row) = self.rows.next() {
                break Some(row);
            }
            if self.has_ended {
                break None;
            }
            match self.page()? {
                Page::Rows(rows) => self.rows = rows.into_iter(),
                Page::End => self.has_ended = true,
                Page::Failed(why) => return Err(self.failed(&why)),
            }
        };
        if let (Some((before, _)), Some((key, _))) = (&before, &next)
            && key <= before
        {
            return Err(self.failed("its keys are not sorted by their bytes"));
        }
        if next.as_ref().is_some_and(|(_, range)| range.least > range.most) {
            return Err(self.failed("the least of an amount is above its most"));
        }
        self.ahead = next;
        Ok(())
    }

    fn page(&mut self) -> Result<Page, Unlooked> {
        let (pages, deadline) = (&mut self.pages, self.deadline);
        let next = blocking::block_on(async { timeout_at(deadline.into(), pages.recv()).await });
        match next {
            Ok(Some(page)) => Ok(page),
            Ok(None) => Err(self.failed("its answer was cut off")),
            Err(_) => Err(self.failed("not all of them have come in time")),
        }
    }

    fn failed(&self, why: &str) -> Unlooked {
        Unlooked {
            why: format!("the amounts of `{}`: {why}", self.context),
            remedy: "it is looked at again by itself; see the log of its host if it stays so".to_owned(),
        }
    }

    /// The amount of `key`, which is not behind the row that is ahead.
    fn take(&mut self, key: &str) -> Result<Range, Unlooked> {
        match self.ahead.as_ref().filter(|(ahead, _)| ahead == key) {
            None => Ok(Range::default()),
            Some((_, range)) => {
                let range = *range;
                self.read()?;
                Ok(range)
            }
        }
    }
}

/// Calls `each` with every key that a side has and the range of each side, until it returns `false`. How many keys.
fn merge(sources: &mut [Source], each: &mut dyn FnMut(&str, &[Range]) -> bool) -> Result<u64, Unlooked> {
    for source in &mut *sources {
        source.read()?;
    }
    let mut keys = 0;
    let mut ranges = Vec::with_capacity(sources.len());
    while let Some(key) = sources.iter().filter_map(|source| source.ahead.as_ref().map(|(key, _)| key)).min().cloned() {
        ranges.clear();
        for source in &mut *sources {
            ranges.push(source.take(&key)?);
        }
        keys += 1;
        if !each(&key, &ranges) {
            break;
        }
    }
    Ok(keys)
}

/// Compares what `open` opens: once if the sides agree on every key, as they nearly always do, else as the module says.
/// How many keys there are.
///
/// # Errors
/// When a side cannot be read to its end.
pub fn twice(
    open: &mut dyn FnMut() -> Result<Vec<Source>, Unlooked>,
    each: &mut dyn FnMut(&str, Seen<'_>),
) -> Result<u64, Unlooked> {
    let mut all_agree = true;
    let keys = merge(&mut open()?, &mut |_, ranges| {
        all_agree = agree(ranges);
        all_agree
    })?;
    if all_agree {
        return Ok(keys);
    }
    let mut both = open()?;
    // Only after all of them.
    let mut second = open()?;
    let sides = both.len();
    both.append(&mut second);
    merge(&mut both, &mut |key, ranges| {
        let (first, second) = ranges.split_at(sides);
        match (agree(first) && agree(second), first == second) {
            (true, _) => {}
            (false, true) => each(key, Seen::Disagree(second)),
            (false, false) => each(key, Seen::Changes),
        }
        true
    })
}
