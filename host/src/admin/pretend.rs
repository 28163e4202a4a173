//! `POST /pretend`: what operators pretend of calls within the process, each with a line of the audit log.

use seam_runtime::pretend::{PretenceStatus, Unreadable, parse};
use seam_runtime::serve::{PretendRejected, Registry};

use super::protocol::{ErrorMessage, PretendRequest};
use crate::audit::{self, Act, Audit};
use crate::refused::Refused;

/// Does what `who` orders.
///
/// # Errors
/// When the order cannot be read or means nothing here; then nothing has changed.
pub(super) fn respond(
    registry: &Registry,
    log: &Audit,
    who: &str,
    request: &PretendRequest,
) -> Result<Vec<PretenceStatus>, ErrorMessage> {
    let order = parse(&request.order)?;
    let words: Vec<String> = request.order.split_whitespace().map(audit::quoted).collect();
    let command = format!("seam pretend {}", words.join(" "));
    // Short enough to be typed again.
    let seed = || u64::from(rand::random::<u16>());
    let done = log.act(&Act { who, command: &command, why: "" }, || {
        let edges = registry.pretend(&order, seed).map_err(Refused::from)?;
        let what = match edges.first() {
            Some(first) => format!("{} edges, seed {}", edges.len(), first.seed),
            None => "no edge".to_owned(),
        };
        Ok::<_, Refused>((edges, what))
    });
    Ok(done?)
}

impl From<PretendRejected> for Refused {
    fn from(rejected: PretendRejected) -> Self {
        Self::new(rejected.to_string(), rejected.remedy())
    }
}

impl From<Unreadable> for ErrorMessage {
    fn from(error: Unreadable) -> Self {
        let excerpt = (!error.text.is_empty()).then(|| error.excerpt());
        Self { message: error.message, excerpt, remedy: error.remedy }
    }
}
