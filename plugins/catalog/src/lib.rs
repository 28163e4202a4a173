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
        add(&album, None)
    }

    fn change_price(sku: String, price: albums::Money) -> Result<(), albums::Error> {
        change_price(&sku, &price, None)
    }

    fn discontinue(sku: String) -> Result<(), albums::Error> {
        discontinue(&sku, None)
    }

    fn relist(sku: String) -> Result<(), albums::Error> {
        relist(&sku, None)
    }

    fn describe(sku: String, description: editing::Description) -> Result<(), albums::Error> {
        describe(&sku, &description, None)
    }

    fn add_album_by(album: albums::Album, by: String) -> Result<(), albums::Error> {
        add(&album, Some(&by))
    }

    fn change_price_by(sku: String, price: albums::Money, by: String) -> Result<(), albums::Error> {
        change_price(&sku, &price, Some(&by))
    }

    fn discontinue_by(sku: String, by: String) -> Result<(), albums::Error> {
        discontinue(&sku, Some(&by))
    }

    fn relist_by(sku: String, by: String) -> Result<(), albums::Error> {
        relist(&sku, Some(&by))
    }

    fn describe_by(sku: String, description: editing::Description, by: String) -> Result<(), albums::Error> {
        describe(&sku, &description, Some(&by))
    }

    fn list_changes(sku: String, count: u32) -> Result<Vec<editing::Change>, albums::Error> {
        domain::check_changes(&sku, count)?;
        Ok(store::changes::changes(&sku, count)?)
    }

    fn list_discontinued(after: String, count: u32) -> Result<Vec<albums::Album>, albums::Error> {
        domain::check_list(&after, count)?;
        Ok(store::changes::discontinued(&after, count)?)
    }
}

fn add(album: &albums::Album, by: Option<&str>) -> Result<(), albums::Error> {
    domain::check_albums(std::slice::from_ref(album))?;
    by.map_or(Ok(()), domain::check_by)?;
    if store::changes::add(album, by)? { Ok(()) } else { Err(domain::known(&album.sku).into()) }
}

fn change_price(sku: &str, price: &albums::Money, by: Option<&str>) -> Result<(), albums::Error> {
    domain::check_price(price)?;
    change(sku, by, || store::changes::change_price(sku, price, by))
}

fn discontinue(sku: &str, by: Option<&str>) -> Result<(), albums::Error> {
    change(sku, by, || store::changes::discontinue(sku, by))
}

fn relist(sku: &str, by: Option<&str>) -> Result<(), albums::Error> {
    change(sku, by, || store::changes::relist(sku, by))
}

fn describe(sku: &str, description: &editing::Description, by: Option<&str>) -> Result<(), albums::Error> {
    domain::check_description(sku, description)?;
    change(sku, by, || store::changes::describe(sku, description, by))
}

/// Checks for whom which album is changed; `work` is false if there is no such album.
fn change(
    sku: &str,
    by: Option<&str>,
    work: impl FnOnce() -> Result<bool, seam_sdk::store::Error>,
) -> Result<(), albums::Error> {
    domain::check_skus(&[sku.to_owned()])?;
    by.map_or(Ok(()), domain::check_by)?;
    if work()? { Ok(()) } else { Err(domain::unknown(sku).into()) }
}
