//! Statements of which one step takes long, four of them at a time: a neighbour answers as fast as beside short ones.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::Result;
use seam_tests::host::Host;
use seam_tests::{MEMORY, System, component};

/// Longer than a statement of this kind may run before it looks at its deadline.
const TIMEOUT_MS: u64 = 1_000;
/// How much longer a page may take beside attackers than beside clients whose statement is refused at once.
const RATIO: u32 = 2;
/// Differences below this are those of a busy machine.
const FLOOR: Duration = Duration::from_millis(4);
const ROUNDS: usize = 3;
/// As many rounds if the first ones exceed the ratio: on a busy machine one of them says little.
const ROUNDS_MAX: usize = 9;
const PAGES: usize = 100;
const CLIENTS: usize = 4;

/// Texts to search in, and values to work on.
const SCHEMA: &str = "
CREATE TABLE value (v TEXT NOT NULL) STRICT;
INSERT INTO value VALUES (format('%.*c', 1000000, 'a'));
CREATE VIRTUAL TABLE page USING fts5 (a, b, tokenize = 'unicode61');
INSERT INTO page WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20)
  SELECT replace(format('%.*c', 8000, 'w'), 'w', 'word '), replace(format('%.*c', 8000, 'w'), 'w', 'word ') FROM n;
";

const REFUSED: &str = "SELECT json_patch('{}', '{}')";

/// A statement that goes on for as long as it may.
struct Attack {
    name: &'static str,
    sql: String,
}

fn attacks() -> Vec<Attack> {
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)";
    // A search for each `i`.
    let search = |query: &str| format!("FROM n, page WHERE page MATCH CASE WHEN i < 0 THEN '' ELSE '{query}' END");
    let near = search(&format!("NEAR({})", ["word"; 64].join(" ")));
    let any = search(&["word"; 64].join(" OR "));
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
        // The writer's turns are those of its file's transactions.
        ("write", format!("{endless} INSERT INTO value SELECT hex(randomblob(100)) FROM n")),
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

/// How long `/neighbour/` takes, the slowest of a hundred left out, while `CLIENTS` ask for `beside` again and again;
/// and their slowest request.
fn p99(host: &Host, beside: Option<&str>) -> Result<(Duration, Duration)> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients: Vec<_> = beside
            .iter()
            .flat_map(|path| std::iter::repeat_n(path, CLIENTS))
            .map(|path| {
                scope.spawn(|| -> Result<Duration> {
                    let mut longest = Duration::ZERO;
                    while !over.load(Relaxed) {
                        let began = Instant::now();
                        host.get(path)?;
                        longest = longest.max(began.elapsed());
                    }
                    Ok(longest)
                })
            })
            .collect();
        let page = || -> Result<Duration> {
            let began = Instant::now();
            assert_eq!(host.get("/neighbour/")?.status, 200);
            Ok(began.elapsed())
        };
        let times = (0..PAGES).map(|_| page()).collect::<Result<Vec<_>>>();
        let health = host.get("/healthz");
        over.store(true, Relaxed);
        let longest = clients.into_iter().map(|client| client.join().unwrap()).collect::<Result<Vec<_>>>()?;
        assert_eq!(health?.status, 200, "beside {beside:?}");
        let mut times = times?;
        times.sort_unstable();
        Ok((times[PAGES * 99 / 100 - 1], longest.into_iter().max().unwrap_or_default()))
    })
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

#[test]
fn a_neighbour_is_as_fast_beside_the_longest_statements_as_beside_short_ones() -> Result<()> {
    let mount = |name: &str| format!("[[mount]]\npath = \"/{name}\"\ncontext = \"{name}\"");
    let mut system = System::new()
        .context("neighbour", &page("SELECT count(*) FROM page")?, "store = true")?
        .lines(&mount("neighbour"))
        .context("refused", &page(REFUSED)?, "store = true")?
        .lines(&mount("refused"));
    for attack in &attacks() {
        let lines = format!("store = true\nlimits = {{ timeout_ms = {TIMEOUT_MS} }}");
        system = system.context(attack.name, &page(&attack.sql)?, &lines)?.lines(&mount(attack.name));
    }
    let host = Host::up(&system.write()?, &system.folder.path().join("data"))?;
    p99(&host, None)?;
    for name in attacks().iter().map(|attack| attack.name) {
        let (mut alone, mut short, mut long, mut longest) = (Vec::new(), Vec::new(), Vec::new(), Duration::ZERO);
        for round in 1..=ROUNDS_MAX {
            alone.push(p99(&host, None)?.0);
            short.push(p99(&host, Some("/refused/"))?.0);
            let (page, statement) = p99(&host, Some(&format!("/{name}/")))?;
            long.push(page);
            longest = longest.max(statement);
            if round >= ROUNDS && median(&long) < RATIO * median(&short).max(FLOOR) {
                break;
            }
        }
        let (alone, short, long) = (median(&alone), median(&short), median(&long));
        println!("{name}: alone {alone:.1?}, beside short ones {short:.1?}, beside these {long:.1?}, of {longest:.1?}");
        assert!(
            long < RATIO * short.max(FLOOR),
            "{name}: a page takes {long:?}, and {short:?} beside short statements"
        );
        let end = Duration::from_millis(TIMEOUT_MS);
        assert!(longest < 5 * end, "{name}: {longest:?} for a statement whose deadline is {end:?}");
    }
    Ok(())
}

/// A table that a host has made which knew no bound for searches.
#[test]
fn a_start_says_which_full_text_tables_have_no_bound_and_what_to_do() -> Result<()> {
    let system = System::new()
        .context("notes", &page("SELECT 1")?, "store = true")?
        .lines("[[mount]]\npath = \"/\"\ncontext = \"notes\"");
    let (manifest, data) = (system.write()?, system.folder.path().join("data"));
    Host::up(&manifest, &data)?.stop(Duration::from_secs(20))?;
    rusqlite::Connection::open(data.join("stores/notes.db"))?
        .execute_batch("CREATE VIRTUAL TABLE old USING fts5 (body)")?;
    let host = Host::up(&manifest, &data)?;
    let line = host.log_line(&["notes", "`old`", "have no bound"])?;
    assert!(line.contains("make it again"), "{line}");
    assert_eq!(host.get("/")?.status, 200);
    Ok(())
}
