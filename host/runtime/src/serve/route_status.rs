//! The state of a context's variants, for operators and for the check of which variants may get calls.

use std::sync::Arc;

use seam_store::HostFile;
use seam_store::ids::ContextName;
use serde::{Deserialize, Serialize};

use super::load::Absent;
use super::serving_set::ServingSet;
use crate::did_you_mean::nearest;
use crate::route::{Member, Readiness, RouteRejected, Shares, StoredShares};
use crate::run::Generation;
use crate::settings::ContextSettings;

/// A context that has variants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteStatus {
    pub context: String,
    /// The main one first.
    pub variants: Vec<VariantStatus>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VariantStatus {
    pub name: String,
    /// Its share of all weights is its share of the calls.
    pub weight: u32,
    pub shadow: bool,
    pub state: VariantState,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VariantState {
    Ready,
    /// It gets the events that the others have had, and answers no calls until then. Holds how many it has handled
    /// since the host started.
    CatchingUp(u64),
    /// It answers with what it knows, but newer events wait: why.
    Behind(String),
    /// It has never caught up, and its events wait: why.
    Stuck(String),
    /// It is in the manifest but is not loaded.
    Absent(String),
    /// No host runs, so its state is not known.
    AtRest,
}

impl std::fmt::Display for VariantState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::CatchingUp(events) => write!(f, "catching up: {events} events"),
            Self::Behind(why) => write!(f, "behind: {why}"),
            Self::Stuck(why) => write!(f, "not ready: {why}"),
            Self::Absent(why) => write!(f, "absent: {why}"),
            Self::AtRest => f.write_str("the host does not run"),
        }
    }
}

impl VariantState {
    fn of(readiness: &Readiness) -> Self {
        let progress = readiness.progress();
        match (readiness.is_ready(), progress.error) {
            (true, None) => Self::Ready,
            (true, Some(why)) => Self::Behind(why),
            (false, None) => Self::CatchingUp(progress.events),
            (false, Some(why)) => Self::Stuck(why),
        }
    }
}

impl RouteStatus {
    pub(crate) fn of(main: &Generation, set: &ServingSet, absent: &[Absent], shares: &StoredShares) -> Self {
        let members = set.routes.get(&main.index).map(|route| route.members().collect::<Vec<_>>());
        let (context, main) = (main.context().to_string(), main.spec().settings.variant.clone());
        let shares = shares.of(&context);
        let variant = |name: &str, state| VariantStatus {
            name: name.to_owned(),
            weight: shares.weight(name, &main),
            shadow: shares.shadow() == Some(name),
            state,
        };
        let of_it =
            |name: &ContextName| name.variant().filter(|(of, _)| *of == context).map(|(_, variant)| variant.to_owned());
        let member =
            |member: &Member| variant(&member.generation.spec().settings.variant, VariantState::of(&member.readiness));
        let mut variants: Vec<VariantStatus> = match members {
            Some(members) => members.into_iter().map(member).collect(),
            None => vec![variant(&main, VariantState::Ready)],
        };
        let left_out = absent.iter().filter_map(|absent| Some((of_it(&absent.context)?, absent.why.clone())));
        for (name, why) in left_out {
            // A deploy may have loaded it since.
            if variants.iter().all(|known| known.name != name) {
                variants.push(variant(&name, VariantState::Absent(why)));
            }
        }
        Self { context, variants }
    }

    /// Checks that every variant that `shares` give calls to can be called.
    ///
    /// # Errors
    /// For the first variant that cannot.
    pub(crate) fn allow(&self, shares: &Shares) -> Result<(), RouteRejected> {
        let main = self.variants.first().map_or("", |main| main.name.as_str());
        for variant in &self.variants {
            let (context, name) = (self.context.clone(), variant.name.clone());
            let called = shares.weight(&name, main) > 0 || shares.shadow() == Some(&name);
            match &variant.state {
                VariantState::Absent(why) if called => {
                    return Err(RouteRejected::NotLoaded { context, name, why: why.clone() });
                }
                VariantState::CatchingUp(_) | VariantState::Stuck(_) if called => {
                    return Err(RouteRejected::NotCaughtUp { context, name, state: variant.state.to_string() });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A variant's share of the calls, in percent.
    pub fn share_percent(&self, variant: &VariantStatus) -> f64 {
        let total: u32 = self.variants.iter().map(|variant| variant.weight).sum();
        100.0 * f64::from(variant.weight) / f64::from(total.max(1))
    }
}

/// The routes of the system that `contexts` describe, while no host runs it. `request` is a context and the changes to
/// its route.
///
/// # Errors
/// As `Registry::route`. A variant that has no calls cannot get any, because it is not known whether it could answer
/// them.
pub fn at_rest(
    contexts: &[ContextSettings],
    host: Arc<HostFile>,
    request: Option<(&str, &[String])>,
) -> Result<Vec<RouteStatus>, RouteRejected> {
    let unusable = |error: &dyn std::error::Error| RouteRejected::NotKept(error.to_string());
    let routes = StoredShares::open(host).map_err(|error| unusable(&error))?;
    let mains = || contexts.iter().filter(|context| context.name.variant().is_none() && context.at.is_none());
    let names = |main: &ContextSettings| -> Vec<String> {
        let of_it = |name: &ContextName| name.variant().is_some_and(|(of, _)| of == main.name.as_str());
        let others = contexts.iter().filter(|context| of_it(&context.name)).map(|context| context.variant.clone());
        std::iter::once(main.variant.clone()).chain(others).collect()
    };
    if let Some((context, changes)) = request {
        let named = contexts.iter().find(|entry| entry.name.as_str() == context);
        if let Some(host) = named.and_then(|entry| entry.at.clone()) {
            return Err(RouteRejected::Elsewhere { context: context.to_owned(), host });
        }
        let all: Vec<String> = mains().map(|main| main.name.to_string()).collect();
        let main = mains().find(|main| main.name.as_str() == context);
        let names =
            main.map(names).filter(|names| names.len() > 1).ok_or_else(|| RouteRejected::not_routed(context, &all))?;
        let (known, before) = (names.iter().map(String::as_str).collect::<Vec<_>>(), routes.of(context));
        let shares = before.changed(context, &known, changes)?;
        let main = known.first().copied().unwrap_or_default();
        let called = |shares: &Shares, name: &str| shares.weight(name, main) > 0 || shares.shadow() == Some(name);
        if let Some(new) = known.iter().skip(1).find(|name| called(&shares, name) && !called(&before, name)) {
            return Err(RouteRejected::NotKnown { context: context.to_owned(), name: (*new).to_owned() });
        }
        if shares != before {
            routes.set(context, shares).map_err(|error| unusable(&error))?;
        }
    }
    let status = |main: &ContextSettings| {
        let (context, shares) = (main.name.to_string(), routes.of(main.name.as_str()));
        let variant = |name: String| VariantStatus {
            weight: shares.weight(&name, &main.variant),
            shadow: shares.shadow() == Some(&name),
            name,
            state: VariantState::AtRest,
        };
        RouteStatus { context, variants: names(main).into_iter().map(variant).collect() }
    };
    let asked = |status: &RouteStatus| match request {
        Some((context, _)) => status.context == context,
        None => status.variants.len() > 1,
    };
    Ok(mains().map(status).filter(asked).collect())
}

impl RouteRejected {
    /// The error for a `context` that has no route; `contexts` are all contexts.
    pub fn not_routed(context: &str, contexts: &[String]) -> Self {
        let name = context.to_owned();
        if contexts.contains(&name) {
            return Self::NoVariants { context: name };
        }
        let near = nearest(context, contexts.iter().map(String::as_str)).map(ToOwned::to_owned);
        Self::NoContext { name, near, known: contexts.to_vec() }
    }
}
