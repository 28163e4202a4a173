//! The systems with mistakes, each with one, and those without.

use anyhow::Result;
use seam_store::{InvariantKind, SagaDefinition, SagaStep, SagaUndo};
use seam_tests::declaring::declaring;
use seam_tests::version::{Then, Version, page, with_clock};
use seam_tests::{MEMORY, System, component};

/// A system in which one thing is wrong.
pub struct Mistake {
    pub name: &'static str,
    pub system: System,
    /// Whether a start serves it all the same: what is wrong concerns its tests, its sources, or a call by time.
    pub starts: bool,
}

const TABLE: &str = "CREATE TABLE t (n INTEGER PRIMARY KEY) STRICT";
const MORE: &str = "CREATE TABLE u (n INTEGER REFERENCES t (n)) STRICT";
const PAGE: &str = "imports = [\"t:numbers/numbers@0.1.0\"]";
const WASI: &str = "capabilities = [\"wasi\"]";
const BUILD: &str = "build = { command = \"true\", sources = [\"src\"] }";

pub fn all() -> Result<Vec<Mistake>> {
    let refused =
        [manifest()?, files_of_components()?, imports()?, exports()?, asked()?, starts()?, sagas()?, stores()?];
    let refused = refused.into_iter().flatten().map(|(name, system)| Mistake { name, system, starts: false });
    let served = [scenarios()?, wit()?, sources()?, by_time()?, invariants()?].into_iter().flatten();
    Ok(refused.chain(served.map(|(name, system)| Mistake { name, system, starts: true })).collect())
}

type Systems = Vec<(&'static str, System)>;

fn stored(migrations: &[&'static str]) -> Result<Vec<u8>> {
    Version { migrations: migrations.to_vec(), ..Version::default() }.wasm()
}

/// `numbers` alone, with these lines in its entry.
fn numbers(lines: &str) -> Result<System> {
    System::new().context("numbers", &Version::default().wasm()?, lines)
}

/// A component in text, which may use WASI.
fn wat(text: &str) -> Result<System> {
    System::new().context("c", &wat::parse_str(text)?, WASI)
}

fn with_file(system: System, path: &str, text: impl AsRef<[u8]>) -> Result<System> {
    let path = system.folder.path().join(path);
    std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
    std::fs::write(path, text)?;
    Ok(system)
}

/// Mistakes that the text of the manifest shows.
fn manifest() -> Result<Systems> {
    let entry = |name, lines: &str| Ok::<_, anyhow::Error>((name, numbers(lines)?));
    let beside = |name, lines: &str| Ok::<_, anyhow::Error>((name, numbers("")?.lines(lines)));
    Ok(vec![
        ("no context", System::new()),
        ("a misspelt key", numbers("stroe = true")?),
        beside("a misspelt section", "[hots]\nops = false")?,
        beside("TOML that does not parse", "[[seed]")?,
        beside("an entry twice", "[context.numbers]\ncomponent = \"numbers.wasm\"")?,
        beside("a context name in capitals", "[context.Shop]\ncomponent = \"numbers.wasm\"")?,
        beside("an entry without component", "[context.other]\nimports = []")?,
        beside("a component that is not there", "[context.other]\ncomponent = \"other.wasm\"")?,
        beside("a component that is not built", &format!("[context.other]\ncomponent = \"other.wasm\"\n{BUILD}"))?,
        entry("a capability that is misspelt", "capabilities = [\"clock\"]")?,
        entry("a capability that no context gets", "capabilities = [\"files\"]")?,
        entry("an import without package", "imports = [\"catalog\"]")?,
        entry("an import twice", "imports = [\"a:b/c\", \"a:b/c\"]")?,
        entry("a store of no size", "store = { max_mb = 0 }")?,
        entry("a limit below zero", "limits = { queue = -1 }")?,
        entry("a context larger than its bound", "limits = { instance_memory_mb = 100, context_memory_mb = 50 }")?,
        entry("assets that are not there", "assets = \"nowhere\"")?,
        entry("assets around the data folder", "assets = \".\"")?,
        entry("a list as configuration", "config = { rates = [1] }")?,
        entry("shared data that is not there", "shared = { rates = \"rates.toml\" }")?,
        (
            "shared data without version",
            with_file(numbers("shared = { rates = \"rates.toml\" }")?, "rates.toml", "a = 1")?,
        ),
        beside("a mount without slash", "[[mount]]\npath = \"shop\"\ncontext = \"numbers\"")?,
        beside("a mount that ends in a slash", "[[mount]]\npath = \"/shop/\"\ncontext = \"numbers\"")?,
        beside("a mount where the host answers", "[[mount]]\npath = \"/metrics\"\ncontext = \"numbers\"")?,
        beside("a mount of an unknown context", "[[mount]]\npath = \"/\"\ncontext = \"nubmers\"")?,
        beside("a seed without file", "[[seed]]\ncontext = \"numbers\"\ncall = \"numbers.times\"")?,
        beside("a seed of another kind", &seed("numbers.times", "rows.xml"))?,
        beside("a seed of no function", &seed("times", "rows.csv"))?,
        beside(
            "a seed of an unknown context",
            &seed("numbers.times", "rows.csv").replace("\"numbers\"", "\"nmubers\""),
        )?,
        beside("a schedule without interval", "[[schedule]]\ncontext = \"numbers\"\ncall = \"numbers.settle\"")?,
        beside("a schedule of no interval", &schedule("numbers.settle").replace("30", "0"))?,
        beside("a schedule that never comes", &times("0 0 30 2 *"))?,
        beside("times of day in a context without a store", &times("30 3 * * *"))?,
        beside("a bound of the edge below one", "[http]\nbody_kb = 0")?,
        beside("a routing key of no kind", "[http]\nrouting_key = [\"session\"]")?,
        beside("a certificate that is not there", "[host.tls]\ncertificate = \"no.pem\"\nkey = \"no.pem\"")?,
    ])
}

fn seed(call: &str, file: &str) -> String {
    format!("[[seed]]\ncontext = \"numbers\"\ncall = \"{call}\"\nfile = \"{file}\"")
}

fn schedule(call: &str) -> String {
    format!("[[schedule]]\ncontext = \"numbers\"\ncall = \"{call}\"\nevery_s = 30")
}

fn times(cron: &str) -> String {
    format!("[[schedule]]\ncontext = \"numbers\"\ncall = \"numbers.settle\"\ncron = \"{cron}\"")
}

/// Files in the place of components.
fn files_of_components() -> Result<Systems> {
    let sound = Version::default().wasm()?;
    let as_it_is = |bytes: &[u8]| System::new().context("c", bytes, "");
    let later = "(import \"wasi:http/types@0.3.0\" (instance (export \"f\" (func (param \"b\" (stream u8))))))";
    Ok(vec![
        ("a core module", as_it_is(&wat::parse_str("(module (func (export \"f\")))")?)?),
        ("a text", as_it_is(b"not a component")?),
        ("an empty file", as_it_is(b"")?),
        ("half of a component", as_it_is(sound.get(..sound.len() / 2).unwrap_or_default())?),
        ("a component for WASI 0.3 with streams", wat(&format!("(component {later})"))?),
        ("a component with threads", wat("(component (core module (memory 1 1 shared)))")?),
        ("a component with 64-bit memory", wat("(component (core module (memory i64 1)))")?),
        ("a component with garbage-collected types", wat("(component (core module (type (struct))))")?),
    ])
}

/// Imports that get nothing.
fn imports() -> Result<Systems> {
    let import = |name: &str| wat(&format!("(component (import \"{name}\" (instance (export \"f\" (func)))))"));
    let asks = |grant: &str| System::new().context("page", &page()?, grant);
    let other = Version { version: "0.2.0", ..Version::default() }.wasm()?;
    let sound = Version::default().wasm()?;
    let wide = Version { wide: true, ..Version::default() }.wasm()?;
    Ok(vec![
        ("a function of the world", wat("(component (import \"now\" (func (result u64))))")?),
        ("WASI of a version that never was", import("wasi:cli/environment@0.9.0")?),
        ("WASI of a release candidate", import("wasi:http/types@0.2.0-rc-2023-11-10")?),
        ("WASI of a later version", import("wasi:http/types@0.3.0")?),
        ("a misspelt interface of WASI", import("wasi:cli/enviroment@0.2.0")?),
        ("a function that WASI lacks", import("wasi:cli/environment@0.2.0")?),
        ("a package of WASI that is not offered", import("wasi:nn/tensor@0.2.0")?),
        ("the store of another version", import("seam:host/store@0.2.0")?),
        ("a clock that is not granted", System::new().context("numbers", &with_clock(2)?, "")?),
        (
            "an environment that is not granted",
            System::new().context(
                "c",
                &wat::parse_str("(component (import \"wasi:cli/environment@0.2.0\" (instance)))")?,
                "",
            )?,
        ),
        (
            "a store that is not granted",
            System::new().context("numbers", &Version { query: Some("SELECT 1"), ..Version::default() }.wasm()?, "")?,
        ),
        ("an import that is not allowed", asks("")?.context("numbers", &sound, "")?),
        (
            "an import of which another version is listed",
            asks("imports = [\"t:numbers/numbers@0.2.0\"]")?.context("numbers", &sound, "")?,
        ),
        (
            "an import that is listed with a mistake",
            asks("imports = [\"t:numbers/nubmers@0.1.0\"]")?.context("numbers", &sound, "")?,
        ),
        ("an import that no context exports", asks(PAGE)?),
        ("an import of which only another version exists", asks(PAGE)?.context("numbers", &other, "")?),
        (
            "an import that two contexts export",
            asks(PAGE)?.context("numbers", &sound, "")?.context("more", &Version::times(3).wasm()?, "")?,
        ),
        ("an import of another type", asks(PAGE)?.context("numbers", &wide, "")?),
        (
            "contexts that import each other",
            System::new().context("a", &link("b", "a")?, "imports = [\"t:b/b\"]")?.context(
                "b",
                &link("a", "b")?,
                "imports = [\"t:a/a\"]",
            )?,
        ),
    ])
}

/// Exports `t:OFFERED/OFFERED` and calls `t:ASKED/ASKED`.
fn link(asked: &str, offered: &str) -> Result<Vec<u8>> {
    let interface = |name: &str| {
        format!("interface {name} {{ variant error {{ unavailable(string) }} f: func() -> result<_, error>; }}")
    };
    let wit = format!(
        "package t:{offered}@0.1.0; {} world this {{ import t:{asked}/{asked}@0.1.0; export {offered}; }}
         package t:{asked}@0.1.0 {{ {} }}",
        interface(offered),
        interface(asked)
    );
    let wat = format!(
        "(module (import \"t:{asked}/{asked}@0.1.0\" \"f\" (func (param i32))) {MEMORY}
           (func (export \"t:{offered}/{offered}@0.1.0#f\") (result i32) unreachable))"
    );
    component(&wit, "this", &wat)
}

/// Exports that neither a context nor the host can call.
fn exports() -> Result<Systems> {
    let seam = |functions: &str, export: &str| -> Result<System> {
        let wit = format!("package t:c@0.1.0; interface c {{ {functions} }} world this {{ export c; }}");
        let wat = format!("(module {MEMORY} (func (export \"t:c/c@0.1.0#f\") {export} unreachable))");
        System::new().context("c", &component(&wit, "this", &wat)?, "")
    };
    let called = |path: &str| wat(&format!("(component (instance $i) (export \"{path}\" (instance $i)))"));
    Ok(vec![
        ("a function that cannot be unavailable", seam("f: func() -> u32;", "(result i32)")?),
        ("an error without `unavailable`", seam("f: func() -> result<_, string>;", "(result i32)")?),
        ("an HTTP handler of another version", called("seam:host/http-handler@0.2.0")?),
        ("an HTTP handler without its function", called("seam:host/http-handler@0.1.0")?),
        ("an export for the host that it does not know", called("seam:host/helth@0.1.0")?),
        ("an HTTP handler of WASI 0.3", called("wasi:http/incoming-handler@0.3.0")?),
    ])
}

/// What the manifest asks of a component that does not do it.
fn asked() -> Result<Systems> {
    let rows = |system: System| with_file(system, "rows.jsonl", "1\n");
    Ok(vec![
        ("a mount without HTTP handler", numbers("")?.lines("[[mount]]\npath = \"/\"\ncontext = \"numbers\"")),
        ("a seed of an unknown function", rows(numbers("")?.lines(&seed("numbers.tims", "rows.jsonl")))?),
        ("a seed of a function without list", rows(numbers("")?.lines(&seed("numbers.times", "rows.jsonl")))?),
        ("a seed of another version", rows(numbers("")?.lines(&seed("t:numbers/numbers@0.2.0.times", "rows.jsonl")))?),
        ("a seed whose file is not there", loads()?.lines(&seed("numbers.load", "rows.jsonl"))),
    ])
}

/// `numbers.load` takes a list.
fn loads() -> Result<System> {
    let wit = "package t:numbers@0.1.0; interface numbers {
                   variant error { unavailable(string) } load: func(rows: list<u32>) -> result<_, error>;
               } world this { export numbers; }";
    let wat = format!(
        "(module {MEMORY} (func (export \"t:numbers/numbers@0.1.0#load\") (param i32 i32) (result i32)
             (i32.store (i32.const 16) (i32.const 0)) (i32.const 16)))"
    );
    System::new().context("numbers", &component(wit, "this", &wat)?, "")
}

/// Components that do not start on an empty file.
fn starts() -> Result<Systems> {
    let migrates = |migrations: &[&'static str]| System::new().context("numbers", &stored(migrations)?, "store = true");
    Ok(vec![
        (
            "a start that traps",
            System::new().context("numbers", &Version { start: Then::Traps, ..Version::default() }.wasm()?, "")?,
        ),
        (
            "a migration that does not parse",
            migrates(&[TABLE, "CREATE TABLE v (n INTEGER) STRICT;\nCREATE TABEL w (n)"])?,
        ),
        ("a migration of an unknown table", migrates(&["ALTER TABLE v ADD COLUMN n INTEGER"])?),
        ("a migration with a name of the host", migrates(&["CREATE TABLE seam_t (n INTEGER) STRICT"])?),
        ("a migration that breaks a foreign key", migrates(&[TABLE, MORE, "INSERT INTO u VALUES (7)"])?),
    ])
}

/// Sagas that the host could not perform, or not undo.
fn sagas() -> Result<Systems> {
    let step = |call: Option<&str>, undo| SagaStep {
        name: "charge".into(),
        call: call.map(str::to_owned),
        undo,
        tries: 3,
        patience_s: 60,
    };
    let saga = |steps, lines| -> Result<System> {
        System::new().context("orders", &declaring(&[SagaDefinition { kind: "order".into(), steps }])?, lines)
    };
    let later = SagaStep { name: "note".into(), ..step(None, SagaUndo::Own) };
    let stored = "store = true";
    let wit = "package t:sagas; world this { export seam:host/saga-steps@0.1.0; }";
    Ok(vec![
        ("a saga without a store", saga(vec![step(None, SagaUndo::Own)], "")?),
        ("a saga without steps", saga(vec![], stored)?),
        ("a step that calls what its component does not import", {
            saga(vec![step(Some("t:bank/cards.charge"), SagaUndo::Nothing)], stored)?
        }),
        ("a step with an undo, after one that cannot be undone", {
            saga(vec![step(None, SagaUndo::Never), later], stored)?
        }),
        ("a step that is never tried", saga(vec![SagaStep { tries: 0, ..step(None, SagaUndo::Own) }], stored)?),
        ("sagas that trap when they are listed", {
            let text = format!(
                r#"(module {MEMORY}
                    (func (export "seam:host/saga-steps@0.1.0#definitions") (result i32) unreachable)
                    (func (export "seam:host/saga-steps@0.1.0#perform") {STEP})
                    (func (export "seam:host/saga-steps@0.1.0#undo") {STEP}))"#
            );
            System::new().context("orders", &component(wit, "this", &text)?, stored)?
        }),
    ])
}

/// A step of sagas that traps.
const STEP: &str = "(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable";

/// Files that a start would refuse.
fn stores() -> Result<Systems> {
    let before = |migrations: &[&'static str]| -> Result<System> {
        let system = System::new().context("numbers", &stored(migrations)?, "store = true")?;
        system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
        Ok(system)
    };
    let now = |system: System, migrations: &[&'static str]| with_file(system, "numbers.wasm", stored(migrations)?);
    Ok(vec![
        ("a file ahead of its component", now(before(&[TABLE, MORE])?, &[TABLE])?),
        ("a migration that has changed", now(before(&[TABLE])?, &[MORE])?),
        ("a file that is none of SQLite", with_file(before(&[TABLE])?, "data/stores/numbers.db", "a".repeat(8192))?),
    ])
}

/// Schedules that call nothing: the host serves without them.
fn by_time() -> Result<Systems> {
    Ok(vec![
        ("a schedule of an unknown function", numbers("")?.lines(&schedule("numbers.tims"))),
        ("a schedule of a function with parameters", numbers("")?.lines(&schedule("numbers.times"))),
    ])
}

/// Invariants that `seam verify` could not check: the host serves all the same.
fn invariants() -> Result<Systems> {
    let declares = |kind, name: &'static str, sql: &'static str| -> Result<System> {
        let version = Version { migrations: vec![TABLE], invariants: vec![(kind, name, sql)], ..Version::default() };
        System::new().context("numbers", &version.wasm()?, "store = true")
    };
    let rows = |name, sql| declares(InvariantKind::Violations, name, sql);
    let version = Version { invariants: vec![(InvariantKind::Violations, "n", "SELECT 1")], ..Version::default() };
    Ok(vec![
        ("an invariant of an unknown column", rows("n-is-positive", "SELECT n FROM t WHERE m < 0")?),
        ("an invariant that reads the host's tables", rows("n-is-marked", "SELECT identity FROM seam_store")?),
        ("an invariant that writes", rows("n-is-gone", "DELETE FROM t RETURNING n")?),
        ("an invariant with a name in capitals", rows("N", "SELECT n FROM t WHERE n < 0")?),
        ("a total without an amount", declares(InvariantKind::Total, "sum", "SELECT n FROM t")?),
        ("a total that no other context declares", declares(InvariantKind::Total, "sum", "SELECT 'n', n FROM t")?),
        ("an invariant without a store", System::new().context("numbers", &version.wasm()?, "")?),
    ])
}

fn scenarios() -> Result<Systems> {
    let scenario = |text: &str| with_file(numbers("scenarios = \"scenarios\"")?, "scenarios/a.toml", text);
    let one = |call: &str| format!("[[scenario]]\nname = \"a\"\nwhen = [{{ call = '{call}', then = 'ok(4)' }}]\n");
    let contract = |text: &str| with_file(numbers("")?, "wit/numbers/contract/a.toml", text);
    Ok(vec![
        ("a scenario that does not parse", scenario("[[scenario]\n")?),
        ("a scenario with a misspelt key", scenario(&one("numbers.times(2)").replace("when", "whn"))?),
        ("a file without scenarios", scenario("")?),
        ("a scenario of an unknown function", scenario(&one("numbers.tims(2)"))?),
        ("a scenario with an argument of another type", scenario(&one("numbers.times(\"a\")"))?),
        (
            "a scenario that stubs what is not imported",
            scenario(
                &(one("numbers.times(2)") + "given = { stub = [{ function = \"stock.of\", answer = \"ok(1)\" }] }\n"),
            )?,
        ),
        (
            "a scenario with rows of no store",
            scenario(&(one("numbers.times(2)") + "given = { sql = [\"SELECT 1\"] }\n"))?,
        ),
        ("a contract of no interface", contract("interface = \"numbers\"\n")?),
        (
            "a contract of an unknown function",
            contract(
                "interface = \"t:numbers/numbers@0.1.0\"\n[[rule]]\nfunction = \"numbers.tims\"\nanswers = [\"ok(_)\"]\n",
            )?,
        ),
    ])
}

const WIT: &str = "package t:numbers@0.1.0;\n\ninterface numbers {\n    variant error { odd(u32), unavailable(string) }\n    times: func(n: u32) -> result<u32, error>;\n}\n";

fn wit() -> Result<Systems> {
    let file = |text: &str| with_file(numbers("")?, "wit/numbers/numbers.wit", text);
    Ok(vec![
        ("WIT that does not parse", file(&WIT.replace("func(n", "fnc(n"))?),
        ("WIT with an unknown type", file(&WIT.replace("u32, error", "u32, eror"))?),
        (
            "WIT of a package that is not there",
            file(&WIT.replace("times:", "use t:money/money@0.1.0.{amount};\n    times:"))?,
        ),
        ("WIT with a function that the component lacks", file(&WIT.replace("times:", "halve: func();\n    times:"))?),
        ("WIT without a function of the component", file(&WIT.replace("times:", "multiply:"))?),
        ("WIT with another type", file(&WIT.replace("n: u32", "n: u64"))?),
    ])
}

/// `numbers` with a record of its build from these files in `src`.
fn built(migrations: &[(&str, &str)]) -> Result<System> {
    let system = System::new().context("numbers", &stored(&[TABLE])?, &format!("store = true\n{BUILD}"))?;
    let mut system = with_file(system, "src/lib.rs", "// numbers")?;
    for (file, text) in migrations {
        system = with_file(system, &format!("src/migrations/{file}"), text)?;
    }
    let manifest = seam::manifest::Manifest::load(&system.write()?)?;
    seam::build::run(&manifest, &[], &Default::default(), &mut |_| {})?;
    Ok(system)
}

fn sources() -> Result<Systems> {
    let first = ("0001-t.sql", TABLE);
    let gone = built(&[first])?;
    std::fs::remove_file(gone.folder.path().join("src/migrations/0001-t.sql"))?;
    Ok(vec![
        ("a source that has changed", with_file(built(&[first])?, "src/lib.rs", "// other numbers")?),
        ("a source that is new", with_file(built(&[first])?, "src/new.rs", "")?),
        ("a source that is gone", gone),
        ("a migration that came after the build", with_file(built(&[first])?, "src/migrations/0002-u.sql", MORE)?),
        ("a migration that the build has left out", built(&[first, ("0002-u.sql", MORE)])?),
        ("a migration with another text", built(&[("0001-t.sql", MORE)])?),
        ("a migration without number", built(&[first, ("more.sql", MORE)])?),
        ("a migration after a gap", built(&[first, ("0003-u.sql", MORE)])?),
    ])
}

/// Systems without a mistake.
pub fn sound() -> Result<Systems> {
    let scenario = "[[scenario]]\nname = \"a\"\nwhen = [{ call = 'numbers.times(2)', then = 'ok(4)' }]\n";
    let clock = System::new().context("numbers", &with_clock(2)?, "capabilities = [\"clocks\"]")?;
    Ok(vec![
        ("one context", numbers("")?),
        ("with a clock", clock),
        ("with a store", System::new().context("numbers", &stored(&[TABLE, MORE])?, "store = true")?),
        ("built, with its migration", built(&[("0001-t.sql", TABLE)])?),
        ("with its WIT", with_file(numbers("")?, "wit/numbers/numbers.wit", WIT)?),
        ("with a scenario", with_file(numbers("scenarios = \"scenarios\"")?, "scenarios/a.toml", scenario)?),
        ("with a seed", with_file(loads()?.lines(&seed("numbers.load", "rows.jsonl")), "rows.jsonl", "1\n2\n")?),
        (
            "two contexts and a mount",
            System::new()
                .context("numbers", &Version::default().wasm()?, "")?
                .context("page", &page()?, PAGE)?
                .lines("[[mount]]\npath = \"/\"\ncontext = \"page\""),
        ),
    ])
}
