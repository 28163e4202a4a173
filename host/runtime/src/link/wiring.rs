//! Which context answers each import of a component.

use std::collections::BTreeMap;

use crate::call::ContextIndex;

/// The provider of each seam that one context imports, by the import's full name.
pub type Wiring = BTreeMap<String, Provider>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    pub callee: ContextIndex,
    /// Whether a call of it may wait for another host: it lives there, or calls a context that does.
    pub suspends: bool,
}
