//! Events that the manifest lets no one deliver any more: `seam check` finds them in the files, and says what to do.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use seam_store::{Config, Database, Event, NewEvent, Source, WaitState, Waiting};
use seam_tests::host::seam;
use seam_tests::news::{self, News};

const NEWS: &str = "seambench:shop/news";

/// Whether `seam check` succeeds, and what it says.
fn check(news: &News) -> Result<(bool, String)> {
    let ended = seam(&news.manifest(), &["check"])?;
    Ok((ended.status.success(), String::from_utf8_lossy(&ended.stderr).into_owned()))
}

/// Changes the manifest for one check.
fn with(news: &News, change: impl FnOnce(String) -> String) -> Result<(bool, String)> {
    let before = std::fs::read_to_string(news.manifest())?;
    std::fs::write(news.manifest(), change(before.clone()))?;
    let said = check(news)?;
    std::fs::write(news.manifest(), before)?;
    Ok(said)
}

/// The file of a context, while no host uses it.
fn open(news: &News, context: &str) -> Result<std::sync::Arc<Database>> {
    Ok(Database::open(Config::plain(news.data().join(format!("stores/{context}.db")), 64))?)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// Sets events of `publisher` aside in the file of `context`, in these states.
fn set_aside(news: &News, context: &str, publisher: &str, states: &[WaitState]) -> Result<()> {
    let file = open(news, context)?;
    let mut tx = file.begin(soon())?;
    let source = Source { publisher: publisher.into(), interface: NEWS.into() };
    for (position, state) in (1..).zip(states) {
        let event = Event {
            position,
            interface: format!("{NEWS}@0.1.0"),
            function: "arrived".into(),
            subject: None,
            time_ms: 1,
            trace: String::new(),
            data: "[]".into(),
        };
        let waiting =
            Waiting { source: source.clone(), event, state: *state, tries: 1, due_ms: 0, reason: "no room".into() };
        tx.set_aside(&waiting)?;
    }
    tx.commit()?;
    file.close().map_err(anyhow::Error::msg)
}

#[test]
fn check_names_events_that_no_subscription_of_the_manifest_takes_and_what_to_do() -> Result<()> {
    let taker = news::component("taker")?;
    let subscribes = format!("subscribes.\"{NEWS}\" = {{}}");
    let second = format!("[context.second]\ncomponent = {taker:?}\nstore = true\n{subscribes}\n");
    let sender = news::component("sender")?;
    // A second publisher: without it, a subscription to what the first one no longer publishes is a problem of its own.
    let other = format!("[context.other]\ncomponent = {sender:?}\nstore = true\npublishes.\"{NEWS}\" = {{}}\n");
    let news = News::new("{}", &format!("{second}{other}"))?;
    drop(news.up()?);
    set_aside(&news, "second", "sender", &[WaitState::Retry, WaitState::Dead, WaitState::Dead])?;
    let (well, said) = check(&news)?;
    ensure!(well, "what the manifest delivers is no problem: {said}");

    let (well, said) = with(&news, |text| text.replace(&second, &second.replace(&format!("{subscribes}\n"), "")))?;
    ensure!(!well && said.matches("error: ").count() == 1, "{said}");
    for words in [
        "error: `second` no longer subscribes to `seambench:shop/news`, and the file of `second` holds 1 event that it \
         has not handled and 2 dead letters of `sender`",
        "hint: put `subscribes.\"seambench:shop/news\"` back into [context.second], start the host, and retry or discard \
         them: `seam events list second`",
    ] {
        ensure!(said.contains(words), "{words}\nin\n{said}");
    }

    let (well, said) = with(&news, |text| text.replace(&second, ""))?;
    ensure!(!well && said.matches("error: ").count() == 1, "{said}");
    let words =
        "`second` is not in the manifest, and its file holds 1 event that it has not handled and 2 dead letters";
    ensure!(said.contains(words) && said.contains("stores/second.db` away"), "{said}");

    // `old` published, `second` has taken a part of it, and then `old` left the manifest.
    let old = open(&news, "old")?;
    for data in ["1", "2", "3"] {
        let event = NewEvent { interface: &format!("{NEWS}@0.1.0"), function: "arrived", data, ..NewEvent::default() };
        old.publish(&event, soon())?;
    }
    let first = old.kept()?.first;
    old.close().map_err(anyhow::Error::msg)?;
    let file = open(&news, "second")?;
    let mut tx = file.begin(soon())?;
    tx.seen(&Source { publisher: "old".into(), interface: NEWS.into() }, first)?;
    tx.commit()?;
    file.close().map_err(anyhow::Error::msg)?;
    let (well, said) = check(&news)?;
    ensure!(!well && said.matches("error: ").count() == 1, "{said}");
    let words = "`old` no longer publishes `seambench:shop/news`, and `second` has not taken 2 events of it";
    ensure!(said.contains(words) && said.contains("[context.old] until `seam events`"), "{said}");
    Ok(())
}
