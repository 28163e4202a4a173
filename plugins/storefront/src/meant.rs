//! Typing mistakes in a search for records: when next to nothing is found, the catalog is asked for other words. If
//! there is nothing under those typed, the list is what is under the others; otherwise they are only mentioned.

use crate::seams::Seams;

/// A search that finds fewer may have a typing mistake.
const FEW: u32 = 3;

/// The first page of a search.
pub struct Meant<L> {
    pub list: L,
    /// The words whose records are in `list`, because there are none under those typed.
    pub instead: Option<String>,
    /// Words that find more; `list` has what is under those typed.
    pub better: Option<String>,
}

impl<L> Meant<L> {
    /// A list that needs no other words.
    pub fn literally(list: L) -> Meant<L> {
        Meant { list, instead: None, better: None }
    }

    /// `list` is what `find` has for `words`; `total` counts the records of a list. Without an answer of the catalog,
    /// the list stays as it is.
    pub fn of<E>(
        words: &str,
        list: L,
        seams: &impl Seams,
        total: impl Fn(&L) -> u32,
        find: impl FnOnce(&str) -> Result<L, E>,
    ) -> Result<Meant<L>, E> {
        let found = total(&list);
        if words.is_empty() || found >= FEW {
            return Ok(Meant::literally(list));
        }
        match seams.did_you_mean(words).ok().flatten() {
            Some(other) if found == 0 => Ok(Meant { list: find(&other)?, instead: Some(other), better: None }),
            better => Ok(Meant { list, instead: None, better }),
        }
    }
}
