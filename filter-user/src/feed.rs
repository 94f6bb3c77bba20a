//! Feeds: the tasks that follow them, and what these send to the daemon.
//!
//! How claims are read from bytes, and everything else of a feed that is pure, is in
//! `filter_core::feed`. Feeds don't know the ledger: they send [`Message`]s.

use tokio::sync::{mpsc, oneshot};

pub use filter_core::feed::{FeedId, News, Refused, Rules, Tiers, codec};

pub mod file;
pub mod policy;
pub mod verdicts;

/// The channel by which the feeds' tasks reach the daemon.
pub type Sender = mpsc::Sender<Message>;

/// What a feed's task sends to the daemon.
#[derive(Debug)]
pub struct Message {
    /// Which feed it is.
    pub feed: FeedId,
    /// What is new.
    pub news: News,
    /// Receives, once it is in force, how many claims are held that the feed's whole
    /// word left out.
    pub applied: Option<oneshot::Sender<u32>>,
}

impl Message {
    /// News whose outcome the task doesn't wait for.
    #[must_use]
    pub const fn new(feed: FeedId, news: News) -> Self {
        Self {
            feed,
            news,
            applied: None,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use super::Rules;
    use crate::{
        claim::Verdict,
        prefix::{Prefix, Written},
    };

    pub(crate) fn rules() -> Rules {
        let tiers = [("unknown", 0), ("suspect", 1), ("trusted", 2)];
        Rules {
            verdict: Verdict::Block,
            tiers: Arc::new(tiers.map(|(name, tier)| (name.to_owned(), tier)).into()),
            widen_ipv6: 128,
            max_claims: 150_000,
        }
    }

    pub(crate) fn prefix(text: &str) -> Prefix {
        text.parse::<Written>().expect(text).prefix
    }
}
