//! Which file of a crate uses which other one, read from the paths that its code names.
//!
//! Read are `crate::`, `super::` and `self::` paths, and those that start with a submodule. A name that a module only
//! imports or exports again counts as the file that defines it. Code under `#[cfg(test)]` does not count, nor do files
//! of tests.

use std::collections::{BTreeMap, BTreeSet};

/// A path of modules below the crate's root; the root itself is empty.
pub type Module = Vec<String>;

/// The modules of one crate, and what each of them uses.
pub struct Crate {
    files: BTreeMap<Module, File>,
}

struct File {
    name: String,
    /// What each imported name stands for.
    imports: BTreeMap<String, Module>,
    /// Every path outside of re-exports, with its line.
    paths: Vec<(usize, Module)>,
}

/// One file that uses another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    pub from: Module,
    pub to: Module,
    /// `FILE:LINE` of it.
    pub at: String,
}

impl Crate {
    /// Of all sources below `root` (a folder, with its slash at the end), as file names and texts.
    pub fn read(root: &str, sources: &[(String, String)]) -> Self {
        let inside = |name: &str| name.strip_prefix(root).and_then(|rest| rest.strip_suffix(".rs")).map(module);
        let tokens: BTreeMap<Module, (String, Vec<Token>)> =
            sources.iter().filter_map(|(name, text)| Some((inside(name)?, (name.clone(), tokens(text))))).collect();
        let test_only: BTreeSet<Module> = tokens
            .iter()
            .flat_map(|(module, (_, tokens))| test_modules(tokens).into_iter().map(|name| child(module, &name)))
            .collect();
        let is_test = |module: &Module| (1..=module.len()).any(|length| test_only.contains(&module[..length]));
        let names: BTreeSet<Module> = tokens.keys().cloned().collect();
        let files = tokens
            .into_iter()
            .filter(|(module, _)| !is_test(module))
            .map(|(module, (name, tokens))| (module.clone(), Reader::new(&module, &names).read(name, &tokens)))
            .collect();
        Self { files }
    }

    /// The modules right below the root, with a file of each.
    pub fn top(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter_map(|(module, file)| Some((file.name.as_str(), module.first()?.as_str())))
    }

    /// Every use of one file by another.
    pub fn uses(&self) -> Vec<Use> {
        let mut uses = Vec::new();
        for (from, file) in &self.files {
            for (line, path) in &file.paths {
                let to = self.file_of(path, 0);
                if to != *from && self.files.contains_key(&to) {
                    uses.push(Use { from: from.clone(), to, at: format!("{}:{line}", file.name) });
                }
            }
        }
        uses
    }

    /// The module whose file defines what the path names.
    fn file_of(&self, path: &[String], depth: usize) -> Module {
        let length = (0..=path.len()).rev().find(|length| self.files.contains_key(&path[..*length])).unwrap_or(0);
        let (module, rest) = path.split_at(length);
        let imported = rest.first().and_then(|name| self.files.get(module)?.imports.get(name));
        match imported {
            // Imports that lead round in a circle do not compile; the bound is for those that this does not understand.
            Some(target) if depth < 8 => self.file_of(&[target.as_slice(), &rest[1..]].concat(), depth + 1),
            _ => module.to_vec(),
        }
    }
}

/// The circles among the files and subfolders of each folder: one line each, with a place for every step of it.
///
/// A module's own file (`mod.rs`) is no neighbour of the files below it: they are parts of it, may use what it defines,
/// and it uses them.
pub fn circles(root: &str, uses: &[Use]) -> Vec<String> {
    let mut folders: BTreeSet<&[String]> = BTreeSet::new();
    for module in uses.iter().flat_map(|one| [&one.from, &one.to]) {
        folders.extend((0..module.len()).map(|length| &module[..length]));
    }
    let mut found = Vec::new();
    for folder in folders {
        let mut edges: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
        for one in uses.iter().filter(|one| one.from.starts_with(folder) && one.to.starts_with(folder)) {
            // The folder's own file has no name in it.
            let (Some(from), Some(to)) = (one.from.get(folder.len()), one.to.get(folder.len())) else { continue };
            if from != to {
                edges.entry(from).or_default().entry(to).or_insert(&one.at);
            }
        }
        for members in knots(&edges) {
            let places = members.iter().flat_map(|from| {
                let inside = edges[from].iter().filter(|(to, _)| members.contains(*to));
                inside.map(move |(to, at)| format!("\n    {from} uses {to}: {at}"))
            });
            let names = members.iter().copied().collect::<Vec<_>>().join(", ");
            found.push(format!("{root}{}: a circle of {names}{}", folder.join("/"), places.collect::<String>()));
        }
    }
    found
}

/// Groups of names that each lead to all others of the group.
fn knots<'a>(edges: &BTreeMap<&'a str, BTreeMap<&'a str, &'a str>>) -> Vec<BTreeSet<&'a str>> {
    let reached = |start: &'a str| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![start]);
        while let Some(name) = next.pop() {
            next.extend(edges.get(name).into_iter().flat_map(|to| to.keys().copied()).filter(|to| seen.insert(*to)));
        }
        seen
    };
    let all: BTreeMap<&str, BTreeSet<&str>> = edges.keys().map(|name| (*name, reached(name))).collect();
    let mut groups: BTreeSet<BTreeSet<&str>> = BTreeSet::new();
    for (name, others) in all.iter().filter(|(name, others)| others.contains(*name)) {
        groups
            .insert(others.iter().copied().filter(|other| all.get(other).is_some_and(|o| o.contains(name))).collect());
    }
    groups.into_iter().collect()
}

/// `a/b/mod` and `a/b` are the module `a::b`; `lib` and `main` are the root.
fn module(path: &str) -> Module {
    let mut module: Module = path.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod") || matches!(path, "lib" | "main") {
        module.pop();
    }
    module
}

fn child(module: &[String], name: &str) -> Module {
    [module, &[name.to_owned()]].concat()
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    text: String,
    line: usize,
}

/// Words and marks, `::` as one, without comments, texts and characters.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let (mut tokens, mut i, mut line) = (Vec::new(), 0, 1);
    while i < chars.len() {
        let start = i;
        match chars[i] {
            '/' if at(i + 1) == '/' => i += chars[i..].iter().take_while(|c| **c != '\n').count(),
            '/' if at(i + 1) == '*' => {
                i += 2;
                while i < chars.len() && !(at(i - 1) == '*' && at(i) == '/' && i > start + 2) {
                    i += 1;
                }
                i += 1;
            }
            'r' if raw_hashes(&chars[i + 1..]).is_some() => {
                let end: String = format!("\"{}", "#".repeat(raw_hashes(&chars[i + 1..]).unwrap_or(0)));
                i += end.len() + 1;
                while i < chars.len() && !chars[i..].iter().take(end.len()).copied().eq(end.chars()) {
                    i += 1;
                }
                i += end.len();
            }
            '"' => {
                i += 1;
                while i < chars.len() && chars[i] != '"' {
                    i += if chars[i] == '\\' { 2 } else { 1 };
                }
                i += 1;
            }
            // A character; a lifetime has no second quote.
            '\'' if at(i + 1) == '\\' => {
                i += 3;
                while i < chars.len() && chars[i] != '\'' {
                    i += 1;
                }
                i += 1;
            }
            '\'' if at(i + 2) == '\'' => i += 3,
            c if c.is_alphanumeric() || c == '_' => {
                i += chars[i..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
                tokens.push(Token { text: chars[start..i].iter().collect(), line });
            }
            ':' if at(i + 1) == ':' => {
                i += 2;
                tokens.push(Token { text: "::".into(), line });
            }
            c => {
                i += 1;
                if !c.is_whitespace() {
                    tokens.push(Token { text: c.to_string(), line });
                }
            }
        }
        line += chars[start..i.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    tokens
}

/// How many `#` a raw text has whose `r` stands before this.
fn raw_hashes(after: &[char]) -> Option<usize> {
    let hashes = after.iter().take_while(|c| **c == '#').count();
    (after.get(hashes) == Some(&'"')).then_some(hashes)
}

fn is(tokens: &[Token], texts: &[&str]) -> bool {
    tokens.len() >= texts.len() && tokens.iter().zip(texts).all(|(token, text)| token.text == *text)
}

/// How many tokens `#[cfg(test)]` has, or `#[cfg(all(test, ..))]`, if the tokens start with one.
fn test_attribute(tokens: &[Token]) -> Option<usize> {
    let start = ["#", "[", "cfg", "("];
    if !is(tokens, &start) {
        return None;
    }
    let end = tokens.iter().position(|token| token.text == "]")?;
    let test = &tokens[start.len()..end];
    (is(test, &["test"]) || is(test, &["all", "(", "test"])).then_some(end + 1)
}

/// The names of modules in files of their own that are compiled for tests only.
fn test_modules(tokens: &[Token]) -> Vec<String> {
    let of = |at: usize| {
        let mut rest = &tokens[at + test_attribute(&tokens[at..])?..];
        while rest.first()?.text == "#" {
            rest = &rest[rest.iter().position(|token| token.text == "]")? + 1..];
        }
        let rest = &rest[rest.iter().position(|token| token.text == "mod").filter(|at| *at <= 4)?..];
        (rest.get(2)?.text == ";").then(|| rest[1].text.clone())
    };
    (0..tokens.len()).filter_map(of).collect()
}

/// Reads one file; `inline` are the modules in the file that it is in at the moment.
struct Reader<'a> {
    module: &'a [String],
    names: &'a BTreeSet<Module>,
    inline: Vec<(String, usize)>,
    imports: BTreeMap<String, Module>,
    paths: Vec<(usize, Module)>,
}

impl<'a> Reader<'a> {
    fn new(module: &'a [String], names: &'a BTreeSet<Module>) -> Self {
        Self { module, names, inline: Vec::new(), imports: BTreeMap::new(), paths: Vec::new() }
    }

    fn read(mut self, name: String, tokens: &[Token]) -> File {
        let (mut at, mut depth) = (0, 0);
        while let Some(token) = tokens.get(at) {
            let rest = &tokens[at..];
            if let Some(length) = test_attribute(rest) {
                at += length + item(&rest[length..]);
                continue;
            }
            match token.text.as_str() {
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    self.inline.pop_if(|(_, opened)| *opened == depth);
                }
                "mod" if rest.get(2).is_some_and(|third| third.text == "{") => {
                    self.inline.push((rest[1].text.clone(), depth));
                    at += 1;
                }
                // Not the `use<..>` of a type.
                "use" if rest.get(1).is_some_and(|next| next.text != "<") => {
                    let public = at > 0 && matches!(tokens[at - 1].text.as_str(), "pub" | ")");
                    let mut bound = Vec::new();
                    let used = tree(&rest[1..], &[], &mut bound);
                    for (path, name, line) in bound {
                        let Some(path) = self.resolve(&path) else { continue };
                        if self.inline.is_empty() {
                            self.imports.insert(name, path.clone());
                        }
                        if !public {
                            self.paths.push((line, path));
                        }
                    }
                    at += used;
                }
                _ if rest.get(1).is_some_and(|next| next.text == "::")
                    && (at == 0 || !matches!(tokens[at - 1].text.as_str(), "::" | "$" | ".")) =>
                {
                    let path: Vec<String> = rest
                        .chunks(2)
                        .enumerate()
                        .take_while(|(n, _)| *n == 0 || rest[2 * n - 1].text == "::")
                        .map(|(_, pair)| pair[0].text.clone())
                        .collect();
                    if let Some(path) = self.resolve(&path) {
                        self.paths.push((token.line, path));
                    }
                }
                _ => {}
            }
            at += 1;
        }
        File { name, imports: self.imports, paths: self.paths }
    }

    /// The path from the crate's root, if it does not lead to another crate.
    fn resolve(&self, path: &[String]) -> Option<Module> {
        let mut base: Module = self.module.to_vec();
        base.extend(self.inline.iter().map(|(name, _)| name.clone()));
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => (base, rest) = (Module::new(), &path[1..]),
            "self" => rest = &path[1..],
            "super" => {
                while let Some((_, after)) = rest.split_first().filter(|(first, _)| *first == "super") {
                    base.pop()?;
                    rest = after;
                }
            }
            name if self.inline.is_empty() && self.names.contains(&child(&base, name)) => {}
            _ => return None,
        }
        let rest = rest.iter().take_while(|name| !matches!(name.as_str(), "*" | "self" | "<")).cloned();
        base.extend(rest);
        // What is in an inline module is in the file.
        if base.starts_with(self.module)
            && self.inline.first().is_some_and(|(name, _)| base.get(self.module.len()) == Some(name))
        {
            return None;
        }
        Some(base)
    }
}

/// How many tokens an item has: to its `;`, or to the end of its braces.
fn item(tokens: &[Token]) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" if depth == 1 => return at + 1,
            "}" if depth == 0 => return at,
            "}" | ")" | "]" => depth -= 1,
            ";" | "," if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// Collects the paths of a use tree under `prefix`, with the name that each binds; how many tokens it has.
fn tree(tokens: &[Token], prefix: &[String], bound: &mut Vec<(Vec<String>, String, usize)>) -> usize {
    let (mut path, mut at) = (prefix.to_vec(), 0);
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token.text != "}") {
                    at += tree(&tokens[at..], &path, bound).max(1);
                    if tokens.get(at).is_some_and(|token| token.text == ",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            ";" | "," | "}" | "as" => break,
            text => {
                path.push(text.to_owned());
                at += 1;
            }
        }
    }
    let last = path.iter().rev().find(|name| *name != "self").cloned().unwrap_or_default();
    let renamed = tokens.get(at).is_some_and(|token| token.text == "as");
    let name = if renamed { tokens.get(at + 1).map_or(last, |name| name.text.clone()) } else { last };
    bound.push((path, name, tokens.first().map_or(0, |token| token.line)));
    at + if renamed { 2 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<_> = files.iter().map(|(name, text)| (format!("c/{name}"), (*text).to_owned())).collect();
        circles("c/", &Crate::read("c/", &sources).uses())
    }

    #[test]
    fn a_circle_is_found_however_its_paths_are_written() {
        let b = ("b.rs", "use crate::a::A; pub struct B;");
        for a in [
            "use crate::b::B;",
            "use super::b::B;",
            "use super::{b::{B}, c};",
            "use crate::{b as other};",
            "fn f() { let _: crate::b::B = g(); }",
            "mod inner { use super::super::b::B; }",
            "use super::B;",
        ] {
            let lib = ("lib.rs", "mod a; mod b; pub use b::B;");
            let circles = found(&[lib, ("a.rs", a), b]);
            assert!(circles.len() == 1 && circles[0].starts_with("c/: a circle of a, b\n"), "{a}: {circles:?}");
        }
    }

    #[test]
    fn a_folder_is_one_neighbour_of_the_files_beside_it() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a/mod.rs", "mod inner; pub struct A;"),
            ("a/inner.rs", "use crate::b::B;"),
            ("b.rs", "use crate::a::A; pub struct B;"),
        ];
        let circles = found(&files);
        assert!(circles.len() == 1 && circles[0].contains("a uses b: c/a/inner.rs:1"), "{circles:?}");
    }

    #[test]
    fn a_module_and_its_parts_may_use_each_other() {
        let files = [("a/mod.rs", "mod b; pub struct A; fn f() { b::g() }"), ("a/b.rs", "use super::A; pub fn g() {}")];
        assert!(found(&files).is_empty());
    }

    #[test]
    fn exports_comments_texts_and_tests_are_no_uses() {
        for a in [
            "pub struct A; // crate::b::B",
            "pub struct A; /* crate::b::B */ const T: &str = \"crate::b::B\"; const R: &str = r#\"crate::b\"B\"#;",
            "pub struct A; #[cfg(test)] mod tests { use super::*; use crate::b::B; fn f() { { } } }",
            "pub struct A; #[cfg(test)] #[allow(x)] mod more; #[cfg(test)] use crate::b::B;",
        ] {
            let b = ("b.rs", "use crate::a::A; fn f<'a>(x: &'a str) -> char { '\"' }");
            let mut files = vec![("lib.rs", "mod a; mod b; pub use a::A; pub use b::B;"), ("a.rs", a), b];
            if a.contains("mod more") {
                files.push(("a/more.rs", "use crate::b::B;"));
            }
            let circles = found(&files);
            assert!(circles.is_empty(), "{a}: {circles:?}");
        }
    }
}
