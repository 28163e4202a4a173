//! Which WASI a component is for, and which the host serves.

use crate::interface_name::InterfaceName;

/// The release of WASI that the host implements. Components for earlier releases of 0.2 are served, too.
pub const WASI_RELEASE: &str = "0.2.12";

/// The packages that have the version of WASI. Drafts of other packages have their own.
pub const WASI_PACKAGES: [&str; 7] =
    ["wasi:io", "wasi:clocks", "wasi:random", "wasi:cli", "wasi:filesystem", "wasi:sockets", "wasi:http"];

/// The versions of WASI that the host serves, for messages.
pub fn served_wasi() -> String {
    format!("WASI 0.2 (0.2.0 to {WASI_RELEASE})")
}

/// `0.3` of `wasi:http/types@0.3.0`; `None` for WASI 0.2 or earlier, for other packages, and for versions that no WASI
/// has.
pub fn later_wasi(name: &InterfaceName) -> Option<String> {
    let version = name.version.as_ref()?;
    let later = version.major == 0 && (3..9).contains(&version.minor) || version.major == 1;
    (WASI_PACKAGES.contains(&name.package()) && later).then(|| format!("{}.{}", version.major, version.minor))
}

/// What is wrong with a component for a later WASI, as the end of a sentence that starts with its name, and the remedy.
/// `named` is the import or export that gives it away.
pub fn for_later_wasi(version: &str, named: &InterfaceName) -> (String, String) {
    let what = format!("is for WASI {version} (`{named}`); this host serves {}", served_wasi());
    (what, "build it for WASI 0.2".to_owned())
}
