//! Events between a subscriber of this host and a publisher that lives on another one, as checks.
//!
//! The subscriber's file is seen first, and the publisher's host is asked after that. So the outbox knows whatever the
//! subscriber has taken. What the publisher has forgotten meanwhile is compared with how far the subscriber is then.
//! Not here: what is compared (`seam_store::account_apart`), pairs on one host (`events`). A pair whose subscriber
//! lives elsewhere is for that host.

use std::sync::Arc;
use std::time::Instant;

use seam_runtime::remote::{Outbox, Unread};
use seam_runtime::serve::Registry;
use seam_store::ids::{ContextName, interface_path};
use seam_store::{Bounds, Database, Error as StoreError, EventAside, Published, Source, Terms, account_apart};

use super::events::{accounted, sentence};
use super::report::{Check, CheckKind, Outcome};
use super::subject::Subject;

pub struct ApartPair {
    publisher: ContextName,
    host: String,
    subscriber: ContextName,
    /// A path, without a version.
    pub interface: String,
}

/// Each subscription of `subjects` with each of its publishers on other hosts; all, or those in which a context of
/// `only` takes part.
pub fn pairs(registry: &Registry, subjects: &[Subject], only: &[String]) -> Vec<ApartPair> {
    let generations = registry.all_generations();
    let elsewhere = generations.iter().filter_map(|one| Some((one, one.lives_elsewhere()?)));
    let mut pairs = Vec::new();
    for (generation, host) in elsewhere {
        let settings = &generation.spec().settings;
        for publication in &settings.publishes {
            let interface = interface_path(&publication.interface);
            let takes = |subject: &&Subject| subject.events.subscribes.iter().any(|one| one == interface);
            let names = subjects.iter().filter(takes).filter_map(|subject| ContextName::parse(&subject.context));
            pairs.extend(names.map(|subscriber| ApartPair {
                publisher: settings.name.clone(),
                host: host.to_owned(),
                subscriber,
                interface: interface.to_owned(),
            }));
        }
    }
    let named = |context: &ContextName| only.is_empty() || only.iter().any(|name| name == context.as_str());
    pairs.retain(|pair| named(&pair.publisher) || named(&pair.subscriber));
    pairs
}

impl ApartPair {
    /// The context on another host that is asked.
    pub fn asked(&self) -> &ContextName {
        &self.publisher
    }

    pub fn check(&self, registry: &Registry, subjects: &[Subject], terms: &Terms) -> Check {
        let (publisher, subscriber) = (self.publisher.to_string(), self.subscriber.to_string());
        Check {
            sentence: sentence(&publisher, &subscriber),
            contexts: vec![publisher, subscriber],
            kind: CheckKind::Events,
            name: self.interface.clone(),
            outcome: self.outcome(registry, subjects, terms).unwrap_or_else(|unchecked| unchecked),
        }
    }

    /// # Errors
    /// Why it was not checked.
    fn outcome(&self, registry: &Registry, subjects: &[Subject], terms: &Terms) -> Result<Outcome, Outcome> {
        let subscriber = self.subscriber.as_str();
        let closed = || Outcome::Unchecked {
            why: format!("`{subscriber}` has no open file"),
            remedy: "`seam contexts` shows why".to_owned(),
        };
        let subject = subjects.iter().find(|subject| subject.context == subscriber).ok_or_else(closed)?;
        let inbox = subject.file.as_ref().map_err(|fault| fault.without_file(subscriber))?;
        let generations = registry.all_generations();
        let generation = generations.iter().find(|one| one.context() == &self.subscriber).ok_or_else(closed)?;
        let database = generation.database().cloned().ok_or_else(closed)?;
        let outbox = registry.outbox_elsewhere(&self.subscriber, &self.publisher, &self.interface);
        let outbox = outbox.ok_or_else(|| self.unread("this process has no connections to other hosts"))?;
        let source = Source { publisher: self.publisher.to_string(), interface: self.interface.clone() };
        let mut asked = AskedOutbox { outbox, database, source: source.clone(), deadline: terms.deadline };
        let compared = account_apart(&mut asked, inbox, &source, terms);
        compared.map(|found| accounted(found, subscriber)).map_err(|error| match error {
            Unasked::Sqlite(error) => self.unread(&error.to_string()),
            Unasked::Unread(Unread::Store(error)) | Unasked::Store(error) => Outcome::unchecked(&error),
            Unasked::Unread(Unread::Elsewhere(failure)) => self.unread(&failure.to_string()),
        })
    }

    fn unread(&self, why: &str) -> Outcome {
        let Self { publisher, host, .. } = self;
        Outcome::Unchecked {
            why: format!("host `{host}` does not say what `{publisher}` has published: {why}"),
            remedy: format!("see that host `{host}` runs, and what its log and this one say of `{publisher}`"),
        }
    }
}

/// The outbox of a publisher on another host, and how far the subscriber is by now.
struct AskedOutbox {
    outbox: Arc<dyn Outbox>,
    database: Arc<Database>,
    source: Source,
    deadline: Instant,
}

#[derive(Debug, thiserror::Error)]
enum Unasked {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Unread(#[from] Unread),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AskedOutbox {
    fn in_time(&self) -> Result<(), Unasked> {
        match Instant::now() < self.deadline {
            true => Ok(()),
            false => Err(StoreError::Interrupted("the time did not suffice".to_owned()).into()),
        }
    }
}

impl Published for AskedOutbox {
    type Error = Unasked;

    fn bounds(&mut self, taken: u64) -> Result<Bounds, Unasked> {
        self.in_time()?;
        Ok(self.outbox.bounds(&self.source.interface, taken)?)
    }

    fn has_same(&mut self, event: &EventAside) -> Result<Option<bool>, Unasked> {
        self.in_time()?;
        if let Some(found) = self.outbox.published_at(&self.source.interface, event.position)? {
            let EventAside { interface, function, subject, data, .. } = event;
            let said = (&found.interface, &found.function, &found.subject, &found.data);
            return Ok(Some(said == (interface, function, subject, data)));
        }
        // The publisher may have forgotten it since.
        let forgotten = self.bounds(event.position)?.forgotten;
        Ok((event.position <= forgotten).then_some(true))
    }

    fn taken_since(&mut self, then: u64) -> Result<u64, Unasked> {
        Ok(self.database.seen(&self.source)?.unwrap_or(then).max(then))
    }
}
