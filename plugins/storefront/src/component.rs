//! Connects the pages to the world in `wit/storefront`. No logic.

use crate::bindings::exports::seam::host::http_handler::Guest;
use crate::seams::{Linked, Request, Response};

struct Storefront;

impl Guest for Storefront {
    fn handle(request: Request) -> Response {
        crate::handle(&request, &Linked)
    }
}

#[cfg(target_arch = "wasm32")]
crate::bindings::export!(Storefront with_types_in crate::bindings);

seam_sdk::panic_hook!();
