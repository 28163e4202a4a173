//! Embeds the migrations.

fn main() {
    seam_sdk_build::embed_migrations();
}
