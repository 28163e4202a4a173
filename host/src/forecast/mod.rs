//! What it would cost to move a context to another host, from what a running host has counted of its calls.
//!
//! Pure: a snapshot, a context and the way to the other host in, numbers out. A caller waits for each of its calls
//! before it makes the next one, so what they add to a page adds up.
//! Not here: where the counts come from (`Registry::traffic`, `Registry::paths`), and the move itself.

mod report;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use seam_runtime::serve::{EdgeTraffic, PathTraffic, Registry};
use seam_store::Database;
use seam_store::ids::ContextName;
use serde::{Deserialize, Serialize};

use crate::limits;
pub use report::text;

/// What a host has counted since its contexts started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub edges: Vec<EdgeTraffic>,
    pub paths: Vec<PathTraffic>,
    pub stores: Vec<StoreTraffic>,
}

/// How much a context writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoreTraffic {
    pub context: String,
    pub file_bytes: u64,
    pub wal_bytes: u64,
    /// Since its file was opened.
    pub commits: u64,
    /// Since the host started, in seconds.
    pub over_s: f64,
}

/// The way to the other host and back.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Way {
    /// Of a small call over a connection that is there already, in microseconds.
    pub round_trip_us: f64,
    /// In each direction.
    pub bytes_per_s: f64,
}

/// What a move would cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    pub context: String,
    pub way: Way,
    /// The calls that would cross hosts, by caller, callee and interface.
    pub edges: Vec<EdgeForecast>,
    /// What requests would wait for in addition, the longest first.
    pub pages: Vec<PageForecast>,
    /// The interfaces that should not be between two hosts as they are used now.
    pub chatty: Vec<Chatty>,
    /// What its file is like; `None` without one.
    pub store: Option<StoreTraffic>,
    /// What the forecast does not know.
    pub unknown: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EdgeForecast {
    pub caller: String,
    pub callee: String,
    /// Without its version.
    pub interface: String,
    pub calls: u64,
    pub calls_per_s: f64,
    /// Of one call, on average, with what travels beside the arguments and the results.
    pub request_bytes: f64,
    pub answer_bytes: f64,
    /// What one call waits for in addition, on average.
    pub added_us: f64,
}

impl EdgeForecast {
    pub fn bytes_per_s(&self) -> f64 {
        self.calls_per_s * (self.request_bytes + self.answer_bytes)
    }
}

/// Requests of one kind, or calls of a function that no other context makes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PageForecast {
    pub context: String,
    /// `GET /albums/*`
    pub page: String,
    /// Recorded requests on which this rests.
    pub samples: u64,
    /// What it takes now, on average.
    pub took_us: f64,
    /// The calls that would cross hosts in it, on average.
    pub crossings: f64,
    pub added_us: f64,
    /// The crossings by caller, callee and interface.
    pub by_interface: Vec<(String, String, String, f64)>,
}

/// An interface that is too chatty to have two hosts on its ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chatty {
    pub caller: String,
    pub callee: String,
    pub interface: String,
    pub why: Why,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// A page makes more than `limits::FORECAST_CALLS_PER_PAGE_MAX` calls of it.
    Calls { page: String, calls: f64 },
    /// A call carries more than `limits::FORECAST_CALL_BYTES_MAX`.
    Bytes { bytes: f64 },
}

impl Snapshot {
    /// What `registry` has counted until now. `since_s`: how long the host has run.
    pub fn of(registry: &Registry, since_s: f64) -> Self {
        let store = |(context, database): (ContextName, Arc<Database>)| {
            let statistics = database.statistics();
            StoreTraffic {
                context: context.to_string(),
                file_bytes: statistics.file_bytes,
                wal_bytes: statistics.wal_bytes,
                commits: statistics.commits,
                over_s: since_s,
            }
        };
        let stores = registry.stores().into_iter().map(store).collect();
        Self { edges: registry.traffic(), paths: registry.paths(), stores }
    }
}

impl Snapshot {
    /// Only the calls between `context` and the contexts that are `there`, and those below them.
    #[must_use]
    pub fn between(mut self, context: &str, there: &dyn Fn(&str) -> bool) -> Self {
        let stays = |caller: &str, callee: &str| match (caller == context, callee == context) {
            (true, false) => there(callee),
            (false, true) => there(caller),
            _ => true,
        };
        self.edges.retain(|edge| stays(&edge.caller, &edge.callee));
        for path in &mut self.paths {
            let caller = &path.context;
            path.made.retain(|made| stays(caller, &made.callee));
        }
        self
    }
}

/// Caller, callee and interface.
type Seam = (String, String, String);

/// What the move of `context` over `way` would cost.
pub fn forecast(snapshot: &Snapshot, context: &str, way: Way) -> Forecast {
    let crosses = |caller: &str, callee: &str| (caller == context) != (callee == context);
    let mut by_seam: BTreeMap<Seam, Vec<&EdgeTraffic>> = BTreeMap::new();
    for edge in snapshot.edges.iter().filter(|edge| crosses(&edge.caller, &edge.callee)) {
        let seam = (edge.caller.clone(), edge.callee.clone(), edge.interface.clone());
        by_seam.entry(seam).or_default().push(edge);
    }
    let edges: Vec<EdgeForecast> = by_seam.into_iter().map(|(seam, functions)| edge(seam, &functions, way)).collect();
    let added = |function: &EdgeTraffic| added_us(function, way);
    let walk = Walk { snapshot, context, added: &added };
    let mut pages: Vec<PageForecast> = snapshot.paths.iter().filter_map(|path| walk.page(path)).collect();
    pages.sort_by(|a, b| b.added_us.total_cmp(&a.added_us));
    let chatty = chatty(&edges, &pages);
    let store = snapshot.stores.iter().find(|store| store.context == context).cloned();
    let unknown = unknown(snapshot, context, &edges, &pages);
    Forecast { context: context.to_owned(), way, edges, pages, chatty, store, unknown }
}

fn edge((caller, callee, interface): Seam, functions: &[&EdgeTraffic], way: Way) -> EdgeForecast {
    let calls: u64 = functions.iter().map(|one| one.calls).sum();
    let mean = |of: &dyn Fn(&EdgeTraffic) -> f64| match calls {
        0 => 0.0,
        calls => functions.iter().map(|one| of(one) * one.calls as f64).sum::<f64>() / calls as f64,
    };
    EdgeForecast {
        caller,
        callee,
        interface,
        calls,
        calls_per_s: functions.iter().filter(|one| one.over_s > 0.0).map(|one| one.calls as f64 / one.over_s).sum(),
        request_bytes: mean(&request_bytes),
        answer_bytes: mean(&answer_bytes),
        added_us: mean(&|one| added_us(one, way)),
    }
}

fn request_bytes(edge: &EdgeTraffic) -> f64 {
    per_sample(edge, edge.request_bytes) + limits::FORECAST_HEAD_BYTES
}

fn answer_bytes(edge: &EdgeTraffic) -> f64 {
    per_sample(edge, edge.answer_bytes) + limits::FORECAST_HEAD_BYTES
}

fn per_sample(edge: &EdgeTraffic, bytes: u64) -> f64 {
    if edge.sampled == 0 { 0.0 } else { bytes as f64 / edge.sampled as f64 }
}

/// What one call waits for in addition: the way of a small call, and what its bytes take.
fn added_us(edge: &EdgeTraffic, way: Way) -> f64 {
    let bytes = request_bytes(edge) + answer_bytes(edge);
    let carried = if way.bytes_per_s > 0.0 { bytes / way.bytes_per_s * 1e6 } else { 0.0 };
    way.round_trip_us + carried
}

/// Follows calls from a page down.
struct Walk<'a> {
    snapshot: &'a Snapshot,
    context: &'a str,
    added: &'a dyn Fn(&EdgeTraffic) -> f64,
}

#[derive(Default)]
struct Crossings {
    added_us: f64,
    by_seam: BTreeMap<Seam, f64>,
}

impl Walk<'_> {
    /// `None` for what is no page, and for a page without calls that would cross hosts.
    fn page(&self, path: &PathTraffic) -> Option<PageForecast> {
        if path.samples == 0 || !path.is_page() {
            return None;
        }
        let mut crossings = Crossings::default();
        self.follow(path, 1.0, &mut crossings, 0);
        let by_interface: Vec<_> = crossings.by_seam.into_iter().map(|((a, b, i), n)| (a, b, i, n)).collect();
        let all: f64 = by_interface.iter().map(|(.., calls)| calls).sum();
        (all > 0.0).then(|| PageForecast {
            context: path.context.clone(),
            page: path.name.clone(),
            samples: path.samples,
            took_us: path.took_us as f64 / path.samples as f64,
            crossings: all,
            added_us: crossings.added_us,
            by_interface,
        })
    }

    /// Adds what `times` calls of `path` lead to. Imports form no circle; the depth is that of a call chain.
    fn follow(&self, path: &PathTraffic, times: f64, crossings: &mut Crossings, depth: usize) {
        if depth >= seam_runtime::limits::CALL_DEPTH_MAX || path.samples == 0 {
            return;
        }
        for made in &path.made {
            let calls = times * made.calls as f64 / path.samples as f64;
            if (path.context == self.context) != (made.callee == self.context) {
                let interface = made.function.rsplit_once('.').map_or("", |(interface, _)| interface);
                let edge = self.snapshot.edges.iter().find(|edge| {
                    edge.caller == path.context && edge.callee == made.callee && edge.name() == made.function
                });
                crossings.added_us += calls * edge.map_or(0.0, |edge| (self.added)(edge));
                let seam = (path.context.clone(), made.callee.clone(), interface.to_owned());
                *crossings.by_seam.entry(seam).or_default() += calls;
            }
            let below = self.snapshot.paths.iter();
            let below = below.into_iter().find(|one| one.context == made.callee && one.name == made.function);
            if let Some(below) = below {
                self.follow(below, calls, crossings, depth + 1);
            }
        }
    }
}

fn chatty(edges: &[EdgeForecast], pages: &[PageForecast]) -> Vec<Chatty> {
    let mut found = Vec::new();
    for EdgeForecast { caller, callee, interface, request_bytes, answer_bytes, .. } in edges {
        let chatty =
            |why: Why| Chatty { caller: caller.clone(), callee: callee.clone(), interface: interface.clone(), why };
        let of_page = |page: &PageForecast| {
            let is_it = |(a, b, i, _): &&(String, String, String, f64)| a == caller && b == callee && i == interface;
            let calls = page.by_interface.iter().find(is_it).map_or(0.0, |(.., calls)| *calls);
            (calls, format!("{} {}", page.context, page.page))
        };
        let most = pages.iter().map(of_page).max_by(|(a, _), (b, _)| a.total_cmp(b));
        if let Some((calls, page)) = most.filter(|(calls, _)| *calls > limits::FORECAST_CALLS_PER_PAGE_MAX) {
            found.push(chatty(Why::Calls { page, calls }));
        }
        let bytes = request_bytes + answer_bytes;
        if bytes > limits::FORECAST_CALL_BYTES_MAX {
            found.push(chatty(Why::Bytes { bytes }));
        }
    }
    found
}

/// Why the forecast may be wrong.
fn unknown(snapshot: &Snapshot, context: &str, edges: &[EdgeForecast], pages: &[PageForecast]) -> Vec<String> {
    let mut unknown = Vec::new();
    let is_here = |edge: &EdgeTraffic| edge.caller == context || edge.callee == context;
    if edges.iter().all(|edge| edge.calls == 0) {
        let why = match snapshot.edges.iter().any(is_here) {
            true => "no call has crossed its edges since the host started",
            false => "it calls no context, and none calls it",
        };
        unknown.push(why.to_owned());
    } else if pages.is_empty() {
        unknown.push("no recorded page leads to it: `[recording]` may be off, or too little was asked".to_owned());
    }
    for page in pages.iter().filter(|page| page.samples < limits::FORECAST_SAMPLES_MIN) {
        unknown.push(format!("{} {} rests on {} recorded requests", page.context, page.page, page.samples));
    }
    unknown
}
