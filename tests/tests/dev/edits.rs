//! `seam dev` on a real workspace: what is saved goes live, and errors are shown while the version before serves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seam_tests::browser::{Browser, DESKTOP, Window};
use seam_tests::events::Events;
use seam_tests::host::Host;
use seam_tests::workspace::Workspace;
use serde_json::{Value, json};

fn page(host: &Host) -> Result<String> {
    let answer = host.get("/")?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(answer.text())
}

/// Everything that a problem says, in one text.
fn told(state: &Value) -> String {
    state["problems"].to_string()
}

#[test]
fn a_saved_line_goes_live_a_wrong_one_is_reported_and_a_mended_one_goes_live() -> Result<()> {
    let workspace = Workspace::new("saved")?;
    let host = workspace.dev()?;
    let mut events = Events::of(&host.url)?;
    ensure!(page(&host)?.contains("<h1>Good day, you</h1>"));
    workspace.edit("greeter/src/lib.rs", "Good day", "Good evening")?;
    let state = events.live()?;
    ensure!(page(&host)?.contains("<h1>Good evening, you</h1>"));
    ensure!(state["last"]["live"] == json!(["greeter"]) && state["last"]["rebuilt"] == json!(["greeter"]), "{state:#}");
    ensure!(state["problems"] == json!([]), "{state:#}");

    workspace.edit("greeter/src/lib.rs", "Ok(format!(\"Good evening, {name}\"))", "Ok(7)")?;
    let state = events.failed()?;
    let problem = &state["problems"][0];
    ensure!(problem["context"] == "greeter" && problem["message"] == "mismatched types", "{state:#}");
    ensure!(problem["place"] == "greeter/src/lib.rs:11:12", "{state:#}");
    ensure!(
        problem["text"].as_str().is_some_and(|text| text.contains("Ok(7)") && !text.contains('\u{1b}')),
        "{state:#}"
    );
    ensure!(page(&host)?.contains("<h1>Good evening, you</h1>"), "the version before serves on");

    workspace.edit("greeter/src/lib.rs", "Ok(7)", "Ok(format!(\"Good night, {name}\"))")?;
    let state = events.live()?;
    ensure!(state["problems"] == json!([]), "{state:#}");
    ensure!(page(&host)?.contains("<h1>Good night, you</h1>"));

    // Back to what serves: nothing new goes live, and nothing is wrong.
    workspace.edit("greeter/src/lib.rs", "Ok(format!", "Ok(8); Ok(format!")?;
    events.failed()?;
    workspace.edit("greeter/src/lib.rs", "Ok(8); ", "")?;
    let version = events.latest["version"].clone();
    let state = events.until(|state| state["problems"] == json!([]) && state["building"] == json!([]))?;
    ensure!(state["version"] == version, "{state:#}");
    Ok(())
}

#[test]
fn a_panic_is_logged_with_its_message_its_place_and_the_functions_that_were_running() -> Result<()> {
    let workspace = Workspace::new("panics")?;
    let host = workspace.dev()?;
    let mut events = Events::of(&host.url)?;
    // A context that uses nothing of the SDK but `context!`.
    workspace.edit(
        "greeter/src/lib.rs",
        "impl Guest",
        "fn fourth(name: &str) -> char {\n    name.chars().nth(3).expect(\"a fourth letter\")\n}\n\nimpl Guest",
    )?;
    workspace.edit("greeter/src/lib.rs", "Ok(format!(\"Good day, {name}\"))", "Ok(fourth(&name).to_string())")?;
    events.live()?;
    page(&host)?;
    host.log_line(&["a fourth letter", "greeter/src/lib.rs:10:"])?;
    host.log_line(&["ERROR", "unreachable", "frames", "Guest>::greet"])?;
    // The open pages show it until a new version is live.
    let state = events.until(|state| state["traps"] != json!([]))?;
    let trap = state["traps"][0].to_string();
    for said in
        ["greeter", "it trapped", "greeter/src/lib.rs:10:", "a fourth letter", "Guest>::greet", "seam logs --trace"]
    {
        ensure!(trap.contains(said), "{said}: {trap}");
    }
    workspace.edit("greeter/src/lib.rs", "nth(3)", "nth(0)")?;
    let state = events.live()?;
    ensure!(state["traps"] == json!([]), "{state:#}");
    Ok(())
}

#[test]
fn a_changed_interface_names_the_caller_that_it_breaks_and_goes_live_with_it() -> Result<()> {
    let workspace = Workspace::new("interface")?;
    let host = workspace.dev()?;
    let mut events = Events::of(&host.url)?;
    workspace.edit("wit/greeter/greeting.wit", "greet: func(name: string)", "greet: func(name: string, loud: bool)")?;
    workspace.edit("greeter/src/lib.rs", "greet(name: String)", "greet(name: String, _loud: bool)")?;
    let state = events.until(|state| {
        told(state).contains("page/src/lib.rs")
            && told(state).contains("disagree about the type")
            && told(state).contains(r#""step":"wit""#)
            && state["building"] == json!([])
    })?;
    ensure!(!told(&state).contains("greeter/src/lib.rs"), "{state:#}");
    ensure!(page(&host)?.contains("Good day, you"));
    workspace.edit("page/src/lib.rs", "greet(\"you\")", "greet(\"both\", true)")?;
    let state = events.live()?;
    ensure!(state["last"]["live"] == json!(["greeter", "page"]), "{state:#}");
    // It notes what a deploy would refuse.
    ensure!(
        state["last"]["steps"]
            .to_string()
            .contains("greeter: it changes the type of `demo:greeter/greeting@0.1.0.greet`"),
        "{state:#}"
    );
    ensure!(state["problems"] == json!([]), "{state:#}");
    ensure!(page(&host)?.contains("Good day, both"));
    Ok(())
}

#[test]
fn the_manifest_and_static_files_are_live_too() -> Result<()> {
    let workspace = Workspace::new("manifest")?;
    let host = workspace.dev()?;
    let mut events = Events::of(&host.url)?;
    let css = host.get("/assets/page.css")?;
    ensure!(css.header("cache-control") == Some("no-cache") && css.text().contains("rgb(1, 2, 3)"), "{css:?}");
    workspace.edit("assets/page.css", "rgb(1, 2, 3)", "rgb(4, 5, 6)")?;
    events.live()?;
    ensure!(host.get("/assets/page.css")?.text().contains("rgb(4, 5, 6)"));

    workspace.edit("seam.toml", "green", "blue")?;
    let state = events.live()?;
    ensure!(state["last"]["live"] == json!(["page"]) && state["last"]["rebuilt"] == json!([]), "{state:#}");
    ensure!(page(&host)?.contains("<p id=\"colour\">blue</p>"));

    workspace.edit("seam.toml", "imports =", "import =")?;
    let state = events.failed()?;
    ensure!(state["problems"][0]["place"] == "seam.toml:10:1", "{state:#}");
    ensure!(told(&state).contains("imports"), "{state:#}");
    ensure!(page(&host)?.contains("<p id=\"colour\">blue</p>"));

    // Another place for the page, and something that only a start can change.
    let mounts = workspace.manifest().replace("path = \"/\"", "path = \"/there\"");
    workspace.write("seam.toml", &format!("{mounts}\n[http]\nidle_ms = 1000\n"))?;
    let state = events.live()?;
    ensure!(
        state["problems"] == json!([]) && state["notes"][0]["message"].as_str().unwrap().contains("[http]"),
        "{state:#}"
    );
    ensure!(host.get("/")?.status == 404);
    ensure!(host.get("/there")?.text().contains("<p id=\"colour\">green</p>"));

    // A context more, and one less.
    let more = workspace.manifest().replace(
        "[context.page]",
        "[context.other]\nbuild = { cargo = \"page-manifest\" }\nimports = [\"demo:greeter/greeting\"]\n\n[context.page]",
    );
    workspace.write("seam.toml", &more.replace("context = \"page\"", "context = \"other\""))?;
    let state = events.live()?;
    ensure!(state["last"]["live"].as_array().unwrap().contains(&json!("other")), "{state:#}");
    ensure!(page(&host)?.contains("<p id=\"colour\"></p>"));
    workspace.write("seam.toml", &workspace.manifest())?;
    events.live()?;
    ensure!(page(&host)?.contains("<p id=\"colour\">green</p>"));
    Ok(())
}

#[test]
fn a_variant_that_was_never_built_is_left_alone() -> Result<()> {
    let workspace = Workspace::new("variant")?;
    let variant = "component = \"other.wasm\"\nbuild = { command = \"false\", sources = [\"greeter\"] }\n";
    workspace.write("seam.toml", &format!("{}\n[context.greeter.variant.other]\n{variant}", workspace.manifest()))?;
    let host = workspace.dev()?;
    let mut events = Events::of(&host.url)?;
    // One of its sources, and one of another context.
    for (file, from, live) in
        [("greeter/src/lib.rs", "Good day", "greeter"), ("page/src/lib.rs", "<title>Page", "page")]
    {
        workspace.edit(file, from, "<title>Other")?;
        let state = events.live()?;
        ensure!(state["last"]["live"] == json!([live]) && state["problems"] == json!([]), "{state:#}");
    }
    Ok(())
}

#[test]
fn no_request_is_lost_during_edits() -> Result<()> {
    let workspace = Workspace::new("load")?;
    let host = Arc::new(workspace.dev()?);
    let mut events = Events::of(&host.url)?;
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (host, stop, asked) = (host.clone(), stop.clone(), asked.clone());
            std::thread::spawn(move || -> Result<()> {
                while !stop.load(Relaxed) {
                    let answer = host.get("/")?;
                    let whole = answer.text().contains("Number ") || answer.text().contains("Good day");
                    ensure!(answer.status == 200 && whole, "{answer:?}");
                    asked.fetch_add(1, Relaxed);
                }
                Ok(())
            })
        })
        .collect();
    for number in 0..5 {
        let before = if number == 0 { "Good day".to_owned() } else { format!("Number {}", number - 1) };
        workspace.edit("greeter/src/lib.rs", &before, &format!("Number {number}"))?;
        events.live()?;
        ensure!(page(&host)?.contains(&format!("Number {number}")));
    }
    stop.store(true, Relaxed);
    for thread in load {
        thread.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
    }
    ensure!(asked.load(Relaxed) > 50, "only {} requests", asked.load(Relaxed));
    Ok(())
}

#[test]
fn without_seam_dev_pages_have_no_development_script() -> Result<()> {
    let workspace = Workspace::new("without")?;
    drop(workspace.dev()?);
    // The same components, served as a system is served.
    let built = workspace
        .manifest()
        .replace(
            "build = { cargo = \"greeter-without\" }",
            "component = \"target/components/dev/greeter-without.wasm\"",
        )
        .replace("build = { cargo = \"page-without\" }", "component = \"target/components/dev/page-without.wasm\"");
    workspace.write("seam.toml", &built)?;
    let host = Host::up(&workspace.path("seam.toml"), &workspace.path("run"))?;
    let answer = host.get("/")?;
    ensure!(answer.status == 200 && !answer.text().contains("_seam"), "{answer:?}");
    ensure!(
        answer.header("etag").is_some()
            && answer.header("content-security-policy").unwrap().ends_with("form-action 'self'")
    );
    for path in ["/_seam/dev.js", "/_seam/events"] {
        ensure!(host.get(path)?.text().contains("<h1>"), "{path} belongs to the context that is mounted there");
    }
    Ok(())
}

/// What the overlay says; empty while there is none.
async fn overlay(browser: &Browser) -> Result<String> {
    let script = "return document.querySelector('seam-dev')?.shadowRoot.textContent ?? '';";
    Ok(browser.client.execute(script, Vec::new()).await?.as_str().unwrap_or_default().to_owned())
}

async fn until(browser: &Browser, like: impl Fn(&str) -> bool) -> Result<String> {
    let mut last = String::new();
    for _ in 0..1_200 {
        // A page that is just being left has no answer.
        last = overlay(browser).await.unwrap_or(last);
        if like(&last) {
            return Ok(last);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("the overlay says `{last}`")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_what_is_wrong_and_loads_what_is_live() -> Result<()> {
    let workspace = Workspace::new("browser")?;
    let host = tokio::task::block_in_place(|| workspace.dev())?;
    let mut browser = Browser::start(Window { name: "dev", ..DESKTOP }).await?;
    browser.open(&host.url).await?;
    browser.says("Good day, you").await?;
    workspace.edit("greeter/src/lib.rs", "Good day", "Good evening")?;
    browser.says("Good evening, you").await.context("the page reloads itself")?;

    workspace.edit("greeter/src/lib.rs", "Ok(format!", "Ok(7); Ok(format!")?;
    let text = until(&browser, |text| text.contains("greeter/src/lib.rs")).await?;
    ensure!(text.contains("greeter: ") && text.contains("is not live"), "{text}");
    browser.look("overlay").await?;
    browser.says("Good evening, you").await?;
    workspace.edit("greeter/src/lib.rs", "Ok(7); Ok(format!(\"Good evening", "Ok(format!(\"Good night")?;
    browser.says("Good night, you").await?;
    until(&browser, str::is_empty).await?;

    // A style sheet, with the same address as before.
    workspace.edit("assets/page.css", "rgb(1, 2, 3)", "rgb(4, 5, 6)")?;
    for _ in 0..200 {
        let script = "return getComputedStyle(document.querySelector('h1')).color;";
        if browser.client.execute(script, Vec::new()).await.is_ok_and(|colour| colour == "rgb(4, 5, 6)") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let colour =
        browser.client.execute("return getComputedStyle(document.querySelector('h1')).color;", Vec::new()).await?;
    ensure!(colour == "rgb(4, 5, 6)", "{colour}");

    // The answer to a form stays: asking for it again would send the form again.
    browser.click("#send").await?;
    browser.says("POST").await?;
    workspace.edit("greeter/src/lib.rs", "Good night", "Good morning")?;
    until(&browser, |text| text.contains("newer version")).await?;
    browser.says("Good night, you").await?;
    Ok(())
}
