//! Whether the stores are those that the host has seen, and can be brought to the schemas of the components. Seen while
//! no host uses them.

use std::sync::Arc;

use seam_runtime::alone::probe;
use seam_runtime::component::ContextProblem;
use seam_runtime::serve::LinkedSystem;
use seam_store::ids::ContextName;
use seam_store::{HostFile, Migration, Register, file_name};

use super::undelivered;
use crate::deploy::History;
use crate::folder::{self, Folder};
use crate::manifest::{Context, Manifest};

/// Files of contexts that live on another host, each with what to do about it.
pub fn left_behind(manifest: &Manifest) -> Vec<(String, String)> {
    let stores = folder::stores(&manifest.host.data);
    let left = |context: &Context| {
        let name = &context.settings.name;
        let host = manifest.placement.host_of(name).filter(|_| !manifest.placement.lives_here(name))?;
        let file = stores.join(file_name(name));
        let message = format!(
            "`{}` is the file of `{name}`, which lives on host `{}`: this host does not use it",
            file.display(),
            host.name
        );
        let remedy = format!(
            "if it was not moved yet, put a backup of it back there: `seam restore {name} --from FOLDER --as {}`; else \
             remove it",
            host.name
        );
        file.is_file().then_some((message, remedy))
    };
    manifest.contexts.iter().filter_map(left).collect()
}

/// The reasons why a start would refuse the stores, and the events that no start would deliver. Empty while a host uses
/// them: it serves with them.
pub fn problems(
    manifest: &Manifest,
    linked: &LinkedSystem,
    migrations: &[(ContextName, Vec<Migration>)],
) -> Vec<ContextProblem> {
    let data = &manifest.host.data;
    if !folder::is_data(data) {
        return Vec::new();
    }
    let Ok(_locked) = Folder::lock(data) else { return Vec::new() };
    // Without it, a start says why.
    let Ok(host) = HostFile::open(data).map(Arc::new) else { return Vec::new() };
    let serving = History::new(host.clone()).and_then(|history| history.serving());
    let (Ok(serving), Ok(register)) = (serving, Register::open(host)) else { return Vec::new() };
    let mut problems = Vec::new();
    let lives_here = |context: &ContextName| manifest.placement.lives_here(context);
    for spec in linked.specs().iter().filter(|spec| lives_here(&spec.settings.name)) {
        let name = &spec.settings.name;
        let deployed = serving.iter().find(|serving| serving.context == name.as_str());
        // A deployed version serves instead of the manifest's component, with the file that it has.
        if deployed.is_some_and(|deployed| deployed.hash != spec.component.hash) {
            continue;
        }
        let Some((_, migrations)) = migrations.iter().find(|(of, _)| of == name) else { continue };
        let tolerated = deployed.and_then(|deployed| deployed.tolerated_schema);
        problems.extend(probe::store_problem(&spec.settings, &folder::stores(data), &register, migrations, tolerated));
    }
    problems.extend(undelivered::problems(linked.specs(), &lives_here, &folder::stores(data)));
    problems
}
