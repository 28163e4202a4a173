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

/// Chooses LibTomCrypt in SQLCipher's own build.
const FLAG: &str = "-DSQLCIPHER_CRYPTO_LIBTOMCRYPT";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=LIBSQLITE3_FLAGS");
    // Without it, SQLCipher would not find OpenSSL's headers, and not say why.
    if !std::env::var("LIBSQLITE3_FLAGS").is_ok_and(|flags| flags.split_whitespace().any(|flag| flag == FLAG)) {
        println!(
            "cargo::error=`LIBSQLITE3_FLAGS` lacks `{FLAG}`: build in the folder whose `.cargo/config.toml` has it, or \
             set the variable as it stands there"
        );
        return;
    }
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
    println!("cargo::metadata=include={}", headers.display());
}
