//! Of an attack.

use serde::{Deserialize, Serialize};

/// The host is under attack, or isn't any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnderAttackRequest {
    /// Whether it is.
    pub on: bool,
    /// For so many seconds; `None`: until it is said to be over.
    #[serde(default)]
    pub for_s: Option<u64>,
}

/// It was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnderAttackAnswer {
    /// Whether it is under attack now.
    pub on: bool,
    /// Whether it was before.
    pub was: bool,
    /// Since when, until when.
    pub under_attack: Option<UnderAttackStatus>,
    /// What else the operator should know: a sentence each.
    pub notes: Vec<String>,
}

/// The host is under attack: unknown sources are held to the bootstrap lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnderAttackStatus {
    /// Since when (RFC 3339).
    pub since: String,
    /// Until when (RFC 3339); `None`: until `weir under-attack off`.
    pub until: Option<String>,
}
