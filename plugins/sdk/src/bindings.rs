//! The host's interfaces as Rust functions. Those of WASI are declared to the extent that they are used.
#![allow(missing_docs, clippy::all, reason = "generated")]

wit_bindgen::generate!({
    inline: r#"
        package seam:sdk@0.1.0;

        world imports {
            import seam:host/store@0.1.0;
            import wasi:logging/logging@0.1.0-draft;
            import wasi:config/store@0.2.0-rc.1;
        }

        package wasi:logging@0.1.0-draft {
            interface logging {
                enum level { trace, debug, info, warn, error, critical }
                log: func(level: level, context: string, message: string);
            }
        }

        package wasi:config@0.2.0-rc.1 {
            interface store {
                variant error { upstream(string), io(string) }
                get: func(key: string) -> result<option<string>, error>;
            }
        }
    "#,
    path: "../../wit/host",
    world: "seam:sdk/imports@0.1.0",
    ownership: Borrowing { duplicate_if_necessary: false },
    generate_all,
});
