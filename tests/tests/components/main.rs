//! Components in this process, without HTTP or with a server of its own: linking, calls, versions, recording, engines
//! in four languages.

mod apart;
mod apart_events;
mod attempts;
mod bounds;
mod bulkheads;
mod contexts;
mod engines;
mod forecasting;
mod fuzzing;
mod guests;
mod linking;
mod outgoing;
mod places;
mod pretending;
mod quick;
mod recording;
mod saga_driver;
mod sagas;
mod scenarios;
mod shadows;
mod slow_clients;
mod swapping;
mod together;
mod two_versions;
mod waiting;
mod wasi_http;
mod watching;
