//! Which mount a path belongs to.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use seam_store::ids::ContextName;

use crate::http::config::Mount;
use crate::http::error::Error;
use crate::http::observe::metrics::{ContextMetrics, Metrics};
use crate::http::own::assets::Assets;

/// A mount that is being served.
pub(super) struct OpenMount {
    /// `""` or `"/shop"`: without a trailing slash, also for the root.
    prefix: String,
    pub(super) context: ContextName,
    pub(super) assets: Option<Arc<Assets>>,
    pub(super) timeout: Duration,
    pub(super) metrics: Arc<ContextMetrics>,
}

/// All mounts, the longest prefix first.
#[derive(Default)]
pub(super) struct MountTable(Vec<Arc<OpenMount>>);

impl MountTable {
    /// Replaces the table `before`: a folder of assets that is in both keeps its files in memory.
    pub(super) fn new(mounts: &[Mount], metrics: &Metrics, before: &Self) -> Result<Self, Error> {
        let open = |mount: &Mount| {
            let context = mount.context.clone();
            let assets = |folder: &PathBuf| {
                let assets = Assets::open(folder, &context)?;
                let same =
                    before.0.iter().filter_map(|mount| mount.assets.clone()).find(|old| old.root() == assets.root());
                Ok::<_, Error>(same.unwrap_or_else(|| Arc::new(assets)))
            };
            Ok(Arc::new(OpenMount {
                prefix: mount.path.trim_end_matches('/').to_owned(),
                assets: mount.assets.as_ref().map(assets).transpose()?,
                metrics: metrics.context(context.as_str())?,
                timeout: mount.timeout,
                context,
            }))
        };
        let mut mounts = mounts.iter().map(open).collect::<Result<Vec<_>, Error>>()?;
        mounts.sort_by_key(|mount| std::cmp::Reverse(mount.prefix.len()));
        Ok(Self(mounts))
    }

    /// The mount of `path` and the path below it, with a leading slash. A prefix matches whole segments only.
    pub(super) fn find<'a, 'p>(&'a self, path: &'p str) -> Option<(&'a Arc<OpenMount>, &'p str)> {
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
