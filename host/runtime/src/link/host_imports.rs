//! What the host offers to components, by package, version, interface and function, and why an import gets nothing.
//!
//! Names and versions stand in one table; whether an interface has a function is asked of the linker itself.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::Linker;

use super::linker::add_host;
use crate::component::{
    BareImport, Component, Interface, InterfaceName, WASI_RELEASE, for_later_wasi, later_wasi, served_wasi,
};
use crate::did_you_mean::{self, nearest};
use crate::guest::Guest;
use crate::settings::ContextSettings;

/// A package that the host offers: its newest version, and its interfaces.
struct Package {
    name: &'static str,
    version: &'static str,
    interfaces: &'static [&'static str],
}

const PACKAGES: [Package; 10] = [
    Package {
        name: "seam:host",
        version: "0.1.0",
        interfaces: &["attempts", "sagas", "store", "together", "two-phase"],
    },
    Package { name: "wasi:logging", version: "0.1.0-draft", interfaces: &["logging"] },
    Package { name: "wasi:config", version: "0.2.0-rc.1", interfaces: &["store"] },
    Package { name: "wasi:io", version: WASI_RELEASE, interfaces: &["error", "poll", "streams"] },
    Package { name: "wasi:clocks", version: WASI_RELEASE, interfaces: &["monotonic-clock", "wall-clock"] },
    Package { name: "wasi:random", version: WASI_RELEASE, interfaces: &["insecure", "insecure-seed", "random"] },
    Package {
        name: "wasi:cli",
        version: WASI_RELEASE,
        interfaces: &[
            "environment",
            "exit",
            "stderr",
            "stdin",
            "stdout",
            "terminal-input",
            "terminal-output",
            "terminal-stderr",
            "terminal-stdin",
            "terminal-stdout",
        ],
    },
    Package { name: "wasi:filesystem", version: WASI_RELEASE, interfaces: &["preopens", "types"] },
    Package {
        name: "wasi:sockets",
        version: WASI_RELEASE,
        interfaces: &[
            "instance-network",
            "ip-name-lookup",
            "network",
            "tcp",
            "tcp-create-socket",
            "udp",
            "udp-create-socket",
        ],
    },
    Package { name: "wasi:http", version: WASI_RELEASE, interfaces: &["outgoing-handler", "types"] },
];

/// What is wrong, and what to do about it.
pub type Wrong = (String, String);

/// Asks what the host offers. Makes a linker with all of it when a function is asked for, so keep it for one system.
pub struct HostImports<'e> {
    engine: &'e Engine,
    linker: OnceCell<Option<Linker<Guest>>>,
    /// Functions that it lacks, which the linker has got meanwhile.
    missing: BTreeSet<(String, String)>,
}

impl<'e> HostImports<'e> {
    pub fn new(engine: &'e Engine) -> Self {
        Self { engine, linker: OnceCell::new(), missing: BTreeSet::new() }
    }

    /// Why an import of a `wasi:` or `seam:` interface gets nothing, each reason with its remedy.
    pub fn problems(&mut self, context: &ContextSettings, import: &Interface) -> Vec<Wrong> {
        let name = &import.name;
        if let Some(version) = later_wasi(name) {
            let (what, remedy) = for_later_wasi(&version, name);
            return vec![(format!("`{}` {what}", context.name), remedy)];
        }
        let package = match offered(name) {
            Ok(package) => package,
            Err((what, remedy)) => return vec![(format!("`{}` imports `{name}`, {what}", context.name), remedy)],
        };
        let mut problems: Vec<Wrong> = not_granted(context, name).into_iter().collect();
        let full = format!("{}@{}", name.path, package.version);
        for (function, _) in import.functions.iter().filter(|(function, _)| !self.has(&full, function)) {
            let message = format!(
                "`{}` imports `{name}.{function}`, and this host's `{full}` has no such function",
                context.name
            );
            problems.push((message, format!("build it against `{full}`")));
        }
        problems
    }

    /// Whether the host's interface has the function.
    fn has(&mut self, interface: &str, function: &str) -> bool {
        let asked = (interface.to_owned(), function.to_owned());
        if self.missing.contains(&asked) {
            return false;
        }
        let engine = self.engine;
        self.linker.get_or_init(|| everything(engine).ok());
        let Some(linker) = self.linker.get_mut().and_then(Option::as_mut) else { return true };
        // A linker refuses a second definition, and so tells whether it has a first one.
        let Ok(mut instance) = linker.instance(interface) else { return true };
        let has = instance.func_new(function, |_, _, _, _| Ok(())).is_err();
        if !has {
            self.missing.insert(asked);
        }
        has
    }
}

fn everything(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    add_host(&mut linker, false, Arc::default(), |_| true)?;
    Ok(linker)
}

/// The offered package of an interface, or the end of a sentence on why there is none.
fn offered(name: &InterfaceName) -> Result<&'static Package, Wrong> {
    let Some(package) = PACKAGES.iter().find(|package| package.name == name.package()) else {
        // Without the namespace, which most of them share.
        let short = |package: &'static str| package.rsplit(':').next().unwrap_or_default();
        let asked = name.package().rsplit(':').next().unwrap_or_default();
        let near = nearest(asked, PACKAGES.iter().map(|package| short(package.name)));
        let remedy = match PACKAGES.iter().find(|package| Some(short(package.name)) == near) {
            Some(near) => format!("did you mean `{}`?", near.name),
            None => "build the component without it".to_owned(),
        };
        return Err(("which this host does not offer".to_owned(), remedy));
    };
    let full = format!("{}@{}", name.path, package.version);
    if !package.interfaces.contains(&name.short()) {
        let what = format!("which this host does not offer: its `{}` has no such interface", package.name);
        return Err((what, did_you_mean::hint(name.short(), package.interfaces.iter().copied())));
    }
    let fits = InterfaceName::parse(&full).is_some_and(|offered| name.accepts(&offered));
    match (fits, package.version) {
        (true, _) => Ok(package),
        (false, WASI_RELEASE) => {
            let what = format!("which this host does not offer: it serves {}", served_wasi());
            Err((what, "build it for a release of WASI 0.2".to_owned()))
        }
        (false, version) => {
            let what = format!("which this host does not offer: it has version {version}");
            Err((what, format!("build it against `{full}`")))
        }
    }
}

/// Why the manifest does not let the context have an interface that the host offers.
fn not_granted(context: &ContextSettings, name: &InterfaceName) -> Option<Wrong> {
    let granted = |capability: &str| context.capabilities.iter().any(|c| c == capability);
    let wrong = |what: &str, line: &str| {
        let message = format!("`{}` imports `{name}`, but the manifest does not grant it {what}", context.name);
        Some((message, format!("add `{line}` to [context.{}], or leave the import out", context.name)))
    };
    let clock = || granted("clocks") || granted("wasi");
    let random = || granted("random") || granted("wasi");
    match name.package() {
        "seam:host" if name.short() == "attempts" => match granted("attempts") {
            true => None,
            false => wrong("counts of attempts", "capabilities = [\"attempts\"]"),
        },
        "seam:host" if name.short() == "two-phase" && context.two_phase.is_empty() => {
            wrong("transactions over several files", "two_phase = [\"CONTEXT\"]")
        }
        // It gives nothing but another way to make the calls that the context may make.
        "seam:host" if name.short() == "together" => None,
        "seam:host" if context.store.is_none() => wrong("a store", "store = true"),
        "wasi:clocks" if !clock() => wrong("clocks", "capabilities = [\"clocks\"]"),
        "wasi:random" if !random() => wrong("random numbers", "capabilities = [\"random\"]"),
        "wasi:cli" | "wasi:filesystem" | "wasi:sockets" if !granted("wasi") => {
            wrong("the empty WASI world", "capabilities = [\"wasi\"]")
        }
        _ => None,
    }
}

/// Why an import that is no interface gets nothing: the host links interfaces only.
pub fn bare_import_problem(context: &ContextSettings, component: &Component, import: &BareImport) -> Wrong {
    let BareImport { name, kind } = import;
    let message = format!("`{}` imports the {kind} `{name}`, and this host offers interfaces only", context.name);
    let known = component.imports.iter().map(|import| import.name.short());
    let remedy = match nearest(name, known) {
        Some(near) => format!("import the interface `{near}` instead, which it uses already"),
        None => format!("put `{name}` into an interface (`namespace:package/interface`) and import that, or remove it"),
    };
    (message, remedy)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::component::engine::running;

    #[test]
    fn every_interface_of_the_table_is_linked_at_its_version() {
        let engine = running().unwrap();
        let mut host = HostImports::new(&engine);
        // One function of each interface; `wasi:sockets/network` and the terminals' resources have a destructor only.
        for (interface, function) in [
            ("seam:host/attempts", "take"),
            ("seam:host/sagas", "settle"),
            ("seam:host/store", "query"),
            ("seam:host/together", "collect"),
            ("seam:host/two-phase", "begin"),
            ("wasi:logging/logging", "log"),
            ("wasi:config/store", "get"),
            ("wasi:io/error", "[method]error.to-debug-string"),
            ("wasi:io/poll", "poll"),
            ("wasi:io/streams", "[method]input-stream.read"),
            ("wasi:clocks/monotonic-clock", "now"),
            ("wasi:clocks/wall-clock", "now"),
            ("wasi:random/insecure", "get-insecure-random-u64"),
            ("wasi:random/insecure-seed", "insecure-seed"),
            ("wasi:random/random", "get-random-u64"),
            ("wasi:cli/environment", "get-arguments"),
            ("wasi:cli/exit", "exit"),
            ("wasi:cli/stderr", "get-stderr"),
            ("wasi:cli/stdin", "get-stdin"),
            ("wasi:cli/stdout", "get-stdout"),
            ("wasi:cli/terminal-input", "terminal-input"),
            ("wasi:cli/terminal-output", "terminal-output"),
            ("wasi:cli/terminal-stderr", "get-terminal-stderr"),
            ("wasi:cli/terminal-stdin", "get-terminal-stdin"),
            ("wasi:cli/terminal-stdout", "get-terminal-stdout"),
            ("wasi:filesystem/preopens", "get-directories"),
            ("wasi:filesystem/types", "[method]descriptor.read"),
            ("wasi:sockets/instance-network", "instance-network"),
            ("wasi:sockets/ip-name-lookup", "resolve-addresses"),
            ("wasi:sockets/network", "network"),
            ("wasi:sockets/tcp", "[method]tcp-socket.start-bind"),
            ("wasi:sockets/tcp-create-socket", "create-tcp-socket"),
            ("wasi:sockets/udp", "[method]udp-socket.start-bind"),
            ("wasi:sockets/udp-create-socket", "create-udp-socket"),
            ("wasi:http/outgoing-handler", "handle"),
            ("wasi:http/types", "[method]fields.get"),
        ] {
            let name = InterfaceName::parse(interface).unwrap();
            let package = PACKAGES.iter().find(|package| package.name == name.package()).unwrap();
            assert!(package.interfaces.contains(&name.short()), "{interface} is not in the table");
            let full = format!("{interface}@{}", package.version);
            assert!(host.has(&full, function), "{full} has no {function}");
            assert!(!host.has(&full, "no-such-function"), "{full}");
        }
    }

    #[test]
    fn versions_that_the_host_has_not_are_answered_with_those_that_it_has() {
        let check = |import: &str, expect: &str| {
            let name = InterfaceName::parse(import).unwrap();
            let said = match later_wasi(&name) {
                Some(version) => for_later_wasi(&version, &name).0,
                None => offered(&name).err().map(|(what, _)| what).unwrap_or_default(),
            };
            assert_eq!(said, expect, "{import}");
        };
        let release = "which this host does not offer: it serves WASI 0.2 (0.2.0 to 0.2.12)";
        for import in ["wasi:http/types@0.2.0-rc-2023-11-10", "wasi:cli/environment@0.9.0", "wasi:io/poll@0.1.0"] {
            check(import, release);
        }
        check("wasi:io/poll", release);
        check("wasi:io/poll@0.2.0", "");
        check("wasi:io/poll@0.2.6", "");
        check("wasi:io/poll@0.2.99", "");
        check(
            "wasi:http/types@0.3.0",
            "is for WASI 0.3 (`wasi:http/types@0.3.0`); this host serves WASI 0.2 (0.2.0 to 0.2.12)",
        );
        check(
            "wasi:http/types@0.3.0-rc-2026-01-06",
            "is for WASI 0.3 (`wasi:http/types@0.3.0-rc-2026-01-06`); this host serves WASI 0.2 (0.2.0 to 0.2.12)",
        );
        check("wasi:config/store@0.2.0-draft", "which this host does not offer: it has version 0.2.0-rc.1");
        check(
            "wasi:config/runtime@0.2.0-rc.1",
            "which this host does not offer: its `wasi:config` has no such interface",
        );
        check("seam:host/store@0.2.0", "which this host does not offer: it has version 0.1.0");
        check("wasi:keyvalue/store@0.2.0", "which this host does not offer");
        check("seam:hosts/store@0.1.0", "which this host does not offer");
    }
}
