//! What the policy does, and what it would do.

use serde::{Deserialize, Serialize};

/// The policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PolicyStatus {
    /// `observe` or `enforce`; a rule may have its own.
    pub mode: String,
    /// Why it makes no verdicts, and its own are withdrawn; `None`: it works.
    pub alarm: Option<String>,
    /// Unix time in seconds since which that is so.
    pub alarm_since: Option<u64>,
    /// Sources that it remembers.
    pub sources: u64,
    /// Sources that it forgot to make room.
    pub forgotten: u64,
    /// Observations that say nothing of one source.
    pub ignored: u64,
    /// What it says that holds.
    pub enforced: PolicyVerdicts,
    /// What it says that is only counted.
    pub shadow: PolicyVerdicts,
}

/// Verdicts of the policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PolicyVerdicts {
    /// Sources that are raised.
    pub raised: u64,
    /// Sources that are held to a tier.
    pub limited: u64,
    /// Sources that are blocked.
    pub blocked: u64,
}

/// Asks for what feeds, reasons and steps in observe would have hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowQuery {}

/// What claims of one feed, or a step of the policy, hit within the last day for
/// one reason, and how much of it was genuine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShadowLine {
    /// The feed's name; of the policy's steps the one of its two feeds.
    pub feed: String,
    /// The policy's rule, and which of its steps, from 1.
    pub rule: Option<String>,
    /// Which of the rule's steps, from 1.
    pub step: Option<u64>,
    /// `block`, or the tier.
    pub verdict: String,
    /// Why.
    pub reason: String,
    /// Whether it is carried out: `observe` or `enforce`.
    pub mode: String,
    /// Sources, each once an hour.
    pub sources: u64,
    /// Those of them that were attested in the same hour.
    pub attested_sources: u64,
    /// Those of them that came to a milder step for their genuine devices.
    pub spared_sources: u64,
    /// Calls of theirs that came meanwhile.
    pub calls: u64,
    /// Those of them that were attested.
    pub attested_calls: u64,
}
