//! Compiles what SQLCipher uses of LibTomCrypt, and says where its headers are.

/// Folders and files of LibTomCrypt that SQLCipher's provider reaches.
const USED: [&str; 8] = [
    "libtomcrypt/ciphers/aes/",
    "libtomcrypt/hashes/helper/",
    "libtomcrypt/hashes/sha1.c",
    "libtomcrypt/hashes/sha2/",
    "libtomcrypt/mac/hmac/",
    "libtomcrypt/misc/",
    "libtomcrypt/modes/cbc/",
    "libtomcrypt/prngs/",
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let sources = sqlcipher_src::source_dir();
    let headers = sources.join(sqlcipher_src::LIBTOMCRYPT_INCLUDE_DIR);
    let used = sqlcipher_src::LIBTOMCRYPT_SOURCES.iter().filter(|file| USED.iter().any(|used| file.starts_with(used)));
    cc::Build::new()
        .files(used.map(|file| sources.join(file)))
        .include(&headers)
        // Its own declarations, too. Nothing of its tests is called.
        .define("LTC_SOURCE", None)
        .define("LTC_NO_TEST", None)
        .define("LTC_NO_FILE", None)
        // Each page that is read goes through it, in the tests as well.
        .opt_level(3)
        .warnings(false)
        .compile("tomcrypt");
    println!("cargo:include={}", headers.display());
}
