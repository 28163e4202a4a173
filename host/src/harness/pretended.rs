//! What a scenario pretends of the calls to its stubs: that they cross hosts. Times are those of the scenario's clock.

use std::collections::BTreeMap;

use seam_runtime::call::Failure;
use seam_runtime::component::InterfaceName;
use seam_runtime::guest::dispatch::{Exchange, Function};
use seam_runtime::pretend::{Draws, Edges, Fate, Order, Terms, arrive, parse, sendable};
use seam_store::ids::ContextName;
use wasmtime::component::Val;
use wasmtime::component::types::Type;

use super::scenario::At;

/// The context under test, and which context answers each interface that it imports.
#[derive(Debug, Clone, Default)]
pub struct Callees {
    pub context: String,
    pub of: BTreeMap<InterfaceName, ContextName>,
}

/// What a scenario pretends of these calls.
#[derive(Debug, Clone)]
pub struct PretendedEdges {
    pub edges: Edges,
    pub terms: Terms,
    /// `None`: that of the scenario's random numbers.
    pub seed: Option<u64>,
}

impl PretendedEdges {
    /// What `text` pretends of calls that the context makes.
    ///
    /// # Errors
    /// What is wrong, where in the text, and what to do.
    pub fn read(text: &At<String>, callees: &Callees) -> Result<Self, (usize, String, String)> {
        let order = parse(&text.value).map_err(|error| (error.at.start, error.message, error.remedy))?;
        let Order::Pretend { edges, terms, seed } = order else {
            let remedy = "leave it out: in a scenario, nothing is pretended unless it says so".to_owned();
            return Err((0, "nothing ends here".to_owned(), remedy));
        };
        if !callees.of.values().any(|callee| edges.has(&callees.context, callee.as_str())) {
            let known: Vec<String> =
                callees.of.values().map(|callee| format!("{}->{callee}", callees.context)).collect();
            let remedy = match known.is_empty() {
                true => "it calls no other context".to_owned(),
                false => format!("it makes the calls: {}", known.join(", ")),
            };
            return Err((0, format!("the context makes no call of the edge `{edges}`"), remedy));
        }
        Ok(Self { edges, terms, seed })
    }
}

/// What is pretended in one run of a scenario.
#[derive(Debug, Default)]
pub struct PretendedCalls(BTreeMap<InterfaceName, (ContextName, std::sync::Arc<Draws>)>);

impl PretendedCalls {
    /// Of several for one edge, the last one counts. `random` is the scenario's seed.
    pub fn new(all: &[PretendedEdges], callees: &Callees, random: u64) -> Self {
        let mut draws = BTreeMap::new();
        for PretendedEdges { edges, terms, seed } in all {
            for callee in callees.of.values().filter(|callee| edges.has(&callees.context, callee.as_str())) {
                let edge = format!("{}->{callee}", callees.context);
                let drawn = Draws::new(*terms, seed.unwrap_or(random), &edge);
                draws.insert(callee.clone(), std::sync::Arc::new(drawn));
            }
        }
        let of = |(interface, callee): (&InterfaceName, &ContextName)| {
            Some((interface.clone(), (callee.clone(), draws.get(callee)?.clone())))
        };
        Self(callees.of.iter().filter_map(of).collect())
    }

    /// What becomes of a call of this function, and who would answer it; `None` if nothing is pretended of it.
    pub fn next(&self, function: &Function) -> Option<(&ContextName, Fate)> {
        let (callee, draws) = self.0.get(&function.interface)?;
        Some((callee, draws.next()))
    }
}

/// Why the arguments of a call would not leave the host, if they would not.
///
/// # Errors
/// As a call to another host.
pub fn sent(callee: &ContextName, function: &Function, exchange: &dyn Exchange) -> Result<(), Failure> {
    sendable(callee, function, exchange).map(drop)
}

/// Gives the caller the answer as it would come from another host.
///
/// # Errors
/// When the answer could not be sent or read.
pub fn arrived(
    callee: &ContextName,
    function: &Function,
    answer: &[Val],
    exchange: &mut dyn Exchange,
) -> Result<(), Failure> {
    let types: Vec<Type> = function.signature.results().collect();
    let mut bytes = Vec::new();
    seam_runtime::codec::encode(answer, &types, &mut bytes).map_err(|error| {
        let reason = format!("its answer cannot be sent to another host: {error}");
        Failure::Absent { context: callee.to_string(), reason }
    })?;
    arrive(callee, &bytes, function, exchange)
}
