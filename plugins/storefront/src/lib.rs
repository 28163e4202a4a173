//! The storefront: the shop's pages, made from what three other contexts say.
//!
//! `handle` is a plain function of a request and of `Seams` (the other contexts); the component layer only ties it to WIT.
//! Invariants: no state between requests; a page asks each context at most one question of a kind, never one per row; everything that
//! comes from outside is escaped by the templates; whatever is asked, the answer is a page and never a trap.
//! Not here: data of its own, static files (the host serves `assets/`), compression, the cart.

pub mod assets;
// Compiled everywhere, so that it is checked everywhere; only the component exports it.
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code))]
mod component;
pub mod cover;
mod href;
mod money;
mod pages;
mod paging;
mod params;
mod reply;
mod route;
pub mod seams;
#[cfg(test)]
#[allow(clippy::expect_used)]
mod testing;
mod view;

pub use route::handle;

/// What the world in `wit/storefront` says, as Rust.
#[allow(clippy::all, missing_docs)]
pub mod bindings {
    wit_bindgen::generate!({
        path: [
            "../../wit/host",
            "../../wit/catalog",
            "../../wit/warehouse",
            "../../wit/recommendation",
            "../../wit/storefront",
        ],
        world: "musiccorp:storefront/storefront",
        generate_all,
        ownership: Borrowing { duplicate_if_necessary: false },
    });
}
