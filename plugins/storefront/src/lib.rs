//! The storefront: the shop's pages and the operator's, made from what six other contexts say.
//!
//! `handle` is a plain function of a request and of `Seams` (the other contexts); the component layer only ties it to WIT.
//! Invariants: no state between requests (what a visitor has lies in their cookies, what a customer has in other contexts); a page asks each
//! context at most one question of a kind, never one per row; everything that comes from outside is escaped by the templates; whatever is
//! asked, the answer is a page and never a trap; nothing changes but by a form that we gave out to whoever sends it; a visitor without
//! cookies gets pages that any cache may keep.
//! Not here: data of its own, static files (the host serves `assets/`), compression, rules of the trade.

pub mod assets;
mod cart;
// Compiled everywhere, so that it is checked everywhere; only the component exports it.
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code))]
mod component;
mod cookies;
pub mod cover;
mod csrf;
mod form;
mod href;
mod money;
mod office;
mod pages;
mod paging;
mod params;
mod reference;
mod reply;
mod route;
pub mod seams;
#[cfg(test)]
#[allow(clippy::expect_used)]
mod testing;
mod time;
mod view;
mod visit;

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
            "../../wit/customer",
            "../../wit/finance",
            "../../wit/orders",
            "../../wit/storefront",
        ],
        world: "musiccorp:storefront/storefront",
        generate_all,
        ownership: Borrowing { duplicate_if_necessary: false },
    });
}
