//! `seam compare`: the variants of a context side by side.

use seam_runtime::route::{Compared, Comparison};

use super::error::CommandError;
use super::global::Format;
use super::out;
use crate::admin::CompareRequest;
use crate::admin::client::Client;
use crate::manifest::Manifest;

pub fn run(manifest: &Manifest, context: &str, format: Format) -> Result<(), CommandError> {
    let comparison = Client::connect(&manifest.host.data)?.compare(&CompareRequest { context: context.to_owned() })?;
    match format {
        Format::Json => out::json(&comparison),
        Format::Human => {
            if comparison.variants.iter().all(|variant| variant.clicks.is_none()) {
                out::note(&format!("clicks are not recorded: set `clicks` of [context.{context}]"));
            }
            out::text(&shown(&comparison))
        }
    }
}

fn shown(comparison: &Comparison) -> String {
    const HEADER: [&str; 12] = [
        "VARIANT", "ROLE", "CALLS", "ERRORS", "P50", "P99", "CLICKS", "CLICKED", "COMPARED", "EQUAL", "OVERLAP",
        "DROPPED",
    ];
    let none = || "-".to_owned();
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let row = |variant: &Compared| {
        let timed = |us: f64| if variant.calls == 0 { none() } else { out::time(us) };
        let role = match (variant.shadow, variant.weight) {
            (true, _) => "shadow".to_owned(),
            (false, 0) => none(),
            (false, weight) => format!("weight {weight}"),
        };
        let answered = variant.calls - variant.errors.min(variant.calls);
        let through = variant.clicks.filter(|_| answered > 0).map(|clicks| percent(clicks as f64 / answered as f64));
        let beside = variant.beside.as_ref();
        let equal = beside.filter(|b| b.compared > 0).map(|b| percent(b.equal as f64 / b.compared as f64));
        vec![
            variant.name.clone(),
            role,
            variant.calls.to_string(),
            variant.errors.to_string(),
            timed(variant.p50_us),
            timed(variant.p99_us),
            variant.clicks.map_or_else(|| "not recorded".to_owned(), |clicks| clicks.to_string()),
            through.unwrap_or_else(none),
            beside.map_or_else(none, |b| b.compared.to_string()),
            equal.unwrap_or_else(none),
            beside.and_then(|b| b.overlap).map_or_else(none, percent),
            beside.map_or_else(none, |b| b.dropped.to_string()),
        ]
    };
    let rows: Vec<_> = comparison.variants.iter().map(row).collect();
    let right: Vec<&str> = HEADER.iter().skip(2).copied().collect();
    out::table(&HEADER, &rows, &right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use seam_runtime::route::Beside;

    #[test]
    fn each_variant_is_a_row_and_unknown_values_are_dashes() {
        let one = Compared {
            name: "rust".into(),
            weight: 9,
            shadow: false,
            calls: 200,
            errors: 0,
            p50_us: 310.4,
            p99_us: 2_400.0,
            clicks: Some(5),
            beside: None,
        };
        let beside = Beside { compared: 40, equal: 10, overlap: Some(0.625), failed: 2, dropped: 158 };
        let shadow = Compared {
            name: "python".into(),
            weight: 0,
            shadow: true,
            calls: 42,
            errors: 2,
            clicks: Some(0),
            beside: Some(beside),
            ..one.clone()
        };
        let idle = Compared { name: "js".into(), weight: 0, calls: 0, clicks: None, ..one.clone() };
        let expect = "\
VARIANT  ROLE      CALLS  ERRORS     P50     P99        CLICKS  CLICKED  COMPARED   EQUAL  OVERLAP  DROPPED
rust     weight 9    200       0  310 us  2.4 ms             5    2.5 %         -       -        -        -
python   shadow       42       2  310 us  2.4 ms             0    0.0 %        40  25.0 %   62.5 %      158
js       -             0       0       -       -  not recorded        -         -       -        -        -
";
        let comparison = Comparison { context: "engine".into(), variants: vec![one, shadow, idle] };
        assert_eq!(shown(&comparison), expect);
    }
}
