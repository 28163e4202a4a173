//! The functions that a context's SQL may call.
//!
//! SQLite looks at the deadline between two steps of its virtual machine, and a call is one step. So each function here
//! takes at most some 20 ms for a value of `STORE_VALUE_BYTES_MAX`, except where the list says otherwise; a test
//! measures all of them. What a new SQLite brings is refused until it is measured and added.
//! Not here: functions that are replaced (`functions`, `full_text`), how often a statement may call (`bounded`).

/// Take the same time for every value.
const CONSTANT: &[&str] = &[
    "changes",
    "coalesce",
    "count",
    "cume_dist",
    "current_date",
    "current_time",
    "current_timestamp",
    "dense_rank",
    "first_value",
    "fts5_insttoken",
    "if",
    "ifnull",
    "iif",
    "lag",
    "last_insert_rowid",
    "last_value",
    "lead",
    "likelihood",
    "likely",
    "nth_value",
    "ntile",
    "percent_rank",
    "random",
    "rank",
    "row_number",
    "sqlite_version",
    "subtype",
    "total_changes",
    "typeof",
    "unlikely",
];

/// Take time in proportion to the lengths of their values.
const LINEAR: &[&str] = &[
    "->",
    "->>",
    "abs",
    "avg",
    "char",
    "concat",
    "concat_ws",
    "date",
    "datetime",
    "format",
    "glob",
    "group_concat",
    "hex",
    "instr",
    "json",
    "json_array",
    "json_array_insert",
    "json_array_length",
    "json_error_position",
    "json_extract",
    "json_group_array",
    "json_group_object",
    "json_insert",
    "json_object",
    "json_quote",
    "json_remove",
    "json_replace",
    "json_set",
    "json_type",
    "json_valid",
    "jsonb",
    "jsonb_array",
    "jsonb_array_insert",
    "jsonb_extract",
    "jsonb_group_array",
    "jsonb_group_object",
    "jsonb_insert",
    "jsonb_object",
    "jsonb_remove",
    "jsonb_replace",
    "jsonb_set",
    "julianday",
    "length",
    // Their time is the pattern's length times the text's: `STORE_PATTERN_BYTES_MAX`.
    "like",
    "lower",
    "ltrim",
    "max",
    "min",
    "nullif",
    "octet_length",
    "printf",
    "quote",
    "randomblob",
    "replace",
    "round",
    "rtrim",
    "sign",
    "soundex",
    "strftime",
    "string_agg",
    "substr",
    "substring",
    "sum",
    "time",
    "timediff",
    "total",
    "trim",
    "unhex",
    "unicode",
    "unistr",
    "unistr_quote",
    "unixepoch",
    "upper",
    "zeroblob",
];

/// Of FTS5: `full_text` bounds them.
const FULL_TEXT: &[&str] = &["bm25", "match"];

/// Of ALTER TABLE, which SQLite lets no other statement call.
const INTERNAL: &[&str] = &[
    "sqlite_drop_column",
    "sqlite_rename_column",
    "sqlite_rename_quotefix",
    "sqlite_rename_table",
    "sqlite_rename_test",
];

/// Refused, with the reason and what to do instead.
const REFUSED: &[(&[&str], &str)] = &[
    (
        &["json_patch", "jsonb_patch"],
        "its time grows with the square of the keys; use `json_set`, or merge in the component",
    ),
    (&["json_pretty"], "its result grows with the square of its input; indent in the component"),
    (
        &["snippet", "highlight"],
        "its time grows with the square of a text's matches; read the text and mark the words in the component",
    ),
    (&["fts5_get_locale", "fts5_locale"], "tokenizers of contexts know no locales"),
    (
        &["load_extension", "edit", "fsdir", "readfile", "sqlcipher_export", "writefile"],
        "it reaches outside of the context's file",
    ),
    (&["fts3_tokenizer", "fts5"], "it takes addresses of functions"),
    (&["matchinfo", "offsets", "optimize"], "it belongs to FTS3; use FTS5"),
    (&["rtreecheck", "rtreedepth", "rtreenode"], "it shows how SQLite stores an index"),
    (
        &["fts5_source_id", "sqlite_compileoption_get", "sqlite_compileoption_used", "sqlite_source_id"],
        "it shows how the host was built",
    ),
    (&["sqlite_log"], "it writes to SQLite's log; use the component's own"),
];

/// # Errors
/// Why a context may not call `function`, and what to do.
pub(super) fn callable(function: &str) -> Result<(), String> {
    let names = |list: &[&str]| list.iter().any(|name| name.eq_ignore_ascii_case(function));
    if [LINEAR, CONSTANT, FULL_TEXT, INTERNAL].into_iter().any(names) {
        return Ok(());
    }
    let why = REFUSED
        .iter()
        .find(|(list, _)| names(list))
        .map_or("its longest call is not measured yet; do it in the component", |(_, why)| why);
    Err(format!("the function `{function}` is not for contexts: {why}"))
}

#[cfg(test)]
pub(super) mod lists {
    pub fn measured() -> impl Iterator<Item = &'static str> {
        [super::CONSTANT, super::LINEAR, super::FULL_TEXT].into_iter().flatten().copied()
    }

    pub fn refused() -> impl Iterator<Item = &'static str> {
        super::REFUSED.iter().flat_map(|(list, _)| list.iter().copied())
    }
}
