//! Seam: a host for modular monoliths.
//!
//! Floors, each importing only what stands after it: `cli -> dev -> app -> admin -> seed, follow, harness -> invoke -> http, build, deploy, watch, logging,
//! scaffold -> json -> context -> seam -> store -> manifest -> call -> folder, handoff, ids, limits`. The one call that must go up, a guest calling another
//! context, is the trait `seam::dispatch::Dispatch`.

pub mod admin;
pub mod app;
pub mod build;
pub mod cli;
pub mod deploy;
pub mod dev;
pub mod folder;
pub mod follow;
pub mod harness;
pub mod http;
pub mod invoke;
pub mod json;
pub mod limits;
pub mod logging;
pub mod manifest;
pub mod scaffold;
pub mod seed;
pub mod watch;

pub use seam_runtime as context;
pub use seam_runtime::{call, did_you_mean, guest as seam};
pub use seam_store as store;
pub use seam_store::ids;

/// Giving the runtime's worker away, under the names of before.
pub mod handoff {
    pub use seam_store::blocking::{block_in_place as blocking, block_on, yield_worker as step_aside};
}
