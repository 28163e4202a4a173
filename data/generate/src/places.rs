//! The invented customers' addresses: real towns of every country that the shop ships to, with streets and postcodes in
//! that country's format.
//!
//! In a street, `%` is the house number. In a postcode, `+` is 1 to 9, `#` a digit, `@` a letter.

use crate::dice::Dice;

/// Letters that do not look like digits.
const LETTERS: &[u8] = b"ABDEFGHJLNPRSTUWXYZ";

pub struct Country {
    /// ISO 3166-1 alpha-2; a test checks that `data/reference.toml` lists it.
    pub code: &'static str,
    /// How many of a hundred customers live here; the rest is spread over all countries.
    pub share: u32,
    /// Towns, each with the pattern of its postcodes.
    pub towns: &'static [(&'static str, &'static str)],
    pub streets: &'static [&'static str],
    /// Second lines of an address, which only some customers have.
    pub extras: &'static [&'static str],
}

const fn country(
    code: &'static str,
    share: u32,
    towns: &'static [(&'static str, &'static str)],
    streets: &'static [&'static str],
    extras: &'static [&'static str],
) -> Country {
    Country { code, share, towns, streets, extras }
}

#[rustfmt::skip]
pub const COUNTRIES: [Country; 24] = [
    country("GB", 44, &[("London", "SE+ #@@"), ("Manchester", "M+# #@@"), ("Glasgow", "G+# #@@"), ("Bristol", "BS+ #@@"), ("Cardiff", "CF+# #@@"), ("Leeds", "LS+ #@@"), ("Belfast", "BT+ #@@")],
        &["% Orchard Road", "% Station Road", "% Mill Lane", "% Victoria Terrace", "% Albert Street", "% Church Row"], &["Flat 2", "Flat 5B", "The Old Bakery"]),
    country("IE", 8, &[("Dublin", "D0+ @##@"), ("Cork", "T+# @##@"), ("Galway", "H91 @##@")],
        &["% Harbour Street", "% Abbey Lane", "% Parnell Terrace", "% The Crescent"], &["Apartment 3"]),
    country("DE", 10, &[("Berlin", "1####"), ("Köln", "50###"), ("Leipzig", "04###"), ("Hamburg", "2####")],
        &["Lindenstraße %", "Gartenweg %", "Bergstraße %", "Am Alten Markt %"], &["Hinterhaus", "3. Stock links"]),
    country("FR", 8, &[("Paris", "750##"), ("Lyon", "6900+"), ("Nantes", "44000")],
        &["% rue des Lilas", "% avenue de la Gare", "% rue du Moulin", "% place du Marché"], &["Bâtiment C", "2e étage"]),
    country("NL", 5, &[("Amsterdam", "10## @@"), ("Utrecht", "35## @@")],
        &["Kerkstraat %", "Molenweg %", "Dorpsstraat %", "Lange Gracht %"], &["2 hoog"]),
    country("US", 6, &[("Portland", "972##"), ("Chicago", "606##"), ("Austin", "787##")],
        &["% Maple Avenue", "% Oak Street", "% Cedar Lane", "% Lake Drive"], &["Apt 4", "Unit 12"]),
    country("SE", 3, &[("Malmö", "21# ##"), ("Göteborg", "41# ##")],
        &["Storgatan %", "Kyrkogatan %", "Björkvägen %"], &["Lgh 1102"]),
    country("ES", 3, &[("Barcelona", "080##"), ("Sevilla", "410##")],
        &["Calle Mayor %", "Calle del Sol %", "Avenida del Puerto %"], &["2º izquierda"]),
    country("IT", 3, &[("Torino", "101##"), ("Bologna", "401##")],
        &["Via Roma %", "Via dei Mulini %", "Corso Garibaldi %"], &["Interno 6"]),
    country("AT", 1, &[("Wien", "1##0"), ("Graz", "80##")], &["Hauptstraße %", "Schulgasse %"], &["Top 7"]),
    country("AU", 1, &[("Melbourne", "30##"), ("Hobart", "70##")], &["% Wattle Street", "% Harbour Parade"], &["Unit 3"]),
    country("BE", 1, &[("Antwerpen", "20#0"), ("Gent", "90#0")], &["Nieuwstraat %", "Stationsstraat %"], &["Bus 4"]),
    country("CA", 1, &[("Montréal", "H2@ #@#"), ("Halifax", "B3@ #@#")], &["% Elm Street", "% Water Street"], &["Suite 8"]),
    country("CH", 1, &[("Zürich", "80##"), ("Basel", "40##")], &["Bahnhofstrasse %", "Seeweg %"], &["2. Stock"]),
    country("CZ", 1, &[("Brno", "6## 00"), ("Praha", "1## 00")], &["Dlouhá %", "Nádražní %"], &["Byt 5"]),
    country("DK", 1, &[("Aarhus", "8##0"), ("København", "2##0")], &["Nørregade %", "Skovvej %"], &["2. tv"]),
    country("FI", 1, &[("Helsinki", "00##0"), ("Tampere", "33##0")], &["Kirkkokatu %", "Koivutie %"], &["A 12"]),
    country("IS", 0, &[("Reykjavík", "1##"), ("Akureyri", "60#")], &["Hafnargata %", "Laugarvegur %"], &["Kjallari"]),
    country("JP", 0, &[("Kyoto", "60#-####"), ("Sapporo", "06#-####")], &["%-2-11 Kamimachi", "%-7-3 Nakamachi"], &["Room 203"]),
    country("LU", 0, &[("Luxembourg", "L-1###")], &["% rue de la Poste", "% route du Vin"], &["1er étage"]),
    country("NO", 0, &[("Bergen", "50##"), ("Oslo", "0##0")], &["Strandgata %", "Kirkeveien %"], &["H0201"]),
    country("NZ", 0, &[("Dunedin", "90##"), ("Wellington", "60##")], &["% Beach Road", "% Rimu Street"], &["Flat 1"]),
    country("PL", 0, &[("Kraków", "3#-###"), ("Gdańsk", "8#-###")], &["ul. Polna %", "ul. Ogrodowa %"], &["m. 9"]),
    country("PT", 0, &[("Lisboa", "1##0-###"), ("Porto", "4##0-###")], &["Rua das Flores %", "Travessa do Carmo %"], &["3.º direito"]),
];

/// An address: street, second line (mostly empty), town, postcode, country.
pub struct House {
    pub street: String,
    pub extra: &'static str,
    pub city: &'static str,
    pub postcode: String,
    pub country: &'static str,
}

pub fn house(dice: &mut Dice) -> House {
    let country = country_of(dice);
    let (city, postcode) = dice.pick(country.towns).copied().unwrap_or(("London", "SE1 1AA"));
    let street = dice.pick(country.streets).copied().unwrap_or("% Orchard Road");
    let number = dice.between(1, 140).to_string();
    let extra = if dice.percent(15) { dice.pick(country.extras).copied().unwrap_or_default() } else { "" };
    House { street: street.replace('%', &number), extra, city, postcode: fill(dice, postcode), country: country.code }
}

fn country_of(dice: &mut Dice) -> &'static Country {
    let mut roll = dice.between(0, 99);
    for country in &COUNTRIES {
        if roll < country.share {
            return country;
        }
        roll -= country.share;
    }
    &COUNTRIES[dice.below(COUNTRIES.len())]
}

fn fill(dice: &mut Dice, pattern: &str) -> String {
    let one = |sign| match sign {
        '+' => (b'1' + dice.below(9) as u8) as char,
        '#' => (b'0' + dice.below(10) as u8) as char,
        '@' => dice.pick(LETTERS).map_or('A', |letter| *letter as char),
        other => other,
    };
    pattern.chars().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_countries_are_those_the_shop_ships_to() {
        let reference = include_str!("../../reference.toml");
        let list = reference.split("countries = \"\"\"").nth(1).and_then(|rest| rest.split("\"\"\"").next());
        let mut listed: Vec<&str> = list.unwrap_or("").lines().filter_map(|line| line.get(..2)).collect();
        let mut ours: Vec<&str> = COUNTRIES.iter().map(|country| country.code).collect();
        listed.sort_unstable();
        ours.sort_unstable();
        assert_eq!(ours, listed);
        assert!(COUNTRIES.iter().map(|country| country.share).sum::<u32>() < 100);
    }

    #[test]
    fn an_address_is_within_the_bounds_of_customer() {
        let mut dice = Dice::new(7, 99);
        for _ in 0..2000 {
            let house = house(&mut dice);
            assert!((1..=100).contains(&house.street.chars().count()) && house.extra.chars().count() <= 100);
            assert!((1..=16).contains(&house.postcode.chars().count()), "{}", house.postcode);
            assert!(!house.postcode.contains(['+', '#', '@']) && !house.street.contains('%'), "{}", house.postcode);
        }
    }
}
