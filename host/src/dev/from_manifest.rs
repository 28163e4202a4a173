//! What the development loop reads from a manifest: the components, the files to watch, and the changes that need a
//! restart.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use seam_runtime::component::{Component, ContextSpec};
use seam_store::ids::ContextName;

use super::notices::Notice;
use crate::build::{IncrementalBuilder, Source, incremental};
use crate::manifest::{Build, Context, Host, Manifest, Schedule, When};
use crate::watch::{Changes, Root};

/// The newest component of a context.
#[derive(Clone)]
pub struct LoadedComponent {
    pub component: Component,
    /// As in `ContextSpec`; `None` for a component that was built here.
    pub tolerated_schema: Option<u32>,
}

/// The manifest with the paths of the components that `seam dev` builds.
pub fn with_built_components(manifest: &Manifest) -> Manifest {
    let mut manifest = manifest.clone();
    for context in &mut manifest.contexts {
        context.settings.component = incremental::component(context);
    }
    manifest
}

/// The system that a manifest describes, without variants that are not built. `None` when a component is missing.
pub fn specs(manifest: &Manifest, components: &BTreeMap<ContextName, LoadedComponent>) -> Option<Vec<ContextSpec>> {
    let spec = |Context { settings: entry, .. }: &Context| {
        let newest = components.get(&entry.name).cloned();
        let spec = newest.map(|LoadedComponent { component, tolerated_schema }| ContextSpec {
            settings: entry.clone(),
            component,
            tolerated_schema,
        });
        if spec.is_none() && entry.name.variant().is_some() { None } else { Some(spec) }
    };
    manifest.contexts.iter().filter_map(spec).collect()
}

/// The contexts that `seam dev` builds by itself. This leaves out variants for which this machine may lack the tools,
/// until the developer has built them once with `seam build NAME`.
pub fn built_by_default(manifest: &Manifest) -> Vec<ContextName> {
    let by_default = |context: &&Context| {
        let by_cargo = matches!(context.build, Some(Build::Cargo { .. }));
        context.settings.name.variant().is_none() || by_cargo || incremental::component(context).is_file()
    };
    manifest.contexts.iter().filter(by_default).map(|context| context.settings.name.clone()).collect()
}

/// The files and folders to watch.
pub fn watch_roots(manifest: &Manifest, builder: &IncrementalBuilder) -> Vec<Root> {
    let mut roots = vec![Root::File(absolute(&manifest.path))];
    roots.extend(builder.sources().into_iter().map(|source| match source {
        Source::Folder(path) => Root::Folder(path),
        Source::File(path) => Root::File(path),
    }));
    roots.extend(assets(manifest).into_iter().map(Root::Folder));
    roots.extend(shared(manifest).map(|file| Root::File(absolute(file))));
    roots.sort();
    roots.dedup();
    roots
}

/// Whether the manifest or a `shared` file of it changed.
pub fn affects_manifest(manifest: &Manifest, changes: &Changes) -> bool {
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

/// Without their places, which move with every edit above them.
fn schedules(manifest: &Manifest) -> Vec<(&str, &str, &When)> {
    manifest.schedules.iter().map(|Schedule { context, call, when, .. }| (context.as_str(), &**call, when)).collect()
}

/// A notice for each setting of `next` that takes effect only after a restart.
pub fn needs_restart(started: &Manifest, next: &Manifest) -> Vec<Notice> {
    let (a, b) = (&started.host, &next.host);
    let logged = |host: &Host| (host.log, host.log_level.clone(), host.log_days, host.log_mb);
    let differs = [
        ("`listen` of [host]", a.listen != b.listen),
        ("`data` of [host]", a.data != b.data),
        ("`tls` of [host]", a.tls != b.tls),
        ("`ops` of [host]", a.ops != b.ops),
        ("the log's settings in [host]", logged(a) != logged(b)),
        ("[hosts] and where contexts live", !started.placement.is_same(&next.placement)),
        ("[http]", started.http != next.http),
        ("[[feed]]", started.feeds != next.feeds),
        ("[[schedule]]", schedules(started) != schedules(next)),
    ];
    let notice = |(what, _): (&str, bool)| Notice {
        message: format!("{what} takes effect after a restart"),
        remedy: "stop `seam dev` and start it again".into(),
        ..Notice::default()
    };
    differs.into_iter().filter(|(_, differs)| *differs).map(notice).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_changed_schedule_needs_a_restart_and_a_moved_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = |before: &str, every: u64| {
            let text = format!(
                "{before}[context.stock]\nbuild = {{ cargo = \"stock\" }}\n[[schedule]]\ncontext = \"stock\"\n\
                 call = \"levels.tidy\"\nevery_s = {every}\n"
            );
            Manifest::parse(&text, &folder.path().join("seam.toml")).unwrap()
        };
        assert!(needs_restart(&manifest("", 30), &manifest("\n# a comment\n", 30)).is_empty());
        let notices = needs_restart(&manifest("", 30), &manifest("", 60));
        assert_eq!(notices.len(), 1);
        assert_eq!(notices[0].message, "[[schedule]] takes effect after a restart");
    }
}
