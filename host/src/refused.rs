//! Why an operator's request is refused, with what to do.

use seam_runtime::remote::Unread;
use seam_runtime::settings::BROKER;
use seam_store::HostFileError;

use crate::limits;

/// Nothing was changed, unless the message says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    pub message: String,
    /// What to do; may be empty.
    pub remedy: String,
}

impl Refused {
    pub fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: remedy.into() }
    }

    /// The context lives on another host.
    pub fn elsewhere(context: &str, host: &str) -> Self {
        if host == BROKER {
            return Self::new(
                format!("`{context}` has copies on other hosts, and none on this one"),
                "run it for one of the hosts that name it in `copies`: `--as NAME`",
            );
        }
        Self::new(format!("`{context}` lives on host `{host}`"), format!("run it for that host: `--as {host}`"))
    }
}

/// The operator's words for the audit log, if they will do. `needed`: why the action asks for them, if it does.
///
/// # Errors
/// When they are missing or too long.
pub fn reason<'w>(why: &'w str, needed: Option<&str>) -> Result<&'w str, Refused> {
    let (why, most) = (why.trim(), limits::AUDIT_WHY_CHARS_MAX);
    if let Some(needed) = needed.filter(|_| why.is_empty()) {
        return Err(Refused::new(format!("{needed}, and the audit log wants to know why"), "add `--why TEXT`"));
    }
    if why.chars().count() > most {
        return Err(Refused::new(format!("the reason has more than {most} characters"), "write a shorter one"));
    }
    Ok(why)
}

impl From<HostFileError> for Refused {
    fn from(error: HostFileError) -> Self {
        Self { message: seam_store::chain(&error), remedy: error.remedy() }
    }
}

impl From<Unread> for Refused {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Store(error) => error.into(),
            Unread::Elsewhere(failure) => {
                Self::new(failure.to_string(), "nothing was changed; try again when the other host can be reached")
            }
        }
    }
}

impl From<seam_store::Error> for Refused {
    fn from(error: seam_store::Error) -> Self {
        Self { message: error.to_string(), remedy: "`seam contexts` shows what is wrong with the file".to_owned() }
    }
}
