//! The longest single call of every function that a context may call, and what lies between two looks at the deadline.
//!
//! `cargo test --workspace --lib longest -- --nocapture` prints the table of `decisions/0011-*.md`.

use super::*;
use crate::callable::lists;
use crate::limits::{STORE_INLINE_VALUE_BYTES, STORE_VALUE_BYTES_MAX};

/// Values of about `STORE_VALUE_BYTES_MAX`, one row each; `$name` in a probe stands for it.
const VALUES: &[(&str, &str)] = &[
    ("a", "format('%.*c', 1000000, 'a')"),
    ("half", "format('%.*c', 500000, 'a') || 'b'"),
    ("umlauts", "format('%.*c', 490000, 'é')"),
    ("quotes", "format('%.*c', 490000, '''')"),
    ("blanks", "format('%.*c', 999999, ' ') || 'x'"),
    ("digits", "format('%.*c', 1000000, '1')"),
    ("fraction", "'0.' || format('%.*c', 999990, '1')"),
    ("hex", "hex(format('%.*c', 500000, 'a'))"),
    ("escapes", "replace(format('%.*c', 160000, 'u'), 'u', '\\u0061')"),
    ("formats", "replace(format('%.*c', 490000, 'd'), 'd', '%d')"),
    ("list", "'[' || substr(replace(format('%.*c', 490000, '1'), '1', '1,'), 1, 979999) || ']'"),
    ("deep", "replace(format('%.*c', 900, '['), '[', '[') || '1' || format('%.*c', 900, ']')"),
    (
        "map",
        "'{' || (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 80000)
                 SELECT group_concat('\"' || i || '\":1') FROM n) || '}'",
    ),
];

/// The longest call that is known of each function. Of those that take rows, a hundred.
const PROBES: &[(&str, &str)] = &[
    ("->", "$list -> '$[#-1]'"),
    ("->>", "$map ->> 'none'"),
    ("abs", "abs($fraction)"),
    ("avg", "(SELECT avg($digits) FROM (SELECT 1 UNION SELECT 2))"),
    ("bm25", "1"),
    ("changes", "changes()"),
    ("char", "char(1, 2, 3)"),
    ("coalesce", "coalesce(NULL, $a)"),
    ("concat", "concat($half, $a = 'b')"),
    ("concat_ws", "concat_ws('', $half, 'b')"),
    ("count", "(SELECT count($a))"),
    ("cume_dist", "(SELECT cume_dist() OVER ())"),
    ("current_date", "current_date"),
    ("current_time", "current_time"),
    ("current_timestamp", "current_timestamp"),
    ("date", "date('now', $a)"),
    ("datetime", "datetime($blanks)"),
    ("dense_rank", "(SELECT dense_rank() OVER ())"),
    ("first_value", "(SELECT first_value($a) OVER ())"),
    ("format", "format('%Q', $quotes)"),
    ("format", "format($formats, 1)"),
    ("format", "format('%!.1000000s', $umlauts)"),
    ("format", "format('%,.1000000f', 1e308)"),
    ("fts5_insttoken", "fts5_insttoken($a)"),
    ("glob", "$a GLOB '*[' || format('%.*c', 120, 'b') || 'a]b'"),
    ("group_concat", "(SELECT group_concat(v, $a) FROM (SELECT 1 AS v))"),
    ("hex", "hex($half)"),
    ("if", "if(1, $a)"),
    ("ifnull", "ifnull(NULL, $a)"),
    ("iif", "iif(1, $a, 2)"),
    ("instr", "instr($a, $half)"),
    ("instr", "instr($umlauts, 'ée')"),
    ("json", "json($list)"),
    ("json", "json($deep)"),
    ("json_array", "json_array(json($list))"),
    ("json_array_insert", "json_array_insert($list, '$[0]', 1)"),
    ("json_array_length", "json_array_length($list)"),
    ("json_error_position", "json_error_position($list)"),
    ("json_extract", "json_extract($list, MANY)"),
    ("json_extract", "json_extract($map, '$.' || $a)"),
    ("json_group_array", "(SELECT json_group_array($half))"),
    ("json_group_object", "(SELECT json_group_object('a', $half))"),
    ("json_insert", "json_insert($list, MANY_SET)"),
    ("json_object", "json_object('a', json($list))"),
    ("json_quote", "json_quote($half)"),
    ("json_remove", "json_remove($list, MANY_REMOVE)"),
    ("json_replace", "json_replace($list, MANY_SET)"),
    ("json_set", "json_set($list, MANY_SET)"),
    ("json_set", "json_set('{}', '$' || replace(format('%.*c', 300000, 'a'), 'a', '.a'), 1) IS NULL"),
    ("json_type", "json_type($list)"),
    ("json_valid", "json_valid($list)"),
    ("jsonb", "jsonb($map)"),
    ("jsonb_array", "jsonb_array(jsonb($list))"),
    ("jsonb_array_insert", "jsonb_array_insert($list, '$[0]', 1)"),
    ("jsonb_extract", "jsonb_extract($list, MANY)"),
    ("jsonb_group_array", "(SELECT jsonb_group_array($half))"),
    ("jsonb_group_object", "(SELECT jsonb_group_object('a', $half))"),
    ("jsonb_insert", "jsonb_insert($list, MANY_SET)"),
    ("jsonb_object", "jsonb_object('a', jsonb($list))"),
    ("jsonb_remove", "jsonb_remove($list, MANY_REMOVE)"),
    ("jsonb_replace", "jsonb_replace($list, MANY_SET)"),
    ("jsonb_set", "jsonb_set($list, MANY_SET)"),
    ("julianday", "julianday($blanks)"),
    ("lag", "(SELECT lag($a) OVER ())"),
    ("last_insert_rowid", "last_insert_rowid()"),
    ("last_value", "(SELECT last_value($a) OVER ())"),
    ("lead", "(SELECT lead($a) OVER ())"),
    ("length", "length($umlauts)"),
    ("like", "$a LIKE '%' || replace(format('%.*c', 42, 'x'), 'x', '%a_') || 'b'"),
    ("like", "$a LIKE '%' || format('%.*c', 120, 'a') || 'b'"),
    ("likelihood", "likelihood($a, 0.5)"),
    ("likely", "likely($a)"),
    ("lower", "lower($a)"),
    ("ltrim", "ltrim($blanks)"),
    ("match", "1"),
    ("max", "max($a, $a || '', $a || '')"),
    ("min", "min($a, $a || '', $a || '')"),
    ("nth_value", "(SELECT nth_value($a, 1) OVER ())"),
    ("ntile", "(SELECT ntile(1) OVER ())"),
    ("nullif", "nullif($a, $a || '')"),
    ("octet_length", "octet_length($a)"),
    ("percent_rank", "(SELECT percent_rank() OVER ())"),
    ("printf", "printf('%q', $quotes)"),
    ("quote", "quote($quotes)"),
    ("random", "random()"),
    ("randomblob", "randomblob(1000000)"),
    ("rank", "(SELECT rank() OVER ())"),
    ("replace", "replace($a, 'a', 'b')"),
    ("replace", "replace($a, $half, '')"),
    ("round", "round($fraction, 20)"),
    ("row_number", "(SELECT row_number() OVER ())"),
    ("rtrim", "rtrim('x' || substr($blanks, 2, 900000))"),
    ("sign", "sign($fraction)"),
    ("soundex", "soundex($blanks)"),
    ("sqlite_version", "sqlite_version()"),
    ("strftime", "strftime($formats, 'now')"),
    ("string_agg", "(SELECT string_agg($half, ','))"),
    ("substr", "substr($umlauts, -1, 1)"),
    ("substring", "substring($umlauts, 489000, 1)"),
    ("subtype", "subtype($a)"),
    ("sum", "(SELECT sum($fraction))"),
    ("time", "time('now', $a)"),
    ("timediff", "timediff($a, $blanks)"),
    ("total", "(SELECT total($fraction))"),
    ("total_changes", "total_changes()"),
    ("trim", "trim($a, $half)"),
    ("typeof", "typeof($a)"),
    ("unhex", "unhex($hex)"),
    ("unicode", "unicode($umlauts)"),
    ("unistr", "unistr($escapes)"),
    ("unistr_quote", "unistr_quote($quotes)"),
    ("unixepoch", "unixepoch($blanks)"),
    ("unlikely", "unlikely($a)"),
    ("upper", "upper($a)"),
    ("zeroblob", "zeroblob(1000000)"),
    ("", "$a || ''"),
    ("", "$digits + 1"),
    ("", "CAST($fraction AS REAL)"),
    ("", "$blanks COLLATE NOCASE = $blanks || ''"),
    ("", "$blanks COLLATE RTRIM = $blanks || ''"),
    ("", "(SELECT count(*) FROM json_each($list))"),
    ("", "(SELECT count(fullkey) FROM json_tree($list))"),
];

fn probe(call: &str) -> String {
    let many = vec!["'$[#-1]'"; 98].join(", ");
    let many_set = vec!["'$[#-1]', 1"; 49].join(", ");
    let mut call = call.replace("MANY_SET", &many_set).replace("MANY_REMOVE", &many).replace("MANY", &many);
    for (name, _) in VALUES {
        call = call.replace(&format!("${name}"), &format!("(SELECT v FROM value WHERE name = '{name}')"));
    }
    format!("SELECT length({call})")
}

fn with_values() -> Fixture {
    let folder = TempDir::new().unwrap();
    let database = Database::open(config(&folder, 64)).unwrap();
    let table = "CREATE TABLE value (name TEXT PRIMARY KEY, v TEXT NOT NULL) STRICT;";
    migrate(&database, &[migration(1, table)]).unwrap();
    for (name, value) in VALUES {
        let sql = format!("INSERT INTO value VALUES ('{name}', {value})");
        database.execute(&sql, &[], soon()).unwrap();
    }
    Fixture { database, folder }
}

#[test]
fn the_longest_call_of_every_function_is_known_and_short() {
    let shop = with_values();
    let timed = |call: &str| {
        let sql = probe(call);
        let began = Instant::now();
        let done = shop.query_without_end(&sql, soon());
        assert!(matches!(case(&done), "ok" | "too-large" | "invalid"), "{call}: {done:?}");
        began.elapsed()
    };
    // Its time is in proportion to its value: what a call may take is counted in it.
    let unit = (0..5).map(|_| timed("json($list)")).min().unwrap();
    for (function, call) in PROBES {
        let took = (0..2).map(|_| timed(call)).min().unwrap();
        println!("| {:7.1} ms | {function} | {call} |", took.as_secs_f64() * 1e3);
        let walks = match *function {
            // 98 paths are 98 walks through the value.
            _ if call.contains("MANY") => 150,
            // Ours, which this build does not optimise.
            "instr" | "replace" | "trim" | "ltrim" | "rtrim" => 200,
            // Every character of the text is held against every one of the pattern.
            "glob" | "like" => 150,
            _ => 30,
        };
        assert!(took < unit * walks, "{call} takes {took:?}, a JSON text of the same length {unit:?}");
    }
    let probed: std::collections::BTreeSet<_> =
        PROBES.iter().map(|(name, _)| *name).filter(|n| !n.is_empty()).collect();
    assert_eq!(probed, lists::measured().collect(), "a function without a probe, or a probe without its function");
}

#[test]
fn a_function_that_no_list_names_is_refused() {
    let sqlite = rusqlite::Connection::open_in_memory().unwrap();
    let mut all = sqlite.prepare("SELECT DISTINCT name FROM pragma_function_list").unwrap();
    let all: Vec<String> = all.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let known: Vec<_> = lists::measured().chain(lists::refused()).collect();
    let unknown: Vec<_> = all.iter().filter(|name| !known.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "SQLite has {unknown:?}: measure the longest call of each, then list it");
    let why = crate::callable::callable("brand_new").unwrap_err();
    assert!(why.contains("`brand_new`"), "{why}");
}

#[test]
fn a_function_that_may_take_long_is_refused_and_the_error_says_what_to_do() {
    let shop = shop();
    for (call, instead) in [
        ("json_patch('{}', '{}')", "json_set"),
        ("jsonb_patch('{}', '{}')", "json_set"),
        ("json_pretty('{}')", "component"),
        ("sqlite_log(1, 'a')", "component"),
        ("sqlite_compileoption_get(1)", "built"),
        ("rtreecheck('a')", "index"),
    ] {
        let refused = shop.query(&format!("SELECT {call}"), &[], soon());
        let Err(Error::Denied(why)) = &refused else { panic!("{call}: {refused:?}") };
        assert!(why.contains(instead) && why.contains(&call[..5]), "{why}");
    }
}

/// No step of it jumps back, so nothing looks at the deadline until its end.
#[test]
fn a_long_program_takes_short_values_only() {
    let shop = shop();
    let list = format!("[{}1]", "1,".repeat(490_000));
    let calls = |count: usize, value: &str| {
        let call = (0..count).map(|i| format!("length(json(?1 || '{}'))", " ".repeat(i % 50))).collect::<Vec<_>>();
        let sql = format!("SELECT {}", call.chunks(100).map(|c| c.join(" + ")).collect::<Vec<_>>().join(", "));
        let began = Instant::now();
        (shop.query(&sql, &[value.into()], soon()), began.elapsed())
    };
    let (few, _) = calls(5, &list);
    assert_eq!(case(&few), "ok", "a short program takes the longest values: {few:?}");
    let (many, took) = calls(1_500, &list);
    let Err(Error::TooLarge(why)) = &many else { panic!("{:?} {took:?}", case(&many)) };
    assert!(why.contains("program of") && why.contains("shorter"), "{why}");
    assert_eq!(case(&calls(1_500, "[1]").0), "ok", "a long program takes short values");
    assert_eq!(case(&calls(5, &list).0), "ok", "the bound was that statement's");
}

#[test]
fn a_value_may_be_as_long_in_a_read_as_in_a_write() {
    let shop = shop();
    let long = "x".repeat(STORE_VALUE_BYTES_MAX as usize - 100);
    shop.execute("INSERT INTO item (name, cover) VALUES ('a', ?1)", &[Value::Blob(long.as_bytes())], soon()).unwrap();
    assert!(long.len() > STORE_INLINE_VALUE_BYTES);
    assert_eq!(shop.number("SELECT length(cover) FROM item"), long.len() as i64);
    let back = shop.query("SELECT cover FROM item", &[], soon()).unwrap();
    assert!(back.len() > long.len());
    let same = shop.query("SELECT count(*) FROM item WHERE cover = ?1", &[Value::Blob(long.as_bytes())], soon());
    assert_eq!(number_in(&same.unwrap()), 1);
    let mut tx = shop.begin(soon()).unwrap();
    assert_eq!(number_in(&tx.query("SELECT length(cover) FROM item", &[], soon()).unwrap()), long.len() as i64);
    tx.commit().unwrap();
}

/// A statement that meets a long value runs beside the runtime: its only worker serves others meanwhile.
#[test]
fn a_statement_with_long_values_leaves_its_worker_to_others() {
    let shop = shop();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let (asked, answers) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        loop {
            let _ = asked.send(Instant::now());
            tokio::task::yield_now().await;
        }
    });
    let database = shop.database.clone();
    // Built by the statement itself: no length of a parameter tells of it, and no step of it jumps back.
    let list = |i: usize| format!("'[' || substr(hex(zeroblob(400000)), {i}, 1) || ']'");
    let calls = (1..=20).map(|i| format!("length(json({})) + length(hex(zeroblob(400000 + {i})))", list(i)));
    let sql = format!("SELECT {}", calls.collect::<Vec<_>>().join(" + "));
    let (began, ended) = runtime
        .block_on(runtime.spawn(async move {
            let began = Instant::now();
            let done = database.query(&sql, &[], soon());
            assert_eq!(case(&done), "ok", "{done:?}");
            (began, Instant::now())
        }))
        .unwrap();
    runtime.shutdown_background();
    let turns: Vec<_> = std::iter::once(began).chain(answers).filter(|at| (began..=ended).contains(at)).collect();
    let pause = turns.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(ended - began);
    let pause = pause.max(ended - turns[turns.len() - 1]);
    assert!(pause < (ended - began) / 2, "the worker was held for {pause:?} of {:?}", ended - began);
}
