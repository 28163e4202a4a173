//! Events in the contexts' files that the manifest lets no one deliver: set aside for a subscription that is gone, or
//! not taken from a context that no longer publishes them. Seen while no host uses the files.
//!
//! Not here: events that go on by themselves, and those that wait for an operator of a running host (`seam events`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use seam_runtime::component::{ContextProblem, ContextSpec};
use seam_runtime::settings::ContextSettings;
use seam_store::ids::{ContextName, interface_path};
use seam_store::{Config, EventTables, SetAside, Source, file_name};

/// What is left behind in the files of the folder `stores`, of the contexts that `lives_here` is true of.
pub fn problems(
    specs: &[ContextSpec],
    lives_here: &dyn Fn(&ContextName) -> bool,
    stores: &Path,
) -> Vec<ContextProblem> {
    let manifest = Manifest { all: specs.iter().map(|spec| &spec.settings).collect(), stores };
    let mut problems = Vec::new();
    for settings in manifest.all.iter().filter(|settings| lives_here(&settings.name)) {
        let Some(tables) = manifest.tables(settings) else { continue };
        // What cannot be read is another problem.
        for aside in tables.set_aside().unwrap_or_default() {
            problems.extend(manifest.set_aside(settings, &aside));
        }
        for (source, at) in tables.cursors().unwrap_or_default() {
            problems.extend(manifest.not_taken(settings, &source, at));
        }
    }
    for name in others(stores, &manifest.all) {
        problems.extend(gone(&name, stores));
    }
    problems
}

/// Who publishes and who subscribes by the manifest, and the files.
struct Manifest<'m> {
    all: Vec<&'m ContextSettings>,
    stores: &'m Path,
}

impl Manifest<'_> {
    fn tables(&self, settings: &ContextSettings) -> Option<EventTables> {
        let grant = settings.store.as_ref()?;
        EventTables::look(Config::of(&settings.name, grant, self.stores)).ok().flatten()
    }

    fn publishes(&self, source: &Source) -> bool {
        let publisher = self.all.iter().find(|other| other.name.as_str() == source.publisher);
        publisher.is_some_and(|publisher| {
            publisher.publishes.iter().any(|other| interface_path(&other.interface) == source.interface)
        })
    }

    /// Events that the file of a context holds, and that the host does not deliver.
    fn set_aside(&self, context: &ContextSettings, aside: &SetAside) -> Option<ContextProblem> {
        let (name, Source { publisher, interface }) = (&context.name, &aside.source);
        let (no_longer, remedy) = if !subscribes(context, interface) {
            let remedy = format!(
                "put `subscribes.\"{interface}\"` back into [context.{name}], start the host, and retry or discard them: \
                 `seam events list {name}`"
            );
            (format!("`{name}` no longer subscribes to `{interface}`"), remedy)
        } else if !self.publishes(&aside.source) {
            let remedy = format!(
                "put `publishes.\"{interface}\"` back into [context.{publisher}], start the host, and retry or discard \
                 them: `seam events list {name}`"
            );
            (format!("`{publisher}` no longer publishes `{interface}`"), remedy)
        } else {
            return None;
        };
        let message = format!("{no_longer}, and the file of `{name}` holds {} of `{publisher}`", held(aside));
        Some(problem(name, message, remedy))
    }

    /// Events that a context subscribes to and has not taken, of a publisher that publishes them no longer.
    fn not_taken(&self, context: &ContextSettings, source: &Source, at: u64) -> Option<ContextProblem> {
        let (name, Source { publisher, interface }) = (&context.name, source);
        if !subscribes(context, interface) || self.publishes(source) {
            return None;
        }
        let tables = match self.all.iter().find(|other| other.name.as_str() == publisher) {
            Some(settings) => self.tables(settings)?,
            None => look_plain(publisher, self.stores)?,
        };
        let events = tables.published_after(interface, at).ok().filter(|events| *events > 0)?;
        let events = count(events, "event");
        let message =
            format!("`{publisher}` no longer publishes `{interface}`, and `{name}` has not taken {events} of it");
        let remedy = format!(
            "put `publishes.\"{interface}\"` back into [context.{publisher}] until `seam events` shows that none waits"
        );
        Some(problem(name, message, remedy))
    }
}

fn subscribes(context: &ContextSettings, interface: &str) -> bool {
    context.subscribes.iter().any(|other| interface_path(&other.interface) == interface)
}

/// Contexts that have a file and are not in the manifest. A variant's file is made again from events.
fn others(stores: &Path, all: &[&ContextSettings]) -> BTreeSet<ContextName> {
    let name = |path: PathBuf| ContextName::new(path.file_name()?.to_str()?.strip_suffix(".db")?);
    let files = std::fs::read_dir(stores).into_iter().flatten().flatten();
    let known = |name: &ContextName| all.iter().any(|settings| settings.name == *name);
    files.filter_map(|file| name(file.path())).filter(|name| !known(name)).collect()
}

/// What the file of a context that is not in the manifest holds.
fn gone(name: &ContextName, stores: &Path) -> Vec<ContextProblem> {
    let Some(tables) = look_plain(name.as_str(), stores) else { return Vec::new() };
    let file = stores.join(file_name(name));
    let one = |aside: SetAside| {
        let Source { publisher, interface } = &aside.source;
        let held = held(&aside);
        let message =
            format!("`{name}` is not in the manifest, and its file holds {held} of `{publisher}` (`{interface}`)");
        let remedy = format!(
            "put [context.{name}] back, start the host, and retry or discard them: `seam events list {name}`; or move \
             `{}` away, with them",
            file.display()
        );
        problem(name, message, remedy)
    };
    tables.set_aside().unwrap_or_default().into_iter().map(one).collect()
}

/// The tables of a file that the manifest says nothing of; `None` also if it is encrypted.
fn look_plain(context: &str, stores: &Path) -> Option<EventTables> {
    let config = Config::plain(stores.join(file_name(&ContextName::new(context)?)), 1);
    EventTables::look(config).ok().flatten()
}

fn held(aside: &SetAside) -> String {
    let letters = count(aside.dead, "dead letter");
    match (aside.events - aside.dead, aside.dead) {
        (0, _) => letters,
        (waiting, 0) => format!("{} that it has not handled", count(waiting, "event")),
        (waiting, _) => format!("{} that it has not handled and {letters}", count(waiting, "event")),
    }
}

fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn problem(context: &ContextName, message: String, remedy: String) -> ContextProblem {
    ContextProblem { context: context.clone(), part: "subscribes".to_owned(), message, remedy }
}
