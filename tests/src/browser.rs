//! A real browser, driven over WebDriver: what a person sees, and what the page says to a machine that looks for
//! barriers.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use fantoccini::elements::Element;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};

/// A desktop window gets no narrower than this; phones are emulated.
const WINDOW_WIDTH_MIN: u32 = 500;
/// How long a page may take to come.
const PAGE_MS: u64 = 15_000;
/// Where `seam doctor --for test` puts the library of accessibility checks.
const AXE: &str = ".tools/node_modules/axe-core/axe.min.js";
/// What fails a test: barriers that keep people from using the page. The library's lesser ones are matters of taste.
const BARRIERS: [&str; 2] = ["serious", "critical"];

/// Who looks at the pages, and with what.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Names the screenshots.
    pub name: &'static str,
    /// Of the window, in CSS pixels.
    pub width: u32,
    pub height: u32,
    pub scripts: bool,
}

pub const DESKTOP: Window = Window { name: "desktop", width: 1280, height: 900, scripts: true };
pub const PHONE: Window = Window { name: "phone", width: 390, height: 844, scripts: true };
pub const SCRIPTLESS: Window = Window { name: "scriptless", width: 1280, height: 900, scripts: false };

/// A browser with one window; both processes end with it.
pub struct Browser {
    driver: Child,
    /// The address whose DELETE ends the browser.
    session: String,
    pub client: Client,
    window: Window,
    shots: u32,
    _profile: tempfile::TempDir,
}

/// Starts the driver, and the port on which it listens.
fn driver() -> Result<(Child, String)> {
    // It looks for a free port, and another program may take that before it does.
    const TRIES: u32 = 3;
    for _ in 0..TRIES {
        let mut driver = Command::new("chromedriver")
            .args(["--port=0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("`chromedriver` does not start; `seam doctor --for test` says how to get it")?;
        let stdout = driver.stdout.take().context("its standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        while let Some(Ok(line)) = lines.next() {
            // "ChromeDriver was started successfully on port 12345."
            if let Some((_, port)) = line.split_once("successfully on port ") {
                std::thread::spawn(move || lines.for_each(drop));
                return Ok((driver, port.trim_end_matches('.').to_owned()));
            }
        }
        driver.wait()?;
    }
    bail!("chromedriver ended before it served, {TRIES} times")
}

impl Browser {
    /// Starts it headless.
    ///
    /// # Errors
    /// When no driver or no browser is installed (`seam doctor` says how to get them).
    pub async fn start(window: Window) -> Result<Self> {
        let (driver, port) = driver()?;
        let profile = tempfile::tempdir()?;
        let mut capabilities = serde_json::Map::new();
        capabilities.insert("goog:chromeOptions".into(), options(window, profile.path()));
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .context("a session with the browser")?;
        let id = client.session_id().await?.context("the session has an id")?;
        let session = format!("http://127.0.0.1:{port}/session/{id}");
        Ok(Self { driver, session, client, window, shots: 0, _profile: profile })
    }

    pub async fn open(&self, url: &str) -> Result<()> {
        Ok(self.client.goto(url).await?)
    }

    pub async fn find(&self, css: &str) -> Result<Element> {
        let wait = self.client.wait().at_most(Duration::from_millis(PAGE_MS));
        match wait.for_element(Locator::Css(css)).await {
            Ok(element) => Ok(element),
            Err(error) => bail!("no `{css}` ({error}) on {}", self.described().await),
        }
    }

    pub async fn fill(&self, css: &str, text: &str) -> Result<()> {
        let field = self.find(css).await?;
        field.clear().await?;
        Ok(field.send_keys(text).await?)
    }

    /// Brings the first element that `css` selects into view and clicks it.
    pub async fn click(&self, css: &str) -> Result<()> {
        // A page that still loads may move it away in between; a person would look again.
        const TRIES: u32 = 3;
        let script = "arguments[0].scrollIntoView({ block: 'center', behavior: 'instant' })";
        for left in (0..TRIES).rev() {
            let element = self.find(css).await?;
            self.client.execute(script, vec![serde_json::to_value(&element)?]).await?;
            match element.click().await {
                Err(error) if left > 0 && error.to_string().contains("click intercepted") => {}
                clicked => return clicked.with_context(|| format!("clicking `{css}`")),
            }
        }
        Ok(())
    }

    /// Clicks what leads to a page whose address begins with `path` and which has `css`.
    pub async fn go(&self, click: &str, path: &str, css: &str) -> Result<()> {
        self.click(click).await?;
        self.arrive(path, css).await.with_context(|| format!("after `{click}`"))
    }

    /// Waits for a page whose address begins with `path` and which has `css`.
    pub async fn arrive(&self, path: &str, css: &str) -> Result<()> {
        for _ in 0..PAGE_MS / 50 {
            if self.client.current_url().await?.path().starts_with(path) {
                self.find(css).await?;
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("not at `{path}` but at {}", self.described().await)
    }

    /// Waits until the main part says this, and fails with what it says instead.
    pub async fn says(&self, words: &str) -> Result<()> {
        for _ in 0..PAGE_MS / 50 {
            // A page that is just being left is no longer there to be read.
            let text = self.find("main").await?.text().await.unwrap_or_default();
            if text.contains(words) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("no `{words}` on {}", self.described().await)
    }

    /// Keeps a screenshot of the page, and fails when the page has barriers.
    pub async fn look(&mut self, page: &str) -> Result<()> {
        self.screenshot(page).await?;
        self.fits(page).await?;
        // The library is a script: without any, it is the same pages that are looked at in the other runs.
        if self.window.scripts { self.without_barriers(page).await } else { Ok(()) }
    }

    /// Keeps a picture of the whole page, from top to bottom.
    pub async fn screenshot(&mut self, page: &str) -> Result<()> {
        self.shots += 1;
        let Window { name, width, height, .. } = self.window;
        let whole = Devtools("Page.captureScreenshot", json!({ "captureBeyondViewport": true }));
        let shot = self.client.issue_cmd(whole).await?;
        let png = base64::prelude::BASE64_STANDARD.decode(shot["data"].as_str().context("a picture")?)?;
        let name = format!("{name}-{width}x{height}-{:02}-{page}.png", self.shots);
        Ok(std::fs::write(crate::shop::artifacts()?.join(name), png)?)
    }

    /// Keeps a picture of the page as it is printed, and fails when something that `hidden` selects is on it, or when
    /// nothing that `shown` selects is.
    pub async fn print(&mut self, page: &str, hidden: &str, shown: &str) -> Result<()> {
        let media = |media: &str| Devtools("Emulation.setEmulatedMedia", json!({ "media": media }));
        self.client.issue_cmd(media("print")).await?;
        self.screenshot(&format!("{page}-printed")).await?;
        let script = "return [...document.querySelectorAll(arguments[0])].filter(e => e.checkVisibility()).length";
        let hidden_left = self.client.execute(script, vec![hidden.into()]).await?;
        let shown_left = self.client.execute(script, vec![shown.into()]).await?;
        self.client.issue_cmd(media("")).await?;
        ensure!(hidden_left == 0 && shown_left != 0, "{page}: {hidden_left} of `{hidden}`, {shown_left} of `{shown}`");
        Ok(())
    }

    /// Nothing is wider than the window, and the page has a title, a language, a main part and one heading.
    async fn fits(&self, page: &str) -> Result<()> {
        // What is clipped does not make the page wider, but cannot be read.
        let script = "const d = document, w = d.documentElement;
            const clipped = e => e.getBoundingClientRect().right > w.clientWidth + 1 && !e.closest('.scroll, .facets ul');
            return [w.scrollWidth <= w.clientWidth, d.title !== '', w.lang !== '', d.querySelectorAll('main').length === 1,
                    ![...d.querySelectorAll('main :is(a, h1, h2, button, input, select)')].some(clipped),
                    d.querySelectorAll('h1').length === 1, [...d.images].every(i => i.hasAttribute('alt')),
                    [...d.querySelectorAll('input:not([type=hidden]), select')].every(i => i.labels.length || i.ariaLabel)];";
        let found = self.client.execute(script, Vec::new()).await?;
        ensure!(found.as_array().is_some_and(|all| all.iter().all(|one| one == true)), "{page}: {found}");
        Ok(())
    }

    /// Asks the library of accessibility checks about WCAG 2, levels A and AA.
    async fn without_barriers(&self, page: &str) -> Result<()> {
        let library = std::fs::read_to_string(crate::repo().join(AXE))
            .with_context(|| format!("`{AXE}` is missing; `seam doctor --fix --for test` fetches it"))?;
        ensure!(
            seam::build::doctor::is_accessibility_library(library.as_bytes()),
            "`{AXE}` is another script than the one that the tests know; `seam doctor --fix --for test` fetches that"
        );
        // WebDriver's scripts are the tester's: the page's policy against scripts in its text does not bind them.
        self.client.execute(&library, Vec::new()).await?;
        let script = "const done = arguments[arguments.length - 1];
            axe.run(document, { runOnly: ['wcag2a', 'wcag2aa'], resultTypes: ['violations'] })
                .then(found => done(found.violations), error => done(String(error)));";
        let found = self.client.execute_async(script, Vec::new()).await?;
        let violations = found.as_array().with_context(|| format!("{page}: the library says {found}"))?;
        let barriers: Vec<String> = violations
            .iter()
            .filter(|one| one["impact"].as_str().is_some_and(|impact| BARRIERS.contains(&impact)))
            .map(described)
            .collect();
        ensure!(barriers.is_empty(), "{} ({page}):\n{}", self.client.current_url().await?, barriers.join("\n"));
        Ok(())
    }

    /// Whether the shop's own script has run: it leads to what is wrong with a form.
    pub async fn is_led_to_problems(&self) -> Result<bool> {
        let script = "return document.activeElement?.id === 'problems';";
        Ok(self.client.execute(script, Vec::new()).await? == true)
    }

    /// Waits until what `css` selects shows these words, as a person sees it.
    pub async fn shows(&self, css: &str, words: &str) -> Result<()> {
        let script = "return document.querySelector(arguments[0])?.innerText.trim();";
        self.becomes(script, css, words).await.with_context(|| format!("what `{css}` shows"))
    }

    /// Waits until the focus is on the element with this id.
    pub async fn focuses(&self, id: &str) -> Result<()> {
        self.becomes("return document.activeElement?.id;", "", id).await.context("the focus")
    }

    async fn becomes(&self, script: &str, argument: &str, wanted: &str) -> Result<()> {
        let mut found = Value::Null;
        for _ in 0..PAGE_MS / 50 {
            found = self.client.execute(script, vec![argument.into()]).await.unwrap_or_default();
            if found == wanted {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("not {wanted:?} but {found} on {}", self.described().await)
    }

    /// From here on the pages have the colours of a reader who has chosen their own.
    pub async fn forced_colours(&self) -> Result<()> {
        let forced = json!({ "features": [{ "name": "forced-colors", "value": "active" }] });
        self.client.issue_cmd(Devtools("Emulation.setEmulatedMedia", forced)).await?;
        Ok(())
    }

    /// Whether all that `css` selects has an outline that no choice of colours takes away.
    pub async fn outlined(&self, css: &str) -> Result<()> {
        let script = "return [...document.querySelectorAll(arguments[0])]
            .filter(e => e.checkVisibility() && !e.matches('.unseen, .plain, [type=hidden]') && parseFloat(getComputedStyle(e).borderTopWidth) < 1)
            .map(e => e.outerHTML.slice(0, 80));";
        let bare = self.client.execute(script, vec![css.into()]).await?;
        ensure!(bare == json!([]), "without an outline: {bare}");
        Ok(())
    }

    pub fn has_scripts(&self) -> bool {
        self.window.scripts
    }

    /// Where the window is and what it shows, for messages.
    async fn described(&self) -> String {
        let url = self.client.current_url().await.map_or_else(|error| error.to_string(), |url| url.to_string());
        let text = match self.client.find(Locator::Css("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        format!("{url}:\n{text}")
    }
}

/// A command of the browser's own and its parameters, for what WebDriver does not know: a picture of all that can be
/// scrolled to, how a page looks on paper.
#[derive(Debug)]
struct Devtools(&'static str, Value);

impl WebDriverCompatibleCommand for Devtools {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        let Self(command, parameters) = self;
        (http::Method::POST, Some(json!({ "cmd": command, "params": parameters }).to_string()))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A driver that is killed leaves its browser running.
        let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_millis(PAGE_MS)));
        ureq::Agent::from(config.build()).delete(&self.session).call().ok();
        self.driver.kill().ok();
        self.driver.wait().ok();
    }
}

fn options(window: Window, profile: &std::path::Path) -> Value {
    let Window { width, height, scripts, .. } = window;
    let mut options = json!({ "args": [
        "--headless=new",
        // The tests run as root in containers, where the browser's own sandbox does not start; the pages are ours.
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        format!("--window-size={width},{height}"),
        format!("--user-data-dir={}", profile.display()),
    ] });
    if width < WINDOW_WIDTH_MIN {
        options["mobileEmulation"] =
            json!({ "deviceMetrics": { "width": width, "height": height, "pixelRatio": 2.0 } });
    }
    if !scripts {
        options["prefs"] = json!({ "profile.managed_default_content_settings.javascript": 2 });
    }
    options
}

/// One violation in a few lines: what it is, where, and how to mend it.
fn described(violation: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut lines = vec![format!(
        "{}, {}: {} ({})",
        text(&violation["impact"]),
        text(&violation["id"]),
        text(&violation["help"]),
        text(&violation["helpUrl"])
    )];
    for node in violation["nodes"].as_array().into_iter().flatten().take(5) {
        lines.push(format!("  {} {}", node["target"], text(&node["html"])));
        lines.extend(text(&node["failureSummary"]).lines().map(|line| format!("    {line}")));
    }
    lines.join("\n")
}
