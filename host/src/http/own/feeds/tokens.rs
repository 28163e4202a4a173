//! The tokens of a feed. Their files are read again every few seconds: a token that was taken out of its file is worth
//! nothing from then on, without a restart.

use std::path::Path;
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header;
use parking_lot::Mutex;
use seam_store::{blocking, private};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::http::error::Error;
use crate::limits;
use crate::manifest::{Feed, FeedToken, TokenSecret};

type Digest = [u8; 32];

/// No token of the feed.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused;

/// A token with which a reader came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub name: String,
    digest: Digest,
}

/// Only digests stay in memory: comparing them in constant time says nothing of a token.
pub struct Tokens {
    feed: String,
    tokens: Vec<FeedToken>,
    known: Mutex<Known>,
}

struct Known {
    read: Instant,
    /// In the order of the tokens; `None` while its file cannot be used.
    digests: Vec<Option<Digest>>,
}

impl Tokens {
    /// # Errors
    /// When the file of a token cannot be read, is readable by every user, or holds a weak one.
    pub fn open(feed: &Feed) -> Result<Self, Error> {
        let digest = |token: &FeedToken| {
            digest(token).map(Some).map_err(|why| Error::FeedToken {
                context: feed.context.clone(),
                name: token.name.clone(),
                why,
            })
        };
        let digests = feed.tokens.iter().map(digest).collect::<Result<_, _>>()?;
        let known = Mutex::new(Known { read: Instant::now(), digests });
        Ok(Self { feed: feed.context.to_string(), tokens: feed.tokens.clone(), known })
    }

    /// The token that a client sends.
    pub fn find(&self, sent: &[u8]) -> Result<Token, Refused> {
        let digest: Digest = Sha256::digest(sent).into();
        let known = self.known();
        let mut found = Err(Refused);
        for (token, own) in self.tokens.iter().zip(&known) {
            if own.is_some_and(|own| bool::from(own.ct_eq(&digest))) {
                found = Ok(Token { name: token.name.clone(), digest });
            }
        }
        found
    }

    /// Whether a token that was found is still one of the feed's.
    pub fn has(&self, token: &Token) -> bool {
        self.known().iter().flatten().any(|own| bool::from(own.ct_eq(&token.digest)))
    }

    fn known(&self) -> Vec<Option<Digest>> {
        let mut known = self.known.lock();
        let has_files = self.tokens.iter().any(|token| matches!(token.secret, TokenSecret::File(_)));
        if has_files && known.read.elapsed() >= Duration::from_millis(limits::FEED_TOKEN_POLL_MS) {
            let now = blocking::block_in_place(|| self.tokens.iter().map(digest).collect::<Vec<_>>());
            for ((token, now), before) in self.tokens.iter().zip(&now).zip(&known.digests) {
                if let (Err(why), Some(_)) = (now, before) {
                    tracing::warn!(
                        target: "http", context = self.feed, token = token.name,
                        "a token of the feed is not accepted any more: {why}"
                    );
                }
            }
            *known = Known { read: Instant::now(), digests: now.into_iter().map(Result::ok).collect() };
        }
        known.digests.clone()
    }
}

/// The token in `Authorization: Bearer TOKEN`; `None` without exactly one.
pub fn sent(headers: &HeaderMap) -> Option<&[u8]> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let field = fields.next().filter(|_| fields.next().is_none())?.as_bytes();
    let (scheme, token) = field.split_at_checked(7)?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then_some(token)
}

/// # Errors
/// Why its file cannot be used, and what to do.
fn digest(token: &FeedToken) -> Result<Digest, String> {
    match &token.secret {
        TokenSecret::Sha256(digest) => Ok(*digest),
        TokenSecret::File(path) => of_file(path).map_err(|why| format!("`{}`: {why}", path.display())),
    }
}

fn of_file(path: &Path) -> Result<Digest, String> {
    let bytes = private::read_secret(path, limits::FEED_TOKEN_BYTES_MAX).map_err(|error| error.to_string())?;
    let token = bytes.trim_ascii();
    if token.len() < limits::FEED_TOKEN_BYTES_MIN || !token.iter().all(u8::is_ascii_graphic) {
        return Err(format!(
            "a token is one line of at least {} letters and digits; make one with `openssl rand -hex 32`",
            limits::FEED_TOKEN_BYTES_MIN
        ));
    }
    Ok(Sha256::digest(token).into())
}

#[cfg(test)]
impl Token {
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), digest: Sha256::digest(name).into() }
    }
}
