//! A system of which one component cannot be loaded or does not fit: its context is out of service, the others serve.

use anyhow::{Result, anyhow};
use seam::app::App;
use seam::manifest::Manifest;
use seam_runtime::component::Compiler;
use seam_runtime::serve::Error;
use seam_tests::caller_callee::{asking, numbers};
use seam_tests::version::Version;
use seam_tests::{System, call, unavailable};
use wasmtime::component::Val;

fn load(system: &System) -> Result<App> {
    Ok(App::load(Manifest::load(&system.write()?)?, Compiler::InProcess)?)
}

/// `asking` imports what `numbers` exports.
fn system() -> Result<System> {
    let imports = "store = true\nimports = [\"t:numbers/numbers\"]";
    System::new().context("numbers", &numbers(), "")?.context("asking", &asking(), imports)
}

fn out(app: &App) -> Vec<String> {
    app.registry.out_of_service().iter().map(ToString::to_string).collect()
}

fn ok(number: u32) -> Val {
    Val::Result(Ok(Some(Box::new(Val::U32(number)))))
}

#[test]
fn a_component_that_is_missing_or_garbage_stops_its_context_alone() -> Result<()> {
    for bytes in [None, Some(&b"this is no component"[..]), Some(&numbers()[..200])] {
        let system = system()?;
        let file = system.folder.path().join("numbers.wasm");
        match bytes {
            None => std::fs::remove_file(&file)?,
            Some(bytes) => std::fs::write(&file, bytes)?,
        }
        let app = load(&system)?;
        assert_eq!(out(&app), ["numbers"]);
        let generation = app.registry.live("numbers")?.generation().clone();
        let why = generation.out_of_service().ok_or_else(|| anyhow!("it says why"))?;
        assert!(why.message.contains("numbers.wasm") && !why.remedy.is_empty(), "{why:?}");
        assert_eq!(call(&app.registry, "asking", "asking.count", &[], 5_000)?, ok(1));
        let asked = call(&app.registry, "asking", "asking.ask", &[Val::U32(2)], 5_000)?;
        assert!(unavailable(&asked).is_some(), "{asked:?}");
        drop(app);
        std::fs::write(&file, numbers())?;
        let app = load(&system)?;
        assert_eq!(out(&app), [""; 0], "the control");
        assert_eq!(call(&app.registry, "asking", "asking.ask", &[Val::U32(2)], 5_000)?, ok(4));
    }
    Ok(())
}

#[test]
fn a_component_that_does_not_fit_its_neighbours_is_named() -> Result<()> {
    let system = system()?;
    // Another interface of the same name: it has no `twice`.
    std::fs::write(system.folder.path().join("numbers.wasm"), Version::times(2).wasm()?)?;
    let app = load(&system)?;
    assert_eq!(out(&app), ["asking"]);
    let generation = app.registry.live("asking")?.generation().clone();
    let why = generation.out_of_service().ok_or_else(|| anyhow!("it says why"))?;
    assert!(why.message.contains("imports `t:numbers/numbers@0.1.0.twice`"), "{why:?}");
    assert_eq!(call(&app.registry, "numbers", "numbers.times", &[Val::U32(2)], 5_000)?, ok(4));
    Ok(())
}

#[test]
fn a_system_of_which_nothing_can_start_is_refused_with_every_reason() -> Result<()> {
    let system = system()?;
    for name in ["numbers", "asking"] {
        std::fs::write(system.folder.path().join(format!("{name}.wasm")), "this is no component")?;
    }
    let loaded = App::load(Manifest::load(&system.write()?)?, Compiler::InProcess);
    let Err(seam::app::Error::Contexts(Error::Problems(problems))) = loaded else { panic!("it starts") };
    let names: Vec<_> = problems.iter().map(|problem| problem.context.to_string()).collect();
    assert_eq!(names, ["numbers", "asking"]);
    Ok(())
}
