//! Why a command fails.

use std::path::Path;

use seam_runtime::did_you_mean;
use seam_runtime::route;
use seam_store::chain;

use crate::admin::{self, ErrorMessage};
use crate::manifest::{self, Manifest, Problem, Problems};
use crate::{backup, folder, invoke, logging, seed, verify};

/// Why a command ends with exit code 1, unless a case says otherwise.
#[derive(Debug)]
pub enum CommandError {
    /// The command has printed the reason.
    Reported,
    Message(ErrorMessage),
    Problems(Problems),
    /// The command could not find out what it was asked, for this reason; it ends with exit code 2.
    Unknown(Box<CommandError>),
}

impl CommandError {
    pub fn message(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Message(ErrorMessage { message: message.into(), excerpt: None, remedy: remedy.into() })
    }

    /// `error` with its causes.
    pub fn caused_by(error: &dyn std::error::Error, remedy: impl Into<String>) -> Self {
        Self::message(chain(error), remedy)
    }
}

impl From<Problems> for CommandError {
    fn from(problems: Problems) -> Self {
        Self::Problems(problems)
    }
}

impl From<manifest::NoHost> for CommandError {
    fn from(error: manifest::NoHost) -> Self {
        Self::caused_by(&error, error.remedy())
    }
}

impl From<admin::client::Error> for CommandError {
    fn from(error: admin::client::Error) -> Self {
        match error {
            admin::client::Error::ErrorMessage(message) => Self::Message(message),
            other => Self::caused_by(&other, other.remedy()),
        }
    }
}

impl From<invoke::Error> for CommandError {
    fn from(error: invoke::Error) -> Self {
        Self::Message(ErrorMessage::from(&error))
    }
}

impl From<seed::Error> for CommandError {
    fn from(error: seed::Error) -> Self {
        match error {
            seed::Error::Misfit { manifest, place, message, remedy } => {
                Self::Problems(Problems::new(&manifest, vec![Problem::new(place, message, remedy)]))
            }
            other => Self::Message(ErrorMessage::from(&other)),
        }
    }
}

impl From<backup::Error> for CommandError {
    fn from(error: backup::Error) -> Self {
        Self::Message(ErrorMessage::from(&error))
    }
}

impl From<verify::Error> for CommandError {
    fn from(error: verify::Error) -> Self {
        Self::Message(ErrorMessage::from(&error))
    }
}

impl From<folder::Error> for CommandError {
    fn from(error: folder::Error) -> Self {
        Self::caused_by(&error, error.remedy())
    }
}

impl From<logging::Error> for CommandError {
    fn from(error: logging::Error) -> Self {
        let remedy = match &error {
            logging::Error::Filter { .. } => {
                "write a level such as `info` or `debug`, or a filter such as `info,guest=debug`"
            }
            logging::Error::Files { .. } => {
                "correct the permissions of the folder, or name another `data` folder in `[host]`"
            }
            logging::Error::Twice(_) => "",
        };
        Self::caused_by(&error, remedy)
    }
}

impl From<route::RouteRejected> for CommandError {
    fn from(refused: route::RouteRejected) -> Self {
        Self::caused_by(&refused, refused.remedy())
    }
}

pub fn unknown_context(manifest: &Manifest, name: &str) -> CommandError {
    let hint = did_you_mean::hint(name, manifest.contexts.iter().map(|context| context.settings.name.as_str()));
    CommandError::message(format!("there is no context `{name}`"), hint)
}

/// The application's error, with the manifest's line where it concerns a context.
pub fn app_error(manifest: &Path, contexts: &[manifest::Context], error: crate::app::Error) -> CommandError {
    use crate::app;
    match error {
        app::Error::Contexts(seam_runtime::serve::Error::Problems(all)) => {
            let all = all.iter().map(|problem| manifest::located(contexts, problem)).collect();
            CommandError::Problems(Problems::new(manifest, all))
        }
        app::Error::Host(error) => CommandError::caused_by(&error, error.remedy()),
        app::Error::Deploy(error) => CommandError::caused_by(&error, error.remedy()),
        app::Error::Http(error) => CommandError::caused_by(&error, error.remedy()),
        app::Error::Homes(error) => error.into(),
        app::Error::Remote(error) => CommandError::caused_by(&error, error.remedy()),
        error @ app::Error::Contexts(seam_runtime::serve::Error::Component(seam_runtime::component::Error::Cache {
            ..
        })) => CommandError::caused_by(
            &error,
            "correct the permissions of the data folder, or name another folder in `data` of `[host]`",
        ),
        other => CommandError::caused_by(&other, ""),
    }
}

impl From<crate::homes::Error> for CommandError {
    fn from(error: crate::homes::Error) -> Self {
        Self::caused_by(&error, error.remedy())
    }
}
