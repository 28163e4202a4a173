//! Which calls are meant: those of one context to another, or of all that `*` stands for.

use std::fmt;

/// `CALLER->CALLEE`, where `*` stands for every context. The default is every edge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edges {
    /// `None`: every context.
    pub caller: Option<String>,
    pub callee: Option<String>,
}

impl Edges {
    /// # Errors
    /// What is wrong, and what to write.
    pub fn parse(text: &str) -> Result<Self, (String, String)> {
        let name = |name: &str| (name != "*").then(|| name.to_owned());
        match text.split_once("->") {
            Some((caller, callee)) if !caller.is_empty() && !callee.is_empty() && !callee.contains("->") => {
                Ok(Self { caller: name(caller), callee: name(callee) })
            }
            _ => {
                let remedy = match text.ends_with('-') {
                    true => "quote the edge, `'CALLER->CALLEE'`: the shell takes `>` for the name of a file",
                    false => "write `CALLER->CALLEE`, `*->CALLEE` or `CALLER->*`",
                };
                Err((format!("`{text}` is no edge"), remedy.to_owned()))
            }
        }
    }

    pub fn has(&self, caller: &str, callee: &str) -> bool {
        let is = |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
        is(&self.caller, caller) && is(&self.callee, callee)
    }

    /// Whether it stands for every edge.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Edges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "*".to_owned());
        write!(f, "{}->{}", name(&self.caller), name(&self.callee))
    }
}
