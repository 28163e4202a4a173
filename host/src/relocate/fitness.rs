//! Whether a context can move to another host: what of it would stay behind.

use seam_runtime::did_you_mean;
use seam_runtime::serve::Registry;
use seam_store::ids::ContextName;

use super::report::Refused;
use crate::manifest::Manifest;

/// # Errors
/// The first reason why `context` cannot move from this host to `to`.
pub fn check(manifest: &Manifest, registry: &Registry, context: &ContextName, to: &str) -> Result<(), Refused> {
    problems(manifest, registry, context, to).into_iter().next().map_or(Ok(()), Err)
}

/// Every reason why `context` cannot move from this host to `to`.
pub fn problems(manifest: &Manifest, registry: &Registry, context: &ContextName, to: &str) -> Vec<Refused> {
    // Without these, the others mean nothing.
    if let Err(refused) = is_here(manifest, registry, context, to) {
        return vec![refused];
    }
    let mut problems = stays_behind(manifest, context);
    problems.extend(unsettled(registry, context));
    problems
}

/// # Errors
/// When there is no such context, host or file, or the context does not live here.
fn is_here(manifest: &Manifest, registry: &Registry, context: &ContextName, to: &str) -> Result<(), Refused> {
    let placement = &manifest.placement;
    let this = placement.this.as_ref().map(ToString::to_string).unwrap_or_default();
    if placement.host(to).is_none() {
        return Err(Refused::new(format!("there is no host `{to}`"), did_you_mean::hint(to, placement.names())));
    }
    let Some(entry) = manifest.contexts.iter().find(|entry| entry.settings.name == *context) else {
        let known: Vec<&str> = manifest.contexts.iter().map(|entry| entry.settings.name.as_str()).collect();
        let remedy = did_you_mean::hint(context.as_str(), known);
        return Err(Refused::new(format!("there is no context `{context}`"), remedy));
    };
    copied(manifest, context)?;
    if let Some(host) = registry.lives_elsewhere(context.as_str()) {
        let remedy = format!("move it from there: `--as {host}`");
        return Err(Refused::new(format!("`{context}` lives on host `{host}`"), remedy));
    }
    if to == this {
        return Err(Refused::new(format!("`{context}` lives on host `{to}` already"), "name another host"));
    }
    if entry.settings.store.is_none() {
        let remedy = format!("set `at = \"{to}\"` in [context.{context}], and restart the hosts");
        return Err(Refused::new(format!("`{context}` has no file to move"), remedy));
    }
    if let Some([own, standby]) = manifest.pair(context)
        && ![own, standby].iter().any(|host| host.as_str() == to)
    {
        let message = format!("`{context}` has a standby, and lives on `{own}` or on `{standby}` alone");
        let remedy = format!("change `standby` in [context.{context}] first, and restart the hosts");
        return Err(Refused::new(message, remedy));
    }
    Ok(())
}

fn is_of(name: &ContextName, context: &ContextName) -> bool {
    name.variant().map_or(name.as_str(), |(main, _)| main) == context.as_str()
}

/// Versions that do not serve for good.
fn unsettled(registry: &Registry, context: &ContextName) -> Option<Refused> {
    if registry.live(context.as_str()).is_ok_and(|live| live.generation().out_of_service().is_some()) {
        return Some(Refused::new(
            format!("`{context}` is out of service"),
            "`seam contexts` shows why; mend it first",
        ));
    }
    let (name, number) = registry.on_probation().filter(|(name, _)| is_of(name, context))?;
    Some(Refused::new(
        format!("version {number} of `{name}` is on probation, and the version before would not go with it"),
        format!("try again when its watch has ended, or end it with `seam rollback {context}`"),
    ))
}

/// # Errors
/// When hosts have copies of the context: it has no home that it could leave.
pub fn copied(manifest: &Manifest, context: &ContextName) -> Result<(), Refused> {
    if !manifest.placement.is_copied(context) {
        return Ok(());
    }
    let remedy = format!("add it to `copies` of the other host, start that one, and then take it out here: {context}");
    Err(Refused::new(format!("`{context}` has copies, which do not move"), remedy))
}

/// What a context has on its host besides its file and its component.
fn stays_behind(manifest: &Manifest, context: &ContextName) -> Vec<Refused> {
    let is_its = |name: &ContextName| is_of(name, context);
    let variant = manifest.contexts.iter().any(|entry| entry.settings.name != *context && is_its(&entry.settings.name));
    let has = [
        (manifest.mounts.iter().any(|mount| is_its(&mount.context)), "serves clients, whose addresses would change"),
        (manifest.feeds.iter().any(|feed| is_its(&feed.context)), "has a feed, whose address would change"),
        (variant, "has variants"),
    ];
    let refused = |(_, what): (bool, &str)| {
        let remedy = "move it while the hosts are stopped: set `at`, take a backup, and restore it on the other host";
        Refused::new(format!("`{context}` {what}; such a context does not move while it runs"), remedy)
    };
    has.into_iter().filter(|(has, _)| *has).map(refused).collect()
}
