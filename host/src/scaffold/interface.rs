//! The events interface that a new context publishes or subscribes to: found in the project's WIT, or new.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use seam_runtime::did_you_mean::nearest;
use wit_parser::{Function, InterfaceId, PackageName, Resolve, Type, TypeDefKind, UnresolvedPackageGroup};

use super::error::Error;
use super::name;

/// A new one: its placeholders are its own names and its package's.
const TEMPLATE: &str = include_str!("templates/events.wit.in");

/// How its name is written on the command line: `events`, `orders/events`, `acme:orders/events@0.1.0`.
struct Wanted {
    namespace: String,
    package: String,
    interface: String,
    version: Option<String>,
}

/// The project's WIT packages, as far as they can be read on their own.
pub struct Packages {
    resolve: Resolve,
    /// Each after those that it names, with its folder below `wit`.
    folders: Vec<(PackageName, String)>,
    namespace: String,
}

/// An events interface.
pub struct Interface {
    /// `namespace:package/interface`, with the version that was asked for.
    pub granted: String,
    pub package: PackageName,
    pub name: String,
    /// The folders of `wit` that it needs, each after those that it names; without the host's.
    pub folders: Vec<String>,
    /// Its file and text, if it is new.
    pub new: Option<(PathBuf, String)>,
    resolve: Resolve,
    id: InterfaceId,
}

impl Wanted {
    /// `own` is the package of an interface that is named alone; without it, that is no name.
    fn parse(text: &str, namespace: &str, own: Option<&str>) -> Result<Self, Error> {
        let refused = || Error::InterfaceName { name: text.into() };
        let (path, version) = text.split_once('@').map_or((text, None), |(path, version)| (path, Some(version)));
        let (package, interface) = match (path.split_once('/'), own) {
            (Some(found), _) => found,
            (None, Some(own)) => (own, path),
            (None, None) => return Err(refused()),
        };
        let (namespace, package) = package.split_once(':').unwrap_or((namespace, package));
        let named = [namespace, package, interface].iter().all(|word| name::is_wit_name(word));
        let versioned = version.is_none_or(|version| semver::Version::parse(version).is_ok());
        if !named || !versioned || name::is_taken(interface) || ["entries", "migrations"].contains(&interface) {
            return Err(refused());
        }
        let [namespace, package, interface] = [namespace, package, interface].map(str::to_owned);
        Ok(Self { namespace, package, interface, version: version.map(str::to_owned) })
    }

    fn path(&self) -> String {
        format!("{}:{}/{}", self.namespace, self.package, self.interface)
    }

    fn granted(&self) -> String {
        let version = self.version.as_ref().map(|version| format!("@{version}")).unwrap_or_default();
        self.path() + &version
    }
}

impl Packages {
    /// Those in the project's folder `wit`.
    ///
    /// # Errors
    /// When one of them cannot be parsed.
    pub fn read(project: &Path, namespace: &str) -> Result<Self, Error> {
        let wit = project.join("wit");
        let mut groups = Vec::new();
        let mut folders: Vec<_> = std::fs::read_dir(&wit).into_iter().flatten().flatten().collect();
        folders.sort_by_key(std::fs::DirEntry::file_name);
        for folder in folders {
            let has_wit = |path: &Path| {
                std::fs::read_dir(path).is_ok_and(|all| {
                    all.flatten().any(|file| file.path().extension().is_some_and(|ending| ending == "wit"))
                })
            };
            if has_wit(&folder.path()) {
                let group = UnresolvedPackageGroup::parse_dir(folder.path());
                let group = group.map_err(|error| unreadable(&folder.path(), &error.to_string()))?;
                groups.push((folder.file_name().to_string_lossy().into_owned(), group));
            }
        }
        let mut packages = Self { resolve: Resolve::default(), folders: Vec::new(), namespace: namespace.to_owned() };
        // Those that need what is not in `wit` are none of events.
        loop {
            let known = |name: &PackageName| packages.resolve.package_names.contains_key(name);
            let ready = |(_, group): &(String, UnresolvedPackageGroup)| group.main.foreign_deps.keys().all(known);
            let Some(at) = groups.iter().position(ready) else { break };
            let (folder, group) = groups.remove(at);
            let name = group.main.name.clone();
            let pushed = packages.resolve.push_group(group);
            pushed.map_err(|error| unreadable(&wit.join(&folder), &error.to_string()))?;
            packages.folders.push((name, folder));
        }
        Ok(packages)
    }

    /// The interface that the new context `own` publishes: a new one, unless it exists.
    ///
    /// # Errors
    /// When this cannot be its name, or it is none of events.
    pub fn to_publish(&self, text: &str, own: &str) -> Result<Interface, Error> {
        let wanted = Wanted::parse(text, &self.namespace, Some(own))?;
        // The other interface of the new context has this version.
        if wanted.package == own && wanted.version.as_deref().is_some_and(|version| version != "0.1.0") {
            return Err(Error::NoInterface { name: wanted.granted(), near: Some(format!("{}@0.1.0", wanted.path())) });
        }
        match self.find(&wanted) {
            Some(found) => self.interface(&wanted, found, None),
            None => self.made(&wanted),
        }
    }

    /// The interface that a new context subscribes to.
    ///
    /// # Errors
    /// When there is none of this name, or it is none of events.
    pub fn to_subscribe(&self, text: &str) -> Result<Interface, Error> {
        let wanted = Wanted::parse(text, &self.namespace, None)?;
        if let Some(found) = self.find(&wanted) {
            return self.interface(&wanted, found, None);
        }
        let known: Vec<String> = self.all().map(|(package, name, _)| path(package, name)).collect();
        let near = nearest(&wanted.path(), known.iter().map(String::as_str)).map(str::to_owned);
        Err(Error::NoInterface { name: wanted.granted(), near })
    }

    /// Every interface but the host's: its package, its name, and what it is.
    fn all(&self) -> impl Iterator<Item = (&PackageName, &str, InterfaceId)> {
        let packages = self.resolve.packages.iter().filter(|(_, package)| package.name.namespace != "seam");
        packages
            .flat_map(|(_, package)| package.interfaces.iter().map(|(name, id)| (&package.name, name.as_str(), *id)))
    }

    /// The newest version, unless one was named.
    fn find(&self, wanted: &Wanted) -> Option<InterfaceId> {
        let is_it = |(package, name, _): &(&PackageName, &str, InterfaceId)| {
            let version = package.version.as_ref().map(ToString::to_string);
            path(package, name) == wanted.path() && (wanted.version.is_none() || version == wanted.version)
        };
        self.all().filter(is_it).max_by_key(|(package, ..)| package.version.clone()).map(|(.., id)| id)
    }

    fn made(&self, wanted: &Wanted) -> Result<Interface, Error> {
        let is_it = |package: &PackageName| package.namespace == wanted.namespace && package.name == wanted.package;
        let known = self.folders.iter().filter(|(package, _)| is_it(package));
        let known = known.max_by_key(|(package, _)| package.version.clone());
        let version = match known.and_then(|(package, _)| package.version.as_ref()) {
            Some(version) if wanted.version.as_ref().is_some_and(|other| *other != version.to_string()) => {
                return Err(Error::NoInterface {
                    name: wanted.granted(),
                    near: Some(format!("{}@{version}", wanted.path())),
                });
            }
            Some(version) => version.to_string(),
            None => wanted.version.clone().unwrap_or_else(|| "0.1.0".to_owned()),
        };
        let folder = known.map_or(&wanted.package, |(_, folder)| folder);
        if known.is_none() && self.folders.iter().any(|(_, other)| other == folder) {
            return Err(unreadable(&Path::new("wit").join(folder), "it is the folder of another package"));
        }
        let text = TEMPLATE
            .replace("{{package}}", &format!("{}:{}@{version}", wanted.namespace, wanted.package))
            .replace("{{package_name}}", &wanted.package)
            .replace("{{interface}}", &wanted.interface);
        let file = Path::new("wit").join(folder).join(format!("{}.wit", wanted.interface));
        let failed = |reason: String| Error::Template { reason };
        let group = UnresolvedPackageGroup::parse(&file, &text).map_err(|(_, error)| failed(error.to_string()))?;
        let mut alone = Self { resolve: Resolve::default(), folders: Vec::new(), namespace: String::new() };
        let name = group.main.name.clone();
        alone.resolve.push_group(group).map_err(|error| failed(error.to_string()))?;
        alone.folders.push((name, folder.clone()));
        let found = alone.find(wanted).ok_or_else(|| failed("it has no interface".to_owned()))?;
        alone.interface(wanted, found, Some((file, text)))
    }

    /// The folders of a package and of all that its files name, each after those that it names itself.
    fn needed(&self, package: &PackageName) -> Vec<String> {
        let mut needed = BTreeSet::new();
        let mut next: Vec<_> = self.resolve.package_names.get(package).copied().into_iter().collect();
        while let Some(package) = next.pop() {
            if needed.insert(package) {
                next.extend(self.resolve.package_direct_deps(package));
            }
        }
        let is_needed = |name: &PackageName| {
            name.namespace != "seam" && self.resolve.package_names.get(name).is_some_and(|id| needed.contains(id))
        };
        self.folders.iter().filter(|(name, _)| is_needed(name)).map(|(_, folder)| folder.clone()).collect()
    }

    fn interface(&self, wanted: &Wanted, id: InterfaceId, new: Option<(PathBuf, String)>) -> Result<Interface, Error> {
        let (resolve, missing) = (self.resolve.clone(), || Error::NoInterface { name: wanted.granted(), near: None });
        let package = resolve.interfaces.get(id).and_then(|interface| interface.package).ok_or_else(missing)?;
        let package = resolve.packages.get(package).ok_or_else(missing)?.name.clone();
        let folders = self.needed(&package);
        let interface = wanted.interface.clone();
        let found = Interface { granted: wanted.granted(), package, name: interface, folders, new, resolve, id };
        found.check()?;
        Ok(found)
    }
}

impl Interface {
    /// Without a version.
    pub fn path(&self) -> String {
        path(&self.package, &self.name)
    }

    /// With its version.
    pub fn full(&self) -> String {
        let version = self.package.version.as_ref().map(|version| format!("@{version}")).unwrap_or_default();
        self.path() + &version
    }

    pub fn functions(&self) -> impl Iterator<Item = &Function> {
        self.resolve.interfaces.get(self.id).into_iter().flat_map(|interface| interface.functions.values())
    }

    /// Whether each event has a `number` by which it can keep its order.
    pub fn has_number(&self) -> bool {
        let numbered =
            |function: &Function| function.params.iter().any(|param| param.name == "number" && param.ty == Type::U64);
        self.functions().all(numbered)
    }

    pub fn resolve(&self) -> &Resolve {
        &self.resolve
    }

    pub fn id(&self) -> InterfaceId {
        self.id
    }

    /// The name of the type of a function's error.
    pub fn error_of(&self, function: &Function) -> Option<&str> {
        let Some(TypeDefKind::Result(result)) = self.kind(function.result.as_ref()?) else { return None };
        let Some(Type::Id(error)) = result.err.filter(|_| result.ok.is_none()) else { return None };
        let Some(TypeDefKind::Variant(variant)) = self.kind(&Type::Id(error)) else { return None };
        let unavailable = variant.cases.iter().any(|case| case.name == "unavailable" && case.ty == Some(Type::String));
        self.resolve.types.get(error)?.name.as_deref().filter(|_| unavailable)
    }

    /// What a type is, through its other names.
    pub fn kind(&self, ty: &Type) -> Option<&TypeDefKind> {
        let Type::Id(id) = ty else { return None };
        match &self.resolve.types.get(*id)?.kind {
            TypeDefKind::Type(other @ Type::Id(_)) => self.kind(other),
            kind => Some(kind),
        }
    }

    /// Whether its functions are events.
    fn check(&self) -> Result<(), Error> {
        let refused = |why: String| Error::NotEvents { name: self.full(), why };
        if self.functions().next().is_none() {
            return Err(refused("it has no function".to_owned()));
        }
        match self.functions().find(|function| self.error_of(function).is_none() || function.kind.is_async()) {
            Some(function) => Err(refused(format!("`{}` is answered with more than an error", function.name))),
            None => Ok(()),
        }
    }
}

fn path(package: &PackageName, interface: &str) -> String {
    format!("{}:{}/{interface}", package.namespace, package.name)
}

fn unreadable(path: &Path, reason: &str) -> Error {
    let reason = reason.lines().next().unwrap_or_default().to_owned();
    Error::Wit { path: path.into(), reason }
}
