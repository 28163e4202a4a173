//! Whether components do what the manifest asks of them: a mounted context answers requests, a seed's function takes
//! rows, a schedule's function takes nothing, a context that is to mend can be asked.
//!
//! One list for `seam check`, a start, a deploy and `seam dev`. Not here: whether contexts fit each other
//! (`seam_runtime::link`).

use seam_runtime::component::{
    Component, ContextProblem, ContextSpec, FunctionName, HTTP_HANDLER, InterfaceName, RECONCILIATION, WASI_HTTP,
    distinct_name, is_seam, wit_of,
};
use seam_runtime::did_you_mean;
use seam_store::ids::ContextName;
use wasmtime::component::types::{ComponentFunc, Type};

use crate::manifest::{Manifest, Reconcile, Schedule, Seed};

/// What the host itself calls, as a manifest says it.
#[derive(Debug, Clone, Default)]
pub struct HostCalls {
    /// Contexts that answer requests.
    pub mounted: Vec<ContextName>,
    pub schedules: Vec<Schedule>,
    pub reconciles: Vec<Reconcile>,
}

impl HostCalls {
    pub fn of(manifest: &Manifest) -> Self {
        let mounted = manifest.mounts.iter().map(|mount| mount.context.clone()).collect();
        Self { mounted, schedules: manifest.schedules.clone(), reconciles: manifest.reconciles.clone() }
    }
}

/// Everything that the components do not do although the manifest asks it of them.
pub fn problems(manifest: &Manifest, specs: &[ContextSpec]) -> Vec<ContextProblem> {
    let mounted = manifest.mounts.iter().map(|mount| &mount.context);
    let mut problems = unserved(mounted, specs);
    problems.extend(manifest.seeds.iter().filter_map(|seed| seed_problem(seed, specs)));
    problems.extend(manifest.schedules.iter().filter_map(|schedule| schedule_problem(schedule, specs)));
    problems.extend(manifest.reconciles.iter().filter_map(|one| mend_problem(one, specs)));
    problems
}

/// Why the file of a seed cannot be read. A start that loads no seeds does not need it.
pub fn seed_file_problem(seed: &Seed) -> Option<ContextProblem> {
    let Seed { context, file, .. } = seed;
    let error = std::fs::File::open(file).err()?;
    Some(ContextProblem {
        context: context.clone(),
        part: Manifest::seed_part(file),
        message: format!("cannot read the seed `{}` of `{context}`: {error}", file.display()),
        remedy: "create the file, or remove its `[[seed]]`; `seam up --no-seeds` starts without seeds".to_owned(),
    })
}

/// Whether the component answers requests.
pub fn serves_http(component: &Component) -> bool {
    component.exports.iter().any(|export| [HTTP_HANDLER, WASI_HTTP].contains(&export.name.path.as_str()))
}

/// The contexts that are mounted and cannot answer requests. Every request to them would get 404.
pub fn unserved<'m>(mounted: impl Iterator<Item = &'m ContextName>, specs: &[ContextSpec]) -> Vec<ContextProblem> {
    let spec = |name: &ContextName| specs.iter().find(|spec| spec.settings.name == *name);
    // A placeholder has a reason of its own.
    let silent = |component: &Component| !component.is_placeholder() && !serves_http(component);
    let silent = mounted.filter(|name| spec(name).is_some_and(|spec| silent(&spec.component)));
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
pub fn seed_problem(seed: &Seed, specs: &[ContextSpec]) -> Option<ContextProblem> {
    let component = component(&seed.context, specs)?;
    let (message, remedy) = match function(component, &seed.call) {
        Err(hint) => (format!("`{}` has no function `{}` to load the seed with", seed.context, seed.call), hint),
        Ok((_, ty)) if matches!(ty.params().map(|(_, ty)| ty).collect::<Vec<_>>()[..], [Type::List(_)]) => return None,
        Ok((name, ty)) => (
            format!("`{}` of `{}` does not take one list", seed.call, seed.context),
            format!("name a function that takes one list of rows; this one is {}", wit_of(name, ty)),
        ),
    };
    Some(ContextProblem { context: seed.context.clone(), part: Manifest::seed_part(&seed.file), message, remedy })
}

/// Why the host cannot call the function of a schedule.
pub fn schedule_problem(schedule: &Schedule, specs: &[ContextSpec]) -> Option<ContextProblem> {
    schedule_problem_in(schedule, component(&schedule.context, specs)?)
}

/// `schedule_problem` with this component in the place of its context.
pub fn schedule_problem_in(schedule: &Schedule, component: &Component) -> Option<ContextProblem> {
    let Schedule { context, call, .. } = schedule;
    let (message, remedy) = match function(component, call) {
        Err(hint) => (format!("`{context}` has no function `{call}` to call by time"), hint),
        Ok((_, ty)) if ty.params().len() == 0 => return None,
        Ok((name, ty)) => (
            format!("`{call}` of `{context}` has parameters, and a schedule gives none"),
            format!("name a function without parameters; this one is {}", wit_of(name, ty)),
        ),
    };
    Some(ContextProblem { context: context.clone(), part: Manifest::schedule_part(call), message, remedy })
}

/// Why the host cannot ask a context to mend a total.
pub fn mend_problem(reconcile: &Reconcile, specs: &[ContextSpec]) -> Option<ContextProblem> {
    mend_problem_in(reconcile, component(reconcile.mend.as_ref()?, specs)?)
}

/// `mend_problem` with this component in the place of the context that mends.
pub fn mend_problem_in(reconcile: &Reconcile, component: &Component) -> Option<ContextProblem> {
    let context = reconcile.mend.clone()?;
    let exports = |path: &str| component.exports.iter().any(|export| export.name.path == path);
    let total = &reconcile.total;
    let (message, remedy) = match (exports(RECONCILIATION), exports(WASI_HTTP)) {
        (true, false) => return None,
        (true, true) => (
            format!("`{context}` is to mend `{total}` and serves `wasi:http`, and this host cannot call it for both"),
            "serve `seam:host/http-handler`, or let another context mend".to_owned(),
        ),
        (false, _) => (
            format!("`{context}` is to mend `{total}`, and does not export `{RECONCILIATION}`"),
            "export it, name a context that does, or leave `mend` out: then a person mends".to_owned(),
        ),
    };
    Some(ContextProblem { context, part: Manifest::reconcile_part(total), message, remedy })
}

/// `None` for a placeholder, too.
fn component<'s>(name: &ContextName, specs: &'s [ContextSpec]) -> Option<&'s Component> {
    let found = specs.iter().find(|spec| spec.settings.name == *name).map(|spec| &spec.component);
    found.filter(|component| !component.is_placeholder())
}

/// The exported function that the manifest names as `interface.function`, or a hint at those that there are.
fn function<'c>(component: &'c Component, call: &str) -> Result<(&'c str, &'c ComponentFunc), String> {
    let seams = component.exports.iter().filter(|export| is_seam(&export.name));
    let all: Vec<(&InterfaceName, &(String, ComponentFunc))> =
        seams.flat_map(|export| export.functions.iter().map(|function| (&export.name, function))).collect();
    let named = |at: usize| distinct_name(&all, at, |(interface, (function, _))| (interface, function));
    let found = FunctionName::parse(call).find(&all, |(interface, (function, _))| (interface, function));
    match found[..] {
        [at] => all.get(at).map(|(_, (function, ty))| (function.as_str(), ty)).ok_or_else(String::new),
        [] if all.is_empty() => Err("the context exports no interface for others".to_owned()),
        [] => {
            let known: Vec<String> = (0..all.len()).map(named).collect();
            Err(did_you_mean::hint(call, known.iter().map(String::as_str)))
        }
        _ => Err(format!("name one of: {}", found.into_iter().map(named).collect::<Vec<_>>().join(", "))),
    }
}
