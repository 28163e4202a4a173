//! A system of two contexts: `agency` runs sagas whose steps call `hotel`. `tests/bench/guests` has their sources.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::host::{Host, seam};
use crate::{System, news, wait};

/// The lines of `agency` in a manifest.
pub const AGENCY: &str = "store = true\ncapabilities = [\"clocks\"]\nimports = [\"seambench:shop/rooms\"]";

/// The two contexts; `agency` has more lines in its entry.
///
/// # Errors
/// When the components cannot be built.
pub fn system(lines: &str) -> Result<System> {
    let read = |name: &str| Ok::<_, anyhow::Error>(std::fs::read(news::component(name)?)?);
    System::new().context("hotel", &read("hotel")?, "store = true")?.context(
        "agency",
        &read("agency")?,
        &format!("{AGENCY}\n{lines}"),
    )
}

/// The system with a folder of its own, for the whole host.
pub struct Trips {
    pub system: System,
    manifest: PathBuf,
}

/// Where a trip stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub state: String,
    pub step: String,
    pub cause: String,
}

impl Trips {
    /// # Errors
    /// When the components cannot be built.
    pub fn new() -> Result<Self> {
        let system = system("")?;
        let manifest = system.write()?;
        Ok(Self { system, manifest })
    }

    pub fn manifest(&self) -> &Path {
        &self.manifest
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.system.folder.path().join("data")
    }

    /// Starts the host, or starts it again.
    ///
    /// # Errors
    /// As `Host::up`.
    pub fn up(&self) -> Result<Host> {
        Host::up(&self.manifest, &self.data())
    }

    /// Calls a function; its answer as JSON.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn call(&self, context: &str, call: &str) -> Result<Value> {
        let ended = seam(&self.manifest, &["call", context, call, "--format", "json"])?;
        let said = || format!("{call}: {}", String::from_utf8_lossy(&ended.stderr));
        serde_json::from_slice(&ended.stdout).with_context(said)
    }

    /// Calls a function that must succeed.
    ///
    /// # Errors
    /// With its error.
    pub fn ok(&self, context: &str, call: &str) -> Result<Value> {
        let answer = self.call(context, call)?;
        ensure!(answer.get("ok").is_some(), "{call}: {answer}");
        Ok(answer.get("ok").cloned().unwrap_or_default())
    }

    /// # Errors
    /// When it cannot be booked.
    pub fn book(&self, id: &str, plan: &str) -> Result<()> {
        self.ok("agency", &format!("trips.book({id:?}, {plan:?})")).map(drop)
    }

    /// # Errors
    /// When there is no such trip.
    pub fn status(&self, id: &str) -> Result<Status> {
        let found = self.ok("agency", &format!("trips.get-status({id:?})"))?;
        let text = |field: &str| found.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Status { state: text("state"), step: text("step"), cause: text("cause") })
    }

    /// Waits until the trip is in this state.
    ///
    /// # Errors
    /// With where it stands, when it does not get there.
    pub fn until(&self, id: &str, state: &str) -> Result<Status> {
        wait::until(Duration::from_secs(60), || {
            let now = self.status(id)?;
            Ok(if now.state == state { Ok(now) } else { Err(format!("trip {id} is not {state}: {now:?}")) })
        })
    }

    /// What the trip's steps have written, in order, with how often.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn journal(&self, id: &str) -> Result<Vec<String>> {
        let lines = self.ok("agency", &format!("trips.journal({id:?})"))?;
        Ok(serde_json::from_value(lines)?)
    }

    /// How many rooms are taken.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn rooms(&self) -> Result<u64> {
        self.ok("hotel", "rooms.taken()")?.as_u64().context("a number")
    }
}
