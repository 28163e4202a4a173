//! Messages for the operator. The host adds the time, the context's name and the trace of the request.

use std::fmt::Display;

use crate::bindings::wasi::logging::logging::{Level, log};

/// For the developers of the context; usually switched off.
pub fn debug(message: impl Display) {
    write(Level::Debug, message);
}

/// Something that an operator may want to see.
pub fn info(message: impl Display) {
    write(Level::Info, message);
}

/// Something that an operator should look at some day.
pub fn warn(message: impl Display) {
    write(Level::Warn, message);
}

/// Something that an operator must look at.
pub fn error(message: impl Display) {
    write(Level::Error, message);
}

fn write(level: Level, message: impl Display) {
    let message = message.to_string();
    if cfg!(target_family = "wasm") {
        log(level, "", &message);
    } else {
        eprintln!("{level:?}: {message}");
    }
}
