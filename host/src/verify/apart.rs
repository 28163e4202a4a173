//! The totals that contexts of this host have in common with contexts of other hosts, as checks.

use std::time::Instant;

use seam_runtime::serve::Registry;
use seam_store::Range;
use seam_store::ids::ContextName;
use seam_store::limits::{STORE_VIOLATION_CHARS_SHOWN, STORE_VIOLATIONS_SHOWN};

use super::across::{self, Elsewhere, Seen};
use super::report::{Check, CheckKind, Outcome};
use super::sides::{Sides, is_total};
use super::subject::Subject;

pub struct Total {
    pub name: String,
    sentence: String,
    sides: Sides,
}

/// Takes those totals out of `subjects`; all, or those of contexts that `only` names.
pub fn take(registry: &Registry, subjects: &mut [Subject], only: &[String]) -> Vec<Total> {
    let mut taken: Vec<Total> = Vec::new();
    for subject in subjects {
        let Ok(declared) = &mut subject.declared else { continue };
        declared.retain(|one| {
            if !is_total(one) {
                return true;
            }
            if taken.iter().any(|total| total.name == one.name) {
                return false;
            }
            let sides = Sides::of(registry, &one.name);
            let is_apart = sides.are_apart();
            if is_apart {
                taken.push(Total { name: one.name.clone(), sentence: one.sentence.clone(), sides });
            }
            !is_apart
        });
    }
    let named = |name: &String| only.is_empty() || only.contains(name);
    taken.retain(|total| total.sides.names().iter().any(named));
    taken
}

impl Total {
    /// The contexts on other hosts that are asked.
    pub fn asked(&self) -> impl Iterator<Item = &ContextName> {
        self.sides.elsewhere()
    }

    pub fn check(&self, registry: &Registry, elsewhere: &Elsewhere, deadline: Instant) -> Check {
        let outcome = self.compare(registry, elsewhere, deadline);
        let (name, sentence) = (self.name.clone(), self.sentence.clone());
        Check { contexts: self.sides.names(), kind: CheckKind::Total, name, sentence, outcome }
    }

    fn compare(&self, registry: &Registry, elsewhere: &Elsewhere, deadline: Instant) -> Outcome {
        let Some(side) = self.sides.here() else {
            return Outcome::Empty { why: "no context of this host declares it any more".to_owned() };
        };
        let (mut count, mut examples) = (0, Vec::new());
        let mut each = |key: &str, seen: Seen<'_>| {
            let Seen::Disagree(ranges) = seen else { return };
            count += 1;
            if examples.len() < STORE_VIOLATIONS_SHOWN {
                let shown: String = key.chars().take(STORE_VIOLATION_CHARS_SHOWN).collect();
                examples.push(std::iter::once(shown).chain(ranges.iter().map(Range::to_string)).collect());
            }
        };
        let compared = across::compare((registry, elsewhere), (&self.name, &self.sides), side, deadline, &mut each);
        match compared {
            Err(unlooked) => unlooked.into(),
            Ok(0) => Outcome::Empty { why: "no context has a key for it".to_owned() },
            Ok(keys) if count == 0 => Outcome::Holds { keys: Some(keys) },
            Ok(_) => Outcome::Violated {
                count,
                columns: std::iter::once("key".to_owned()).chain(self.sides.names()).collect(),
                examples,
                remedy: String::new(),
            },
        }
    }
}
