//! The customer's address and password, and deleting the account.

use super::field::{AddressInput, Alarm, Field, FormPage, Problems, unavailable};
use super::problem::RETRY_SECONDS;
use super::sign::wait;
use super::{Problem, Shell, signed_in};
use crate::draft::Draft;
use crate::form::Form;
use crate::reference::Countries;
use crate::reply::Reply;
use crate::seams::{Seams, accounts};
use crate::visit::Visit;

const ADDRESS: &str = "/account/address";
const PASSWORD: &str = "/account/password";
const DELETE: &str = "/account/delete";

/// `/account/address`
pub fn address(visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let account = signed_in(visit, ADDRESS, seams)?.account;
    let draft = visit.draft(ADDRESS);
    let typed = match (&draft, account.address) {
        (Some(draft), _) => AddressInput::of(draft.form()),
        (None, Some(address)) => address.into(),
        (None, None) => AddressInput { name: account.name, ..AddressInput::default() },
    };
    let (problems, alarm) = drafted(draft.as_ref());
    Ok(address_page(&typed, &problems, alarm, 200, visit, seams))
}

/// The form of `/account/address`
pub fn change_address(form: &Form<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let Some(token) = visit.session else { return Err(Problem::sign_in(ADDRESS)) };
    let typed = AddressInput::of(form);
    match seams.change_address(token, &typed.clone().into()) {
        Ok(_) => Ok(Reply::see_other("/account?note=address")),
        Err(error) => {
            let (problems, alarm, status) = explained(error, "name", ADDRESS, seams)?;
            Ok(address_page(&typed, &problems, alarm, status, visit, seams))
        }
    }
}

/// `/account/password`
pub fn password(visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    signed_in(visit, PASSWORD, seams)?;
    let (problems, alarm) = drafted(visit.draft(PASSWORD).as_ref());
    Ok(password_page(&problems, alarm, 200, visit, seams))
}

/// The form of `/account/password`
pub fn change_password(form: &Form<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let Some(token) = visit.session else { return Err(Problem::sign_in(PASSWORD)) };
    let (old, new) = (form.raw("old"), form.raw("new"));
    let mut problems = Problems::default();
    if old.is_empty() {
        problems.add("old", "Type the password that you have now.");
    }
    if new.is_empty() {
        problems.add("new", "Choose a new password.");
    }
    if !problems.is_empty() {
        return Ok(password_page(&problems, None, 422, visit, seams));
    }
    match seams.change_password(token, old, new) {
        Ok(()) => Ok(Reply::see_other("/account?note=password")),
        Err(error) => {
            let (problems, alarm, status) = explained(error, "old", PASSWORD, seams)?;
            Ok(password_page(&problems, alarm, status, visit, seams))
        }
    }
}

/// `/account/delete`
pub fn delete(visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    signed_in(visit, DELETE, seams)?;
    let (problems, alarm) = drafted(visit.draft(DELETE).as_ref());
    Ok(delete_page(&problems, alarm, 200, visit, seams))
}

/// The form of `/account/delete`
pub fn delete_account(form: &Form<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let Some(token) = visit.session else { return Err(Problem::sign_in(DELETE)) };
    let password = form.raw("password");
    if password.is_empty() {
        let problems = Problems::one("password", "Type your password, so that only you can do this.");
        return Ok(delete_page(&problems, None, 422, visit, seams));
    }
    match seams.delete_account(token, password) {
        // The page that follows makes the browser forget the session: a second click of the button may still come.
        Ok(()) => Ok(Reply::see_other("/sign-in?note=deleted")),
        Err(error) => {
            let (problems, alarm, status) = explained(error, "password", DELETE, seams)?;
            Ok(delete_page(&problems, alarm, status, visit, seams))
        }
    }
}

/// What was wrong with the form that this page shows again.
fn drafted(draft: Option<&Draft<'_>>) -> (Problems, Option<Alarm>) {
    (Problems::drafted(draft), Alarm::drafted(draft))
}

/// What the form says after an error of `customer`. A wrong password is a problem of the field named by `password`.
fn explained(
    error: accounts::Error,
    password: &str,
    next: &str,
    seams: &impl Seams,
) -> Result<(Problems, Option<Alarm>, u16), Problem> {
    let nothing = Problems::default;
    Ok(match error {
        accounts::Error::Fields(problems) => (problems.into(), None, 422),
        accounts::Error::WrongPassword => (Problems::one(password, "This is not your password."), None, 422),
        accounts::Error::Wait(seconds) => (nothing(), Some(wait(seconds)), 429),
        accounts::Error::SignedOut => return Err(Problem::session_over(next)),
        accounts::Error::Unavailable(_) => (nothing(), Some(unavailable("Your account")), 503),
        error @ accounts::Error::Invalid(_) => {
            seams.warn(&format!("accounts refused a change: {error}"));
            (nothing(), Some(Alarm::new("That could not be done", "Please check what you typed, and try again.")), 422)
        }
    })
}

fn address_page(
    typed: &AddressInput,
    problems: &Problems,
    alarm: Option<Alarm>,
    status: u16,
    visit: &Visit<'_>,
    seams: &impl Seams,
) -> Reply {
    let countries = Countries::of(seams);
    let fields = typed.fields(&countries, problems);
    let page = FormPage { title: "Your address", action: ADDRESS, button: "Keep this address", ..blank(visit, seams) };
    shown(page, fields, problems, alarm, status)
}

fn password_page(
    problems: &Problems,
    alarm: Option<Alarm>,
    status: u16,
    visit: &Visit<'_>,
    seams: &impl Seams,
) -> Reply {
    let hint = "At least 10 characters.";
    let fields = vec![
        secret("old", "Password now", "current-password", problems),
        Field { hint, ..secret("new", "New password", "new-password", problems) },
    ];
    let page = FormPage {
        title: "Your password",
        lead: "Changing it signs out all other devices.",
        action: PASSWORD,
        button: "Change the password",
        ..blank(visit, seams)
    };
    shown(page, fields, problems, alarm, status)
}

fn delete_page(problems: &Problems, alarm: Option<Alarm>, status: u16, visit: &Visit<'_>, seams: &impl Seams) -> Reply {
    let fields = vec![secret("password", "Your password", "current-password", problems)];
    let page = FormPage {
        title: "Delete your account",
        lead: "Your name, e-mail address, addresses and password are erased, and you are signed out everywhere. What \
               you bought stays in our books as bought by a former customer, as the law requires; orders on their \
               way still arrive. This cannot be undone.",
        action: DELETE,
        button: "Delete my account for good",
        grave: true,
        ..blank(visit, seams)
    };
    shown(page, fields, problems, alarm, status)
}

fn secret<'a>(
    name: &'static str,
    label: &'static str,
    autocomplete: &'static str,
    problems: &'a Problems,
) -> Field<'a> {
    Field { name, label, kind: "password", autocomplete, problem: problems.of(name), ..Field::default() }
}

/// The common part of these forms.
fn blank<'a>(visit: &Visit<'_>, seams: &impl Seams) -> FormPage<'a> {
    FormPage {
        shell: Shell::of(visit),
        title: "",
        lead: "",
        alarm: None,
        note: None,
        action: "",
        token: visit.form_token(seams),
        next: "",
        fields: Vec::new(),
        button: "",
        grave: false,
        other: Some(("/account".into(), "Back to your account")),
    }
}

fn shown<'a>(
    page: FormPage<'a>,
    fields: Vec<Field<'a>>,
    problems: &Problems,
    alarm: Option<Alarm>,
    status: u16,
) -> Reply {
    let alarm = alarm.or_else(|| (!problems.is_empty()).then(|| problems.alarm(&fields)));
    let mut reply = FormPage { alarm, fields, ..page }.reply(problems, status);
    if status == 503 {
        reply.headers.push(("retry-after", RETRY_SECONDS.into()));
    }
    reply
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests;
