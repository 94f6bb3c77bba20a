//! Feeds one by one, and what an operator can do about one.

use serde::{Deserialize, Serialize};

use super::FeedStatus;

/// All that is known of a feed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedDetails {
    /// As the status has it.
    #[serde(flatten)]
    pub status: FeedStatus,
    /// How it is doing, in a sentence.
    pub sentence: String,
    /// The path or the address that it comes from.
    pub source: String,
    /// Lower is stronger.
    pub rank: u8,
    /// 64: its claim on an IPv6 address means the /64 around it. Else 128.
    pub widen_ipv6: u8,
    /// Claims that block.
    pub blocked: u64,
    /// Claims that limit.
    pub limited: u64,
    /// Claims that allow.
    pub allowed: u64,
    /// Claims that its whole word left out, and that stand all the same.
    pub held: u64,
    /// How often it said its whole word.
    pub snapshots: u64,
    /// How often it said what has changed.
    pub deltas: u64,
    /// Claims that its updates added.
    #[serde(default)]
    pub added: u64,
    /// Claims that its updates changed.
    #[serde(default)]
    pub changed: u64,
    /// Claims that its updates withdrew. (Those that ended by themselves aren't
    /// counted.)
    #[serde(default)]
    pub withdrawn: u64,
    /// Unix time in seconds at which it last said that it is up to date.
    #[serde(default)]
    pub heard_at: Option<u64>,
    /// Where it comes from, as far as that is protected.
    pub peers: Vec<String>,
    /// What is doubtful though it works: a sentence each.
    pub notes: Vec<String>,
}

/// Which feeds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedsQuery {
    /// This one only.
    #[serde(default)]
    pub feed: Option<String>,
}

/// What is to be done about a feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedRequest {
    /// Its name.
    pub feed: String,
    /// What.
    pub order: FeedOrder,
}

/// What can be done about a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedOrder {
    /// Read all of it anew.
    Refresh,
    /// The same, and believe it also in what it leaves out.
    Accept,
    /// Don't read it any more, and withdraw its claims.
    Disable,
    /// Read it again.
    Enable,
}

/// What became of a [`FeedRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedAnswer {
    /// The feed as it is now.
    pub feed: FeedDetails,
    /// The feed has said something since; otherwise it still may.
    pub heard: bool,
    /// What else the operator should know.
    pub note: Option<String>,
}
