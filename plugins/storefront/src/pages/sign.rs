//! Signing up, in and out.
//!
//! `next` is the page that the visitor wanted; the redirect follows it only if it is an address of ours. A password
//! goes to `customer` and is never shown again. A session's token goes only into the cookie.

use super::field::{Alarm, Field, FormPage, Problems, unavailable};
use super::note::note;
use super::{Problem, Shell};
use crate::form::Form;
use crate::href::{self, is_local};
use crate::params::Params;
use crate::reply::Reply;
use crate::seams::{Seams, accounts};
use crate::visit::Visit;

/// The page after signing in, without `next`.
const HOME: &str = "/account";

/// An account that is younger was made by the form that was just sent.
const NEW_SECONDS: u64 = 60;

/// Which of the two forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    SignIn,
    SignUp,
}

impl Mode {
    fn address(self) -> &'static str {
        match self {
            Mode::SignIn => "/sign-in",
            Mode::SignUp => "/sign-up",
        }
    }
}

/// What the visitor typed.
#[derive(Debug, Default)]
struct Input {
    name: String,
    email: String,
    next: String,
}

/// `/sign-in` and `/sign-up`, with `?next=` and `?note=`
pub fn sign(mode: Mode, params: &Params<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let next = params.next.as_deref().filter(|next| is_local(next)).unwrap_or_default();
    let draft = visit.draft(mode.address());
    let typed = draft.as_ref().map_or_else(Input::default, |draft| typed(draft.form()));
    let typed = Input { next: next.into(), ..typed };
    let (problems, alarm) = (Problems::drafted(draft.as_ref()), Alarm::drafted(draft.as_ref()));
    let mut reply = page(mode, &typed, &problems, alarm, note(params.note.as_deref()), 200, visit, seams);
    // After the account was deleted.
    let over = params.note.as_deref() == Some("deleted")
        && visit.session.is_some_and(|token| matches!(seams.who(token), Ok(None)));
    reply.headers.extend(over.then(|| visit.forget_session()));
    Ok(reply)
}

/// The form of `/sign-in`
pub fn sign_in(form: &Form<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let typed = typed(form);
    let password = form.raw("password");
    let mut problems = Problems::default();
    problems.check("email", &typed.email, 200, "Type the e-mail address of your account.");
    if password.is_empty() {
        problems.add("password", "Type your password.");
    }
    if !problems.is_empty() {
        return Ok(page(Mode::SignIn, &typed, &problems, None, None, 422, visit, seams));
    }
    let result = match visit.browser {
        Some(browser) => seams.sign_in_known(&typed.email, password, &visit.from, browser),
        None => seams.sign_in(&typed.email, password, &visit.from),
    };
    entered(Mode::SignIn, result, &typed, visit, seams)
}

/// The form of `/sign-up`
pub fn sign_up(form: &Form<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let typed = typed(form);
    let password = form.raw("password");
    let mut problems = Problems::default();
    problems.check("name", &typed.name, 100, "Tell us what to call you.");
    problems.check("email", &typed.email, 200, "Type your e-mail address.");
    if password.is_empty() {
        problems.add("password", "Choose a password.");
    }
    if !problems.is_empty() {
        return Ok(page(Mode::SignUp, &typed, &problems, None, None, 422, visit, seams));
    }
    let result = seams.sign_up(&typed.email, password, &typed.name, &visit.from);
    entered(Mode::SignUp, result, &typed, visit, seams)
}

/// The button on the account's page. The browser deletes the cookie even if `customer` is away; the session then
/// expires.
pub fn sign_out(visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    if let Some(token) = visit.session
        && let Err(error) = seams.sign_out(token)
    {
        seams.warn(&format!("a session could not be ended: {error}"));
    }
    let mut reply = Reply::see_other("/sign-in?note=signed-out");
    reply.headers.push(visit.forget_session());
    reply.headers.extend(visit.forget_draft());
    Ok(reply)
}

fn typed(form: &Form<'_>) -> Input {
    let next = form.raw("next");
    Input {
        name: form.line("name"),
        email: form.line("email"),
        next: if is_local(next) { next.into() } else { String::new() },
    }
}

/// Signs the visitor in, or shows the form again with the reason why not.
fn entered(
    mode: Mode,
    result: Result<accounts::Session, accounts::Error>,
    typed: &Input,
    visit: &Visit<'_>,
    seams: &impl Seams,
) -> Result<Reply, Problem> {
    let again = |problems: Problems, alarm: Option<Alarm>, status| {
        Ok(page(mode, typed, &problems, alarm, None, status, visit, seams))
    };
    match result {
        Ok(session) => {
            // Who signs up a second time is signed in.
            let new = mode == Mode::SignUp && session.account.since.saturating_add(NEW_SECONDS) > seams.now();
            let welcome = if new { "/account?note=welcome" } else { HOME };
            let mut reply = Reply::see_other(if typed.next.is_empty() { welcome } else { typed.next.as_str() });
            reply.headers.push(visit.keep_session(&session, seams.now()));
            // Without the key the next sign-in here is one of a stranger, no more.
            match seams.remember_browser(&session.token, visit.browser) {
                Ok(key) => reply.headers.extend(visit.keep_browser(&key)),
                Err(error) => seams.warn(&format!("a browser could not be remembered: {error}")),
            }
            Ok(reply)
        }
        Err(accounts::Error::Fields(problems)) => again(problems.into(), None, 422),
        Err(accounts::Error::WrongPassword) => {
            // Whether the address has an account is between its owner and the shop.
            let alarm = match mode {
                Mode::SignIn => Alarm::new(
                    "That is not right",
                    "There is no account with this e-mail address and this password. Mind capital letters.",
                ),
                Mode::SignUp => Alarm::new(
                    "That did not work",
                    "We could not make an account with this e-mail address and this password, nor sign you in with \
                     them. If you have been here before, use the password that you chose then.",
                ),
            };
            again(Problems::default(), Some(alarm), 422)
        }
        Err(accounts::Error::Wait(seconds)) => {
            let mut reply = again(Problems::default(), Some(wait(seconds)), 429)?;
            reply.headers.push(("retry-after", seconds.to_string()));
            Ok(reply)
        }
        Err(accounts::Error::Unavailable(_)) => again(Problems::default(), Some(unavailable("Our accounts")), 503),
        Err(error @ (accounts::Error::Invalid(_) | accounts::Error::SignedOut)) => {
            seams.warn(&format!("accounts refused a form: {error}"));
            let alarm = Alarm::new("That could not be read", "Please check what you typed, and try again.");
            again(Problems::default(), Some(alarm), 422)
        }
    }
}

/// Too many attempts.
pub fn wait(seconds: u32) -> Alarm {
    let minutes = minutes(seconds);
    Alarm::new(
        "Too many attempts",
        format!("To keep accounts safe, the next one is looked at in {minutes}. This one was not."),
    )
}

/// Seconds as whole minutes, rounded up.
pub fn minutes(seconds: u32) -> String {
    match seconds.div_ceil(60) {
        0 | 1 => "1 minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}

#[expect(clippy::too_many_arguments, reason = "one function makes both forms")]
fn page(
    mode: Mode,
    typed: &Input,
    problems: &Problems,
    alarm: Option<Alarm>,
    note: Option<&'static str>,
    status: u16,
    visit: &Visit<'_>,
    seams: &impl Seams,
) -> Reply {
    let up = mode == Mode::SignUp;
    let field = |name, label, kind, autocomplete, value, most| Field {
        name,
        label,
        kind,
        autocomplete,
        value,
        most,
        problem: problems.of(name),
        ..Field::default()
    };
    let mut fields = Vec::with_capacity(3);
    if up {
        fields.push(field("name", "Your name", "text", "name", typed.name.as_str(), 100));
    }
    fields.push(field("email", "E-mail address", "email", "username", &typed.email, 200));
    let (autocomplete, hint) = if up { ("new-password", "At least 10 characters.") } else { ("current-password", "") };
    fields.push(Field { hint, ..field("password", "Password", "password", autocomplete, "", 0) });

    let alarm = alarm.or_else(|| (!problems.is_empty()).then(|| problems.alarm(&fields)));
    let (title, lead, button, elsewhere, text) = match mode {
        Mode::SignIn => ("Sign in", "", "Sign in", "/sign-up", "Make an account"),
        Mode::SignUp => (
            "Make an account",
            "To send you records we need to know who you are. It takes a minute.",
            "Make the account",
            "/sign-in",
            "I have an account",
        ),
    };
    let page = FormPage {
        shell: Shell::of(visit),
        title,
        lead,
        alarm,
        note,
        action: mode.address(),
        token: visit.form_token(seams),
        next: &typed.next,
        fields,
        button,
        grave: false,
        other: Some((href::with_next(elsewhere, &typed.next), text)),
    };
    let mut reply = page.reply(problems, status);
    if status == 503 {
        reply.headers.push(("retry-after", super::problem::RETRY_SECONDS.into()));
    }
    reply
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests;
