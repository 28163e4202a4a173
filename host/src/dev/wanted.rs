//! What a manifest means to the loop: which components, which files to watch, what only a start can change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::notices::Notice;
use crate::build::{IncrementalBuilder, Source, incremental};
use crate::manifest::{Build, Context, Manifest};
use crate::watch::{Changes, Root};
use seam_runtime::component::{Component, ContextSpec};
use seam_store::ids::ContextName;

/// The newest component of a context.
#[derive(Clone)]
pub struct Newest {
    pub component: Component,
    /// As in `ContextSpec`: `None` for what was built here.
    pub tolerated_schema: Option<u32>,
}

/// The manifest with the components that the workshop makes.
pub fn of_workshop(manifest: &Manifest) -> Manifest {
    let mut manifest = manifest.clone();
    for context in &mut manifest.contexts {
        context.settings.component = incremental::component(context);
    }
    manifest
}

/// The system that a manifest describes, without variants that nobody has built; `None` when a component is missing.
pub fn specs(manifest: &Manifest, components: &BTreeMap<ContextName, Newest>) -> Option<Vec<ContextSpec>> {
    let spec = |Context { settings: entry, .. }: &Context| {
        let newest = components.get(&entry.name).cloned();
        let spec = newest.map(|Newest { component, tolerated_schema }| ContextSpec {
            settings: entry.clone(),
            component,
            tolerated_schema,
        });
        if spec.is_none() && entry.name.variant().is_some() { None } else { Some(spec) }
    };
    manifest.contexts.iter().filter_map(spec).collect()
}

/// The contexts that are to be built though none of their sources changed: all, but for variants for which this machine may lack the
/// tools, until somebody has built them.
pub fn built_unasked(manifest: &Manifest) -> Vec<ContextName> {
    let unasked = |context: &&Context| {
        let by_cargo = matches!(context.build, Some(Build::Cargo { .. }));
        context.settings.name.variant().is_none() || by_cargo || incremental::component(context).is_file()
    };
    manifest.contexts.iter().filter(unasked).map(|context| context.settings.name.clone()).collect()
}

/// Everything whose change matters.
pub fn roots(manifest: &Manifest, workshop: &IncrementalBuilder) -> Vec<Root> {
    let mut roots = vec![Root::File(absolute(&manifest.path))];
    roots.extend(workshop.sources().into_iter().map(|source| match source {
        Source::Folder(path) => Root::Folder(path),
        Source::File(path) => Root::File(path),
    }));
    roots.extend(assets(manifest).into_iter().map(Root::Folder));
    roots.extend(shared(manifest).map(|file| Root::File(absolute(file))));
    roots.sort();
    roots.dedup();
    roots
}

/// Whether these changes make another manifest: the file itself, or one whose values it hands on.
pub fn steers(manifest: &Manifest, changes: &Changes) -> bool {
    changes.paths.contains(&absolute(&manifest.path))
        || shared(manifest).any(|file| changes.paths.contains(&absolute(file)))
}

/// The folders of static files.
pub fn assets(manifest: &Manifest) -> Vec<PathBuf> {
    manifest.contexts.iter().filter_map(|context| context.assets.as_deref()).map(absolute).collect()
}

fn shared(manifest: &Manifest) -> impl Iterator<Item = &Path> {
    manifest.contexts.iter().flat_map(|context| &context.settings.shared).map(|shared| shared.file.as_path())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.into())
}

/// What `next` says and the running process cannot do.
pub fn needs_restart(started: &Manifest, next: &Manifest) -> Vec<Notice> {
    let (a, b) = (&started.host, &next.host);
    let differs = [
        ("`listen` of [host]", a.listen != b.listen),
        ("`data` of [host]", a.data != b.data),
        ("`tls` of [host]", a.tls != b.tls),
        ("`ops` of [host]", a.ops != b.ops),
        ("the log's settings in [host]", (a.log, &a.log_level, a.log_days) != (b.log, &b.log_level, b.log_days)),
        ("[http]", started.http != next.http),
    ];
    let notice = |(what, _): (&str, bool)| Notice {
        message: format!("{what} takes effect with the next start"),
        remedy: "stop `seam dev` and start it again".into(),
        ..Notice::default()
    };
    differs.into_iter().filter(|(_, differs)| *differs).map(notice).collect()
}
