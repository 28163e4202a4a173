//! The files of a new context, determined before any is written.

use std::path::{Path, PathBuf};

use seam_store::ids::ContextName;

use super::error::Error;
use super::events::Events;
use super::interface::Packages;
use super::language::Language;
use super::{cargo, entry, name, sdk, templates};
use crate::manifest::Manifest;

/// Everything that making a context changes in a project. Paths are relative to its folder.
#[derive(Debug)]
pub struct Plan {
    /// The folder of the manifest.
    pub folder: PathBuf,
    pub name: ContextName,
    /// New files.
    pub new: Vec<(PathBuf, String)>,
    /// Existing files, with their new texts.
    pub changed: Vec<(PathBuf, String)>,
    /// Whether the manifest is new, and the project with it.
    pub new_project: bool,
}

/// The events interfaces that a new context publishes and subscribes to, as the command line names them.
#[derive(Debug, Clone, Default)]
pub struct EventNames {
    pub publishes: Option<String>,
    pub subscribes: Option<String>,
}

/// Plans a context called `name` in the project of `manifest`, which need not exist yet.
///
/// # Errors
/// When the name is not allowed or taken, a file that has to change cannot be parsed, or one of the interfaces is none
/// of events.
pub fn plan(manifest: &Path, name: &str, language: Language, events: &EventNames) -> Result<Plan, Error> {
    let context = name::check(name, language)?;
    let folder = manifest.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let new_project = !manifest.exists();
    let text = match new_project {
        true => templates::PROJECT.to_owned(),
        false => {
            let loaded = Manifest::load(manifest).map_err(Error::Manifest)?;
            if loaded.context(name).is_some() {
                return Err(Error::ContextExists { name: context, manifest: manifest.into() });
            }
            read(manifest)?
        }
    };
    let namespace = name::namespace(folder);
    let events = found(folder, &namespace, name, events)?;
    let text =
        entry::added(&text, name, language, &events).map_err(|reason| Error::Edit { path: manifest.into(), reason })?;
    // Checked before it is written: the host accepts this manifest.
    Manifest::parse(&text, manifest).map_err(Error::Manifest)?;
    let file = PathBuf::from(manifest.file_name().unwrap_or_default());
    let mut plan = Plan { folder: folder.into(), name: context, new: Vec::new(), changed: Vec::new(), new_project };
    match new_project {
        true => plan.new.push((file, text)),
        false => plan.changed.push((file, text)),
    }
    if new_project && !folder.join(".gitignore").exists() {
        plan.new.push((".gitignore".into(), templates::GITIGNORE.into()));
    }
    plan.new.extend(sdk::missing(folder, language)?);
    let inherits = match language {
        Language::Rust => workspace(&mut plan)?,
        Language::Js | Language::Python => false,
    };
    let package = templates::Package { namespace: &namespace, name, inherits, events: &events };
    plan.new.extend(package.files(language)?);
    plan.new.extend(events.publishes.and_then(|interface| interface.new));
    let taken: Vec<_> = plan.new.iter().map(|(path, _)| path.clone()).filter(|p| folder.join(p).exists()).collect();
    if taken.is_empty() { Ok(plan) } else { Err(Error::FilesExist { paths: taken }) }
}

/// The interfaces of these names.
fn found(folder: &Path, namespace: &str, context: &str, names: &EventNames) -> Result<Events, Error> {
    let EventNames { publishes, subscribes } = names;
    if publishes.is_none() && subscribes.is_none() {
        return Ok(Events::default());
    }
    let packages = Packages::read(folder, namespace)?;
    let publishes = publishes.as_ref().map(|name| packages.to_publish(name, context)).transpose()?;
    let subscribes = subscribes.as_ref().map(|name| packages.to_subscribe(name)).transpose()?;
    match (&publishes, &subscribes) {
        (Some(one), Some(other)) if one.path() == other.path() => Err(Error::BothWays { name: one.path() }),
        _ => Ok(Events { publishes, subscribes }),
    }
}

/// Adds the context's crate to the project's Cargo workspace, or makes a workspace. Returns whether crates can inherit
/// from it.
fn workspace(plan: &mut Plan) -> Result<bool, Error> {
    let file = PathBuf::from("Cargo.toml");
    let path = plan.folder.join(&file);
    let mut members = vec![format!("plugins/{}", plan.name)];
    if plan.new.iter().any(|(path, _)| path.starts_with(sdk::RUST)) {
        members.insert(0, sdk::RUST.into());
    }
    let invalid = |reason| Error::Edit { path: path.clone(), reason };
    if !path.exists() {
        plan.new.push((file, cargo::workspace(templates::WORKSPACE, &members).map_err(invalid)?));
        return Ok(false);
    }
    let text = read(&path)?;
    let inherits = cargo::shares_dependencies(&text);
    let new = cargo::workspace(&text, &members).map_err(invalid)?;
    if new != text {
        plan.changed.push((file, new));
    }
    Ok(inherits)
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.into(), source })
}
