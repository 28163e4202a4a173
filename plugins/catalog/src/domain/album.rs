//! What the catalog accepts as an album.

use std::collections::BTreeMap;
use std::fmt::Arguments;

use seam_sdk::Invalid;

use crate::albums::{Album, Money};
use crate::editing::Description;

/// SKUs in one call. A page shows 50; an order desk asks for a basket.
pub const ASKED_MAX: usize = 500;
/// Albums in one call of the editor.
pub const PUT_MAX: usize = 1_000;
/// Length of a SKU.
pub const SKU_CHARS_MAX: usize = 32;
/// Length of artist, title, genre and label. The longest real titles have about 450; every sleeve shortens them.
pub const NAME_CHARS_MAX: usize = 200;
/// Length of the notes: a page of text; 500 albums in one answer stay below the bound of a store's result.
pub const NOTES_CHARS_MAX: usize = 2_000;
/// Records were first sold in the 1880s.
pub const YEAR_MIN: u16 = 1880;
pub const YEAR_MAX: u16 = 2100;
/// 100,000.00 in most currencies. A higher price is a typing mistake.
pub const PRICE_MAX: u32 = 10_000_000;

/// Checks SKUs, row by row.
pub fn check_skus(skus: &[String]) -> Result<(), Invalid> {
    at_most(ASKED_MAX, skus.len(), "SKUs")?;
    skus.iter().enumerate().try_for_each(|(i, sku)| Row(i).sku(sku))
}

/// Checks a price: within its bound, in a currency.
pub fn check_price(price: &Money) -> Result<(), Invalid> {
    if price.minor_units > PRICE_MAX {
        return Err(Invalid(format!("minor-units: {} is over {PRICE_MAX}", price.minor_units)));
    }
    if price.currency.len() != 3 || !price.currency.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(Invalid("currency: it is not three capital letters, as GBP".into()));
    }
    Ok(())
}

/// Checks every field of every album, and that no SKU stands there twice.
pub fn check_albums(albums: &[Album]) -> Result<(), Invalid> {
    at_most(PUT_MAX, albums.len(), "albums")?;
    let mut first = BTreeMap::new();
    for (i, album) in albums.iter().enumerate() {
        let row = Row(i);
        row.sku(&album.sku)?;
        for (field, name) in
            [("artist", &album.artist), ("title", &album.title), ("genre", &album.genre), ("label", &album.label)]
        {
            row.text(field, name, NAME_CHARS_MAX, |_| false)?;
            if name.trim().is_empty() {
                return row.wrong(field, format_args!("is empty"));
            }
        }
        row.text("notes", &album.notes, NOTES_CHARS_MAX, |c| c == '\n')?;
        if !(YEAR_MIN..=YEAR_MAX).contains(&album.year) {
            return row.wrong("year", format_args!("{} does not lie between {YEAR_MIN} and {YEAR_MAX}", album.year));
        }
        check_price(&album.price).map_err(|Invalid(why)| Invalid(format!("row {}, price.{why}", i + 1)))?;
        if let Some(other) = first.insert(&album.sku, i) {
            return row.wrong("sku", format_args!("`{}` stands in row {} already", album.sku, other + 1));
        }
    }
    Ok(())
}

/// Checks what is to be said of an album, as `check_albums` does.
pub fn check_description(sku: &str, description: &Description) -> Result<(), Invalid> {
    let Description { artist, title, year, genre, label, notes } = description.clone();
    let price = Money { minor_units: 0, currency: "GBP".into() };
    check_albums(&[Album { sku: sku.into(), artist, title, year, genre, label, price, notes, discontinued: false }])
}

/// Characters of the id of an account, and changes in one list.
const BY_CHARS_MAX: usize = 64;
const CHANGES_MAX: u32 = 200;

/// Checks the account of the operator who changes an album.
pub fn check_by(by: &str) -> Result<(), Invalid> {
    if !(1..=BY_CHARS_MAX).contains(&by.chars().count()) || by.chars().any(char::is_control) {
        return Err(Invalid(format!("by: it needs 1 to {BY_CHARS_MAX} characters, none of them a control character")));
    }
    Ok(())
}

/// Checks which changes of an album are asked for.
pub fn check_changes(sku: &str, count: u32) -> Result<(), Invalid> {
    if !(1..=CHANGES_MAX).contains(&count) {
        return Err(Invalid(format!("count: {count} does not lie between 1 and {CHANGES_MAX}")));
    }
    Row(0).sku(sku)
}

/// Checks where a list of albums starts, and how many it has.
pub fn check_list(after: &str, count: u32) -> Result<(), Invalid> {
    if count == 0 || count as usize > ASKED_MAX {
        return Err(Invalid(format!("count: {count} does not lie between 1 and {ASKED_MAX}")));
    }
    if after.is_empty() { Ok(()) } else { Row(0).sku(after) }
}

fn at_most(max: usize, count: usize, what: &str) -> Result<(), Invalid> {
    if count > max {
        return Err(Invalid(format!("{count} {what} in one call; {max} are allowed")));
    }
    Ok(())
}

/// A row of the argument, from 0; people read it from 1.
struct Row(usize);

impl Row {
    fn wrong(&self, field: &str, why: Arguments<'_>) -> Result<(), Invalid> {
        Err(Invalid(format!("row {}, {field}: {why}", self.0 + 1)))
    }

    fn sku(&self, sku: &str) -> Result<(), Invalid> {
        let good = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-';
        if sku.is_empty() || sku.len() > SKU_CHARS_MAX || !sku.bytes().all(good) {
            let shown: String = sku.chars().take(SKU_CHARS_MAX).collect();
            let why = format_args!("{shown:?} is not 1 to {SKU_CHARS_MAX} capital letters, digits and hyphens");
            return self.wrong("sku", why);
        }
        Ok(())
    }

    fn text(&self, field: &str, text: &str, chars_max: usize, allowed: impl Fn(char) -> bool) -> Result<(), Invalid> {
        // A character has a byte at least: most texts need not be counted.
        if text.len() > chars_max && text.chars().count() > chars_max {
            return self.wrong(field, format_args!("it has more than {chars_max} characters"));
        }
        match text.chars().position(|c| c.is_control() && !allowed(c)) {
            Some(at) => self.wrong(field, format_args!("character {} is a control character", at + 1)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn album(sku: &str) -> Album {
        Album {
            sku: sku.into(),
            artist: "Sigur Rós".into(),
            title: "Ágætis byrjun".into(),
            year: 1999,
            genre: "Post-Rock".into(),
            label: "Smekkleysa".into(),
            price: Money { minor_units: 1599, currency: "GBP".into() },
            notes: "First pressing.\nGatefold.".into(),
            discontinued: false,
        }
    }

    fn check(change: impl FnOnce(&mut Album), expect: &str) {
        let mut albums = [album("A-1"), album("A-2")];
        change(&mut albums[1]);
        let said = check_albums(&albums).err().map_or(String::new(), |Invalid(why)| why);
        assert_eq!(said, expect);
    }

    #[test]
    fn a_good_album_passes() {
        check(|_| {}, "");
        check(|a| a.notes.clear(), "");
        check(|a| a.price.minor_units = 0, "");
        check(|a| a.year = YEAR_MIN, "");
        check(|a| a.year = YEAR_MAX, "");
        check(|a| a.title = "É".repeat(NAME_CHARS_MAX), "");
        assert_eq!(check_albums(&[]), Ok(()));
    }

    #[test]
    fn a_bad_album_is_named_with_its_row_and_field() {
        let sku = |shown| format!("row 2, sku: {shown} is not 1 to 32 capital letters, digits and hyphens");
        check(|a| a.sku.clear(), &sku("\"\""));
        check(|a| a.sku = "a-1".into(), &sku("\"a-1\""));
        check(|a| a.sku = "A\u{1}".into(), &sku("\"A\\u{1}\""));
        check(|a| a.sku = "A-1".into(), "row 2, sku: `A-1` stands in row 1 already");
        check(|a| a.artist = "  ".into(), "row 2, artist: is empty");
        check(|a| a.title = "É".repeat(NAME_CHARS_MAX + 1), "row 2, title: it has more than 200 characters");
        check(|a| a.genre = "Jazz\n".into(), "row 2, genre: character 5 is a control character");
        check(|a| a.label = "\u{7f}".into(), "row 2, label: character 1 is a control character");
        check(|a| a.notes = "a\0".into(), "row 2, notes: character 2 is a control character");
        check(|a| a.notes = "x".repeat(NOTES_CHARS_MAX + 1), "row 2, notes: it has more than 2000 characters");
        check(|a| a.year = 1879, "row 2, year: 1879 does not lie between 1880 and 2100");
        check(|a| a.year = 2101, "row 2, year: 2101 does not lie between 1880 and 2100");
        check(|a| a.price.minor_units = PRICE_MAX + 1, "row 2, price.minor-units: 10000001 is over 10000000");
        for currency in ["", "gbp", "GB", "GBPX", "£"] {
            let expect = "row 2, price.currency: it is not three capital letters, as GBP";
            check(|a| a.price.currency = currency.into(), expect);
        }
    }

    #[test]
    fn lists_are_bounded() {
        let albums: Vec<_> = (0..=PUT_MAX).map(|i| album(&format!("A{i}"))).collect();
        assert_eq!(check_albums(&albums), Err(Invalid("1001 albums in one call; 1000 are allowed".into())));
        assert_eq!(check_albums(&albums[1..]), Ok(()));
        let skus = vec!["A".to_string(); ASKED_MAX + 1];
        assert_eq!(check_skus(&skus), Err(Invalid("501 SKUs in one call; 500 are allowed".into())));
        assert_eq!(check_skus(&skus[1..]), Ok(()));
    }
}
