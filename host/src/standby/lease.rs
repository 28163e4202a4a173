//! The lease of a context's file: which host may commit to it, kept beside the file's backup.
//!
//! It is `CONTEXT/lease/NUMBER` in the store of backups. Each renewal makes the next number, which one host alone can
//! make, and removes those before it; the highest number counts. So all that a store must be able to do is to refuse an
//! object that is there, and to list.
//! Invariant: a lease is written after the one that its writer has read, with no other in between.
//! Not here: how long a lease lasts. It carries no time: its holder and those who wait for its end each go by their own
//! clock (`keeper`).

use serde::{Deserialize, Serialize};

use crate::backup::continuous::{Destination, DestinationError};
use crate::limits;

const FOLDER: &str = "lease";

/// What the lease says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// The host that holds it.
    pub host: String,
    /// The fencing token of the file that it holds.
    pub token: u64,
    /// For how long it must not be renewed before another host takes it, in milliseconds: what its holder goes by.
    pub takeover_ms: u64,
    /// SHA-256 of the component that serves the context.
    #[serde(default)]
    pub component: String,
    /// The number of the last snapshot that its holder has stored. A standby fetches it if it does not get there by
    /// deltas.
    #[serde(default)]
    pub snapshot: u64,
    /// The commits that the file had when its holder took it over from a host that was gone; `None` before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commits: Option<u64>,
}

/// A lease as it is stored. No two are alike, so that an earlier attempt to renew is not taken for a later one.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    nonce: u64,
    lease: Lease,
}

/// A lease as it was read, and its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub number: u64,
    pub lease: Lease,
}

#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    #[error(transparent)]
    Destination(#[from] DestinationError),
    #[error("the lease `{name}` of `{context}` cannot be read")]
    Unread { context: String, name: String, source: serde_json::Error },
    #[error("the lease of `{context}` was renewed again and again while it was read")]
    Busy { context: String },
    #[error("the store of backups has no lease of `{context}`, which this host has held before")]
    Gone { context: String },
}

impl LeaseError {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> String {
        match self {
            Self::Destination(error) => error.remedy(),
            Self::Unread { .. } => "run the same version of `seam` on both hosts".to_owned(),
            Self::Busy { .. } => "it is read again by itself".to_owned(),
            Self::Gone { context } => format!(
                "see that `to` in `[backup]` is what it was, and that its disk is mounted; if it was emptied on \
                 purpose, remove `standby/{context}/held` from the data folder of the host whose file is to be used"
            ),
        }
    }
}

/// The lease of one context. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Leases {
    to: Destination,
    context: String,
}

impl Leases {
    pub fn new(to: Destination, context: String) -> Self {
        Self { to, context }
    }

    /// The lease as it is now; `None` when there has never been one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn read(&self) -> Result<Option<Seen>, LeaseError> {
        for _ in 0..limits::STANDBY_READS {
            let Some(number) = self.highest().await? else { return Ok(None) };
            let name = name(number);
            // It may have been renewed, and removed.
            let Some(bytes) = self.to.object(&self.context, (FOLDER, &name)).await? else { continue };
            let unread = |source| LeaseError::Unread { context: self.context.clone(), name, source };
            let bytes = bytes.get(..limits::STANDBY_LEASE_BYTES_MAX.min(bytes.len())).unwrap_or_default();
            let Stored { lease, .. } = serde_json::from_slice(bytes).map_err(unread)?;
            return Ok(Some(Seen { number, lease }));
        }
        Err(LeaseError::Busy { context: self.context.clone() })
    }

    /// Writes the lease after the one with the number `after`; `None`: after none. Its number; `None` when another host
    /// was first.
    ///
    /// # Errors
    /// When it is not written, or not known to be.
    pub async fn write(&self, after: Option<u64>, lease: &Lease) -> Result<Option<u64>, LeaseError> {
        let number = after.unwrap_or_default() + 1;
        let bytes = serde_json::to_vec(&Stored { nonce: rand::random(), lease: lease.clone() })
            .map_err(|source| LeaseError::Unread { context: self.context.clone(), name: name(number), source })?;
        if !self.to.create(&self.context, (FOLDER, &name(number)), &bytes).await? {
            return Ok(None);
        }
        // A number that was removed can be made again, by a host that has slept since it read the one before.
        let all = self.numbers().await?;
        if all.iter().any(|other| *other > number) {
            self.to.remove_object(&self.context, (FOLDER, &name(number))).await?;
            return Ok(None);
        }
        for old in all.into_iter().filter(|old| *old < number) {
            // What is left is removed by the next renewal.
            self.to.remove_object(&self.context, (FOLDER, &name(old))).await.ok();
        }
        Ok(Some(number))
    }

    async fn highest(&self) -> Result<Option<u64>, LeaseError> {
        Ok(self.numbers().await?.into_iter().max())
    }

    async fn numbers(&self) -> Result<Vec<u64>, LeaseError> {
        let names = self.to.names(&self.context, FOLDER).await?;
        Ok(names.iter().filter_map(|name| u64::from_str_radix(name, 16).ok()).collect())
    }
}

fn name(number: u64) -> String {
    format!("{number:016x}")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::manifest::{BackupSettings, BackupTo};

    fn leases(folder: &std::path::Path) -> Leases {
        let (every, keep) = (Duration::from_secs(1), Duration::from_secs(3_600));
        let settings = BackupSettings { to: BackupTo::Folder(folder.to_owned()), every, keep };
        Leases::new(Destination::of(&settings).unwrap(), "finance".to_owned())
    }

    fn lease(host: &str, token: u64) -> Lease {
        Lease { host: host.to_owned(), token, takeover_ms: 2_000, component: String::new(), snapshot: 0, commits: None }
    }

    #[tokio::test]
    async fn a_lease_is_written_after_the_one_that_was_read_and_after_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let leases = leases(folder.path());
        assert_eq!(leases.read().await.unwrap(), None);
        assert_eq!(leases.write(None, &lease("shop", 1)).await.unwrap(), Some(1));
        assert_eq!(leases.write(None, &lease("books", 1)).await.unwrap(), None, "the first one counts");
        assert_eq!(leases.write(None, &lease("shop", 1)).await.unwrap(), None, "also before a later attempt");
        for number in 2..6 {
            assert_eq!(leases.write(Some(number - 1), &lease("shop", 1)).await.unwrap(), Some(number));
        }
        assert_eq!(leases.read().await.unwrap(), Some(Seen { number: 5, lease: lease("shop", 1) }));
        // A host that has slept since it read number 2, whose successor is removed by now.
        assert_eq!(leases.write(Some(2), &lease("books", 2)).await.unwrap(), None);
        assert_eq!(leases.read().await.unwrap().unwrap().lease, lease("shop", 1));
        let left = std::fs::read_dir(folder.path().join("finance/lease")).unwrap().count();
        assert_eq!(left, 1, "older ones, and those that came too late, are removed");
        assert_eq!(leases.write(Some(5), &lease("books", 2)).await.unwrap(), Some(6));
        assert_eq!(leases.write(Some(5), &lease("shop", 1)).await.unwrap(), None);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn of_hosts_that_write_at_the_same_time_one_writes_each_number() {
        let folder = tempfile::tempdir().unwrap();
        let race = |host: String| {
            let leases = leases(folder.path());
            tokio::spawn(async move {
                let mut won = Vec::new();
                while won.len() < 25 {
                    let Ok(seen) = leases.read().await else { continue };
                    let seen = seen.map(|seen| seen.number);
                    won.extend(leases.write(seen, &lease(&host, 1)).await.unwrap());
                }
                won
            })
        };
        let hosts: Vec<_> = (0..4).map(|n| race(format!("host-{n}"))).collect();
        let mut all = Vec::new();
        for host in hosts {
            all.extend(host.await.unwrap());
        }
        let distinct: BTreeSet<_> = all.iter().collect();
        assert_eq!((distinct.len(), all.len()), (100, 100), "no number has two writers");
    }

    #[tokio::test]
    async fn a_folder_that_is_away_or_a_lease_of_another_form_is_no_lease_that_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let away = leases(&folder.path().join("not-mounted"));
        assert!(away.read().await.is_err());
        assert!(away.write(None, &lease("shop", 1)).await.is_err());
        assert!(!folder.path().join("not-mounted").exists(), "nothing was made");
        let leases = leases(folder.path());
        leases.write(None, &lease("shop", 1)).await.unwrap();
        std::fs::write(folder.path().join("finance/lease").join(name(2)), "{\"host\": 1}").unwrap();
        let error = leases.read().await.unwrap_err();
        assert!(error.to_string().contains("0000000000000002") && error.remedy().contains("version"), "{error}");
    }
}
