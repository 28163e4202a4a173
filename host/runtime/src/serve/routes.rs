//! Routes as operators see and change them: what share of its context's calls each variant gets.

use super::error::Error;
use super::load::Absent;
use super::publisher::{Next, Publisher};
use super::route_status::RouteStatus;
use crate::component::ContextProblem;
use crate::route::{Comparison, RouteRejected};

/// The routes of all contexts that have variants.
pub(super) fn all(publisher: &Publisher) -> Vec<RouteStatus> {
    let set = publisher.serving();
    let absent = publisher.routing.absent.lock();
    let here = set.generations.iter().filter(|generation| generation.lives_elsewhere().is_none());
    let mains = here.filter(|g| g.context().variant().is_none());
    let status = mains.map(|main| RouteStatus::of(main, &set, &absent, &publisher.routing.shares));
    status.filter(|status| status.variants.len() > 1).collect()
}

fn one(publisher: &Publisher, context: &str) -> Result<RouteStatus, RouteRejected> {
    let found = all(publisher).into_iter().find(|status| status.context == context);
    found.ok_or_else(|| no_route(publisher, context))
}

/// Changes what share of the calls each variant of `context` gets, permanently and for requests that start from now on.
///
/// # Errors
/// When `changes` cannot be read, name no variant, or name a variant that cannot answer; then nothing has changed.
pub(super) fn change(publisher: &Publisher, context: &str, changes: &[String]) -> Result<RouteStatus, RouteRejected> {
    publisher.replace(|now| {
        let before = one(publisher, context)?;
        if changes.is_empty() {
            return Ok(None);
        }
        let names: Vec<&str> = before.variants.iter().map(|variant| variant.name.as_str()).collect();
        let shares = publisher.routing.shares.of(context).changed(context, &names, changes)?;
        before.allow(&shares)?;
        publisher.routing.shares.set(context, shares).map_err(|error| RouteRejected::NotKept(error.to_string()))?;
        Ok(Some(Next::new(now.generations.clone(), now.on_probation.clone())))
    })?;
    one(publisher, context)
}

/// The variants of `context`, side by side.
///
/// # Errors
/// When there is no such context, or it has no variants.
pub(super) fn compare(publisher: &Publisher, context: &str) -> Result<Comparison, RouteRejected> {
    let set = publisher.serving();
    let elsewhere = set.generation(context).ok().and_then(|generation| generation.lives_elsewhere());
    let index = set.by_name.get(context).filter(|_| !context.contains('@') && elsewhere.is_none());
    let route = index.and_then(|index| set.routes.get(index));
    route.map(|route| route.compare()).ok_or_else(|| no_route(publisher, context))
}

/// Checks that no variant has a share of the calls while it is not built.
///
/// # Errors
/// One problem for each such variant.
pub(super) fn check_shares(publisher: &Publisher, absent: &[Absent]) -> Result<(), Error> {
    let not_built = |absent: &&Absent| absent.problems.is_empty();
    let problem = |absent: &Absent| {
        let (context, variant) = absent.context.variant()?;
        let name = &absent.context;
        (publisher.routing.shares.of(context).weight(variant, "") > 0).then(|| ContextProblem {
            context: name.clone(),
            part: "component".into(),
            message: format!("`{name}` has a share of the calls, and {}", absent.why),
            remedy: format!("run `seam build {name}`, or give its share to another: `seam route {context} VARIANT=1`"),
        })
    };
    let problems: Vec<_> = absent.iter().filter(not_built).filter_map(problem).collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::Problems(problems)) }
}

fn no_route(publisher: &Publisher, context: &str) -> RouteRejected {
    let set = publisher.serving();
    let elsewhere = set.generation(context).ok().and_then(|generation| generation.lives_elsewhere());
    if let Some(host) = elsewhere {
        return RouteRejected::Elsewhere { context: context.to_owned(), host: host.to_owned() };
    }
    let mains = set.generations.iter().filter(|g| g.context().variant().is_none());
    let mains: Vec<String> = mains.map(|g| g.context().to_string()).collect();
    RouteRejected::not_routed(context, &mains)
}
