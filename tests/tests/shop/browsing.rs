//! People look at records in real browsers while the engine that suggests more of them is another for testers, is
//! exchanged for one in another language, and gets a new version. Pictures of it are in `target/artifacts`.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use seam_tests::browser::{Browser, DESKTOP, PHONE, Window};
use seam_tests::host::{Host, seam};
use seam_tests::shop::Shop;
use seam_tests::{repo, wait};
use serde_json::Value;

/// How many records the page suggests, and how many it asks for.
const BESIDE: usize = 6;
const ASKED: usize = 10;
/// So many album pages are looked at, again and again.
const ALBUMS: usize = 5;

/// The shop with two engines, and albums beside which they suggest other ones, at least half of them.
struct Fixture {
    shop: Shop,
    host: Host,
    albums: Vec<String>,
}

impl Fixture {
    fn new() -> Result<Self> {
        let shop = Shop::with_engines(&["js"])?;
        shop.edit("[http]\n", "[http]\nforce_variants = [\"127.0.0.1\"]\n")?;
        let host = shop.up()?;
        wait::until(wait::TIMEOUT, || {
            let routes = routes(&shop)?;
            let ready = routes[0]["variants"][1]["state"] == "ready";
            Ok(ready
                .then_some(())
                .ok_or_else(|| format!("the engine in JavaScript does not know the shop's orders: {routes}")))
        })?;
        let mut albums = Vec::new();
        for number in 1..=200 {
            let sku = format!("MC-{number:04}");
            let (rust, js) = (suggested(&shop, "rust", &sku)?, suggested(&shop, "js", &sku)?);
            if !rust.is_empty() && !js.is_empty() && rust.iter().filter(|sku| js.contains(sku)).count() <= BESIDE / 2 {
                albums.push(sku);
            }
            if albums.len() == ALBUMS {
                break;
            }
        }
        ensure!(albums.len() == ALBUMS, "the engines agree about nearly everything");
        Ok(Self { shop, host, albums })
    }

    fn page(&self, sku: &str) -> String {
        format!("{}/albums/{sku}", self.host.url)
    }

    /// What an engine suggests beside each of the albums.
    fn all_suggested(&self, engine: &str) -> Result<Vec<Vec<String>>> {
        self.albums.iter().map(|sku| suggested(&self.shop, engine, sku)).collect()
    }
}

fn routes(shop: &Shop) -> Result<Value> {
    Ok(serde_json::from_str(&shop.seam(&["route", "--format", "json"])?)?)
}

/// What an engine suggests beside an album, as the page shows it: without what is sold out or no longer sold.
fn suggested(shop: &Shop, engine: &str, sku: &str) -> Result<Vec<String>> {
    let engine = format!("recommendation@{engine}");
    let skus = |list: &Value, sold: fn(&Value) -> bool| -> Vec<String> {
        let list = list.as_array().into_iter().flatten().filter(|item| sold(item));
        list.filter_map(|item| item["sku"].as_str().map(ToOwned::to_owned)).collect()
    };
    let all = skus(&shop.call(&engine, &format!("engine.suggest([{sku:?}], {ASKED})"))?, |_| true);
    let levels = shop.call("warehouse", &format!("stock.levels({all:?})"))?;
    let mut there = skus(&levels, |level| level["on-hand"] != 0);
    there.truncate(BESIDE + 1);
    let albums = shop.call("catalog", &format!("albums.get-albums({there:?})"))?;
    let mut shown = skus(&albums, |album| album["discontinued"] == false);
    shown.truncate(BESIDE);
    Ok(shown)
}

/// The albums that the page suggests. Fails unless the page is there from its head to its foot.
async fn shown(browser: &Browser, sku: &str) -> Result<Vec<String>> {
    let script = "const d = document;
        return [d.readyState, d.querySelector('main .facts dd:last-of-type') !== null && d.querySelector('footer.foot') !== null,
            location.pathname, [...d.querySelectorAll('section[aria-labelledby=beside] a.sleeve')].map(a => a.pathname.split('/').pop())];";
    let found = browser.client.execute(script, Vec::new()).await?;
    let whole = found[0] == "complete" && found[1] == true && found[2] == format!("/albums/{sku}");
    ensure!(whole, "{sku} is not whole: {found}");
    let beside: Vec<String> = serde_json::from_value(found[3].clone())?;
    ensure!(!beside.is_empty(), "nothing is suggested beside {sku}");
    Ok(beside)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tester_sees_the_other_engines_suggestions_by_a_cookie_and_visitors_do_not() -> Result<()> {
    let fixture = Fixture::new()?;
    let (rust, js) = (fixture.all_suggested("rust")?, fixture.all_suggested("js")?);
    let mut tester = Browser::start(Window { name: "tester", ..DESKTOP }).await?;
    let mut visitor = Browser::start(Window { name: "visitor", ..DESKTOP }).await?;
    tester.open(&fixture.host.url).await?;
    // As he does it himself, in the browser's console.
    tester.client.execute("document.cookie = 'seam-variant=recommendation=js; path=/';", Vec::new()).await?;
    for (at, sku) in fixture.albums.iter().enumerate() {
        tester.open(&fixture.page(sku)).await?;
        visitor.open(&fixture.page(sku)).await?;
        ensure!(shown(&tester, sku).await? == js[at], "{sku} for the tester");
        ensure!(shown(&visitor, sku).await? == rust[at], "{sku} for the visitor");
    }
    tester.look("album").await?;
    visitor.look("album").await?;
    // A tester who ends the test is a visitor again, though the browser has kept the page from before.
    tester.client.delete_cookie("seam-variant").await?;
    let last = fixture.albums.len() - 1;
    tester.open(&fixture.page(&fixture.albums[last])).await?;
    ensure!(shown(&tester, &fixture.albums[last]).await? == rust[last]);
    tester.look("album-as-everybody").await?;
    Ok(())
}

/// Changes the system by `seam ARGS` while a person goes from page to page, and on until the change is done and each
/// album was seen once more. Returns what was suggested beside which album, by its number, and whether the change was
/// done before the page was asked for.
async fn browse_during(fixture: &Fixture, person: &Browser, args: &[&str]) -> Result<Vec<(usize, Vec<String>, bool)>> {
    let (manifest, args) = (fixture.shop.manifest(), args.iter().map(ToString::to_string).collect::<Vec<_>>());
    let mut change = None;
    let mut seen = Vec::new();
    let mut after = 0;
    for round in 0.. {
        let at = round % ALBUMS;
        // Not before the person has started.
        if round == ALBUMS {
            let (manifest, args) = (manifest.clone(), args.clone());
            change = Some(tokio::task::spawn_blocking(move || {
                seam(&manifest, &args.iter().map(String::as_str).collect::<Vec<_>>())
            }));
        }
        let done = round > ALBUMS && change.as_ref().is_some_and(tokio::task::JoinHandle::is_finished);
        after += usize::from(done);
        person.open(&fixture.page(&fixture.albums[at])).await?;
        let beside = shown(person, &fixture.albums[at]).await?;
        // And on to the first one that is suggested, as people do.
        person.go("section[aria-labelledby=beside] a.sleeve", &format!("/albums/{}", beside[0]), "footer.foot").await?;
        seen.push((at, beside, done));
        if after == ALBUMS {
            break;
        }
        ensure!(round < 2_000, "`seam {args:?}` never ends");
    }
    let output = change.context("it was started")?.await??;
    ensure!(output.status.success(), "seam {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(seen)
}

/// Each page is of the one or of the other, once the change is done of the other.
fn from_one_to_the_other(
    seen: &[(usize, Vec<String>, bool)],
    one: &[Vec<String>],
    other: &[Vec<String>],
) -> Result<()> {
    for (at, beside, done) in seen {
        let fits = *beside == other[*at] || !done && *beside == one[*at];
        ensure!(fits, "{beside:?}, done: {done}, neither {:?} nor {:?}", one[*at], other[*at]);
    }
    let before = seen.iter().take_while(|(_, _, done)| !done);
    ensure!(before.clone().any(|(at, beside, _)| *beside == one[*at]), "the person had started before");
    ensure!(one.iter().zip(other).any(|(one, other)| one != other), "the two engines suggest the same");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_is_exchanged_for_one_in_another_language_while_a_person_browses() -> Result<()> {
    let fixture = Fixture::new()?;
    let (rust, js) = (fixture.all_suggested("rust")?, fixture.all_suggested("js")?);
    let mut person = Browser::start(Window { name: "rerouted", ..PHONE }).await?;
    person.open(&fixture.page(&fixture.albums[0])).await?;
    person.look("engine-in-rust").await?;
    let seen = browse_during(&fixture, &person, &["route", "recommendation", "js=1", "rust=0"]).await?;
    from_one_to_the_other(&seen, &rust, &js)?;
    person.open(&fixture.page(&fixture.albums[0])).await?;
    person.look("engine-in-javascript").await?;
    let seen = browse_during(&fixture, &person, &["route", "recommendation", "rust=1", "js=0"]).await?;
    from_one_to_the_other(&seen, &js, &rust)
}

/// The engine in Rust with a change: it confuses how often two records were bought together with how often one was
/// bought at all, so that it suggests the bestsellers among them.
fn for_bestsellers(fixture: &Fixture) -> Result<PathBuf> {
    let mut wasm = std::fs::read(repo().join("target/components/recommendation.wasm"))?;
    let (from, to) = (b"near.together, item.purchases", b"item.purchases, near.together");
    let at = wasm.windows(from.len()).position(|words| words == from).context("the engine's query for neighbours")?;
    wasm[at..at + to.len()].copy_from_slice(to);
    let file = fixture.shop.folder.path().join("bestsellers.wasm");
    std::fs::write(&file, wasm)?;
    Ok(file)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_of_the_engine_is_deployed_while_a_person_browses() -> Result<()> {
    let fixture = Fixture::new()?;
    let file = for_bestsellers(&fixture)?;
    let mut person = Browser::start(Window { name: "redeployed", ..DESKTOP }).await?;
    let before = fixture.all_suggested("rust")?;
    person.open(&fixture.page(&fixture.albums[0])).await?;
    person.look("before").await?;
    let deploy = ["deploy", "recommendation", &file.to_string_lossy(), "--watch", "2000"];
    let seen = browse_during(&fixture, &person, &deploy).await?;
    let after = fixture.all_suggested("rust")?;
    from_one_to_the_other(&seen, &before, &after)?;
    person.open(&fixture.page(&fixture.albums[0])).await?;
    person.look("after").await?;
    // Back, and the person sees it.
    let seen = browse_during(&fixture, &person, &["rollback", "recommendation"]).await?;
    from_one_to_the_other(&seen, &after, &before)
}
