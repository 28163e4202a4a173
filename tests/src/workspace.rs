//! A developer's workspace: a small Cargo workspace of two contexts, `greeter` and `page`, which asks it, with `seam dev`
//! running on it.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::events::{Events, is_idle};
use crate::host::Host;
use crate::repo;

pub struct Workspace {
    pub folder: tempfile::TempDir,
    /// The end of the packages' names. What cargo makes has the package's name, in a folder that all desks share.
    name: String,
}

const GREETER_WIT: &str = "\
package demo:greeter@0.1.0;

/// Greets.
interface greeting {
    /// Why there is no greeting.
    variant error {
        /// The greeter is not there.
        unavailable(string),
    }
    /// A greeting by name.
    greet: func(name: string) -> result<string, error>;
}

/// The greeter.
world greeter {
    export greeting;
}
";

const GREETER: &str = r#"//! Greets.

wit_bindgen::generate!({ path: ["../wit/greeter"], world: "demo:greeter/greeter", generate_all });

use exports::demo::greeter::greeting::{Error, Guest};

seam_sdk::context!(Greeter);

impl Guest for Greeter {
    fn greet(name: String) -> Result<String, Error> {
        Ok(format!("Good day, {name}"))
    }
}
"#;

const PAGE_WIT: &str = "\
package demo:page@0.1.0;

/// The page.
world page {
    import demo:greeter/greeting@0.1.0;
    export seam:host/http-handler@0.1.0;
}
";

const PAGE: &str = r#"//! A page with a greeting.

wit_bindgen::generate!({ path: ["HOST", "../wit/greeter", "../wit/page"], world: "demo:page/page", generate_all });

use demo::greeter::greeting;
use exports::seam::host::http_handler::{Guest, Request, Response};

seam_sdk::context!(Page);

impl Guest for Page {
    fn handle(request: Request) -> Response {
        let greeting = match greeting::greet("you") {
            Ok(greeting) => greeting,
            Err(greeting::Error::Unavailable(why)) => why,
        };
        let colour = seam_sdk::config::get("colour").ok().flatten().unwrap_or_default();
        let body = format!(
            "<!doctype html><html lang=\"en\"><head><title>Page</title><link rel=\"stylesheet\" href=\"/assets/page.css\"></head>\
             <body><main><h1>{greeting}</h1><p id=\"colour\">{colour}</p><p id=\"method\">{}</p>\
             <form method=\"post\"><button id=\"send\">Send</button></form></main></body></html>",
            request.method
        );
        let policy = "default-src 'none'; style-src 'self'; form-action 'self'";
        let headers = [("content-type", "text/html; charset=utf-8"), ("content-security-policy", policy), ("etag", "\"1\"")];
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Response { status: 200, headers, body: body.into_bytes() }
    }
}
"#;

const MANIFEST: &str = r#"[host]
listen = ["127.0.0.1:0"]
data = "run"

[context.greeter]
build = { cargo = "greeter-NAME" }

[context.page]
build = { cargo = "page-NAME" }
imports = ["demo:greeter/greeting"]
config = { colour = "green" }
assets = "assets"

[[mount]]
path = "/"
context = "page"
"#;

impl Workspace {
    /// With a name that no other test's workspace has.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(name: &str) -> Result<Self> {
        let root = repo().canonicalize()?;
        let workspace = Self { folder: tempfile::tempdir()?, name: name.into() };
        let member = |member: &str| {
            format!(
                "[package]\nname = \"{member}-{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[lib]\ncrate-type = [\"cdylib\"]\n\n\
                 [dependencies]\nseam-sdk = {{ path = \"{}\" }}\nwit-bindgen = \"0.57.1\"\n",
                root.join("plugins/sdk").display()
            )
        };
        // Dependencies are compiled once for all tests, apart from what this repository builds.
        let config = format!("[build]\ntarget-dir = \"{}\"\n", root.join("target/tests/dev").display());
        workspace.write("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"greeter\", \"page\"]\n")?;
        workspace.write("Cargo.lock", &std::fs::read_to_string(root.join("Cargo.lock"))?)?;
        workspace.write(".cargo/config.toml", &config)?;
        workspace.write("wit/greeter/greeting.wit", GREETER_WIT)?;
        workspace.write("wit/page/page.wit", PAGE_WIT)?;
        workspace.write("greeter/Cargo.toml", &member("greeter"))?;
        workspace.write("greeter/src/lib.rs", GREETER)?;
        workspace.write("page/Cargo.toml", &member("page"))?;
        workspace.write("page/src/lib.rs", &PAGE.replace("HOST", &root.join("wit/host").display().to_string()))?;
        workspace.write("assets/page.css", "h1 { color: rgb(1, 2, 3) }\n")?;
        workspace.write("seam.toml", &workspace.manifest())?;
        Ok(workspace)
    }

    /// The manifest that it begins with.
    pub fn manifest(&self) -> String {
        MANIFEST.replace("NAME", &self.name)
    }

    /// `seam dev` on this workspace, serving.
    ///
    /// # Errors
    /// When it does not come to serve.
    pub fn dev(&self) -> Result<Host> {
        Host::dev(&self.path("seam.toml"), &self.path("run"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Saves a file as editors do: written aside, and renamed over the old one.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path(name);
        let folder = path.parent().context("a file is in a folder")?;
        std::fs::create_dir_all(folder)?;
        let aside = folder.join(".aside");
        std::fs::write(&aside, text)?;
        Ok(std::fs::rename(aside, path)?)
    }

    /// Replaces one piece of text, which must be there, in a file.
    pub fn edit(&self, name: &str, from: &str, to: &str) -> Result<()> {
        let text = std::fs::read_to_string(self.path(name))?;
        ensure!(text.contains(from), "`{name}` does not contain `{from}`");
        self.write(name, &text.replacen(from, to, 1))
    }
}

impl Events {
    /// Waits until another version is live and no build runs.
    ///
    /// # Errors
    /// As those of `until`.
    pub fn live(&mut self) -> Result<Value> {
        let before = self.latest["version"].as_u64();
        self.until(|state| state["version"].as_u64() > before && is_idle(state))
    }

    /// Waits until there are problems and no build runs.
    ///
    /// # Errors
    /// As those of `until`.
    pub fn failed(&mut self) -> Result<Value> {
        self.until(|state| state["problems"].as_array().is_some_and(|all| !all.is_empty()) && is_idle(state))
    }
}
