//! What a context that publishes or subscribes has more than another one: lines of its code, of its world and of its
//! scenarios.

use std::fmt::Write as _;

use wit_parser::{Function, Type, TypeDefKind};

use super::error::Error;
use super::example::{self, Known};
use super::interface::Interface;
use super::language::Language;
use super::words::{camel, snake, upper_camel};

/// The events interfaces of a new context.
#[derive(Default)]
pub struct Events {
    pub publishes: Option<Interface>,
    pub subscribes: Option<Interface>,
}

/// A placeholder of the templates, without its braces, and what stands there.
pub type Part = (&'static str, String);

impl Events {
    pub fn all(&self) -> impl Iterator<Item = &Interface> {
        self.publishes.iter().chain(&self.subscribes)
    }

    /// The folders of `wit` that they need beside the context's own, each once.
    pub fn folders(&self, own: &str) -> Vec<&str> {
        let mut folders: Vec<&str> = Vec::new();
        for folder in self.all().flat_map(|interface| &interface.folders).map(String::as_str) {
            if folder != own && !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        folders
    }

    /// What the published interface is called in the code: the two may have the same name.
    fn published_as(&self) -> String {
        let name = |interface: &Option<Interface>| interface.as_ref().map(|interface| interface.name.clone());
        match (name(&self.publishes), name(&self.subscribes)) {
            (Some(own), other) if other.as_ref() != Some(&own) => own,
            _ => "published".to_owned(),
        }
    }

    /// What the templates of a context called `name`, in the package `namespace:name`, have in place of their parts.
    ///
    /// # Errors
    /// When there is no example of an event.
    pub fn parts(&self, language: Language, namespace: &str, name: &str) -> Result<Vec<Part>, Error> {
        let mut parts = self.world(language, namespace, name);
        parts.push(("scenarios", self.scenarios()?));
        let publish = self.publish(language)?;
        parts.extend(match language {
            Language::Rust => self.rust(namespace, name, publish),
            Language::Js => self.javascript(publish),
            Language::Python => self.python(publish),
        });
        Ok(parts)
    }

    fn world(&self, language: Language, namespace: &str, name: &str) -> Vec<Part> {
        let named = |interface: &Interface| {
            let package = &interface.package;
            let is_own = package.namespace == namespace && package.name == name && language == Language::Rust;
            if is_own { interface.name.clone() } else { interface.full() }
        };
        let imports = self.publishes.iter().map(|interface| format!("  import {};\n", named(interface))).collect();
        let exports = self.subscribes.iter().map(|interface| format!("  export {};\n", named(interface))).collect();
        vec![("world_imports", imports), ("world_exports", exports)]
    }

    /// The call that publishes an event of `add`, whose entry has a `number` and a `text`.
    fn publish(&self, language: Language) -> Result<Option<String>, Error> {
        let Some(interface) = &self.publishes else { return Ok(None) };
        let Some(function) = interface.functions().next() else { return Ok(None) };
        let alias = match language {
            Language::Rust | Language::Python => snake(&self.published_as()),
            Language::Js => camel(&self.published_as()),
        };
        let mut arguments = Vec::new();
        for (param, example) in function.params.iter().zip(example::of(interface, function)?) {
            arguments.push(match (example::known(&param.name, &param.ty), language) {
                (Some(Known::Number), _) => "number".to_owned(),
                (Some(Known::Text), Language::Rust) => "&text".to_owned(),
                (Some(Known::Text), _) => "text".to_owned(),
                (None, _) => example.argument(language, &alias),
            });
        }
        let (arguments, name) = (arguments.join(", "), &function.name);
        Ok(Some(match language {
            Language::Rust => format!("{alias}::{}({arguments})", snake(name)),
            Language::Js => format!("{alias}.{}({arguments})", camel(name)),
            Language::Python => format!("{alias}.{}({arguments})", snake(name)),
        }))
    }

    fn rust(&self, namespace: &str, name: &str, publish: Option<String>) -> Vec<Part> {
        let add = match publish {
            None => "        Ok(store::add(&text)?)\n".to_owned(),
            Some(call) => format!(
                "        // The event is in the outbox when the entry is in the table, or neither is.\n        \
                 seam_sdk::store::transaction(|_| {{\n            let number = store::add(&text)?;\n            \
                 {call}.map_err(|error| entries::Error::Unavailable(error.to_string()))?;\n            Ok(number)\n        \
                 }})\n"
            ),
        };
        let module = |interface: &Interface| {
            let package = &interface.package;
            format!("{}::{}::{}", snake(&package.namespace), snake(&package.name), snake(&interface.name))
        };
        let mut uses = vec![(format!("exports::{}::{}::entries", snake(namespace), snake(name)), "pub use")];
        if let Some(interface) = &self.publishes {
            let alias = self.published_as();
            let renamed = if alias == interface.name { String::new() } else { format!(" as {}", snake(&alias)) };
            uses.push((module(interface) + &renamed, "use"));
        }
        uses.extend(self.subscribes.iter().map(|interface| (format!("exports::{}", module(interface)), "use")));
        uses.sort();
        let uses = uses.iter().map(|(path, word)| format!("{word} {path};\n")).collect();
        let paths = self.folders(name).iter().map(|folder| format!("\"../../wit/{folder}\", ")).collect();
        let handlers = self.subscribes.iter().map(|interface| rust_handlers(interface, &upper_camel(name))).collect();
        vec![("uses", uses), ("wit_paths", paths), ("add", add), ("handlers", handlers)]
    }

    fn javascript(&self, publish: Option<String>) -> Vec<Part> {
        let add = match &publish {
            None => "  add: answering((text) => add(checkedText(text))),\n".to_owned(),
            Some(call) => format!(
                "  // The event is in the outbox when the entry is in the table, or neither is.\n  \
                 add: answering((text) =>\n    store.transaction(() => {{\n      const number = add(checkedText(text));\n      \
                 {call};\n      return number;\n    }}),\n  ),\n"
            ),
        };
        let import =
            |interface: &Interface| format!("import {} from \"{}\";\n", camel(&self.published_as()), interface.full());
        let imports = self.publishes.iter().map(import).collect();
        let sdk = if publish.is_some() { "store, " } else { "" };
        let mut handlers = String::new();
        if let Some(interface) = &self.subscribes {
            handlers += &format!(
                "\n// The host calls these for each event, at least once. What they write commits with the mark that\n\
                 // the event is done; after an error, the event comes again.\nexport const {} = {{\n",
                camel(&interface.name)
            );
            for function in interface.functions() {
                let params: Vec<_> = names(function).map(|(name, used)| mark(&camel(name), used)).collect();
                let (name, params, kept) = (camel(&function.name), params.join(", "), kept(function));
                let _ = writeln!(handlers, "  {name}: answering(({params}) => {{\n    add({kept});\n  }}),");
            }
            handlers += "};\n";
        }
        vec![("add", add), ("imports", imports), ("sdk", sdk.to_owned()), ("handlers", handlers)]
    }

    fn python(&self, publish: Option<String>) -> Vec<Part> {
        let add = match &publish {
            None => "        return store.add(_checked(domain.checked_text, text))\n".to_owned(),
            Some(call) => format!(
                "        _checked(domain.checked_text, text)\n        \
                 # The event is in the outbox when the entry is in the table, or neither is.\n        \
                 with transaction():\n            number = store.add(text)\n            {call}\n        return number\n"
            ),
        };
        let transaction = if publish.is_some() { "from seam_sdk.store import transaction\n" } else { "" };
        let import = |interface: &Interface| {
            let (name, alias) = (snake(&interface.name), snake(&self.published_as()));
            let renamed = if name == alias { String::new() } else { format!(" as {alias}") };
            format!("from wit_world.imports import {name}{renamed}\n")
        };
        let imports = self.publishes.iter().map(import).collect();
        let exported = self.subscribes.iter().map(|interface| format!(", {}", snake(&interface.name))).collect();
        let mut handlers = String::new();
        if let Some(interface) = &self.subscribes {
            let module = snake(&interface.name);
            let class = upper_camel(&interface.name);
            handlers += &format!(
                "\n\nclass {class}(exports.{class}):\n    \"\"\"The host calls these for each event, at least once. What they \
                 write commits with the mark that the event is\n    done; after an error, the event comes again.\"\"\"\n"
            );
            for function in interface.functions() {
                let error = upper_camel(interface.error_of(function).unwrap_or("error"));
                let params: String =
                    names(function).map(|(name, used)| format!(", {}", mark(&snake(name), used))).collect();
                let (name, kept) = (snake(&function.name), kept(function));
                let _ = write!(
                    handlers,
                    "\n    @answering({module}.{error}_Unavailable)\n    def {name}(self{params}) -> None:\n        \
                     store.add({kept})\n"
                );
            }
        }
        vec![
            ("add", add),
            ("transaction", transaction.to_owned()),
            ("imports", imports),
            ("exported", exported),
            ("handlers", handlers),
        ]
    }

    fn scenarios(&self) -> Result<String, Error> {
        let mut scenarios = String::new();
        if let Some(interface) = &self.publishes
            && let Some(function) = interface.functions().next()
        {
            let examples = example::of(interface, function)?;
            let wave = |(param, example): (&wit_parser::Param, &example::Example)| match example::known(
                &param.name,
                &param.ty,
            ) {
                Some(Known::Text) => "\"one\"".to_owned(),
                Some(Known::Number) | None => example.wave(),
            };
            let event: Vec<_> = function.params.iter().zip(&examples).map(wave).collect();
            let _ = write!(
                scenarios,
                "\n[[scenario]]\nname = \"an entry is published\"\nwhen = [\n  {{ call = 'entries.add(\"one\")', then = \
                 'ok(1)', published = ['{}.{}({})'] }},\n]\n",
                interface.name,
                function.name,
                event.join(", ")
            );
        }
        if let Some(interface) = &self.subscribes {
            for function in interface.functions() {
                let examples = example::of(interface, function)?;
                let event: Vec<_> = examples.iter().map(example::Example::wave).collect();
                // The text of the example, or the event's name.
                let kept = kept(function).replace(TEXT, "\"text\"");
                let _ = write!(
                    scenarios,
                    "\n[[scenario]]\nname = \"an event `{name}` is kept\"\nwhen = [\n  {{ call = '{interface}.{name}({event})', \
                     then = 'ok' }},\n  {{ call = 'entries.newest(1)', then = 'ok([{{number: 1, text: {kept}}}])' }},\n]\n",
                    name = function.name,
                    interface = interface.name,
                    event = event.join(", ")
                );
            }
        }
        Ok(scenarios)
    }
}

/// The parameter that a handler keeps.
const TEXT: &str = "text";

/// What a handler keeps of an event, as an expression: its text, or the name of what happened.
fn kept(function: &Function) -> String {
    let has_text = function.params.iter().any(|param| example::known(&param.name, &param.ty) == Some(Known::Text));
    if has_text { TEXT.to_owned() } else { format!("\"{}\"", function.name) }
}

/// The parameters of an event, and whether its handler uses them.
fn names(function: &Function) -> impl Iterator<Item = (&str, bool)> {
    function.params.iter().map(|param| (&*param.name, example::known(&param.name, &param.ty) == Some(Known::Text)))
}

fn mark(name: &str, is_used: bool) -> String {
    if is_used { name.to_owned() } else { format!("_{name}") }
}

fn rust_handlers(interface: &Interface, context: &str) -> String {
    let module = snake(&interface.name);
    let mut text = format!(
        "\n/// The host calls these for each event, at least once. What they write commits with the mark that the\n\
         /// event is done; after an error, the event comes again.\nimpl {module}::Guest for {context} {{\n"
    );
    for (at, function) in interface.functions().enumerate() {
        let error = format!("{module}::{}", upper_camel(interface.error_of(function).unwrap_or("error")));
        let params: Vec<_> = function
            .params
            .iter()
            .zip(names(function))
            .map(|(param, (name, used))| {
                format!("{}: {}", mark(&snake(name), used), rust_type(interface, &module, &param.ty))
            })
            .collect();
        let kept = kept(function);
        let kept = if kept == TEXT { "&text".to_owned() } else { kept };
        let _ = write!(
            text,
            "{}    fn {}({}) -> Result<(), {error}> {{\n        store::add({kept}).map(drop).map_err(|error| \
             {error}::Unavailable(error.to_string()))\n    }}\n",
            if at > 0 { "\n" } else { "" },
            snake(&function.name),
            params.join(", ")
        );
    }
    text + "}\n"
}

/// A type as the binding gives it to an exported function.
fn rust_type(interface: &Interface, module: &str, ty: &Type) -> String {
    let of = |ty: &Type| rust_type(interface, module, ty);
    let Type::Id(id) = ty else {
        return match ty {
            Type::S8 => "i8".to_owned(),
            Type::S16 => "i16".to_owned(),
            Type::S32 => "i32".to_owned(),
            Type::S64 => "i64".to_owned(),
            Type::String => "String".to_owned(),
            // `U8` as `u8`, and so on.
            other => format!("{other:?}").to_lowercase(),
        };
    };
    let Some(def) = interface.resolve().types.get(*id) else { return String::new() };
    if let Some(name) = &def.name {
        return format!("{module}::{}", upper_camel(name));
    }
    match &def.kind {
        TypeDefKind::List(ty) => format!("Vec<{}>", of(ty)),
        TypeDefKind::Option(ty) => format!("Option<{}>", of(ty)),
        _ => String::new(),
    }
}
