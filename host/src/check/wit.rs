//! The WIT packages in the folder `wit`: whether they can be read, and whether the components implement them as they
//! are.

use std::path::{Path, PathBuf};

use seam_runtime::component::{ContextSpec, Interface, is_seam, wit_of};
use wit_parser::{Handle, PackageName, Resolve, Type, TypeDefKind, UnresolvedPackageGroup};

use crate::manifest::{Manifest, Place, Problem};

/// The packages that could be read; what is wrong with the others goes to `problems`.
pub fn read(manifest: &Manifest, problems: &mut Vec<Problem>) -> Resolve {
    let mut groups = Vec::new();
    for folder in folders(&manifest.folder().join("wit")) {
        match UnresolvedPackageGroup::parse_dir(&folder) {
            Ok(group) => groups.push(group),
            Err(error) => problems.push(problem(&error.to_string(), &folder)),
        }
    }
    let mut resolve = Resolve::default();
    let broken = !problems.is_empty();
    loop {
        let known = |name: &PackageName| resolve.package_names.contains_key(name);
        let ready = |group: &UnresolvedPackageGroup| group.main.foreign_deps.keys().all(known);
        let Some(at) = groups.iter().position(ready) else { break };
        let group = groups.remove(at);
        // A failed push leaves a part behind.
        let before = resolve.clone();
        if let Err(error) = resolve.push_group(group) {
            problems.push(problem(&resolve.render_error(&error.into()), &manifest.folder().join("wit")));
            resolve = before;
        }
    }
    // What is left needs a package that is not here, or that is broken and said so. Packages of other origin lie in the
    // folders of those who use them, so a missing one is reported only if no folder has it.
    for group in groups.iter().filter(|_| !broken) {
        let mine = |name: &PackageName| groups.iter().any(|other| other.main.name == *name);
        let mut missing = group.main.foreign_deps.keys().filter(|name| !resolve.package_names.contains_key(*name));
        if let Some(name) = missing.find(|name| !mine(name) && !is_of_host(name)) {
            let message = format!("`{}` uses the package `{name}`, which is not in `wit`", group.main.name);
            let file = manifest.folder().join("wit").join(&group.main.name.name);
            let remedy = "put its WIT into a folder of `wit`, or correct its name".to_owned();
            problems.push(Problem::new(Place::default(), message, remedy).in_file(file));
        }
    }
    resolve
}

/// Packages that tools bring with them.
fn is_of_host(name: &PackageName) -> bool {
    name.namespace == "wasi" || name.namespace == "seam"
}

/// The folders of packages: those in `wit` that hold `.wit` files.
fn folders(wit: &Path) -> Vec<PathBuf> {
    let holds_wit = |folder: &PathBuf| {
        let entries = std::fs::read_dir(folder);
        entries.is_ok_and(|mut all| all.any(|e| e.is_ok_and(|e| e.path().extension().is_some_and(|e| e == "wit"))))
    };
    let mut folders: Vec<PathBuf> = std::fs::read_dir(wit)
        .map(|entries| entries.flatten().map(|entry| entry.path()).filter(holds_wit).collect())
        .unwrap_or_default();
    folders.sort();
    folders
}

/// From the parser's words, which end in `--> FILE:LINE:COLUMN` and an excerpt.
fn problem(said: &str, folder: &Path) -> Problem {
    let message = said.lines().next().unwrap_or_default().trim().replace('\'', "`");
    let at = said.lines().find_map(|line| line.trim_start().strip_prefix("--> "));
    let mut parts = at.unwrap_or_default().rsplitn(3, ':');
    let mut number = || parts.next().and_then(|text| text.trim().parse().ok()).unwrap_or_default();
    let (column, line) = (number(), number());
    let file = parts.next().map_or(folder.to_owned(), PathBuf::from);
    let remedy = "correct it: no build can read it".to_owned();
    Problem::new(Place { line, column }, format!("the WIT cannot be read: {message}"), remedy).in_file(file)
}

/// Where a component's seams are not those of its WIT.
pub fn differences(manifest: &Manifest, resolve: &Resolve, spec: &ContextSpec) -> Vec<Problem> {
    let name = &spec.settings.name;
    let place = manifest.context(name.as_str()).map_or(Place::default(), |context| context.places.of("component"));
    let differs = |(interface, exported): (&Interface, bool)| {
        let difference = difference(resolve, interface, exported)?;
        let verb = if exported { "exports" } else { "imports" };
        let message = format!("`{name}` {verb} `{}` other than its WIT: {difference}", interface.name);
        Some(Problem::new(place, message, "build it again, or put the WIT back that it was built from"))
    };
    let exports = spec.component.exports.iter().map(|interface| (interface, true));
    let imports = spec.component.imports.iter().map(|interface| (interface, false));
    exports.chain(imports).filter(|(interface, _)| is_seam(&interface.name)).filter_map(differs).collect()
}

/// How a component's interface differs from the WIT of the same version. `None` also if there is no such WIT.
fn difference(resolve: &Resolve, interface: &Interface, exported: bool) -> Option<String> {
    let full = interface.name.to_string();
    let (_, wit) = resolve.interfaces.iter().find(|(id, _)| resolve.id_of(*id).as_deref() == Some(&*full))?;
    for (function, built) in &interface.functions {
        let Some(wit) = wit.functions.get(function) else { return Some(format!("the WIT has no `{function}`")) };
        let params = wit.params.iter().map(|param| format!("{}: {}", param.name, text(resolve, &param.ty)));
        let result = wit.result.as_ref().map(|ty| format!(" -> {}", text(resolve, ty))).unwrap_or_default();
        let wit = format!("{function}({}){result}", params.collect::<Vec<_>>().join(", "));
        let built = wit_of(function, built);
        // `?` stands for what has no text.
        if built != wit && !built.contains('?') && !wit.contains('?') {
            return Some(format!("it has `{built}`, the WIT `{wit}`"));
        }
    }
    let has = |function: &&String| interface.functions.iter().any(|(built, _)| built == *function);
    let missing = wit.functions.keys().find(|function| !has(function)).filter(|_| exported);
    missing.map(|function| format!("it has no `{function}`"))
}

/// A type as `seam_runtime::component::wit_type` writes it.
fn text(resolve: &Resolve, ty: &Type) -> String {
    let id = match ty {
        Type::Bool => return "bool".to_owned(),
        Type::U8 => return "u8".to_owned(),
        Type::U16 => return "u16".to_owned(),
        Type::U32 => return "u32".to_owned(),
        Type::U64 => return "u64".to_owned(),
        Type::S8 => return "s8".to_owned(),
        Type::S16 => return "s16".to_owned(),
        Type::S32 => return "s32".to_owned(),
        Type::S64 => return "s64".to_owned(),
        Type::F32 => return "f32".to_owned(),
        Type::F64 => return "f64".to_owned(),
        Type::Char => return "char".to_owned(),
        Type::String => return "string".to_owned(),
        Type::ErrorContext => return "?".to_owned(),
        Type::Id(id) => *id,
    };
    let of = |ty: &Type| text(resolve, ty);
    let maybe = |ty: &Option<Type>| ty.as_ref().map_or("_".to_owned(), of);
    let joined = |all: Vec<String>, with: &str| all.join(with);
    match resolve.types.get(id).map(|def| &def.kind) {
        Some(TypeDefKind::Type(ty)) => of(ty),
        Some(TypeDefKind::List(ty)) => format!("list<{}>", of(ty)),
        Some(TypeDefKind::Option(ty)) => format!("option<{}>", of(ty)),
        Some(TypeDefKind::Result(result)) => format!("result<{}, {}>", maybe(&result.ok), maybe(&result.err)),
        Some(TypeDefKind::Tuple(tuple)) => format!("tuple<{}>", joined(tuple.types.iter().map(of).collect(), ", ")),
        Some(TypeDefKind::Record(record)) => {
            let fields = record.fields.iter().map(|field| format!("{}: {}", field.name, of(&field.ty)));
            format!("{{{}}}", joined(fields.collect(), ", "))
        }
        Some(TypeDefKind::Variant(variant)) => {
            let case = |case: &wit_parser::Case| match &case.ty {
                Some(ty) => format!("{}({})", case.name, of(ty)),
                None => case.name.clone(),
            };
            joined(variant.cases.iter().map(case).collect(), " | ")
        }
        Some(TypeDefKind::Enum(cases)) => joined(cases.cases.iter().map(|case| case.name.clone()).collect(), " | "),
        Some(TypeDefKind::Flags(flags)) => {
            format!("flags {{{}}}", joined(flags.flags.iter().map(|flag| flag.name.clone()).collect(), ", "))
        }
        Some(TypeDefKind::Handle(Handle::Own(_) | Handle::Borrow(_))) | Some(_) | None => "?".to_owned(),
    }
}
