//! Which mount a path belongs to, and where contexts come from.

use std::sync::Arc;
use std::time::Duration;

use super::assets::Assets;
use super::metrics::OfContext;
use super::{Error, metrics::Metrics};
use crate::context::serve::Registry;
use crate::ids::ContextName;

/// Who answers.
pub(super) enum Source {
    Registry(Registry),
    /// A function in the place of every context.
    #[cfg(test)]
    Native(super::tests::Native),
}

pub(super) struct Mount {
    /// Without the root's slash: `""` or `"/shop"`.
    prefix: String,
    pub(super) context: ContextName,
    pub(super) assets: Option<Arc<Assets>>,
    pub(super) timeout: Duration,
    pub(super) metrics: Arc<OfContext>,
}

/// All mounts, the longest prefix first.
#[derive(Default)]
pub(super) struct Routes(Vec<Arc<Mount>>);

impl Routes {
    /// `before` are the routes that these replace: a folder that stays keeps its files in memory.
    pub(super) fn new(mounts: &[super::Mount], metrics: &Metrics, before: &Self) -> Result<Self, Error> {
        let open = |mount: &super::Mount| {
            let context = mount.context.clone();
            let assets = |folder: &std::path::PathBuf| {
                let assets = Assets::open(folder, &context)?;
                let same =
                    before.0.iter().filter_map(|mount| mount.assets.clone()).find(|old| old.root() == assets.root());
                Ok::<_, Error>(same.unwrap_or_else(|| Arc::new(assets)))
            };
            Ok(Arc::new(Mount {
                prefix: mount.path.trim_end_matches('/').to_owned(),
                assets: mount.assets.as_ref().map(assets).transpose()?,
                metrics: metrics.of(context.as_str())?,
                timeout: mount.timeout,
                context,
            }))
        };
        let mut mounts = mounts.iter().map(open).collect::<Result<Vec<_>, Error>>()?;
        mounts.sort_by_key(|mount| std::cmp::Reverse(mount.prefix.len()));
        Ok(Self(mounts))
    }

    /// The mount of `path` and the path below it, which begins with a slash. A prefix ends where a segment ends.
    pub(super) fn find<'a, 'p>(&'a self, path: &'p str) -> Option<(&'a Arc<Mount>, &'p str)> {
        self.0.iter().find_map(|mount| match path.strip_prefix(mount.prefix.as_str())? {
            "" => Some((mount, "/")),
            below if below.starts_with('/') => Some((mount, below)),
            _ => None,
        })
    }

    pub(super) fn contexts(&self) -> impl Iterator<Item = &ContextName> {
        self.0.iter().map(|mount| &mount.context)
    }
}
