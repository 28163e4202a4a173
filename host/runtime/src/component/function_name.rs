//! The name of a function as people write it, in a call, a seed or a scenario, and the functions it means.

use crate::interface_name::InterfaceName;

/// `[interface.]function`. The interface is short (`desk`) or in full (`acme:orders/desk`), with or without a version
/// (`desk@0.2.0`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionName<'t> {
    /// Without the version.
    interface: Option<&'t str>,
    version: Option<&'t str>,
    function: &'t str,
}

impl<'t> FunctionName<'t> {
    /// Reads any text; one that is no name means no function.
    pub fn parse(text: &'t str) -> Self {
        // The version of an interface has dots of its own, a function has none.
        let (interface, function) = match text.rsplit_once('.') {
            Some((interface, function)) => (Some(interface), function),
            None => (None, text),
        };
        let (interface, version) = match interface.and_then(|interface| interface.split_once('@')) {
            Some((path, version)) => (Some(path), Some(version)),
            None => (interface, None),
        };
        Self { interface, version, function }
    }

    /// The functions among `all` that this name means, by their positions. A named version means the interface that an
    /// import of that version would get (`InterfaceName::choose`); without a version the name means every version.
    pub fn find<T>(&self, all: &[T], name: impl Fn(&T) -> (&InterfaceName, &str)) -> Vec<usize> {
        let means = |item: &T| {
            let (interface, function) = name(item);
            function == self.function
                && self.interface.is_none_or(|asked| interface.path == asked || interface.short() == asked)
        };
        let found: Vec<usize> = all.iter().enumerate().filter(|(_, item)| means(item)).map(|(at, _)| at).collect();
        let Some(version) = self.version else { return found };
        let interfaces: Vec<&InterfaceName> = found.iter().filter_map(|at| all.get(*at)).map(|i| name(i).0).collect();
        let chosen = |at: &usize| {
            let interface = all.get(*at).map(|item| name(item).0)?;
            let asked = InterfaceName::parse(&format!("{}@{version}", interface.path))?;
            Some(asked.choose(interfaces.iter().copied(), |name| name)? == interface)
        };
        found.iter().copied().filter(|at| chosen(at) == Some(true)).collect()
    }
}

/// How to name the function `at` among `all` so that it is found again: `desk.find` if no other function has that short
/// name, else `acme:orders/desk@0.2.0.find`.
pub fn distinct_name<T>(all: &[T], at: usize, name: impl Fn(&T) -> (&InterfaceName, &str)) -> String {
    let Some((interface, function)) = all.get(at).map(&name) else { return String::new() };
    let short = format!("{}.{function}", interface.short());
    match FunctionName::parse(&short).find(all, name)[..] {
        [_] => short,
        _ => format!("{interface}.{function}"),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn all(names: &[(&str, &'static str)]) -> Vec<(InterfaceName, &'static str)> {
        names.iter().map(|(interface, function)| (InterfaceName::parse(interface).unwrap(), *function)).collect()
    }

    fn name<'n>(item: &'n (InterfaceName, &'static str)) -> (&'n InterfaceName, &'n str) {
        (&item.0, item.1)
    }

    #[test]
    fn a_name_means_every_version_unless_it_names_one() {
        let all = all(&[
            ("t:n/numbers@0.2.0", "twice"),
            ("t:n/numbers@0.1.0", "twice"),
            ("t:n/numbers@0.2.0", "thrice"),
            ("u:n/numbers@0.1.3", "twice"),
            ("t:n/numbers@0.1.7", "twice"),
            ("t:n/plain", "once"),
        ]);
        for (text, found) in [
            ("twice", vec![0, 1, 3, 4]),
            ("numbers.twice", vec![0, 1, 3, 4]),
            ("thrice", vec![2]),
            ("t:n/numbers.twice", vec![0, 1, 4]),
            ("t:n/numbers@0.2.0.twice", vec![0]),
            ("t:n/numbers@0.1.0.twice", vec![1]),
            ("t:n/numbers@0.1.4.twice", vec![4]),
            ("t:n/numbers@0.2.9.twice", vec![0]),
            ("numbers@0.2.0.twice", vec![0]),
            ("numbers@0.1.3.twice", vec![3, 4]),
            ("t:n/numbers@0.3.0.twice", vec![]),
            ("t:n/numbers@0.1.twice", vec![]),
            ("numbers@.twice", vec![]),
            ("t:n/plain.once", vec![5]),
            ("t:n/plain@0.1.0.once", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(FunctionName::parse(text).find(&all, name), found, "{text}");
        }
    }

    #[test]
    fn a_distinct_name_means_its_function_alone() {
        let all = all(&[("t:n/numbers@0.2.0", "twice"), ("t:n/numbers@0.1.0", "twice"), ("t:n/other@0.1.0", "twice")]);
        let names: Vec<String> = (0..all.len()).map(|at| distinct_name(&all, at, name)).collect();
        assert_eq!(names, ["t:n/numbers@0.2.0.twice", "t:n/numbers@0.1.0.twice", "other.twice"]);
        for (at, text) in names.iter().enumerate() {
            assert_eq!(FunctionName::parse(text).find(&all, name), [at]);
        }
    }
}
