//! The storefront: the pages for shoppers and for the shop's operator, made from the answers of six other contexts.
//!
//! `handle` is a plain function of a request and of `Seams` (the other contexts); `component` only connects it to WIT.
//! Invariants:
//! - No state between requests: a visitor's cart lies in a cookie, a customer's data in other contexts.
//! - A page calls a function of another context a fixed number of times, most of them once, and never once per row.
//! - The templates escape everything that comes from outside. Every request is answered with a page, never with a trap.
//! - Only a form changes anything, and only if its sender got it from us.
//! - Every cache may keep the pages of a visitor without cookies.
//!
//! Not here: data of its own, static files (the host serves `assets/`), compression, business rules.

pub mod assets;
mod cart;
mod command;
// Compiled and checked for every target; only the component exports it.
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code))]
mod component;
mod cookies;
pub mod cover;
mod csrf;
mod draft;
mod form;
mod href;
mod key;
mod list_view;
mod meant;
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
#[cfg(test)]
#[allow(clippy::expect_used, clippy::panic)]
mod tests;
mod time;
mod view;
mod visit;

pub use command::forms;
pub use route::{handle, personal_pages};

/// The world in `wit/storefront`, as Rust.
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
