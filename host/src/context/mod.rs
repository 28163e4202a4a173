//! Contexts at run time: components, their generations, their instances, and who is called when a name is called.
//!
//! `Registry` is what drivers see.

use std::sync::Arc;

use crate::call::{Call, Failure};
use crate::seam::Guest;

pub mod lean {
    //! `seam:host/http-handler` as the host sees it.
    use wasmtime::component::{ComponentType, Lift, Lower};

    #[derive(ComponentType, Lift, Lower, Clone, Debug)]
    #[component(record)]
    pub struct Request {
        pub method: String,
        pub path: String,
        pub query: Option<String>,
        pub headers: Vec<(String, String)>,
        pub body: Vec<u8>,
    }

    #[derive(ComponentType, Lift, Lower, Clone, Debug)]
    #[component(record)]
    pub struct Response {
        pub status: u16,
        pub headers: Vec<(String, String)>,
        pub body: Vec<u8>,
    }
}

/// How a context answers HTTP, read from its exports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Serves {
    Nothing,
    /// `seam:host/http-handler`
    Lean,
    /// `wasi:http/incoming-handler@0.2`
    WasiHttp,
}

/// All contexts of the running system. Cheap to clone.
#[derive(Clone)]
pub struct Registry;

/// One loaded version of a context.
pub struct Generation;

impl Registry {
    /// The version of `context` that serves now.
    pub fn live(&self, _context: &str) -> Result<Arc<Generation>, Failure> {
        unimplemented!()
    }
}

impl Generation {
    pub fn serves(&self) -> Serves {
        unimplemented!()
    }

    /// Runs the lean handler inline on this thread. `Call` is fresh from the edge; the callee's own limits apply inside.
    pub fn handle(&self, _call: Call, _request: lean::Request) -> Result<lean::Response, Failure> {
        unimplemented!()
    }

    /// An instance for a `wasi:http` request. Whoever holds it calls `Checkout::give_back` after success; dropping it discards it.
    pub async fn check_out(&self, _call: Call) -> Result<Checkout, Failure> {
        unimplemented!()
    }
}

/// An instance of a generation, for as long as one call runs.
pub struct Checkout {
    pub store: wasmtime::Store<Guest>,
    pub instance: wasmtime::component::Instance,
}

impl Checkout {
    pub fn give_back(self) {
        unimplemented!()
    }
}
