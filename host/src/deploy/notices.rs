//! What the operator should know about the version that serves: kept until another one is deployed.

use std::collections::HashMap;

use parking_lot::Mutex;
use seam_store::ids::ContextName;

#[derive(Default)]
pub(super) struct Notices(Mutex<HashMap<ContextName, String>>);

impl Notices {
    pub fn set(&self, context: &ContextName, notice: String) {
        self.0.lock().insert(context.clone(), notice);
    }

    pub fn clear(&self, context: &ContextName) {
        self.0.lock().remove(context);
    }

    pub fn all(&self) -> HashMap<ContextName, String> {
        self.0.lock().clone()
    }
}
