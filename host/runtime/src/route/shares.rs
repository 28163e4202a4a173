//! What share of a context's calls each variant gets, as an operator writes it: `rust=90 js=10 shadow=python`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::did_you_mean::nearest;
use crate::limits;

/// Weights by the variants' names. A variant that is not loaded keeps its weight here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shares {
    /// Only weights above 0. Empty: the main variant gets all calls.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    weights: BTreeMap<String, u32>,
    /// The variant that is called beside the variant that answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shadow: Option<String>,
}

/// Why a change to a route is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteRejected {
    #[error("there is no context `{name}`")]
    NoContext { name: String, near: Option<String>, known: Vec<String> },
    #[error("`{context}` has no variants")]
    NoVariants { context: String },
    #[error("`{context}` lives on host `{host}`")]
    Elsewhere { context: String, host: String },
    #[error("`{context}` has no variant `{name}`")]
    NoVariant { context: String, name: String, near: Option<String>, known: Vec<String> },
    #[error("`{text}` is not a share of the calls")]
    Unreadable { text: String },
    #[error("`{name}` is named twice")]
    Twice { name: String },
    #[error("no variant would answer: all weights are 0")]
    NoWeight,
    #[error("`{name}` cannot answer calls and be their shadow")]
    LiveShadow {
        name: String,
        /// The shadow is one of before, which this change does not name.
        standing: bool,
    },
    #[error("`{context}@{name}` is not loaded: {why}")]
    NotLoaded { context: String, name: String, why: String },
    #[error("`{context}@{name}` has not caught up: {state}")]
    NotCaughtUp { context: String, name: String, state: String },
    #[error("`{context}@{name}` may not have caught up: no host is running that knows")]
    NotKnown { context: String, name: String },
    #[error("the routes cannot be saved: {0}")]
    NotKept(String),
}

impl RouteRejected {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> String {
        let named = |near: &Option<String>, known: &[String]| match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are: {}", known.join(", ")),
        };
        match self {
            Self::NoContext { near, known, .. } | Self::NoVariant { near, known, .. } => named(near, known),
            Self::NoVariants { context } => format!("add `[context.{context}.variant.NAME]` to the manifest"),
            Self::Elsewhere { host, .. } => format!("run it for that host: `--as {host}`"),
            Self::Unreadable { .. } => {
                format!(
                    "write `VARIANT=WEIGHT` with a weight from 0 to {}, or `shadow=VARIANT`",
                    limits::VARIANT_WEIGHT_MAX
                )
            }
            Self::Twice { .. } => "name each variant once".into(),
            Self::NoWeight => "give one of them a weight above 0".into(),
            Self::LiveShadow { standing: true, .. } => "add `shadow=none`".into(),
            Self::LiveShadow { name, standing: false } => format!("leave out `{name}=` or `shadow={name}`"),
            Self::NotLoaded { context, name, .. } => {
                format!("mend it (`seam build {context}@{name}`), and start the host again")
            }
            Self::NotCaughtUp { context, .. } => format!("wait: `seam route {context}` shows how far it is"),
            Self::NotKnown { .. } => "start the host, then set the route".into(),
            Self::NotKept(_) => "correct the data folder's permissions, or make room on its disk".into(),
        }
    }
}

impl Shares {
    /// The weight of `variant`, when the main one is `main`.
    pub fn weight(&self, variant: &str, main: &str) -> u32 {
        match self.weights.get(variant) {
            Some(weight) => *weight,
            None if self.weights.is_empty() && variant == main => 1,
            None => 0,
        }
    }

    pub fn shadow(&self) -> Option<&str> {
        self.shadow.as_deref()
    }

    /// These shares with `changes` applied: given weights replace all weights, a given shadow replaces the shadow
    /// (`none` removes it).
    ///
    /// # Errors
    /// When `changes` cannot be read, or name a variant that is not among `variants`; the first of these is the main
    /// one.
    pub fn changed(&self, context: &str, variants: &[&str], changes: &[String]) -> Result<Self, RouteRejected> {
        let known = |name: &str| match variants.contains(&name) {
            true => Ok(name.to_owned()),
            false => Err(RouteRejected::NoVariant {
                context: context.to_owned(),
                name: name.to_owned(),
                near: nearest(name, variants.iter().copied()).map(ToOwned::to_owned),
                known: variants.iter().map(|name| (*name).to_owned()).collect(),
            }),
        };
        let mut named = BTreeMap::new();
        let mut shadow = None;
        for change in changes {
            let unreadable = || RouteRejected::Unreadable { text: change.clone() };
            let (name, value) = change.split_once('=').ok_or_else(unreadable)?;
            let before = if name == "shadow" {
                let value = if value == "none" { None } else { Some(known(value)?) };
                shadow.replace(value).map(|_| ())
            } else {
                let weight = value.parse().ok().filter(|weight| *weight <= limits::VARIANT_WEIGHT_MAX);
                named.insert(known(name)?, weight.ok_or_else(unreadable)?).map(|_| ())
            };
            if before.is_some() {
                return Err(RouteRejected::Twice { name: name.to_owned() });
            }
        }
        if !named.is_empty() && named.values().all(|weight| *weight == 0) {
            return Err(RouteRejected::NoWeight);
        }
        let weights = if named.is_empty() { self.weights.clone() } else { named };
        let standing = shadow.is_none();
        let shares = Self {
            weights: weights.into_iter().filter(|(_, weight)| *weight > 0).collect(),
            shadow: shadow.unwrap_or_else(|| self.shadow.clone()),
        };
        let main = variants.first().copied().unwrap_or_default();
        match shares.shadow.as_deref().filter(|shadow| shares.weight(shadow, main) > 0) {
            Some(shadow) => Err(RouteRejected::LiveShadow { name: shadow.to_owned(), standing }),
            None => Ok(shares),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const VARIANTS: [&str; 3] = ["rust", "js", "python"];

    fn change(before: &Shares, changes: &str) -> Result<Shares, RouteRejected> {
        let changes: Vec<String> = changes.split_whitespace().map(ToOwned::to_owned).collect();
        before.changed("engine", &VARIANTS, &changes)
    }

    fn weights(shares: &Result<Shares, RouteRejected>) -> Option<([u32; 3], Option<&str>)> {
        let shares = shares.as_ref().ok()?;
        Some((VARIANTS.map(|name| shares.weight(name, "rust")), shares.shadow()))
    }

    #[test]
    fn weights_replace_all_weights_and_a_shadow_the_shadow() {
        let none = Shares::default();
        assert_eq!(weights(&Ok(none.clone())), Some(([1, 0, 0], None)));
        let first = change(&none, "rust=90 js=10 shadow=python");
        assert_eq!(weights(&first), Some(([90, 10, 0], Some("python"))));
        let first = first.unwrap_or_default();
        assert_eq!(weights(&change(&first, "js=1")), Some(([0, 1, 0], Some("python"))));
        assert_eq!(weights(&change(&first, "shadow=none")), Some(([90, 10, 0], None)));
        assert_eq!(weights(&change(&first, "rust=1 js=0 shadow=js")), Some(([1, 0, 0], Some("js"))));
    }

    #[test]
    fn a_shadow_from_before_is_taken_back_by_name() {
        let shadowed = change(&Shares::default(), "rust=1 shadow=js").unwrap_or_default();
        let refused = change(&shadowed, "js=1").unwrap_err();
        assert_eq!(refused.to_string(), "`js` cannot answer calls and be their shadow");
        assert_eq!(refused.remedy(), "add `shadow=none`");
        assert_eq!(weights(&change(&shadowed, "js=1 shadow=none")), Some(([0, 1, 0], None)));
    }

    #[test]
    fn a_rejected_change_names_the_problem_and_the_remedy() {
        let none = Shares::default();
        for (changes, message, remedy) in [
            ("rust=1 jss=1", "`engine` has no variant `jss`", "did you mean `js`?"),
            ("shadow=clojure", "`engine` has no variant `clojure`", "there are: rust, js, python"),
            ("rust=0 js=0", "no variant would answer: all weights are 0", "give one of them a weight above 0"),
            ("rust=1 rust=2", "`rust` is named twice", "name each variant once"),
            ("shadow=js shadow=none", "`shadow` is named twice", "name each variant once"),
            ("js=5 shadow=js", "`js` cannot answer calls and be their shadow", "leave out `js=` or `shadow=js`"),
            ("shadow=rust", "`rust` cannot answer calls and be their shadow", "leave out `rust=` or `shadow=rust`"),
        ] {
            let refused = change(&none, changes).err();
            assert_eq!(refused.as_ref().map(ToString::to_string).as_deref(), Some(message));
            assert_eq!(refused.map(|refused| refused.remedy()).as_deref(), Some(remedy));
        }
        for text in ["rust", "rust=", "rust=-1", "rust=1001", "rust=1.5"] {
            assert_eq!(change(&none, text).err(), Some(RouteRejected::Unreadable { text: text.to_owned() }));
        }
    }
}
