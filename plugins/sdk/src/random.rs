//! Random numbers that cannot be guessed. Needs the capability `random`.

/// `N` random bytes. Natively they come from the system too.
pub fn bytes<const N: usize>() -> [u8; N] {
    #[cfg(all(feature = "native", not(target_family = "wasm")))]
    return crate::native::random();
    #[cfg(not(all(feature = "native", not(target_family = "wasm"))))]
    {
        let given = crate::bindings::wasi::random::random::get_random_bytes(N as u64);
        #[expect(clippy::expect_used, reason = "a host that gives fewer bytes breaks the interface")]
        given.try_into().expect("as many bytes as asked for")
    }
}

/// `N` random bytes as `2 * N` hexadecimal digits: a token, a key.
pub fn token<const N: usize>() -> String {
    hex::encode(bytes::<N>())
}

#[cfg(all(test, feature = "native"))]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_hexadecimal_and_never_the_same() {
        let (one, other) = (token::<16>(), token::<16>());
        assert!(one.len() == 32 && one.bytes().all(|digit| digit.is_ascii_hexdigit()), "{one}");
        assert_ne!(one, other);
    }
}
