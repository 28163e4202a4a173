//! Reads the amounts of contexts of this host from their files, for whichever host compares them.
//!
//! Each side has a thread, which waits when its reader is behind. It ends with its statement, with its reader or at its
//! deadline, and lets its snapshot go.

use std::collections::BTreeMap;
use std::time::Instant;

use seam_runtime::serve::Registry;
use seam_store::{Error, Invariant, Range, Snapshot, Terms, blocking};
use tokio::sync::mpsc;
use tokio::time::timeout_at;

use super::super::report::Outcome;
use super::super::seen::{Seen, see};
use super::super::sides::{declares, is_total};
use super::super::subject::Subject;
use super::super::unlooked::Unlooked;
use crate::limits;
use crate::remote::{Page, Pages};

/// Opens the files of those of these contexts that live here and declare the total, as they are at one moment. `held`
/// is dropped with the last of the threads.
///
/// # Errors
/// When one of their files cannot be seen.
pub fn open<H: Clone + Send + 'static>(
    registry: &Registry,
    total: &str,
    contexts: &[&str],
    deadline: Instant,
    held: &H,
) -> Result<BTreeMap<String, Pages>, Unlooked> {
    if contexts.is_empty() {
        return Ok(BTreeMap::new());
    }
    let seen = see(registry, &|context| contexts.contains(&context), &|declared| declares(declared, total));
    let Seen { subjects, now, .. } =
        seen.map_err(|error| Unlooked { why: seam_store::chain(&error), remedy: error.remedy() })?;
    let terms = Terms { now_s: now.unix_timestamp(), deadline };
    let mut opened = BTreeMap::new();
    for Subject { context, file, declared, .. } in subjects {
        let snapshot = file.map_err(|fault| Unlooked::from(fault.without_file(&context)))?;
        let invariant = declared.into_iter().flatten().find(|one| is_total(one) && one.name == total);
        let Some(invariant) = invariant else { continue };
        let side = Side { context: context.clone(), snapshot, invariant, terms };
        opened.insert(context, side.start(held.clone())?);
    }
    Ok(opened)
}

struct Side {
    context: String,
    snapshot: Snapshot,
    invariant: Invariant,
    terms: Terms,
}

impl Side {
    fn start(self, held: impl Send + 'static) -> Result<Pages, Unlooked> {
        let (pages, opened) = mpsc::channel(limits::TOTAL_PAGES);
        let work = move || {
            let _held = held;
            self.read(&Sheet { pages, deadline: self.terms.deadline });
        };
        let started = std::thread::Builder::new().name("seam-total".to_owned()).spawn(work);
        started.map_err(|error| Unlooked {
            why: format!("cannot start a thread: {error}"),
            remedy: "see how many threads and how much memory the host has".to_owned(),
        })?;
        Ok(opened)
    }

    fn read(&self, sheet: &Sheet) {
        let (mut rows, mut bytes, mut is_wanted, mut long) = (Vec::new(), 0, true, false);
        let read = self.snapshot.each_amount(&self.invariant, &self.terms, &mut |key: &str, range: Range| {
            long = key.len() > limits::TOTAL_KEY_BYTES_MAX;
            if long {
                return false;
            }
            bytes += key.len() + size_of::<(String, Range)>();
            rows.push((key.to_owned(), range));
            if bytes >= limits::TOTAL_PAGE_BYTES {
                bytes = 0;
                is_wanted = sheet.give(Page::Rows(std::mem::take(&mut rows)));
            }
            is_wanted
        });
        if long {
            let most = limits::TOTAL_KEY_BYTES_MAX;
            sheet.give(Page::Failed(format!("a key has more than {most} bytes, and does not cross hosts")));
        } else if let Err(error) = read {
            sheet.give(Page::Failed(self.failed(&error)));
        } else if is_wanted && (rows.is_empty() || sheet.give(Page::Rows(rows))) {
            sheet.give(Page::End);
        }
    }

    fn failed(&self, error: &Error) -> String {
        match Outcome::unchecked_side(&self.context, error) {
            Outcome::Unchecked { why, .. } => why,
            _ => error.to_string(),
        }
    }
}

/// Where the pages go.
struct Sheet {
    pages: mpsc::Sender<Page>,
    deadline: Instant,
}

impl Sheet {
    /// Whether the reader has taken it, in time.
    fn give(&self, page: Page) -> bool {
        let given = async { timeout_at(self.deadline.into(), self.pages.send(page)).await };
        matches!(blocking::block_on(given), Ok(Ok(())))
    }
}
