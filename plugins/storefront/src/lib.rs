//! The storefront context.
