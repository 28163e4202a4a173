//! What an operator asks of events, and does with them: list, show, retry, discard, replay.
//!
//! Invariants: a request that is refused changes nothing. Every change goes through `Audit::act`, which notes who made
//! it and why; no value of an event goes there.

use std::sync::Arc;

use seam_runtime::did_you_mean;
use seam_runtime::remote::Outbox;
use seam_runtime::serve::Registry;
use seam_store::ids::interface_path;
use seam_store::limits::EVENT_COUNT_MAX;
use seam_store::{Database, Event, Kept, WaitState, Waiting};
use serde::{Deserialize, Serialize};

use super::status::{Subscription, SubscriptionStatus, statuses, subscriptions};
use super::tally::Tallies;
use crate::audit::{Act, Audit, AuditLine};
use crate::limits;
use crate::refused::{Refused, reason};
use crate::times::rfc3339;

/// Subscriptions of a subscriber: all, or those to a publisher or to an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    pub subscriber: String,
    pub publisher: Option<String>,
    /// With or without a version.
    pub interface: Option<String>,
}

/// Which events that are set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    All,
    Dead,
    /// Those that are not given up.
    Waiting,
}

/// What to do with one event, or with several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Try it now, as often as a new one.
    Retry(u64),
    RetryAllDead,
    /// Give it up for good.
    Discard(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReplayStart {
    /// The oldest event that is kept.
    Start,
    Position(u64),
}

/// Has a subscriber take events again that it has taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    pub of: Selection,
    pub from: ReplayStart,
    /// Only say what it would do.
    pub dry_run: bool,
    pub why: String,
}

/// What a replay does, or did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayPlan {
    /// The first position that is delivered again.
    pub from: u64,
    /// The last one; later events come anyway.
    pub to: u64,
    /// How many events these are, counted up to `EVENT_COUNT_MAX` of the store's limits.
    pub events: u64,
    /// The times of the first and the last of them, RFC 3339.
    pub first: Option<String>,
    pub last: Option<String>,
    /// How many of them wait or are dead letters now: they are delivered as new ones.
    pub waiting: u64,
    pub done: bool,
}

/// An event, in the words of CloudEvents, and how it stands with a subscriber.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// The position.
    pub id: u64,
    /// The publisher.
    pub source: String,
    /// The interface and its function.
    #[serde(rename = "type")]
    pub kind: String,
    /// RFC 3339.
    pub time: String,
    pub subject: Option<String>,
    pub traceparent: String,
    /// The interface with its version.
    pub dataschema: String,
    /// The arguments; not in a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<serde_json::Value>,
    /// `retry`, `behind`, `dead`, `delivered`, or `not yet taken`.
    pub state: String,
    pub tries: u32,
    /// What came of the last try.
    pub reason: String,
    /// When it is tried next, RFC 3339; only with `retry`.
    pub next_try: Option<String>,
}

/// What the admin socket and tools ask. Cheap to clone.
#[derive(Clone)]
pub struct Operator {
    registry: Registry,
    tallies: Tallies,
    audit: Audit,
}

impl Operator {
    pub fn new(registry: Registry, tallies: Tallies, audit: Audit) -> Self {
        Self { registry, tallies, audit }
    }

    /// The log that every change goes to.
    pub fn audit_log(&self) -> &Audit {
        &self.audit
    }

    pub fn statuses(&self) -> Vec<SubscriptionStatus> {
        statuses(&self.registry, &self.tallies)
    }

    /// The newest lines of the audit log.
    ///
    /// # Errors
    /// When the host's file cannot be read.
    pub fn audit(&self, most: u32) -> Result<Vec<AuditLine>, Refused> {
        Ok(self.audit.lines(most)?)
    }

    /// Events that are set aside, from a position on, oldest first: at most `EVENT_LIST_MAX` of each subscription.
    ///
    /// # Errors
    /// For an unknown subscriber, or when its file is not open.
    pub fn list(&self, of: &Selection, which: Which, from: u64, most: u32) -> Result<Vec<Shown>, Refused> {
        let most = most.min(limits::EVENT_LIST_MAX);
        let mut listed = Vec::new();
        for subscription in self.find(of)? {
            let inbox = inbox(&subscription)?;
            let read = |state| inbox.waiting(&subscription.source, state, from, most);
            let mut found = match which {
                Which::All => read(None)?,
                Which::Dead => read(Some(WaitState::Dead))?,
                Which::Waiting => [read(Some(WaitState::Retry))?, read(Some(WaitState::Behind))?].concat(),
            };
            found.sort_by_key(|waiting| waiting.event.position);
            found.truncate(most as usize);
            listed.extend(found.iter().map(|waiting| Shown { data: None, ..of_waiting(waiting) }));
        }
        Ok(listed)
    }

    /// One event, with its data.
    ///
    /// # Errors
    /// For an unknown subscriber or position.
    pub fn show(&self, of: &Selection, position: u64) -> Result<Shown, Refused> {
        let subscription = self.one(of)?;
        if let Some(waiting) = waiting_at(&subscription, position)? {
            return Ok(of_waiting(&waiting));
        }
        let taken = inbox(&subscription)?.seen(&subscription.source)?.unwrap_or(0);
        let outbox = outbox(&subscription)?;
        match outbox.published_at(&subscription.source.interface, position)? {
            Some(event) => {
                let state = if position <= taken { "delivered" } else { "not yet taken" };
                Ok(shown(&event, &subscription.source.publisher, state))
            }
            None => Err(unknown(&subscription, position)?),
        }
    }

    /// Retries or discards events. Returns how many.
    ///
    /// # Errors
    /// For an unknown subscriber or position, an event that waits behind another, or a missing reason.
    pub fn act(&self, who: &str, of: &Selection, order: Order, why: &str) -> Result<u64, Refused> {
        let needed = matches!(order, Order::Discard(_)).then_some("a discarded event is gone");
        let why = reason(why, needed)?;
        let subscription = self.one(of)?;
        let (inbox, source) = (inbox(&subscription)?, &subscription.source);
        let waiting = match order {
            Order::RetryAllDead => None,
            Order::Retry(position) | Order::Discard(position) => {
                let found = waiting_at(&subscription, position)?;
                Some(found.map_or_else(|| unknown(&subscription, position).and_then(Err), Ok)?)
            }
        };
        if let (Order::Retry(position), Some(waiting)) = (order, &waiting)
            && waiting.state == WaitState::Behind
        {
            return Err(behind(inbox, position, waiting)?);
        }
        let command = match order {
            Order::Retry(position) => format!("seam events retry {} {position}", subscription.subscriber),
            Order::RetryAllDead => format!("seam events retry {} --all-dead", subscription.subscriber),
            Order::Discard(position) => format!("seam events discard {} {position}", subscription.subscriber),
        };
        let command = with_source(&command, &subscription);
        self.audit.act(&Act { who, command: &command, why }, || {
            let events = match (order, waiting) {
                (Order::Discard(_), Some(waiting)) => u64::from(inbox.discard(source, &waiting.event)?),
                (Order::Retry(position), _) => inbox.try_again(source, Some(position))?,
                _ => inbox.try_again(source, None)?,
            };
            if events == 0 && order != Order::RetryAllDead {
                return Err(Refused::new("the event has been handled meanwhile", "nothing is left to do"));
            }
            Ok((events, if events == 1 { "1 event".to_owned() } else { format!("{events} events") }))
        })
    }

    /// Sets a subscription back, or says what that would do.
    ///
    /// # Errors
    /// For an unknown subscriber, or a position that is not kept or not taken yet.
    pub fn replay(&self, who: &str, replay: &Replay) -> Result<ReplayPlan, Refused> {
        let why = reason(&replay.why, None)?;
        let subscription = self.one(&replay.of)?;
        let plan = plan(&subscription, replay.from)?;
        if replay.dry_run {
            return Ok(plan);
        }
        let command = format!("seam events replay {} --from {}", subscription.subscriber, plan.from);
        let command = with_source(&command, &subscription);
        let (inbox, outbox) = (inbox(&subscription)?, outbox(&subscription)?);
        self.audit.act(&Act { who, command: &command, why }, || {
            // Another operator may have set it back further meanwhile.
            let at = inbox.seen(&subscription.source)?.unwrap_or(0).min(plan.from.saturating_sub(1));
            let kept = outbox.hold(&subscription.source.interface, at)?;
            if plan.from < kept.first {
                return Err(no_longer_kept(&subscription, kept));
            }
            let waiting = inbox.take_again(&subscription.source, plan.from)?;
            let what = format!("{} events again, {waiting} of them waited or were dead letters", plan.events);
            Ok((ReplayPlan { waiting, done: true, ..plan }, what))
        })
    }

    /// The subscriptions that are meant; at least one.
    fn find(&self, of: &Selection) -> Result<Vec<Subscription>, Refused> {
        let name = self.registry.name_of(&of.subscriber);
        let all = subscriptions(&self.registry, &self.tallies);
        let hint = did_you_mean::hint(&name, all.iter().map(|other| other.subscriber.as_str()));
        let is_it = |other: &Subscription| other.subscriber == name && other.elsewhere().is_none();
        let mut found: Vec<_> = all.into_iter().filter(is_it).collect();
        if found.is_empty() {
            if let Some(host) = self.registry.lives_elsewhere(&name) {
                return Err(Refused::elsewhere(&name, &host));
            }
            let exists = self.registry.generations().iter().any(|generation| generation.context().as_str() == name);
            return Err(match exists {
                true => Refused::new(format!("`{name}` subscribes to no events"), hint),
                false => Refused::new(format!("there is no context `{name}`"), hint),
            });
        }
        if let Some(publisher) = &of.publisher {
            let hint = did_you_mean::hint(publisher, found.iter().map(|other| other.source.publisher.as_str()));
            found.retain(|other| other.source.publisher == *publisher);
            if found.is_empty() {
                return Err(Refused::new(format!("`{name}` does not subscribe to events of `{publisher}`"), hint));
            }
        }
        if let Some(interface) = &of.interface {
            let path = interface_path(interface);
            let hint = did_you_mean::hint(path, found.iter().map(|other| other.source.interface.as_str()));
            found.retain(|other| other.source.interface == path);
            if found.is_empty() {
                return Err(Refused::new(format!("`{name}` does not subscribe to `{interface}`"), hint));
            }
        }
        Ok(found)
    }

    fn one(&self, of: &Selection) -> Result<Subscription, Refused> {
        let mut found = self.find(of)?;
        match (found.pop(), found.is_empty()) {
            (Some(one), true) => Ok(one),
            (last, _) => {
                found.extend(last);
                let all: Vec<_> = found
                    .iter()
                    .map(|other| {
                        format!("`--publisher {} --interface {}`", other.source.publisher, other.source.interface)
                    })
                    .collect();
                let message =
                    format!("`{}` has {} subscriptions, and each has positions of its own", of.subscriber, all.len());
                Err(Refused::new(message, format!("name one: {}", all.join(" or "))))
            }
        }
    }
}

fn with_source(command: &str, subscription: &Subscription) -> String {
    format!("{command} --publisher {} --interface {}", subscription.source.publisher, subscription.source.interface)
}

fn inbox(subscription: &Subscription) -> Result<&Arc<Database>, Refused> {
    subscription.inbox().ok_or_else(|| not_open(subscription, &subscription.subscriber))
}

fn outbox(subscription: &Subscription) -> Result<&dyn Outbox, Refused> {
    subscription.outbox.as_deref().ok_or_else(|| not_open(subscription, &subscription.source.publisher))
}

fn not_open(subscription: &Subscription, context: &str) -> Refused {
    let why = subscription.away().map(|why| format!(": {why}")).unwrap_or_default();
    Refused::new(format!("the file of `{context}` is not open{why}"), "bring the context back into service first")
}

fn waiting_at(subscription: &Subscription, position: u64) -> Result<Option<Waiting>, Refused> {
    let found = inbox(subscription)?.waiting(&subscription.source, None, position, 1)?;
    Ok(found.into_iter().find(|waiting| waiting.event.position == position))
}

/// Why there is nothing at this position, with what there is.
fn unknown(subscription: &Subscription, position: u64) -> Result<Refused, Refused> {
    let Subscription { subscriber, source, .. } = subscription;
    if let Some(outbox) = &subscription.outbox {
        let kept = outbox.kept(&source.interface)?;
        if position > kept.last {
            return Ok(from_the_future(subscription, position, kept.last));
        }
        let taken = inbox(subscription)?.seen(source)?.unwrap_or(0);
        if outbox.published_at(&source.interface, position)?.is_some() {
            return Ok(match position <= taken {
                true => Refused::new(
                    format!("`{subscriber}` has handled the event at {position}"),
                    format!(
                        "`seam events replay {subscriber} --from {position}` delivers it, and all later ones, again"
                    ),
                ),
                false => Refused::new(
                    format!("`{subscriber}` has not taken the event at {position} yet"),
                    "it comes by itself; `seam events` shows why if it does not",
                ),
            });
        }
    }
    let some = inbox(subscription)?.waiting(source, None, 0, 5)?;
    let some: Vec<_> = some.iter().map(|waiting| waiting.event.position.to_string()).collect();
    let remedy = match some.is_empty() {
        true => format!("no event waits for `{subscriber}`"),
        false => format!("there are: {}; `seam events list {subscriber}` shows all", some.join(", ")),
    };
    Ok(Refused::new(format!("no event of `{}` has the position {position}", source.publisher), remedy))
}

fn from_the_future(subscription: &Subscription, position: u64, last: u64) -> Refused {
    let publisher = &subscription.source.publisher;
    let message = format!("the position {position} is from the future: `{publisher}` has given none yet above {last}");
    Refused::new(message, "`seam events` and `seam events list` show positions")
}

fn behind(inbox: &Database, position: u64, waiting: &Waiting) -> Result<Refused, Refused> {
    let tried = inbox.waiting(&waiting.source, Some(WaitState::Retry), 0, limits::EVENT_LIST_MAX)?;
    let first = tried.iter().find(|other| other.event.subject == waiting.event.subject);
    let remedy = match first {
        Some(first) => {
            format!("retry or discard {} first: events of one subject keep their order", first.event.position)
        }
        None => "retry or discard the first event of its subject".to_owned(),
    };
    Ok(Refused::new(format!("the event at {position} waits behind an earlier one of its subject"), remedy))
}

fn plan(subscription: &Subscription, start: ReplayStart) -> Result<ReplayPlan, Refused> {
    let (inbox, outbox) = (inbox(subscription)?, outbox(subscription)?);
    let Subscription { subscriber, source, .. } = subscription;
    let (kept, to) = (outbox.kept(&source.interface)?, inbox.seen(source)?.unwrap_or(0));
    if kept.first == 0 {
        return Err(Refused::new(format!("`{}` has published nothing that is kept", source.publisher), ""));
    }
    let from = match start {
        ReplayStart::Start => kept.first,
        ReplayStart::Position(position) => position,
    };
    if from > kept.last {
        return Err(from_the_future(subscription, from, kept.last));
    }
    if from < kept.first {
        return Err(no_longer_kept(subscription, kept));
    }
    if from > to {
        let message = format!("`{subscriber}` has taken events up to {to}, and {from} comes by itself");
        return Err(Refused::new(message, "`seam events` shows why if it does not"));
    }
    let span = outbox.span(&source.interface, from - 1, to, EVENT_COUNT_MAX)?;
    let waiting = inbox.waiting_from(source, from)?;
    let (first, last) = (span.first_ms.map(rfc3339), span.last_ms.map(rfc3339));
    Ok(ReplayPlan { from, to, events: span.events, first, last, waiting, done: false })
}

fn no_longer_kept(subscription: &Subscription, kept: Kept) -> Refused {
    let publisher = &subscription.source.publisher;
    let message = match kept.is_cut {
        true => format!("events of `{publisher}` before {} are no longer kept", kept.first),
        false => format!("the first event of `{publisher}` is at {}", kept.first),
    };
    Refused::new(message, "`--from start` begins with the oldest that is kept")
}

fn of_waiting(waiting: &Waiting) -> Shown {
    let next_try = (waiting.state == WaitState::Retry).then(|| rfc3339(waiting.due_ms));
    Shown {
        tries: waiting.tries,
        reason: waiting.reason.clone(),
        next_try,
        ..shown(&waiting.event, &waiting.source.publisher, waiting.state.name())
    }
}

fn shown(event: &Event, publisher: &str, state: &str) -> Shown {
    let path = interface_path(&event.interface);
    Shown {
        id: event.position,
        source: publisher.to_owned(),
        kind: format!("{path}.{}", event.function),
        time: rfc3339(event.time_ms),
        subject: event.subject.clone(),
        traceparent: event.trace.clone(),
        dataschema: event.interface.clone(),
        data: serde_json::from_str(&event.data).ok(),
        state: state.to_owned(),
        tries: 0,
        reason: String::new(),
        next_try: None,
    }
}
