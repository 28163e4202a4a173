//! The step `watch` that runs now, which an operator may end early.

use parking_lot::Mutex;

/// How an operator ends a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndWatch {
    /// The version before serves again, at once.
    Undo,
    /// The new version stays.
    Keep,
}

#[derive(Default)]
pub(super) struct RunningWatch(Mutex<Option<Watched>>);

struct Watched {
    context: String,
    hash: String,
    asked: Option<EndWatch>,
}

/// Held while a version is watched; at most one exists.
pub(super) struct Watching<'a>(&'a RunningWatch);

impl RunningWatch {
    pub fn begin(&self, context: &str, hash: &str) -> Watching<'_> {
        *self.0.lock() = Some(Watched { context: context.to_owned(), hash: hash.to_owned(), asked: None });
        Watching(self)
    }

    /// Ends the watch of `context`, if there is one. Returns the hash of the watched version. Of several who ask, the
    /// first decides how it ends.
    pub fn end(&self, context: &str, how: EndWatch) -> Option<String> {
        let mut watched = self.0.lock();
        let watched = watched.as_mut().filter(|watched| watched.context == context)?;
        watched.asked.get_or_insert(how);
        Some(watched.hash.clone())
    }
}

impl Watching<'_> {
    pub fn asked(&self) -> Option<EndWatch> {
        self.0.0.lock().as_ref().and_then(|watched| watched.asked)
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        *self.0.0.lock() = None;
    }
}
