//! The host's interfaces as Rust functions. Those of WASI are declared to the extent that they are used.
#![allow(missing_docs, clippy::all, reason = "generated")]

wit_bindgen::generate!({
    inline: r#"
        package seam:sdk@0.1.0;

        world imports {
            import seam:host/attempts@0.1.0;
            import seam:host/sagas@0.1.0;
            import seam:host/store@0.1.0;
            import seam:host/together@0.1.0;
            import seam:host/two-phase@0.1.0;
            import wasi:logging/logging@0.1.0-draft;
            import wasi:config/store@0.2.0-rc.1;
            import wasi:clocks/wall-clock@0.2.0;
            import wasi:random/random@0.2.0;
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

        package wasi:clocks@0.2.0 {
            interface wall-clock {
                record datetime { seconds: u64, nanoseconds: u32 }
                now: func() -> datetime;
            }
        }

        package wasi:random@0.2.0 {
            interface random {
                get-random-bytes: func(len: u64) -> list<u8>;
            }
        }
    "#,
    path: "../../wit/host",
    world: "seam:sdk/imports@0.1.0",
    ownership: Borrowing { duplicate_if_necessary: false },
    generate_all,
});
