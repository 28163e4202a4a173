//! Pages of a list of albums, bounded so that the last costs little more than the first.

use seam_sdk::Invalid;

use crate::albums::{Album, AlbumPage};

/// Albums on a page.
pub const SIZE_MAX: u32 = 100;
/// How many albums into a list a page may reach: SQLite steps over all that lie before it.
pub const REACH_MAX: u32 = 10_000;
/// How many matches are counted; this total means that many or more.
pub const TOTAL_MAX: u32 = 1_000;

/// A page that may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    size: u32,
    offset: u32,
}

impl Page {
    /// The first page, with a single album.
    pub const FIRST: Page = Page { size: 1, offset: 0 };

    /// Page `page` (from 1) of `size` albums each.
    pub fn new(page: u32, size: u32) -> Result<Self, Invalid> {
        if page == 0 {
            return Err(Invalid("pages count from 1".into()));
        }
        if size == 0 || size > SIZE_MAX {
            return Err(Invalid(format!("a page of {size} albums; 1 to {SIZE_MAX} are allowed")));
        }
        match page.checked_mul(size).filter(|reach| *reach <= REACH_MAX) {
            Some(reach) => Ok(Self { size, offset: reach - size }),
            None => Err(Invalid(format!(
                "page {page} of {size} albums each lies beyond the {REACH_MAX} albums that can be leafed through; narrow the question"
            ))),
        }
    }

    pub fn offset(self) -> u32 {
        self.offset
    }

    /// The first of the longest pages.
    pub const LONGEST: Page = Page { size: SIZE_MAX, offset: 0 };

    /// The page after this one, if it may be asked for.
    pub fn next(self) -> Option<Page> {
        let offset = self.offset + self.size;
        (offset + self.size <= REACH_MAX).then_some(Page { offset, ..self })
    }

    /// The rows of this page, and one more, of all that were read.
    pub fn of<T>(self, rows: Vec<T>) -> Vec<T> {
        rows.into_iter().skip(self.offset as usize).take(self.limit() as usize).collect()
    }

    /// How many rows to read: one more than the page shows, which says whether a next page exists.
    pub fn limit(self) -> u32 {
        self.size + 1
    }

    /// Makes a page of the rows that were read; calls `count` for the total only where the rows do not show it.
    pub fn found<E>(self, mut albums: Vec<Album>, count: impl FnOnce() -> Result<u32, E>) -> Result<AlbumPage, E> {
        let read = albums.len() as u32;
        let more = read > self.size;
        albums.truncate(self.size as usize);
        let total = match read {
            0 if self.offset > 0 => count()?,
            _ if more => count()?,
            _ => self.offset + read,
        };
        let reachable = self.offset + 2 * self.size <= REACH_MAX;
        Ok(AlbumPage { albums, total: total.min(TOTAL_MAX), more: more && reachable })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::albums::Money;

    fn albums(count: u32) -> Vec<Album> {
        let price = Money { minor_units: 1, currency: "GBP".into() };
        let [artist, title, genre, label, notes] = ["a", "t", "g", "l", "n"].map(String::from);
        let album =
            Album { sku: "A".into(), artist, title, year: 1999, genre, label, price, notes, discontinued: false };
        vec![album; count as usize]
    }

    /// Reads `page` of a list of `all` albums, as the store does.
    fn check(page: u32, size: u32, all: u32, expect: (usize, u32, bool), counted: bool) {
        let page = Page::new(page, size).unwrap_or_else(|Invalid(why)| panic!("{why}"));
        let rows = albums(all.saturating_sub(page.offset()).min(page.limit()));
        let mut asked = false;
        let found = page.found::<()>(rows, || {
            asked = true;
            Ok(all.min(TOTAL_MAX))
        });
        let Ok(found) = found else { panic!("no page") };
        assert_eq!((found.albums.len(), found.total, found.more), expect);
        assert_eq!(asked, counted);
    }

    #[test]
    fn a_page_tells_how_many_there_are_and_whether_more_follow() {
        check(1, 10, 0, (0, 0, false), false);
        check(1, 10, 10, (10, 10, false), false);
        check(1, 10, 11, (10, 11, true), true);
        check(2, 10, 11, (1, 11, false), false);
        check(3, 10, 11, (0, 11, false), true);
        check(2, 10, 5_000, (10, TOTAL_MAX, true), true);
        check(150, 10, 1_495, (5, TOTAL_MAX, false), false);
        check(1_000, 10, 50_000, (10, TOTAL_MAX, false), true);
    }

    #[test]
    fn pages_are_bounded() {
        for (page, size, why) in [
            (0, 10, "pages count from 1"),
            (1, 0, "a page of 0 albums; 1 to 100 are allowed"),
            (1, 101, "a page of 101 albums; 1 to 100 are allowed"),
        ] {
            assert_eq!(Page::new(page, size), Err(Invalid(why.into())));
        }
        for (page, size) in [(101, 100), (u32::MAX, 100), (10_001, 1)] {
            assert!(Page::new(page, size).is_err(), "{page} {size}");
        }
        assert!(Page::new(100, 100).is_ok());
    }
}
