//! Whether a copy of a context can take calls: a context that several hosts have, each with a file of its own.

use seam_store::ids::ContextName;

use super::registry::Registry;
use super::routing::sources;

impl Registry {
    /// Whether the context serves here, and has learned from all events that its publishers have now, if it learns
    /// from any. What has caught up once stays so: a later look is cheap.
    pub fn has_caught_up(&self, context: &ContextName) -> bool {
        let set = self.serving();
        let Ok(generation) = set.generation(context.as_str()) else { return false };
        if generation.lives_elsewhere().is_some() || generation.out_of_service().is_some() {
            return false;
        }
        let Some(database) = generation.database() else { return true };
        // A file that cannot be read now does not count as caught up.
        sources(generation, &set.generations).all(|source| database.caught_up(&source).unwrap_or(false))
    }
}
