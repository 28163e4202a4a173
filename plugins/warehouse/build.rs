//! Embeds the migrations and the invariants.

fn main() {
    seam_sdk_build::embed_migrations();
    seam_sdk_build::embed_invariants();
}
