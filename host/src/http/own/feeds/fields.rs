//! What every answer to a reader says to browsers and caches.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use crate::http::header_fields;

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

pub fn own_fields(fields: &mut HeaderMap) {
    header_fields::vary(fields, "accept");
    header_fields::vary(fields, "authorization");
    fields.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
}
