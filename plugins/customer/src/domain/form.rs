//! What a shopper typed into the forms of an account: trimmed and checked, with a sentence for every wrong field.

use super::{Countries, passwords};
use crate::wit::{Address, Error, FieldProblem};

/// Characters of a name and of each line of an address.
pub const LINE_CHARS_MAX: usize = 100;
const POSTCODE_CHARS_MAX: usize = 16;
const EMAIL_CHARS_MAX: usize = 254;

/// Countries and territories without postcodes, as the Universal Postal Union lists them.
#[rustfmt::skip]
const WITHOUT_POSTCODES: &[&str] = &[
    "AE", "AG", "AO", "AW", "BF", "BI", "BJ", "BO", "BS", "BW", "BZ", "CD", "CF", "CG", "CI", "CK", "CM", "DJ", "DM", "ER", "FJ", "GA",
    "GD", "GH", "GM", "GN", "GQ", "GY", "HK", "KI", "KM", "KN", "KP", "LC", "LY", "ML", "MO", "MR", "MW", "NR", "NU", "QA", "RW", "SB",
    "SC", "SL", "SR", "SS", "ST", "SY", "TD", "TG", "TK", "TL", "TO", "TV", "UG", "VU", "YE", "ZW",
];

/// An e-mail address that passed, as it was typed and as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    pub shown: String,
    pub key: String,
}

/// The form to sign up: the e-mail address, and the name without blanks around it.
pub fn sign_up(email: &str, password: &str, name: &str) -> Result<(Email, String), Error> {
    let mut form = Form::default();
    let email = form.email(email);
    let key = email.as_ref().map_or("", |email| &email.key);
    form.add("password", passwords::problem(password, key));
    let name = form.line("name", name, "Please tell us your name.");
    form.finish(email.map(|email| (email, name)))
}

/// The form to sign in. A password that breaks today's rules may be right: accounts made elsewhere have such passwords.
pub fn sign_in(email: &str, password: &str) -> Result<Email, Error> {
    let mut form = Form::default();
    let email = form.email(email);
    form.add("password", password.is_empty().then(|| "Please enter your password.".into()));
    form.finish(email)
}

/// The form for another password.
pub fn new_password(new: &str, email_key: &str) -> Result<(), Error> {
    let mut form = Form::default();
    form.add("new", passwords::problem(new, email_key));
    form.finish(Some(()))
}

/// An address, without blanks around its lines.
pub fn address(address: &Address, countries: &Countries) -> Result<Address, Error> {
    let mut form = Form::default();
    let country = address.country.trim();
    let checked = Address {
        name: form.line("name", &address.name, "Please tell us who the parcel is for."),
        street: form.line("street", &address.street, "Please enter the street and the number."),
        extra: form.optional_line("extra", &address.extra, LINE_CHARS_MAX),
        city: form.line("city", &address.city, "Please enter the town or city."),
        postcode: form.optional_line("postcode", &address.postcode, POSTCODE_CHARS_MAX),
        country: country.to_string(),
    };
    let known = countries.has(country);
    let needs_postcode = known && !WITHOUT_POSTCODES.contains(&country);
    let missing = needs_postcode && checked.postcode.is_empty();
    form.add("postcode", missing.then(|| "Please enter the postcode.".into()));
    form.add(
        "country",
        match country {
            _ if known => None,
            "" => Some("Please choose a country.".into()),
            _ => Some("We do not ship to this country yet. Please choose one from the list.".into()),
        },
    );
    form.finish(Some(checked))
}

/// A name, as `sign_up` takes it.
pub(super) fn name(text: &str) -> Result<String, Error> {
    let mut form = Form::default();
    let name = form.line("name", text, "Please tell us your name.");
    form.finish(Some(name))
}

pub fn email(text: &str) -> Result<Email, Error> {
    let mut form = Form::default();
    let email = form.email(text);
    form.finish(email)
}

/// Collects the problems, so that a page can show all of them at once.
#[derive(Default)]
struct Form(Vec<FieldProblem>);

impl Form {
    fn add(&mut self, field: &'static str, problem: Option<String>) {
        // Only the first problem of a field is shown.
        if let Some(problem) = problem
            && !self.0.iter().any(|other| other.field == field)
        {
            self.0.push(FieldProblem { field: field.into(), problem });
        }
    }

    /// The value made of the fields, unless one of them is wrong.
    fn finish<T>(self, made: Option<T>) -> Result<T, Error> {
        made.filter(|_| self.0.is_empty()).ok_or(Error::Fields(self.0))
    }

    fn line(&mut self, field: &'static str, text: &str, missing: &str) -> String {
        self.add(field, text.trim().is_empty().then(|| missing.into()));
        self.optional_line(field, text, LINE_CHARS_MAX)
    }

    fn optional_line(&mut self, field: &'static str, text: &str, chars_max: usize) -> String {
        let text = text.trim();
        if text.chars().any(unprintable) {
            self.add(field, Some("Please use one line of plain text.".into()));
        } else if text.chars().count() > chars_max {
            self.add(field, Some(format!("Please use at most {chars_max} characters.")));
        } else {
            return text.to_string();
        }
        String::new()
    }

    fn email(&mut self, text: &str) -> Option<Email> {
        let shown = text.trim();
        let problem = match shown.split_once('@') {
            _ if shown.is_empty() => "Please enter your e-mail address.".into(),
            _ if shown.chars().count() > EMAIL_CHARS_MAX => {
                format!("Please use an e-mail address of at most {EMAIL_CHARS_MAX} characters.")
            }
            _ if shown.chars().any(|c| c.is_whitespace() || unprintable(c) || invisible(c)) => {
                "Please enter the e-mail address without blanks.".into()
            }
            _ if shown.contains(['<', '>', '(', ')', '[', ']', ',', ';', ':', '\\', '"']) => {
                "Please enter the plain e-mail address, like anna@example.org.".into()
            }
            None | Some(("", _)) => "Please enter a whole e-mail address, like anna@example.org.".into(),
            Some((_, domain)) if domain.contains('@') => "An e-mail address has one @ only.".into(),
            Some((_, domain)) if !domain.contains('.') || domain.split('.').any(str::is_empty) => {
                "Please check the part after the @: it should look like example.org.".into()
            }
            Some(_) => return Some(Email { shown: shown.into(), key: shown.to_lowercase() }),
        };
        self.add("email", Some(problem));
        None
    }
}

/// Control characters, line breaks, and those that turn the direction of the text around them.
fn unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Some scripts need these between letters; in an e-mail address they only make two addresses look the same.
fn invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2065}')
}

#[cfg(test)]
mod tests;
