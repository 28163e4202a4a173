//! `seam up --watch`: a component's file that changes goes through the gate, however it was written.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use seam::app::App;
use seam::context::component::Compiler;
use seam::deploy::ChangeState;
use seam::manifest::Manifest;
use seam_tests::version::Version;
use seam_tests::{System, call};
use wasmtime::component::Val;

const PATIENCE: Duration = Duration::from_secs(60);

/// A system in this process whose files are followed.
struct Scene {
    app: App,
    system: System,
    runtime: tokio::runtime::Runtime,
}

impl Scene {
    fn new() -> Result<Self> {
        let system = System::new().context("numbers", &Version::times(2).wasm()?, "capabilities = [\"clocks\"]")?;
        let app = App::load(Manifest::load(&system.write()?)?, Compiler::InProcess)?;
        let runtime = seam::app::runtime()?;
        runtime.spawn(app.follow_files());
        Ok(Self { app, system, runtime })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.system.folder.path().join(name)
    }

    /// Waits until the context multiplies by this.
    fn serves(&self, factor: u32) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let expect = Val::Result(Ok(Some(Box::new(Val::U32(7 * factor)))));
        loop {
            let said = call(&self.app.registry, "numbers", "numbers.times", &[Val::U32(7)], 5_000)?;
            if said == expect {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("it says {said:?} and not {expect:?}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until so many changes have been refused.
    fn refused(&self, times: usize) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let history = self.app.deployer.history(Some("numbers"))?;
            let refused = history.iter().filter(|entry| entry.state == ChangeState::Refused).count();
            if refused >= times {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{refused} changes were refused and not {times}: {history:?}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn a_changed_file_serves_however_it_was_written_and_a_bad_one_does_not() -> Result<()> {
    let scene = Scene::new()?;
    let (file, aside) = (scene.path("numbers.wasm"), scene.path("aside"));
    std::fs::write(&aside, Version::times(3).wasm()?)?;
    std::fs::rename(&aside, &file)?;
    scene.serves(3)?;

    let whole = Version::times(4).wasm()?;
    std::fs::write(&file, &whole[..whole.len() / 2])?;
    scene.refused(1)?;
    scene.serves(3)?;
    std::fs::write(&file, &whole)?;
    scene.serves(4)?;

    std::fs::remove_file(&file)?;
    std::fs::write(scene.path("five.wasm"), Version::times(5).wasm()?)?;
    symlink("five.wasm", &file)?;
    scene.serves(5)?;
    std::fs::write(scene.path("five.wasm"), b"")?;
    scene.refused(2)?;
    scene.serves(5)?;
    scene.runtime.shutdown_background();
    Ok(())
}
