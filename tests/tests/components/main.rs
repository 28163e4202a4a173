//! Components in this process, without HTTP or with a server of its own: linking, calls, versions, recording, engines
//! in four languages.

mod contexts;
mod engines;
mod guests;
mod linking;
mod places;
mod quick;
mod recording;
mod scenarios;
mod shadows;
mod swapping;
mod two_versions;
mod waiting;
mod wasi_http;
mod watching;
