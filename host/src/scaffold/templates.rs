//! The files of a new context, from `templates/`, with `{{name}}` and other placeholders.

use std::path::PathBuf;

use super::error::Error;
use super::events::Events;
use super::language::Language;
use super::words::{snake, upper_camel};
use super::{cargo, sdk};

pub const PROJECT: &str = include_str!("templates/project/seam.toml.in");
pub const WORKSPACE: &str = include_str!("templates/project/Cargo.toml.in");
pub const GITIGNORE: &str = include_str!("templates/project/gitignore.in");

/// The values of the placeholders.
#[derive(Clone, Copy)]
pub struct Package<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    /// Whether its crate inherits versions from the workspace.
    pub inherits: bool,
    pub events: &'a Events,
}

macro_rules! template {
    ($file:literal) => {
        include_str!(concat!("templates/", $file, ".in"))
    };
}

/// Files in the plugin's folder.
const RUST: sdk::Files = &[
    ("Cargo.toml", template!("rust/Cargo.toml")),
    ("build.rs", template!("rust/build.rs")),
    ("src/lib.rs", template!("rust/lib.rs")),
    ("src/domain.rs", template!("rust/domain.rs")),
    ("src/store.rs", template!("rust/store.rs")),
    ("tests/store.rs", template!("rust/test.rs")),
];

const JAVASCRIPT: sdk::Files = &[
    ("context.wit", CONTEXT_WORLD),
    ("src/context.js", template!("javascript/context.js")),
    ("src/domain.js", template!("javascript/domain.js")),
    ("src/store.js", template!("javascript/store.js")),
    ("test/domain.test.mjs", template!("javascript/test.mjs")),
];

const PYTHON: sdk::Files = &[
    ("context.wit", CONTEXT_WORLD),
    ("app.py", template!("python/app.py")),
    ("{{name_snake}}/__init__.py", template!("python/init.py")),
    ("{{name_snake}}/domain.py", template!("python/domain.py")),
    ("{{name_snake}}/store.py", template!("python/store.py")),
    ("test_domain.py", template!("python/test.py")),
];

const MIGRATION: &str = template!("entries.sql");
const SCENARIOS: &str = template!("scenarios.toml");
const INTERFACE: &str = template!("entries.wit");
/// The world of a context in Rust is beside its interface. In other languages the world also names the host's
/// interfaces, and is beside the code.
const RUST_WORLD: &str = template!("rust/world.wit");
const CONTEXT_WORLD: &str = template!("context.wit");

impl Package<'_> {
    /// The context's files, by their paths in the project.
    pub fn files(&self, language: Language) -> Result<Vec<(PathBuf, String)>, Error> {
        let (own, world) = match language {
            Language::Rust => (RUST, RUST_WORLD),
            Language::Js => (JAVASCRIPT, ""),
            Language::Python => (PYTHON, ""),
        };
        let parts = self.events.parts(language, self.namespace, self.name)?;
        let filled = |text: &str| {
            let text =
                parts.iter().fold(text.to_owned(), |text, (name, part)| text.replace(&format!("{{{{{name}}}}}"), part));
            self.filled(&text)
        };
        let plugin = PathBuf::from("plugins").join(self.name);
        let mut files = Vec::new();
        for (path, text) in own {
            let mut text = filled(text);
            if *path == "Cargo.toml" && !self.inherits {
                text = cargo::standalone(&text, sdk::ROOT).map_err(|reason| Error::Template { reason })?;
                // The owner of the project chooses its licence.
                text =
                    text.lines().filter(|line| !line.starts_with("license")).map(|line| format!("{line}\n")).collect();
            }
            files.push((plugin.join(self.filled(path)), text));
        }
        files.push((plugin.join("migrations/0001-entries.sql"), self.filled(MIGRATION)));
        files.push((plugin.join("tests/scenarios/entries.toml"), filled(SCENARIOS)));
        let interface = format!("{INTERFACE}{world}");
        files.push((PathBuf::from("wit").join(self.name).join("entries.wit"), filled(&interface)));
        Ok(files)
    }

    fn filled(&self, text: &str) -> String {
        text.replace("{{namespace}}", self.namespace)
            .replace("{{namespace_snake}}", &snake(self.namespace))
            .replace("{{name}}", self.name)
            .replace("{{name_snake}}", &snake(self.name))
            .replace("{{type}}", &upper_camel(self.name))
    }
}
