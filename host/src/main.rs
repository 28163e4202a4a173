//! The binary `seam`. Everything is in `cli`.

use tikv_jemallocator::Jemalloc;

/// Calls move between threads all the time. The C library's allocator gives each thread an arena of its own, in which
/// freed memory stays: an hour of orders and deploys tripled the memory of the host. With few arenas, threads waited
/// for each other at every call to another host. This one does neither; C code such as SQLite uses it too.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> std::process::ExitCode {
    seam::cli::main()
}
