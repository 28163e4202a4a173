//! The host's types for `seam:host/http-handler`: one buffered request, one buffered response.

use wasmtime::component::{ComponentType, Lift, Lower};

#[derive(ComponentType, Lower, Clone, Debug)]
#[component(record)]
pub struct Request {
    /// Upper case. A HEAD request arrives as GET.
    pub method: String,
    /// Relative to the mount, with a leading slash.
    pub path: String,
    /// Without the question mark.
    pub query: Option<String>,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

#[derive(ComponentType, Lift, Clone, Debug)]
#[component(record)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}
