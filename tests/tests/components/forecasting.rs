//! What a running host has counted of the calls between real components, and the forecast that comes of it.

use anyhow::{Context, Result, ensure};
use seam::admin::ForecastRequest;
use seam::admin::client::Client;
use seam::forecast::{Snapshot, Way, forecast};
use seam_runtime::codec;
use seam_runtime::serve::Registry;
use seam_tests::caller_callee::{asking, numbers};
use seam_tests::host::Host;
use seam_tests::{System, call};
use wasmtime::component::Val;

const MS: u64 = 60_000;
const WAY: Way = Way { round_trip_us: 500.0, bytes_per_s: 1e9 };

fn system() -> Result<System> {
    let lines = "imports = [\"t:numbers/numbers\"]\nstore = true";
    System::new().context("numbers", &numbers(), "")?.context("asking", &asking(), lines)
}

fn ask(registry: &Registry, n: u32) -> Result<Val> {
    call(registry, "asking", "asking.ask", &[Val::U32(n)], MS)
}

#[test]
fn each_answered_call_is_counted_and_its_bytes_are_those_that_would_travel() -> Result<()> {
    let system = system()?;
    let registry = system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    // Each asks twice. The last one traps, and gives no answer.
    for n in [4, 4, 4, 13] {
        ask(&registry, n)?;
    }
    let traffic = registry.traffic();
    let [edge] = &traffic[..] else { anyhow::bail!("{traffic:?}") };
    assert_eq!((&*edge.caller, &*edge.callee, &*edge.name()), ("asking", "numbers", "t:numbers/numbers.twice"));
    assert_eq!((edge.calls, edge.sampled), (7, 1));
    let live = registry.live("numbers")?;
    let signature = &live.generation().exports().first().context("twice")?.signature;
    let bytes = |value: Val, types: Vec<wasmtime::component::types::Type>| -> Result<u64> {
        let mut bytes = Vec::new();
        codec::encode(&[value], &types, &mut bytes)?;
        Ok(bytes.len() as u64)
    };
    let request = bytes(Val::U32(4), signature.params().map(|(_, ty)| ty).collect())?;
    let answer = bytes(Val::Result(Ok(Some(Box::new(Val::U32(8))))), signature.results().collect())?;
    assert_eq!((edge.request_bytes, edge.answer_bytes), (request, answer));
    Ok(())
}

#[test]
fn recorded_calls_say_what_they_led_to() -> Result<()> {
    let system = system()?;
    let registry = system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    // Every call is recorded while a log runs.
    registry.live("asking")?.generation().recorder.start_log(false);
    (0..3).try_for_each(|_| ask(&registry, 4).map(drop))?;
    let paths = registry.paths();
    let path = paths.iter().find(|path| path.name == "t:asking/asking.ask").context("the path")?;
    let made: Vec<_> = path.made.iter().map(|made| (&*made.callee, &*made.function, made.calls)).collect();
    assert_eq!((&*path.context, path.samples, made), ("asking", 3, vec![("numbers", "t:numbers/numbers.twice", 6)]));
    ensure!(!path.is_page() && path.took_us > 0);
    let moved = forecast(&Snapshot::of(&registry, 10.0), "numbers", WAY);
    let [edge] = &moved.edges[..] else { anyhow::bail!("{:?}", moved.edges) };
    ensure!(edge.calls == 6 && edge.added_us > WAY.round_trip_us, "{edge:?}");
    Ok(())
}

#[test]
fn a_running_host_is_asked_for_a_forecast_over_its_socket() -> Result<()> {
    let system = system()?;
    let (manifest, data) = (system.write()?, system.folder.path().join("data"));
    let _host = Host::up(&manifest, &data)?;
    seam_tests::host::seam(&manifest, &["call", "asking", "asking.ask(4)"])?;
    let ask =
        |context: &str| Client::connect(&data)?.forecast(&ForecastRequest { context: context.to_owned(), way: WAY });
    let moved = ask("numbers")?;
    let [edge] = &moved.edges[..] else { anyhow::bail!("{:?}", moved.edges) };
    ensure!((&*edge.caller, edge.calls) == ("asking", 2), "{edge:?}");
    let asking = ask("asking")?.store.context("its file")?;
    ensure!(asking.file_bytes > 0, "{asking:?}");
    let refused = ask("nambers").unwrap_err();
    assert_eq!(refused.to_string(), "there is no context `nambers`");
    Ok(())
}
