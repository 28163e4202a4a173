//! Calls a function with parameters that another host has sent.

use wasmtime::component::Func;
use wasmtime::{AsContextMut, Result, StoreContextMut};

use super::abi::Params;
use super::{FLAT_PARAMS_MAX, FLAT_RESULTS_MAX, Fault, Invoking, Reply, decode};
use crate::codec::FunctionLayout;

/// Calls `func`, whose type has this `layout`, in the `store` that owns it, with parameters that `codec` wrote.
///
/// # Errors
/// A `codec::Error` when `bytes` are not the encoding of the parameters; `func` has then not been called. Else as
/// `Args::invoke`.
pub fn invoke_encoded<T: 'static>(
    layout: &FunctionLayout,
    bytes: &[u8],
    func: &Func,
    mut store: impl AsContextMut<Data = T>,
) -> Result<Reply> {
    let (slots, image) = decode::params(layout, bytes)?;
    let store = store.as_context_mut();
    macro_rules! by_arity {
        ($($n:literal)*) => {
            match core_arity(layout) {
                $(
                    ($n, 0) => Params::<$n>::of(&slots, image)?.invoke::<T, 0>(func, store),
                    ($n, _) => Params::<$n>::of(&slots, image)?.invoke::<T, 1>(func, store),
                )*
                _ => Err(Fault::Unsupported.into()),
            }
        };
    }
    by_arity!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
}

/// Like `invoke_encoded`, for a `store` whose instances are linked asynchronously.
///
/// # Errors
/// As `invoke_encoded`.
pub fn invoke_encoded_async<'s, T: Send + 'static>(
    layout: &FunctionLayout,
    bytes: &[u8],
    func: &'s Func,
    store: StoreContextMut<'s, T>,
) -> Invoking<'s> {
    let refused = |error: wasmtime::Error| -> Invoking<'s> { Box::pin(std::future::ready(Err(error))) };
    let (slots, image) = match decode::params(layout, bytes) {
        Ok(decoded) => decoded,
        Err(error) => return refused(error.into()),
    };
    macro_rules! by_arity {
        ($($n:literal)*) => {
            match core_arity(layout) {
                $(
                    ($n, results) => match Params::<$n>::of(&slots, image) {
                        Ok(params) if results == 0 => {
                            Box::pin(async move { params.invoke_async::<T, 0>(func, store).await })
                        }
                        Ok(params) => Box::pin(async move { params.invoke_async::<T, 1>(func, store).await }),
                        Err(fault) => refused(fault.into()),
                    },
                )*
                _ => refused(Fault::Unsupported.into()),
            }
        };
    }
    by_arity!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
}

/// How many core values carry the parameters and the results.
fn core_arity(layout: &FunctionLayout) -> (usize, usize) {
    let one_or = |count: usize, max: usize| if count > max { 1 } else { count };
    (one_or(layout.params.flat, FLAT_PARAMS_MAX), one_or(layout.results.flat, FLAT_RESULTS_MAX))
}
