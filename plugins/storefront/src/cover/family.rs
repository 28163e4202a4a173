//! Families of genres. Each has its colours (`palettes`), drawings and typefaces (`style`).

/// Genres that look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Jazz,
    Rock,
    Soul,
    Electronic,
    HipHop,
    Folk,
    Classical,
    Metal,
    Reggae,
    Pop,
    Blues,
    World,
    Ambient,
    Punk,
    Country,
    Latin,
    Funk,
}

use Family::*;

pub const ALL: [Family; 17] = [
    Jazz, Rock, Soul, Electronic, HipHop, Folk, Classical, Metal, Reggae, Pop, Blues, World, Ambient, Punk, Country,
    Latin, Funk,
];

/// Parts of genre names, the more specific ones first: "folk metal" is metal, "electro pop" electronic.
const WORDS: &[(&str, Family)] = &[
    ("ambient", Ambient),
    ("new age", Ambient),
    ("drone", Ambient),
    ("metal", Metal),
    ("punk", Punk),
    ("hardcore", Punk),
    ("grunge", Metal),
    ("industrial", Metal),
    ("hip", HipHop),
    ("rap", HipHop),
    ("grime", HipHop),
    ("electro", Electronic),
    ("techno", Electronic),
    ("house", Electronic),
    ("dance", Electronic),
    ("synth", Electronic),
    ("krautrock", Electronic),
    ("trip", Electronic),
    ("jazz", Jazz),
    ("bop", Jazz),
    ("swing", Jazz),
    ("reggae", Reggae),
    ("dub", Reggae),
    ("ska", Reggae),
    ("soul", Soul),
    ("funk", Funk),
    ("r&b", Soul),
    ("disco", Funk),
    ("gospel", Soul),
    ("blues", Blues),
    ("country", Country),
    ("folk", Folk),
    ("americana", Country),
    ("songwriter", Folk),
    ("latin", Latin),
    ("bossa", Latin),
    ("afri", World),
    ("afro", World),
    ("world", World),
    ("mpb", Latin),
    ("samba", Latin),
    ("classical", Classical),
    ("opera", Classical),
    ("minimal", Classical),
    ("contemporary", Classical),
    ("soundtrack", Classical),
    ("score", Classical),
    ("rock", Rock),
    ("alternative", Rock),
    ("indie", Rock),
    ("prog", Rock),
    ("pop", Pop),
];

impl Family {
    /// The family of a genre. An unknown genre always has the same one.
    pub fn of(genre: &str) -> Family {
        let known = WORDS.iter().find(|(word, _)| contains(genre.as_bytes(), word.as_bytes()));
        match known {
            Some((_, family)) => *family,
            None => {
                let sum = genre.bytes().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
                ALL.get(sum % ALL.len()).copied().unwrap_or(Rock)
            }
        }
    }

    /// The CSS class with the family's colours.
    pub fn class(self) -> &'static str {
        match self {
            Jazz => "jazz",
            Rock => "rock",
            Soul => "soul",
            Electronic => "electronic",
            HipHop => "hiphop",
            Folk => "folk",
            Classical => "classical",
            Metal => "metal",
            Reggae => "reggae",
            Pop => "pop",
            Blues => "blues",
            World => "world",
            Ambient => "ambient",
            Punk => "punk",
            Country => "country",
            Latin => "latin",
            Funk => "funk",
        }
    }
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}
