//! Guests and clients that do what no library would: from a seed, so that a run can be repeated.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Result;
use seam_runtime::call::spread;

use crate::proxy::proxy;
use crate::{MEMORY, component};

/// Random numbers that depend on the seed alone.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        spread(self.0)
    }

    /// Less than `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end.max(1)
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    pub fn bytes(&mut self, length: u64) -> Vec<u8> {
        (0..length).map(|_| self.number() as u8).collect()
    }
}

/// The answers of a buffered guest; the length of a request's path chooses one.
const ANSWERS: u64 = 16;

/// A `seam:host/http-handler` that answers with any status, header lines and body, or does not answer. Most of what an
/// answer is made of is valid, so that the rest is seen.
pub fn buffered_guest(random: &mut Random) -> Result<Vec<u8>> {
    let pages = random.of(&[8, 64, 250]);
    let lengths = [0, 1, 5, 5, 5, 5, 200, 5_000];
    let tables = [
        table(random, &[200, 200, 200, 204, 304, 404, 500, 0, 99, 100, 101, 199, 600, 999, 1000, 65535]),
        table(random, &[0, 0, 0, 1, 3, 100, 999, 1001, 20_000]),
        table(random, &lengths),
        table(random, &lengths),
        // Valid letters, and others that are not.
        table(random, &[97, 97, 97, 98, 99, 100, 32, 0, 10, 58, 127, 200]),
        table(random, &[0, 1, 1_000, 1_000, 100_000, 100_000, 400_000, 13_000_000, 4_000_000_000]),
        // It traps, loops, asks for memory.
        table(random, &[0, 0, 0, 0, 0, 0, 1, 2, 3]),
    ];
    let wat = format!(
        r#"(module
            {memory}
            (data (i32.const 12288) "{tables}")
            (func $choice (param $table i32) (param $answer i32) (result i32)
                (i32.load (i32.add (i32.const 12288) (i32.mul (i32.const 4)
                    (i32.add (i32.mul (i32.const {ANSWERS}) (local.get $table)) (local.get $answer))))))
            (func (export "seam:host/http-handler@0.1.0#handle")
                (param i32 i32 i32) (param $path i32) (param i32 i32 i32 i32 i32 i32 i32) (result i32)
                (local $i i32) (local $at i32) (local $answer i32) (local $end i32)
                (global.set $top (i32.const 400000))
                (local.set $answer (i32.rem_u (local.get $path) (i32.const {ANSWERS})))
                (local.set $end (call $choice (i32.const 6) (local.get $answer)))
                (memory.fill (i32.const 512) (call $choice (i32.const 4) (local.get $answer)) (i32.const 8192))
                (block $all (loop $more
                    (br_if $all (i32.ge_u (local.get $i) (call $choice (i32.const 1) (local.get $answer))))
                    (local.set $at (i32.add (i32.const 16384) (i32.mul (local.get $i) (i32.const 16))))
                    (i32.store (local.get $at) (i32.const 512))
                    (i32.store offset=4 (local.get $at) (call $choice (i32.const 2) (local.get $answer)))
                    (i32.store offset=8 (local.get $at) (i32.const 512))
                    (i32.store offset=12 (local.get $at) (call $choice (i32.const 3) (local.get $answer)))
                    (local.set $i (i32.add (local.get $i) (i32.const 1)))
                    (br $more)))
                (if (i32.eq (local.get $end) (i32.const 1)) (then unreachable))
                (if (i32.eq (local.get $end) (i32.const 2)) (then (loop $for-ever (br $for-ever))))
                (if (i32.eq (local.get $end) (i32.const 3)) (then (drop (memory.grow (i32.const 3000)))))
                (i32.store16 (i32.const 16) (call $choice (i32.const 0) (local.get $answer)))
                (i32.store (i32.const 20) (i32.const 16384))
                (i32.store (i32.const 24) (call $choice (i32.const 1) (local.get $answer)))
                (i32.store (i32.const 28) (i32.const 0))
                (i32.store (i32.const 32) (call $choice (i32.const 5) (local.get $answer)))
                (i32.const 16)))"#,
        tables = tables.concat(),
        memory = MEMORY.replace("(memory (export \"memory\") 1)", &format!("(memory (export \"memory\") {pages})"))
    );
    component("package t:fuzz; world this { export seam:host/http-handler@0.1.0; }", "this", &wat)
}

/// One of `all` for each answer, as WebAssembly text writes bytes.
fn table(random: &mut Random, all: &[u32]) -> String {
    let chosen = (0..ANSWERS).flat_map(|_| random.of(all).to_le_bytes());
    chosen.fold(String::new(), |mut text, byte| {
        let _ = write!(text, "\\{byte:02x}");
        text
    })
}

/// A `wasi:http` guest that reads, writes, waits, traps and ends in any order.
pub fn streaming_guest(random: &mut Random) -> Result<Vec<u8>> {
    let mut steps = String::new();
    if random.once_in(2) {
        steps.push_str("(local.set $body-stream (call $upload (local.get $request)))\n");
        for _ in 0..random.below(4) {
            steps.push_str("(drop (call $read (local.get $body-stream)))\n");
        }
    }
    if random.once_in(8) {
        steps.push_str(random.of(&["unreachable\n", "(return)\n", "(loop $for-ever (br $for-ever))\n"]));
    }
    steps.push_str("(local.set $stream (call $start (local.get $out)))\n");
    for _ in 0..random.below(30) {
        match random.below(20) {
            0 => write!(steps, "(call $sleep (i32.const {}))", random.below(100))?,
            1 if random.once_in(4) => steps.push_str("unreachable"),
            1 if random.once_in(4) => steps.push_str("(return)"),
            // More than may be written at once, or from outside of the memory: a trap.
            2 if random.once_in(4) => steps.push_str("(call $put (local.get $stream) (i32.const 0) (i32.const 5000))"),
            3 if random.once_in(4) => steps.push_str("(call $put (local.get $stream) (i32.const -9) (i32.const 99))"),
            4 => write!(
                steps,
                "(local.set $n (i32.const {}))
                 (loop $more{at} (call $put (local.get $stream) (i32.const 8192) (i32.const 4096))
                     (local.set $n (i32.sub (local.get $n) (i32.const 1))) (br_if $more{at} (local.get $n)))",
                1 + random.below(2_000),
                at = steps.len()
            )?,
            _ => write!(steps, "(call $put (local.get $stream) (i32.const 8192) (i32.const {}))", random.below(4097))?,
        }
        steps.push('\n');
    }
    if !random.once_in(5) {
        steps.push_str("(call $end (local.get $stream))\n");
    }
    proxy("", &steps)
}

/// How long a client waits for an answer before it does something else.
const PATIENCE: Duration = Duration::from_millis(200);

/// One thing that a client may do to a server at `address`; `paths` lead to its guests. Errors are expected.
pub fn visit(random: &mut Random, address: &str, paths: &[String]) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    match random.below(10) {
        0 => stream.write_all(&garbage(random))?,
        1 | 2 => stream.write_all(&frames(random, paths))?,
        _ => stream.write_all(&request(random, paths))?,
    }
    // What is not read when the stream drops makes the kernel reset the connection.
    let mut piece = vec![0; 64 << 10];
    for _ in 0..random.of(&[0, 0, 1, 4, 1_000]) {
        if stream.read(&mut piece)? == 0 {
            break;
        }
    }
    Ok(())
}

/// A path below one of `paths`.
fn target(random: &mut Random, paths: &[String]) -> String {
    let path = &paths[random.below(paths.len() as u64) as usize];
    path.clone() + &"x".repeat(random.below(ANSWERS) as usize)
}

fn garbage(random: &mut Random) -> Vec<u8> {
    let length = random.of(&[1, 30, 1_000, 100_000]);
    let mut bytes = if random.once_in(2) { b"GET / HTTP/1.1\r\n".to_vec() } else { Vec::new() };
    bytes.extend(random.bytes(length));
    bytes
}

/// A request that is valid, but for one thing or none; its body may be cut.
fn request(random: &mut Random, paths: &[String]) -> Vec<u8> {
    let path = target(random, paths);
    let method = random.of(&["GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "BREW"]);
    let version = random.of(&["1.1", "1.1", "1.1", "1.1", "1.0", "2.0", "9.9"]);
    let mut text = format!("{method} {path} HTTP/{version}\r\nhost: a\r\n");
    for _ in 0..random.of(&[0, 0, 0, 1, 5, 200]) {
        let field = random.of(&[
            "accept-encoding: gzip, br",
            "connection: close",
            "connection: keep-alive, x-own",
            "expect: 100-continue",
            "if-none-match: *",
            "range: bytes=5-1",
            "te: trailers",
            "upgrade: h2c",
            "x-own: ~",
            "host: b",
            ": nothing",
            " folded",
        ]);
        text.push_str(field);
        text.push_str("\r\n");
    }
    let length = random.of(&[0, 1, 5_000, 100_000]);
    let sent = if random.once_in(3) { random.below(length + 1) } else { length };
    match random.below(4) {
        0 => text.push_str("\r\n"),
        1 => {
            let announced = random.of(&[length, length, length, length + 1, u64::MAX]);
            text.push_str(&format!("content-length: {announced}\r\n\r\n"));
            text.push_str(&"x".repeat(sent as usize));
        }
        2 => {
            text.push_str("transfer-encoding: chunked\r\n\r\n");
            text.push_str(&format!("{length:x}\r\n{}\r\n", "x".repeat(sent as usize)));
            text.push_str(random.of(&["0\r\n\r\n", "0\r\n\r\n", "", "ffffffffffffffffffff\r\n", "zz\r\n"]));
        }
        _ => text.truncate(random.below(text.len() as u64) as usize),
    }
    // Several at once: each waits for the one before.
    let times = random.of(&[1, 1, 1, 5]);
    // A byte that is no UTF-8 in the place of each `~`.
    text.repeat(times).into_bytes().into_iter().map(|byte| if byte == b'~' { 0xe9 } else { byte }).collect()
}

/// HTTP/2 frames in any order, some of them as they should be.
fn frames(random: &mut Random, paths: &[String]) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    if !random.once_in(8) {
        frame(&mut bytes, 4, 0, 0, &[]);
    }
    if random.once_in(3) {
        // A client that does not let the server write: no window at all.
        frame(&mut bytes, 4, 0, 0, &[0, 4, 0, 0, 0, 0]);
    }
    let mut stream = 1;
    for _ in 0..random.of(&[1, 5, 200]) {
        match random.below(8) {
            0..4 => {
                // HPACK without an index or Huffman's code: `:method`, `:scheme`, `:path`, `:authority`.
                let path = target(random, paths);
                let mut head = vec![0x82, 0x86, 0x04, path.len() as u8];
                head.extend_from_slice(path.as_bytes());
                head.extend_from_slice(&[0x01, 1, b'a']);
                let flags = if random.once_in(3) { 4 } else { 5 };
                frame(&mut bytes, 1, flags, stream, &head);
                stream += 2;
            }
            // RST_STREAM of a request that runs.
            4 => frame(&mut bytes, 3, 0, stream.saturating_sub(2), &[0, 0, 0, 8]),
            5 => {
                let payload = random.of(&[0, 1, 1_000, 16_384]);
                let payload = random.bytes(payload);
                frame(&mut bytes, 0, random.of(&[0, 1, 8]), stream.saturating_sub(2), &payload);
            }
            _ => {
                let length = random.below(60);
                let (kind, flags, stream) = (random.below(12) as u8, random.number() as u8, random.below(9) as u32);
                let payload = random.bytes(length);
                frame(&mut bytes, kind, flags, stream, &payload);
            }
        }
    }
    if random.once_in(4) {
        bytes.truncate(random.below(bytes.len() as u64) as usize);
    }
    bytes
}

fn frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    bytes.extend_from_slice(&length[1..]);
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
}
