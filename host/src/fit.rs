//! Whether components do what the manifest asks of them: a mounted context answers requests, a seed's function takes
//! rows.
//!
//! One list for `seam check`, a start, a deploy and `seam dev`. Not here: whether contexts fit each other
//! (`seam_runtime::link`).

use std::path::Path;

use seam_runtime::component::{
    Component, ContextProblem, ContextSpec, HTTP_HANDLER, WASI_HTTP, is_seam, wit_of, wit_type,
};
use seam_runtime::did_you_mean;
use seam_store::ids::ContextName;

use crate::manifest::{Manifest, Seed};

/// Everything that the components do not do although the manifest asks it of them.
pub fn problems(manifest: &Manifest, specs: &[ContextSpec]) -> Vec<ContextProblem> {
    let mounted = manifest.mounts.iter().map(|mount| &mount.context);
    let mut problems = unserved(mounted, specs);
    problems.extend(manifest.seeds.iter().filter_map(|seed| misfit(seed, specs)));
    problems
}

/// The seeds whose files cannot be read. A start that loads no seeds does not need them.
pub fn missing_files(manifest: &Manifest) -> Vec<ContextProblem> {
    let missing = |seed: &&Seed| std::fs::File::open(&seed.file).is_err();
    manifest.seeds.iter().filter(missing).map(|seed| missing_file(&seed.context, &seed.file)).collect()
}

fn missing_file(context: &ContextName, file: &Path) -> ContextProblem {
    ContextProblem {
        context: context.clone(),
        part: Manifest::seed_part(file),
        message: format!("cannot read the seed `{}` of `{context}`", file.display()),
        remedy: "create the file, or remove its `[[seed]]`; `seam up --no-seeds` starts without seeds".to_owned(),
    }
}

/// Whether the component answers requests.
pub fn serves_http(component: &Component) -> bool {
    component.exports.iter().any(|export| [HTTP_HANDLER, WASI_HTTP].contains(&export.name.path.as_str()))
}

/// The contexts that are mounted and cannot answer requests. Every request to them would get 404.
pub fn unserved<'m>(mounted: impl Iterator<Item = &'m ContextName>, specs: &[ContextSpec]) -> Vec<ContextProblem> {
    let spec = |name: &ContextName| specs.iter().find(|spec| spec.settings.name == *name);
    let silent = mounted.filter(|name| spec(name).is_some_and(|spec| !serves_http(&spec.component)));
    let problem = |name: &ContextName| ContextProblem {
        context: name.clone(),
        part: Manifest::MOUNT_PART.to_owned(),
        message: format!("`{name}` is mounted, but answers no requests: it exports no HTTP handler"),
        remedy: format!("export `{HTTP_HANDLER}` or `{WASI_HTTP}` from it, or remove its `[[mount]]`"),
    };
    let mut problems: Vec<_> = silent.map(problem).collect();
    problems.dedup();
    problems
}

/// Why the function of a seed cannot take its rows.
fn misfit(seed: &Seed, specs: &[ContextSpec]) -> Option<ContextProblem> {
    let name = &seed.context;
    let component = &specs.iter().find(|spec| spec.settings.name == *name)?.component;
    let (interface, function) = seed.call.rsplit_once('.')?;
    let path = interface.split('@').next().unwrap_or_default();
    let seams = || component.exports.iter().filter(|export| is_seam(&export.name));
    let found = seams()
        .filter(|export| export.name.path == path || export.name.short() == path)
        .find_map(|export| export.functions.iter().find(|(known, _)| known == function));
    let (what, remedy) = match found {
        None => {
            let known: Vec<String> = seams()
                .flat_map(|export| export.functions.iter().map(|(f, _)| format!("{}.{f}", export.name.short())))
                .collect();
            let remedy = did_you_mean::hint(&seed.call, known.iter().map(String::as_str));
            (format!("`{name}` has no function `{}` to load the seed with", seed.call), remedy)
        }
        Some((function, ty)) => {
            let params: Vec<String> = ty.params().map(|(_, ty)| wit_type(&ty)).collect();
            if matches!(params.as_slice(), [one] if one.starts_with("list<")) {
                return None;
            }
            let remedy = format!("name a function that takes one list of rows; this one is {}", wit_of(function, ty));
            (format!("`{}` of `{name}` does not take one list", seed.call), remedy)
        }
    };
    Some(ContextProblem { context: name.clone(), part: Manifest::seed_part(&seed.file), message: what, remedy })
}
