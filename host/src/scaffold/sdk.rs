//! What a new project needs from this repository: the host's interfaces, the SDK of the context's language, and the
//! pages that its files refer to, as they were when this program was built.

use std::path::{Path, PathBuf};

use super::cargo;
use super::error::Error;
use super::language::Language;

/// The folders of the SDKs in a project.
pub const RUST: &str = "plugins/sdk";
pub const JAVASCRIPT: &str = "plugins/sdk-js";
pub const PYTHON: &str = "plugins/sdk-python";

/// This repository's workspace: the SDK is tested with its versions of dependencies.
pub const ROOT: &str = include_str!("../../../Cargo.toml");

pub type Files = &'static [(&'static str, &'static str)];

macro_rules! files {
    ($folder:literal: $($path:literal),+ $(,)?) => {
        &[$((concat!($folder, "/", $path), include_str!(concat!("../../../", $folder, "/", $path)))),+]
    };
}

/// What the files of a project refer to.
pub const DOCS: Files = files!("docs": "manifest.md", "new-context.md", "reconcile.md", "sagas.md", "scenarios.md", "variants.md", "verify.md");

pub const INTERFACES: Files = files!("wit/host": "attempts.wit", "health.wit", "http.wit", "invariants.wit", "reconciliation.wit", "sagas.wit", "store.wit", "together.wit", "two-phase.wit");

pub const RUST_FILES: Files = files!("plugins/sdk":
    "Cargo.toml", "README.md", "build/Cargo.toml", "build/src/invariants.rs", "build/src/lib.rs", "src/attempts.rs", "src/bindings.rs", "src/clock.rs",
    "src/config.rs", "src/context.rs", "src/lib.rs", "src/log.rs", "src/native/mod.rs", "src/native/sagas.rs", "src/packed/decode.rs",
    "src/packed/encode.rs", "src/packed/mod.rs", "src/packed/tests.rs", "src/panics.rs", "src/random.rs",
    "src/reconciliation.rs", "src/sagas.rs", "src/steps.rs", "src/store.rs", "src/together.rs", "src/two_phase.rs",
);

/// The encoding of rows, which the host shares with the SDK for Rust.
pub const PACKED: &str = "host/packed";

pub const PACKED_FILES: Files = files!("host/packed": "Cargo.toml", "src/lib.rs");

pub const JAVASCRIPT_FILES: Files = files!("plugins/sdk-js":
    ".npmrc", "README.md", "build.mjs", "package-lock.json", "package.json", "src/answers.js", "src/guard.js",
    "src/index.js", "src/migrations.js", "src/numbers.js", "src/packed.js", "src/sagas.js", "src/store.js", "src/text.js", "src/together.js",
    "test/guard.test.mjs", "test/packed.test.mjs", "test/text.test.mjs", "tools.mjs",
);

pub const PYTHON_FILES: Files = files!("plugins/sdk-python":
    "README.md", "build.py", "requirements.txt", "seam_sdk/__init__.py", "seam_sdk/context.py", "seam_sdk/packed.py",
    "seam_sdk/sagas.py", "seam_sdk/store.py", "seam_sdk/text.py", "seam_sdk/together.py", "test_packed.py", "test_text.py",
);

/// The files of the SDK and of the interfaces, without the folders that the project has already: it may keep older
/// ones.
pub fn missing(project: &Path, language: Language) -> Result<Vec<(PathBuf, String)>, Error> {
    let (folder, sdk) = match language {
        Language::Rust => (RUST, RUST_FILES),
        Language::Js => (JAVASCRIPT, JAVASCRIPT_FILES),
        Language::Python => (PYTHON, PYTHON_FILES),
    };
    let mut missing = Vec::new();
    let packed = (language == Language::Rust).then_some((PACKED, PACKED_FILES));
    for (folder, files) in [("docs", DOCS), ("wit/host", INTERFACES), (folder, sdk)].into_iter().chain(packed) {
        if project.join(folder).exists() {
            continue;
        }
        for (path, text) in files {
            let text = match path.ends_with("Cargo.toml") {
                true => cargo::standalone(text, ROOT).map_err(|reason| Error::Template { reason })?,
                false => (*text).to_owned(),
            };
            missing.push((PathBuf::from(path), text));
        }
    }
    Ok(missing)
}
