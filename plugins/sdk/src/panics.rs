//! A panic says why before it traps: without this the operator would see `unreachable` and an address.

#[cfg(target_family = "wasm")]
mod hook {
    use crate::bindings::wasi::logging::logging::{Level, log};

    /// Runs with the constructors of the module, once per instance.
    #[used]
    #[unsafe(link_section = ".init_array")]
    static INSTALL: extern "C" fn() = install;

    extern "C" fn install() {
        std::panic::set_hook(Box::new(|panic| log(Level::Critical, "panic", &panic.to_string())));
    }
}
