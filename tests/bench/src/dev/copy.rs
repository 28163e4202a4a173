//! A copy of the sources, in which files that are the same as before keep their times, so that cargo compiles what
//! changed and no more.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};

/// What cargo needs to see of the workspace.
const WHAT: [&str; 7] = ["Cargo.toml", "Cargo.lock", "data", "host", "plugins", "tests", "wit"];
/// What builds and hosts leave behind.
const NOT: [&str; 5] = ["target", "run", "node_modules", "__pycache__", "deps"];

pub fn sources(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    WHAT.iter().try_for_each(|name| mirror(&from.join(name), &to.join(name)))
}

fn mirror(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        let text = std::fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        if std::fs::read(to).ok().as_ref() != Some(&text) {
            std::fs::write(to, text)?;
        }
        return Ok(());
    }
    std::fs::create_dir_all(to)?;
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(from)? {
        let name = entry?.file_name();
        let shown = name.to_string_lossy();
        if !NOT.contains(&&*shown) {
            mirror(&from.join(&name), &to.join(&name))?;
            names.insert(name);
        }
    }
    for entry in std::fs::read_dir(to)? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        if !names.contains(&name) && path.is_file() {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}
