//! SQLite's way to the files whose pages are sealed: its own `unix-excl`, with the reads and writes of the file and its
//! log led past `PageSeals`.
//!
//! A file that is opened here is the base's own, with room behind it for what belongs to us, and a copy of the base's
//! table of functions in which some are ours. So all others (locks, syncs, shared memory) are the base's.
//! Invariant: a file is opened here only after `enrol` for its path.
//! Not here: what a seal is (`page_seals`), which files have one (`seal`, `open`).

use std::collections::HashMap;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, OnceLock, Weak};

use parking_lot::Mutex;
use rusqlite::ffi;

use crate::config::Config;
use crate::key::KeyError;
use crate::page_seals::{PAGE, PageSeals};
use crate::seal::Key;

const NAME: &CStr = c"seam-sealed";
/// Without this name, SQLite's connections of this process do not settle among themselves.
pub(super) const BASE: &CStr = c"unix-excl";

/// The seals of each file that is open, or about to be.
static FILES: LazyLock<Mutex<HashMap<PathBuf, Entry>>> = LazyLock::new(Mutex::default);

struct Entry {
    key: Key,
    seals: Weak<PageSeals>,
}

/// The seals of the file at `path`, shared by all of its connections. While the result lives, the file can be opened.
pub(super) fn enrol(path: &Path, key: &Key) -> Arc<PageSeals> {
    let path = resolved(path);
    let mut files = FILES.lock();
    if let Some(entry) = files.get(&path).filter(|entry| entry.key == *key)
        && let Some(seals) = entry.seals.upgrade()
    {
        return seals;
    }
    files.retain(|_, entry| entry.seals.strong_count() > 0);
    let seals = Arc::new(PageSeals::new(key));
    files.insert(path, Entry { key: key.clone(), seals: Arc::downgrade(&seals) });
    seals
}

/// The seals of the file at `path`, if it is open here.
pub(super) fn seals_of(path: &Path) -> Option<Arc<PageSeals>> {
    FILES.lock().get(&resolved(path)).and_then(|entry| entry.seals.upgrade())
}

/// The seals to open the file of `config` with; `None` if its pages have none, or not yet.
///
/// # Errors
/// When the key cannot be read.
pub(super) fn seals_for(config: &Config) -> Result<Option<Arc<PageSeals>>, KeyError> {
    let Some(seal) = config.seal.as_ref().filter(|_| config.seals_pages()) else { return Ok(None) };
    Ok(seal.key()?.map(|key| enrol(&config.path, &key)))
}

/// Has a new file leave so many bytes free at the end of each page.
///
/// # Errors
/// When SQLite refuses it.
pub(super) fn reserve(sqlite: &rusqlite::Connection, bytes: usize) -> rusqlite::Result<()> {
    let mut bytes = c_int::try_from(bytes).unwrap_or(0);
    // SAFETY: the handle is that of the open connection we hold, and the number outlives the call.
    let code = unsafe {
        let bytes = (&raw mut bytes).cast();
        ffi::sqlite3_file_control(sqlite.handle(), c"main".as_ptr(), ffi::SQLITE_FCNTL_RESERVE_BYTES, bytes)
    };
    match code {
        ffi::SQLITE_OK => Ok(()),
        code => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)),
    }
}

/// Reads bytes of the file itself that `sqlite` has open: as they stand on the disk, past SQLite's cache, its log and
/// the seals. What lies behind the end of the file is zeros.
///
/// # Errors
/// When they cannot be read.
pub(super) fn read_file(sqlite: &rusqlite::Connection, offset: u64, into: &mut [u8]) -> rusqlite::Result<()> {
    let amount = c_int::try_from(into.len()).unwrap_or(c_int::MAX);
    let offset = i64::try_from(offset).unwrap_or(i64::MAX);
    with_file(sqlite, |file, methods| {
        let Some(read) = methods.xRead else { return ffi::SQLITE_IOERR_READ };
        // SAFETY: the file is open, and there are `amount` bytes.
        match unsafe { read(file, into.as_mut_ptr().cast(), amount, offset) } {
            // The base has written zeros.
            ffi::SQLITE_IOERR_SHORT_READ => ffi::SQLITE_OK,
            code => code,
        }
    })
}

/// The size of the file itself that `sqlite` has open, in bytes.
///
/// # Errors
/// When the system does not say.
pub(super) fn file_size(sqlite: &rusqlite::Connection) -> rusqlite::Result<u64> {
    let mut size = 0_i64;
    with_file(sqlite, |file, methods| {
        let Some(ask) = methods.xFileSize else { return ffi::SQLITE_IOERR_FSTAT };
        // SAFETY: the file is open, and the number outlives the call.
        unsafe { ask(file, &raw mut size) }
    })?;
    Ok(size.unsigned_abs())
}

/// Calls the base's functions for the file that `sqlite` has open. SQLite's own descriptor is used: to close another
/// one would end the process's locks on the file.
fn with_file(
    sqlite: &rusqlite::Connection,
    work: impl FnOnce(*mut ffi::sqlite3_file, &ffi::sqlite3_io_methods) -> c_int,
) -> rusqlite::Result<()> {
    let mut file: *mut ffi::sqlite3_file = std::ptr::null_mut();
    let mut way: *mut ffi::sqlite3_vfs = std::ptr::null_mut();
    // SAFETY: the handle is that of the open connection we hold, which no other thread uses meanwhile, and both
    // pointers outlive the calls. What SQLite puts there is its own, and lives as long as the connection. A file of
    // ours has `Extra` behind it.
    let code = unsafe {
        let handle = sqlite.handle();
        let ask = |what, to| ffi::sqlite3_file_control(handle, c"main".as_ptr(), what, to);
        let code = ask(ffi::SQLITE_FCNTL_FILE_POINTER, (&raw mut file).cast());
        let code =
            if code == ffi::SQLITE_OK { ask(ffi::SQLITE_FCNTL_VFS_POINTER, (&raw mut way).cast()) } else { code };
        if code != ffi::SQLITE_OK || file.is_null() || way.is_null() || (*file).pMethods.is_null() {
            return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code.max(ffi::SQLITE_ERROR)), None));
        }
        let methods = if CStr::from_ptr((*way).zName) == NAME { extra(file).base } else { &*(*file).pMethods };
        work(file, methods)
    };
    match code {
        ffi::SQLITE_OK => Ok(()),
        code => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)),
    }
}

/// The path as SQLite hands it on: without links.
fn resolved(path: &Path) -> PathBuf {
    if let Ok(path) = path.canonicalize() {
        return path;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

/// The name to open a sealed file with.
///
/// # Errors
/// When SQLite has no `unix-excl`, or takes no other way beside it.
pub(super) fn name() -> rusqlite::Result<&'static CStr> {
    static REGISTERED: OnceLock<c_int> = OnceLock::new();
    let code = *REGISTERED.get_or_init(|| {
        let base = base();
        if base.is_null() {
            return ffi::SQLITE_NOTFOUND;
        }
        // SAFETY: SQLite's own structure, which is never removed or changed, is read. The copy is never freed, so that
        // SQLite may keep its address.
        unsafe {
            let mut ours = std::ptr::read(base);
            ours.zName = NAME.as_ptr();
            ours.pNext = std::ptr::null_mut();
            ours.szOsFile = c_int::try_from(extra_at(base) + size_of::<Extra>()).unwrap_or(c_int::MAX);
            ours.xOpen = Some(open);
            ffi::sqlite3_vfs_register(Box::into_raw(Box::new(ours)), 0)
        }
    });
    match code {
        ffi::SQLITE_OK => Ok(NAME),
        code => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)),
    }
}

fn base() -> *mut ffi::sqlite3_vfs {
    static FOUND: OnceLock<usize> = OnceLock::new();
    // SAFETY: the name ends with a zero byte.
    let found = *FOUND.get_or_init(|| unsafe { ffi::sqlite3_vfs_find(BASE.as_ptr()) } as usize);
    found as *mut ffi::sqlite3_vfs
}

/// What stands behind the base's own file.
#[repr(C)]
struct Extra {
    /// Of an `Arc`, given back when the file is closed.
    seals: *const PageSeals,
    base: &'static ffi::sqlite3_io_methods,
    is_log: bool,
}

/// Where it stands.
///
/// # Safety
/// `base` is SQLite's.
unsafe fn extra_at(base: *mut ffi::sqlite3_vfs) -> usize {
    // SAFETY: as the caller says.
    let size = unsafe { (*base).szOsFile };
    usize::try_from(size).unwrap_or(0).next_multiple_of(align_of::<Extra>())
}

/// # Safety
/// `file` was opened by `open`, as the file or the log, and is not closed. SQLite promises it to our functions.
unsafe fn extra<'f>(file: *mut ffi::sqlite3_file) -> &'f Extra {
    // SAFETY: `szOsFile` has room for it there, and `open` has written it.
    unsafe { &*file.cast::<u8>().add(extra_at(base())).cast::<Extra>() }
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let base = base();
    // SAFETY: SQLite calls this with a name that ends with a zero byte, or none, and with `szOsFile` bytes for the
    // file. The base gets its own structure. What it has opened has its functions, which are never freed.
    unsafe {
        let Some(open) = (*base).xOpen else { return ffi::SQLITE_CANTOPEN };
        let is_log = flags & ffi::SQLITE_OPEN_WAL != 0;
        if name.is_null() || (!is_log && flags & ffi::SQLITE_OPEN_MAIN_DB == 0) {
            // A journal or a temporary file. Its room for us stays unused.
            return open(base, name, file, flags, out);
        }
        let path = CStr::from_ptr(name).to_bytes();
        let path = if is_log { path.strip_suffix(b"-wal").unwrap_or(path) } else { path };
        let entry = FILES.lock().get(Path::new(OsStr::from_bytes(path))).and_then(|entry| entry.seals.upgrade());
        let Some(seals) = entry else {
            (*file).pMethods = std::ptr::null();
            return ffi::SQLITE_CANTOPEN;
        };
        let code = open(base, name, file, flags, out);
        if code == ffi::SQLITE_OK
            && let Some(methods) = (*file).pMethods.as_ref()
        {
            let extra = Extra { seals: Arc::into_raw(seals), base: methods, is_log };
            file.cast::<u8>().add(extra_at(base)).cast::<Extra>().write(extra);
            (*file).pMethods = ours(methods);
        }
        code
    }
}

/// The base's functions with some of ours, made once for each table that the base has.
fn ours(base: &'static ffi::sqlite3_io_methods) -> *const ffi::sqlite3_io_methods {
    static MADE: LazyLock<Mutex<HashMap<usize, usize>>> = LazyLock::new(Mutex::default);
    let at = std::ptr::from_ref(base);
    let made = *MADE.lock().entry(at as usize).or_insert_with(|| {
        // SAFETY: a table of functions is read.
        let mut ours = unsafe { std::ptr::read(at) };
        // Without files mapped into memory, which would be read past us.
        ours.iVersion = 2;
        ours.xClose = Some(close);
        ours.xRead = Some(read);
        ours.xWrite = Some(write);
        ours.xTruncate = Some(truncate);
        ours.xDeviceCharacteristics = Some(characteristics);
        Box::into_raw(Box::new(ours)) as usize
    });
    made as *const ffi::sqlite3_io_methods
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: see `extra`. Nothing uses the file after this, so its `Arc` is given back once.
    unsafe {
        let Extra { seals, base, .. } = *extra(file);
        let code = base.xClose.map_or(ffi::SQLITE_OK, |close| close(file));
        drop(Arc::from_raw(seals));
        code
    }
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, to: *mut c_void, amount: c_int, offset: i64) -> c_int {
    // SAFETY: see `extra`. SQLite has `amount` bytes at `to`, and the base has written all of them.
    unsafe {
        let extra = extra(file);
        let Some(read) = extra.base.xRead else { return ffi::SQLITE_IOERR_READ };
        let code = read(file, to, amount, offset);
        let short = code == ffi::SQLITE_IOERR_SHORT_READ;
        if code != ffi::SQLITE_OK && !short {
            return code;
        }
        let (offset, amount) = (offset.unsigned_abs(), usize::try_from(amount).unwrap_or(0));
        let bytes = std::slice::from_raw_parts(to.cast::<u8>().cast_const(), amount);
        let seals = &*extra.seals;
        let fits = if extra.is_log { short || seals.fits_log(offset, bytes) } else { seals.fits(offset, bytes, short) };
        if fits { code } else { ffi::SQLITE_IOERR_DATA }
    }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, from: *const c_void, amount: c_int, offset: i64) -> c_int {
    // SAFETY: see `extra`. SQLite has `amount` bytes at `from`.
    unsafe {
        let extra = extra(file);
        let Some(write) = extra.base.xWrite else { return ffi::SQLITE_IOERR_WRITE };
        let at = offset.unsigned_abs();
        let bytes = std::slice::from_raw_parts(from.cast::<u8>(), usize::try_from(amount).unwrap_or(0));
        let seals = &*extra.seals;
        if extra.is_log {
            let code = write(file, from, amount, offset);
            seals.logged(at, bytes, code == ffi::SQLITE_OK);
            return code;
        }
        match <[u8; PAGE]>::try_from(bytes) {
            Ok(mut page) => {
                seals.seal(at, &mut page);
                write(file, page.as_ptr().cast(), amount, offset)
            }
            Err(_) => write(file, from, amount, offset),
        }
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    // SAFETY: see `extra`.
    unsafe {
        let extra = extra(file);
        let Some(truncate) = extra.base.xTruncate else { return ffi::SQLITE_IOERR_TRUNCATE };
        let code = truncate(file, size);
        if extra.is_log {
            (*extra.seals).log_cut(size.unsigned_abs());
        }
        code
    }
}

/// Pages are read as a whole, so that each has its seal with it.
unsafe extern "C" fn characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: see `extra`.
    let all = unsafe { extra(file).base.xDeviceCharacteristics.map_or(0, |all| all(file)) };
    all & !ffi::SQLITE_IOCAP_SUBPAGE_READ
}
