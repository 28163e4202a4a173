//! Statements of which one step takes long, four of them at a time: a neighbour answers as fast as without them.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::Result;
use seam_tests::host::Host;
use seam_tests::{MEMORY, System, component};

/// Longer than a statement of this kind may run before it looks at its deadline.
const TIMEOUT_MS: u64 = 1_000;
/// A page that is faster than this twice over is fast on any machine.
const FLOOR: Duration = Duration::from_millis(100);
const PAGES: usize = 150;

/// Texts to search in, and values to work on.
const SCHEMA: &str = "
CREATE TABLE value (v TEXT NOT NULL) STRICT;
INSERT INTO value VALUES (format('%.*c', 1000000, 'a'));
CREATE VIRTUAL TABLE page USING fts5 (a, b, tokenize = 'unicode61');
INSERT INTO page WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20)
  SELECT replace(format('%.*c', 8000, 'w'), 'w', 'word '), replace(format('%.*c', 8000, 'w'), 'w', 'word ') FROM n;
";

/// A statement that goes on for as long as it may.
struct Attack {
    name: &'static str,
    sql: String,
}

fn attacks() -> Vec<Attack> {
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)";
    // A search for each `i`.
    let search = |query: &str| format!("FROM n, page WHERE page MATCH CASE WHEN i < 0 THEN '' ELSE '{query}' END");
    let near = search(&format!("NEAR({})", ["word"; 128].join(" ")));
    let any = search(&["word"; 100].join(" OR "));
    let list = |i: usize| format!("'[1' || replace(hex(zeroblob(200000 + {i})), '0', ',1') || ']'");
    let calls = (1..=60).map(|i| format!("length(json({}))", list(i))).collect::<Vec<_>>().join(" + ");
    let class = "'*[' || format('%.*c', 120, 'b') || 'a]b'";
    let random = "SELECT random() AS r FROM n WHERE i < 3000000 GROUP BY r";
    [
        ("calls", format!("SELECT {calls}")),
        ("pattern", format!("{endless} SELECT sum(v GLOB {class}) FROM n, value")),
        ("near", format!("{endless} SELECT count(*) {near}")),
        ("rank", format!("{endless} SELECT sum(rank) {any}")),
        ("sort", format!("{endless} SELECT count(*) FROM ({random})")),
        // SQLite's memory is that of all contexts.
        ("memory", format!("{endless} SELECT count(*) FROM (SELECT zeroblob(60000) || i AS x FROM n GROUP BY x)")),
        ("patch", format!("{endless} SELECT sum(length(json_patch('{{}}', v))) FROM n, value")),
        ("excerpt", "SELECT snippet(page, 0, '', '', '', 9) FROM page WHERE page MATCH 'word'".to_owned()),
        ("words", "SELECT count(*) FROM page WHERE page MATCH replace(hex(zeroblob(400000)), '00', 'w ')".to_owned()),
    ]
    .map(|(name, sql)| Attack { name, sql })
    .into()
}

/// A page that runs `sql` on a file that `SCHEMA` has made: status 200, or 422 for a statement that fails.
fn page(sql: &str) -> Result<Vec<u8>> {
    let wit = "package t:page;
        world page {
            import seam:host/store@0.1.0;
            export seam:host/http-handler@0.1.0; export seam:host/migrations@0.1.0;
        }";
    let escaped = |text: &str| text.bytes().map(|b| format!("\\{b:02x}")).collect::<String>();
    let wat = format!(
        r#"(module
            (import "seam:host/store@0.1.0" "query" (func $query (param i32 i32 i32 i32 i32)))
            {MEMORY}
            (data (i32.const 8192) "{schema}") (data (i32.const 16384) "{statement}") (data (i32.const 700) "m")
            (func (export "seam:host/migrations@0.1.0#all") (result i32)
                (i32.store (i32.const 200) (i32.const 208)) (i32.store (i32.const 204) (i32.const 1))
                (i32.store (i32.const 208) (i32.const 1))
                (i32.store (i32.const 212) (i32.const 700)) (i32.store (i32.const 216) (i32.const 1))
                (i32.store (i32.const 220) (i32.const 8192)) (i32.store (i32.const 224) (i32.const {schema_bytes}))
                (i32.const 200))
            (func (export "seam:host/http-handler@0.1.0#handle")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
                (call $query (i32.const 16384) (i32.const {bytes}) (i32.const 0) (i32.const 0) (i32.const 1024))
                (global.set $top (i32.const 49152))
                (i32.store16 (i32.const 800)
                    (select (i32.const 422) (i32.const 200) (i32.load8_u (i32.const 1024))))
                (i32.store (i32.const 812) (i32.const 700)) (i32.store (i32.const 816) (i32.const 1)) (i32.const 800)))"#,
        schema = escaped(SCHEMA),
        schema_bytes = SCHEMA.len(),
        statement = escaped(sql),
        bytes = sql.len(),
    );
    component(wit, "page", &wat)
}

/// The slowest page but one of a hundred.
fn p99(host: &Host) -> Result<Duration> {
    let mut times = Vec::with_capacity(PAGES);
    for _ in 0..PAGES {
        let began = Instant::now();
        assert_eq!(host.get("/neighbour/")?.status, 200);
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(times[PAGES * 99 / 100])
}

#[test]
fn a_neighbour_is_as_fast_while_others_run_their_longest_statements() -> Result<()> {
    let mount = |name: &str| format!("[[mount]]\npath = \"/{name}\"\ncontext = \"{name}\"");
    let mut system = System::new()
        .context("neighbour", &page("SELECT count(*) FROM page")?, "store = true")?
        .lines(&mount("neighbour"));
    for attack in &attacks() {
        let lines = format!("store = true\nlimits = {{ timeout_ms = {TIMEOUT_MS} }}");
        system = system.context(attack.name, &page(&attack.sql)?, &lines)?.lines(&mount(attack.name));
    }
    let host = Host::up(&system.write()?, &system.folder.path().join("data"))?;
    p99(&host)?;
    for attack in &attacks() {
        let alone = p99(&host)?;
        let over = AtomicBool::new(false);
        let (beside, health, longest) = std::thread::scope(|scope| -> Result<_> {
            let attackers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| -> Result<Duration> {
                        let mut longest = Duration::ZERO;
                        while !over.load(Relaxed) {
                            let began = Instant::now();
                            host.get(&format!("/{}/", attack.name))?;
                            longest = longest.max(began.elapsed());
                        }
                        Ok(longest)
                    })
                })
                .collect();
            let beside = p99(&host);
            let health = host.get("/healthz");
            over.store(true, Relaxed);
            let longest = attackers.into_iter().map(|attacker| attacker.join().unwrap()).collect::<Result<Vec<_>>>()?;
            Ok((beside?, health?, longest.into_iter().max()))
        })?;
        let (name, longest) = (attack.name, longest.unwrap_or_default());
        println!("{name}: alone {alone:?}, beside {beside:?}, the longest statement {longest:?}");
        assert_eq!(health.status, 200, "{name}");
        assert!(beside < 2 * alone.max(FLOOR), "{name}: a page takes {beside:?}, and {alone:?} without it");
        let end = Duration::from_millis(TIMEOUT_MS);
        assert!(longest < 5 * end, "{name}: {longest:?} for a statement whose deadline is {end:?}");
    }
    Ok(())
}
