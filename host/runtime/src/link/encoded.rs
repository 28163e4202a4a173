//! A call whose arguments and results are bytes that `codec` wrote: on the host of its callee, and for calls that are
//! made side by side.

use seam_store::ids::{ContextName, Trace};
use wasmtime::component::types::Type;
use wasmtime::component::{Func, Val};
use wasmtime::{AsContextMut, Store};

use crate::abi_copy;
use crate::call::Failure;
use crate::codec;
use crate::guest::Guest;
use crate::guest::dispatch::{Exchange, Function, Invoking, bytes_of};

/// An exchange whose arguments came as bytes, and whose results go on as bytes.
pub(crate) struct Encoded<'a> {
    function: &'a Function,
    arguments: &'a [u8],
    results: Option<Results>,
    from_elsewhere: bool,
}

enum Results {
    Copied(abi_copy::Reply),
    /// Of a signature that `abi_copy` does not support.
    Values(Vec<Val>),
    /// As `codec` wrote them.
    Bytes(Vec<u8>),
}

impl<'a> Encoded<'a> {
    pub fn new(function: &'a Function, arguments: &'a [u8]) -> Self {
        Self { function, arguments, results: None, from_elsewhere: false }
    }

    /// The same for a call that came from another host.
    pub fn from_elsewhere(function: &'a Function, arguments: &'a [u8]) -> Self {
        Self { from_elsewhere: true, ..Self::new(function, arguments) }
    }

    /// Sets the results, as `codec` wrote them for this function.
    pub fn set_results(&mut self, results: Vec<u8>) {
        self.results = Some(Results::Bytes(results));
    }

    /// The bytes of the answer of `context`, after the call.
    ///
    /// # Errors
    /// When the answer cannot leave the host; the log says why.
    pub fn answer_of(&self, context: &ContextName, trace: Trace) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        self.encode_results(self.function, &mut bytes).map_err(|error| {
            let Function { interface, name, .. } = self.function;
            tracing::error!(
                %context, %trace, "the results of `{interface}.{name}` cannot be sent to another host: {error:#}"
            );
            Failure::Absent {
                context: context.to_string(),
                reason: "its answer cannot be sent to another host".to_owned(),
            }
        })?;
        Ok(bytes)
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
        self.from_elsewhere
    }

    fn params(&self, _: &Function) -> wasmtime::Result<Vec<Val>> {
        Ok(codec::decode(self.arguments, &self.param_types())?)
    }

    /// A list of bytes takes the most: one `Val` for each.
    fn bytes_as_values(&self) -> usize {
        let results = match &self.results {
            Some(Results::Copied(reply)) => reply.bytes() * size_of::<Val>(),
            Some(Results::Values(values)) => values.iter().map(bytes_of).sum(),
            Some(Results::Bytes(bytes)) => bytes.len() * size_of::<Val>(),
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
        self.results = Some(if abi_copy::supports(&function.signature) {
            Results::Copied(abi_copy::Reply::decode(function.layout()?, bytes)?)
        } else {
            Results::Values(codec::decode(bytes, &function.signature.results().collect::<Vec<Type>>())?)
        });
        Ok(())
    }

    fn encode_results(&self, function: &Function, out: &mut Vec<u8>) -> wasmtime::Result<()> {
        let types: Vec<Type> = function.signature.results().collect();
        match &self.results {
            Some(Results::Copied(reply)) => Ok(reply.encode(function.layout()?, out)?),
            Some(Results::Values(values)) => Ok(codec::encode(values, &types, out)?),
            Some(Results::Bytes(bytes)) => {
                out.extend_from_slice(bytes);
                Ok(())
            }
            None => wasmtime::bail!("`{}` left no reply", function.name),
        }
    }

    fn results(&self, function: &Function) -> wasmtime::Result<Vec<Val>> {
        let types: Vec<Type> = function.signature.results().collect();
        match &self.results {
            Some(Results::Copied(reply)) => Ok(reply.values(&types)?),
            Some(Results::Values(values)) => Ok(values.clone()),
            Some(Results::Bytes(bytes)) => Ok(codec::decode(bytes, &types)?),
            None => wasmtime::bail!("`{}` left no reply", function.name),
        }
    }
}
