//! Names of WIT interfaces, and which of their versions are compatible.

use std::fmt;

use semver::Version;

/// `namespace:package/interface@version`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct InterfaceName {
    /// `namespace:package/interface`
    pub path: String,
    pub version: Option<Version>,
}

impl InterfaceName {
    /// `None` when `text` does not have that form. The version is optional.
    pub fn parse(text: &str) -> Option<Self> {
        let (path, version) = match text.split_once('@') {
            Some((path, version)) => (path, Some(Version::parse(version).ok()?)),
            None => (text, None),
        };
        let (package, interface) = path.split_once('/')?;
        let (namespace, package) = package.split_once(':')?;
        let named = ![namespace, package, interface].iter().any(|part| part.is_empty());
        named.then(|| Self { path: path.to_owned(), version })
    }

    /// `wasi`, `seam`, `musiccorp`
    pub fn namespace(&self) -> &str {
        self.path.split(':').next().unwrap_or_default()
    }

    /// `namespace:package`
    pub fn package(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }

    /// The last part: `albums`.
    pub fn short(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Whether `offered` satisfies an import of `self`, by the component model's rule: the versions are equal up to
    /// their first number that is not zero. This does not compare the functions' types.
    pub fn accepts(&self, offered: &Self) -> bool {
        let compatible = |a: &Version, b: &Version| match (a.major, a.minor) {
            _ if !a.pre.is_empty() || !b.pre.is_empty() => a == b,
            (0, 0) => (b.major, b.minor, b.patch) == (0, 0, a.patch),
            (0, minor) => (b.major, b.minor) == (0, minor),
            (major, _) => b.major == major,
        };
        self.path == offered.path
            && match (&self.version, &offered.version) {
                (Some(a), Some(b)) => compatible(a, b),
                (None, None) => true,
                _ => false,
            }
    }

    /// The interface among `offered` that answers an import of `self`: the one of exactly this version, else the
    /// highest that `self` accepts. So versions side by side never answer for each other, whatever their order.
    pub fn choose<T>(&self, offered: impl IntoIterator<Item = T>, name: impl Fn(&T) -> &Self) -> Option<T> {
        let accepted = offered.into_iter().filter(|item| self.accepts(name(item)));
        accepted.max_by(|a, b| {
            let (a, b) = (name(a), name(b));
            (a == self).cmp(&(b == self)).then_with(|| a.version.cmp(&b.version))
        })
    }

    /// Whether `grant`, an entry of the manifest with or without a version, covers this interface.
    pub fn granted_by(&self, grant: &str) -> bool {
        Self::parse(grant).is_some_and(|g| g.path == self.path && (g.version.is_none() || self.accepts(&g)))
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{}@{version}", self.path),
            None => f.write_str(&self.path),
        }
    }
}

/// Interfaces that the host calls; they are not seams.
const CALLED_BY_HOST: [&str; 6] = [MIGRATIONS, HTTP_HANDLER, HEALTH, INVARIANTS, RECONCILIATION, SAGA_STEPS];
pub const HEALTH: &str = "seam:host/health";
pub const HTTP_HANDLER: &str = "seam:host/http-handler";
pub const INVARIANTS: &str = "seam:host/invariants";
pub const MIGRATIONS: &str = "seam:host/migrations";
pub const RECONCILIATION: &str = "seam:host/reconciliation";
pub const SAGA_STEPS: &str = "seam:host/saga-steps";
pub const WASI_HTTP: &str = "wasi:http/incoming-handler";

/// Whether an exported interface is for other contexts, not for the host or WASI.
pub fn is_seam(name: &InterfaceName) -> bool {
    name.namespace() != "wasi" && !CALLED_BY_HOST.contains(&name.path.as_str())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compatible_up_to_the_first_number_that_is_not_zero() {
        let name = |v: &str| InterfaceName::parse(&format!("a:b/c{v}")).unwrap();
        for (imported, offered, compatible) in [
            ("@1.2.0", "@1.2.0", true),
            ("@1.2.0", "@1.9.3", true),
            ("@1.9.0", "@1.2.0", true),
            ("@1.2.0", "@2.0.0", false),
            ("@0.1.0", "@0.1.7", true),
            ("@0.1.0", "@0.2.0", false),
            ("@0.0.1", "@0.0.2", false),
            ("@1.0.0-rc.1", "@1.0.0", false),
            ("@1.0.0-rc.1", "@1.0.0-rc.1", true),
            ("", "", true),
            ("", "@1.0.0", false),
        ] {
            assert_eq!(name(imported).accepts(&name(offered)), compatible, "{imported} from {offered}");
        }
        assert!(name("@0.1.0").granted_by("a:b/c") && name("@0.1.0").granted_by("a:b/c@0.1.2"));
        assert!(!name("@0.1.0").granted_by("a:b/d") && !name("@0.1.0").granted_by("a:b/c@0.2.0"));
    }

    #[test]
    fn an_import_gets_its_own_version_or_else_the_highest_compatible_one() {
        let name = |v: &str| InterfaceName::parse(&format!("a:b/c{v}")).unwrap();
        let offered = ["@0.1.7", "@0.2.0", "@0.1.10", "@0.1.0", "@0.3.0-rc.1", ""].map(name);
        for (imported, chosen) in [
            ("@0.1.0", Some("@0.1.0")),
            ("@0.1.7", Some("@0.1.7")),
            ("@0.1.3", Some("@0.1.10")),
            ("@0.2.4", Some("@0.2.0")),
            ("@0.3.0", None),
            ("@0.3.0-rc.1", Some("@0.3.0-rc.1")),
            ("", Some("")),
        ] {
            let found = |offered: &[InterfaceName]| name(imported).choose(offered.to_vec(), |offered| offered);
            let backwards: Vec<_> = offered.iter().rev().cloned().collect();
            assert_eq!((found(&offered), found(&backwards)), (chosen.map(name), chosen.map(name)), "{imported}");
        }
    }

    #[test]
    fn malformed_names_are_none() {
        for bad in ["", "a", "a:b", "a/b", ":b/c", "a:/c", "a:b/", "a:b/c@", "a:b/c@x"] {
            assert_eq!(InterfaceName::parse(bad), None, "{bad}");
        }
    }
}
