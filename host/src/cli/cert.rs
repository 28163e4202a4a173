//! `seam cert`: the authority of a system and the certificates of its hosts, as files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use clap::{Args, Subcommand};
use seam_store::HostFile;
use seam_store::ids::ContextName;

use super::broker;
use super::error::CommandError;
use super::global::{Format, Global};
use super::out;
use crate::audit::{self, Act, Audit};
use crate::refused::Refused;
use crate::remote::Described;
use crate::remote::authority::{self, Host};
use crate::{folder, limits};

#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make the authority that signs the certificates of all hosts
    Authority {
        #[command(flatten)]
        of: Of,
        /// For how many days it is valid
        #[arg(long, default_value_t = limits::AUTHORITY_DAYS)]
        days: u32,
        /// Make another one; hosts go on trusting the one before as well
        #[arg(long, conflicts_with = "forget")]
        replace: bool,
        /// Make none: stop trusting those before the newest
        #[arg(long)]
        forget: bool,
    },
    /// Make the certificate of a host
    Host {
        /// The name of the host in the manifest
        name: String,
        /// The contexts that may live there; by default those that do by the manifest
        #[arg(long, value_delimiter = ',', value_name = "NAMES")]
        contexts: Vec<String>,
        /// Names of DNS and addresses, for other programs: hosts do not look at them
        #[arg(long, value_delimiter = ',', value_name = "NAMES")]
        names: Vec<String>,
        #[command(flatten)]
        of: Of,
        /// Where the host's files go; by default the host's `certificates` in the manifest, and with `--folder` the
        /// folder NAME below that one
        #[arg(long, value_name = "FOLDER")]
        into: Option<PathBuf>,
        /// For how many days it is valid
        #[arg(long, default_value_t = limits::CERTIFICATE_DAYS)]
        days: u32,
        /// Replace the certificate and the key that are there
        #[arg(long)]
        replace: bool,
    },
    /// Make the certificate and the configuration of the broker behind which contexts have copies
    Broker {
        #[command(flatten)]
        of: Of,
        /// Where its files go; by default `broker` in the folder of the authority
        #[arg(long, value_name = "FOLDER")]
        into: Option<PathBuf>,
        /// For how many days the certificate is valid
        #[arg(long, default_value_t = limits::CERTIFICATE_DAYS)]
        days: u32,
        /// Replace the certificate and the key that are there, and not the configuration alone
        #[arg(long)]
        replace: bool,
    },
    /// Show what is in a file of certificates, or of revoked ones
    Show {
        file: PathBuf,
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Revoke a certificate: hosts that have the list close its connections
    Revoke {
        /// The certificate
        file: PathBuf,
        #[command(flatten)]
        of: Of,
    },
}

/// Which authority.
#[derive(Debug, Args)]
struct Of {
    /// The folder of the authority; by default `certificates` in the data folder
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

impl Of {
    fn folder(self, global: &Global) -> Result<PathBuf, CommandError> {
        match self.folder {
            Some(folder) => Ok(folder),
            None => Ok(global.load()?.host.data.join("certificates")),
        }
    }
}

impl From<authority::Error> for CommandError {
    fn from(error: authority::Error) -> Self {
        Self::caused_by(&error, error.remedy())
    }
}

pub fn run(global: &Global, options: Options) -> Result<(), CommandError> {
    let data = global.load().ok().map(|manifest| manifest.host.data);
    let command = options.verb.command();
    // Where no host keeps its data, as where the authority's key lies apart, there is no log either.
    let Some((data, command)) = data.filter(|data| folder::is_data(data)).zip(command) else {
        return make(global, options);
    };
    let log = HostFile::open(&data).and_then(|file| Audit::new(Arc::new(file)));
    let log = log.map_err(|error| CommandError::caused_by(&error, error.remedy()))?;
    let who = audit::user(rustix::process::getuid().as_raw());
    let mut made = None;
    let noted = log.act(&Act { who: &who, command: &command, why: "" }, || {
        let done = make(global, options);
        let outcome = match &done {
            Ok(()) => Ok(((), "written".to_owned())),
            Err(CommandError::Message(error)) => Err(Refused::new(error.message.clone(), "")),
            Err(_) => Err(Refused::new("the command has said why", "")),
        };
        made = Some(done);
        outcome
    });
    made.unwrap_or_else(|| noted.map_err(|refused| CommandError::message(refused.message, refused.remedy)))
}

impl Verb {
    /// As it would be typed, if it changes something.
    fn command(&self) -> Option<String> {
        Some(match self {
            Self::Authority { forget: true, .. } => "seam cert authority --forget".to_owned(),
            Self::Authority { replace, .. } => {
                format!("seam cert authority{}", if *replace { " --replace" } else { "" })
            }
            Self::Host { name, contexts, replace, .. } => {
                let contexts = match contexts.is_empty() {
                    true => String::new(),
                    false => format!(" --contexts {}", audit::quoted(&contexts.join(","))),
                };
                format!("seam cert host {}{contexts}{}", audit::quoted(name), if *replace { " --replace" } else { "" })
            }
            Self::Broker { replace, .. } => {
                format!("seam cert broker{}", if *replace { " --replace" } else { "" })
            }
            Self::Show { .. } => return None,
            Self::Revoke { file, .. } => format!("seam cert revoke {}", audit::quoted(&file.to_string_lossy())),
        })
    }
}

fn make(global: &Global, options: Options) -> Result<(), CommandError> {
    match options.verb {
        Verb::Authority { of, days, replace, forget } => {
            let folder = of.folder(global)?;
            let mut written = match forget {
                true => vec![authority::forget(&folder)?],
                false => authority::make_authority(&folder, days, replace)?,
            };
            written.extend(authority::share_with_hosts(&folder)?);
            wrote(&written);
            if replace {
                out::note(
                    "give every host the new `authority.pem`, then a new certificate with `seam cert host NAME \
                     --replace`, and then run `seam cert authority --forget`",
                );
            }
            Ok(())
        }
        Verb::Host { name, contexts, names, of, into, days, replace } => {
            let into = into.or_else(|| of.folder.as_ref().map(|folder| folder.join(&name)));
            let (contexts, into) = placed(global, &name, contexts, into)?;
            let folder = of.folder(global)?;
            let written = authority::make_host(&folder, &into, &Host { name, contexts, names, days }, replace)?;
            wrote(&written);
            Ok(())
        }
        Verb::Broker { of, into, days, replace } => {
            let folder = of.folder(global)?;
            wrote(&broker::make(global, &folder, into, days, replace)?);
            Ok(())
        }
        Verb::Show { file, format } => show(&file, format),
        Verb::Revoke { file, of } => {
            let revoked = authority::revoke(&of.folder(global)?, &file)?;
            wrote(&revoked.written);
            let is = if revoked.was_revoked { "was revoked before" } else { "is revoked" };
            out::note(&format!("the certificate with the serial number {} {is}", revoked.serial));
            out::note("copy `revoked.pem` to the hosts on other machines: they take it up by themselves");
            Ok(())
        }
    }
}

/// The contexts of a host and the folder of its files: what the manifest says, where the command line does not.
fn placed(
    global: &Global,
    name: &str,
    contexts: Vec<String>,
    into: Option<PathBuf>,
) -> Result<(Vec<String>, PathBuf), CommandError> {
    if let (false, Some(into)) = (contexts.is_empty(), &into) {
        return Ok((contexts, into.clone()));
    }
    let manifest = global.load()?;
    let Some(host) = manifest.placement.host(name) else {
        let known: Vec<&str> = manifest.placement.names().collect();
        let remedy = match known.is_empty() {
            true => format!("add `[hosts.{name}]` to it, or give `--contexts` and `--into`"),
            false => format!("there are: {}", known.join(", ")),
        };
        return Err(CommandError::message(format!("the manifest has no host `{name}`"), remedy));
    };
    let lives_there = |context: &&ContextName| {
        let home = manifest.placement.host_of(context);
        home.is_some_and(|at| at.name == host.name)
            || host.copies.contains(context)
            || manifest.pair(context).is_some_and(|pair| pair.contains(&&host.name))
    };
    let placed = manifest.entries().map(|context| &context.settings.name).filter(lives_there);
    let contexts = if contexts.is_empty() { placed.map(ToString::to_string).collect() } else { contexts };
    Ok((contexts, into.unwrap_or_else(|| host.certificates.clone())))
}

fn wrote(files: &[PathBuf]) {
    for file in files {
        out::note(&format!("wrote `{}`", file.display()));
    }
}

fn show(file: &Path, format: Format) -> Result<(), CommandError> {
    let all = Described::read(file, SystemTime::now())?;
    match format {
        Format::Json => out::json(&all),
        Format::Human => out::text(&all.iter().map(shown).collect::<Vec<_>>().join("\n")),
    }
}

fn shown(described: &Described) -> String {
    let lines: Vec<(&str, String)> = match described {
        Described::Certificate {
            host,
            contexts,
            names,
            is_authority,
            subject,
            issuer,
            serial,
            key,
            from,
            until,
            state,
        } => {
            let whose = match (host, is_authority) {
                (Some(host), _) => format!("host {host}"),
                (None, true) => "an authority".to_owned(),
                (None, false) => "no host".to_owned(),
            };
            vec![
                ("certificate", format!("of {whose}, {state}")),
                ("contexts", contexts.join(", ")),
                ("names", names.join(", ")),
                ("subject", subject.clone()),
                ("signed by", issuer.clone()),
                ("serial", serial.clone()),
                ("key", key.clone()),
                ("valid", format!("{from} to {until}")),
            ]
        }
        Described::Revoked { issuer, from, serials } => vec![
            ("revoked", format!("{} certificates, as of {from}", serials.len())),
            ("signed by", issuer.clone()),
            ("serials", serials.join(", ")),
        ],
    };
    let filled = lines.iter().filter(|(_, value)| !value.is_empty());
    filled.map(|(name, value)| format!("{name:<12}{value}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_shown_with_what_it_names() {
        let described = Described::Certificate {
            host: Some("books".into()),
            contexts: vec!["finance".into(), "mail".into()],
            names: Vec::new(),
            is_authority: false,
            subject: "CN=books".into(),
            issuer: "CN=Seam authority 01".into(),
            serial: "4a".into(),
            key: "elliptic curve, 256 bits".into(),
            from: "2026-11-30T00:00:00Z".into(),
            until: "2027-11-30T00:00:00Z".into(),
            state: "valid",
        };
        let expect = "\
certificate of host books, valid
contexts    finance, mail
subject     CN=books
signed by   CN=Seam authority 01
serial      4a
key         elliptic curve, 256 bits
valid       2026-11-30T00:00:00Z to 2027-11-30T00:00:00Z
";
        assert_eq!(shown(&described), expect);
    }
}
