//! What a person sees: a real browser walks through the shop, at desktop and at phone width. Screenshots stay in
//! `target/artefacts`.
#![allow(clippy::unwrap_used, reason = "tests")]

use anyhow::{Result, ensure};
use fantoccini::Locator;
use seam_tests::browser::Browser;
use seam_tests::shop::Shop;

/// Search, album, its neighbour, a genre, a page that does not exist.
async fn walk(url: &str, name: &str, width: u32, height: u32) -> Result<()> {
    let browser = Browser::start(width, height).await?;
    let page = &browser.client;
    page.goto(url).await?;
    browser.screenshot(&format!("{name}-1-home")).await?;
    fits(&browser, "home").await?;

    let words = page.find(Locator::Css("input[name=q]")).await?;
    words.send_keys("miles davis\u{e007}").await?;
    page.wait().for_element(Locator::Css("a[href^='/albums/'] img")).await?;
    ensure!(page.current_url().await?.as_str().contains("/search?"), "the search has an address of its own");
    browser.screenshot(&format!("{name}-2-search")).await?;
    fits(&browser, "search").await?;

    press(&browser, "main a[href^='/albums/']").await?;
    page.wait().for_element(Locator::Css("main h1")).await?;
    let text = page.find(Locator::Css("main")).await?.text().await?;
    ensure!(text.contains("Miles Davis"), "the album's page: {text}");
    ensure!(covers_shown(&browser).await?, "every cover is drawn");
    browser.screenshot(&format!("{name}-3-album")).await?;
    fits(&browser, "album").await?;
    let first = page.current_url().await?;
    press(&browser, "main section a[href^='/albums/']").await?;
    page.wait().for_element(Locator::Css("main h1")).await?;
    ensure!(page.current_url().await? != first, "what goes with it leads to another album");

    page.goto(&format!("{url}/browse?genre=Jazz")).await?;
    browser.screenshot(&format!("{name}-4-browse")).await?;
    fits(&browser, "browse").await?;
    page.goto(&format!("{url}/no/such/page")).await?;
    browser.screenshot(&format!("{name}-5-missing")).await?;
    Ok(())
}

/// Brings the first element that `css` selects into view and clicks it.
async fn press(browser: &Browser, css: &str) -> Result<()> {
    let element = browser.client.find(Locator::Css(css)).await?;
    let target = serde_json::to_value(&element)?;
    browser
        .client
        .execute("arguments[0].scrollIntoView({ block: 'center', behavior: 'instant' })", vec![target])
        .await?;
    Ok(element.click().await?)
}

/// Nothing is wider than the window, and the page has a title, a language, a main part and one heading.
async fn fits(browser: &Browser, page: &str) -> Result<()> {
    let script = "const d = document, w = d.documentElement;
        return [w.scrollWidth <= w.clientWidth, d.title !== '', w.lang !== '', d.querySelectorAll('main').length === 1,
                d.querySelectorAll('h1').length === 1, [...d.images].every(i => i.hasAttribute('alt')),
                [...d.querySelectorAll('input:not([type=hidden]), select')].every(i => i.labels.length || i.ariaLabel)];";
    let found = browser.client.execute(script, Vec::new()).await?;
    ensure!(found.as_array().is_some_and(|all| all.iter().all(|one| one == true)), "{page}: {found}");
    Ok(())
}

async fn covers_shown(browser: &Browser) -> Result<bool> {
    let script =
        "return [...document.images].filter(i => i.loading !== 'lazy').every(i => i.complete && i.naturalWidth > 0)
        && document.images.length > 0;";
    for _ in 0..100 {
        if browser.client.execute(script, Vec::new()).await? == true {
            return Ok(true);
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    Ok(false)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_finds_a_record_on_a_desktop_and_on_a_phone() -> Result<()> {
    let shop = Shop::new()?;
    let host = shop.up().unwrap();
    walk(&host.url, "desktop", 1280, 900).await?;
    walk(&host.url, "phone", 390, 844).await?;
    Ok(())
}
