//! Contexts in Rust: one cargo call compiles all of them, then each core module becomes a component.
//!
//! They share the target folder `target/wasm`, apart from the host's, so that neither build waits for the other or
//! undoes it. Settings are environment variables instead of a `.cargo/config.toml`, which would also apply to the
//! host's build. Flags for wasm are in `CARGO_ENCODED_RUSTFLAGS`: with `--target` cargo does not apply them to
//! proc-macros and build scripts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use wit_component::ComponentEncoder;

use super::error::Error;
use super::record::{Folder, Sources, relative};
use super::rust::TARGET;
use super::toolchain::Toolchain;
use super::{messages, tools};

/// What a build needs to know of a Cargo workspace.
#[derive(Debug)]
pub struct Workspace {
    pub root: PathBuf,
    pub target: PathBuf,
    packages: BTreeMap<String, Package>,
    /// The local packages that each local package depends on, by the folders of their manifests.
    needs: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
}

#[derive(Debug)]
struct Package {
    manifest: PathBuf,
    cdylib: bool,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<MetaPackage>,
    workspace_members: Vec<String>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
    resolve: Option<Resolve>,
}

#[derive(Deserialize)]
struct MetaPackage {
    id: String,
    name: String,
    source: Option<String>,
    manifest_path: PathBuf,
    targets: Vec<MetaTarget>,
}

#[derive(Deserialize)]
struct MetaTarget {
    crate_types: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

impl Workspace {
    /// Reads the workspace that `folder` belongs to, by `cargo metadata`.
    pub fn read(toolchain: &Toolchain, folder: &Path) -> Result<Self, Error> {
        let mut command = tools::command(&toolchain.rust.cargo);
        command.args(["metadata", "--format-version", "1", "--filter-platform", TARGET]);
        command.env("RUSTC", &toolchain.rust.rustc).current_dir(folder).stdin(Stdio::null());
        let output = command.output().map_err(|source| Error::Start { command: tools::shown(&command), source })?;
        let errors = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let failed = || Error::Workspace { folder: folder.into(), command: tools::shown(&command), output: errors() };
        if !output.status.success() {
            return Err(failed());
        }
        serde_json::from_slice::<Metadata>(&output.stdout).map(Self::from).map_err(|_| failed())
    }

    /// The package's manifest, if the package can become a component.
    pub fn package(&self, name: &str) -> Result<&Path, Error> {
        let Some(package) = self.packages.get(name) else {
            let known = self.packages.iter().filter(|(_, p)| p.cdylib).map(|(n, _)| n.clone()).collect();
            return Err(Error::NoPackage { package: name.into(), root: self.root.clone(), known });
        };
        if package.cdylib { Ok(&package.manifest) } else { Err(Error::NoCdylib { manifest: package.manifest.clone() }) }
    }

    /// The sources of the package: its folder, those of its local dependencies, the interfaces, and cargo's own files.
    /// Paths are relative to `base`, but for the compiler's.
    pub fn sources(&self, name: &str, toolchain: &Toolchain, base: &Path) -> Result<Sources, Error> {
        self.package(name)?;
        let folders = self.dependencies(name);
        let seen = |path: PathBuf| relative(&path, base);
        let mut folders: Vec<_> = folders.into_iter().map(|f| Folder { path: seen(f), package: true }).collect();
        folders.push(Folder { path: seen(self.root.join("wit")), package: false });
        let mut files: Vec<_> = ["Cargo.toml", "Cargo.lock"].iter().map(|f| seen(self.root.join(f))).collect();
        files.push(toolchain.rust.rustc.clone());
        Ok(Sources { folders, files })
    }

    /// The folders of the package and of all its local dependencies.
    pub fn dependencies(&self, name: &str) -> BTreeSet<PathBuf> {
        let own = self.packages.get(name).map(|package| folder_of(&package.manifest));
        let mut folders: BTreeSet<PathBuf> = own.clone().into_iter().collect();
        let mut next: Vec<PathBuf> = own.into_iter().collect();
        while let Some(folder) = next.pop() {
            for needed in self.needs.get(&folder).into_iter().flatten() {
                if folders.insert(needed.clone()) {
                    next.push(needed.clone());
                }
            }
        }
        folders
    }

    /// Compiles the packages to core modules. Returns the modules of those that compile, and the command when it
    /// failed.
    pub fn compile(
        &self,
        toolchain: &Toolchain,
        packages: &BTreeSet<&str>,
    ) -> Result<(BTreeMap<PathBuf, PathBuf>, Option<String>), Error> {
        let mut command = tools::command(&toolchain.rust.cargo);
        command.args(["build", "--release", "--lib", "--keep-going", "--target", TARGET]);
        command.arg("--target-dir").arg(self.target.join("wasm")).arg("--message-format=json-render-diagnostics");
        for package in packages {
            command.args(["-p", package]);
        }
        // A guest runs on every request, so it is optimised fully; line tables would triple its size.
        for (setting, value) in [("OPT_LEVEL", "3"), ("CODEGEN_UNITS", "1"), ("DEBUG", "false"), ("STRIP", "debuginfo")]
        {
            command.env(format!("CARGO_PROFILE_RELEASE_{setting}"), value);
        }
        command
            .env("RUSTC", &toolchain.rust.rustc)
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", &toolchain.linker)
            .env("CARGO_ENCODED_RUSTFLAGS", flags(toolchain).join("\u{1f}"))
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let (artifacts, success) = messages::run(&mut command)?;
        let wasm = |files: Vec<PathBuf>| files.into_iter().find(|f| f.extension().is_some_and(|e| e == "wasm"));
        let modules = artifacts.into_iter().filter_map(|a| Some((a.manifest, wasm(a.files)?))).collect();
        Ok((modules, (!success).then(|| tools::shown(&command))))
    }
}

impl From<Metadata> for Workspace {
    fn from(metadata: Metadata) -> Self {
        let mut packages = BTreeMap::new();
        let mut local = BTreeMap::new();
        for package in metadata.packages.into_iter().filter(|p| p.source.is_none()) {
            local.insert(package.id.clone(), folder_of(&package.manifest_path));
            if metadata.workspace_members.contains(&package.id) {
                let cdylib = package.targets.iter().any(|t| t.crate_types.iter().any(|c| c == "cdylib"));
                packages.insert(package.name, Package { manifest: package.manifest_path, cdylib });
            }
        }
        let mut needs: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
        for node in metadata.resolve.into_iter().flat_map(|r| r.nodes) {
            let Some(folder) = local.get(&node.id) else { continue };
            let used = node.deps.iter().filter(|d| d.dep_kinds.iter().any(|k| k.kind.as_deref() != Some("dev")));
            needs.entry(folder.clone()).or_default().extend(used.filter_map(|d| local.get(&d.pkg).cloned()));
        }
        Self { root: metadata.workspace_root, target: metadata.target_directory, packages, needs }
    }
}

fn folder_of(manifest: &Path) -> PathBuf {
    manifest.parent().unwrap_or(manifest).into()
}

/// Keeps this machine's paths out of panic messages, so that the same sources give the same bytes on every machine.
pub fn flags(toolchain: &Toolchain) -> Vec<String> {
    let mut flags = Vec::new();
    if let Some(sysroot) = &toolchain.sysroot {
        flags.push(format!("--sysroot={}", sysroot.display()));
    }
    if let Some(home) = tools::cargo_home() {
        flags.push(format!("--remap-path-prefix={}=cargo", home.display()));
    }
    flags
}

/// The files that the compiler read for a module, from the `.d` file beside it: `out: in in`, with spaces escaped.
pub fn read_by_compiler(module: &Path) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(module.with_extension("d")).unwrap_or_default();
    let inputs = text.lines().filter_map(|line| line.split_once(": ")).flat_map(|(_, inputs)| words(inputs));
    inputs.map(PathBuf::from).collect()
}

fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut escaped = false;
    for c in line.chars() {
        match (c, escaped) {
            ('\\', false) => escaped = true,
            (' ', false) => words.push(String::new()),
            _ => {
                words.last_mut().into_iter().for_each(|w| w.push(c));
                escaped = false;
            }
        }
    }
    words.retain(|w| !w.is_empty());
    words
}

/// Wraps a core module into the component that its embedded types describe. The host validates a component on loading;
/// `validate` does so here, for a better error message.
pub fn component(module: &Path, validate: bool) -> Result<Vec<u8>, Error> {
    let bytes = std::fs::read(module).map_err(|source| Error::Read { path: module.into(), source })?;
    let encode = || ComponentEncoder::default().validate(validate).module(&bytes)?.encode();
    encode().map_err(|e| Error::Encode { module: module.into(), detail: format!("{e:#}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dep_info_may_hold_spaces() {
        assert_eq!(words(r"/a/lib.rs /with\ space/x.sql "), ["/a/lib.rs", "/with space/x.sql"]);
    }
}
