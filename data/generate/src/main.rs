//! Generates the demo data.
fn main() {}
