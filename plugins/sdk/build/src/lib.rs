//! What a context's build script does: it embeds the folders `migrations` and `invariants`, which `seam_sdk::context!`
//! takes in.
//!
//! ```ignore
//! fn main() {
//!     seam_sdk_build::embed_migrations();
//!     seam_sdk_build::embed_invariants();
//! }
//! ```

mod invariants;

use std::path::{Path, PathBuf};
use std::{env, fs};

/// Embeds the files `migrations/NNNN-name.sql` of the crate that is being built, in the order of their numbers. A file
/// with another name, a gap and a number that two files have are errors of the build.
pub fn embed_migrations() {
    embed("migrations", code);
}

/// Embeds the files `invariants/NAME.sql`, whose rows are violations, and `invariants/totals/NAME.sql`. A file starts
/// with comments that say what holds, as a sentence. A file without them or with another name is an error of the build.
pub fn embed_invariants() {
    embed("invariants", invariants::code);
}

fn embed(name: &str, code: fn(&Path) -> Result<String, String>) {
    // A folder that changes, changes when a file comes or goes, too.
    println!("cargo::rerun-if-changed={name}");
    let folder = |variable: &str| env::var_os(variable).map(PathBuf::from).unwrap_or_default();
    let written = code(&folder("CARGO_MANIFEST_DIR").join(name)).and_then(|code| {
        let path = folder("OUT_DIR").join(format!("{name}.rs"));
        fs::write(&path, code).map_err(|error| format!("cannot write `{}`: {error}", path.display()))
    });
    if let Err(why) = written {
        println!("cargo::error={why}");
    }
}

/// The names of the files in a folder, sorted, without what editors leave beside a file and without folders.
fn files(folder: &Path) -> Result<Vec<String>, String> {
    let cannot_read = |error| format!("cannot read the folder `{}`: {error}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(cannot_read)? {
        let entry = entry.map_err(cannot_read)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_folder = entry.file_type().map_err(cannot_read)?.is_dir();
        if !name.starts_with('.') && !name.ends_with('~') && !is_folder {
            files.push(name);
        }
    }
    files.sort();
    Ok(files)
}

/// The list of migrations as a Rust expression.
fn code(folder: &Path) -> Result<String, String> {
    let files = files(folder)?;
    if files.is_empty() {
        return Err(format!("the folder `{}` has no migration `0001-name.sql`", folder.display()));
    }
    let mut code = String::from("&[\n");
    for (file, expected) in files.iter().zip(1..) {
        let (number, name) = parts(file).ok_or_else(|| {
            format!("`migrations/{file}`: a migration is called `NNNN-name.sql`, with four digits; rename or remove it")
        })?;
        if number != expected {
            return Err(format!(
                "`migrations/{file}`: its number should be {expected:04}; migrations count from 0001, without gaps"
            ));
        }
        // Not the folder's own path: a checkout that is moved together with its `target` would embed the old files.
        let path = format!("/migrations/{file}");
        let sql = format!(r#"include_str!(concat!(env!("CARGO_MANIFEST_DIR"), {path:?}))"#);
        code += &format!("seam_sdk::Migration {{ number: {number}, name: {name:?}, sql: {sql} }},\n");
    }
    Ok(code + "]\n")
}

/// `0001-albums.sql` is number 1, name `albums`.
fn parts(file: &str) -> Option<(u32, &str)> {
    let (number, name) = file.strip_suffix(".sql")?.split_once('-')?;
    let digits = number.len() == 4 && number.bytes().all(|b| b.is_ascii_digit());
    Some((number.parse().ok().filter(|_| digits && !name.is_empty())?, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The code for a folder with these files.
    fn check(test: &str, files: &[&str]) -> Result<String, String> {
        let folder = env::temp_dir().join(format!("seam-sdk-build-{}-{test}", std::process::id()));
        let made = fs::create_dir_all(&folder)
            .and_then(|()| files.iter().try_for_each(|file| fs::write(folder.join(file), "SELECT 1")));
        let code = code(&folder);
        let removed = fs::remove_dir_all(&folder);
        assert!(made.is_ok() && removed.is_ok());
        code
    }

    #[test]
    fn every_file_is_embedded_in_the_order_of_its_number() {
        let code = check("order", &["0002-more-covers.sql", "0001-albums.sql", ".0003-x.sql.swp", "0001-albums.sql~"]);
        let code = code.unwrap_or_default();
        assert!(!code.contains(&*env::temp_dir().to_string_lossy()), "it holds the folder's path: {code}");
        let lines: Vec<_> = code.lines().map(|line| line.split(", sql:").next().unwrap_or_default()).collect();
        let migrations = [r#"number: 1, name: "albums""#, r#"number: 2, name: "more-covers""#];
        let [first, second] = migrations.map(|fields| format!("seam_sdk::Migration {{ {fields}"));
        assert_eq!(lines, ["&[", &first, &second, "]"]);
    }

    #[test]
    fn a_gap_a_second_file_of_a_number_and_a_wrong_name_are_refused() {
        for (test, files, expect) in [
            ("gap", &["0001-a.sql", "0003-b.sql"][..], "`migrations/0003-b.sql`: its number should be 0002"),
            ("first", &["0002-a.sql"], "`migrations/0002-a.sql`: its number should be 0001"),
            ("twice", &["0001-a.sql", "0001-b.sql"], "`migrations/0001-b.sql`: its number should be 0002"),
            ("digits", &["1-a.sql"], "`migrations/1-a.sql`: a migration is called"),
            ("sign", &["+001-a.sql"], "`migrations/+001-a.sql`: a migration is called"),
            ("nameless", &["0001-.sql"], "`migrations/0001-.sql`: a migration is called"),
            ("notes", &["0001-a.sql", "notes.txt"], "`migrations/notes.txt`: a migration is called"),
            ("empty", &[], "the folder"),
        ] {
            let refused = check(test, files).err().unwrap_or_default();
            assert!(refused.starts_with(expect), "{test}: {refused}");
        }
    }
}
