//! What differs between an album before and after a change.

use crate::albums::Album;
use crate::editing::Aspect;

/// Characters that are kept of a text.
const KEPT_CHARS_MAX: usize = 200;

/// An aspect of an album, before and after the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub aspect: Aspect,
    pub was: String,
    pub now: String,
}

/// The aspect with this number in the file; `aspect as u8` is the other way round.
pub fn aspect(number: u8) -> Option<Aspect> {
    use Aspect::{Artist, Genre, Label, Notes, Price, Sale, Title, Year};
    [Artist, Title, Year, Genre, Label, Notes, Price, Sale].into_iter().find(|aspect| *aspect as u8 == number)
}

/// Every aspect that differs. An album that is added differs in whether it is sold.
pub fn differences(before: Option<&Album>, after: &Album) -> Vec<Difference> {
    let Some(before) = before else {
        return vec![Difference { aspect: Aspect::Sale, was: String::new(), now: sale(after).into() }];
    };
    let (was, now) = (texts(before), texts(after));
    let differ = was.into_iter().zip(now).filter(|((_, was), (_, now))| was != now);
    differ.map(|((aspect, was), (_, now))| Difference { aspect, was: kept(&was), now: kept(&now) }).collect()
}

fn texts(album: &Album) -> [(Aspect, String); 8] {
    [
        (Aspect::Artist, album.artist.clone()),
        (Aspect::Title, album.title.clone()),
        (Aspect::Year, album.year.to_string()),
        (Aspect::Genre, album.genre.clone()),
        (Aspect::Label, album.label.clone()),
        (Aspect::Notes, album.notes.clone()),
        (Aspect::Price, format!("{} {}", album.price.minor_units, album.price.currency)),
        (Aspect::Sale, sale(album).into()),
    ]
}

fn sale(album: &Album) -> &'static str {
    if album.discontinued { "no" } else { "yes" }
}

fn kept(text: &str) -> String {
    match text.char_indices().nth(KEPT_CHARS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::albums::Money;

    fn album() -> Album {
        Album {
            sku: "A-1".into(),
            artist: "Björk".into(),
            title: "Post".into(),
            year: 1995,
            genre: "Pop".into(),
            label: "One Little Indian".into(),
            price: Money { minor_units: 1299, currency: "GBP".into() },
            notes: String::new(),
            discontinued: false,
        }
    }

    #[test]
    fn each_aspect_that_differs_is_listed_before_and_after() {
        let told = |change: fn(&mut Album)| {
            let mut after = album();
            change(&mut after);
            let differences = differences(Some(&album()), &after).into_iter();
            differences.map(|one| format!("{:?} {} -> {}", one.aspect, one.was, one.now)).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(told(|_| {}), "");
        assert_eq!(told(|album| album.artist = "Bjork".into()), "Aspect::Artist Björk -> Bjork");
        assert_eq!(told(|album| album.title = "Debut".into()), "Aspect::Title Post -> Debut");
        assert_eq!(told(|album| album.year = 1996), "Aspect::Year 1995 -> 1996");
        assert_eq!(told(|album| album.genre = "Rock".into()), "Aspect::Genre Pop -> Rock");
        assert_eq!(told(|album| album.label = "Own".into()), "Aspect::Label One Little Indian -> Own");
        assert_eq!(told(|album| album.notes = "Good.".into()), "Aspect::Notes  -> Good.");
        assert_eq!(told(|album| album.price.minor_units = 1), "Aspect::Price 1299 GBP -> 1 GBP");
        assert_eq!(told(|album| album.discontinued = true), "Aspect::Sale yes -> no");
        let both = told(|album| {
            album.title = "Debut".into();
            album.year = 1993;
        });
        assert_eq!(both, "Aspect::Title Post -> Debut; Aspect::Year 1995 -> 1993");
    }

    #[test]
    fn an_added_album_is_one_difference_and_a_long_text_is_cut() {
        let added = differences(None, &album());
        assert_eq!(added, [Difference { aspect: Aspect::Sale, was: String::new(), now: "yes".into() }]);
        let long = Album { notes: "ü".repeat(201), ..album() };
        assert_eq!(differences(Some(&album()), &long)[0].now, format!("{}…", "ü".repeat(200)));
        let fits = Album { notes: "ü".repeat(200), ..album() };
        assert_eq!(differences(Some(&album()), &fits)[0].now, "ü".repeat(200));
    }

    #[test]
    fn an_aspect_is_read_as_it_was_written() {
        for number in 0..8 {
            assert_eq!(aspect(number).map(|aspect| aspect as u8), Some(number));
        }
        assert_eq!(aspect(8), None);
    }
}
