//! The host's own check between a publisher and a subscriber: every event is accounted for.
//!
//! Not here: how two files are compared (`seam_store::account`).

use seam_store::{Account, Source, Terms, account};

use super::report::{Check, CheckKind, Outcome};
use super::subject::Subject;

/// A subscriber and a publisher, by their numbers among the subjects, with the path of the interface.
pub(super) struct Pair<'s> {
    pub publisher: &'s Subject,
    pub subscriber: &'s Subject,
    pub interface: &'s str,
}

/// Each subscription with each of its publishers.
pub(super) fn pairs(subjects: &[Subject]) -> Vec<Pair<'_>> {
    let mut pairs = Vec::new();
    for subscriber in subjects {
        for interface in &subscriber.events.subscribes {
            let is_seen = |other: &Subject| !(other.is_elsewhere && subscriber.is_elsewhere);
            let publishes = |other: &&Subject| is_seen(other) && other.events.publishes.contains(interface);
            let with = |publisher| Pair { publisher, subscriber, interface };
            pairs.extend(subjects.iter().filter(publishes).map(with));
        }
    }
    pairs
}

impl Pair<'_> {
    /// Whether one of the two is named.
    pub fn is_of(&self, named: &dyn Fn(&str) -> bool) -> bool {
        named(&self.publisher.context) || named(&self.subscriber.context)
    }

    pub fn check(&self, terms: &Terms) -> Check {
        let (publisher, subscriber) = (&self.publisher.context, &self.subscriber.context);
        Check {
            contexts: vec![publisher.clone(), subscriber.clone()],
            kind: CheckKind::Events,
            name: self.interface.to_owned(),
            sentence: sentence(publisher, subscriber),
            outcome: self.outcome(terms),
        }
    }

    fn outcome(&self, terms: &Terms) -> Outcome {
        let (outbox, inbox) = match (&self.publisher.file, &self.subscriber.file) {
            (Ok(outbox), Ok(inbox)) => (outbox, inbox),
            (Err(fault), _) => return fault.without_file(&self.publisher.context),
            (_, Err(fault)) => return fault.without_file(&self.subscriber.context),
        };
        let source = Source { publisher: self.publisher.context.clone(), interface: self.interface.to_owned() };
        match account(outbox, inbox, &source, terms) {
            Ok(found) => accounted(found, &self.subscriber.context),
            Err(error) => Outcome::unchecked(&error),
        }
    }
}

/// What holds of the events between two contexts.
pub(super) fn sentence(publisher: &str, subscriber: &str) -> String {
    format!(
        "Every event of `{publisher}` is still to come to `{subscriber}`, was taken, is set aside, or is a dead letter, \
         and is only one of these."
    )
}

/// What follows from the comparison.
pub(super) fn accounted(found: Account, subscriber: &str) -> Outcome {
    if found.faults == 0 {
        return Outcome::Holds { keys: Some(found.rows) };
    }
    Outcome::Violated {
        count: found.faults,
        columns: vec!["fault".to_owned()],
        examples: found.examples.into_iter().map(|fault| vec![fault]).collect(),
        remedy: format!(
            "`seam events list {subscriber}` shows what is set aside; files that were put back apart belong together \
             in one backup: `seam restore`"
        ),
    }
}
