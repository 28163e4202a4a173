//! The interfaces of a component that the host itself calls: whether they are those that it can call.
//!
//! Without this check, a handler of another version would be linked and never be called.

use wasmtime::component::types::{ComponentFunc, Type};

use super::host_imports::Wrong;
use crate::component::{
    Component, HEALTH, HTTP_HANDLER, INVARIANTS, Interface, InterfaceName, MIGRATIONS, RECONCILIATION, SAGA_STEPS,
    WASI_HTTP, WASI_RELEASE, for_later_wasi, later_wasi, served_wasi, wit_type,
};
use crate::did_you_mean::nearest;

/// An interface that the host calls: its version, and its functions with their types.
struct Called {
    path: &'static str,
    version: &'static str,
    functions: &'static [Expected],
}

/// A function, and its parameters and results as `shape` writes them; `None` when the bindings compare them.
type Expected = (&'static str, Option<&'static str>);

const FIELDS: &str = "(\
    {method: string, path: string, query: option<string>, headers: list<tuple<string, string>>, body: list<u8>}\
    ) -> {status: u16, headers: list<tuple<string, string>>, body: list<u8>}";

const STEP: &str = "(\
    {kind: string, id: string, step: string, key: string, attempt: u32, cause: string}\
    ) -> done | later(string) | refused(string) | unknown(string) | waiting(option<u64>)";

const DEFINITIONS: &str = "() -> list<{kind: string, steps: list<{name: string, call: option<string>, \
    undo: call(string) | own | nothing | never, tries: u32, patience-s: u32}>}>";

const MEND: &str = "(\
    {total: string, key: string, sides: list<{context: string, least: s64, most: s64}>, since: u64, attempt: u32, \
    id: string}) -> mended | later(string) | refused(string)";

const CALLED: [Called; 7] = [
    Called { path: HTTP_HANDLER, version: "0.1.0", functions: &[("handle", Some(FIELDS))] },
    Called {
        path: MIGRATIONS,
        version: "0.1.0",
        functions: &[("all", Some("() -> list<{number: u32, name: string, sql: string}>"))],
    },
    Called { path: HEALTH, version: "0.1.0", functions: &[("check", Some("() -> result<_, string>"))] },
    Called {
        path: INVARIANTS,
        version: "0.1.0",
        functions: &[(
            "all",
            Some("() -> list<{kind: violations | total, name: string, sentence: string, sql: string}>"),
        )],
    },
    Called { path: RECONCILIATION, version: "0.1.0", functions: &[("mend", Some(MEND))] },
    Called {
        path: SAGA_STEPS,
        version: "0.1.0",
        functions: &[("definitions", Some(DEFINITIONS)), ("perform", Some(STEP)), ("undo", Some(STEP))],
    },
    Called { path: WASI_HTTP, version: WASI_RELEASE, functions: &[("handle", None)] },
];

/// The name of an interface that is for the host, by its namespace; other exports are seams.
pub fn is_for_host(name: &InterfaceName) -> bool {
    name.namespace() == "wasi" || name.package() == "seam:host"
}

/// Why the host cannot call an interface that is for it: the end of a sentence that starts with the component's name.
pub fn problem(component: &Component, export: &Interface) -> Option<Wrong> {
    let name = &export.name;
    if let Some(version) = later_wasi(name) {
        // An import of the same version has said so already.
        let said = component.imports.iter().any(|import| later_wasi(&import.name).is_some());
        return (!said).then(|| for_later_wasi(&version, name));
    }
    let Some(called) = CALLED.iter().find(|called| called.path == name.path) else {
        let others = CALLED.iter().map(|called| called.path);
        // What else a command of WASI exports (`wasi:cli/run`) is not called, and does no harm.
        return (name.package() == "seam:host").then(|| {
            let near = nearest(&name.path, others).map(|near| format!("did you mean `{near}`?"));
            let remedy = near.unwrap_or_else(|| "export an interface of your own package".to_owned());
            (format!("exports `{name}`, which this host does not know"), remedy)
        });
    };
    let full = format!("{}@{}", called.path, called.version);
    if !InterfaceName::parse(&full).is_some_and(|called| name.accepts(&called)) {
        let has = match called.version {
            WASI_RELEASE => format!("it serves {}", served_wasi()),
            version => format!("it calls version {version}"),
        };
        return Some((
            format!("exports `{name}`, which this host does not call: {has}"),
            format!("build it against `{full}`"),
        ));
    }
    let wrong = called.functions.iter().find_map(|(wanted, expected)| {
        let function = export.functions.iter().find(|(function, _)| function == wanted);
        match (function, expected) {
            (None, _) => Some(format!("exports `{name}` without its function `{wanted}`")),
            (Some((_, ty)), Some(expected)) if shape(ty) != *expected => {
                Some(format!("exports `{name}.{wanted}` with another type than this host calls"))
            }
            _ => None,
        }
    })?;
    Some((wrong, format!("build it against `{full}`, without changes of its own")))
}

/// A function's type without the names of its parameters.
fn shape(ty: &ComponentFunc) -> String {
    let list = |types: Vec<Type>| types.iter().map(wit_type).collect::<Vec<_>>().join(", ");
    format!("({}) -> {}", list(ty.params().map(|(_, ty)| ty).collect()), list(ty.results().collect()))
}
