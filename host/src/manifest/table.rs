//! Reading a TOML table key by key. Every getter reports a wrong value; `finish` reports the keys that no getter has
//! read.
//!
//! The known keys are those that getters have read, so the hint for an unknown key is always up to date.

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;

use seam_runtime::did_you_mean::nearest;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Place, Problem};

/// The text of a TOML file and the problems found in it so far.
pub struct Document<'t> {
    text: &'t str,
    problems: RefCell<Vec<Problem>>,
    /// Lines with a syntax error. Other problems there are its consequences and are not reported.
    unreadable: RefCell<Vec<usize>>,
}

impl<'t> Document<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { text, problems: RefCell::default(), unreadable: RefCell::default() }
    }

    /// Parses the whole text. Reports all syntax errors and returns what could be read in spite of them.
    pub fn parse(&self) -> Spanned<DeTable<'t>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            let place = error.span().map_or_else(Place::default, |span| self.place(&span));
            let remedy = if error.message().contains("duplicate key") {
                "each key and each table may appear once; merge the two"
            } else {
                "see https://toml.io for the syntax"
            };
            self.report(place, error.message().replace('\n', ", "), remedy);
        }
        let lines = self.problems.borrow().iter().map(|p| p.place.line).collect();
        self.unreadable.replace(lines);
        table
    }

    pub fn place(&self, span: &Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Place {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).map_or(0, |line| line.chars().count()) + 1,
        }
    }

    pub fn report(&self, place: Place, message: impl Into<String>, remedy: impl Into<String>) {
        if !self.unreadable.borrow().contains(&place.line) {
            self.problems.borrow_mut().push(Problem::new(place, message, remedy));
        }
    }

    pub fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    pub value: T,
    pub place: Place,
}

/// A TOML table and the keys that have been read from it.
pub struct Table<'d, 't> {
    pub document: &'d Document<'t>,
    /// Dotted, as in `context.catalog.limits`; empty for the root.
    name: String,
    pub place: Place,
    entries: &'d DeTable<'t>,
    known: RefCell<Vec<&'static str>>,
}

impl<'d, 't> Table<'d, 't> {
    pub fn root(document: &'d Document<'t>, entries: &'d Spanned<DeTable<'t>>) -> Self {
        let place = Place { line: 1, column: 1 };
        Self { document, name: String::new(), place, entries: entries.get_ref(), known: RefCell::default() }
    }

    fn raw(&self, key: &'static str) -> Option<&'d Spanned<DeValue<'t>>> {
        self.known.borrow_mut().push(key);
        self.entries.get(key)
    }

    /// The place of `key`, or of the table if it has no such key.
    pub fn place_of(&self, key: &str) -> Place {
        self.entries.get_key_value(key).map_or(self.place, |(key, _)| self.document.place(&key.span()))
    }

    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// The table's name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of `key` in messages.
    pub fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    fn wrong_type(&self, key: &str, value: &Spanned<DeValue<'_>>, expected: &str, example: &str) {
        let place = self.document.place(&value.span());
        let found = named(value.get_ref());
        let message = format!("`{}` is {found}, expected {expected}", self.path(key));
        self.document.report(place, message, format!("write `{key} = {example}`"));
    }

    /// A string that is not empty.
    pub fn string(&self, key: &'static str, example: &str) -> Option<At<String>> {
        let value = self.raw(key)?;
        let place = self.document.place(&value.span());
        match value.get_ref() {
            DeValue::String(text) if text.is_empty() => {
                let message = format!("`{}` is empty", self.path(key));
                self.document.report(place, message, format!("write `{key} = \"{example}\"`, or leave it out"));
                None
            }
            DeValue::String(text) => Some(At { value: text.to_string(), place }),
            _ => {
                self.wrong_type(key, value, "a string", &format!("\"{example}\""));
                None
            }
        }
    }

    /// A whole number within `range`; `default` when it is missing or wrong.
    pub fn integer(&self, key: &'static str, range: RangeInclusive<u64>, default: u64) -> u64 {
        let Some(value) = self.raw(key) else { return default };
        let DeValue::Integer(number) = value.get_ref() else {
            self.wrong_type(key, value, "a whole number", &default.to_string());
            return default;
        };
        let parsed = i128::from_str_radix(number.as_str(), number.radix()).ok();
        match parsed.and_then(|n| u64::try_from(n).ok()).filter(|n| range.contains(n)) {
            Some(number) => number,
            None => {
                let message = format!("`{}` is {number}, which is out of range", self.path(key));
                let remedy = format!("give it a value from {} to {}", range.start(), range.end());
                self.document.report(self.document.place(&value.span()), message, remedy);
                default
            }
        }
    }

    pub fn boolean(&self, key: &'static str, default: bool) -> bool {
        match self.raw(key) {
            None => default,
            Some(value) => match value.get_ref() {
                DeValue::Boolean(value) => *value,
                _ => {
                    self.wrong_type(key, value, "true or false", &default.to_string());
                    default
                }
            },
        }
    }

    /// `true` or `false`; `"if-possible"`, from when not every host could, is `true`.
    pub fn encrypted(&self, key: &'static str) -> bool {
        match self.entries.get(key).map(Spanned::get_ref) {
            Some(DeValue::String(_)) => self.choice(key, &[("if-possible", true)], true),
            _ => self.boolean(key, false),
        }
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)], default: T) -> T {
        let first = choices.first().map_or("", |(word, _)| word);
        let Some(word) = self.string(key, first) else { return default };
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == word.value) {
            return *choice;
        }
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
        let message = format!("`{}` cannot be `{}`", self.path(key), word.value);
        self.document.report(word.place, message, format!("choose {}", names.join(" or ")));
        default
    }

    /// Any value, unchecked, and its place.
    pub fn value(&self, key: &'static str) -> Option<(&'d DeValue<'t>, Place)> {
        self.raw(key).map(|value| (value.get_ref(), self.document.place(&value.span())))
    }

    /// All keys, in the order of the file.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.entries.keys().collect();
        names.sort_by_key(|name| name.span().start);
        names.into_iter().map(|name| name.get_ref().to_string()).collect()
    }

    /// A list of strings, or a single string; empty when the key is missing.
    pub fn strings(&self, key: &'static str, example: &str) -> Vec<At<String>> {
        self.known.borrow_mut().push(key);
        self.strings_of(key, example)
    }

    /// As `strings`, for a key that is not fixed in the code.
    pub fn strings_of(&self, key: &str, example: &str) -> Vec<At<String>> {
        let Some(value) = self.entries.get(key) else { return Vec::new() };
        let one = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
            DeValue::String(text) if !text.is_empty() => {
                Some(At { value: text.to_string(), place: self.document.place(&value.span()) })
            }
            _ => {
                self.wrong_type(key, value, "strings that are not empty", &format!("[\"{example}\"]"));
                None
            }
        };
        match value.get_ref() {
            DeValue::Array(items) => items.iter().filter_map(one).collect(),
            DeValue::String(_) => one(value).into_iter().collect(),
            _ => {
                self.wrong_type(key, value, "a list of strings", &format!("[\"{example}\"]"));
                Vec::new()
            }
        }
    }

    /// A path, relative to the manifest's folder.
    pub fn file(&self, key: &'static str, example: &str) -> Option<At<PathBuf>> {
        self.string(key, example).map(|text| At { value: PathBuf::from(text.value), place: text.place })
    }

    fn sub(&self, name: String, place: Place, entries: &'d DeTable<'t>) -> Table<'d, 't> {
        Table { document: self.document, name, place, entries, known: RefCell::default() }
    }

    pub fn table(&self, key: &'static str) -> Option<Table<'d, 't>> {
        let value = self.raw(key)?;
        match value.get_ref() {
            DeValue::Table(entries) => Some(self.sub(self.path(key), self.place_of(key), entries)),
            _ => {
                self.wrong_type(key, value, "a table", "{ .. }");
                None
            }
        }
    }

    /// A table, `true` or `false`. `Some(None)` is `true`.
    pub fn switch_or_table(&self, key: &'static str) -> Option<Option<Table<'d, 't>>> {
        match self.entries.get(key).map(Spanned::get_ref) {
            Some(DeValue::Boolean(_)) => self.boolean(key, false).then_some(None),
            _ => self.table(key).map(Some),
        }
    }

    /// `[key.NAME]` tables in the order of the file.
    pub fn named_tables(&self, key: &'static str) -> Vec<(At<String>, Table<'d, 't>)> {
        let Some(parent) = self.table(key) else { return Vec::new() };
        let path = self.path(key);
        let mut entries: Vec<_> = parent.entries.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        let table = |(name, value): (&'d Spanned<_>, &'d Spanned<DeValue<'t>>)| {
            let place = self.document.place(&name.span());
            let name: &std::borrow::Cow<'t, str> = name.get_ref();
            match value.get_ref() {
                DeValue::Table(entries) => {
                    let at = At { value: name.to_string(), place };
                    Some((at, self.sub(format!("{path}.{name}"), place, entries)))
                }
                other => {
                    let message = format!("`{path}.{name}` is {}, expected a table", named(other));
                    self.document.report(place, message, format!("write `[{path}.NAME]` and its keys below"));
                    None
                }
            }
        };
        entries.into_iter().filter_map(table).collect()
    }

    /// `[[key]]` tables.
    pub fn tables(&self, key: &'static str) -> Vec<Table<'d, 't>> {
        let Some(value) = self.raw(key) else { return Vec::new() };
        let place = |value: &Spanned<DeValue<'_>>| self.document.place(&value.span());
        let items = match value.get_ref() {
            DeValue::Array(items) => items.iter().collect::<Vec<_>>(),
            _ => vec![],
        };
        let tables: Vec<_> = items
            .iter()
            .filter_map(|item| match item.get_ref() {
                DeValue::Table(entries) => Some(self.sub(key.to_owned(), place(item), entries)),
                _ => None,
            })
            .collect();
        if tables.len() != items.len() || !matches!(value.get_ref(), DeValue::Array(_)) {
            let message = format!("`{key}` is not a list of tables");
            self.document.report(place(value), message, format!("write `[[{key}]]` with two brackets"));
        }
        tables
    }

    /// All keys, each with a string, a number or a boolean, as text.
    pub fn texts(&self) -> Vec<(String, String)> {
        let mut texts = Vec::new();
        for (key, value) in self.entries {
            let text = match value.get_ref() {
                DeValue::String(text) => text.to_string(),
                DeValue::Integer(number) => number.to_string(),
                DeValue::Float(number) => number.to_string(),
                DeValue::Boolean(value) => value.to_string(),
                other => {
                    let message = format!("`{}` is {}, expected a string", self.path(key.get_ref()), named(other));
                    let remedy = "configuration values are strings; put the list or table into one as JSON";
                    self.document.report(self.document.place(&value.span()), message, remedy);
                    continue;
                }
            };
            texts.push((key.get_ref().to_string(), text));
        }
        texts
    }

    /// All keys, each with a string that is not empty, in the order of the file.
    pub fn all_strings(&self, example: &str) -> Vec<(String, At<String>)> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        let string = |(name, value): (&Spanned<std::borrow::Cow<'t, str>>, &Spanned<DeValue<'t>>)| match value.get_ref()
        {
            DeValue::String(text) if !text.is_empty() => {
                let place = self.document.place(&value.span());
                Some((name.get_ref().to_string(), At { value: text.to_string(), place }))
            }
            _ => {
                self.wrong_type(name.get_ref(), value, "a string that is not empty", &format!("\"{example}\""));
                None
            }
        };
        entries.into_iter().filter_map(string).collect()
    }

    /// Reports every key that no getter has read.
    pub fn finish(self) {
        let known = self.known.borrow();
        for key in self.entries.keys() {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let place = self.document.place(&key.span());
            let remedy = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known keys: {}", known.join(", ")),
            };
            let within = if self.name.is_empty() { String::new() } else { format!(" in `{}`", self.name) };
            self.document.report(place, format!("unknown key `{name}`{within}"), remedy);
        }
    }
}

fn named(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
