//! `publishes` and `subscribes`: seams of a context that are answered later.

use std::time::Duration;

use seam_runtime::settings::{Publication, Subscription};

use super::keys::names_interface;
use super::model::Places;
use super::table::{At, Table};
use crate::limits;
use crate::times::duration;

/// The events interfaces that the context publishes.
pub fn publishes(context: &Table<'_, '_>, places: &mut Places) -> Vec<Publication> {
    let read = |(interface, table): (At<String>, Table<'_, '_>)| {
        let key = table.string("key", "order").map(|key| key.value);
        let due = table.string("due", "due").map(|due| due.value);
        let keep = match table.string("keep", "7d") {
            None => Some(Duration::from_secs(limits::EVENT_KEEP_S)),
            Some(keep) if keep.value == "forever" => None,
            Some(keep) => match duration(&keep.value) {
                Some(keep) => Some(keep),
                None => {
                    let message = format!("`{}` is `{}`, which is no time", table.path("keep"), keep.value);
                    table.document.report(keep.place, message, "write `30d`, `12h`, `45m`, or `forever`");
                    None
                }
            },
        };
        table.finish();
        named(context, &interface).then_some((interface, Publication { interface: String::new(), key, due, keep }))
    };
    let found = context.named_tables("publishes").into_iter().filter_map(read);
    let placed = found.map(|(interface, publication)| {
        places.parts.insert(interface.value.clone(), interface.place);
        Publication { interface: interface.value, ..publication }
    });
    placed.collect()
}

/// The events interfaces that the host delivers to the context.
pub fn subscribes(context: &Table<'_, '_>, places: &mut Places) -> Vec<Subscription> {
    let read = |(interface, table): (At<String>, Table<'_, '_>)| {
        let small = |key, most: u32, default: u32| {
            u32::try_from(table.integer(key, 1..=u64::from(most), u64::from(default))).unwrap_or(default)
        };
        let batch = small("batch", limits::EVENT_BATCH_MAX, 1);
        let tries = small("tries", limits::EVENT_TRIES_MAX, limits::EVENT_TRIES);
        let pause_max = table.integer("pause_max_s", 1..=limits::EVENT_PAUSE_S_MAX, limits::EVENT_PAUSE_S);
        table.finish();
        let subscription = Subscription {
            interface: interface.value.clone(),
            batch,
            tries,
            pause_max: Duration::from_secs(pause_max),
        };
        named(context, &interface).then_some((interface, subscription))
    };
    let found = context.named_tables("subscribes").into_iter().filter_map(read);
    let placed = found.map(|(interface, subscription)| {
        places.parts.insert(interface.value, interface.place);
        subscription
    });
    placed.collect()
}

fn named(context: &Table<'_, '_>, interface: &At<String>) -> bool {
    let valid = names_interface(&interface.value);
    if !valid {
        let message = format!("`{}` is not a valid interface name", interface.value);
        let remedy = "write `\"namespace:package/interface\"`, with or without `@1.2.3`, in quotes";
        context.document.report(interface.place, message, remedy);
    }
    valid
}
