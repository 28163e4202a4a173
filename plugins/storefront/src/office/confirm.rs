//! The password, once more: before money is given back or a price changes, unless it was typed a short while ago.
//!
//! The page repeats the form that was sent, so that nothing has to be typed again but the password. `customer` says
//! what a short while is, and counts wrong passwords.

use askama::Template;

use crate::assets;
use crate::form::Form;
use crate::pages::sign::minutes;
use crate::pages::{Problem, Service};
use crate::reply::Reply;
use crate::seams::{Seams, accounts};

use super::desk::{Desk, Section, Shell};
use super::reply;

/// The field of the password. No form of the office has another field of this name.
const PASSWORD: &str = "confirm-password";

#[derive(Template)]
#[template(path = "office/confirm.html")]
struct ConfirmPage<'a> {
    shell: Shell<'a>,
    /// What the form was sent to.
    action: String,
    /// The fields of the form.
    fields: Vec<(&'a str, &'a str)>,
    password: &'static str,
    problem: Option<String>,
}

/// Whether the form that is sent to this path below `/office` gives money away or changes a price.
pub fn is_needed(segments: &[&str]) -> bool {
    matches!(segments, ["orders", _, "refund" | "receive"] | ["records", _, "price"])
}

/// The page that asks for the password; none when the operator has proved it, now or a short while ago.
pub fn ask<S: Seams>(desk: &Desk<'_, S>, path: &str, form: &Form<'_>) -> Result<Option<Reply>, Problem> {
    let typed = form.raw(PASSWORD);
    let proved = match typed {
        "" => desk.seams().is_proved(desk.session()),
        typed => desk.seams().prove(desk.session(), typed).map(|()| true),
    };
    let (problem, status, retry_after) = match proved {
        Ok(true) => return Ok(None),
        Ok(false) => (None, 403, None),
        Err(accounts::Error::WrongPassword) => (Some("That is not your password.".to_owned()), 403, None),
        Err(accounts::Error::Wait(seconds)) => {
            let problem = format!("Too many attempts. The next one is looked at in {}.", minutes(seconds));
            (Some(problem), 429, Some(seconds))
        }
        Err(accounts::Error::Unavailable(_)) => return Err(Problem::Unavailable(Service::Accounts)),
        Err(_) => return Err(Problem::session_over("/office")),
    };
    let of_the_form = |(name, _): &(&str, &str)| ![PASSWORD, crate::csrf::FIELD].contains(name);
    let page = ConfirmPage {
        shell: desk.shell(Section::Overview, None),
        action: format!("/office{path}"),
        fields: form.each("").filter(of_the_form).collect(),
        password: PASSWORD,
        problem,
    };
    let mut reply = reply(&page, status);
    reply.headers.extend(retry_after.map(|seconds: u32| ("retry-after", seconds.to_string())));
    Ok(Some(reply))
}
