//! Writes the shop's pages to `target/preview/`, made from `data/albums.csv`, for a look at them without a host.
//!
//! `cargo run -p storefront --example preview`, then open `target/preview/index.html`. Recommendations and stock are invented.

use std::error::Error;
use std::fs;
use std::path::Path;

use storefront::handle;
use storefront::seams::{Album, AlbumPage, Facet, Facets, Filter, Level, Money, Request, Seams, Suggestion, Trouble};

struct Shop {
    albums: Vec<Album>,
    open: bool,
}

const PAGES: [(&str, &str); 10] = [
    ("index.html", "/"),
    ("browse.html", "/browse?page=2"),
    ("genre.html", "/browse?genre=Jazz&decade=1960"),
    ("search.html", "/search?q=blue"),
    ("nothing.html", "/search?q=zzz"),
    ("album.html", "/albums/MC-0060"),
    ("few.html", "/albums/MC-0123"),
    ("gone.html", "/albums/MC-0009"),
    ("missing.html", "/albums/MC-9999"),
    ("bad.html", "/browse?page=abc"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let out = root.join("target/preview");
    for folder in ["assets", "covers"] {
        fs::create_dir_all(out.join(folder))?;
    }
    for file in ["storefront.css", "shop.js", "favicon.svg"] {
        fs::copy(root.join("plugins/storefront/assets").join(file), out.join("assets").join(file))?;
    }
    let mut shop = Shop { albums: read(&fs::read_to_string(root.join("data/albums.csv"))?), open: true };
    if let Some(album) = shop.albums.get_mut(8) {
        album.discontinued = true;
    }
    for (file, address) in PAGES {
        fs::write(out.join(file), local(&fetch(&shop, address)))?;
    }
    let mut sheet = String::from("<link rel=stylesheet href=assets/storefront.css><ul class='cards six'>");
    for album in &shop.albums {
        let file = format!("covers/{}.svg", album.sku);
        sheet += &format!("<li><img src='{file}' width=600 height=600>");
        fs::write(out.join(&file), fetch(&shop, &format!("/{file}")))?;
    }
    fs::write(out.join("covers.html"), sheet)?;
    shop.open = false;
    fs::write(out.join("closed.html"), local(&fetch(&shop, "/")))?;
    println!("{}", out.display());
    Ok(())
}

fn fetch(shop: &Shop, address: &str) -> String {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let request = Request {
        method: "GET".into(),
        path: path.into(),
        query: Some(query.into()),
        headers: Vec::new(),
        body: Vec::new(),
    };
    String::from_utf8_lossy(&handle(&request, shop).body).into_owned()
}

/// Addresses from the root lead nowhere in a folder.
fn local(page: &str) -> String {
    page.replace("=\"/assets/", "=\"assets/").replace("=\"/covers/", "=\"covers/")
}

fn read(csv: &str) -> Vec<Album> {
    csv.lines().skip(1).filter_map(|line| album(&fields(line))).collect()
}

fn album(fields: &[String]) -> Option<Album> {
    let [sku, artist, title, year, genre, label, price, currency, notes, _] = fields else { return None };
    Some(Album {
        sku: sku.clone(),
        artist: artist.clone(),
        title: title.clone(),
        year: year.parse().ok()?,
        genre: genre.clone(),
        label: label.clone(),
        price: Money { minor_units: price.parse().ok()?, currency: currency.clone() },
        notes: notes.clone(),
        discontinued: false,
    })
}

fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            _ => fields.last_mut().into_iter().for_each(|field| field.push(letter)),
        }
    }
    fields
}

impl Shop {
    fn page(&self, page: u32, size: u32, matches: impl Fn(&Album) -> bool) -> Result<AlbumPage, Trouble> {
        if !self.open {
            return Err(Trouble::Absent);
        }
        let found: Vec<&Album> = self.albums.iter().filter(|album| !album.discontinued && matches(album)).collect();
        let albums = found.iter().skip(((page - 1) * size) as usize).take(size as usize).map(|&album| album.clone());
        let total = found.len() as u32;
        Ok(AlbumPage { albums: albums.collect(), total, more: page * size < total })
    }

    fn count(&self, name: impl Fn(&Album) -> String) -> Vec<Facet> {
        let mut facets: Vec<Facet> = Vec::new();
        for album in &self.albums {
            let name = name(album);
            match facets.iter_mut().find(|facet| facet.name == name) {
                Some(facet) => facet.count += 1,
                None => facets.push(Facet { name, count: 1 }),
            }
        }
        facets.sort_by_key(|facet| std::cmp::Reverse(facet.count));
        facets
    }
}

impl Seams for Shop {
    fn albums(&self, skus: &[&str]) -> Result<Vec<Album>, Trouble> {
        if !self.open {
            return Err(Trouble::Absent);
        }
        Ok(skus.iter().filter_map(|sku| self.albums.iter().find(|album| album.sku == **sku).cloned()).collect())
    }

    fn search(&self, words: &str, page: u32, size: u32) -> Result<AlbumPage, Trouble> {
        self.page(page, size, |album| album.title.to_lowercase().contains(&words.to_lowercase()))
    }

    fn browse(&self, filter: Filter<'_>, page: u32, size: u32) -> Result<AlbumPage, Trouble> {
        self.page(page, size, |album| {
            filter.genre.is_none_or(|genre| genre == album.genre)
                && filter.artist.is_none_or(|artist| artist == album.artist)
                && filter.decade.is_none_or(|decade| decade == album.year / 10 * 10)
        })
    }

    fn facets(&self) -> Result<Facets, Trouble> {
        let mut decades = self.count(|album| (album.year / 10 * 10).to_string());
        decades.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Facets {
            genres: self.count(|album| album.genre.clone()),
            decades,
            artists: self.count(|album| album.artist.clone()),
        })
    }

    fn levels(&self, skus: &[&str]) -> Result<Vec<Level>, Trouble> {
        let on_hand = |sku: &str| sku.bytes().fold(0, |sum: u32, byte| sum * 7 % 1009 + u32::from(byte)) % 9;
        Ok(skus.iter().map(|sku| Level { sku: (*sku).into(), on_hand: on_hand(sku) }).collect())
    }

    fn suggest(&self, skus: &[&str], count: u32) -> Result<Vec<Suggestion>, Trouble> {
        let start = skus.first().map_or(41, |sku| sku.len() * 3);
        let some = self.albums.iter().skip(start).step_by(37).take(count as usize);
        Ok(some.map(|album| Suggestion { sku: album.sku.clone(), score: 1.0 }).collect())
    }

    fn setting(&self, key: &str) -> Option<String> {
        (key == "reference.currencies").then(|| "GBP £ 2".into())
    }
}
