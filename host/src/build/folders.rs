//! Where a build starts, and where it keeps tools.

use std::path::{Path, PathBuf};

use crate::manifest::Manifest;

/// Where compiled standard libraries and installed tools are kept, in the manifest's folder.
pub const TOOLS_FOLDER: &str = ".tools";

/// The manifest's folder, absolute: cargo reports absolute paths.
pub fn base(manifest: &Manifest) -> PathBuf {
    let folder = manifest.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::canonicalize(folder).unwrap_or_else(|_| folder.into())
}

/// Where the toolchain's own files are kept for this manifest.
pub fn cache(base: &Path) -> PathBuf {
    base.join(TOOLS_FOLDER).join("wasm")
}
