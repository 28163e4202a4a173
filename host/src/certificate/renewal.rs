//! Taking up what others write into the files of a certificate while the host runs.
//!
//! The files are read again every few seconds. Contents decide, since tools replace files, links or whole folders.
//! Invariant: while the files cannot be used, as between the writing of the one and of the other, what was read before
//! stays.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::Validity;
use crate::limits;

/// What was taken up.
pub struct Renewed {
    /// `None` if the certificate's dates cannot be read.
    pub validity: Option<Validity>,
}

/// The files of a certificate, and where their contents are used.
pub trait Source: Send + 'static {
    /// Takes up what the files hold at `now`. `None` if that is what was taken up before.
    ///
    /// # Errors
    /// Why they cannot be used. Then nothing has changed.
    fn renew(&mut self, now: SystemTime) -> Result<Option<Renewed>, String>;

    /// The file of the certificate.
    fn file(&self) -> &Path;
}

/// Takes up a renewed certificate.
pub struct Renewal<S> {
    pub(crate) source: S,
    validity: Option<Validity>,
    /// Why the files cannot be used, and whether that is in the log.
    pub(crate) refused: Option<(String, bool)>,
    /// When the log last warned of the certificate's end.
    pub(crate) warned: Option<SystemTime>,
}

impl<S: Source> Renewal<S> {
    /// `validity`: of what `source` holds already.
    pub fn new(source: S, validity: Option<Validity>) -> Self {
        Self { source, validity, refused: None, warned: None }
    }

    /// Looks at the files again and again, until it is dropped.
    pub async fn run(mut self) {
        loop {
            // Files may lie on a disk that is slow.
            let looked = tokio::task::spawn_blocking(move || {
                self.look(SystemTime::now());
                self
            });
            let Ok(next) = looked.await else { return };
            self = next;
            tokio::time::sleep(Duration::from_secs(limits::CERTIFICATE_POLL_S)).await;
        }
    }

    pub(crate) fn look(&mut self, now: SystemTime) {
        match self.source.renew(now) {
            Ok(None) => self.refused = None,
            Ok(Some(Renewed { validity })) => {
                self.validity = validity;
                (self.refused, self.warned) = (None, None);
                tracing::info!(
                    target: "tls", file = %self.source.file().display(),
                    "new connections get the renewed TLS certificate"
                );
            }
            Err(why) => self.refuse(why),
        }
        self.warn_of_end(now);
    }

    /// Logs, once, what is still wrong at a second look: at the first one, the second file may not be written yet.
    fn refuse(&mut self, why: String) {
        match &mut self.refused {
            Some((before, logged)) if *before == why => {
                if !std::mem::replace(logged, true) {
                    tracing::error!(
                        target: "tls", reason = why.as_str(),
                        hint = "write the certificate and the key that belongs to it; the host looks again by itself",
                        "cannot use the renewed TLS certificate; the one from before goes on"
                    );
                }
            }
            refused => *refused = Some((why, false)),
        }
    }

    /// Logs, once a day, that the certificate ends soon.
    fn warn_of_end(&mut self, now: SystemTime) {
        let Some(warning) = self.validity.and_then(|validity| validity.warning(now)) else { return };
        let day = Duration::from_secs(86_400);
        if self.warned.is_none_or(|warned| now.duration_since(warned).is_ok_and(|since| since >= day)) {
            self.warned = Some(now);
            tracing::warn!(
                target: "tls", file = %self.source.file().display(),
                hint = "renew it; the host takes up the new one by itself", "{warning}"
            );
        }
    }
}
