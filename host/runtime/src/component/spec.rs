//! A context as it is to run.

use super::compiled::Component;
use crate::settings::ContextSettings;

/// What the manifest says of a context, and its component.
#[derive(Clone)]
pub struct ContextSpec {
    pub settings: ContextSettings,
    pub component: Component,
    /// The file may be at a schema up to this one although the component does not know it: an older version that was seen to
    /// work there.
    pub tolerated_schema: Option<u32>,
}
