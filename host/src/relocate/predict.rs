//! What a move would take and cost, before it: from what was recorded, and from what is measured now on both hosts.
//!
//! How fast pages travel is measured with some of the file's. Nothing is changed.
//! Not here: the forecast of calls (`forecast`), why a context does not move (`fitness`), the pause (`pause`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use seam_store::ids::ContextName;
use seam_store::{Database, chain, moment};
use serde::de::DeserializeOwned;

use super::messages::{Pages, Probe, Probed, ProbedPages, json, parsed, step};
use super::report::{CopyPrediction, Prediction, Refused, Spread};
use super::{Relocator, fitness};
use crate::forecast::{Forecast, Snapshot, Way, forecast};
use crate::limits;
use crate::remote::Step;

const SEE_LOGS: &str = "see the logs of both hosts";

impl Relocator {
    /// What moving `context` from this host to the host `to` would take and cost.
    pub async fn predict(&self, context: &ContextName, to: &str) -> Prediction {
        let mut prediction = self.predict_copy(context, to).await;
        if prediction.copy.is_some() {
            match self.predict_pause(context, to).await {
                Ok(pause) => prediction.pause = pause,
                Err(why) => prediction.refused.push(Refused::new(why, SEE_LOGS)),
            }
        }
        prediction
    }

    /// As `predict`, without the pause.
    pub(super) async fn predict_copy(&self, context: &ContextName, to: &str) -> Prediction {
        let mut prediction = Prediction::empty(context.as_str(), &self.0.this, to);
        let measuring = Measuring { relocator: self, context, to };
        let within = Duration::from_millis(limits::MOVE_PREDICT_MS_MAX);
        let measured = tokio::time::timeout(within, measuring.run(&mut prediction)).await;
        let measured = measured.unwrap_or_else(|_| Err("measuring the move takes too long".to_owned()));
        if let Err(why) = measured {
            prediction.refused.push(Refused::new(why, SEE_LOGS));
        }
        prediction
    }
}

/// How fast pages travel, as they would in a move.
struct Messages {
    /// One message, from reading its pages to comparing what the target has of them, in microseconds.
    message_us: f64,
    /// Of it, what travelling takes beside the way of a small request.
    carried_us: f64,
    /// Getting a message to the target's disk.
    sync_us: f64,
    /// Bytes of a message.
    bytes: f64,
    /// The pages of the file, and those that its log has now.
    base_pages: u64,
    backlog_pages: u64,
    /// The pages that are written meanwhile.
    pages_per_s: f64,
}

struct Measuring<'m> {
    relocator: &'m Relocator,
    context: &'m ContextName,
    to: &'m str,
}

impl Measuring<'_> {
    /// # Errors
    /// Why not everything could be measured.
    async fn run(&self, prediction: &mut Prediction) -> Result<(), String> {
        let inner = &self.relocator.0;
        let registry = &inner.registry;
        prediction.refused = fitness::problems(&inner.manifest, registry, self.context, self.to);
        let live = registry.live(self.context.as_str());
        let database = live.ok().and_then(|live| live.generation().database().cloned());
        let Some(database) = database.filter(|_| inner.manifest.placement.host(self.to).is_some()) else {
            return Ok(());
        };
        prediction.refused.extend(self.not_now());
        let trips = inner.client.round_trips(self.to, limits::MOVE_ROUND_TRIPS).await?;
        let trips: Vec<u64> = trips.iter().map(|trip| trip.as_micros() as u64).collect();
        let trip = Spread { median_us: at(&trips, 0.5), p99_us: at(&trips, 0.99) };
        prediction.round_trip = Some(trip);
        let messages = self.messages(&database, trip).await;
        let bytes_per_s = messages.as_ref().map_or(0.0, |messages| messages.bytes / messages.carried_us.max(1.0) * 1e6);
        let way = Way { round_trip_us: trip.median_us, bytes_per_s };
        let statistics = database.statistics();
        let file_bytes = statistics.file_bytes + statistics.wal_bytes;
        let probed: Result<Probed, String> = self.ask(step::PROBE, json(&Probe { file_bytes, way })?).await;
        prediction.added = Some(self.forecast(way, |home| home.is_none()));
        prediction.saved = self.saved(way, probed.as_ref().ok());
        let (messages, probed) = (messages?, probed?);
        prediction.refused.extend(
            probed
                .refused
                .iter()
                .map(|why| Refused::new(format!("host `{}`: {why}", self.to), "see the log of that host")),
        );
        prediction.copy = Some(copy(&messages, compare_ms(&database, file_bytes)?));
        Ok(())
    }

    /// What is in the way now, and passes.
    fn not_now(&self) -> Vec<Refused> {
        let inner = &self.relocator.0;
        let live = inner.registry.live(self.context.as_str());
        let sent = live.ok().map(|live| inner.deployer.artifact(live.generation().spec()));
        let unsent = sent.and_then(Result::err).map(|error| {
            let message = format!("the component of `{}` cannot be sent: {}", self.context, chain(&error));
            Refused::new(message, "deploy it again, so that its file is there to be sent")
        });
        let held = inner.deployer.hold(format!("predicting a move of `{}`", self.context));
        let busy = held.err().map(|refusal| Refused::new(refusal.message, refusal.remedy));
        unsent.into_iter().chain(busy).collect()
    }

    /// The calls between the context and the contexts of this host for whose home `there` holds.
    fn forecast(&self, way: Way, there: impl Fn(Option<&str>) -> bool) -> Forecast {
        let inner = &self.relocator.0;
        let snapshot = Snapshot::of(&inner.registry, inner.started.elapsed().as_secs_f64());
        let is_there = |name: &str| there(inner.registry.lives_elsewhere(name).as_deref());
        forecast(&snapshot.between(self.context.as_str(), &is_there), self.context.as_str(), way)
    }

    /// The calls between the context and the contexts of the target: by the callers there, and by the context itself.
    fn saved(&self, way: Way, probed: Option<&Probed>) -> Option<Forecast> {
        let own = self.forecast(way, |home| home == Some(self.to));
        let of_target = probed.and_then(|probed| probed.saved.clone());
        let mut saved = of_target.unwrap_or_else(|| Forecast { edges: Vec::new(), pages: Vec::new(), ..own.clone() });
        saved.edges.extend(own.edges);
        saved.pages.extend(own.pages);
        (!saved.edges.is_empty()).then_some(saved)
    }

    /// Sends some pages of the file.
    async fn messages(&self, database: &Arc<Database>, trip: Spread) -> Result<Messages, String> {
        let failed = |error: &dyn std::error::Error| chain(error);
        let mut follower = database.follow().map_err(|error| failed(&error))?;
        let (size, of) = (follower.page_bytes(), follower.base_pages().max(1));
        let most = (limits::MOVE_MESSAGE_BYTES as u32 / size.max(1)).max(1).min(of);
        let count = limits::MOVE_PROBE_MESSAGES as u32;
        // What is in the log already is sent once, with the changes.
        let mut backlog = BTreeSet::new();
        while let Some(changes) = follower.changes().map_err(|error| failed(&error))? {
            backlog.extend(changes.pages.into_keys());
        }
        let backlog = backlog.len();
        let (started, mut written) = (Instant::now(), 0);
        let (mut whole, mut carried, mut synced, mut length) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for number in 0..count {
            let first = 1 + (of - most) / count * number;
            let since = Instant::now();
            let mut bytes = Vec::new();
            follower.read_base(first, most, &mut bytes).map_err(|error| failed(&error))?;
            let mut pages = Pages::new(0, 0);
            (first..).zip(bytes.chunks_exact(size as usize)).for_each(|(number, page)| pages.push(number, page));
            let message = pages.bytes();
            let expected = Pages::digest(size as usize, &message)?;
            length = message.len();
            let sending = Instant::now();
            let body = Bytes::from([size.to_be_bytes().to_vec(), message].concat());
            let probed: ProbedPages = self.ask(step::PROBE_PAGES, body).await?;
            let sent = sending.elapsed().as_micros() as u64;
            if probed.sum != expected {
                return Err(format!("host `{}` has other pages than were sent", self.to));
            }
            whole.push((since.elapsed().as_micros() as u64).saturating_sub(probed.sync_us));
            carried.push(sent.saturating_sub(probed.took_us + probed.sync_us + trip.median_us as u64));
            synced.push(probed.sync_us);
            if let Some(changes) = follower.changes().map_err(|error| failed(&error))? {
                written += changes.pages.len();
            }
        }
        [&mut whole, &mut carried, &mut synced].into_iter().for_each(|times| times.sort_unstable());
        let seconds = started.elapsed().as_secs_f64();
        Ok(Messages {
            message_us: at(&whole, 0.5),
            carried_us: at(&carried, 0.5),
            sync_us: at(&synced, 0.5),
            bytes: length as f64,
            base_pages: u64::from(follower.base_pages()),
            backlog_pages: backlog as u64,
            pages_per_s: written as f64 / seconds,
        })
    }

    async fn ask<T: DeserializeOwned>(&self, name: &str, body: Bytes) -> Result<T, String> {
        let step = Step { context: self.context.clone(), name: name.to_owned() };
        let within = Duration::from_millis(limits::MOVE_PREDICT_MS_MAX);
        parsed(&self.relocator.0.client.step(self.to, &step, body, within).await?)
    }
}

/// How long comparing all tables takes, by what a part of them takes.
fn compare_ms(database: &Arc<Database>, file_bytes: u64) -> Result<f64, String> {
    let snapshots = moment(std::slice::from_ref(database)).map_err(|error| chain(&error))?;
    let started = Instant::now();
    let sampled = snapshots.first().map(|one| one.sample(Duration::from_millis(limits::MOVE_SAMPLE_MS)));
    let (bytes, all) = sampled.transpose().map_err(|error| error.to_string())?.unwrap_or((0, true));
    let took_ms = started.elapsed().as_secs_f64() * 1e3;
    let share = if all { 1.0 } else { (bytes as f64 / file_bytes.max(1) as f64).clamp(1e-6, 1.0) };
    Ok(took_ms / share)
}

fn copy(messages: &Messages, compare_ms: f64) -> CopyPrediction {
    let page = seam_store::limits::STORE_PAGE_BYTES as f64;
    let (pages, backlog) = (messages.base_pages as f64, messages.backlog_pages as f64);
    let count = ((pages + backlog) * (page + 4.0) / messages.bytes.max(1.0)).max(1.0);
    let send_ms = count * (messages.message_us + messages.sync_us) / 1e3;
    let again = backlog + messages.pages_per_s * (send_ms + compare_ms) / 1e3;
    CopyPrediction {
        pages: messages.base_pages,
        again: again as u64,
        bytes: ((pages + again) * (page + 4.0) + (count + 1.0) * 12.0) as u64,
        copy_ms: (send_ms + compare_ms) as u64,
        compare_ms: compare_ms as u64,
    }
}

/// The value below which the share `q` of the sorted values stays.
fn at(sorted: &[u64], q: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * q).round() as usize).copied().unwrap_or(0) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_file_is_sent_once_and_a_busy_one_as_often_as_it_is_written() {
        let messages = |pages_per_s| Messages {
            message_us: 10_000.0,
            carried_us: 4_000.0,
            sync_us: 0.0,
            bytes: 4_100.0 * 250.0,
            base_pages: 24_000,
            backlog_pages: 1_000,
            pages_per_s,
        };
        let quiet = copy(&messages(0.0), 500.0);
        // 100 messages of 250 pages.
        assert_eq!((quiet.pages, quiet.again, quiet.copy_ms, quiet.compare_ms), (24_000, 1_000, 1_500, 500));
        assert_eq!(quiet.bytes, 25_000 * 4_100 + 101 * 12);
        let busy = copy(&messages(200.0), 500.0);
        assert_eq!(busy.again, 1_300);
    }
}
