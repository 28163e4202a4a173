//! `seam audit`: what operators have changed by hand.

use std::sync::Arc;

use seam_store::HostFile;

use super::error::CommandError;
use super::global::Format;
use super::out;
use crate::admin::AuditRequest;
use crate::admin::client::{Client, Error};
use crate::audit::{Audit, AuditLine};
use crate::folder::Folder;
use crate::manifest::Manifest;

pub fn run(manifest: &Manifest, count: u32, format: Format) -> Result<(), CommandError> {
    let lines = match Client::connect(&manifest.host.data) {
        Ok(client) => client.audit(&AuditRequest { count })?,
        Err(Error::NotRunning { .. }) => {
            let folder = Folder::lock(&manifest.host.data)?;
            let host = HostFile::open(folder.path()).and_then(|host| Audit::new(Arc::new(host)));
            let lines = host.and_then(|audit| audit.lines(count));
            lines.map_err(|error| CommandError::caused_by(&error, error.remedy()))?
        }
        Err(error) => return Err(error.into()),
    };
    match format {
        Format::Json => out::json(&lines),
        Format::Human if lines.is_empty() => {
            out::note("no operator has changed anything by hand");
            Ok(())
        }
        Format::Human => out::text(&shown(&lines)),
    }
}

fn shown(lines: &[AuditLine]) -> String {
    let row = |line: &AuditLine| {
        let second = line.time.get(..19).map_or_else(|| line.time.clone(), |second| format!("{second}Z"));
        let outcome = line.outcome.clone().unwrap_or_else(|| "cut off, or goes on".into());
        vec![second, line.who.clone(), line.command.clone(), outcome, line.why.clone()]
    };
    let rows: Vec<_> = lines.iter().map(row).collect();
    out::table(&["TIME", "WHO", "COMMAND", "OUTCOME", "WHY"], &rows, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_who_did_what_and_what_came_of_it() {
        let done = AuditLine {
            id: 1,
            time: "2026-11-29T20:00:00.123Z".into(),
            who: "ada (1000)".into(),
            command: "seam events discard mail 17".into(),
            why: "a test order".into(),
            outcome: Some("done: 1 event".into()),
        };
        let cut = AuditLine { why: String::new(), outcome: None, ..done.clone() };
        let expect = "\
TIME                  WHO         COMMAND                      OUTCOME              WHY
2026-11-29T20:00:00Z  ada (1000)  seam events discard mail 17  done: 1 event        a test order
2026-11-29T20:00:00Z  ada (1000)  seam events discard mail 17  cut off, or goes on
";
        assert_eq!(shown(&[done, cut]), expect);
    }
}
