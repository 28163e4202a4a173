//! Countries, currencies and the address for returns: shared static data that no context owns (`data/reference.toml`),
//! as configuration values.
//!
//! A page reads them only if it shows prices or addresses. An unknown code is shown as it is.

use crate::seams::Seams;

/// `GBP £ 2` on each line.
#[derive(Debug, Clone, Default)]
pub struct Currencies(String);

impl Currencies {
    pub fn of(seams: &impl Seams) -> Currencies {
        Currencies(seams.setting("reference.currencies").unwrap_or_default())
    }

    /// The sign before a price, empty if there is none, and the number of digits after the point. An unknown currency
    /// has two.
    pub fn sign(&self, code: &str) -> (&str, u32) {
        let found = self.0.lines().find_map(|line| {
            let mut parts = line.split_whitespace();
            (parts.next()? == code).then(|| (parts.next(), parts.next().and_then(|digits| digits.parse().ok())))
        });
        match found {
            // Prices show the sign unescaped.
            Some((Some(sign), Some(digits @ 0..=4))) if !sign.contains(['<', '>', '&', '"', '\'']) => (sign, digits),
            _ => ("", 2),
        }
    }

    /// The codes, in their order.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        self.0.lines().filter_map(|line| line.split_whitespace().next())
    }
}

/// `GB United Kingdom` on each line.
#[derive(Debug, Clone, Default)]
pub struct Countries(String);

impl Countries {
    pub fn of(seams: &impl Seams) -> Countries {
        Countries(seams.setting("reference.countries").unwrap_or_default())
    }

    /// Code and name, sorted by name.
    pub fn list(&self) -> Vec<(&str, &str)> {
        let lines = self.0.lines().filter_map(|line| line.trim().split_once(' '));
        let mut list: Vec<(&str, &str)> = lines.map(|(code, name)| (code, name.trim())).collect();
        list.sort_unstable_by_key(|(_, name)| *name);
        list
    }

    /// The name, or the code if it is unknown.
    pub fn name<'a>(&'a self, code: &'a str) -> &'a str {
        self.list().into_iter().find(|(known, _)| *known == code).map_or(code, |(_, name)| name)
    }
}

/// Where records are sent back to, a line each.
#[derive(Debug, Clone, Default)]
pub struct Returns(String);

impl Returns {
    pub fn of(seams: &impl Seams) -> Returns {
        Returns(seams.setting("reference.returns").unwrap_or_default())
    }

    /// Empty if the shop has not said where.
    pub fn lines(&self) -> Vec<&str> {
        self.0.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Shop;

    #[test]
    fn currencies_have_their_sign_and_digits() {
        let currencies = Currencies("GBP £ 2\nJPY ¥ 0\n\nBAD\nODD x y\nEVIL <b> 2\nLONG $ 9\n".into());
        for (code, sign) in [
            ("GBP", ("£", 2)),
            ("JPY", ("¥", 0)),
            ("BAD", ("", 2)),
            ("ODD", ("", 2)),
            ("EVIL", ("", 2)),
            ("LONG", ("", 2)),
            ("SEK", ("", 2)),
            ("", ("", 2)),
        ] {
            assert_eq!(currencies.sign(code), sign, "{code}");
        }
    }

    #[test]
    fn countries_are_sorted_by_name() {
        let countries = Countries("GB United Kingdom\nDE Germany\n\nbad\n".into());
        assert_eq!(countries.list(), [("DE", "Germany"), ("GB", "United Kingdom")]);
        assert_eq!((countries.name("GB"), countries.name("XX")), ("United Kingdom", "XX"));
    }

    #[test]
    fn without_the_reference_nothing_breaks() {
        let shop = Shop { settings: Vec::new(), ..Shop::open() };
        assert_eq!(Currencies::of(&shop).sign("GBP"), ("", 2));
        assert!(Countries::of(&shop).list().is_empty());
        assert!(Returns::of(&shop).lines().is_empty());
        assert_eq!(Returns("MusicCorp\n\n 1 Yard\n".into()).lines(), ["MusicCorp", "1 Yard"]);
    }
}
