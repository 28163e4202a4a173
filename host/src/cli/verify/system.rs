//! A system of several hosts, verified by one command: those that run on this machine verify themselves and what they
//! have in common, and the files of those that are stopped are looked at together. What a host has that is neither is
//! not checked, by name.
//!
//! Not here: what between two hosts is compared (`verify`).

use std::collections::BTreeMap;

use seam_runtime::did_you_mean;
use seam_store::chain;

use super::{CommandError, Global, How, Manifest, Part, Report, VerifyRequest, live, of_stopped};
use crate::admin::client::{Client, Error};
use crate::folder::{self, Folder};

/// What a host is to this command.
enum Found {
    Running(Client),
    Stopped,
    /// Why it is not looked at, and what to do about it.
    Away(String, String),
}

/// Verifies the hosts of which `hosts` has the manifest as each runs it.
///
/// # Errors
/// When one of them could not be looked at that could be, or the request names an unknown context.
pub fn report(global: &Global, hosts: Vec<Manifest>, request: &VerifyRequest) -> Result<Report, CommandError> {
    is_known(&hosts, request)?;
    let (mut reports, mut parts, mut stopped) = (Vec::new(), Vec::new(), Vec::new());
    let mut states = BTreeMap::new();
    for manifest in hosts {
        let Some(name) = manifest.placement.this.as_ref().map(ToString::to_string) else { continue };
        let part = |how, at| Part { name: name.clone(), how, at };
        let contexts = contexts(&manifest, request);
        match find(&manifest) {
            // It has nothing to do with what is asked for.
            _ if contexts.is_empty() => {}
            Found::Running(client) => {
                let contexts = if request.contexts.is_empty() { Vec::new() } else { contexts };
                let report = live(client, &VerifyRequest { contexts })?;
                states.insert(name.clone(), ("which runs, and does not stand still", "stop it, or start the others"));
                parts.push(part(How::Running, report.at.clone()));
                reports.push(report);
            }
            Found::Stopped => stopped.push((name, manifest)),
            Found::Away(why, remedy) => {
                states.insert(name.clone(), ("which is not on this machine", "start all hosts, and verify each"));
                parts.push(part(How::Away, String::new()));
                reports.push(Report::of_away(&name, contexts, why, remedy));
            }
        }
    }
    if !stopped.is_empty() {
        let (names, hosts): (Vec<String>, Vec<Manifest>) = stopped.into_iter().unzip();
        let request = VerifyRequest { contexts: request.contexts.clone() };
        let report = of_stopped(global, hosts, request, move |host| {
            let (what, remedy) = states.get(host).copied().unwrap_or(("of which nothing was asked for", ""));
            (format!("it lives on host `{host}`, {what}"), remedy.to_owned())
        })?;
        parts.extend(names.into_iter().map(|name| Part { name, how: How::Stopped, at: report.at.clone() }));
        reports.push(report);
    }
    Ok(Report::merged(reports, parts))
}

/// The contexts of this host with a store that are asked for.
fn contexts(manifest: &Manifest, request: &VerifyRequest) -> Vec<String> {
    let with_store = manifest.here().filter(|context| context.settings.store.is_some());
    let names = with_store.map(|context| context.settings.name.to_string());
    names.filter(|name| request.contexts.is_empty() || request.contexts.contains(name)).collect()
}

fn is_known(hosts: &[Manifest], request: &VerifyRequest) -> Result<(), CommandError> {
    let all = VerifyRequest::default();
    let known: Vec<String> = hosts.iter().flat_map(|manifest| contexts(manifest, &all)).collect();
    match request.contexts.iter().find(|name| !known.contains(name)) {
        None => Ok(()),
        Some(unknown) => {
            let hint = did_you_mean::hint(unknown, known.iter().map(String::as_str));
            Err(CommandError::message(format!("there is no context `{unknown}` with a store"), hint))
        }
    }
}

fn find(manifest: &Manifest) -> Found {
    let data = &manifest.host.data;
    let (name, address) = match manifest.placement.this_host() {
        Some(host) => (host.name.to_string(), host.address.clone()),
        None => Default::default(),
    };
    match Client::connect(data) {
        Ok(client) => Found::Running(client),
        Err(Error::NotRunning { .. }) if !folder::is_data(data) => Found::Away(
            format!(
                "host `{name}` at {address} does not run on this machine, and has no files in `{}`",
                data.display()
            ),
            format!("run `seam verify --as {name}` on its machine, while all hosts run"),
        ),
        // The lock is taken again for the look itself.
        Err(Error::NotRunning { .. }) => match Folder::lock(data) {
            Ok(_) => Found::Stopped,
            Err(error) => Found::Away(format!("host `{name}`: {}", chain(&error)), "try again in a moment".to_owned()),
        },
        Err(error) => Found::Away(format!("host `{name}`: {}", chain(&error)), error.remedy()),
    }
}
