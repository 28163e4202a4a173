//! Seam: a host for modular monoliths.
//!
//! Floors, each importing only those after it: `main -> cli -> dev -> app -> admin, check -> simulation (in tests) ->
//! standby -> harness, reconcile, relocate -> seed, delivery, sagas, schedule, timers, transactions, verify -> invoke,
//! stopped -> http, backup, build, deploy, remote, watch, logging, scaffold -> certificate, fit, homes -> manifest ->
//! folder, audit, cron, listener, pause -> refused, times -> limits`. Below are the crates `seam-runtime` (contexts,
//! linking, calls) and `seam-store` (one SQLite file for each context).

pub mod admin;
pub mod app;
pub mod audit;
pub mod backup;
pub mod build;
pub mod certificate;
pub mod check;
pub mod cli;
pub mod cron;
pub mod delivery;
pub mod deploy;
pub mod dev;
pub mod fit;
pub mod folder;
pub mod forecast;
pub mod harness;
pub mod homes;
pub mod http;
pub mod invoke;
#[cfg(test)]
mod killing;
pub mod limits;
pub mod listener;
pub mod logging;
pub mod manifest;
pub mod pause;
pub mod reconcile;
pub mod refused;
pub mod relocate;
pub mod remote;
pub mod sagas;
pub mod scaffold;
pub mod schedule;
pub mod seed;
#[cfg(test)]
mod simulation;
pub mod standby;
pub mod stopped;
pub mod timers;
pub mod times;
pub mod transactions;
pub mod verify;
pub mod watch;
