//! Components of the `wasi:http/proxy` world from a few lines of WebAssembly text.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use crate::{MEMORY, repo};

/// WASI's own interfaces lie in the crate that implements them.
pub fn wasi_wit() -> Result<PathBuf> {
    let listed =
        Command::new(env!("CARGO")).args(["metadata", "--format-version", "1"]).current_dir(repo()).output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&listed.stdout)?;
    let packages = metadata["packages"].as_array().context("cargo metadata")?;
    let found =
        packages.iter().find(|package| package["name"] == "wasmtime-wasi-http").context("wasmtime-wasi-http")?;
    Ok(PathBuf::from(found["manifest_path"].as_str().context("its path")?).with_file_name("wit"))
}

/// Imports and functions for guests, with `{v}` for WASI's version. A call that fails traps, as the libraries of other
/// languages do.
///
/// - `$letter(request)`: the first letter of the path below the mount
/// - `$start(out)`: sends the head of a 200; the stream of its body
/// - `$put(stream, at, length)`: writes up to 4096 bytes and waits until they are on their way
/// - `$number(stream, n)`: writes eight hexadecimal digits
/// - `$end(stream)`: ends the body
/// - `$upload(request)`: the stream of the request's body
/// - `$read(stream)`: up to 4096 bytes of it, at `$bytes`; their number, or -1 after the last one
/// - `$sleep(ms)`
pub const HELPERS: &str = r#"
    (import "wasi:http/types@{v}" "[method]incoming-request.path-with-query" (func $path (param i32 i32)))
    (import "wasi:http/types@{v}" "[method]incoming-request.headers" (func $headers (param i32) (result i32)))
    (import "wasi:http/types@{v}" "[method]incoming-request.consume" (func $consume (param i32 i32)))
    (import "wasi:http/types@{v}" "[method]incoming-body.stream" (func $incoming (param i32 i32)))
    (import "wasi:http/types@{v}" "[constructor]fields" (func $fields (result i32)))
    (import "wasi:http/types@{v}" "[method]fields.get" (func $get (param i32 i32 i32 i32)))
    (import "wasi:http/types@{v}" "[constructor]outgoing-response" (func $response (param i32) (result i32)))
    (import "wasi:http/types@{v}" "[method]outgoing-response.body" (func $body (param i32 i32)))
    (import "wasi:http/types@{v}" "[method]outgoing-body.write" (func $write (param i32 i32)))
    (import "wasi:http/types@{v}" "[static]outgoing-body.finish" (func $finish (param i32 i32 i32 i32)))
    (import "wasi:http/types@{v}" "[static]response-outparam.set"
        (func $set (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
    (import "wasi:io/streams@{v}" "[method]output-stream.blocking-write-and-flush"
        (func $flush (param i32 i32 i32 i32)))
    (import "wasi:io/streams@{v}" "[method]input-stream.blocking-read" (func $blocking-read (param i32 i64 i32)))
    (import "wasi:io/streams@{v}" "[resource-drop]output-stream" (func $drop-stream (param i32)))
    (import "wasi:clocks/monotonic-clock@{v}" "subscribe-duration" (func $timer (param i64) (result i32)))
    (import "wasi:io/poll@{v}" "[method]pollable.block" (func $block (param i32)))
    (import "wasi:io/poll@{v}" "[resource-drop]pollable" (func $drop-pollable (param i32)))
"#;

const FUNCTIONS: &str = r#"
    (global $outgoing-body (mut i32) (i32.const 0))
    (global $bytes (mut i32) (i32.const 0))
    (func $letter (param $request i32) (result i32)
        (call $path (local.get $request) (i32.const 1024))
        (i32.load8_u offset=1 (i32.load (i32.const 1028))))
    (func $start (param $out i32) (result i32) (local $answer i32)
        (local.set $answer (call $response (call $fields)))
        (call $body (local.get $answer) (i32.const 1040))
        (global.set $outgoing-body (i32.load (i32.const 1044)))
        (call $write (global.get $outgoing-body) (i32.const 1040))
        (i32.load (i32.const 1044))
        (call $set (local.get $out) (i32.const 0) (local.get $answer)
            (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
    (func $put (param $stream i32) (param $at i32) (param $length i32)
        (call $flush (local.get $stream) (local.get $at) (local.get $length) (i32.const 1040))
        (if (i32.load8_u (i32.const 1040)) (then unreachable)))
    (func $number (param $stream i32) (param $n i32) (local $i i32) (local $digit i32)
        (loop $next
            (local.set $digit (i32.and (i32.const 15)
                (i32.shr_u (local.get $n) (i32.sub (i32.const 28) (i32.mul (i32.const 4) (local.get $i))))))
            (i32.store8 (i32.add (i32.const 2048) (local.get $i)) (i32.add (local.get $digit)
                (select (i32.const 48) (i32.const 87) (i32.lt_u (local.get $digit) (i32.const 10)))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $i) (i32.const 8))))
        (call $put (local.get $stream) (i32.const 2048) (i32.const 8)))
    (func $end (param $stream i32)
        (call $drop-stream (local.get $stream))
        (call $finish (global.get $outgoing-body) (i32.const 0) (i32.const 0) (i32.const 1040)))
    (func $upload (param $request i32) (result i32)
        (call $consume (local.get $request) (i32.const 1040))
        (call $incoming (i32.load (i32.const 1044)) (i32.const 1040))
        (i32.load (i32.const 1044)))
    (func $read (param $stream i32) (result i32)
        (global.set $top (i32.const 4096))
        (call $blocking-read (local.get $stream) (i64.const 4096) (i32.const 1040))
        (if (i32.load8_u (i32.const 1040)) (then
            (if (i32.eq (i32.load8_u (i32.const 1044)) (i32.const 1)) (then (return (i32.const -1))))
            unreachable))
        (global.set $bytes (i32.load (i32.const 1044)))
        (i32.load (i32.const 1048)))
    (func $sleep (param $ms i32) (local $pollable i32)
        (local.set $pollable (call $timer (i64.mul (i64.extend_i32_u (local.get $ms)) (i64.const 1000000))))
        (call $block (local.get $pollable))
        (call $drop-pollable (local.get $pollable)))
"#;

/// Imports for `$send`. They come before the functions of a module, as all imports do.
pub const SEND_IMPORTS: &str = r#"
    (import "wasi:http/types@{v}" "[constructor]fields" (func $no-fields (result i32)))
    (import "wasi:http/types@{v}" "[constructor]outgoing-request" (func $request (param i32) (result i32)))
    (import "wasi:http/types@{v}" "[method]outgoing-request.set-authority"
        (func $set-authority (param i32 i32 i32 i32) (result i32)))
    (import "wasi:http/types@{v}" "[method]outgoing-request.set-path-with-query"
        (func $set-path (param i32 i32 i32 i32) (result i32)))
    (import "wasi:http/types@{v}" "[method]outgoing-request.set-scheme"
        (func $set-scheme (param i32 i32 i32 i32 i32) (result i32)))
    (import "wasi:http/types@{v}" "[method]future-incoming-response.subscribe"
        (func $subscribe (param i32) (result i32)))
    (import "wasi:http/types@{v}" "[method]future-incoming-response.get" (func $response-of (param i32 i32)))
    (import "wasi:http/outgoing-handler@{v}" "handle" (func $handle (param i32 i32 i32 i32)))
    (import "wasi:io/poll@{v}" "[method]pollable.block" (func $answered (param i32)))
"#;

/// `$send`: GET over HTTP from the authority at `$at`; 0 when it answered, else 1 + the number of the error.
pub const SEND: &str = r#"
    (func $send (param $at i32) (param $length i32) (result i32) (local $r i32)
        (local.set $r (call $request (call $no-fields)))
        (drop (call $set-scheme (local.get $r) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)))
        (i32.store8 (i32.const 508) (i32.const 47))
        (drop (call $set-path (local.get $r) (i32.const 1) (i32.const 508) (i32.const 1)))
        (drop (call $set-authority (local.get $r) (i32.const 1) (local.get $at) (local.get $length)))
        (call $handle (local.get $r) (i32.const 0) (i32.const 0) (i32.const 1104))
        (if (i32.load8_u (i32.const 1104)) (then (return (i32.add (i32.const 1) (i32.load8_u (i32.const 1112))))))
        (local.set $r (i32.load (i32.const 1112)))
        (call $answered (call $subscribe (local.get $r)))
        (call $response-of (local.get $r) (i32.const 1200))
        (if (i32.load8_u (i32.const 1216)) (then (return (i32.add (i32.const 1) (i32.load8_u (i32.const 1224))))))
        (i32.const 0))
"#;

/// A component whose handler is `handle`: from `$request` and `$out`, with the locals `$stream`, `$body-stream`,
/// `$n` and `$m`, the functions of `HELPERS` and `SEND`, and `data` at 512.
pub fn proxy(data: &str, handle: &str) -> Result<Vec<u8>> {
    let core = format!(
        r#"(module {HELPERS} {SEND_IMPORTS} {MEMORY} (data (i32.const 512) "{data}") {FUNCTIONS} {SEND}
            (func (export "wasi:http/incoming-handler@{{v}}#handle") (param $request i32) (param $out i32)
                (local $stream i32) (local $body-stream i32) (local $n i32) (local $m i32)
                {handle}))"#
    );
    let world = "package t:third-party;
         world this {
             import wasi:http/types@{v};
             import wasi:http/outgoing-handler@{v};
             import wasi:io/streams@{v};
             import wasi:io/poll@{v};
             import wasi:clocks/monotonic-clock@{v};
             export wasi:http/incoming-handler@{v};
         }";
    with_wasi(world, &core)
}

/// The component of the world `this` in `wit`, implemented by `wat`; in both, `{v}` stands for WASI's version.
pub fn with_wasi(wit: &str, wat: &str) -> Result<Vec<u8>> {
    let mut resolve = wit_parser::Resolve::default();
    resolve.push_dir(wasi_wit()?)?;
    let wasi = resolve.package_names.keys().find(|name| name.namespace == "wasi" && name.name == "http");
    let version = wasi.and_then(|name| name.version.clone()).context("a version of wasi:http")?.to_string();
    let package = resolve.push_str("test.wit", &wit.replace("{v}", &version))?;
    let world = resolve.select_world(&[package], Some("this"))?;
    let mut module = wat::parse_str(wat.replace("{v}", &version))?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default().validate(true).module(&module)?.encode().context("encoding")
}
