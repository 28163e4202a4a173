//! Which mount a host and a path belong to.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use seam_store::ids::ContextName;

use crate::http::authority;
use crate::http::config::Mount;
use crate::http::error::Error;
use crate::http::observe::metrics::{ContextMetrics, Metrics};
use crate::http::own::assets::Assets;
use crate::http::request_error::RequestError;
use crate::http::separation::Separation;
use crate::manifest::is_named;

/// A mount that is being served.
pub(super) struct OpenMount {
    /// `""` or `"/shop"`: without a trailing slash, also for the root.
    prefix: String,
    pub(super) context: ContextName,
    pub(super) assets: Option<Arc<Assets>>,
    pub(super) timeout: Duration,
    pub(super) separation: Separation,
    pub(super) metrics: Arc<ContextMetrics>,
}

/// All mounts, in the order in which a request looks for its host: whole names, names with `*`, any host (`None`). For
/// each host the longest prefix comes first.
#[derive(Default)]
pub(super) struct MountTable(Vec<(Option<String>, Vec<Arc<OpenMount>>)>);

impl MountTable {
    /// Replaces the table `before`: a folder of assets that is in both keeps its files in memory.
    pub(super) fn new(mounts: &[Mount], metrics: &Metrics, before: &Self) -> Result<Self, Error> {
        let open = |mount: &Mount| {
            let context = mount.context.clone();
            let assets = |folder: &PathBuf| {
                let assets = Assets::open(folder, &context)?;
                let same =
                    before.all().filter_map(|mount| mount.assets.clone()).find(|old| old.root() == assets.root());
                Ok::<_, Error>(same.unwrap_or_else(|| Arc::new(assets)))
            };
            let (cookies, headers) = (mount.cookies.clone(), mount.headers.clone());
            Ok::<_, Error>(Arc::new(OpenMount {
                prefix: mount.path.trim_end_matches('/').to_owned(),
                assets: mount.assets.as_ref().map(assets).transpose()?,
                metrics: metrics.context(context.as_str())?,
                timeout: mount.timeout,
                separation: Separation::new(context.clone(), &mount.path, mount.company, cookies, headers),
                context,
            }))
        };
        let mut table = Self::default();
        for mount in mounts {
            let opened = open(mount)?;
            let of_host = table.0.iter_mut().find(|(host, _)| *host == mount.host);
            if let Some((_, of_host)) = of_host {
                of_host.push(opened);
            } else {
                table.0.push((mount.host.clone(), vec![opened]));
            }
        }
        table.0.sort_by_key(|(host, _)| host.as_deref().map_or(2, |host| u8::from(host.starts_with('*'))));
        for (_, of_host) in &mut table.0 {
            of_host.sort_by_key(|mount| std::cmp::Reverse(mount.prefix.len()));
        }
        Ok(table)
    }

    /// The mount of `path` at the host that the request is for, and the path below it, with a leading slash. The mounts
    /// of the first host that fits are the only ones. A prefix matches whole segments only.
    pub(super) fn find<'a, 'p>(
        &'a self,
        authority: Option<&str>,
        path: &'p str,
    ) -> Result<(&'a Arc<OpenMount>, &'p str), RequestError> {
        let wanted = authority.map(authority::host);
        let fits = |host: &Option<String>| match (host, wanted) {
            (Some(host), Some(wanted)) => is_named(wanted, host),
            (Some(_), None) => false,
            (None, _) => true,
        };
        let Some((_, mounts)) = self.0.iter().find(|(host, _)| fits(host)) else {
            return Err(if self.0.is_empty() { RequestError::NotFound } else { RequestError::Misdirected });
        };
        let found = mounts.iter().find_map(|mount| match path.strip_prefix(mount.prefix.as_str())? {
            "" => Some((mount, "/")),
            below if below.starts_with('/') => Some((mount, below)),
            _ => None,
        });
        found.ok_or(RequestError::NotFound)
    }

    fn all(&self) -> impl Iterator<Item = &Arc<OpenMount>> {
        self.0.iter().flat_map(|(_, mounts)| mounts)
    }

    pub(super) fn contexts(&self) -> impl Iterator<Item = &ContextName> {
        self.all().map(|mount| &mount.context)
    }
}
