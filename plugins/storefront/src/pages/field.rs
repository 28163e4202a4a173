//! Fields of forms, what is wrong with them, and the page of a plain form.
//!
//! After a mistake the visitor is led to the form again (`draft`), with the typed values, a summary that links to each
//! field, and a sentence beside the field. Secrets (passwords, a card's number and code) are never shown again.

use askama::Template;

use super::{Shell, render};
use crate::assets;
use crate::csrf;
use crate::draft::Draft;
use crate::href;
use crate::reference::Countries;
use crate::reply::{CachePolicy, Reply};
use crate::seams::{accounts, ordering, payments};

/// One field of a form, with its label.
#[derive(Debug, Default)]
pub struct Field<'a> {
    pub name: &'static str,
    pub label: &'static str,
    /// The `type` of the input.
    pub kind: &'static str,
    pub autocomplete: &'static str,
    /// The typed value; empty for secrets.
    pub value: &'a str,
    /// Maximum of characters; 0 for none.
    pub most: u32,
    pub optional: bool,
    pub hint: &'static str,
    /// The CSS class of its width.
    pub class: &'static str,
    /// Phones show a keyboard of digits.
    pub digits: bool,
    /// The options, as value and text. Without options the value is typed.
    pub options: Vec<(&'a str, &'a str)>,
    pub problem: Option<&'a str>,
}

impl<'a> Field<'a> {
    /// A line of text, with its problem.
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

/// Fields and what is wrong with each, in the order of the checks.
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

    /// Each field and its problem.
    pub fn each(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(field, problem)| (field.as_str(), problem.as_str()))
    }

    pub fn extend(&mut self, others: Problems) {
        self.0.extend(others.0);
    }

    /// Those in a draft.
    pub fn drafted(draft: Option<&Draft<'_>>) -> Problems {
        let each = draft.into_iter().flat_map(Draft::problems);
        each.map(|(field, problem)| (field.into(), problem.into())).collect()
    }

    pub fn of(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == field).map(|(_, problem)| problem.as_str())
    }

    /// Checks a required text of at most `most` characters.
    pub fn check(&mut self, field: &str, value: &str, most: usize, missing: &str) {
        if value.is_empty() {
            self.add(field, missing);
        } else if value.chars().nth(most).is_some() {
            self.add(field, &format!("This may have {most} characters at most."));
        }
    }

    /// The summary above the form. Each problem links to its field, if the form has it.
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

impl FromIterator<(String, String)> for Problems {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(problems: I) -> Self {
        Problems(problems.into_iter().collect())
    }
}

impl From<Vec<payments::FieldProblem>> for Problems {
    fn from(problems: Vec<payments::FieldProblem>) -> Self {
        problems.into_iter().map(|one| (one.field, one.problem)).collect()
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

/// The error message at the top of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alarm {
    pub title: String,
    pub text: String,
    /// Links and texts; an item without a link is only text.
    pub items: Vec<(Option<String>, String)>,
}

impl Alarm {
    pub fn new(title: impl Into<String>, text: impl Into<String>) -> Alarm {
        Alarm { title: title.into(), text: text.into(), items: Vec::new() }
    }

    /// The message in a draft.
    pub fn drafted(draft: Option<&Draft<'_>>) -> Option<Alarm> {
        let (title, text) = draft?.message()?;
        Some(Alarm::new(title, text))
    }

    pub fn with(mut self, href: &str, text: impl Into<String>) -> Alarm {
        self.items.push((Some(href.into()), text.into()));
        self
    }
}

/// The message while a context that the form needs is away.
pub fn unavailable(what: &str) -> Alarm {
    Alarm::new(
        "That could not be done just now",
        format!("{what} cannot be reached. Nothing was changed; please try again in a few seconds."),
    )
}

/// A delivery address, as typed. Whether it is good, `customer` says (`Seams::check_address`).
#[derive(Debug, Default, Clone)]
pub struct AddressInput {
    pub name: String,
    pub street: String,
    pub extra: String,
    pub city: String,
    pub postcode: String,
    pub country: String,
}

impl AddressInput {
    pub fn of(form: &crate::form::Form<'_>) -> AddressInput {
        AddressInput {
            name: form.line("name"),
            street: form.line("street"),
            extra: form.line("extra"),
            city: form.line("city"),
            postcode: form.line("postcode"),
            country: form.line("country"),
        }
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

impl From<accounts::Address> for AddressInput {
    fn from(from: accounts::Address) -> Self {
        let accounts::Address { name, street, extra, city, postcode, country } = from;
        AddressInput { name, street, extra, city, postcode, country }
    }
}

impl From<AddressInput> for accounts::Address {
    fn from(from: AddressInput) -> Self {
        let AddressInput { name, street, extra, city, postcode, country } = from;
        accounts::Address { name, street, extra, city, postcode, country }
    }
}

impl From<AddressInput> for ordering::Address {
    fn from(from: AddressInput) -> Self {
        let AddressInput { name, street, extra, city, postcode, country } = from;
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
    /// The page after the form; empty if it is always the same.
    pub next: &'a str,
    pub fields: Vec<Field<'a>>,
    pub button: &'static str,
    /// The form's effect cannot be undone.
    pub grave: bool,
    /// A link below the form: address and text.
    pub other: Option<(String, &'static str)>,
}

impl FormPage<'_> {
    /// The page with this status. Another one than 200 means that the form could not be done.
    pub fn reply(&self, problems: &Problems, status: u16) -> Reply {
        let reply = Reply::html(CachePolicy::NoStore, render(self, 6 * 1024)).with_status(status);
        if status == 200 { reply } else { reply.again(self.draft(problems)) }
    }

    /// What was typed, but for passwords, and what is wrong with it.
    fn draft(&self, problems: &Problems) -> Draft<'static> {
        let draft = Draft::of(&href::with_next(self.action, self.next));
        let open = self.fields.iter().filter(|field| field.kind != "password");
        let draft = open.fold(draft, |draft, field| draft.with(field.name, field.value));
        let draft = problems.each().fold(draft, |draft, (field, problem)| draft.with_problem(field, problem));
        match &self.alarm {
            Some(alarm) if problems.is_empty() => draft.with_message(&alarm.title, &alarm.text),
            _ => draft,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_links_to_its_field_if_the_form_has_it() {
        let mut problems = Problems::default();
        problems.check("city", "", 100, "Tell us the town or city.");
        problems.check("name", &"x".repeat(101), 100, "");
        problems.check("street", &"\u{e9}".repeat(100), 100, "");
        problems.add("elsewhere", "Something else.");
        let typed = AddressInput::default();
        let countries = Countries::default();
        let none = Problems::default();
        let alarm = problems.alarm(&typed.fields(&countries, &none));
        let anchors: Vec<Option<&str>> = alarm.items.iter().map(|(anchor, _)| anchor.as_deref()).collect();
        assert_eq!(anchors, [Some("#city"), Some("#name"), None]);
        assert_eq!(problems.of("city"), Some("Tell us the town or city."));
        assert_eq!(problems.of("street"), None);
    }
}
