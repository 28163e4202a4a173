//! A context that attacks the one beside it, on one origin and on its own, through the real binary.

use anyhow::Result;
use seam_tests::host::{Host, Response, seam};
use seam_tests::{MEMORY, System, component};

/// What a context answers that wants the session of another, and all of its origin.
const HEADERS: [(&str, &str); 4] = [
    ("set-cookie", "session=evil; Path=/; Domain=shop.example"),
    ("set-cookie", "raw=1; Path=/"),
    ("clear-site-data", "\"*\""),
    ("strict-transport-security", "max-age=31536000; includeSubDomains"),
];

/// A context that answers every request with `text` and these headers.
fn answering(text: &str, headers: &[(&str, &str)]) -> Result<Vec<u8>> {
    let wit = "package t:answering; world this { export seam:host/http-handler@0.1.0; }";
    let (mut data, mut fields, mut at) = (String::new(), String::new(), 1024);
    let mut put = |text: &str| {
        let place = at;
        data += &format!("(data (i32.const {place}) \"{}\")\n", text.replace('"', "\\22"));
        at += text.len();
        place
    };
    for (number, (name, value)) in headers.iter().enumerate() {
        for (word, value) in [put(name), name.len(), put(value), value.len()].into_iter().enumerate() {
            let place = 256 + 16 * number + 4 * word;
            fields += &format!("(i32.store (i32.const {place}) (i32.const {value}))\n");
        }
    }
    let (body, count) = (put(text), headers.len());
    let wat = format!(
        r#"(module {MEMORY} {data}
            (func (export "seam:host/http-handler@0.1.0#handle")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
                (global.set $top (i32.const 4096))
                {fields}
                (i32.store16 (i32.const 128) (i32.const 200))
                (i32.store (i32.const 132) (i32.const 256)) (i32.store (i32.const 136) (i32.const {count}))
                (i32.store (i32.const 140) (i32.const {body})) (i32.store (i32.const 144) (i32.const {length}))
                (i32.const 128)))"#,
        length = text.len()
    );
    component(wit, "this", &wat)
}

fn system(raw: &str) -> Result<System> {
    System::new()
        .context("shop", &answering("shop", &[("set-cookie", "session=1; HttpOnly; Path=/")])?, "")?
        .context("raw", &answering("raw", &HEADERS)?, "")
        .map(|system| {
            system
                .lines("[[mount]]\npath = \"/\"\ncontext = \"shop\"\ncookies = [\"session\"]")
                .lines(&format!("[[mount]]\ncontext = \"raw\"\n{raw}"))
        })
}

fn fields<'r>(response: &'r Response, name: &str) -> Vec<&'r str> {
    response.headers.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_str()).collect()
}

#[test]
fn a_context_on_anothers_origin_sets_nothing_of_it_and_the_operator_learns_that_they_share_it() -> Result<()> {
    let system = system("path = \"/raw\"")?;
    let manifest = system.write()?;
    let checked = seam(&manifest, &["check"])?;
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && said.matches("share an origin").count() == 1, "{said}");
    let host = Host::up(&manifest, &system.folder.path().join("data"))?;
    let raw = host.get("/raw/x")?;
    assert_eq!((raw.text().as_str(), fields(&raw, "set-cookie")), ("raw", vec![]));
    assert!(fields(&raw, "clear-site-data").is_empty() && fields(&raw, "strict-transport-security").is_empty());
    host.log_line(&["sets what its mount may not set", "raw", "clear-site-data"])?;
    let shop = host.get("/")?;
    assert_eq!((shop.text().as_str(), fields(&shop, "set-cookie")), ("shop", vec!["session=1; HttpOnly; Path=/"]));
    Ok(())
}

#[test]
fn a_context_with_a_host_of_its_own_reaches_no_other() -> Result<()> {
    let system = system("path = \"/\"\nhost = \"raw.shop.example\"")?;
    let manifest = system.write()?;
    let checked = seam(&manifest, &["check"])?;
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && !said.contains("origin"), "{said}");
    let host = Host::up(&manifest, &system.folder.path().join("data"))?;
    let raw = host.get_with("/x", &[("host", "raw.shop.example")])?;
    assert_eq!(raw.text(), "raw");
    assert_eq!(fields(&raw, "set-cookie"), ["session=evil; Path=/", "raw=1; Path=/"], "for its own host alone");
    assert_eq!(fields(&raw, "clear-site-data"), ["\"*\""]);
    assert!(fields(&raw, "strict-transport-security").is_empty());
    for name in ["shop.example", "localhost"] {
        assert_eq!(host.get_with("/raw", &[("host", name)])?.text(), "shop", "{name}");
    }
    Ok(())
}
