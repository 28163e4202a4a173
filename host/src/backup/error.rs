//! Why there is no backup, or nothing was restored, and what to do about it.

use std::path::PathBuf;

use seam_runtime::did_you_mean;
use seam_store::{CopyError, Difference, OpenError, RegisterError};

use super::continuous::HistoryError;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("cannot copy the file of `{context}`")]
    Copy { context: String, source: CopyError },
    #[error("cannot open the file of `{context}`")]
    Open { context: String, source: OpenError },
    #[error("there is no backup: the file of `{context}` is not one that the host would serve")]
    Misfit { context: String, source: RegisterError },
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("`{}` is no backup: it has no readable `backup.json`", path.display())]
    NoBackup { path: PathBuf, why: String },
    #[error("there is no backup or restore point `{name}`")]
    Unknown { name: String, known: Vec<String> },
    #[error("the backup holds no file of `{context}`")]
    NotInBackup { context: String, known: Vec<String> },
    #[error("the manifest has no context `{context}` with a store")]
    NoContext { context: String, known: Vec<String> },
    #[error("there is no restore point of `{context}` at schema {schema} or an older one")]
    NoPoint { context: String, schema: u32 },
    #[error("`{}` lies beside the backup's file and does not belong to it", path.display())]
    Beside { path: PathBuf },
    #[error("`{}` is the file of `{is}`, not of `{context}`", path.display())]
    Foreign { path: PathBuf, context: String, is: String },
    #[error("`{}` has {found} bytes, and had {bytes} when it was written: it is cut off or another file", path.display())]
    Truncated { path: PathBuf, found: u64, bytes: u64 },
    #[error("`{}` has changed since it was written: its SHA-256 is another", path.display())]
    Changed { path: PathBuf },
    #[error("`{}` is damaged: {why}", path.display())]
    Damaged { path: PathBuf, why: String },
    #[error("nothing was restored: it would replace the file of {}", contexts.iter().map(|c| format!("`{c}`")).collect::<Vec<_>>().join(", "))]
    WouldReplace { contexts: Vec<String> },
    #[error("the manifest has no `[backup]`")]
    NoContinuous,
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error("cannot use the register of stores: {why}; nothing has changed")]
    NoRegister { why: String },
}

impl Error {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> String {
        match self {
            Self::Write { .. } => "check the folder's permissions and the space on its disk".to_owned(),
            Self::Copy { .. } => "try again; make room on the disk if it is full".to_owned(),
            Self::Open { source, .. } => source.remedy(),
            Self::Misfit { context, source } => source.remedy(context),
            Self::Read { .. } => "check that the file is there and that this user may read it".to_owned(),
            Self::NoBackup { why, .. } => format!("name the folder that `seam backup` made ({why})"),
            Self::Unknown { name, known } => {
                let near = did_you_mean::nearest(name, known.iter().map(String::as_str));
                let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
                format!("{near}`seam backup --list` shows what there is")
            }
            Self::NotInBackup { context, known } | Self::NoContext { context, known } => {
                did_you_mean::hint(context, known.iter().map(String::as_str))
            }
            Self::NoPoint { context, .. } => format!(
                "run a version of `{context}` that knows the file's migrations, or restore a backup: \
                 `seam backup --list` shows what there is"
            ),
            Self::Beside { .. } => "a backup's files have no log: move it away, or copy the backup again".to_owned(),
            Self::Foreign { .. } => "give each file of the backup its own name again".to_owned(),
            Self::Truncated { .. } | Self::Changed { .. } | Self::Damaged { .. } => {
                "copy the backup again from where it came, or restore another one".to_owned()
            }
            Self::WouldReplace { .. } => {
                "add `--replace`; what is replaced is kept in the folder `replaced` of the data folder".to_owned()
            }
            Self::NoContinuous => {
                "name a backup by `--from NAME`, or say in `[backup]` where changes are stored".to_owned()
            }
            Self::History(error) => error.remedy(),
            Self::NoRegister { .. } => {
                "check that the data folder can be written and its disk has room; then try again".to_owned()
            }
        }
    }
}

/// What would be lost of a context, in words; empty if nothing.
pub(super) fn lost(differences: &[Difference]) -> String {
    let one = |difference: &Difference| {
        let Difference { table, here, there, lost } = difference;
        format!("`{table}` has {here} rows, {there} in the backup; {lost} of them are not there")
    };
    differences.iter().map(one).collect::<Vec<_>>().join(", ")
}
