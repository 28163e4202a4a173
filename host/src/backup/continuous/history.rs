//! The state of a context's file at a time, out of the store of backups: the newest snapshot before it, and the deltas
//! after that.
//!
//! Invariant: what is written is a whole state. If a delta is missing, nothing is written, and the error says up to
//! when there is one.

use std::fs;
use std::io::BufReader;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::SystemTime;

use futures::{StreamExt as _, TryStreamExt as _};
use seam_store::ltx::{Header, LtxError, LtxReader, LtxWriter};
use seam_store::private;

use super::destination::{DELTAS, Destination, DestinationError, Item, Put, SNAPSHOTS, Stored, name};
use crate::{limits, times};

/// The state that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetched {
    /// When it was taken, in milliseconds since 1970.
    pub at_ms: u64,
    /// Deltas that it took.
    pub deltas: usize,
    /// The number of its last transaction.
    pub last: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error(transparent)]
    Destination(#[from] DestinationError),
    #[error("the store of backups has no snapshot of `{context}`{}", before(*before_ms))]
    None { context: String, before_ms: Option<u64> },
    #[error(
        "a file of the backup of `{context}` is missing, that of transaction {number}: states up to {} are whole",
        times::rfc3339(*whole_ms)
    )]
    Missing { context: String, number: u64, whole_ms: u64 },
    #[error("`{name}`, of the backup of `{context}`, cannot be used")]
    Ltx { context: String, name: String, source: LtxError },
    #[error("cannot write `{path}`")]
    Write { path: String, source: std::io::Error },
}

fn before(before_ms: Option<u64>) -> String {
    before_ms.map(|ms| format!(" from before {}", times::rfc3339(ms))).unwrap_or_default()
}

impl HistoryError {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> String {
        match self {
            Self::Destination(error) => error.remedy(),
            Self::None { before_ms: Some(_), .. } => "name a later time, or `latest`".to_owned(),
            Self::None { .. } => "check `to` in `[backup]`; the host stores a snapshot when it has started".to_owned(),
            Self::Missing { whole_ms, .. } => format!("restore that state: `--at {}`", times::rfc3339(*whole_ms)),
            Self::Ltx { .. } => "restore a state from before it, by `--at TIME`".to_owned(),
            Self::Write { .. } => "check the folder's permissions and the space on its disk".to_owned(),
        }
    }
}

/// Writes the file of `context` as it was at `at_ms`, or the newest state, to `path`. `scratch` is a folder for what is
/// fetched.
///
/// # Errors
/// When there is no such state, or it cannot be fetched as a whole.
pub async fn fetch(
    from: &Destination,
    context: &str,
    at_ms: Option<u64>,
    (path, scratch): (&Path, &Path),
) -> Result<Fetched, HistoryError> {
    let all = from.list(context).await?;
    let mut found = None;
    for one in all.iter().filter(|one| one.level == SNAPSHOTS).rev() {
        let header = from.header(context, one).await?;
        if at_ms.is_none_or(|at| header.at_ms <= at) {
            found = Some((*one, header.at_ms));
            break;
        }
    }
    let Some((snapshot, snapshot_ms)) = found else {
        return Err(HistoryError::None { context: context.to_owned(), before_ms: at_ms });
    };
    let later: Vec<Stored> =
        all.iter().filter(|one| one.level == DELTAS && one.last > snapshot.last).copied().collect();
    let wanted = up_to(from, context, &later, at_ms).await?;
    let mut whole_ms = snapshot_ms;
    let mut number = snapshot.last;
    for delta in wanted {
        if delta.first != number + 1 {
            if number != snapshot.last {
                let last = wanted.iter().find(|one| one.last == number).unwrap_or(delta);
                whole_ms = from.header(context, last).await?.at_ms;
            }
            return Err(HistoryError::Missing { context: context.to_owned(), number: number + 1, whole_ms });
        }
        number = delta.last;
    }
    let unwritten = |source| HistoryError::Write { path: path.display().to_string(), source };
    let to = private::file(path).map_err(unwritten)?;
    let mut at = snapshot_ms;
    let fetched =
        futures::stream::iter(std::iter::once(snapshot).chain(wanted.iter().copied())).map(|one| async move {
            let file = scratch.join(format!("{context}-{}", name(one.first, one.last)));
            from.get(context, &one, &file).await?;
            Ok::<_, HistoryError>((one, file))
        });
    let mut fetched = fetched.buffered(limits::BACKUP_FETCHES);
    while let Some((one, file)) = fetched.try_next().await? {
        at = apply(&file, &to).map_err(|source| HistoryError::Ltx {
            context: context.to_owned(),
            name: name(one.first, one.last),
            source,
        })?;
        fs::remove_file(&file).map_err(unwritten)?;
    }
    to.sync_all().map_err(unwritten)?;
    Ok(Fetched { at_ms: at, deltas: wanted.len(), last: number })
}

/// Puts the next delta after transaction `last` into the file at `path`, which has the state of that transaction. When
/// the delta was made; `None` when there is none yet.
///
/// # Errors
/// When it cannot be fetched, or used. The file is of no use then.
pub async fn advance(
    from: &Destination,
    context: &str,
    last: u64,
    (path, scratch): (&Path, &Path),
) -> Result<Option<u64>, HistoryError> {
    let next = last + 1;
    let one = Stored { level: DELTAS, first: next, last: next, bytes: 0, stored: SystemTime::UNIX_EPOCH };
    let file = scratch.join(format!("{context}-{}", name(next, next)));
    match from.get(context, &one, &file).await {
        Err(error) if Destination::is_missing(&error) => return Ok(None),
        got => got?,
    }
    let unwritten = |source| HistoryError::Write { path: path.display().to_string(), source };
    let to = fs::File::options().read(true).write(true).open(path).map_err(unwritten)?;
    let unusable = |source| HistoryError::Ltx { context: context.to_owned(), name: name(next, next), source };
    let at_ms = apply(&file, &to).map_err(unusable)?;
    fs::remove_file(&file).map_err(unwritten)?;
    Ok(Some(at_ms))
}

/// Stores that the state at `path`, which is that of transaction `last`, is also the next one, so that no other host
/// can store another state after it. `false` when there is a next one already.
///
/// # Errors
/// When it cannot be stored.
pub async fn fence(
    to: &Destination,
    context: &str,
    last: u64,
    (path, scratch): (&Path, &Path),
) -> Result<bool, HistoryError> {
    let next = last + 1;
    let unwritten = |source| HistoryError::Write { path: path.display().to_string(), source };
    let unusable = |source| HistoryError::Ltx { context: context.to_owned(), name: name(next, next), source };
    let state = fs::File::open(path).map_err(unwritten)?;
    let bytes = state.metadata().map_err(unwritten)?.len();
    let page_bytes = page_bytes(to, context).await?;
    let file_pages = u32::try_from(bytes / u64::from(page_bytes)).unwrap_or(u32::MAX);
    let mut page = vec![0; page_bytes as usize];
    state.read_exact_at(&mut page, 0).map_err(unwritten)?;
    let file = scratch.join(format!("{context}-{}", name(next, next)));
    let at_ms = times::now_ms();
    let header = Header { page_bytes, file_pages, first: next, last: next, at_ms };
    let write = || -> Result<u64, LtxError> {
        let mut writer = LtxWriter::new(private::file(&file)?, header)?;
        writer.page(1, &page)?;
        Ok(writer.finish()?.1)
    };
    let bytes = write().map_err(unusable)?;
    let item = Item { level: DELTAS, first: next, last: next, bytes, at_ms };
    let put = to.put(context, &item, &file).await?;
    fs::remove_file(&file).map_err(unwritten)?;
    Ok(put == Put::Done)
}

/// Of a context's file, by its newest snapshot.
async fn page_bytes(from: &Destination, context: &str) -> Result<u32, HistoryError> {
    let all = from.list(context).await?;
    let snapshot = all.iter().rev().find(|one| one.level == SNAPSHOTS);
    let none = || HistoryError::None { context: context.to_owned(), before_ms: None };
    Ok(from.header(context, snapshot.ok_or_else(none)?).await?.page_bytes)
}

/// Those of `deltas`, which rise in time, that were made by `at_ms`.
async fn up_to<'d>(
    from: &Destination,
    context: &str,
    deltas: &'d [Stored],
    at_ms: Option<u64>,
) -> Result<&'d [Stored], HistoryError> {
    let Some(at) = at_ms else { return Ok(deltas) };
    let (mut low, mut high) = (0, deltas.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        let Some(delta) = deltas.get(middle) else { break };
        if from.header(context, delta).await?.at_ms <= at { low = middle + 1 } else { high = middle }
    }
    Ok(deltas.get(..low).unwrap_or_default())
}

/// Puts the pages of a file of the backup into `to`. When it was made, in milliseconds since 1970.
fn apply(file: &Path, to: &fs::File) -> Result<u64, LtxError> {
    let mut reader = LtxReader::new(BufReader::with_capacity(1 << 20, fs::File::open(file)?))?;
    let header = *reader.header();
    let mut page = Vec::new();
    while let Some(number) = reader.next_into(&mut page)? {
        to.write_all_at(&page, u64::from(number - 1) * u64::from(header.page_bytes))?;
    }
    to.set_len(u64::from(header.file_pages) * u64::from(header.page_bytes))?;
    Ok(header.at_ms)
}
