//! The folder `invariants`: a statement in each file, under the sentence that it checks.

use std::fs;
use std::path::Path;

/// The list of invariants as a Rust expression: first those whose rows are violations, then the totals.
pub fn code(folder: &Path) -> Result<String, String> {
    let mut code = String::from("&[\n");
    let mut found = 0;
    for (kind, inner) in [("Violations", ""), ("Total", "totals/")] {
        let path = folder.join(inner);
        if !path.is_dir() {
            continue;
        }
        for file in crate::files(&path)? {
            let shown = format!("invariants/{inner}{file}");
            let name = name(&file).ok_or_else(|| {
                format!("`{shown}`: an invariant is called `lower-case-words.sql`; rename or remove it")
            })?;
            let text =
                fs::read_to_string(path.join(&file)).map_err(|error| format!("cannot read `{shown}`: {error}"))?;
            let sentence = sentence(&text)
                .ok_or_else(|| format!("`{shown}`: it needs a first line `-- What holds, as a sentence.`"))?;
            // As with migrations: not the folder's own path.
            let from = format!("/{shown}");
            let sql = format!(r#"include_str!(concat!(env!("CARGO_MANIFEST_DIR"), {from:?}))"#);
            let kind = format!("seam_sdk::InvariantKind::{kind}");
            code += &format!(
                "seam_sdk::Invariant {{ kind: {kind}, name: {name:?}, sentence: {sentence:?}, sql: {sql} }},\n"
            );
            found += 1;
        }
    }
    if found == 0 {
        return Err(format!("the folder `{}` has no invariant `name.sql`", folder.display()));
    }
    Ok(code + "]\n")
}

/// `stock-is-never-negative.sql` is `stock-is-never-negative`.
fn name(file: &str) -> Option<&str> {
    let name = file.strip_suffix(".sql")?;
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    name.split('-').all(is_word).then_some(name)
}

/// The comments at the start of a file, up to the end of the sentence that they begin with.
fn sentence(text: &str) -> Option<String> {
    let lines = text.lines().map_while(|line| line.trim().strip_prefix("--").map(str::trim));
    let words = lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let end = words.find(". ").map_or(words.len(), |at| at + 1);
    words.get(..end).map(str::to_owned).filter(|sentence| !sentence.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The code for a folder with these files.
    fn check(test: &str, files: &[(&str, &str)]) -> Result<String, String> {
        let folder = std::env::temp_dir().join(format!("seam-sdk-build-{}-{test}", std::process::id()));
        let made = fs::create_dir_all(folder.join("totals"))
            .and_then(|()| files.iter().try_for_each(|(file, text)| fs::write(folder.join(file), text)));
        let code = code(&folder);
        let removed = fs::remove_dir_all(&folder);
        assert!(made.is_ok() && removed.is_ok());
        code
    }

    #[test]
    fn every_file_is_embedded_under_its_first_sentence() {
        let files = [
            ("b.sql", "-- It is\n-- so. This\n-- is more.\nSELECT 1 -- not this"),
            ("a-1.sql", "--All is well\nSELECT 1"),
            ("totals/paid.sql", "-- Both agree.\n\n-- other\nSELECT 1, 2"),
            (".c.sql.swp", ""),
        ];
        let code = check("embedded", &files).unwrap_or_default();
        let lines: Vec<_> = code.lines().map(|line| line.split(", sql:").next().unwrap_or_default()).collect();
        let entry = |kind: &str, name: &str, sentence: &str| {
            let kind = format!("seam_sdk::InvariantKind::{kind}");
            format!("seam_sdk::Invariant {{ kind: {kind}, name: {name:?}, sentence: {sentence:?}")
        };
        let expect = [
            entry("Violations", "a-1", "All is well"),
            entry("Violations", "b", "It is so."),
            entry("Total", "paid", "Both agree."),
        ];
        assert_eq!(lines, ["&[", &expect[0], &expect[1], &expect[2], "]"], "{code}");
        assert!(code.contains("/invariants/totals/paid.sql"), "{code}");
    }

    #[test]
    fn a_file_without_a_sentence_and_a_wrong_name_are_refused() {
        for (test, file, text, expect) in [
            ("mute", "a.sql", "SELECT 1", "`invariants/a.sql`: it needs a first line"),
            ("empty", "a.sql", "--\nSELECT 1", "`invariants/a.sql`: it needs a first line"),
            ("upper", "A.sql", "-- Is.\n", "`invariants/A.sql`: an invariant is called"),
            ("notes", "notes.txt", "-- Is.\n", "`invariants/notes.txt`: an invariant is called"),
            ("total", "totals/a_b.sql", "-- Is.\n", "`invariants/totals/a_b.sql`: an invariant is called"),
        ] {
            let refused = check(&format!("invariant-{test}"), &[(file, text)]).err().unwrap_or_default();
            assert!(refused.starts_with(expect), "{test}: {refused}");
        }
        let none = check("invariant-none", &[]).err().unwrap_or_default();
        assert!(none.contains("has no invariant"), "{none}");
    }
}
