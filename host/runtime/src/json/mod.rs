//! JSON and cells of CSV to component values and back, by WIT type.
//!
//! | WIT | JSON |
//! |---|---|
//! | numbers, `bool`, `string` | the same; `"nan"`, `"inf"`, `"-inf"` for floats that JSON has not |
//! | `char` | a string of one character |
//! | `list`, `tuple` | an array |
//! | `record` | an object with the fields' names; an `option` may be left out |
//! | `variant`, `enum` | `"case"`, or `{"case": payload}` |
//! | `option` | the value or `null`; an option in an option is `{"some": value}` |
//! | `result` | `{"ok": value}` or `{"err": value}` |
//! | `flags` | an array of names |
//!
//! Invariants: what `from_json` accepts is of the type, so a call with it cannot fail for its shape. Text that readers
//! could take for different values, such as an object with a key twice, is refused.

mod read;
mod shape;
#[cfg(test)]
mod tests;
mod text;
mod write;

pub use read::{Mismatch, from_cells, from_json};
pub use shape::Arguments;
pub use text::{message, parse};
pub use write::to_json;
