//! What the connections of a host are started with.

use std::path::{Path, PathBuf};
use std::pin::Pin;

use bytes::Bytes;
use seam_runtime::interface_name::InterfaceName;
use seam_store::ids::ContextName;

use super::totals::TotalAsk;

/// Another host of the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub name: String,
    /// `host:port`, where the host is a name or an address.
    pub address: String,
    /// The contexts that live there, each with the token of its file's owner; 0: it has never moved.
    pub contexts: Vec<(ContextName, u64)>,
}

/// Who this host is, and the PEM files that show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name of this host.
    pub host: String,
    /// Its certificate, followed by those between it and the authority's, if there are any.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The certificates of the authorities that this system trusts: two while one replaces the other.
    pub authority: PathBuf,
    /// Lists of revoked certificates, one of each authority. The file may be missing.
    pub revoked: PathBuf,
}

impl Identity {
    /// The files as `seam cert host` names them.
    pub fn in_folder(host: &str, folder: &Path) -> Self {
        Self {
            host: host.to_owned(),
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
            authority: folder.join("authority.pem"),
            revoked: folder.join("revoked.pem"),
        }
    }
}

/// What all hosts of a system must have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct System {
    /// The version of the form of arguments and results.
    pub codec: u8,
    /// The digest of which context lives where and may call which.
    pub placement: [u8; 32],
}

/// Takes part in moving contexts between hosts.
pub trait Moves: Send + Sync {
    /// Takes the step `name` of moving `context`, for the host `from`, whose certificate names the context. The error
    /// is for the operator there.
    fn take(&self, from: String, context: ContextName, name: String, body: Bytes) -> Taking;
}

/// A step that is being taken; what the other host gets.
pub type Taking = Pin<Box<dyn Future<Output = Result<Bytes, String>> + Send>>;

/// Who may call whom.
pub trait Allow: Send + Sync {
    /// Whether `caller` may call this interface of `callee`. Without a `caller`, the call does not come from a context
    /// of the other host, but from its operator.
    fn allows(&self, caller: Option<&ContextName>, callee: &ContextName, interface: &InterfaceName) -> bool;

    /// Whether `subscriber` takes the events of this interface that `publisher` publishes. `interface`: its path,
    /// without a version.
    fn delivers(&self, subscriber: &ContextName, publisher: &ContextName, interface: &str) -> bool;

    /// Whether `participant` may take part in transactions over several files that `coordinator` begins.
    fn takes_part(&self, participant: &ContextName, coordinator: &ContextName) -> bool;

    /// Whether `ask.side` has to do with the total: it declares it, or mends it.
    fn compares(&self, _ask: &TotalAsk) -> bool {
        false
    }
}
