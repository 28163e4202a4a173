//! Services that only look things up: the catalog, and whose session it is.

use std::path::PathBuf;

use anyhow::Result;
use storefront::seams::Filter;

use super::{Service, said, unknown, wire};
use crate::native::reader::{self, Reader};
use crate::native::reference::now;

pub fn catalog(file: PathBuf) -> Result<()> {
    let answer = |service: &Service, function: &str, arguments: &[u8]| {
        reader::with(&service.file, |open| look_up(open, function, arguments))
    };
    Service { file, writer: None, changes: &[], answer }.run()
}

fn look_up(open: &Reader, function: &str, arguments: &[u8]) -> Result<Vec<u8>> {
    match function {
        "albums" => {
            let skus: Vec<&str> = serde_json::from_slice(arguments)?;
            said(&open.albums(&skus)?)
        }
        "search" => {
            let (words, page, size): (String, u32, u32) = serde_json::from_slice(arguments)?;
            said(&wire::AlbumPage::from(open.search(&words, page, size)?))
        }
        "browse" => {
            let (filter, page, size): (wire::Filter, u32, u32) = serde_json::from_slice(arguments)?;
            let wire::Filter { genre, artist, decade } = &filter;
            let filter = Filter { genre: genre.as_deref(), artist: artist.as_deref(), decade: *decade };
            said(&wire::AlbumPage::from(open.browse(filter, page, size)?))
        }
        "facets" => {
            let facets = open.facets()?;
            let (genres, decades, artists) =
                (wire::all(facets.genres), wire::all(facets.decades), wire::all(facets.artists));
            said(&wire::Facets { genres, decades, artists })
        }
        _ => unknown(function),
    }
}

pub fn customer(file: PathBuf) -> Result<()> {
    let answer = |service: &Service, function: &str, arguments: &[u8]| match function {
        "who" => {
            let token: String = serde_json::from_slice(arguments)?;
            let account = reader::with(&service.file, |open| open.who(&token, now()))?;
            said(&account.map(wire::Account::from))
        }
        _ => unknown(function),
    };
    Service { file, writer: None, changes: &[], answer }.run()
}
