//! `standby`, `takeover` and `acknowledge` of a context: which host takes its file over when its own is gone, after how
//! long, and whether a commit waits until the store of backups has it.

use std::time::Duration;

use seam_store::ids::ContextName;

use super::hosts::host_name;
use super::model::{Context, Manifest, Places, Standby};
use super::placement::HostName;
use super::table::Table;
use crate::limits;
use crate::times::duration;

/// `None` when the context has none of the keys.
pub(super) fn standby(table: &Table<'_, '_>, places: &mut Places) -> Option<Standby> {
    let host = host_name(table, "standby");
    let takeover = table.string("takeover", "15s");
    let acknowledge = table.string("acknowledge", "replicated");
    let report = |place, message: String, remedy: &str| table.document.report(place, message, remedy);
    if let Some(host) = &host {
        places.parts.insert("standby".to_owned(), host.place);
    }
    let replicated = acknowledge.as_ref().is_some_and(|text| text.value == "replicated");
    if let Some(text) = &acknowledge {
        places.parts.insert("acknowledge".to_owned(), text.place);
        if !replicated && text.value != "local" {
            let message = format!("`{}` is `{}`", table.path("acknowledge"), text.value);
            report(text.place, message, "write `replicated`, or `local`, which is the default");
        }
    }
    let mut time = Duration::from_millis(limits::STANDBY_TAKEOVER_MS);
    if let Some(text) = &takeover {
        let (least, most) = (limits::STANDBY_TAKEOVER_MS_MIN / 1_000, limits::STANDBY_TAKEOVER_MS_MAX / 1_000);
        match duration(&text.value) {
            _ if !table.has("standby") => {
                let message = format!("`{}` without a `standby`", table.path("takeover"));
                report(text.place, message, "name the host that takes over: `standby = \"HOST\"`, or remove it");
            }
            Some(found) if (least..=most).contains(&found.as_secs()) => time = found,
            _ => {
                let message = format!("`{}` is `{}`", table.path("takeover"), text.value);
                report(text.place, message, &format!("write a time such as `15s`, from {least} to {most} seconds"));
            }
        }
    }
    (host.is_some() || replicated).then(|| Standby { host: host.map(|host| host.value), takeover: time, replicated })
}

impl Manifest {
    /// The contexts that have a standby, each with the two hosts that may own its file: its own by its entry, and the
    /// standby.
    pub fn pairs(&self) -> impl Iterator<Item = (&Context, &Standby, [&HostName; 2])> {
        self.entries().filter_map(|context| {
            let standby = context.standby.as_ref()?;
            Some((context, standby, [self.placed(context)?, standby.host.as_ref()?]))
        })
    }

    /// The two hosts that may own the file of this context, if it has a standby.
    pub fn pair(&self, name: &ContextName) -> Option<[&HostName; 2]> {
        self.pairs().find(|(context, ..)| context.settings.name == *name).map(|(_, _, pair)| pair)
    }

    /// Whether a commit of this context waits for the store of backups.
    pub fn is_replicated(&self, name: &ContextName) -> bool {
        let is_it = |context: &&Context| context.settings.name == *name;
        self.entries().find(is_it).and_then(|context| context.standby.as_ref()).is_some_and(|one| one.replicated)
    }

    /// The host on which the manifest places it, wherever it has moved since.
    pub(super) fn placed(&self, context: &Context) -> Option<&HostName> {
        self.placement.placed.get(&context.settings.name)
    }
}
