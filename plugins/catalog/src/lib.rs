//! The catalog context: the albums that the shop sells or has ever sold.
//!
//! `domain` holds the rules, `store` the SQL; this file is where they meet the component's interfaces.

pub mod domain;
pub mod store;

wit_bindgen::generate!({
    path: ["../../wit/host", "../../wit/catalog"],
    world: "musiccorp:catalog/catalog",
    generate_all,
});

use domain::{Invalid, Page, Words};
use exports::musiccorp::catalog::{albums, editing};

seam_sdk::context!(Catalog, "0001-albums");
seam_sdk::health!(Catalog, store::check);

impl albums::Guest for Catalog {
    fn get_albums(skus: Vec<String>) -> Result<Vec<albums::Album>, albums::Error> {
        domain::check_question(&skus)?;
        Ok(store::by_skus(&skus)?.into_iter().map(albums::Album::from).collect())
    }

    fn search(words: String, paging: albums::Paging) -> Result<albums::AlbumPage, albums::Error> {
        let page = Page::new(paging.page, paging.size)?;
        Ok(store::search(&Words::new(&words)?, page)?.into())
    }

    fn browse(filter: albums::Filter, paging: albums::Paging) -> Result<albums::AlbumPage, albums::Error> {
        let page = Page::new(paging.page, paging.size)?;
        let filter = domain::Filter::new(filter.genre, filter.artist, filter.decade)?;
        Ok(store::browse(&filter, page)?.into())
    }

    fn get_facets() -> Result<albums::Facets, albums::Error> {
        let facets = store::facets()?;
        let out =
            |list: Vec<(String, u32)>| list.into_iter().map(|(name, count)| albums::Facet { name, count }).collect();
        Ok(albums::Facets { genres: out(facets.genres), decades: out(facets.decades), artists: out(facets.artists) })
    }
}

impl editing::Guest for Catalog {
    fn put_albums(albums: Vec<albums::Album>) -> Result<u32, albums::Error> {
        let albums: Vec<_> = albums.into_iter().map(domain::Album::from).collect();
        domain::check_albums(&albums)?;
        store::put(&albums)?;
        Ok(albums.len() as u32)
    }

    fn add_album(album: albums::Album) -> Result<(), albums::Error> {
        let album = domain::Album::from(album);
        domain::check_albums(std::slice::from_ref(&album))?;
        if store::add(&album)? { Ok(()) } else { Err(Invalid::known(&album.sku).into()) }
    }

    fn change_price(sku: String, price: albums::Money) -> Result<(), albums::Error> {
        domain::check_question(std::slice::from_ref(&sku))?;
        let price = domain::Money { minor_units: price.minor_units, currency: price.currency };
        domain::check_price(&price)?;
        if store::change_price(&sku, &price)? { Ok(()) } else { Err(Invalid::unknown(&sku).into()) }
    }

    fn discontinue(sku: String) -> Result<(), albums::Error> {
        domain::check_question(std::slice::from_ref(&sku))?;
        if store::discontinue(&sku)? { Ok(()) } else { Err(Invalid::unknown(&sku).into()) }
    }
}

impl From<Invalid> for albums::Error {
    fn from(Invalid(why): Invalid) -> Self {
        Self::Invalid(why)
    }
}

impl From<seam_sdk::store::Error> for albums::Error {
    fn from(error: seam_sdk::store::Error) -> Self {
        Self::Unavailable(error.unavailable())
    }
}

impl From<domain::Found> for albums::AlbumPage {
    fn from(found: domain::Found) -> Self {
        let albums = found.albums.into_iter().map(albums::Album::from).collect();
        Self { albums, total: found.total, more: found.more }
    }
}

impl From<domain::Album> for albums::Album {
    fn from(album: domain::Album) -> Self {
        let domain::Album { sku, artist, title, year, genre, label, price, notes, discontinued } = album;
        let price = albums::Money { minor_units: price.minor_units, currency: price.currency };
        Self { sku, artist, title, year, genre, label, price, notes, discontinued }
    }
}

impl From<albums::Album> for domain::Album {
    fn from(album: albums::Album) -> Self {
        let albums::Album { sku, artist, title, year, genre, label, price, notes, discontinued } = album;
        let price = domain::Money { minor_units: price.minor_units, currency: price.currency };
        Self { sku, artist, title, year, genre, label, price, notes, discontinued }
    }
}
