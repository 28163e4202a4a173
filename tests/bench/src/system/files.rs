//! Folders of databases: copied, removed, and told apart by what they were made from.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};

/// One text for all files with these endings in these folders, another one as soon as any of them changes.
pub fn fingerprint(sources: &[(&str, &str)]) -> Result<String> {
    let mut hash = DefaultHasher::new();
    for (folder, ending) in sources {
        add(Path::new(folder), ending, &mut hash)?;
    }
    Ok(format!("{:016x}", hash.finish()))
}

fn add(path: &Path, ending: &str, hash: &mut DefaultHasher) -> Result<()> {
    if path.is_dir() {
        let mut inside = Vec::new();
        for entry in std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))? {
            inside.push(entry?.path());
        }
        inside.sort();
        return inside.iter().try_for_each(|path| add(path, ending, hash));
    }
    if path.extension().is_some_and(|known| known == ending) {
        path.hash(hash);
        std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?.hash(hash);
    }
    Ok(())
}

pub fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Files and folders; a running host's socket is neither.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    std::fs::set_permissions(to, std::fs::metadata(from)?.permissions())?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (kind, to) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &to)?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_data_is_made_from_makes_it_stale() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("seam-bench-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("one/migrations"))?;
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text);
        let path = folder.to_string_lossy().into_owned();
        let print = || fingerprint(&[(&path, "sql")]);
        write("one/migrations/0001.sql", "CREATE TABLE a (x)")?;
        let first = print()?;
        write("one/lib.rs", "code")?;
        assert_eq!(print()?, first);
        write("one/migrations/0001.sql", "CREATE TABLE a (x, y)")?;
        let second = print()?;
        assert_ne!(second, first);
        write("one/migrations/0002.sql", "")?;
        assert_ne!(print()?, second);
        remove(&folder)?;
        remove(&folder)
    }
}
