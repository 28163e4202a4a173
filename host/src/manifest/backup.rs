//! `[backup]`: where every change of the contexts' files goes while the host serves, and how long it is kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::table::Table;
use crate::limits;
use crate::times::duration;

/// `[backup]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupSettings {
    pub to: BackupTo,
    /// How often changes are stored, if there are any.
    pub every: Duration,
    /// For how long a state can be restored.
    pub keep: Duration,
}

/// Where backups are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupTo {
    Folder(PathBuf),
    /// A bucket of S3, or of a server that speaks its protocol.
    Bucket {
        bucket: String,
        /// Before the names of all objects; may be empty.
        prefix: String,
        region: String,
        /// Of another server than Amazon's.
        endpoint: Option<String>,
    },
}

pub(super) fn backup(table: Option<Table<'_, '_>>, folder: &Path) -> Option<BackupSettings> {
    let table = table?;
    let to = table.string("to", "s3://bucket/prefix");
    let region = table.string("region", "eu-central-1");
    let endpoint = table.string("endpoint", "https://s3.example.com");
    let every = time(&table, "every", limits::BACKUP_EVERY_S, (limits::BACKUP_EVERY_S_MIN, limits::BACKUP_EVERY_S_MAX));
    let keep = time(&table, "keep", limits::BACKUP_KEEP_S, (limits::BACKUP_KEEP_S_MIN, limits::BACKUP_KEEP_S_MAX));
    let report = |place, message: String, remedy: &str| table.document.report(place, message, remedy);
    if !table.has("to") {
        report(
            table.place,
            "`backup.to` is missing".to_owned(),
            "add `to = \"FOLDER\"` or `to = \"s3://BUCKET/PREFIX\"`",
        );
    }
    let to = to.and_then(|to| {
        let Some(rest) = to.value.strip_prefix("s3://") else {
            if to.value.contains("://") {
                let message = format!("`backup.to` is `{}`, which is neither a folder nor a bucket of S3", to.value);
                report(
                    to.place,
                    message,
                    "write `s3://BUCKET/PREFIX`, with `endpoint` for another server of its protocol",
                );
                return None;
            }
            if let Some(one) = region.as_ref().or(endpoint.as_ref()) {
                report(one.place, "`backup.to` is a folder, and this is for buckets".to_owned(), "remove it");
            }
            return Some(BackupTo::Folder(folder.join(to.value)));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            report(to.place, "`backup.to` names no bucket".to_owned(), "write `s3://BUCKET/PREFIX`");
            return None;
        }
        if let Some(endpoint) = &endpoint
            && !["http://", "https://"].iter().any(|scheme| endpoint.value.starts_with(scheme))
        {
            let message = format!("`backup.endpoint` is `{}`, which is no address of a server", endpoint.value);
            report(endpoint.place, message, "write `https://HOST`");
        }
        Some(BackupTo::Bucket {
            bucket: bucket.to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
            region: region.map_or_else(|| "us-east-1".to_owned(), |region| region.value),
            endpoint: endpoint.map(|endpoint| endpoint.value),
        })
    });
    table.finish();
    Some(BackupSettings { to: to?, every, keep })
}

fn time(table: &Table<'_, '_>, key: &'static str, default: u64, (least, most): (u64, u64)) -> Duration {
    let usual = Duration::from_secs(default);
    let Some(text) = table.string(key, "30d") else { return usual };
    match duration(&text.value) {
        Some(time) if (least..=most).contains(&time.as_secs()) => time,
        found => {
            let what = if found.is_some() { "which is out of its bounds" } else { "which is no time" };
            let message = format!("`{}` is `{}`, {what}", table.path(key), text.value);
            let remedy = format!("write a time such as `30s`, `12h` or `30d`, from {least} to {most} seconds");
            table.document.report(text.place, message, remedy);
            usual
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::manifest::Manifest;

    const CONTEXTS: &str = "[context.orders]\ncomponent = \"component.wasm\"\nstore = true\n";

    fn read(lines: &str) -> Result<BackupSettings, String> {
        let manifest = Manifest::parse(&format!("{CONTEXTS}[backup]\n{lines}\n"), Path::new("seam.toml"));
        manifest.map(|manifest| manifest.backup.unwrap()).map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_backup_goes_to_a_folder_or_to_a_bucket() {
        let folder = read("to = \"copies\"").unwrap();
        assert_eq!(folder.to, BackupTo::Folder("copies".into()));
        assert_eq!((folder.every.as_secs(), folder.keep.as_secs()), (1, 30 * 24 * 60 * 60));
        let lines = "to = \"s3://records/eu/shop/\"\nregion = \"eu-west-1\"\n\
                     endpoint = \"http://127.0.0.1:9000\"\nkeep = \"7d\"";
        let bucket = BackupTo::Bucket {
            bucket: "records".into(),
            prefix: "eu/shop".into(),
            region: "eu-west-1".into(),
            endpoint: Some("http://127.0.0.1:9000".into()),
        };
        assert_eq!(read(lines).unwrap().to, bucket);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (lines, expect) in [
            ("every = \"1s\"", "seam.toml:4:2: error: `backup.to` is missing"),
            ("to = \"ftp://there\"", "seam.toml:5:6: error: `backup.to` is `ftp://there`, which is neither a folder"),
            ("to = \"s3:///prefix\"", "`backup.to` names no bucket"),
            ("to = \"copies\"\nregion = \"x\"", "seam.toml:6:10: error: `backup.to` is a folder"),
            ("to = \"s3://b\"\nendpoint = \"there\"", "`backup.endpoint` is `there`, which is no address"),
            (
                "to = \"copies\"\nevery = \"0s\"",
                "seam.toml:6:9: error: `backup.every` is `0s`, which is out of its bounds",
            ),
            ("to = \"copies\"\nkeep = \"long\"", "`backup.keep` is `long`, which is no time"),
        ] {
            let found = read(lines).unwrap_err();
            assert!(found.contains(expect), "{lines}: {found}");
        }
    }
}
