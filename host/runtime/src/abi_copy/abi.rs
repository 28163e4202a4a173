//! The implementations of wasmtime's `Lift` and `Lower`, for messages of any type. They differ only in the number of
//! core values.
//!
//! Why the `unsafe impl`s are sound: wasmtime trusts an implementation of these traits in exactly two points.
//! 1. `Lower` must have as many `ValRaw`s as the function takes or returns, because a core function reads and writes
//!    that storage. It is an array of `N` of them, and `typecheck` compares `N` with the arity of the actual function.
//!    wasmtime runs `typecheck` for every import when it instantiates a component, and `Func::typed` runs it for every
//!    export before a call.
//! 2. When `linear_lower_to_flat` returns `Ok`, `dst` must be initialised. Every path writes the whole array or returns
//!    `Err`.
//!
//! Everything else is safe code, which reaches memory only through slices of wasmtime's lift and lower contexts, with
//! checked ranges. `SIZE32` and `ALIGN32` are constants of a type, but our types have values of any size; so they are 0
//! and 1. Therefore wasmtime checks no bounds for us. Where it would allocate (`lower_heap_args`) or load
//! (`lift_heap_result`) by these constants, the core array has one slot, and this code handles the pointer in it.

use std::mem::MaybeUninit;

use wasmtime::component::__internal::wasmtime_environ::component::TypeTuple;
use wasmtime::component::__internal::{
    CanonicalAbiInfo, ComponentTypes, InstanceType, InterfaceType, LiftContext, LowerContext,
};
use wasmtime::component::types::Type;
use wasmtime::component::{ComponentNamedList, ComponentType, Func, Lift, Lower, Val};
use wasmtime::{Result, StoreContextMut, ValRaw};

use super::encode;
use super::image::{self, Image};
use super::lift::{Lifter, Slots};
use super::strings::Encoding;
use super::values;
use super::{FLAT_PARAMS_MAX, FLAT_RESULTS_MAX, Fault, Invoke, Invoking, Reply, ReplyBody, UNAVAILABLE};
use crate::codec::{self, FunctionLayout};

/// Parameters lifted from the caller: its core values, or one for the pointer to the image's root.
pub(super) struct Params<const N: usize> {
    slots: [ValRaw; N],
    image: Image,
}

impl<const N: usize> Params<N> {
    /// From the first `N` of the core values of a message.
    pub(super) fn of(slots: &[ValRaw], image: Image) -> Result<Self, Fault> {
        Ok(Self { slots: *slots.first_chunk().ok_or(Fault::Mismatch)?, image })
    }

    pub(super) fn invoke<T: 'static, const R: usize>(
        &self,
        func: &Func,
        mut store: StoreContextMut<'_, T>,
    ) -> Result<Reply> {
        // Compares only the core arity, which is cheap enough for every call.
        let func = func.typed::<Outgoing<'_, N>, Incoming<R>>(&store)?;
        Ok(func.call(&mut store, Outgoing(self))?.0)
    }

    pub(super) async fn invoke_async<T: Send + 'static, const R: usize>(
        &self,
        func: &Func,
        mut store: StoreContextMut<'_, T>,
    ) -> Result<Reply> {
        let func = func.typed::<Outgoing<'_, N>, Incoming<R>>(&store)?;
        Ok(func.call_async(&mut store, Outgoing(self)).await?.0)
    }
}

/// The same parameters, to be lowered into the callee.
struct Outgoing<'a, const N: usize>(&'a Params<N>);

/// A result lifted from the callee.
struct Incoming<const R: usize>(Reply);

/// The same result, to be lowered into the caller.
pub(super) struct Results<const R: usize>(pub(super) Reply);

/// Parameters together with the arity of the result.
pub(super) struct Call<'a, const N: usize, const R: usize>(pub(super) &'a Params<N>);

impl<T: 'static, const N: usize, const R: usize> Invoke<T> for Call<'_, N, R> {
    fn invoke(&self, func: &Func, store: StoreContextMut<'_, T>) -> Result<Reply> {
        self.0.invoke::<T, R>(func, store)
    }

    fn invoke_async<'s>(&'s self, func: &'s Func, store: StoreContextMut<'s, T>) -> Invoking<'s>
    where
        T: Send,
    {
        Box::pin(self.0.invoke_async::<T, R>(func, store))
    }

    fn encode(&self, layout: &FunctionLayout, out: &mut Vec<u8>) -> Result<(), codec::Error> {
        encode::params(layout, &self.0.slots, &self.0.image, out)
    }

    fn values(&self, types: &[Type]) -> Result<Vec<Val>, Fault> {
        values::params(types, &self.0.slots, &self.0.image)
    }

    fn bytes(&self) -> usize {
        size_of_val(&self.0.slots) + self.0.image.size()
    }
}

macro_rules! component_type {
    ($ty:ty, [$($generics:tt)*], $n:ident, $flat_max:expr) => {
        // SAFETY: see the head of this file: `Lower` is an array of `ValRaw`, and `typecheck` compares its length.
        unsafe impl<$($generics)*> ComponentType for $ty {
            type Lower = [ValRaw; $n];
            const ABI: CanonicalAbiInfo =
                CanonicalAbiInfo { size32: 0, align32: 1, size64: 0, align64: 1, flat_count: Some($n as u8) };

            fn typecheck(ty: &InterfaceType, instance: &InstanceType<'_>) -> Result<()> {
                let count = tuple(instance.types, *ty)?.abi.flat_count($flat_max).unwrap_or(1);
                if count == $n { Ok(()) } else { Err(Fault::Mismatch.into()) }
            }
        }

        // SAFETY: this trait requires a type for a list of parameters or results; `typecheck` accepts only a tuple.
        unsafe impl<$($generics)*> ComponentNamedList for $ty {}
    };
}

component_type!(Params<N>, [const N: usize], N, FLAT_PARAMS_MAX);
component_type!(Outgoing<'_, N>, [const N: usize], N, FLAT_PARAMS_MAX);
component_type!(Incoming<R>, [const R: usize], R, FLAT_RESULTS_MAX);
component_type!(Results<R>, [const R: usize], R, FLAT_RESULTS_MAX);

/// The parameters or results of a function, which wasmtime always passes as a tuple.
fn tuple(types: &ComponentTypes, ty: InterfaceType) -> Result<&TypeTuple, Fault> {
    match ty {
        InterfaceType::Tuple(index) => Ok(&types[index]),
        _ => Err(Fault::Mismatch),
    }
}

// SAFETY: lifting only reads, through checked slices; see the head of this file.
unsafe impl<const N: usize> Lift for Params<N> {
    fn linear_lift_from_flat(cx: &mut LiftContext<'_>, ty: InterfaceType, src: &Self::Lower) -> Result<Self> {
        let mut lifter = Lifter::new(cx);
        let mut slots = [ValRaw::u64(0); N];
        lifter.flat_tuple(tuple(cx.types, ty)?, &mut Slots::new(src, &mut slots))?;
        cx.consume_fuel(lifter.image.size())?;
        Ok(Self { slots, image: lifter.image })
    }

    fn linear_lift_from_memory(cx: &mut LiftContext<'_>, ty: InterfaceType, bytes: &[u8]) -> Result<Self> {
        // As `SIZE32` is 0, this slice is empty, but it starts at the value: its distance from the memory's first byte
        // is the pointer that the guest passed. If that changed, the code would stay safe: the number is only an index,
        // with bounds checks.
        let pointer = bytes.as_ptr().addr().wrapping_sub(cx.memory().as_ptr().addr());
        let pointer = u32::try_from(pointer).map_err(|_| Fault::Mismatch)?;
        let mut lifter = Lifter::new(cx);
        lifter.root(tuple(cx.types, ty)?, pointer)?;
        cx.consume_fuel(lifter.image.size())?;
        Ok(Self { slots: [ValRaw::u64(0); N], image: lifter.image })
    }
}

// SAFETY: `dst` is written whole on success; see the head of this file.
unsafe impl<const N: usize> Lower for Outgoing<'_, N> {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        dst: &mut MaybeUninit<Self::Lower>,
    ) -> Result<()> {
        let abi = &tuple(cx.types, ty)?.abi;
        let spilled = abi.flat_count(FLAT_PARAMS_MAX).is_none().then_some(abi.size32);
        if self.0.image.root_len() != spilled {
            return Err(Fault::Mismatch.into());
        }
        let mut slots = self.0.slots;
        self.0.image.copy_into(cx, None, &mut slots)?;
        dst.write(slots);
        Ok(())
    }

    fn linear_lower_to_memory<T>(&self, _: &mut LowerContext<'_, T>, _: InterfaceType, _: usize) -> Result<()> {
        // wasmtime calls this only for more than 16 slots, and there are at most 16.
        Err(Fault::Mismatch.into())
    }
}

// SAFETY: lifting only reads, through checked slices; see the head of this file.
unsafe impl<const R: usize> Lift for Incoming<R> {
    fn linear_lift_from_flat(cx: &mut LiftContext<'_>, ty: InterfaceType, src: &Self::Lower) -> Result<Self> {
        let results = tuple(cx.types, ty)?;
        let is_result = matches!(*results.types, [InterfaceType::Result(_)]);
        let mut lifter = Lifter::new(cx);
        let answer = if results.abi.flat_count(FLAT_RESULTS_MAX).is_some() {
            let mut slots = [ValRaw::u64(0); R];
            lifter.flat_tuple(results, &mut Slots::new(src, &mut slots))?;
            let value = slots.first().copied().unwrap_or(ValRaw::u64(0));
            ReplyBody::Flat { value, rejected: is_result && value.get_u32() == 1 }
        } else {
            let pointer = src.first().ok_or(Fault::Mismatch)?.get_u32();
            lifter.root(results, pointer)?;
            cx.consume_fuel(lifter.image.size())?;
            let rejected = is_result && lifter.image.read(0)? == [1];
            ReplyBody::Memory { image: lifter.image, rejected }
        };
        Ok(Self(Reply(answer)))
    }

    fn linear_lift_from_memory(_: &mut LiftContext<'_>, _: InterfaceType, _: &[u8]) -> Result<Self> {
        // wasmtime calls this only for more than one slot, and there is at most one.
        Err(Fault::Mismatch.into())
    }
}

// SAFETY: `dst` is written whole on success; see the head of this file.
unsafe impl<const R: usize> Lower for Results<R> {
    fn linear_lower_to_flat<T>(
        &self,
        _: &mut LowerContext<'_, T>,
        _: InterfaceType,
        dst: &mut MaybeUninit<Self::Lower>,
    ) -> Result<()> {
        match self.0.0 {
            ReplyBody::Flat { value, .. } => {
                dst.write([value; R]);
                Ok(())
            }
            ReplyBody::Memory { .. } => Err(Fault::Mismatch.into()),
            // A result with a string in it never fits one core value.
            ReplyBody::Unavailable(_) => Err(Fault::NoUnavailable.into()),
        }
    }

    fn linear_lower_to_memory<T>(&self, cx: &mut LowerContext<'_, T>, ty: InterfaceType, offset: usize) -> Result<()> {
        let results = tuple(cx.types, ty)?;
        match &self.0.0 {
            ReplyBody::Memory { image, .. } if image.root_len() == Some(results.abi.size32) => {
                image.copy_into(cx, Some(offset), &mut [])
            }
            ReplyBody::Unavailable(text) => lower_unavailable(cx, results, offset, text),
            ReplyBody::Memory { .. } | ReplyBody::Flat { .. } => Err(Fault::Mismatch.into()),
        }
    }
}

/// Stores `err(unavailable(text))` at `offset`.
fn lower_unavailable<T: 'static>(
    cx: &mut LowerContext<'_, T>,
    results: &TypeTuple,
    offset: usize,
    text: &str,
) -> Result<()> {
    let types = cx.types;
    let [InterfaceType::Result(result)] = *results.types else { return Err(Fault::NoUnavailable.into()) };
    let result = &types[result];
    let Some(InterfaceType::Variant(error)) = result.err else { return Err(Fault::NoUnavailable.into()) };
    let error = &types[error];
    let Some((case, _, Some(InterfaceType::String))) = error.cases.get_full(UNAVAILABLE) else {
        return Err(Fault::NoUnavailable.into());
    };
    let encoding = Encoding::of(cx.options().string_encoding);
    let (address, units) = image::copy_text(cx, text.as_bytes(), encoding)?;
    let address = u32::try_from(address).map_err(|_| Fault::Mismatch)?;

    let memory = cx.as_slice_mut().get_mut(offset..).ok_or(Fault::Mismatch)?;
    memory.get_mut(..results.abi.size32 as usize).ok_or(Fault::Mismatch)?.fill(0);
    // The second case of a `result` is its error; a discriminant is little-endian and as wide as `size`.
    image::write(memory, 0, &[1])?;
    let error_at = result.info.payload_offset32 as usize;
    let case = case.to_le_bytes();
    image::write(memory, error_at, case.get(..usize::from(error.info.size)).ok_or(Fault::Mismatch)?)?;
    let text_at = error_at + error.info.payload_offset32 as usize;
    image::write(memory, text_at, &address.to_le_bytes())?;
    image::write(memory, text_at + 4, &units.to_le_bytes()).map_err(Into::into)
}
