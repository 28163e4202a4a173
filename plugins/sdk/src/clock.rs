//! What time it is. Needs the capability `clocks`.

/// Seconds since 1970, UTC. Natively it is what [`native::set_clock`](crate::native::set_clock) says, else the system's
/// time.
pub fn now() -> u64 {
    #[cfg(all(feature = "native", not(target_family = "wasm")))]
    return crate::native::now();
    #[cfg(not(all(feature = "native", not(target_family = "wasm"))))]
    crate::bindings::wasi::clocks::wall_clock::now().seconds
}
