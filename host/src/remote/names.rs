//! Whose certificate it is: the names of the host and of its contexts, as URIs among the subject's alternative names.

use std::collections::BTreeSet;

use rustls_pki_types::CertificateDer;
use seam_store::ids::ContextName;

pub const HOST: &str = "seam://host/";
pub const CONTEXT: &str = "seam://context/";

/// What a certificate names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    pub host: String,
    /// Those that may live on this host.
    pub contexts: BTreeSet<String>,
}

impl Names {
    /// `None` unless it names exactly one host.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
        let mut hosts = Vec::new();
        let mut contexts = BTreeSet::new();
        for uri in certificate.valid_uri_names() {
            if let Some(host) = uri.strip_prefix(HOST) {
                hosts.push(host);
            } else if let Some(context) = uri.strip_prefix(CONTEXT) {
                contexts.insert(context.to_owned());
            }
        }
        match hosts.as_slice() {
            [host] if !host.is_empty() => Some(Self { host: (*host).to_owned(), contexts }),
            _ => None,
        }
    }

    /// Whether the context may live on this host. A variant lives where its context does.
    pub fn has(&self, context: &ContextName) -> bool {
        let name = context.variant().map_or(context.as_str(), |(context, _)| context);
        self.contexts.contains(name)
    }
}
