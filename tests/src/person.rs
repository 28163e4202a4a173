//! A person with a browser without scripts: keeps cookies, fills in forms, follows redirects.
//!
//! Not here: how to buy something (`shopping`).

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::host::Host;
use crate::page::{Form, Page};

/// Redirects that are followed one after the other.
const HOPS_MAX: usize = 5;
/// Ten times what a page may take: the host gives up first, and its answer says why.
const TIMEOUT: Duration = Duration::from_secs(50);

#[derive(Clone)]
pub struct Person {
    agent: ureq::Agent,
    origin: String,
    cookies: BTreeMap<String, String>,
    /// The address that a proxy names for this browser.
    address: Option<String>,
}

impl Person {
    /// With a browser that has never been to this shop.
    pub fn new(host: &Host) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0);
        Self {
            agent: config.timeout_global(Some(TIMEOUT)).build().into(),
            origin: host.url.clone(),
            cookies: BTreeMap::new(),
            address: None,
        }
    }

    /// The same browser at this address, for a host whose manifest trusts this machine as a proxy.
    pub fn with_address(self, address: String) -> Self {
        Self { address: Some(address), ..self }
    }

    /// The same browser after the shop has moved to another address: cookies are kept by name and not by port.
    pub fn at(&self, host: &Host) -> Self {
        Self { origin: host.url.clone(), ..self.clone() }
    }

    /// The same browser at this address of the shop.
    pub fn at_origin(&self, origin: &str) -> Self {
        Self { origin: origin.to_owned(), ..self.clone() }
    }

    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    pub fn set_cookie(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.into(), value.into());
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Opens a page and goes where it leads.
    pub fn get(&mut self, path: &str) -> Result<Page> {
        let page = self.request("GET", path, &[], &[])?;
        self.follow(page)
    }

    /// Sends a form and goes where the answer leads.
    pub fn submit(&mut self, form: &Form) -> Result<Page> {
        let page = self.send(form)?;
        self.follow(page)
    }

    /// Sends a form as a browser does; the answer as it is.
    pub fn send(&mut self, form: &Form) -> Result<Page> {
        ensure!(form.post, "the form for `{}` only asks", form.action);
        let origin = self.origin.clone();
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", origin.as_str()),
            ("sec-fetch-site", "same-origin"),
        ];
        self.request("POST", &form.action, &headers, form.encoded().as_bytes())
    }

    /// Sends a form, or a part of it, as `send` does, and hangs up after a pause without reading an answer.
    pub fn hang_up(&self, form: &Form, part: f64, pause: Duration) -> Result<()> {
        let (origin, body) = (&self.origin, form.encoded());
        let address = origin.strip_prefix("http://").context("an address without TLS")?;
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = format!(
            "POST {} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             origin: {origin}\r\nsec-fetch-site: same-origin\r\ncookie: {}\r\ncontent-length: {}\r\n\r\n{body}",
            form.action,
            cookies.join("; "),
            body.len()
        );
        let sent = (request.len() as f64 * part) as usize;
        let mut stream = std::net::TcpStream::connect(address)?;
        stream.write_all(request.as_bytes().get(..sent).unwrap_or(request.as_bytes()))?;
        std::thread::sleep(pause);
        Ok(stream.shutdown(std::net::Shutdown::Both)?)
    }

    /// Sends what no browser would; the answer as it is.
    pub fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Page> {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.origin));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(address) = &self.address {
            request = request.header("x-forwarded-for", address);
        }
        if !self.cookies.is_empty() {
            let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header("cookie", pairs.join("; "));
        }
        let asked = || format!("{method} {path}");
        let mut response = match body {
            [] if method != "POST" => self.agent.run(request.body(())?),
            body => self.agent.run(request.body(body)?),
        }
        .with_context(asked)?;
        let headers: Vec<(String, String)> = response
            .headers()
            .iter()
            .map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned()))
            .collect();
        for (_, cookie) in headers.iter().filter(|(name, _)| name == "set-cookie") {
            self.keep(cookie)?;
        }
        let text = String::from_utf8(response.body_mut().read_to_vec().with_context(asked)?).with_context(asked)?;
        Ok(Page { path: path.into(), status: response.status().as_u16(), headers, text })
    }

    fn follow(&mut self, mut page: Page) -> Result<Page> {
        for _ in 0..HOPS_MAX {
            if !(300..400).contains(&page.status) || page.status == 304 {
                return Ok(page);
            }
            let to = page.header("location").context("a redirect without an address")?;
            ensure!(to.starts_with('/') && !to.starts_with("//"), "it leads to another site: {to}");
            page = self.request("GET", to, &[], &[])?;
        }
        bail!("more than {HOPS_MAX} redirects, the last to `{}`", page.path)
    }

    /// Keeps what a browser would, and holds the shop to how its cookies are to be set.
    fn keep(&mut self, cookie: &str) -> Result<()> {
        let mut parts = cookie.split("; ");
        let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).context("a cookie")?;
        let attributes: Vec<&str> = parts.collect();
        for needed in ["Path=/", "HttpOnly", "SameSite=Lax"] {
            ensure!(attributes.contains(&needed), "the cookie `{name}` is without {needed}: {attributes:?}");
        }
        match attributes.contains(&"Max-Age=0") {
            true => self.cookies.remove(name),
            false => self.cookies.insert(name.into(), value.into()),
        };
        Ok(())
    }
}
