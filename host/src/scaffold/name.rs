//! The names that a context can have: each is also the name of a WIT package, a crate or module, and a folder.

use std::collections::BTreeMap;
use std::path::Path;

use seam_store::ids::ContextName;

use super::error::Error;
use super::language::Language;

/// Keywords of WIT and Rust, crates that every context is compiled with, and folders of a project.
#[rustfmt::skip]
const TAKEN: &[&str] = &[
    // WIT
    "as", "async", "bool", "borrow", "char", "constructor", "enum", "error-context", "export", "f32", "f64", "flags",
    "from", "func", "future", "import", "include", "interface", "list", "map", "option", "own", "package", "record",
    "resource", "result", "s16", "s32", "s64", "s8", "static", "stream", "string", "tuple", "type", "u16", "u32", "u64",
    "u8", "use", "variant", "with", "world",
    // Rust
    "abstract", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else", "extern", "false",
    "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override",
    "priv", "pub", "ref", "return", "self", "struct", "super", "trait", "true", "try", "typeof", "unsafe", "unsized",
    "virtual", "where", "while", "yield",
    // Crates
    "alloc", "core", "domain", "exports", "proc-macro", "rusqlite", "seam", "seam-packed", "seam-sdk",
    "seam-sdk-build", "serde", "std", "store", "test", "wit-bindgen",
    // Folders
    "build", "deps", "examples", "host", "incremental", "sdk", "sdk-js", "sdk-python",
];

/// Keywords of Python, modules that every context loads, and the standard library, which a package of that name would
/// hide.
#[rustfmt::skip]
const TAKEN_IN_PYTHON: &[&str] = &[
    // Keywords
    "and", "assert", "class", "def", "del", "elif", "except", "finally", "global", "is", "lambda", "nonlocal", "not",
    "or", "pass", "raise",
    // Modules of every context
    "app", "componentize-py-types", "wit-world",
    // The standard library
    "abc", "aifc", "annotationlib", "antigravity", "argparse", "array", "ast", "asynchat", "asyncio", "asyncore",
    "atexit", "audioop", "base64", "bdb", "binascii", "bisect", "builtins", "bz2", "calendar", "cgi", "cgitb", "chunk",
    "cmath", "cmd", "code", "codecs", "codeop", "collections", "colorsys", "compileall", "compression", "concurrent",
    "configparser", "contextlib", "contextvars", "copy", "copyreg", "crypt", "csv", "ctypes", "curses", "dataclasses",
    "datetime", "dbm", "decimal", "difflib", "dis", "distutils", "doctest", "email", "encodings", "ensurepip", "errno",
    "faulthandler", "fcntl", "filecmp", "fileinput", "fnmatch", "fractions", "ftplib", "functools", "gc",
    "genericpath", "getopt", "getpass", "gettext", "glob", "graphlib", "grp", "gzip", "hashlib", "heapq", "hmac",
    "html", "http", "idlelib", "imaplib", "imghdr", "imp", "importlib", "inspect", "io", "ipaddress", "itertools",
    "json", "keyword", "lib2to3", "linecache", "locale", "logging", "lzma", "mailbox", "mailcap", "marshal", "math",
    "mimetypes", "mmap", "modulefinder", "msilib", "msvcrt", "multiprocessing", "netrc", "nis", "nntplib", "nt",
    "ntpath", "nturl2path", "numbers", "opcode", "operator", "optparse", "os", "ossaudiodev", "pathlib", "pdb",
    "pickle", "pickletools", "pipes", "pkgutil", "platform", "plistlib", "poplib", "posix", "posixpath", "pprint",
    "profile", "pstats", "pty", "pwd", "pyclbr", "pydoc", "pyexpat", "queue", "quopri", "random", "re", "readline",
    "reprlib", "rlcompleter", "runpy", "sched", "secrets", "select", "selectors", "shelve", "shlex", "shutil",
    "signal", "site", "smtpd", "smtplib", "sndhdr", "socket", "socketserver", "spwd", "sqlite3", "ssl", "stat",
    "statistics", "stringprep", "subprocess", "sunau", "symtable", "sys", "sysconfig", "syslog", "tabnanny", "tarfile",
    "telnetlib", "tempfile", "termios", "textwrap", "this", "threading", "time", "timeit", "tkinter", "token",
    "tokenize", "tomllib", "trace", "traceback", "tracemalloc", "tty", "turtle", "turtledemo", "types", "typing",
    "unicodedata", "unittest", "urllib", "uu", "uuid", "venv", "warnings", "wave", "weakref", "webbrowser", "winreg",
    "winsound", "wsgiref", "xdrlib", "xml", "xmlrpc", "zipapp", "zipfile", "zipimport", "zlib", "zoneinfo",
];

pub fn check(name: &str, language: Language) -> Result<ContextName, Error> {
    let refused = |why| Error::Name { name: name.into(), why };
    let context = ContextName::new(name)
        .ok_or(refused("it does not consist of lower-case words of letters and digits, at most 64 bytes"))?;
    if !words_begin_with_letters(name) {
        return Err(refused("one of its words begins with a digit, which WIT does not allow"));
    }
    if is_taken(name) {
        return Err(refused("WIT, Rust or a folder of the project uses it"));
    }
    if language == Language::Python && TAKEN_IN_PYTHON.contains(&name) {
        return Err(refused("Python uses it"));
    }
    Ok(context)
}

/// Whether WIT, Rust or a folder of the project uses the word.
pub fn is_taken(word: &str) -> bool {
    TAKEN.contains(&word)
}

/// Whether WIT takes it for the name of a package or an interface.
pub fn is_wit_name(name: &str) -> bool {
    ContextName::new(name).is_some_and(|name| name.variant().is_none()) && words_begin_with_letters(name)
}

fn words_begin_with_letters(name: &str) -> bool {
    name.split('-').all(|word| word.starts_with(|c: char| c.is_ascii_lowercase()))
}

/// The namespace of the project's WIT packages: the most frequent one, or else the name of the project's folder.
pub fn namespace(folder: &Path) -> String {
    let mut found = BTreeMap::<String, usize>::new();
    let inside = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    for file in inside(&folder.join("wit")).flat_map(|package| inside(&package)) {
        if file.extension().is_some_and(|ending| ending == "wit")
            && let Some(namespace) = std::fs::read_to_string(&file).ok().as_deref().and_then(package_namespace)
        {
            *found.entry(namespace.to_owned()).or_default() += 1;
        }
    }
    found.retain(|namespace, _| !["seam", "wasi"].contains(&namespace.as_str()));
    let most = found.into_iter().max_by_key(|(_, count)| *count).map(|(namespace, _)| namespace);
    let folder = || std::path::absolute(folder).ok().and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
    let usable = |name: &String| ContextName::new(name).is_some() && words_begin_with_letters(name) && !is_taken(name);
    most.or_else(folder).filter(usable).unwrap_or_else(|| "project".into())
}

/// Of `package NAMESPACE:name@1.2.3;`.
fn package_namespace(wit: &str) -> Option<&str> {
    let line = wit.lines().find_map(|line| line.trim_start().strip_prefix("package "))?;
    line.trim_start().split_once(':').map(|(namespace, _)| namespace)
}
