//! The figures of one bench: medians over rounds, ratios, targets, and how they are printed.

use std::fmt::Write as _;

use serde::Serialize;

/// All that was measured.
#[derive(Default, Serialize)]
pub struct Report {
    /// Processor time per request, order or session, and what the clients saw.
    pub pages: Vec<Table>,
    pub calls: Option<Calls>,
    pub events: Option<Events>,
    pub processes: Vec<Process>,
}

/// The variants of one page beside each other; the first is what the others are compared with.
#[derive(Serialize)]
pub struct Table {
    pub name: String,
    /// What the figures are for one of.
    pub unit: &'static str,
    pub variants: Vec<Variant>,
}

#[derive(Serialize)]
pub struct Variant {
    pub name: String,
    pub cpu_us: f64,
    /// Of its processor time to the first variant's.
    pub ratio: f64,
    /// The ratio it should not exceed.
    pub target: Option<f64>,
    pub per_s: f64,
    pub p50_us: u32,
    pub p99_us: u32,
}

/// One call from one context to another, in nanoseconds.
#[derive(Serialize)]
pub struct Calls {
    pub seam_ns: f64,
    /// The same to a context that has a variant.
    pub routed_ns: f64,
    /// The same with no call ever recorded, and with each of them in a call log.
    pub unrecorded_ns: f64,
    pub logged_ns: f64,
    pub bare_val_ns: f64,
    pub loopback_http_ns: f64,
}

/// Events from one context to another, in microseconds.
#[derive(Serialize)]
pub struct Events {
    /// From the outbox to the commit of its handler, for each event.
    pub seam_us: f64,
    pub native_us: f64,
    /// The processor's time for each event.
    pub seam_cpu_us: f64,
    pub native_cpu_us: f64,
    /// A call that writes a row and commits, without an event and with one.
    pub plain_call_us: f64,
    pub publishing_call_us: f64,
}

#[derive(Serialize)]
pub struct Process {
    pub name: String,
    /// From the start of the process to its first page.
    pub start_ms: Option<f64>,
    pub start_ms_target: Option<f64>,
    pub peak_mb: f64,
}

impl Process {
    /// Whether it keeps its target; `None` without one.
    fn start_kept(&self) -> Option<bool> {
        Some(self.start_ms? <= self.start_ms_target?)
    }
}

/// A local call is to be so many times cheaper than a loopback HTTP one.
pub const HTTP_TO_SEAM_MIN: f64 = 15.0;
/// And is to cost at most this much of what bare wasmtime costs.
pub const SEAM_TO_BARE_MAX: f64 = 1.15;

/// A delivered event is to cost at most so many times what it costs a native program.
pub const EVENT_TO_NATIVE_MAX: f64 = 2.0;
/// And so many are to be delivered in a second.
pub const EVENTS_PER_S_MIN: f64 = 20_000.0;
/// A call that commits is to take at most so many times as long when it publishes one.
pub const PUBLISHING_MAX: f64 = 1.15;

/// The middle value; the mean of the two in the middle when there are two.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.len() % 2) {
        (None, _) => f64::NAN,
        (Some(value), 1) => *value,
        (Some(value), _) => (value + values.get(middle.wrapping_sub(1)).copied().unwrap_or(*value)) / 2.0,
    }
}

impl Calls {
    pub fn http_to_seam(&self) -> f64 {
        self.loopback_http_ns / self.seam_ns
    }

    pub fn seam_to_bare(&self) -> f64 {
        self.seam_ns / self.bare_val_ns
    }
}

impl Events {
    pub fn per_s(&self) -> f64 {
        1e6 / self.seam_us
    }

    pub fn to_native(&self) -> f64 {
        self.seam_us / self.native_us
    }

    pub fn publishing(&self) -> f64 {
        self.publishing_call_us / self.plain_call_us
    }

    fn keeps_targets(&self) -> bool {
        self.per_s() >= EVENTS_PER_S_MIN
            && self.to_native() <= EVENT_TO_NATIVE_MAX
            && self.publishing() <= PUBLISHING_MAX
    }

    fn write(&self, out: &mut String) {
        let _ = writeln!(out, "{:<34}{:>12}", "events", "time");
        let rows = [
            ("native, one event delivered", self.native_us, String::new()),
            (
                "seam, one event delivered",
                self.seam_us,
                format!(
                    "{:.2} of native (at most {EVENT_TO_NATIVE_MAX}), {:.0} a second (at least {EVENTS_PER_S_MIN})  {}",
                    self.to_native(),
                    self.per_s(),
                    verdict(self.to_native() <= EVENT_TO_NATIVE_MAX && self.per_s() >= EVENTS_PER_S_MIN)
                ),
            ),
            ("native, processor's time", self.native_cpu_us, String::new()),
            (
                "seam, processor's time",
                self.seam_cpu_us,
                format!("{:.2} of native", self.seam_cpu_us / self.native_cpu_us),
            ),
            ("a call that commits", self.plain_call_us, String::new()),
            (
                "the same, publishing an event",
                self.publishing_call_us,
                format!(
                    "{:.2} of without (at most {PUBLISHING_MAX})  {}",
                    self.publishing(),
                    verdict(self.publishing() <= PUBLISHING_MAX)
                ),
            ),
        ];
        for (name, us, note) in rows {
            let _ = writeln!(out, "  {name:<32}{us:>9.1} us  {note}");
        }
        out.push('\n');
    }
}

impl Report {
    /// Whether every figure that has a target keeps it.
    pub fn keeps_targets(&self) -> bool {
        let pages = self.pages.iter().flat_map(|table| &table.variants).all(|v| v.target.is_none_or(|t| v.ratio <= t));
        let calls = self.calls.as_ref();
        let calls = calls.is_none_or(|c| c.http_to_seam() >= HTTP_TO_SEAM_MIN && c.seam_to_bare() <= SEAM_TO_BARE_MAX);
        let events = self.events.as_ref().is_none_or(Events::keeps_targets);
        pages && calls && events && self.processes.iter().all(|p| p.start_kept().unwrap_or(true))
    }

    pub fn text(&self) -> String {
        let mut out = String::new();
        for table in &self.pages {
            table.write(&mut out);
        }
        if let Some(calls) = &self.calls {
            calls.write(&mut out);
        }
        if let Some(events) = &self.events {
            events.write(&mut out);
        }
        if !self.processes.is_empty() {
            let _ = writeln!(out, "{:<34}{:>12}{:>10}{:>14}", "processes", "first 200", "target", "peak memory");
        }
        for process in &self.processes {
            let ms = |ms: Option<f64>| ms.map_or(String::new(), |ms| format!("{ms:.0} ms"));
            let _ = writeln!(
                out,
                "  {:<32}{:>12}{:>10}{:>11.1} MB  {}",
                process.name,
                ms(process.start_ms),
                ms(process.start_ms_target),
                process.peak_mb,
                process.start_kept().map_or("", verdict)
            );
        }
        out
    }
}

impl Table {
    /// Makes a variant's row from its medians; the ratio is to the first variant.
    pub fn add(&mut self, name: &str, target: Option<f64>, cpu_us: f64, per_s: f64, p50_us: u32, p99_us: u32) {
        let ratio = self.variants.first().map_or(1.0, |first| cpu_us / first.cpu_us);
        self.variants.push(Variant { name: name.to_owned(), cpu_us, ratio, target, per_s, p50_us, p99_us });
    }

    fn write(&self, out: &mut String) {
        let unit = self.unit;
        let heads = [&*format!("CPU/{unit}"), "ratio", "target", &*format!("{unit}s/s"), "p50", "p99"];
        let _ = write!(out, "{:<34}", self.name);
        for head in heads {
            let _ = write!(out, "{head:>12}");
        }
        out.push('\n');
        for v in &self.variants {
            let target = v.target.map_or(String::new(), |t| format!("{t:.2}"));
            let verdict = v.target.map_or("", |t| verdict(v.ratio <= t));
            let _ = writeln!(
                out,
                "  {:<32}{:>9.1} us{:>12.2}{target:>12}{:>12.0}{:>9} us{:>9} us  {verdict}",
                v.name, v.cpu_us, v.ratio, v.per_s, v.p50_us, v.p99_us
            );
        }
        out.push('\n');
    }
}

impl Calls {
    fn write(&self, out: &mut String) {
        let _ = writeln!(out, "{:<34}{:>12}", "one call between contexts", "time");
        let rows = [
            ("bare wasmtime, `Val`", self.bare_val_ns, String::new()),
            (
                "through the seam",
                self.seam_ns,
                format!(
                    "{:.2} of bare (at most {SEAM_TO_BARE_MAX})  {}",
                    self.seam_to_bare(),
                    verdict(self.seam_to_bare() <= SEAM_TO_BARE_MAX)
                ),
            ),
            (
                "to a context with a variant",
                self.routed_ns,
                format!("{:.2} of one without", self.routed_ns / self.seam_ns),
            ),
            (
                "with nothing recorded",
                self.unrecorded_ns,
                format!("{:.2} of through the seam", self.unrecorded_ns / self.seam_ns),
            ),
            (
                "with each call recorded",
                self.logged_ns,
                format!("{:.2} of through the seam", self.logged_ns / self.seam_ns),
            ),
            (
                "loopback HTTP and JSON",
                self.loopback_http_ns,
                format!(
                    "{:.1} seam calls (at least {HTTP_TO_SEAM_MIN})  {}",
                    self.http_to_seam(),
                    verdict(self.http_to_seam() >= HTTP_TO_SEAM_MIN)
                ),
            ),
        ];
        for (name, ns, note) in rows {
            let _ = writeln!(out, "  {name:<32}{ns:>9.0} ns  {note}");
        }
        out.push('\n');
    }
}

fn verdict(kept: bool) -> &'static str {
    if kept { "ok" } else { "MISSED" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn the_first_variant_is_one_and_a_missed_target_is_said() {
        let mut table = Table { name: "hello".into(), unit: "request", variants: Vec::new() };
        table.add("native", None, 10.0, 20_000.0, 40, 90);
        table.add("seam", Some(4.0), 25.0, 9_000.0, 60, 120);
        let mut report = Report { pages: vec![table], ..Report::default() };
        assert!(report.keeps_targets());
        assert!(report.text().contains("2.50"), "{}", report.text());
        report.calls = Some(Calls {
            seam_ns: 2000.0,
            routed_ns: 2100.0,
            unrecorded_ns: 1990.0,
            logged_ns: 4000.0,
            bare_val_ns: 1900.0,
            loopback_http_ns: 20_000.0,
        });
        assert!(!report.keeps_targets());
        assert!(report.text().contains("10.0 seam calls (at least 15)  MISSED"), "{}", report.text());
    }
}
