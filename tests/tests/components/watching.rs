//! `seam up --watch`: a component's file that changes goes through the gate, however it was written.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use anyhow::Result;
use seam::app::App;
use seam::deploy::ChangeState;
use seam::manifest::Manifest;
use seam_runtime::component::Compiler;
use seam_tests::version::Version;
use seam_tests::{System, call, wait};
use wasmtime::component::Val;

/// A system in this process whose files are followed.
struct Fixture {
    app: App,
    system: System,
    runtime: tokio::runtime::Runtime,
}

impl Fixture {
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
        let expect = Val::Result(Ok(Some(Box::new(Val::U32(7 * factor)))));
        wait::until(wait::TIMEOUT, || {
            let answer = call(&self.app.registry, "numbers", "numbers.times", &[Val::U32(7)], 5_000)?;
            Ok((answer == expect).then_some(()).ok_or_else(|| format!("it answers {answer:?} and not {expect:?}")))
        })
    }

    /// Waits until so many changes have been refused.
    fn refused(&self, times: usize) -> Result<()> {
        wait::until(wait::TIMEOUT, || {
            let history = self.app.deployer.history(Some("numbers"))?;
            let refused = history.iter().filter(|entry| entry.state == ChangeState::Refused).count();
            let enough = refused >= times;
            Ok(enough
                .then_some(())
                .ok_or_else(|| format!("{refused} changes were refused and not {times}: {history:?}")))
        })
    }
}

#[test]
fn a_changed_file_serves_however_it_was_written_and_a_bad_one_does_not() -> Result<()> {
    let fixture = Fixture::new()?;
    let (file, aside) = (fixture.path("numbers.wasm"), fixture.path("aside"));
    std::fs::write(&aside, Version::times(3).wasm()?)?;
    std::fs::rename(&aside, &file)?;
    fixture.serves(3)?;

    let whole = Version::times(4).wasm()?;
    std::fs::write(&file, &whole[..whole.len() / 2])?;
    fixture.refused(1)?;
    fixture.serves(3)?;
    std::fs::write(&file, &whole)?;
    fixture.serves(4)?;

    std::fs::remove_file(&file)?;
    std::fs::write(fixture.path("five.wasm"), Version::times(5).wasm()?)?;
    symlink("five.wasm", &file)?;
    fixture.serves(5)?;
    std::fs::write(fixture.path("five.wasm"), b"")?;
    fixture.refused(2)?;
    fixture.serves(5)?;
    fixture.runtime.shutdown_background();
    Ok(())
}
