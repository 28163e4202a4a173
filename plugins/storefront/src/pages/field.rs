//! Fields of forms, what is wrong with them, and the page of a plain form.
//!
//! Whoever got something wrong sees the form again with what they typed, a summary that leads to each field, and a sentence beside it.
//! Secrets (passwords, a card's number and code) are never shown again.

use askama::Template;

use super::{Shell, render};
use crate::assets;
use crate::csrf;
use crate::reference::Countries;
use crate::reply::{Freshness, Reply};
use crate::seams::{accounts, ordering};

/// One field with its label, as it stands in a form.
#[derive(Debug, Default)]
pub struct Field<'a> {
    pub name: &'static str,
    pub label: &'static str,
    /// The `type` of the input.
    pub kind: &'static str,
    pub autocomplete: &'static str,
    /// What was typed; empty for secrets.
    pub value: &'a str,
    /// Characters that it takes; 0: not said.
    pub most: u32,
    pub optional: bool,
    pub hint: &'static str,
    /// The CSS class of its width.
    pub class: &'static str,
    /// A keyboard of digits.
    pub digits: bool,
    /// What can be chosen, by value and text; none: it is typed.
    pub options: Vec<(&'a str, &'a str)>,
    pub problem: Option<&'a str>,
}

impl<'a> Field<'a> {
    /// One line that is typed, with what is wrong with it.
    pub fn line(
        name: &'static str,
        label: &'static str,
        autocomplete: &'static str,
        value: &'a str,
        most: u32,
        class: &'static str,
        problems: &'a Problems,
    ) -> Field<'a> {
        let problem = problems.of(name);
        Field { name, label, kind: "text", autocomplete, value, most, class, problem, ..Field::default() }
    }
}

/// What is wrong with which field, in the order of finding.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<(String, String)>);

impl Problems {
    pub fn add(&mut self, field: &str, problem: &str) {
        self.0.push((field.into(), problem.into()));
    }

    pub fn one(field: &str, problem: &str) -> Problems {
        Problems(vec![(field.into(), problem.into())])
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn of(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == field).map(|(_, problem)| problem.as_str())
    }

    /// Text that has to be there and may not be longer than `most` characters.
    pub fn check(&mut self, field: &str, value: &str, most: usize, missing: &str) {
        if value.is_empty() {
            self.add(field, missing);
        } else if value.chars().nth(most).is_some() {
            self.add(field, &format!("This may have {most} characters at most."));
        }
    }

    /// What stands above the form; each problem leads to its field, if the form has it.
    pub fn alarm<'a>(&self, fields: impl IntoIterator<Item = &'a Field<'a>>) -> Alarm {
        let known: Vec<&str> = fields.into_iter().map(|field| field.name).collect();
        let anchor = |field: &str| known.iter().find(|name| **name == field).map(|name| format!("#{name}"));
        Alarm {
            title: "Please check what you typed".into(),
            text: String::new(),
            items: self.0.iter().map(|(field, problem)| (anchor(field), problem.clone())).collect(),
        }
    }
}

impl From<Vec<accounts::FieldProblem>> for Problems {
    fn from(problems: Vec<accounts::FieldProblem>) -> Self {
        Problems(problems.into_iter().map(|one| (one.field, one.problem)).collect())
    }
}

impl From<Vec<ordering::FieldProblem>> for Problems {
    fn from(problems: Vec<ordering::FieldProblem>) -> Self {
        Problems(problems.into_iter().map(|one| (one.field, one.problem)).collect())
    }
}

/// What did not work, above everything else on the page.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Alarm {
    pub title: String,
    pub text: String,
    /// Where it leads, and what is said.
    pub items: Vec<(Option<String>, String)>,
}

impl Alarm {
    pub fn new(title: impl Into<String>, text: impl Into<String>) -> Alarm {
        Alarm { title: title.into(), text: text.into(), items: Vec::new() }
    }

    pub fn with(mut self, href: &str, text: impl Into<String>) -> Alarm {
        self.items.push((Some(href.into()), text.into()));
        self
    }
}

/// A context that the form needs is away.
pub fn away(what: &str) -> Alarm {
    Alarm::new(
        "That could not be done just now",
        format!("{what} cannot be reached. Nothing was changed; please try again in a few seconds."),
    )
}

/// Where a parcel goes, as it is typed.
#[derive(Debug, Default, Clone)]
pub struct Typed {
    pub name: String,
    pub street: String,
    pub extra: String,
    pub city: String,
    pub postcode: String,
    pub country: String,
}

impl Typed {
    pub fn of(form: &crate::form::Form<'_>) -> Typed {
        Typed {
            name: form.line("name"),
            street: form.line("street"),
            extra: form.line("extra"),
            city: form.line("city"),
            postcode: form.line("postcode"),
            country: form.line("country"),
        }
    }

    /// What can be said without asking anybody; whether a postcode or a country is one, others know.
    pub fn check(&self, problems: &mut Problems) {
        problems.check("name", &self.name, 100, "Tell us who the parcel is for.");
        problems.check("street", &self.street, 100, "Tell us the street and the number.");
        if self.extra.chars().nth(100).is_some() {
            problems.add("extra", "This may have 100 characters at most.");
        }
        problems.check("city", &self.city, 100, "Tell us the town or city.");
        if self.postcode.chars().nth(16).is_some() {
            problems.add("postcode", "A postcode has 16 characters at most.");
        }
        problems.check("country", &self.country, 2, "Choose a country.");
    }

    pub fn fields<'a>(&'a self, countries: &'a Countries, problems: &'a Problems) -> Vec<Field<'a>> {
        let field = |name, label, autocomplete, value, most, class| {
            Field::line(name, label, autocomplete, value, most, class, problems)
        };
        let country = field("country", "Country", "country", self.country.as_str(), 2, "half");
        vec![
            field("name", "Name", "name", &self.name, 100, ""),
            field("street", "Street and number", "address-line1", &self.street, 100, ""),
            Field { optional: true, ..field("extra", "Second line", "address-line2", &self.extra, 100, "") },
            field("city", "Town or city", "address-level2", &self.city, 100, "half"),
            Field {
                optional: true,
                hint: "Where there is one",
                ..field("postcode", "Postcode", "postal-code", &self.postcode, 16, "half")
            },
            Field { options: countries.list(), ..country },
        ]
    }
}

impl From<accounts::Address> for Typed {
    fn from(from: accounts::Address) -> Self {
        let accounts::Address { name, street, extra, city, postcode, country } = from;
        Typed { name, street, extra, city, postcode, country }
    }
}

impl From<Typed> for accounts::Address {
    fn from(from: Typed) -> Self {
        let Typed { name, street, extra, city, postcode, country } = from;
        accounts::Address { name, street, extra, city, postcode, country }
    }
}

impl From<Typed> for ordering::Address {
    fn from(from: Typed) -> Self {
        let Typed { name, street, extra, city, postcode, country } = from;
        ordering::Address { name, street, extra, city, postcode, country }
    }
}

/// A page that is one form.
#[derive(Template)]
#[template(path = "form.html")]
pub struct FormPage<'a> {
    pub shell: Shell<'a>,
    pub title: &'static str,
    pub lead: &'static str,
    pub alarm: Option<Alarm>,
    pub note: Option<&'static str>,
    pub action: &'static str,
    pub token: String,
    /// Where it leads afterwards; empty where that is always the same.
    pub next: &'a str,
    pub fields: Vec<Field<'a>>,
    pub button: &'static str,
    /// Pressing the button cannot be undone.
    pub grave: bool,
    /// Another way, below the form: address and text.
    pub other: Option<(String, &'static str)>,
}

impl FormPage<'_> {
    pub fn reply(&self, status: u16) -> Reply {
        Reply::html(Freshness::Never, render(self, 6 * 1024)).with_status(status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_leads_to_its_field_if_the_form_has_it() {
        let mut problems = Problems::default();
        problems.check("city", "", 100, "Tell us the town or city.");
        problems.check("name", &"x".repeat(101), 100, "");
        problems.check("street", &"\u{e9}".repeat(100), 100, "");
        problems.add("elsewhere", "Something else.");
        let typed = Typed::default();
        let countries = Countries::default();
        let none = Problems::default();
        let alarm = problems.alarm(&typed.fields(&countries, &none));
        let anchors: Vec<Option<&str>> = alarm.items.iter().map(|(anchor, _)| anchor.as_deref()).collect();
        assert_eq!(anchors, [Some("#city"), Some("#name"), None]);
        assert_eq!(problems.of("city"), Some("Tell us the town or city."));
        assert_eq!(problems.of("street"), None);
    }

    #[test]
    fn an_address_needs_what_every_parcel_needs() {
        let mut problems = Problems::default();
        Typed::default().check(&mut problems);
        let fields: Vec<&str> = problems.0.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(fields, ["name", "street", "city", "country"], "some countries have no postcodes");
    }
}
