//! The functions that a context exports and imports, as its component declares them.

use seam_runtime::component::{
    Component, FunctionName, HTTP_HANDLER, Interface, InterfaceName, SAGA_STEPS, distinct_name, is_seam,
};
use seam_runtime::did_you_mean;
use wasmtime::component::types::{ComponentFunc, Type};

use super::pretended::Callees;

#[derive(Clone)]
pub struct Function {
    pub interface: InterfaceName,
    pub name: String,
    /// How a scenario names it: `interface.function`, or in full where several have that short name.
    pub shown: String,
    pub params: Vec<(String, Type)>,
    pub result: Option<Type>,
    pub signature: ComponentFunc,
}

impl Function {
    fn new(interface: &Interface, name: &str, signature: &ComponentFunc) -> Self {
        Self {
            interface: interface.name.clone(),
            name: name.to_owned(),
            shown: String::new(),
            params: signature.params().map(|(name, ty)| (name.to_owned(), ty)).collect(),
            result: signature.results().next(),
            signature: signature.clone(),
        }
    }

    fn full_name(&self) -> (&InterfaceName, &str) {
        (&self.interface, &self.name)
    }
}

/// How a scenario names `interface.function`, which may have left `functions` since.
pub fn shown(functions: &[Function], interface: &InterfaceName, function: &str) -> String {
    let known = functions.iter().find(|f| f.interface == *interface && f.name == function);
    known.map_or_else(|| format!("{interface}.{function}"), |known| known.shown.clone())
}

/// What a component exports to other contexts and imports from them. The host's interfaces are left out.
#[derive(Clone, Default)]
pub struct Functions {
    pub exports: Vec<Function>,
    pub imports: Vec<Function>,
    /// Whether it answers requests through `seam:host/http-handler`.
    pub buffered_http: bool,
    pub store: bool,
    /// What a step of a saga answers, if it has any.
    pub saga_outcome: Option<Type>,
    /// Known where the context is tested.
    pub callees: Callees,
}

impl Functions {
    /// The functions as a contract about `interface` means them: other versions of it are left out of the exports.
    pub fn of_contract(&self, interface: &InterfaceName) -> Self {
        let own = interface.choose(&self.exports, |f| &f.interface).map(|f| f.interface.clone());
        let mut functions = self.clone();
        functions.exports.retain(|f| f.interface.path != interface.path || Some(&f.interface) == own.as_ref());
        functions
    }

    pub fn of(component: &Component) -> Self {
        let functions = |interfaces: &[Interface]| {
            let seams = interfaces.iter().filter(|i| is_seam(&i.name) && i.name.namespace() != "seam");
            let mut all: Vec<Function> =
                seams.flat_map(|i| i.functions.iter().map(|(name, ty)| Function::new(i, name, ty))).collect();
            let shown: Vec<String> = (0..all.len()).map(|at| distinct_name(&all, at, Function::full_name)).collect();
            all.iter_mut().zip(shown).for_each(|(function, shown)| function.shown = shown);
            all
        };
        let steps = component.exports.iter().find(|export| export.name.path == SAGA_STEPS);
        let perform = steps.and_then(|steps| steps.functions.iter().find(|(name, _)| name == "perform"));
        Self {
            saga_outcome: perform.and_then(|(_, perform)| perform.results().next()),
            exports: functions(&component.exports),
            imports: functions(&component.imports),
            buffered_http: component.exports.iter().any(|export| export.name.path == HTTP_HANDLER),
            callees: Callees::default(),
            store: component.imports.iter().any(|import| import.name.path == "seam:host/store"),
        }
    }
}

/// Finds `name` among `functions`: `interface.function`, with the interface short or in full, or the function alone.
///
/// # Errors
/// The problem, and what to do about it.
pub fn find<'f>(functions: &'f [Function], name: &str) -> Result<(usize, &'f Function), (String, String)> {
    let found = FunctionName::parse(name).find(functions, Function::full_name);
    let found: Vec<(usize, &Function)> = found.into_iter().filter_map(|at| Some((at, functions.get(at)?))).collect();
    match found[..] {
        [one] => Ok(one),
        [] => {
            let names: Vec<String> = functions.iter().map(|f| f.shown.clone()).collect();
            let remedy = did_you_mean::hint(name, names.iter().map(String::as_str));
            Err((format!("there is no function `{name}`"), remedy))
        }
        _ => {
            let all: Vec<String> = found.iter().map(|(_, f)| format!("{}.{}", f.interface, f.name)).collect();
            Err((format!("`{name}` is a function of several interfaces"), format!("name one of: {}", all.join(", "))))
        }
    }
}
