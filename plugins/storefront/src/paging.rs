//! Which page numbers a list of albums links to.

/// Albums on a page of search or browse: full rows of 2, 3 and 4.
pub const PAGE_SIZE: u32 = 24;
/// The last page: the catalog lists no album after the first 10,000.
pub const PAGE_MAX: u32 = 10_000 / PAGE_SIZE;
/// Page numbers on either side of the current one.
const REACH: u32 = 2;

/// Where in a list the visitor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    pub page: u32,
    /// At least `page`, at most `PAGE_MAX`.
    pub last: u32,
}

/// One item in the row of page numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageLink {
    Page(u32),
    Current(u32),
    Gap,
}

impl Paging {
    /// `total` may be a lower bound; `more` then still says that there is a next page.
    pub fn new(page: u32, total: u32, more: bool) -> Paging {
        let last = total.div_ceil(PAGE_SIZE).max(page).max(if more { page.saturating_add(1) } else { 1 });
        Paging { page, last: last.min(PAGE_MAX).max(page) }
    }

    pub fn previous(&self) -> Option<u32> {
        (self.page > 1).then(|| self.page - 1)
    }

    pub fn next(&self) -> Option<u32> {
        (self.page < self.last).then(|| self.page + 1)
    }

    /// First page, those around the current one, last page, with gaps between. Nothing for a single page.
    pub fn links(&self) -> Vec<PageLink> {
        let mut links = Vec::with_capacity(9);
        if self.last < 2 {
            return links;
        }
        let from = self.page.saturating_sub(REACH).max(1);
        let to = self.page.saturating_add(REACH).min(self.last);
        if from > 1 {
            links.push(PageLink::Page(1));
        }
        match from {
            0..=2 => {}
            3 => links.push(PageLink::Page(2)),
            _ => links.push(PageLink::Gap),
        }
        links.extend(
            (from..=to).map(|page| if page == self.page { PageLink::Current(page) } else { PageLink::Page(page) }),
        );
        match self.last.saturating_sub(to) {
            0 | 1 => {}
            2 => links.push(PageLink::Page(to + 1)),
            _ => links.push(PageLink::Gap),
        }
        if to < self.last {
            links.push(PageLink::Page(self.last));
        }
        links
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(page: u32, total: u32, more: bool) -> String {
        let links = Paging::new(page, total, more).links();
        let texts: Vec<String> = links
            .into_iter()
            .map(|link| match link {
                PageLink::Page(page) => page.to_string(),
                PageLink::Current(page) => format!("[{page}]"),
                PageLink::Gap => "-".into(),
            })
            .collect();
        texts.join(" ")
    }

    #[test]
    fn the_row_links_to_both_ends_and_the_neighbours() {
        for (page, total, more, expected) in [
            (1, 0, false, ""),
            (1, 24, false, ""),
            (1, 25, true, "[1] 2"),
            (2, 25, false, "1 [2]"),
            (1, 24 * 9, true, "[1] 2 3 - 9"),
            (4, 24 * 9, true, "1 2 3 [4] 5 6 - 9"),
            (5, 24 * 9, true, "1 2 3 4 [5] 6 7 8 9"),
            (6, 24 * 20, true, "1 - 4 5 [6] 7 8 - 20"),
            (9, 24 * 9, false, "1 - 7 8 [9]"),
            (3, 10, true, "1 2 [3] 4"),
        ] {
            assert_eq!(shown(page, total, more), expected, "page {page} of {total}");
        }
    }

    #[test]
    fn the_last_page_is_bounded() {
        let paging = Paging::new(PAGE_MAX, u32::MAX, true);
        assert_eq!((paging.last, paging.next()), (PAGE_MAX, None));
    }
}
