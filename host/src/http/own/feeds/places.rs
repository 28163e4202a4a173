//! The open streams: bounded for all readers together and for each token. A stream whose reader has stopped reading
//! gives its place to another reader and ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::tokens::Token;
use crate::limits;

#[derive(Default)]
pub struct Places(Mutex<Vec<Arc<Holder>>>);

struct Holder {
    feed: String,
    token: Token,
    /// Since when the reader has a piece and has not asked for the next one.
    unread_since: Mutex<Option<Instant>>,
}

/// A place of one stream; free again when it drops.
pub struct Place {
    places: Arc<Places>,
    holder: Arc<Holder>,
}

impl Places {
    /// A place, unless all are taken by streams that are read.
    pub fn take(self: &Arc<Self>, feed: &str, token: &Token, now: Instant) -> Option<Place> {
        let mut holders = self.0.lock();
        let of_token = |holder: &Holder| holder.feed == feed && holder.token == *token;
        let own = holders.iter().filter(|holder| of_token(holder)).count();
        if own >= limits::FEED_STREAMS_PER_TOKEN {
            Self::remove_stalled(&mut holders, now, of_token)?;
        } else if holders.len() >= limits::FEED_STREAMS {
            Self::remove_stalled(&mut holders, now, |_| true)?;
        }
        let holder =
            Arc::new(Holder { feed: feed.to_owned(), token: token.clone(), unread_since: Mutex::new(Some(now)) });
        holders.push(holder.clone());
        Some(Place { places: self.clone(), holder })
    }

    /// Takes the place of the stream that was left unread for the longest; `None` if all are read.
    fn remove_stalled(holders: &mut Vec<Arc<Holder>>, now: Instant, may: impl Fn(&Holder) -> bool) -> Option<()> {
        let stall = Duration::from_millis(limits::FEED_STALL_MS);
        let unread = |holder: &Holder| holder.unread_since.lock().map(|since| now.saturating_duration_since(since));
        let stalled = holders.iter().enumerate().filter(|(_, holder)| may(holder));
        let times = stalled.filter_map(|(at, holder)| Some((unread(holder).filter(|time| *time >= stall)?, at)));
        let (_, at) = times.max()?;
        holders.swap_remove(at);
        Some(())
    }
}

impl Place {
    /// The reader has a piece.
    pub fn delivered(&self, now: Instant) {
        *self.holder.unread_since.lock() = Some(now);
    }

    /// The reader asks for the next piece; whether it still has its place.
    pub fn asked(&self) -> bool {
        *self.holder.unread_since.lock() = None;
        self.places.0.lock().iter().any(|holder| Arc::ptr_eq(holder, &self.holder))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.0.lock().retain(|holder| !Arc::ptr_eq(holder, &self.holder));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn a_stream_that_is_not_read_gives_its_place_away_and_one_that_is_read_does_not() {
        let (places, start) = (Arc::new(Places::default()), Instant::now());
        let (token, other) = (Token::named("reports"), Token::named("billing"));
        let take = |token: &Token, now: Instant| places.take("/feeds/orders", token, now);
        let open: Vec<Place> = (0..limits::FEED_STREAMS_PER_TOKEN).map(|_| take(&token, start).unwrap()).collect();
        assert!(take(&token, start).is_none(), "so many for one token");
        assert!(take(&other, start).is_some(), "which keep no other out");
        assert!(open.iter().all(Place::asked));
        let later = start + Duration::from_millis(limits::FEED_STALL_MS);
        assert!(take(&token, later).is_none(), "they all wait for events");
        open[3].delivered(start);
        let new = take(&token, later).unwrap();
        assert!(!open[3].asked() && open[4].asked() && new.asked());
        drop(open);
        let all: Vec<Place> =
            (0..limits::FEED_STREAMS - 1).map(|at| take(&Token::named(&at.to_string()), later).unwrap()).collect();
        assert!(take(&other, later).is_none(), "so many for all tokens");
        drop((new, all));
        assert!(places.0.lock().is_empty());
    }
}
