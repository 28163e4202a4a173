//! Requests into contexts and their answers: through `seam:host/http-handler` or `wasi:http`, and by which variant.

pub mod affinity;
pub mod buffered_http;
pub mod wasi_http;
