//! The fast path for a call from one component's `Store` into another's, for any signature of plain values.
//!
//! wasmtime's `Val` builds a tree on the heap with the name of every field in it. This module instead checks the
//! canonical-ABI bytes of the parameters and copies them unchanged out of the caller's memory into an `Image`, which
//! records where the pointers are. Then it copies the image into the callee's memory, block by block, through the
//! callee's own `realloc`. Results return in the same way.
//!
//! Invariants:
//! - It refuses everything that `Val` refuses: bounds, alignment, UTF-8, `char`, discriminants. `tests` compare the
//!   two.
//! - A byte that is not part of a value (padding, payload of another case, high bits of flags) never leaves its
//!   component.
//! - A hostile guest or a wrong type causes an error, never undefined behaviour. Only the core arity of a function is
//!   trusted, and wasmtime checks it against `abi` on both sides.
//!
//! A message can also leave the host, or come from another: `encode` and `decode` go between an image and the bytes of
//! `codec`.
//!
//! Not here: whether caller and callee agree about the type. The linker compares signatures structurally before it
//! links. With different signatures of the same core arity, the callee would get garbage within its own sandbox.
//!
//! This depends on traits that wasmtime hides from its documentation (`Lift`, `Lower`, `component::__internal`) and may
//! change in any release. The version is pinned, and the tests here detect a change of meaning.

mod abi;
mod decode;
mod encode;
mod encoded;
mod image;
mod lift;
mod strings;
#[cfg(test)]
mod tests;
pub(super) mod values;

use std::pin::Pin;
use std::sync::Arc;

use wasmtime::component::types::{ComponentFunc, Type};
use wasmtime::component::{Func, LinkerInstance, Val};
use wasmtime::{AsContextMut, Result, StoreContextMut, ValRaw};

use crate::codec::{self, FunctionLayout};
use crate::limits;
pub use encoded::{invoke_encoded, invoke_encoded_async};
use image::Image;

/// Parameters and results that need more core values than this are passed in memory.
const FLAT_PARAMS_MAX: usize = 16;
const FLAT_RESULTS_MAX: usize = 1;

/// The case of a seam's error for a callee that did not answer.
const UNAVAILABLE: &str = "unavailable";

/// Why a message was not copied. Except for the last three, its sender broke the canonical ABI or a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("{bytes} bytes at {pointer:#x} are out of bounds of the memory")]
    OutOfBounds { pointer: u32, bytes: u64 },
    #[error("the pointer {pointer:#x} is not aligned to {align}")]
    Unaligned { pointer: u32, align: u32 },
    #[error("the message is larger than {} bytes", limits::SEAM_MESSAGE_BYTES_MAX)]
    TooLarge,
    #[error("a string is not valid in its encoding")]
    Text,
    #[error("{0:#x} is not a unicode scalar value")]
    Char(u32),
    #[error("discriminant {discriminant} does not name one of the {cases} cases")]
    Case { discriminant: u32, cases: usize },
    #[error("the type has more than {} levels", limits::SEAM_TYPE_DEPTH_MAX)]
    Depth,
    #[error("the type cannot cross a seam between stores")]
    Unsupported,
    #[error("caller and callee disagree about the layout of a message")]
    Mismatch,
    #[error("the function does not return a `result` whose error has a case `unavailable(string)`")]
    NoUnavailable,
}

/// A call that may wait without holding a thread.
pub type Invoking<'a> = Pin<Box<dyn Future<Output = Result<Reply>> + Send + 'a>>;

/// The parameters of one call, lifted out of the caller and not yet lowered into a callee.
pub struct Args<'a, T: 'static>(&'a (dyn Invoke<T> + Sync));

impl<T: 'static> Args<'_, T> {
    /// Calls `func`, an export whose type equals that of the import, in the `store` that owns it. May be called again,
    /// for example on another instance: the parameters stay.
    ///
    /// # Errors
    ///
    /// Every error of the call itself (a trap, a deadline), and a `Fault` when the callee returns malformed values. The
    /// callee's instance must not be used again.
    pub fn invoke(&self, func: &Func, mut store: impl AsContextMut<Data = T>) -> Result<Reply> {
        self.0.invoke(func, store.as_context_mut())
    }

    /// Like `invoke`, for a `store` whose instances are linked asynchronously.
    ///
    /// # Errors
    /// As `invoke`.
    pub fn invoke_async<'s>(&'s self, func: &'s Func, store: StoreContextMut<'s, T>) -> Invoking<'s>
    where
        T: Send,
    {
        self.0.invoke_async(func, store)
    }

    /// The parameters as values of these types.
    ///
    /// # Errors
    /// When the parameters have other types.
    pub fn values(&self, types: &[Type]) -> std::result::Result<Vec<Val>, Fault> {
        self.0.values(types)
    }

    /// Appends the parameters to `out`, as `codec` writes values of their types.
    ///
    /// # Errors
    /// When they take more than `limits::SEAM_MESSAGE_BYTES_MAX` bytes, or `layout` is that of another function. `out`
    /// is then as it was.
    pub fn encode(&self, layout: &FunctionLayout, out: &mut Vec<u8>) -> std::result::Result<(), codec::Error> {
        self.0.encode(layout, out)
    }

    /// The bytes that the parameters take in the host.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

/// `Args` of one arity; hides the arity from `Args`.
trait Invoke<T: 'static> {
    fn invoke(&self, func: &Func, store: StoreContextMut<'_, T>) -> Result<Reply>;
    fn invoke_async<'s>(&'s self, func: &'s Func, store: StoreContextMut<'s, T>) -> Invoking<'s>
    where
        T: Send;
    fn encode(&self, layout: &FunctionLayout, out: &mut Vec<u8>) -> std::result::Result<(), codec::Error>;
    fn values(&self, types: &[Type]) -> std::result::Result<Vec<Val>, Fault>;
    fn bytes(&self) -> usize;
}

/// The reply to the caller: from the callee, or from the host when the callee did not answer.
pub struct Reply(ReplyBody);

enum ReplyBody {
    /// No core value, or one.
    Flat { value: ValRaw, rejected: bool },
    /// A value in memory; the image has a root block.
    Memory { image: Image, rejected: bool },
    /// `err(unavailable(text))` in the caller's own type.
    Unavailable(String),
}

impl Reply {
    /// The reply when the callee did not answer; `text` is the reason. The caller's import must return `result<_, E>`
    /// with `E` a variant that has the case `unavailable(string)`. The linker has checked this; otherwise lowering
    /// fails with `Fault::NoUnavailable`.
    pub fn unavailable(text: impl Into<String>) -> Self {
        Self(ReplyBody::Unavailable(text.into()))
    }

    /// The bytes that the reply takes in the host.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            ReplyBody::Flat { .. } => size_of::<ValRaw>(),
            ReplyBody::Memory { image, .. } => image.size(),
            ReplyBody::Unavailable(text) => text.len(),
        }
    }

    /// Whether the function returns a `result`, and this reply is its error case.
    pub fn is_err(&self) -> bool {
        match self.0 {
            ReplyBody::Flat { rejected, .. } | ReplyBody::Memory { rejected, .. } => rejected,
            ReplyBody::Unavailable(_) => true,
        }
    }
}

/// Whether `link` supports this signature: only values, no handles, streams, futures, maps or fixed-length lists; not
/// async; at most `limits::SEAM_TYPE_DEPTH_MAX` levels deep.
pub fn supports(ty: &ComponentFunc) -> bool {
    !ty.async_() && ty.params().map(|(_, ty)| ty).chain(ty.results()).all(|ty| plain_value(&ty, 1))
}

fn plain_value(ty: &Type, depth: usize) -> bool {
    let all = |mut types: &mut dyn Iterator<Item = Type>| Iterator::all(&mut types, |ty| plain_value(&ty, depth + 1));
    depth <= limits::SEAM_TYPE_DEPTH_MAX
        && match ty {
            Type::Bool | Type::Char | Type::String | Type::Flags(_) | Type::Enum(_) => true,
            Type::S8 | Type::U8 | Type::S16 | Type::U16 | Type::S32 | Type::U32 | Type::S64 | Type::U64 => true,
            Type::Float32 | Type::Float64 => true,
            Type::List(list) => all(&mut std::iter::once(list.ty())),
            Type::Record(record) => all(&mut record.fields().map(|field| field.ty)),
            Type::Tuple(tuple) => all(&mut tuple.types()),
            Type::Option(option) => all(&mut std::iter::once(option.ty())),
            Type::Result(result) => all(&mut result.ok().into_iter().chain(result.err())),
            Type::Variant(variant) => all(&mut variant.cases().filter_map(|case| case.ty)),
            _ => false,
        }
}

/// The number of core values that a type flattens to.
fn flat_count(ty: &Type) -> usize {
    let sum = |types: &mut dyn Iterator<Item = Type>| types.map(|ty| flat_count(&ty)).fold(0, usize::saturating_add);
    let widest = |types: &mut dyn Iterator<Item = Type>| types.map(|ty| flat_count(&ty)).max().unwrap_or(0);
    match ty {
        Type::String | Type::List(_) => 2,
        Type::Record(record) => sum(&mut record.fields().map(|field| field.ty)),
        Type::Tuple(tuple) => sum(&mut tuple.types()),
        Type::Flags(flags) => flags.names().count().div_ceil(32),
        Type::Option(option) => flat_count(&option.ty()).saturating_add(1),
        Type::Result(result) => widest(&mut result.ok().into_iter().chain(result.err())).saturating_add(1),
        Type::Variant(variant) => widest(&mut variant.cases().filter_map(|case| case.ty)).saturating_add(1),
        _ => 1,
    }
}

/// Defines the import `name` of type `ty`. Every call of it lifts its parameters and passes them to `call`, which
/// chooses the callee.
///
/// ```ignore
/// abi_copy::link(&mut linker, "by-id", &ty, move |caller, args| match slot.check_out(caller.data()) {
///     Ok(mut callee) => args.invoke(&callee.func, &mut callee.store).or_else(|e|
///     Ok(Reply::unavailable(e.to_string()))),
///     Err(failure) => Ok(Reply::unavailable(failure.to_string())),
/// })
/// ```
///
/// # Errors
///
/// `Fault::Unsupported` when `supports` is false, and wasmtime's error when `name` is taken. If `ty` is not the type of
/// the import, instantiating the component fails. An error from `call` traps the caller, as do malformed parameters.
pub fn link<T, F>(linker: &mut LinkerInstance<'_, T>, name: &str, ty: &ComponentFunc, call: F) -> Result<()>
where
    T: 'static,
    F: Fn(StoreContextMut<'_, T>, Args<'_, T>) -> Result<Reply> + Send + Sync + 'static,
{
    if !supports(ty) {
        return Err(Fault::Unsupported.into());
    }
    let (params, results) = core_arity(ty);
    macro_rules! wrap {
        ($($n:literal)*) => {
            match (params, results) {
                $(
                    ($n, 0) => linker.func_wrap(name, move |caller: StoreContextMut<'_, T>, params: abi::Params<$n>| {
                        call(caller, Args(&abi::Call::<$n, 0>(&params))).map(abi::Results::<0>)
                    }),
                    ($n, _) => linker.func_wrap(name, move |caller: StoreContextMut<'_, T>, params: abi::Params<$n>| {
                        call(caller, Args(&abi::Call::<$n, 1>(&params))).map(abi::Results::<1>)
                    }),
                )*
                _ => Err(Fault::Unsupported.into()),
            }
        };
    }
    wrap!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
}

/// Like `link`, for a store whose instances are linked asynchronously: `call` may wait without holding a thread.
///
/// # Errors
/// As `link`.
pub fn link_async<T, F>(linker: &mut LinkerInstance<'_, T>, name: &str, ty: &ComponentFunc, call: F) -> Result<()>
where
    T: Send + 'static,
    F: for<'a> Fn(StoreContextMut<'a, T>, Args<'a, T>) -> Invoking<'a> + Send + Sync + 'static,
{
    if !supports(ty) {
        return Err(Fault::Unsupported.into());
    }
    let (params, results) = core_arity(ty);
    let call = Arc::new(call);
    macro_rules! wrap {
        ($($n:literal)*) => {
            match (params, results) {
                $(
                    ($n, 0) => wrap_async::<T, F, $n, 0>(linker, name, call),
                    ($n, _) => wrap_async::<T, F, $n, 1>(linker, name, call),
                )*
                _ => Err(Fault::Unsupported.into()),
            }
        };
    }
    wrap!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
}

fn wrap_async<T, F, const N: usize, const R: usize>(
    linker: &mut LinkerInstance<'_, T>,
    name: &str,
    call: Arc<F>,
) -> Result<()>
where
    T: Send + 'static,
    F: for<'a> Fn(StoreContextMut<'a, T>, Args<'a, T>) -> Invoking<'a> + Send + Sync + 'static,
{
    linker.func_wrap_async(name, move |mut caller: StoreContextMut<'_, T>, params: abi::Params<N>| {
        let call = call.clone();
        Box::new(async move {
            let pending = abi::Call::<N, R>(&params);
            call(caller.as_context_mut(), Args(&pending)).await.map(abi::Results::<R>)
        })
    })
}

/// How many core values carry the parameters and the results of a function.
fn core_arity(ty: &ComponentFunc) -> (usize, usize) {
    let one_or = |count: usize, max: usize| if count > max { 1 } else { count };
    let params = ty.params().map(|(_, ty)| flat_count(&ty)).fold(0, usize::saturating_add);
    let results = ty.results().map(|ty| flat_count(&ty)).fold(0, usize::saturating_add);
    (one_or(params, FLAT_PARAMS_MAX), one_or(results, FLAT_RESULTS_MAX))
}
