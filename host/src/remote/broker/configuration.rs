//! The configuration of a NATS server that lets the hosts of a system talk through it, and nothing else.
//!
//! A host is the user that its certificate names. It may call what its contexts import, answer for its copies, and read
//! its own answers. Copies look at each call themselves, too: the broker is not who decides.

use std::fmt::Write as _;
use std::path::Path;

use seam_store::ids::ContextName;

use super::envelope;
use crate::remote::names::HOST;

/// A host, as the broker knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub host: String,
    /// What its contexts import: `namespace:package/interface`, with or without a version.
    pub imports: Vec<String>,
    /// Its copies.
    pub copies: Vec<ContextName>,
}

/// The text of the configuration of a server that listens on `port` and keeps its certificate in `folder`. `contexts`:
/// those that have copies.
pub fn configuration(port: u16, folder: &Path, contexts: &[ContextName], users: &[User]) -> String {
    let file = |name: &str| quoted(&folder.join(name).display().to_string());
    let mut text = format!(
        "# Made by `seam cert broker`. A host that is new, and an import, need it to be made again.\n\
         port: {port}\n\
         # As hosts do: one that is silent for three seconds gets no more calls.\n\
         ping_interval: \"1s\"\n\
         ping_max: 2\n\
         write_deadline: \"2s\"\n\
         # The arguments of a call, or its results, with 4 KiB for the rest. Up to 16 MiB may travel.\n\
         max_payload: 8MB\n\
         max_pending: 64MB\n\
         tls {{\n  cert_file: {}\n  key_file: {}\n  ca_file: {}\n  \
         # A host is the user that its certificate names.\n  verify_and_map: true\n  min_version: \"1.3\"\n}}\n\
         authorization {{\n  users = [\n",
        file("certificate.pem"),
        file("key.pem"),
        file("authority.pem")
    );
    for user in users {
        text.push_str(&one(contexts, user));
    }
    text.push_str("  ]\n}\n");
    text
}

fn one(contexts: &[ContextName], user: &User) -> String {
    let mut packages: Vec<&str> = user.imports.iter().filter_map(|import| Some(import.split_once('/')?.0)).collect();
    packages.sort_unstable();
    packages.dedup();
    let mut publish = Vec::new();
    for context in contexts {
        let calls = envelope::calls(context.as_str());
        let calls = calls.trim_end_matches('>');
        publish.extend(packages.iter().map(|package| format!("{calls}{package}.>")));
        publish.push(envelope::cancel(context.as_str()));
    }
    let mut subscribe = vec![format!("{}.>", envelope::replies(&user.host))];
    for copy in &user.copies {
        publish.push(envelope::leave(copy.as_str()));
        // A queue group of its name: a host cannot listen to the calls of another one.
        subscribe.push(format!("{} {copy}", envelope::calls(copy.as_str())));
        subscribe.push(envelope::cancel(copy.as_str()));
    }
    let list = |subjects: &[String]| subjects.iter().map(|one| quoted(one)).collect::<Vec<_>>().join(", ");
    let mut text = String::new();
    // Writing to a string does not fail.
    writeln!(
        text,
        "    {{ user: {}, permissions: {{\n      publish: {{ allow: [{}] }}\n      subscribe: {{ allow: [{}] }}\n      \
         allow_responses: {{ max: 1, expires: \"10m\" }}\n    }} }}",
        quoted(&format!("{HOST}{}", user.host)),
        list(&publish),
        list(&subscribe)
    )
    .unwrap_or_default();
    text
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_host_may_call_what_it_imports_and_listen_for_what_it_has_a_copy_of() {
        let engine = ContextName::new("engine").unwrap();
        let user = |host: &str, imports: &[&str], copies: &[&ContextName]| User {
            host: host.to_owned(),
            imports: imports.iter().map(|import| (*import).to_owned()).collect(),
            copies: copies.iter().map(|copy| (*copy).clone()).collect(),
        };
        let users = [user("shop", &["t:engine/engine@0.1.0", "t:engine/more"], &[]), user("web", &[], &[&engine])];
        let text = configuration(4222, Path::new("/srv/\"b\""), std::slice::from_ref(&engine), &users);
        for line in [
            "  cert_file: \"/srv/\\\"b\\\"/certificate.pem\"\n",
            "user: \"seam://host/shop\"",
            "publish: { allow: [\"seam.v1.call.engine.t:engine.>\", \"seam.v1.cancel.engine\"] }\n      \
             subscribe: { allow: [\"seam.v1.reply.shop.>\"] }\n",
            "publish: { allow: [\"seam.v1.cancel.engine\", \"seam.v1.call.engine.leave\"] }\n      \
             subscribe: { allow: [\"seam.v1.reply.web.>\", \"seam.v1.call.engine.> engine\", \"seam.v1.cancel.engine\"] }",
        ] {
            assert!(text.contains(line), "{line}\nin\n{text}");
        }
    }
}
