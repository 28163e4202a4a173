//! The password, once more: before money is given back or a price changes, unless it was typed a short while ago.
//!
//! The page repeats the form that was sent, so that nothing has to be typed again but the password. `customer` says
//! what a short while is, and counts wrong passwords. The form waits in a draft until a form of the office is done.

use askama::Template;

use crate::assets;
use crate::command::{Action, Change, Command, command};
use crate::draft::Draft;
use crate::form::Form;
use crate::pages::sign::minutes;
use crate::pages::{Problem, Service};
use crate::reply::Reply;
use crate::seams::{Seams, accounts};

use super::desk::{Desk, Section, Shell};
use super::reply;

/// The field of the password. No form of the office has another field of this name.
const PASSWORD: &str = "confirm-password";
/// The path of the page, below `/office`.
const PATH: &str = "/confirm";
/// In the draft: where the form was sent to, and what stands before the name of each of its fields.
const SENT_TO: &str = "confirm-for";
const SENT: &str = "sent-";

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

/// Whether the form gives money away or changes a price.
pub fn is_needed(command: Command) -> bool {
    matches!(command, Command::ChangeOrder(Action::Refund | Action::Receive) | Command::ChangeRecord(Change::Price))
}

/// `GET /office/confirm`: shows the form that waits for the password.
pub fn page<S: Seams>(desk: &Desk<'_, S>) -> Result<Reply, Problem> {
    let draft = desk.lasting_draft(PATH);
    let sent_to = draft.as_ref().map_or("", |draft| draft.form().raw(SENT_TO));
    match (&draft, command(sent_to)) {
        (Some(draft), Some((command, _))) if is_needed(command) => {
            let fields = draft.form().each(SENT).collect();
            Ok(show(desk, sent_to, fields, draft.problem(PASSWORD), 200))
        }
        _ => Ok(Reply::see_other("/office")),
    }
}

/// The page that asks for the password before the form that was sent to this path; none when the operator has proved
/// it, now or a short while ago.
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
    let fields: Vec<(&str, &str)> = form.each("").filter(of_the_form).collect();
    let draft = Draft::of(&format!("/office{PATH}")).with(SENT_TO, path);
    let draft = fields.iter().fold(draft, |draft, (name, value)| draft.with(&format!("{SENT}{name}"), value));
    let draft = draft.with_problem(PASSWORD, problem.as_deref().unwrap_or_default());
    let mut reply = show(desk, path, fields, problem, status).again(draft);
    reply.headers.extend(retry_after.map(|seconds: u32| ("retry-after", seconds.to_string())));
    Ok(Some(reply))
}

fn show<S: Seams>(
    desk: &Desk<'_, S>,
    sent_to: &str,
    fields: Vec<(&str, &str)>,
    problem: Option<String>,
    status: u16,
) -> Reply {
    let shell = desk.shell(Section::Overview, None);
    reply(&ConfirmPage { shell, action: sent_to.into(), fields, password: PASSWORD, problem }, status)
}
