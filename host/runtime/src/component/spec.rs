//! All that the runtime needs to run a context.

use super::compiled::Component;
use crate::settings::ContextSettings;

/// The settings of a context, and its component.
#[derive(Clone)]
pub struct ContextSpec {
    pub settings: ContextSettings,
    pub component: Component,
    /// The newest schema that the context's file may have although the component does not know it: this older version
    /// has been verified to work with it.
    pub tolerated_schema: Option<u32>,
}
