//! Guests in JavaScript and in Python publish, subscribe and run sagas, as those in Rust do.

use anyhow::{Result, ensure};
use seam_tests::host::{Host, seam};
use seam_tests::{System, engines, wait};

#[test]
fn guests_in_javascript_and_python_publish_subscribe_and_run_sagas() -> Result<()> {
    let languages = ["keeper-js", "keeper-python"];
    let mut system = System::new();
    for name in languages {
        let entry = |of: &str| format!("{of}.\"test:keeper/events\" = {{}}");
        let lines = ["store = true", "capabilities = [\"wasi\"]"].map(str::to_owned);
        let lines = [&lines[..], &[entry("publishes"), entry("subscribes")]].concat().join("\n");
        system = system.context(name, &engines::component(name)?, &lines)?;
    }
    let manifest = system.write()?;
    let _host = Host::up(&manifest, &system.folder.path().join("data"))?;
    for name in languages {
        let ask = |call: &str| -> Result<String> {
            let ended = seam(&manifest, &["call", name, call])?;
            let said = String::from_utf8_lossy(&ended.stdout).trim().to_owned();
            ensure!(!said.is_empty(), "{name}: {call}: {}", String::from_utf8_lossy(&ended.stderr));
            Ok(said)
        };
        assert_eq!(ask("keeper.keep(\"\")")?, "err(invalid(\"no id\"))", "{name}");
        for (id, settled, steps) in
            [("good", "done at second", ["first", "second"]), ("bad", "undone at first", ["first", "first:undo"])]
        {
            let id = format!("{id}-{name}");
            assert_eq!(ask(&format!("keeper.keep({id:?})"))?, "ok", "{name}");
            wait::until(wait::TIMEOUT, || {
                let said = ask(&format!("keeper.settled({id:?})"))?;
                Ok(if said == format!("ok({settled:?})") { Ok(()) } else { Err(format!("{name}: {said}")) })
            })?;
            // What its steps wrote, and its own event at any time.
            wait::until(wait::TIMEOUT, || {
                let said = ask(&format!("keeper.notes({id:?})"))?;
                let words = said.strip_prefix("ok(\"").and_then(|said| said.strip_suffix("\")")).unwrap_or_default();
                let words: Vec<&str> = words.split(' ').collect();
                let mut own = words.clone();
                own.retain(|word| *word != "event");
                Ok(if own == steps && words.len() == 3 { Ok(()) } else { Err(format!("{name}: {said}")) })
            })?;
        }
    }
    for (name, id) in [("keeper-js", "good-keeper-python"), ("keeper-python", "good-keeper-js")] {
        wait::until(wait::TIMEOUT, || {
            let ended = seam(&manifest, &["call", name, &format!("keeper.notes({id:?})")])?;
            let said = String::from_utf8_lossy(&ended.stdout).trim().to_owned();
            Ok(if said == "ok(\"event\")" { Ok(()) } else { Err(format!("{name} has of {id}: {said}")) })
        })?;
    }
    Ok(())
}
