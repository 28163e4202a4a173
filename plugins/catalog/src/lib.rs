//! The catalog context: the albums that the shop sells or has ever sold.
//!
//! The records of the interfaces are its types; `domain` holds the rules, `store` the SQL. This file is where they
//! meet.

pub mod domain;
pub mod store;

wit_bindgen::generate!({
    path: ["../../wit/host", "../../wit/catalog"],
    world: "musiccorp:catalog/catalog",
    generate_all,
    additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
});

use domain::{Page, Words};
pub use exports::musiccorp::catalog::albums;
pub use exports::musiccorp::catalog::editing;

seam_sdk::context!(Catalog, migrations);
seam_sdk::errors!(albums::Error);
seam_sdk::health!(Catalog, store::check);

impl albums::Guest for Catalog {
    fn get_albums(skus: Vec<String>) -> Result<Vec<albums::Album>, albums::Error> {
        domain::check_skus(&skus)?;
        Ok(store::by_skus(&skus)?)
    }

    fn search(words: String, paging: albums::Paging) -> Result<albums::AlbumPage, albums::Error> {
        let page = Page::new(paging.page, paging.size)?;
        Ok(store::search(&Words::new(&words)?, page)?)
    }

    fn browse(filter: albums::Filter, paging: albums::Paging) -> Result<albums::AlbumPage, albums::Error> {
        let page = Page::new(paging.page, paging.size)?;
        domain::check_filter(&filter)?;
        Ok(store::browse(&filter, page)?)
    }

    fn list_skus(
        words: String,
        filter: albums::Filter,
        sorting: albums::Sorting,
    ) -> Result<Vec<String>, albums::Error> {
        domain::check_filter(&filter)?;
        let words = if words.is_empty() { None } else { Some(Words::new(&words)?) };
        domain::check_one_question(words.is_some(), &filter)?;
        Ok(store::skus(words.as_ref(), &filter, sorting)?)
    }

    fn did_you_mean(words: String) -> Result<Option<String>, albums::Error> {
        Ok(store::did_you_mean(&Words::new(&words)?)?)
    }

    fn get_facets() -> Result<albums::Facets, albums::Error> {
        Ok(store::facets()?)
    }
}

impl editing::Guest for Catalog {
    fn put_albums(albums: Vec<albums::Album>) -> Result<u32, albums::Error> {
        domain::check_albums(&albums)?;
        store::put(&albums)?;
        Ok(albums.len() as u32)
    }

    fn add_album(album: albums::Album) -> Result<(), albums::Error> {
        domain::check_albums(std::slice::from_ref(&album))?;
        if store::add(&album)? { Ok(()) } else { Err(domain::known(&album.sku).into()) }
    }

    fn change_price(sku: String, price: albums::Money) -> Result<(), albums::Error> {
        domain::check_skus(std::slice::from_ref(&sku))?;
        domain::check_price(&price)?;
        if store::change_price(&sku, &price)? { Ok(()) } else { Err(domain::unknown(&sku).into()) }
    }

    fn discontinue(sku: String) -> Result<(), albums::Error> {
        domain::check_skus(std::slice::from_ref(&sku))?;
        if store::discontinue(&sku)? { Ok(()) } else { Err(domain::unknown(&sku).into()) }
    }

    fn relist(sku: String) -> Result<(), albums::Error> {
        domain::check_skus(std::slice::from_ref(&sku))?;
        if store::shelf::relist(&sku)? { Ok(()) } else { Err(domain::unknown(&sku).into()) }
    }

    fn describe(sku: String, description: editing::Description) -> Result<(), albums::Error> {
        domain::check_description(&sku, &description)?;
        if store::shelf::describe(&sku, &description)? { Ok(()) } else { Err(domain::unknown(&sku).into()) }
    }

    fn list_discontinued(after: String, count: u32) -> Result<Vec<albums::Album>, albums::Error> {
        domain::check_list(&after, count)?;
        Ok(store::shelf::discontinued(&after, count)?)
    }
}
