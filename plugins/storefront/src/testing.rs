//! A shop of a few albums for tests: every context can be switched off, and counts how often it is asked.

use std::cell::{Cell, RefCell};

use crate::seams::{
    Album, AlbumPage, Facet, Facets, Filter, Level, Money, Request, Response, Seams, Suggestion, Trouble,
};

pub fn album(sku: &str) -> Album {
    Album {
        sku: sku.into(),
        artist: format!("Artist {sku}"),
        title: format!("Title {sku}"),
        year: 1959,
        genre: "Jazz".into(),
        label: "Columbia".into(),
        price: Money { minor_units: 2499, currency: "GBP".into() },
        notes: "Notes.".into(),
        discontinued: false,
    }
}

pub fn get(address: &str) -> Request {
    let (path, query) = match address.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (address, None),
    };
    Request { method: "GET".into(), path: path.into(), query, headers: Vec::new(), body: Vec::new() }
}

pub fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

pub fn text(response: &Response) -> &str {
    std::str::from_utf8(&response.body).expect("pages are UTF-8")
}

/// Contexts answer from these fields; one that is `Some` trouble answers with it.
#[derive(Default)]
pub struct Shop {
    pub albums: Vec<Album>,
    pub levels: Vec<Level>,
    pub suggestions: Vec<Suggestion>,
    pub facets: Vec<(&'static str, u32)>,
    /// What the catalog says matches; by default as many as there are.
    pub total: Option<u32>,
    pub catalog: Cell<Option<Trouble>>,
    pub facets_trouble: Cell<Option<Trouble>>,
    pub warehouse: Cell<Option<Trouble>>,
    pub recommendation: Cell<Option<Trouble>>,
    /// Every question, in order.
    pub asked: RefCell<Vec<String>>,
}

impl Shop {
    /// Albums `A` to `F`, 10 of each but 2 of `B` and none of `C`; all but `A` are suggested.
    pub fn open() -> Shop {
        let skus = ["A", "B", "C", "D", "E", "F"];
        Shop {
            albums: skus.iter().map(|sku| album(sku)).collect(),
            levels: skus.iter().zip([10, 2, 0, 10, 10, 10]).map(|(sku, on_hand)| level(sku, on_hand)).collect(),
            suggestions: skus.iter().skip(1).map(|sku| Suggestion { sku: (*sku).into(), score: 1.0 }).collect(),
            facets: vec![("Jazz", 6)],
            ..Shop::default()
        }
    }

    fn ask<T>(
        &self,
        trouble: &Cell<Option<Trouble>>,
        question: String,
        answer: impl FnOnce() -> T,
    ) -> Result<T, Trouble> {
        self.asked.borrow_mut().push(question);
        match trouble.get() {
            Some(trouble) => Err(trouble),
            None => Ok(answer()),
        }
    }

    fn page(&self, page: u32, size: u32) -> AlbumPage {
        let total = self.total.unwrap_or(self.albums.len() as u32);
        let albums = if (page - 1) * size < total { self.albums.clone() } else { Vec::new() };
        AlbumPage { albums, total, more: page * size < total }
    }
}

fn level(sku: &str, on_hand: u32) -> Level {
    Level { sku: sku.into(), on_hand }
}

impl Seams for Shop {
    fn albums(&self, skus: &[&str]) -> Result<Vec<Album>, Trouble> {
        self.ask(&self.catalog, format!("albums {}", skus.join(" ")), || {
            skus.iter().filter_map(|sku| self.albums.iter().find(|album| album.sku == **sku).cloned()).collect()
        })
    }

    fn search(&self, words: &str, page: u32, size: u32) -> Result<AlbumPage, Trouble> {
        self.ask(&self.catalog, format!("search {words} {page}"), || self.page(page, size))
    }

    fn browse(&self, filter: Filter<'_>, page: u32, size: u32) -> Result<AlbumPage, Trouble> {
        self.ask(&self.catalog, format!("browse {filter:?} {page}"), || self.page(page, size))
    }

    fn facets(&self) -> Result<Facets, Trouble> {
        self.ask(&self.facets_trouble, "facets".into(), || Facets {
            genres: self.facets.iter().map(|(name, count)| Facet { name: (*name).into(), count: *count }).collect(),
            decades: vec![Facet { name: "1950".into(), count: 6 }],
            artists: vec![Facet { name: "Artist A".into(), count: 1 }],
        })
    }

    fn levels(&self, skus: &[&str]) -> Result<Vec<Level>, Trouble> {
        self.ask(&self.warehouse, format!("levels {}", skus.join(" ")), || {
            let known = |sku: &str| self.levels.iter().find(|level| level.sku == sku).map_or(0, |level| level.on_hand);
            skus.iter().map(|sku| level(sku, known(sku))).collect()
        })
    }

    fn suggest(&self, skus: &[&str], count: u32) -> Result<Vec<Suggestion>, Trouble> {
        self.ask(&self.recommendation, format!("suggest {}", skus.join(" ")), || {
            self.suggestions.iter().take(count as usize).cloned().collect()
        })
    }
}
