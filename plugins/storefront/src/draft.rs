//! What a form that could not be done leaves for the page that shows it again.
//!
//! Every form is answered with a redirect, also one that could not be done. So neither the back button nor a reload
//! asks whether to send a form again. Between the form and its page lies a draft: a cookie of a few minutes that counts
//! for the visitor whose form it was, and on one page. Invariant: no password, and no card's number or code, is in it.

use crate::csrf;
use crate::form::Form;

/// Bytes of a draft. Browsers keep 4,096 of a cookie, with its name and attributes.
const BYTES_MAX: usize = 3_600;
/// The address of the page that shows it.
const ADDRESS: &str = "draft-for";
/// Before the name of a field, in front of what is wrong with it.
const PROBLEM: &str = "problem-";
/// The message above the form.
const TITLE: &str = "draft-title";
const TEXT: &str = "draft-text";

/// The typed fields, what is wrong with each, and the message above them.
#[derive(Debug, Default)]
pub struct Draft<'a>(Form<'a>);

impl Draft<'static> {
    /// For the page at this address of ours, which may have a query.
    pub fn of(address: &str) -> Self {
        Draft(Form::default()).with(ADDRESS, address)
    }

    /// With a field that was typed, or another value that the page needs. An empty one is left out.
    pub fn with(self, name: &str, value: &str) -> Self {
        if value.is_empty() { self } else { Draft(self.0.with(name.to_owned(), value.to_owned())) }
    }

    /// With what is wrong with a field.
    pub fn with_problem(self, field: &str, problem: &str) -> Self {
        self.with(&format!("{PROBLEM}{field}"), problem)
    }

    /// With the message above the form.
    pub fn with_message(self, title: &str, text: &str) -> Self {
        self.with(TITLE, title).with(TEXT, text)
    }

    /// The value of the cookie, for the holder of this form token; `None` if no cookie can hold it.
    pub fn encode(self, token: &str) -> Option<String> {
        let text = self.with(csrf::FIELD, token).0.encode();
        (text.len() <= BYTES_MAX).then_some(text)
    }
}

impl<'a> Draft<'a> {
    /// From the value of the cookie.
    pub fn read(text: &'a str) -> Option<Draft<'a>> {
        Form::parse(text.as_bytes()).ok().map(Draft)
    }

    /// The page that shows it, with its query.
    pub fn address(&self) -> &str {
        self.0.raw(ADDRESS)
    }

    /// Whether the page at this path shows it.
    pub fn is_for(&self, path: &str) -> bool {
        self.address().split('?').next() == Some(path)
    }

    /// The fields, as the form had them.
    pub fn form(&self) -> &Form<'a> {
        &self.0
    }

    /// What is wrong with a field.
    pub fn problem(&self, field: &str) -> Option<String> {
        Some(self.0.raw(&format!("{PROBLEM}{field}"))).filter(|problem| !problem.is_empty()).map(Into::into)
    }

    /// Each field that something is wrong with, and what.
    pub fn problems(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.each(PROBLEM)
    }

    /// Title and text of the message above the form.
    pub fn message(&self) -> Option<(&str, &str)> {
        let message = (self.0.raw(TITLE), self.0.raw(TEXT));
        (message != ("", "")).then_some(message)
    }
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_read_as_it_was_written() {
        let draft = Draft::of("/sign-in?next=%2Fcheckout").with("name", "Ann & Bea; =").with("extra", "");
        let draft = draft.with_problem("street", "Where, \"please\"?").with_message("No; not so", "Málaga\nis far.");
        let text = draft.encode("token").expect("it is short");
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%&=".contains(&byte);
        assert!(text.bytes().all(plain), "nothing in it ends a cookie: {text}");
        let read = Draft::read(&text).expect("a draft");
        assert!(read.is_for("/sign-in") && !read.is_for("/sign-up") && !read.is_for(""));
        assert_eq!((read.form().raw("name"), read.form().raw(csrf::FIELD)), ("Ann & Bea; =", "token"));
        assert_eq!(read.problems().collect::<Vec<_>>(), [("street", "Where, \"please\"?")]);
        assert_eq!(read.message(), Some(("No; not so", "Málaga\nis far.")));
        assert_eq!((read.problem("street").is_some(), read.problem("name")), (true, None));
        let bare = Draft::of("/sign-in").encode("token").expect("it is short");
        let bare = Draft::read(&bare).expect("a draft");
        assert_eq!((bare.problems().count(), bare.message()), (0, None));
    }

    #[test]
    fn what_no_cookie_holds_is_no_draft() {
        assert_eq!(Draft::of("/x").with("street", &"\u{65e5}".repeat(500)).encode("token"), None);
    }
}
