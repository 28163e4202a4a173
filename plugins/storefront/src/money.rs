//! Prices and counts as people read them.

use std::fmt::{self, Write};

use askama::filters::HtmlSafe;
use askama::{FastWritable, Values};

use crate::reference::Currencies;
use crate::seams::Money;

/// A price; shows as `£24.99`, `¥2,800`, `24.99 XYZ`.
#[derive(Debug, Clone, Copy)]
pub struct Price<'a> {
    minor_units: i64,
    currency: &'a str,
    sign: &'a str,
    /// Digits after the decimal point.
    digits: u32,
}

impl Currencies {
    /// An amount in a currency's minor unit.
    pub fn price<'a>(&'a self, minor_units: impl TryInto<i64>, currency: &'a str) -> Price<'a> {
        let (sign, digits) = self.sign(currency);
        Price { minor_units: minor_units.try_into().unwrap_or(i64::MAX), currency, sign, digits }
    }

    pub fn of_album<'a>(&'a self, price: &'a Money) -> Price<'a> {
        self.price(price.minor_units, &price.currency)
    }
}

/// What is charged for a service; shows as a price, or as `Free`.
#[derive(Debug, Clone, Copy)]
pub struct Charge<'a>(pub Price<'a>);

impl fmt::Display for Charge<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.minor_units == 0 { formatter.write_str("Free") } else { self.0.write(formatter) }
    }
}

impl FastWritable for Charge<'_> {
    fn write_into(&self, out: &mut dyn Write, _: &dyn Values) -> askama::Result<()> {
        Ok(write!(out, "{self}")?)
    }
}

/// As a price.
impl HtmlSafe for Charge<'_> {}

impl Price<'_> {
    fn write(&self, out: &mut dyn Write) -> fmt::Result {
        if self.minor_units < 0 {
            out.write_char('\u{2212}')?;
        }
        out.write_str(self.sign)?;
        let units = self.minor_units.unsigned_abs();
        let unit = 10u64.pow(self.digits);
        write_grouped(out, units / unit)?;
        if self.digits > 0 {
            out.write_char('.')?;
            write_digits(out, units % unit, self.digits)?;
        }
        if self.sign.is_empty() {
            out.write_char(' ')?;
            // An unknown code comes from another context: only its letters and digits are shown.
            for letter in self.currency.chars().filter(char::is_ascii_alphanumeric).take(8) {
                out.write_char(letter)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Price<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(formatter)
    }
}

impl FastWritable for Price<'_> {
    fn write_into(&self, out: &mut dyn Write, _: &dyn Values) -> askama::Result<()> {
        Ok(self.write(out)?)
    }
}

/// The output has only digits, letters, spaces and signs that are no markup.
impl HtmlSafe for Price<'_> {}

/// A count with thousands separators: `12,345`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub u32);

impl fmt::Display for Count {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_grouped(formatter, self.0.into())
    }
}

impl FastWritable for Count {
    fn write_into(&self, out: &mut dyn Write, _: &dyn Values) -> askama::Result<()> {
        Ok(write_grouped(out, self.0.into())?)
    }
}

impl HtmlSafe for Count {}

/// How many albums match, counted up to `most`: `12`, `1,000+`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Total {
    pub count: u32,
    pub most: u32,
}

impl Total {
    /// `record` or `records`.
    pub fn records(&self) -> &'static str {
        if self.count == 1 { "record" } else { "records" }
    }

    /// Whether the count is exact. Otherwise there may be more.
    pub fn exact(&self) -> bool {
        self.count < self.most
    }

    fn write(&self, out: &mut dyn Write) -> fmt::Result {
        write_grouped(out, self.count.into())?;
        if self.exact() { Ok(()) } else { out.write_char('+') }
    }
}

impl fmt::Display for Total {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(formatter)
    }
}

impl FastWritable for Total {
    fn write_into(&self, out: &mut dyn Write, _: &dyn Values) -> askama::Result<()> {
        Ok(self.write(out)?)
    }
}

impl HtmlSafe for Total {}

fn write_grouped(out: &mut dyn Write, number: u64) -> fmt::Result {
    if number >= 1000 {
        write_grouped(out, number / 1000)?;
        out.write_char(',')?;
        return write_digits(out, number % 1000, 3);
    }
    let width = if number >= 100 { 3 } else { 1 + u32::from(number >= 10) };
    write_digits(out, number, width)
}

/// The last `width` digits of `number`, zeros included.
fn write_digits(out: &mut dyn Write, number: u64, width: u32) -> fmt::Result {
    for place in (0..width).rev() {
        out.write_char(char::from(b'0' + (number / 10u64.pow(place) % 10) as u8))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Shop;

    #[test]
    fn prices_read_as_people_write_them() {
        let currencies = Currencies::of(&Shop::open());
        for (minor_units, currency, shown) in [
            (2499, "GBP", "£24.99"),
            (5, "EUR", "€0.05"),
            (0, "USD", "$0.00"),
            (-2499, "GBP", "\u{2212}£24.99"),
            (123_456_789, "USD", "$1,234,567.89"),
            (i64::MIN, "GBP", "\u{2212}£92,233,720,368,547,758.08"),
            (2800, "JPY", "¥2,800"),
            (10_000, "SEK", "100.00 SEK"),
            (100, "<b>", "1.00 b"),
            (100, "", "1.00 "),
        ] {
            assert_eq!(currencies.price(minor_units, currency).to_string(), shown);
        }
        assert_eq!(currencies.price(u64::MAX, "JPY").to_string(), "¥9,223,372,036,854,775,807");
    }

    #[test]
    fn what_costs_nothing_is_free() {
        let currencies = Currencies::of(&Shop::open());
        for (minor_units, shown) in [(0, "Free"), (1, "£0.01"), (350, "£3.50")] {
            assert_eq!(Charge(currencies.price(minor_units, "GBP")).to_string(), shown);
        }
    }

    #[test]
    fn counts_have_thousands_separators() {
        for (number, shown) in [(0, "0"), (9, "9"), (10, "10"), (999, "999"), (1000, "1,000"), (1_002_003, "1,002,003")]
        {
            assert_eq!(Count(number).to_string(), shown);
        }
        for (count, shown) in [(1, "1"), (999, "999"), (1000, "1,000+")] {
            assert_eq!(Total { count, most: 1000 }.to_string(), shown);
        }
    }
}
