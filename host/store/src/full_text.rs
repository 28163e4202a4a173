//! Bounds for full-text search: what FTS5 does in one call has no other.
//!
//! FTS5 evaluates a query on one row in one step of SQLite's virtual machine. Its time grows with the square of the
//! words that one `NEAR` holds, times the words of the row's texts. So the tokenizers that FTS5 comes with are wrapped:
//! they count the words of queries, and of each text that enters an index. `bm25` is linear here; `snippet` and
//! `highlight`, which take the square of a text's matches, are refused also where no authorizer sees them, in a table's
//! `rank`.
//! Not here: whether a new table's tokenizer is wrapped (`migrate` asks `unbounded_table`).

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;

use rusqlite::ffi::{Fts5Context, Fts5ExtensionApi, Fts5PhraseIter, Fts5Tokenizer, fts5_api, fts5_tokenizer};
use rusqlite::{Connection, Error, Result, ffi};

use crate::confine::{Guard, TableWords};
use crate::limits;

/// The tokenizers of FTS5 that read text; `porter` reads what one of them found.
const TOKENIZERS: &[&CStr] = &[c"unicode61", c"ascii", c"trigram"];

/// Wraps the tokenizers and replaces the auxiliary functions of a connection.
pub(super) fn bound(conn: &Connection, guard: &Arc<Guard>) -> Result<()> {
    // SAFETY: the handle is open, and FTS5's functions are called as its documentation says. What they are given lives
    // until `xDestroy` takes it back: after the connection's last table is closed.
    unsafe {
        let api = api(conn.handle())?;
        let broken = || Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_MISUSE), None);
        let functions = api.as_ref().ok_or_else(broken)?;
        let (Some(find), Some(create), Some(add)) =
            (functions.xFindTokenizer, functions.xCreateTokenizer, functions.xCreateFunction)
        else {
            return Err(broken());
        };
        for name in TOKENIZERS {
            let mut data = ptr::null_mut();
            let mut theirs = NO_TOKENIZER;
            done(find(api, name.as_ptr(), &raw mut data, &raw mut theirs))?;
            let wrapped = Box::new(Wrapped { guard: guard.clone(), theirs, data });
            let mut ours = fts5_tokenizer { xCreate: Some(open), xDelete: Some(close), xTokenize: Some(tokenize) };
            let wrapped = Box::into_raw(wrapped).cast();
            done(create(api, name.as_ptr(), wrapped, &raw mut ours, Some(drop_box::<Wrapped>)))?;
        }
        let shared = Box::into_raw(Box::new(guard.clone())).cast();
        done(add(api, c"bm25".as_ptr(), shared, Some(bm25), Some(drop_box::<Arc<Guard>>)))?;
        for name in [c"snippet", c"highlight", c"fts5_get_locale"] {
            done(add(api, name.as_ptr(), ptr::null_mut(), Some(refused), None))?;
        }
    }
    Ok(())
}

/// The FTS5 table, and why, whose searches have no bound: one whose tokenizer is none of those that are wrapped, since
/// it names none, or one of many columns.
///
/// # Errors
/// When SQLite cannot say.
pub(super) fn unbounded_table(conn: &Connection, guard: &Guard) -> Result<Option<(String, &'static str)>> {
    let all = "SELECT name, (SELECT count(*) FROM pragma_table_info(t.name)) FROM pragma_table_list AS t
               WHERE type = 'virtual' AND schema = 'main' AND EXISTS (
                 SELECT 1 FROM sqlite_schema AS s WHERE s.name = t.name || '_idx' AND s.sql LIKE '%segid%term%pgno%')";
    let mut tables = conn.prepare(all)?;
    let tables = tables.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u32>(1)?)))?;
    for (table, columns) in tables.collect::<Result<Vec<_>>>()? {
        if columns as usize > limits::STORE_TEXT_COLUMNS_MAX {
            return Ok(Some((table, "it has more columns than a search may take: index them as one text")));
        }
        // Asked as a search would ask: what its definition says could be read in two ways.
        let quoted = table.replace('"', "\"\"");
        let search = format!("SELECT 1 FROM \"{quoted}\" WHERE \"{quoted}\" MATCH ?1 LIMIT 1");
        let words = "word ".repeat(limits::STORE_TABLE_WORDS_MAX as usize + 1);
        guard.count_words_from_zero();
        let bounded = conn.prepare(&search)?.exists([words]).is_err();
        guard.refusal();
        if !bounded {
            return Ok(Some((table, "it names no tokenizer: add `tokenize = 'unicode61'`, which is what FTS5 takes")));
        }
    }
    Ok(None)
}

const NO_TOKENIZER: fts5_tokenizer = fts5_tokenizer { xCreate: None, xDelete: None, xTokenize: None };

/// A tokenizer of FTS5 behind a name.
#[derive(Clone)]
struct Wrapped {
    guard: Arc<Guard>,
    theirs: fts5_tokenizer,
    data: *mut c_void,
}

/// The tokenizer of one table.
struct Opened {
    wrapped: Wrapped,
    real: *mut Fts5Tokenizer,
    searched: TableWords,
}

type OnToken = Option<unsafe extern "C" fn(*mut c_void, c_int, *const c_char, c_int, c_int, c_int) -> c_int>;

/// Where FTS5 wants the words of one text.
struct Counted<'g> {
    guard: &'g Guard,
    /// Of the table, if this is the text of a query.
    searched: Option<&'g mut TableWords>,
    words: u32,
    context: *mut c_void,
    on_token: OnToken,
}

unsafe fn api(handle: *mut ffi::sqlite3) -> Result<*mut fts5_api> {
    let (mut statement, mut api) = (ptr::null_mut(), ptr::null_mut::<fts5_api>());
    // SAFETY: all pointers are live; the name is static, as SQLite demands of it.
    unsafe {
        let sql = c"SELECT fts5(?1)";
        done(ffi::sqlite3_prepare_v2(handle, sql.as_ptr(), -1, &raw mut statement, ptr::null_mut()))?;
        ffi::sqlite3_bind_pointer(statement, 1, (&raw mut api).cast(), c"fts5_api_ptr".as_ptr(), None);
        ffi::sqlite3_step(statement);
        done(ffi::sqlite3_finalize(statement))?;
    }
    Ok(api)
}

fn done(code: c_int) -> Result<()> {
    if code == ffi::SQLITE_OK { Ok(()) } else { Err(Error::SqliteFailure(ffi::Error::new(code), None)) }
}

/// SAFETY: for `xDestroy` of what `Box::into_raw` gave.
unsafe extern "C" fn drop_box<T>(boxed: *mut c_void) {
    // SAFETY: as said above.
    drop(unsafe { Box::from_raw(boxed.cast::<T>()) });
}

unsafe extern "C" fn open(
    wrapped: *mut c_void,
    arguments: *mut *const c_char,
    count: c_int,
    opened: *mut *mut Fts5Tokenizer,
) -> c_int {
    // SAFETY: FTS5 passes the pointer that `bound` gave it, and a place for the result.
    unsafe {
        let Some(wrapped) = wrapped.cast::<Wrapped>().as_ref() else { return ffi::SQLITE_MISUSE };
        let Some(create) = wrapped.theirs.xCreate else { return ffi::SQLITE_MISUSE };
        let mut real = ptr::null_mut();
        let code = create(wrapped.data, arguments, count, &raw mut real);
        if code == ffi::SQLITE_OK {
            *opened =
                Box::into_raw(Box::new(Opened { wrapped: wrapped.clone(), real, searched: TableWords::default() }))
                    .cast();
        }
        code
    }
}

unsafe extern "C" fn close(opened: *mut Fts5Tokenizer) {
    if opened.is_null() {
        return;
    }
    // SAFETY: FTS5 closes what `open` gave it once.
    unsafe {
        let opened = Box::from_raw(opened.cast::<Opened>());
        if let Some(delete) = opened.wrapped.theirs.xDelete {
            delete(opened.real);
        }
    }
}

unsafe extern "C" fn tokenize(
    opened: *mut Fts5Tokenizer,
    context: *mut c_void,
    flags: c_int,
    text: *const c_char,
    bytes: c_int,
    on_token: OnToken,
) -> c_int {
    // SAFETY: FTS5 passes what `open` gave it, and `counted` outlives the call that uses it.
    unsafe {
        let Some(opened) = opened.cast::<Opened>().as_mut() else { return ffi::SQLITE_MISUSE };
        let Some(theirs) = opened.wrapped.theirs.xTokenize else { return ffi::SQLITE_MISUSE };
        let searched = (flags & ffi::FTS5_TOKENIZE_QUERY != 0).then_some(&mut opened.searched);
        let mut counted = Counted { guard: &opened.wrapped.guard, searched, words: 0, context, on_token };
        theirs(opened.real, (&raw mut counted).cast(), flags, text, bytes, Some(count_token))
    }
}

unsafe extern "C" fn count_token(
    counted: *mut c_void,
    flags: c_int,
    token: *const c_char,
    bytes: c_int,
    start: c_int,
    end: c_int,
) -> c_int {
    // SAFETY: `tokenize` passes a `Counted` of its own frame.
    unsafe {
        let Some(counted) = counted.cast::<Counted<'_>>().as_mut() else { return ffi::SQLITE_MISUSE };
        counted.words += 1;
        let short = match counted.searched.as_deref_mut() {
            Some(of_table) => counted.guard.may_search_for_one_more(of_table),
            None => counted.guard.may_index_text_of(counted.words),
        };
        match counted.on_token {
            Some(on_token) if short => on_token(counted.context, flags, token, bytes, start, end),
            Some(_) => ffi::SQLITE_TOOBIG,
            None => ffi::SQLITE_MISUSE,
        }
    }
}

unsafe extern "C" fn refused(
    _: *const Fts5ExtensionApi,
    _: *mut Fts5Context,
    result: *mut ffi::sqlite3_context,
    _: c_int,
    _: *mut *mut ffi::sqlite3_value,
) {
    let why =
        c"snippet, highlight and fts5_get_locale are not for contexts: read the text and mark it in the component";
    // SAFETY: FTS5 passes the context of the call.
    unsafe { ffi::sqlite3_result_error(result, why.as_ptr(), -1) };
}

/// What `bm25` knows of a search before its first row.
struct Ranking {
    /// Words of a text on average.
    words: f64,
    /// Of each phrase: how rare it is.
    rarity: Vec<f64>,
}

/// The score of a row, as FTS5's own function gives it: minus the sum over all phrases of
/// `rarity * f * (k1 + 1) / (f + k1 * (1 - b + b * words / average))`. Theirs makes a list of all matches that it
/// searches for the least one, this one walks along each phrase's matches.
unsafe extern "C" fn bm25(
    api: *const Fts5ExtensionApi,
    search: *mut Fts5Context,
    result: *mut ffi::sqlite3_context,
    count: c_int,
    weights: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: FTS5 passes its functions, the search's row, and `count` weights.
    unsafe {
        match api.as_ref().map_or(Err(ffi::SQLITE_MISUSE), |api| {
            score(api, search, |column| match usize::try_from(column) {
                Ok(at) if column < count => ffi::sqlite3_value_double(*weights.add(at)),
                _ => 1.0,
            })
        }) {
            Ok(score) => ffi::sqlite3_result_double(result, score),
            Err(code) => ffi::sqlite3_result_error_code(result, code),
        }
    }
}

const MISSING: c_int = ffi::SQLITE_MISUSE;

/// SAFETY: `search` is the row that FTS5 called with `api`.
unsafe fn score(
    api: &Fts5ExtensionApi,
    search: *mut Fts5Context,
    weight: impl Fn(c_int) -> f64,
) -> std::result::Result<f64, c_int> {
    const K1: f64 = 1.2;
    const B: f64 = 0.75;
    // SAFETY: the functions are called as FTS5's documentation says.
    unsafe {
        let ranking = ranking(api, search)?;
        let mut words = 0;
        code(api.xColumnSize.ok_or(MISSING)?(search, -1, &raw mut words))?;
        let (first, next) = (api.xPhraseFirst.ok_or(MISSING)?, api.xPhraseNext.ok_or(MISSING)?);
        let mut score = 0.0;
        for (phrase, rarity) in (0..).zip(&ranking.rarity) {
            let mut matches = Fts5PhraseIter { a: ptr::null(), b: ptr::null() };
            let (mut column, mut offset, mut frequency) = (0, 0, 0.0);
            code(first(search, phrase, &raw mut matches, &raw mut column, &raw mut offset))?;
            while column >= 0 {
                frequency += weight(column);
                next(search, &raw mut matches, &raw mut column, &raw mut offset);
            }
            let length = 1.0 - B + B * f64::from(words) / ranking.words;
            score += rarity * (frequency * (K1 + 1.0)) / (frequency + K1 * length);
        }
        Ok(-score)
    }
}

fn code(code: c_int) -> std::result::Result<(), c_int> {
    if code == ffi::SQLITE_OK { Ok(()) } else { Err(code) }
}

/// SAFETY: as `score`.
unsafe fn ranking(api: &Fts5ExtensionApi, search: *mut Fts5Context) -> std::result::Result<&Ranking, c_int> {
    // SAFETY: FTS5 keeps the ranking until the search ends, and drops it with `drop_box`.
    unsafe {
        let kept = api.xGetAuxdata.ok_or(MISSING)?(search, 0).cast::<Ranking>();
        if let Some(ranking) = kept.as_ref() {
            return Ok(ranking);
        }
        let guard = api.xUserData.ok_or(MISSING)?(search).cast::<Arc<Guard>>().as_ref().ok_or(MISSING)?;
        let (mut rows, mut words) = (0, 0);
        code(api.xRowCount.ok_or(MISSING)?(search, &raw mut rows))?;
        code(api.xColumnTotalSize.ok_or(MISSING)?(search, -1, &raw mut words))?;
        let mut ranking = Ranking { words: words as f64 / rows as f64, rarity: Vec::new() };
        for phrase in 0..api.xPhraseCount.ok_or(MISSING)?(search) {
            let mut found = Found { guard, rows: 0 };
            let walk = api.xQueryPhrase.ok_or(MISSING)?;
            code(walk(search, phrase, (&raw mut found).cast(), Some(count_row)))?;
            let found = found.rows as f64;
            let rarity = ((rows as f64 - found + 0.5) / (found + 0.5)).ln();
            // A phrase that most texts have must not count against them.
            ranking.rarity.push(if rarity <= 0.0 { 1e-6 } else { rarity });
        }
        let kept = Box::into_raw(Box::new(ranking));
        // FTS5 drops it also if it cannot keep it.
        code(api.xSetAuxdata.ok_or(MISSING)?(search, kept.cast(), Some(drop_box::<Ranking>)))?;
        kept.as_ref().ok_or(MISSING)
    }
}

/// The rows that have a phrase.
struct Found<'g> {
    guard: &'g Guard,
    rows: u64,
}

unsafe extern "C" fn count_row(_: *const Fts5ExtensionApi, _: *mut Fts5Context, found: *mut c_void) -> c_int {
    // SAFETY: `ranking` passes a `Found` of its own frame.
    let Some(found) = (unsafe { found.cast::<Found<'_>>().as_mut() }) else { return ffi::SQLITE_MISUSE };
    found.rows += 1;
    let looks = found.rows.is_multiple_of(u64::from(limits::STORE_PROGRESS_STEPS));
    if looks && found.guard.progress() { ffi::SQLITE_INTERRUPT } else { ffi::SQLITE_OK }
}
