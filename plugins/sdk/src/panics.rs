//! A panic says why before it traps: without this the operator would see `unreachable` and an address.

/// Makes panics of the calling crate's component log their message and place. [`context!`](crate::context) includes it;
/// a component that is declared by hand names it once.
///
/// The static is in the calling crate: the linker leaves out an object of a library that nothing refers to, and a
/// static of the SDK would be lost with it.
#[macro_export]
macro_rules! panic_hook {
    () => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            /// Runs with the constructors of the module, once per instance.
            #[used]
            #[unsafe(link_section = ".init_array")]
            static INSTALL: extern "C" fn() = $crate::install_panic_hook;
        };
    };
}

/// Installs the hook that [`panic_hook!`] names.
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub extern "C" fn install_panic_hook() {
    use crate::bindings::wasi::logging::logging::{Level, log};
    std::panic::set_hook(Box::new(|panic| log(Level::Critical, "panic", &panic.to_string())));
}
