//! The binary `seam`. Everything is in `cli`.

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static GLOBAL: Jemalloc = Jemalloc;

fn main() -> std::process::ExitCode {
    seam::cli::main()
}
