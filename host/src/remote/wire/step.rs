//! One step of moving a context between two hosts, as a request: docs/remote-calls.md, "Moving a context".

use bytes::Bytes;
use http::Request;
use http::uri::Authority;
use seam_store::ids::ContextName;

use super::FORM;
use super::head::{common, is_function, unreadable, uri};
use super::outcome::Rejection;
use crate::remote::config::System;

/// The first segment of the path, after the form. A context of this name has calls with more segments.
pub const FIRST: &str = "moves";

/// What is asked of the other host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub context: ContextName,
    /// Kebab case. The crate's module `relocate` knows the names.
    pub name: String,
}

/// # Errors
/// Which part cannot travel.
pub fn request(authority: &Authority, system: &System, step: &Step, body: Bytes) -> Result<Request<Bytes>, String> {
    let path = format!("/{FORM}/{FIRST}/{}/{}", step.context, step.name);
    let mut request = Request::new(body);
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = uri(authority, &path).ok_or_else(|| format!("`{path}` cannot be sent as a path"))?;
    common(request.headers_mut(), system);
    Ok(request)
}

/// # Errors
/// Which segment of the path is wrong.
pub fn read(context: &str, name: &str) -> Result<Step, Rejection> {
    let invalid = |what: &str, text: &str| unreadable(format!("`{}` is no {what}", text.escape_debug()));
    let context = ContextName::new(context).ok_or_else(|| invalid("name of a context", context))?;
    match is_function(name) {
        true => Ok(Step { context, name: name.to_owned() }),
        false => Err(invalid("step of a move", name)),
    }
}
