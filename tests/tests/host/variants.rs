//! A context with variants: weights, the visitor and the tester's header decide which one answers, and nothing else.

use std::process::Output;
use std::time::{Duration, Instant};

use anyhow::Result;
use seam_runtime::call::{Affinity, Call};
use seam_runtime::route::RouteRejected;
use seam_runtime::serve::Registry;
use seam_store::ids::Trace;
use seam_tests::host::{Host, seam};
use seam_tests::variants::{asking, front, numbers, numbers_with};
use seam_tests::{MEMORY, System, call, component};
use wasmtime::component::Val;

const IMPORTS: &str = r#"imports = ["t:numbers/numbers"]"#;

/// `numbers` in three variants, of which `one` is the main one, and `asking`, which calls it.
fn system() -> Result<System> {
    System::new()
        .context("numbers", &numbers(1)?, r#"main_variant = "one""#)?
        .variant("numbers", "two", Some(&numbers(2)?), "")?
        .variant("numbers", "three", Some(&numbers(3)?), "")?
        .context("asking", &asking()?, IMPORTS)
}

fn started(system: &System) -> Result<Registry> {
    system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))
}

fn route(registry: &Registry, changes: &str) -> Result<(), RouteRejected> {
    let changes: Vec<String> = changes.split_whitespace().map(ToOwned::to_owned).collect();
    registry.route("numbers", &changes).map(drop)
}

/// The factor of the variant that a visitor's call of `numbers` through `asking` reaches.
fn reached(registry: &Registry, visitor: &str) -> u32 {
    let live = registry.live_for("asking", Affinity::by(visitor.as_bytes()), std::iter::empty(), None).unwrap();
    let call = Call::start(Instant::now() + Duration::from_secs(5), Trace::start());
    match live.call(call, live.generation().exports().first().unwrap(), &[Val::U32(1)]).unwrap().remove(0) {
        Val::Result(Ok(Some(factor))) => match *factor {
            Val::U32(factor) => factor,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

const VISITORS: u32 = 4_000;

fn visitors(registry: &Registry) -> Vec<u32> {
    (0..VISITORS).map(|i| reached(registry, &format!("visitor-{i}"))).collect()
}

#[test]
fn weights_hold_and_a_visitor_keeps_the_variant() -> Result<()> {
    let system = system()?;
    let registry = started(&system)?;
    assert!(visitors(&registry).iter().all(|factor| *factor == 1), "without a route all is the main one's");
    route(&registry, "one=60 two=30 three=10")?;
    let first = visitors(&registry);
    for (factor, share) in [(1, 0.6), (2, 0.3), (3, 0.1)] {
        let count = first.iter().filter(|reached| **reached == factor).count() as f64;
        let n = f64::from(VISITORS);
        // Four standard deviations of as many throws of a die; the visitors are the same in every run.
        assert!((count - n * share).abs() < 4.0 * (n * share * (1.0 - share)).sqrt(), "{factor}: {count} of {n}");
    }
    assert_eq!(visitors(&registry), first);
    route(&registry, "one=50 two=40 three=10")?;
    let moved: Vec<_> = visitors(&registry).into_iter().zip(&first).filter(|(now, then)| now != *then).collect();
    assert!(!moved.is_empty() && moved.iter().all(|pair| *pair == (2, &1)), "only from `one` to `two`");
    Ok(())
}

#[test]
fn a_request_under_way_keeps_the_route_that_it_started_with() -> Result<()> {
    let system = system()?;
    let registry = started(&system)?;
    let before = registry.live("asking")?;
    route(&registry, "three=1")?;
    let call = || Call::start(Instant::now() + Duration::from_secs(5), Trace::start());
    let factor = |n| Val::Result(Ok(Some(Box::new(Val::U32(n)))));
    let export = before.generation().exports().first().unwrap();
    assert_eq!(before.call(call(), export, &[Val::U32(1)])?, [factor(1)]);
    assert_eq!(registry.live("asking")?.call(call(), export, &[Val::U32(1)])?, [factor(3)]);
    Ok(())
}

#[test]
fn a_variant_is_called_by_its_name_and_the_context_by_its_route() -> Result<()> {
    let system = system()?;
    let registry = started(&system)?;
    route(&registry, "two=1")?;
    let ask = |context: &str| call(&registry, context, "numbers.times", &[Val::U32(1)], 5_000);
    for (context, factor) in [("numbers", 2), ("numbers@one", 1), ("numbers@two", 2), ("numbers@three", 3)] {
        assert_eq!(ask(context)?, Val::Result(Ok(Some(Box::new(Val::U32(factor))))), "{context}");
    }
    assert!(ask("numbers@four").is_err());
    Ok(())
}

#[test]
fn what_does_not_fit_its_context_is_left_out_and_named() -> Result<()> {
    let wit = "package t:numbers@0.1.0;
         interface numbers { variant error { unavailable(string) } times: func(n: u32) -> result<u32, error>; }
         world this { export numbers; }";
    let body = r#"(func (export "t:numbers/numbers@0.1.0#times") (param i32) (result i32) unreachable)"#;
    let differs = component(wit, "this", &format!("(module {MEMORY} {body})"))?;
    let system = system()?
        .variant("numbers", "typed", Some(&differs), "")?
        .variant("numbers", "other", Some(&asking()?), "")?
        .variant("numbers", "torn", Some(b"\0asm"), "")?
        .variant("numbers", "missing", None, "")?;
    let registry = started(&system)?;
    assert_eq!(reached(&registry, "ada"), 1);
    let states: Vec<String> =
        registry.routes().remove(0).variants.iter().map(|v| format!("{}: {}", v.name, v.state)).collect();
    let expect = [
        "one: ready",
        "two: ready",
        "three: ready",
        "missing: absent: it is not built",
        "torn: absent: ",
        "typed: absent: `numbers@typed` and `numbers` disagree about the type of `t:numbers/numbers@0.1.0.times`",
        "other: absent: ",
    ];
    for expect in expect {
        assert!(states.iter().any(|state| state.starts_with(expect)), "{expect} in {states:#?}");
    }
    assert_eq!(states.len(), expect.len());
    let refused = route(&registry, "missing=1").unwrap_err();
    assert_eq!(refused.to_string(), "`numbers@missing` is not loaded: it is not built");
    let output = seam(&system.write()?, &["check"])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("`numbers@typed` and `numbers` disagree"), "{said}");
    assert!(said.contains("torn.wasm") && !said.contains("missing"), "{said}");
    Ok(())
}

#[test]
fn imports_through_a_variant_close_a_circle_too() -> Result<()> {
    let wit = "package t:round@0.1.0;
         world this { import t:asking/asking@0.1.0; export t:numbers/numbers@0.1.0; }
         package t:asking@0.1.0 { interface asking {
             variant error { odd(u32), unavailable(string) }
             ask: func(n: u32) -> result<u32, error>;
         } }
         package t:numbers@0.1.0 { interface numbers {
             variant error { odd(u32), unavailable(string) }
             times: func(n: u32) -> result<u32, error>;
         } }";
    let wat = format!(
        r#"(module (import "t:asking/asking@0.1.0" "ask" (func $ask (param i32 i32))) {MEMORY}
            (func (export "t:numbers/numbers@0.1.0#times") (param i32) (result i32)
                (call $ask (local.get 0) (i32.const 64)) (i32.const 64)))"#
    );
    let round = component(wit, "this", &wat)?;
    let system = System::new()
        .context("numbers", &numbers(1)?, r#"imports = ["t:asking/asking"]"#)?
        .variant("numbers", "round", Some(&round), "")?
        .context("asking", &asking()?, IMPORTS)?;
    let problems = system.start()?.err().unwrap_or_default();
    let text: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(text, ["contexts import each other in a circle: asking -> numbers@round -> asking"]);
    Ok(())
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_route_is_set_live_and_lasts_and_testers_choose_for_themselves() -> Result<()> {
    let system = System::new()
        .lines("[http]\nrouting_key = [\"cookie:visitor\"]\nforce_variants = true")
        .lines("[[mount]]\npath = \"/\"\ncontext = \"front\"")
        .context("numbers", &numbers(1)?, r#"main_variant = "one""#)?
        .variant("numbers", "two", Some(&numbers(2)?), "")?
        .variant("numbers", "late", None, "")?
        .context("front", &front('a')?, IMPORTS)?
        .variant("front", "new", Some(&front('b')?), "")?;
    let manifest = system.write()?;
    let data = system.folder.path().join("data");
    let route = |args: &[&str]| seam(&manifest, &[&["route"], args].concat());
    let host = Host::up(&manifest, &data)?;
    let page = |host: &Host, headers: &[(&str, &str)]| Ok::<_, anyhow::Error>(host.get_with("/", headers)?.text());
    assert_eq!(page(&host, &[])?, "a11");
    assert_eq!(page(&host, &[("x-seam-variant", "numbers=two")])?, "a22");
    assert_eq!(page(&host, &[("x-seam-variant", "numbers=two, front=new")])?, "b22");
    assert_eq!(page(&host, &[("cookie", "seam-variant=front=new")])?, "b11");
    assert_eq!(page(&host, &[("x-seam-variant", "numbers=missing")])?, "a11");

    let set = route(&["numbers", "one=1", "two=1"])?;
    assert!(set.status.success(), "{}", said(&set));
    let expect = "CONTEXT  VARIANT  WEIGHT  SHARE  STATE\n\
                  numbers  one           1   50 %  ready\n\
                  numbers  two           1   50 %  ready\n\
                  numbers  late          0      -  absent: it is not built\n";
    assert_eq!(String::from_utf8_lossy(&set.stdout), expect);
    let seen: Vec<String> =
        (0..40).map(|i| page(&host, &[("cookie", &format!("visitor=v{i}"))])).collect::<Result<_>>()?;
    assert!(seen.contains(&"a11".to_owned()) && seen.contains(&"a22".to_owned()), "{seen:?}");
    for (i, seen) in seen.iter().enumerate() {
        assert_eq!(page(&host, &[("cookie", &format!("other=1; visitor=v{i}"))])?, *seen, "a visitor stays");
    }
    for (args, message, hint) in [
        (&["numbers", "tow=1"][..], "`numbers` has no variant `tow`", "did you mean `two`?"),
        (&["number", "two=1"], "there is no context `number`", "did you mean `numbers`?"),
        (&["numbers", "late=1"], "`numbers@late` is not loaded: it is not built", "seam build numbers@late"),
    ] {
        let refused = route(args)?;
        assert!(!refused.status.success());
        assert!(said(&refused).contains(message) && said(&refused).contains(hint), "{}", said(&refused));
    }
    // However it ends.
    host.kill()?;
    let host = Host::up(&manifest, &data)?;
    for (i, seen) in seen.iter().enumerate() {
        assert_eq!(page(&host, &[("cookie", &format!("visitor=v{i}"))])?, *seen, "after a restart too");
    }
    assert!(host.stop(Duration::from_secs(10))?.success());

    // Without a host: shares can be given up at once, new ones have to wait.
    let refused = route(&["front", "new=1"])?;
    assert!(said(&refused).contains("hint: start the host, then set the route"), "{}", said(&refused));
    let host = Host::up(&manifest, &data)?;
    for (i, seen) in seen.iter().enumerate() {
        assert_eq!(page(&host, &[("cookie", &format!("visitor=v{i}"))])?, *seen, "after a restart too");
    }
    assert!(host.stop(Duration::from_secs(10))?.success());

    // Who has a share is missed.
    std::fs::remove_file(system.folder.path().join("numbers-two.wasm"))?;
    let refused = seam(&manifest, &["up"])?;
    assert!(!refused.status.success());
    assert!(
        said(&refused).contains("`numbers@two` has a share of the calls, and it is not built"),
        "{}",
        said(&refused)
    );
    assert!(route(&["numbers", "one=1"])?.status.success());
    let host = Host::up(&manifest, &data)?;
    assert_eq!(page(&host, &[])?, "a11");
    assert!(host.stop(Duration::from_secs(10))?.success());
    Ok(())
}

#[test]
fn one_browser_gets_one_variant_from_its_first_page_on() -> Result<()> {
    let system = System::new()
        .lines("[http]\nrouting_key = [\"cookie:visitor\"]")
        .lines("[[mount]]\npath = \"/\"\ncontext = \"front\"")
        .context("numbers", &numbers(1)?, r#"main_variant = "one""#)?
        .variant("numbers", "two", Some(&numbers(2)?), "")?
        .context("front", &front('a')?, IMPORTS)?;
    let manifest = system.write()?;
    let host = Host::up(&manifest, &system.folder.path().join("data"))?;
    assert_eq!(host.get("/")?.header("set-cookie"), None, "all visitors get the same variant");
    assert!(seam(&manifest, &["route", "numbers", "one=1", "two=1"])?.status.success());
    let mut seen = [0_u32; 2];
    for _ in 0..60 {
        let first = host.get("/")?;
        assert_eq!(first.header("cache-control"), Some("private"));
        let (key, attributes) = first.header("set-cookie").and_then(|cookie| cookie.split_once("; ")).unwrap();
        assert!(key.starts_with("seam-visitor=") && attributes.contains("HttpOnly; SameSite=Lax"), "{attributes}");
        // As the browser goes on, and after it has signed in.
        for cookies in [key.to_owned(), format!("visitor=ada; {key}")] {
            let next = host.get_with("/", &[("cookie", &cookies)])?;
            assert_eq!((next.text(), next.header("set-cookie")), (first.text(), None), "{cookies}");
        }
        seen[usize::from(first.text() == "a22")] += 1;
    }
    // Fails once in 10^9 runs: five standard deviations of as many throws of a coin.
    assert!(seen[0].abs_diff(30) < 20, "{seen:?}");
    assert_eq!(host.get_with("/", &[("cookie", "visitor=ada")])?.header("set-cookie"), None);
    assert!(host.stop(Duration::from_secs(10))?.success());
    Ok(())
}

#[test]
fn clients_choose_a_variant_only_where_the_manifest_lets_them() -> Result<()> {
    let system = System::new()
        .lines("[[mount]]\npath = \"/\"\ncontext = \"front\"")
        .context("numbers", &numbers(1)?, "")?
        .variant("numbers", "two", Some(&numbers(2)?), "")?
        .context("front", &front('a')?, IMPORTS)?;
    let host = Host::up(&system.write()?, &system.folder.path().join("data"))?;
    assert_eq!(host.get_with("/", &[("x-seam-variant", "numbers=two")])?.text(), "a11");
    assert!(host.stop(Duration::from_secs(10))?.success());
    Ok(())
}

#[test]
fn a_variant_that_does_not_start_leaves_the_others_serving() -> Result<()> {
    let wit = "package t:numbers@0.1.0;
         interface numbers { variant error { odd(u32), unavailable(string) } times: func(n: u32) -> result<u32, error>; }
         world this { export numbers; }";
    let body = r#"(func (export "t:numbers/numbers@0.1.0#times") (param i32) (result i32) unreachable)"#;
    let falls = component(wit, "this", &format!("(module {MEMORY} (func $fall unreachable) (start $fall) {body})"))?;
    let system = system()?.variant("numbers", "falls", Some(&falls), "")?.variant(
        "numbers",
        "traps",
        Some(&numbers_with("unreachable")?),
        "",
    )?;
    let registry = started(&system)?;
    let state = |name: &str| registry.routes().remove(0).variants.into_iter().find(|v| v.name == name).unwrap().state;
    assert!(state("falls").to_string().starts_with("absent: `numbers@falls` does not start"), "{}", state("falls"));
    assert_eq!(state("traps").to_string(), "ready");
    assert_eq!(reached(&registry, "ada"), 1);
    Ok(())
}
