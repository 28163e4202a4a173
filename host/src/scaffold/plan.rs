//! What a new context needs in its project: worked out before anything is written.

use std::path::{Path, PathBuf};

use super::error::Error;
use super::language::Language;
use super::{cargo, entry, name, sdk, templates};
use crate::ids::ContextName;
use crate::manifest::Manifest;

/// Everything that making a context changes in a project. Paths are relative to its folder.
#[derive(Debug)]
pub struct Plan {
    /// The folder of the manifest.
    pub folder: PathBuf,
    pub name: ContextName,
    /// Files that are not there yet.
    pub new: Vec<(PathBuf, String)>,
    /// Files that are there, with the text that they get.
    pub changed: Vec<(PathBuf, String)>,
    /// Whether there was no manifest before.
    pub project: bool,
}

/// Works out what a context called `name` needs in the project whose manifest is, or will be, `manifest`.
///
/// # Errors
/// When the name will not do, something of that name is there, or a file that has to change cannot be understood.
pub fn plan(manifest: &Path, name: &str, language: Language) -> Result<Plan, Error> {
    let context = name::check(name, language)?;
    let folder = manifest.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let project = !manifest.exists();
    let text = match project {
        true => templates::PROJECT.to_owned(),
        false => {
            let known = Manifest::load(manifest).map_err(Error::Manifest)?;
            if known.context(name).is_some() {
                return Err(Error::ContextExists { name: context, manifest: manifest.into() });
            }
            read(manifest)?
        }
    };
    let text = entry::added(&text, name, language).map_err(|reason| Error::Edit { path: manifest.into(), reason })?;
    // What is written is a manifest that the host takes: a mistake here is found before it is in a file.
    Manifest::parse(&text, manifest).map_err(Error::Manifest)?;
    let file = PathBuf::from(manifest.file_name().unwrap_or_default());
    let mut plan = Plan { folder: folder.into(), name: context, new: Vec::new(), changed: Vec::new(), project };
    match project {
        true => plan.new.push((file, text)),
        false => plan.changed.push((file, text)),
    }
    if project && !folder.join(".gitignore").exists() {
        plan.new.push((".gitignore".into(), templates::GITIGNORE.into()));
    }
    plan.new.extend(sdk::missing(folder, language)?);
    let inherits = match language {
        Language::Rust => workspace(&mut plan)?,
        Language::Js | Language::Python => false,
    };
    let package = templates::Package { namespace: &name::namespace(folder), name, inherits };
    plan.new.extend(package.files(language)?);
    let taken: Vec<_> = plan.new.iter().map(|(path, _)| path.clone()).filter(|p| folder.join(p).exists()).collect();
    if taken.is_empty() { Ok(plan) } else { Err(Error::FilesExist { paths: taken }) }
}

/// Makes the context's crate a member of the project's Cargo workspace, which is made where there is none. Whether crates in it can
/// inherit what they share.
fn workspace(plan: &mut Plan) -> Result<bool, Error> {
    let file = PathBuf::from("Cargo.toml");
    let path = plan.folder.join(&file);
    let mut members = vec![format!("plugins/{}", plan.name)];
    if plan.new.iter().any(|(path, _)| path.starts_with(sdk::RUST)) {
        members.insert(0, sdk::RUST.into());
    }
    let unclear = |reason| Error::Edit { path: path.clone(), reason };
    if !path.exists() {
        plan.new.push((file, cargo::workspace(templates::WORKSPACE, &members).map_err(unclear)?));
        return Ok(false);
    }
    let text = read(&path)?;
    let inherits = cargo::shares_dependencies(&text);
    let new = cargo::workspace(&text, &members).map_err(unclear)?;
    if new != text {
        plan.changed.push((file, new));
    }
    Ok(inherits)
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.into(), source })
}
