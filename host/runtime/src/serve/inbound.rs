//! Calls that come from other hosts, into the set that serves here, and questions about the outboxes of its contexts.
//!
//! A call from another host is one like any other: it takes the set that serves now, the variant that its visitor gets,
//! and the limits of the context. Its chain goes on from the contexts that it ran through elsewhere.
//! Not here: whether the other host may call (the crate `seam`, `remote`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;
use seam_store::ids::ContextName;
use wasmtime::component::types::Type;
use wasmtime::component::{Func, Val};
use wasmtime::{AsContextMut, Store};

use super::asked;
use super::registry::Registry;
use super::serving_set::ServingSet;
use crate::abi_copy;
use crate::call::{Affinity, Call, Failure};
use crate::codec;
use crate::guest::Guest;
use crate::guest::admission::FunctionId;
use crate::guest::bulkhead::Callee;
use crate::guest::cut_off::CutOff;
use crate::guest::dispatch::{Exchange, Function, Invoking, bytes_of};
use crate::limits;
use crate::remote::{Answers, Ask, Asking, Carrying, Head};

/// The contexts of this host, as other hosts call them.
pub struct Inbound {
    registry: Registry,
    /// By context, interface and name: what the last call of it looked up.
    functions: Mutex<HashMap<(String, String, String), Arc<Function>>>,
}

impl Inbound {
    pub fn new(registry: Registry) -> Self {
        Self { registry, functions: Mutex::default() }
    }

    /// The function as its caller knows it.
    ///
    /// # Errors
    /// When the version that serves has no such function, or one of another type.
    fn function(&self, set: &ServingSet, head: &Head) -> Result<Arc<Function>, Failure> {
        let generation = set.generation(head.context.as_str())?;
        // What was known of it is of a time when it lived here.
        if generation.lives_elsewhere().is_some() {
            return Err(generation.absence());
        }
        let key = (head.context.to_string(), head.interface.to_string(), head.function.clone());
        let mut functions = self.functions.lock();
        if let Some(known) = functions.get(&key).filter(|known| *known.digest() == head.signature) {
            return Ok(known.clone());
        }
        let absent = |reason: String| Failure::Absent { context: head.context.to_string(), reason };
        let Head { interface, function, .. } = head;
        let export = generation.export(interface, function);
        let export = export.ok_or_else(|| absent(format!("its running version has no `{interface}.{function}`")))?;
        let id = FunctionId::new(&interface.path, function);
        let callee = Callee { context: generation.index, function: Some(id) };
        let found = Function::new(callee, interface.clone(), function.clone(), export.signature.clone());
        if *found.digest() != head.signature {
            let reason = format!("`{interface}.{function}` has another type there than its caller knows");
            return Err(absent(reason));
        }
        // Callers choose the versions of the interfaces that they ask for.
        if functions.len() >= limits::INBOUND_FUNCTIONS_MAX {
            functions.clear();
        }
        let found = Arc::new(found);
        functions.insert(key, found.clone());
        Ok(found)
    }
}

/// The call as it goes on in this host.
///
/// # Errors
/// When the two hosts do not run the same contexts.
fn arrived(set: &ServingSet, head: &Head, now: Instant) -> Result<Call, Failure> {
    let context = || head.context.to_string();
    let index = |name: &ContextName| {
        let reason = format!("the call comes through `{name}`, which this host does not know");
        set.by_name.get(name).copied().ok_or_else(|| Failure::Absent { context: context(), reason })
    };
    let mut affinity = Affinity::of_key(head.visitor);
    for variant in &head.forced {
        // One that is not loaded here answers nothing, as in one host.
        set.by_name.get(variant).into_iter().for_each(|index| affinity.force(*index));
    }
    let mut call = Call::start(now + head.remaining, head.trace.child());
    (call.affinity, call.bulk) = (affinity, head.bulk);
    for passed in &head.chain {
        let refused = |reason| Failure::Refused { context: context(), reason };
        call = call.enter(index(passed)?).map_err(refused)?;
    }
    Ok(call)
}

impl Answers for Inbound {
    fn answer(self: Arc<Self>, head: Head, arguments: Bytes, cancel: Arc<CutOff>) -> Carrying {
        Box::pin(async move {
            let set = self.registry.serving();
            let function = self.function(&set, &head)?;
            let call = arrived(&set, &head, Instant::now())?;
            let callees = set.callees.cancelled_by(cancel);
            let context = || head.context.to_string();
            let absent = || Failure::Absent { context: context(), reason: "it is not loaded".into() };
            let callee = callees.get(usize::from(function.callee.context)).ok_or_else(absent)?;
            let mut exchange = Encoded { function: &function, arguments: &arguments, results: None };
            callee.call_async(call, &callees, &function, &mut exchange).await?;
            let mut bytes = Vec::new();
            exchange.encode_results(&mut bytes).map_err(|error| {
                tracing::error!(
                    context = %head.context, trace = %head.trace,
                    "the results of `{}.{}` cannot be sent to another host: {error:#}", head.interface, head.function
                );
                Failure::Absent { context: context(), reason: "its answer cannot be sent to another host".into() }
            })?;
            Ok(Bytes::from(bytes))
        })
    }

    fn ask(self: Arc<Self>, ask: Ask) -> Asking {
        Box::pin(async move { asked::answer(&self.registry, ask).await })
    }
}

/// An exchange whose arguments came from another host, and whose results go there.
struct Encoded<'a> {
    function: &'a Function,
    arguments: &'a [u8],
    results: Option<Results>,
}

enum Results {
    Copied(abi_copy::Reply),
    /// Of a signature that `abi_copy` does not support.
    Values(Vec<Val>),
}

impl Encoded<'_> {
    fn encode_results(&self, out: &mut Vec<u8>) -> wasmtime::Result<()> {
        let types: Vec<Type> = self.function.signature.results().collect();
        match &self.results {
            Some(Results::Copied(reply)) => Ok(reply.encode(self.function.layout()?, out)?),
            Some(Results::Values(values)) => Ok(codec::encode(values, &types, out)?),
            None => wasmtime::bail!("`{}` left no reply", self.function.name),
        }
    }

    fn param_types(&self) -> Vec<Type> {
        self.function.signature.params().map(|(_, ty)| ty).collect()
    }
}

impl Exchange for Encoded<'_> {
    fn invoke(&mut self, func: &Func, store: &mut Store<Guest>) -> wasmtime::Result<()> {
        let signature = &self.function.signature;
        self.results = Some(if abi_copy::supports(signature) {
            Results::Copied(abi_copy::invoke_encoded(self.function.layout()?, self.arguments, func, store)?)
        } else {
            let mut results = vec![Val::Bool(false); signature.results().len()];
            func.call(store, &codec::decode(self.arguments, &self.param_types())?, &mut results)?;
            Results::Values(results)
        });
        Ok(())
    }

    fn invoke_async<'a>(&'a mut self, func: &'a Func, store: &'a mut Store<Guest>) -> Invoking<'a> {
        Box::pin(async move {
            let signature = &self.function.signature;
            self.results = Some(if abi_copy::supports(signature) {
                let (layout, store) = (self.function.layout()?, store.as_context_mut());
                Results::Copied(abi_copy::invoke_encoded_async(layout, self.arguments, func, store).await?)
            } else {
                let mut results = vec![Val::Bool(false); signature.results().len()];
                let params = codec::decode(self.arguments, &self.param_types())?;
                func.call_async(store, &params, &mut results).await?;
                Results::Values(results)
            });
            Ok(())
        })
    }

    fn is_from_elsewhere(&self) -> bool {
        true
    }

    fn params(&self, _: &Function) -> wasmtime::Result<Vec<Val>> {
        Ok(codec::decode(self.arguments, &self.param_types())?)
    }

    /// A list of bytes takes the most: one `Val` for each.
    fn bytes_as_values(&self) -> usize {
        let results = match &self.results {
            Some(Results::Copied(reply)) => reply.bytes() * size_of::<Val>(),
            Some(Results::Values(values)) => values.iter().map(bytes_of).sum(),
            None => 0,
        };
        self.arguments.len() * size_of::<Val>() + results
    }

    fn answer(&mut self, results: Vec<Val>) -> wasmtime::Result<()> {
        self.results = Some(Results::Values(results));
        Ok(())
    }

    fn encode(&self, _: &Function, out: &mut Vec<u8>) -> wasmtime::Result<()> {
        out.extend_from_slice(self.arguments);
        Ok(())
    }

    fn decode(&mut self, function: &Function, bytes: &[u8]) -> wasmtime::Result<()> {
        let types: Vec<Type> = function.signature.results().collect();
        self.answer(codec::decode(bytes, &types)?)
    }

    fn results(&self, function: &Function) -> wasmtime::Result<Vec<Val>> {
        let types: Vec<Type> = function.signature.results().collect();
        match &self.results {
            Some(Results::Copied(reply)) => Ok(reply.values(&types)?),
            Some(Results::Values(values)) => Ok(values.clone()),
            None => wasmtime::bail!("`{}` left no reply", function.name),
        }
    }
}
