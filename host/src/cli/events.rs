//! `seam events`: the subscriptions of the running system, and what an operator does with their events.

use clap::{Args, Subcommand};
use seam_store::limits::EVENT_COUNT_MAX;

use super::error::CommandError;
use super::global::{Format, Global};
use super::out;
use crate::admin::EventsRequest;
use crate::admin::client::Client;
use crate::delivery::{Order, Replay, ReplayPlan, ReplayStart, Selection, Shown, SubscriptionStatus, Which};

#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[arg(long, value_enum, default_value_t, global = true)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the events of a subscriber that are set aside: tried again, behind another, or dead
    List {
        #[command(flatten)]
        of: Of,
        /// Only dead letters
        #[arg(long, conflicts_with = "waiting")]
        dead: bool,
        /// Only events that are not given up
        #[arg(long)]
        waiting: bool,
        /// Begin at this position
        #[arg(long, value_name = "POSITION", default_value_t = 0)]
        from: u64,
        /// How many, at most 100
        #[arg(long, default_value_t = 20)]
        count: u32,
    },
    /// Show one event with its data
    Show {
        #[command(flatten)]
        of: Of,
        position: u64,
    },
    /// Try an event now, as often as a new one
    Retry {
        #[command(flatten)]
        of: Of,
        #[arg(required_unless_present = "all_dead", conflicts_with = "all_dead")]
        position: Option<u64>,
        /// Every dead letter of the subscription
        #[arg(long)]
        all_dead: bool,
        /// The reason, for the audit log
        #[arg(long, value_name = "TEXT", default_value = "")]
        why: String,
    },
    /// Give an event up for good; the next one of its subject is tried
    Discard {
        #[command(flatten)]
        of: Of,
        position: u64,
        /// The reason, for the audit log
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
    /// Deliver events again that a subscriber has taken: its handler gets each as if it were new
    Replay {
        #[command(flatten)]
        of: Of,
        /// The first position, or `start` for the oldest event that is kept
        #[arg(long, value_name = "POSITION", value_parser = start)]
        from: ReplayStart,
        /// Only say how many events it would deliver again, and from when
        #[arg(long)]
        dry_run: bool,
        /// The reason, for the audit log
        #[arg(long, value_name = "TEXT", default_value = "")]
        why: String,
    },
}

/// Which subscription.
#[derive(Debug, Args)]
struct Of {
    /// The context that subscribes, or `CONTEXT@VARIANT`
    subscriber: String,
    /// The context that publishes; needed where there are several
    #[arg(long, value_name = "CONTEXT")]
    publisher: Option<String>,
    /// The events interface; needed where there are several
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,
}

impl From<Of> for Selection {
    fn from(Of { subscriber, publisher, interface }: Of) -> Self {
        Self { subscriber, publisher, interface }
    }
}

fn start(text: &str) -> Result<ReplayStart, String> {
    match text {
        "start" => Ok(ReplayStart::Start),
        _ => text.parse().map(ReplayStart::Position).map_err(|_| "write a position or `start`".to_owned()),
    }
}

pub fn run(global: &Global, options: Options) -> Result<(), CommandError> {
    let format = options.format;
    let subscriber = match &options.verb {
        None => None,
        Some(
            Verb::List { of, .. }
            | Verb::Show { of, .. }
            | Verb::Retry { of, .. }
            | Verb::Discard { of, .. }
            | Verb::Replay { of, .. },
        ) => Some(of.subscriber.clone()),
    };
    let connect = || -> Result<Client, CommandError> {
        Ok(Client::connect(&global.load_host_of(subscriber.as_deref())?.host.data)?)
    };
    match options.verb {
        None => {
            let (manifests, mut all) = (global.load_running()?, Vec::new());
            for manifest in &manifests {
                let mut found = Client::connect(&manifest.host.data)?.subscriptions()?;
                // Of several hosts, that of the subscriber knows all of it.
                found.retain(|status| manifests.len() == 1 || status.at.is_none());
                all.append(&mut found);
            }
            match format {
                Format::Json => out::json(&all),
                Format::Human if all.is_empty() => {
                    out::note("no context subscribes to events");
                    Ok(())
                }
                Format::Human => out::text(&subscriptions(&all)),
            }
        }
        Some(Verb::List { of, dead, waiting, from, count }) => {
            let which = match (dead, waiting) {
                (true, _) => Which::Dead,
                (_, true) => Which::Waiting,
                _ => Which::All,
            };
            let all: Vec<Shown> = connect()?.events(&EventsRequest::List { of: of.into(), which, from, count })?;
            match format {
                Format::Json => out::json(&all),
                Format::Human if all.is_empty() => {
                    out::note("no such event is set aside");
                    Ok(())
                }
                Format::Human => out::text(&list(&all)),
            }
        }
        Some(Verb::Show { of, position }) => {
            // Its attributes and data are JSON for people, too.
            out::json(&connect()?.events::<Shown>(&EventsRequest::Show { of: of.into(), position })?)
        }
        Some(Verb::Retry { of, position, why, .. }) => {
            let order = position.map_or(Order::RetryAllDead, Order::Retry);
            let events = connect()?.events(&EventsRequest::Act { of: of.into(), order, why })?;
            done(format, events, "is tried now", "are tried now")
        }
        Some(Verb::Discard { of, position, why }) => {
            let order = Order::Discard(position);
            let events = connect()?.events(&EventsRequest::Act { of: of.into(), order, why })?;
            done(format, events, "is discarded", "are discarded")
        }
        Some(Verb::Replay { of, from, dry_run, why }) => {
            let replay = Replay { of: of.into(), from, dry_run, why };
            let plan: ReplayPlan = connect()?.events(&EventsRequest::Replay(replay))?;
            if format == Format::Json { out::json(&plan) } else { out::text(&replayed(&plan)) }
        }
    }
}

fn done(format: Format, events: u64, one: &str, many: &str) -> Result<(), CommandError> {
    match (format, events) {
        (Format::Json, _) => out::json(&serde_json::json!({ "events": events })),
        (Format::Human, 1) => out::line(&format!("1 event {one}")),
        (Format::Human, _) => out::line(&format!("{events} events {many}")),
    }
}

fn subscriptions(all: &[SubscriptionStatus]) -> String {
    let count = |count: Option<u64>| count.map_or("-".to_owned(), |count| count.to_string());
    let row = |status: &SubscriptionStatus| {
        let lag = match status.lag {
            Some(lag) if lag >= u64::from(EVENT_COUNT_MAX) => format!("{lag}+"),
            lag => count(lag),
        };
        let seconds = status.lag_s.map_or("-".to_owned(), |seconds| format!("{seconds:.1} s"));
        let state = match (&status.away, &status.at) {
            (Some(why), _) => format!("away: {why}"),
            (None, Some(host)) => format!("ok, at {host}"),
            (None, None) => "ok".to_owned(),
        };
        vec![
            status.subscriber.clone(),
            status.publisher.clone(),
            status.interface.clone(),
            lag,
            seconds,
            count(status.retry),
            count(status.behind),
            count(status.dead),
            state,
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    let header = ["SUBSCRIBER", "PUBLISHER", "INTERFACE", "LAG", "OLDEST", "RETRY", "BEHIND", "DEAD", "STATE"];
    out::table(&header, &rows, &["LAG", "OLDEST", "RETRY", "BEHIND", "DEAD"])
}

fn list(all: &[Shown]) -> String {
    let row = |event: &Shown| {
        vec![
            event.id.to_string(),
            event.kind.clone(),
            event.subject.clone().unwrap_or_else(|| "-".into()),
            event.time.clone(),
            event.state.clone(),
            event.tries.to_string(),
            event.next_try.clone().unwrap_or_else(|| "-".into()),
            event.reason.clone(),
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    let header = ["POSITION", "TYPE", "SUBJECT", "TIME", "STATE", "TRIES", "NEXT TRY", "REASON"];
    out::table(&header, &rows, &["POSITION", "TRIES"])
}

fn replayed(plan: &ReplayPlan) -> String {
    let ReplayPlan { from, to, events, waiting, done, .. } = plan;
    let times = match (&plan.first, &plan.last) {
        (Some(first), Some(last)) => format!(", from {first} to {last}"),
        _ => String::new(),
    };
    let (will, are) = if *done { ("are", "were") } else { ("would be", "are") };
    format!(
        "{events} events {will} delivered again: positions {from} to {to}{times}; {waiting} of them {are} set aside now\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_that_cannot_be_read_is_no_zero() {
        let good = SubscriptionStatus {
            subscriber: "mail".into(),
            publisher: "orders".into(),
            interface: "acme:orders/events".into(),
            at: None,
            position: Some(9),
            lag: Some(0),
            lag_s: Some(0.0),
            retry: Some(1),
            behind: Some(2),
            dead: Some(3),
            away: None,
        };
        let stopped = SubscriptionStatus {
            subscriber: "stock".into(),
            position: None,
            lag: None,
            lag_s: None,
            retry: None,
            behind: None,
            dead: None,
            away: Some("`stock` is out of service".into()),
            ..good.clone()
        };
        let expect = "\
SUBSCRIBER  PUBLISHER  INTERFACE           LAG  OLDEST  RETRY  BEHIND  DEAD  STATE
mail        orders     acme:orders/events    0   0.0 s      1       2     3  ok
stock       orders     acme:orders/events    -       -      -       -     -  away: `stock` is out of service
";
        assert_eq!(subscriptions(&[good, stopped]), expect);
    }

    #[test]
    fn a_replay_says_what_it_does_and_from_when() {
        let plan = ReplayPlan {
            from: 7,
            to: 9,
            events: 3,
            first: Some("2026-11-29T20:00:00Z".into()),
            last: Some("2026-11-29T20:01:00Z".into()),
            waiting: 1,
            done: false,
        };
        let expect = "3 events would be delivered again: positions 7 to 9, from 2026-11-29T20:00:00Z to \
                      2026-11-29T20:01:00Z; 1 of them are set aside now\n";
        assert_eq!(replayed(&plan), expect);
        assert!(start("start").is_ok() && start("12").is_ok() && start("tomorrow").is_err());
    }
}
