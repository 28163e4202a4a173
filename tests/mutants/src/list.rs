//! The list of mutants, `mutants.toml`.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// One fault that can be planted, and the test that should notice it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// The claim that the fault breaks: unique, a few words with hyphens.
    pub name: String,
    /// From the root of the repository.
    pub file: String,
    /// The text that the fault takes the place of. It stands in the file exactly once.
    pub find: String,
    pub replace: String,
    /// Arguments of `cargo test`: the narrowest tests that should fail.
    pub test: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    mutant: Vec<Mutant>,
}

impl Mutant {
    /// The text of the file with the fault in it.
    ///
    /// # Errors
    /// When the text that it takes the place of does not stand in the file exactly once.
    pub fn plant(&self, sound: &str) -> Result<String> {
        let found = sound.matches(&self.find).count();
        ensure!(found == 1, "`{}`: its text stands {found} times in {}, not once", self.name, self.file);
        Ok(sound.replacen(&self.find, &self.replace, 1))
    }
}

/// All mutants, those of one test command side by side, so that few builds lie between two of them.
///
/// # Errors
/// When the list cannot be read, a name is there twice, or a mutant changes nothing.
pub fn read(repo: &Path) -> Result<Vec<Mutant>> {
    let path = repo.join("tests/mutants/mutants.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut mutants = toml::from_str::<List>(&text).with_context(|| format!("in {}", path.display()))?.mutant;
    let mut names = BTreeSet::new();
    for mutant in &mutants {
        ensure!(names.insert(mutant.name.clone()), "two mutants have the name `{}`", mutant.name);
        ensure!(mutant.find != mutant.replace, "`{}` changes nothing", mutant.name);
    }
    mutants.sort_by(|a, b| a.test.cmp(&b.test));
    Ok(mutants)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_of_the_list_can_be_planted() -> Result<()> {
        let repo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mutants = read(&repo)?;
        assert!(mutants.len() >= 60, "{} mutants are too few to tell a rate", mutants.len());
        for mutant in mutants {
            let sound = std::fs::read_to_string(repo.join(&mutant.file)).with_context(|| mutant.file.clone())?;
            mutant.plant(&sound)?;
        }
        Ok(())
    }

    #[test]
    fn a_text_that_stands_there_twice_or_never_is_refused() -> Result<()> {
        let mutant = Mutant {
            name: "one".into(),
            file: "f".into(),
            find: "a < b".into(),
            replace: "a > b".into(),
            test: String::new(),
        };
        assert_eq!(mutant.plant("if a < b {}")?, "if a > b {}");
        for text in ["if a < b && a < b {}", "if a <= b {}"] {
            assert!(mutant.plant(text).is_err(), "{text}");
        }
        Ok(())
    }
}
