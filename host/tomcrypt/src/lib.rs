//! LibTomCrypt for SQLCipher, under the name of the crate that `libsqlite3-sys` asks for.
//!
//! `libsqlite3-sys` builds SQLCipher with OpenSSL: with the machine's, or with one that takes minutes to compile.
//! SQLCipher itself can also use LibTomCrypt, of which it needs 60 small files: AES, HMAC, SHA-2, a random generator.
//! `libsqlite3-sys` takes the headers and the library from `openssl-sys`; the workspace's `[patch.crates-io]` puts
//! this crate there, and `.cargo/config.toml` tells SQLCipher which of the two it gets. Only `seam-store` with its
//! feature `encryption` needs it.
//! Not here: any function of OpenSSL. A crate that calls one does not link.

#![no_std]
