//! The memory allocator of the host, which is the C library's.
//!
//! glibc gives each thread an arena of its own, up to eight for each core, and what one thread frees in its arena, no
//! other thread uses. Calls of the host move between threads all the time, so the same data ends up in every arena: an
//! hour of orders and deploys tripled the memory of the host, nearly all of it free. With few arenas it stays flat, and
//! calls take no longer, since small pieces come from a cache of each thread.

/// Bounds the arenas. Call this before the first thread starts; arenas that exist already stay.
pub fn bound_arenas() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it sets a number of the allocator. On failure nothing changes.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, crate::limits::MEMORY_ARENAS_MAX);
    }
}

/// Gives free memory back to the system; takes some milliseconds.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it touches only memory that is free.
    unsafe {
        libc::malloc_trim(0);
    }
}
