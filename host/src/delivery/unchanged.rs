//! What was read of files, kept for as long as nothing is committed to them: a host in which nothing happens reads
//! nothing for its metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use seam_store::Database;

/// What was read last, under a name each.
pub(super) struct Unchanged<K, T>(BTreeMap<K, (Vec<File>, T)>);

/// A file as it was before it was read.
struct File {
    database: Weak<Database>,
    activity: Option<(u64, u64)>,
}

impl File {
    fn of(database: &Arc<Database>) -> Self {
        Self { database: Arc::downgrade(database), activity: database.activity() }
    }

    fn is_as_before(&self, now: &Self) -> bool {
        self.database.ptr_eq(&now.database) && self.activity.is_some() && self.activity == now.activity
    }
}

impl<K, T> Default for Unchanged<K, T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord, T: Clone> Unchanged<K, T> {
    /// What `read` finds in `files`, or found the last time if they have not changed since.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn read<E>(&mut self, key: K, files: &[&Arc<Database>], read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        // Before they are read: what is committed meanwhile is read the next time.
        let now: Vec<File> = files.iter().map(|file| File::of(file)).collect();
        if let Some((before, found)) = self.0.get(&key)
            && before.len() == now.len()
            && before.iter().zip(&now).all(|(before, now)| before.is_as_before(now))
        {
            return Ok(found.clone());
        }
        let found = read()?;
        self.0.insert(key, (now, found.clone()));
        Ok(found)
    }

    /// Forgets what was read of files that are closed.
    pub fn forget_closed(&mut self) {
        self.0.retain(|_, (files, _)| files.iter().all(|file| file.database.strong_count() > 0));
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::time::{Duration, Instant};

    use seam_store::{Config, NewEvent};

    use super::*;

    #[test]
    fn a_file_is_read_again_only_after_a_commit_or_when_it_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str| Database::open(Config::plain(folder.path().join(name), 64)).unwrap();
        let (mut reads, mut kept) = (0, Unchanged::default());
        let mut read = |files: &[&Arc<Database>]| {
            let rows = || {
                reads += 1;
                files.iter().map(|file| file.outbox_rows(10)).sum()
            };
            let rows: u64 = kept.read::<seam_store::Error>("shop", files, rows).unwrap();
            (rows, reads)
        };
        let publish = |file: &Database| {
            let event = NewEvent { interface: "acme:shop/events", function: "sold", data: "[]", ..NewEvent::default() };
            file.publish(&event, Instant::now() + Duration::from_secs(3_600)).unwrap();
        };
        let (one, two) = (open("one.db"), open("two.db"));
        assert_eq!(read(&[&one, &two]), (0, 1));
        assert_eq!(read(&[&one, &two]), (0, 1), "nothing has happened");
        publish(&two);
        assert_eq!(read(&[&one, &two]), (1, 2));
        assert_eq!(read(&[&one, &two]), (1, 2));
        let third = open("three.db");
        assert_eq!(read(&[&one, &third]), (0, 3), "another file");
        publish(&one);
        publish(&third);
        assert_eq!(read(&[&one, &third]), (2, 4));
        drop((one, third));
        kept.forget_closed();
        assert!(kept.0.is_empty());
    }
}
