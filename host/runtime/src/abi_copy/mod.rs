//! The fast way over a seam: one call from a component's `Store` into another's, for any signature of plain values.
//!
//! wasmtime's `Val` builds a tree on the heap with the name of every field in it. Here the canonical-ABI bytes of the parameters
//! are checked and copied out of the caller's memory as they are, into an `Image` that knows where the pointers stand; the image
//! is then copied into the callee's memory, block by block, through the callee's own `realloc`. Results go the same way back.
//!
//! Invariants:
//! - What `Val` refuses is refused: bounds, alignment, UTF-8, `char`, discriminants. `tests` hold the two against each other.
//! - A byte that is not part of a value (padding, payload of another case, high bits of flags) never leaves its component.
//! - Whatever a guest or a wrong type does, the host gets an error; only the core arity of a function is trusted, and wasmtime
//!   asks `abi` for it on both sides.
//!
//! Not here: whether caller and callee mean the same type. The linker compares signatures structurally before it links; of two
//! signatures that differ but have the same core arity the callee would get garbage within its own sandbox.
//!
//! This rests on traits that wasmtime hides from its documentation (`Lift`, `Lower`, `component::__internal`), whose shape may
//! change with any release. The version is pinned, and the tests here say when the next one means something else.

mod abi;
mod image;
mod lift;
mod strings;
#[cfg(test)]
mod tests;
pub(super) mod values;

use wasmtime::component::types::{ComponentFunc, Type};
use wasmtime::component::{Func, LinkerInstance, Val};
use wasmtime::{AsContextMut, Result, StoreContextMut, ValRaw};

use crate::limits;
use image::Image;

/// Parameters and results that need more core values than these travel through memory.
const FLAT_PARAMS_MAX: usize = 16;
const FLAT_RESULTS_MAX: usize = 1;

/// The case of a seam's error that says that the other side did not answer.
const UNAVAILABLE: &str = "unavailable";

/// Why a message was not carried over. Whoever sent it broke the canonical ABI or a limit, except for the last three.
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
    #[error("there is no case {discriminant} among {cases}")]
    Case { discriminant: u32, cases: usize },
    #[error("the type nests deeper than {}", limits::SEAM_TYPE_DEPTH_MAX)]
    Depth,
    #[error("the type cannot cross a seam between stores")]
    Unsupported,
    #[error("caller and callee disagree about the layout of a message")]
    Mismatch,
    #[error("the function does not return a `result` whose error has a case `unavailable(string)`")]
    NoUnavailable,
}

/// The parameters of one call, lifted out of the caller and not yet lowered into anybody.
pub struct Args<'a, T: 'static>(&'a dyn Invoke<T>);

impl<T: 'static> Args<'_, T> {
    /// Calls `func`, an export whose type equals that of the import, in the `store` that owns it. May be called again, on another
    /// instance for instance: the parameters stay.
    ///
    /// # Errors
    ///
    /// Whatever the call itself may fail with (a trap, a deadline), and a `Fault` when the callee answers with malformed values.
    /// Either way the callee's instance is not to be used again.
    pub fn invoke(&self, func: &Func, mut store: impl AsContextMut<Data = T>) -> Result<Reply> {
        self.0.invoke(func, store.as_context_mut())
    }

    /// The parameters, which are of these types, one by one.
    ///
    /// # Errors
    /// When they are of other types.
    pub fn values(&self, types: &[Type]) -> std::result::Result<Vec<Val>, Fault> {
        self.0.values(types)
    }
}

/// `Args` of any arity.
trait Invoke<T: 'static> {
    fn invoke(&self, func: &Func, store: StoreContextMut<'_, T>) -> Result<Reply>;
    fn values(&self, types: &[Type]) -> std::result::Result<Vec<Val>, Fault>;
}

/// What goes back to the caller: a callee's answer, or one that the host gives in its place.
pub struct Reply(Answer);

enum Answer {
    /// Nothing, or one core value.
    Flat { value: ValRaw, rejected: bool },
    /// A value in memory; the image has a root.
    Memory { image: Image, rejected: bool },
    /// `err(unavailable(text))` in the caller's own type.
    Unavailable(String),
}

impl Reply {
    /// The callee did not answer; `text` tells the caller why. The caller's import must return `result<_, E>` with `E` a variant
    /// that has a case `unavailable(string)`, which the linker has checked; else lowering fails with `Fault::NoUnavailable`.
    pub fn unavailable(text: impl Into<String>) -> Self {
        Self(Answer::Unavailable(text.into()))
    }

    /// Whether the function returns a `result` and this one is its error case.
    pub fn is_err(&self) -> bool {
        match self.0 {
            Answer::Flat { rejected, .. } | Answer::Memory { rejected, .. } => rejected,
            Answer::Unavailable(_) => true,
        }
    }
}

/// Whether `link` can carry this signature: values only, no handles, streams, futures, maps or fixed-length lists, not async, not
/// deeper than `limits::SEAM_TYPE_DEPTH_MAX`.
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

/// How many core values a type flattens to.
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

/// Defines the import `name` of type `ty`: every call of it lifts its parameters and hands them to `call`, which picks the callee.
///
/// ```ignore
/// raw::link(&mut linker, "by-id", &ty, move |caller, args| match slot.check_out(caller.data()) {
///     Ok(mut callee) => args.invoke(&callee.func, &mut callee.store).or_else(|e| Ok(Reply::unavailable(e.to_string()))),
///     Err(failure) => Ok(Reply::unavailable(failure.to_string())),
/// })
/// ```
///
/// # Errors
///
/// `Fault::Unsupported` when `supports` says no, and wasmtime's error when `name` is taken. A `ty` that is not the import's shows
/// when the component is instantiated. An error out of `call` traps the caller, as do malformed parameters.
pub fn link<T, F>(linker: &mut LinkerInstance<'_, T>, name: &str, ty: &ComponentFunc, call: F) -> Result<()>
where
    T: 'static,
    F: Fn(StoreContextMut<'_, T>, Args<'_, T>) -> Result<Reply> + Send + Sync + 'static,
{
    if !supports(ty) {
        return Err(Fault::Unsupported.into());
    }
    let one_or = |count: usize, max: usize| if count > max { 1 } else { count };
    let params = ty.params().map(|(_, ty)| flat_count(&ty)).fold(0, usize::saturating_add);
    let results = ty.results().map(|ty| flat_count(&ty)).fold(0, usize::saturating_add);
    macro_rules! wrap {
        ($($n:literal)*) => {
            match (one_or(params, FLAT_PARAMS_MAX), one_or(results, FLAT_RESULTS_MAX)) {
                $(
                    ($n, 0) => linker.func_wrap(name, move |caller: StoreContextMut<'_, T>, params: abi::Params<$n>| {
                        call(caller, Args(&abi::Pending::<$n, 0>(&params))).map(abi::Results::<0>)
                    }),
                    ($n, _) => linker.func_wrap(name, move |caller: StoreContextMut<'_, T>, params: abi::Params<$n>| {
                        call(caller, Args(&abi::Pending::<$n, 1>(&params))).map(abi::Results::<1>)
                    }),
                )*
                _ => Err(Fault::Unsupported.into()),
            }
        };
    }
    wrap!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
}
