//! A real browser, driven over WebDriver.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use fantoccini::{Client, ClientBuilder};

/// A desktop window gets no narrower than this; phones are emulated.
const WINDOW_WIDTH_MIN: u32 = 500;

/// A browser with one window; both processes end with it.
pub struct Browser {
    driver: Child,
    pub client: Client,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts it headless, `width` by `height` CSS pixels.
    ///
    /// # Errors
    /// When no driver or no browser is installed (`seam doctor` says how to get them).
    pub async fn start(width: u32, height: u32) -> Result<Self> {
        let mut driver = Command::new("chromedriver")
            .args(["--port=0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("`chromedriver` does not start; `seam doctor --for test` says how to get it")?;
        let stdout = driver.stdout.take().context("its standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let port = loop {
            let Some(Ok(line)) = lines.next() else { bail!("chromedriver ended before it served") };
            // "ChromeDriver was started successfully on port 12345."
            if let Some((_, port)) = line.split_once("successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        let profile = tempfile::tempdir()?;
        let arguments = [
            "--headless=new".to_owned(),
            // The tests run as root in containers, where the browser's own sandbox does not start; the pages are ours.
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-quic".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--hide-scrollbars".to_owned(),
            format!("--window-size={width},{height}"),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        let mut options = serde_json::json!({ "args": arguments });
        if width < WINDOW_WIDTH_MIN {
            options["mobileEmulation"] =
                serde_json::json!({ "deviceMetrics": { "width": width, "height": height, "pixelRatio": 2.0 } });
        }
        let mut capabilities = serde_json::Map::new();
        capabilities.insert("goog:chromeOptions".into(), options);
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .context("a session with the browser")?;
        Ok(Self { driver, client, _profile: profile })
    }

    /// Saves what the window shows under `name` among the artefacts.
    pub async fn screenshot(&self, name: &str) -> Result<()> {
        let png = self.client.screenshot().await?;
        Ok(std::fs::write(crate::shop::artefacts()?.join(format!("{name}.png")), png)?)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ending the driver ends the browser that it started.
        self.driver.kill().ok();
        self.driver.wait().ok();
    }
}
