//! Values of WIT types as bytes, and back: what two hosts exchange in a call.
//!
//! The types of the function say how its bytes are read; nothing in the bytes describes them. `docs/codec.md` is the
//! specification. Both ends compare `digest` of their type of the function before they read a value.
//!
//! Invariants:
//! - A value has exactly one encoding. `decode` refuses every other form, so what it accepts is encoded to the same
//!   bytes again.
//! - Hostile bytes cause an error, and no allocation that their length does not justify.
//! - The bits of a float stay as they are, those of a NaN too.
//!
//! `encode` and `decode` take wasmtime's `Val`s. `abi_copy` does the same without them, by the `FunctionLayout` of a
//! function; `Val` is its oracle.
//! Not here: how the bytes travel (`remote`), resources, streams and futures: they cannot leave their host.

mod digest;
mod error;
mod layout;
mod primitives;
#[cfg(test)]
mod tests;
mod values;

pub use digest::{canonical_text, digest};
pub use error::{Error, Problem, Step};
pub use layout::{Case, Cases, Field, Fields, FunctionLayout, Layout, Shape};
pub use primitives::{Reader, put_float32, put_float64, put_signed, put_text, put_unsigned};
pub use values::{decode, encode};

/// The version of the encoding; a peer of another version is refused. The encoding of a type never changes within one.
pub const VERSION: u8 = 1;
