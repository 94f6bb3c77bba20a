//! Claims: a feed's verdicts on prefixes.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::prefix::Prefix;

/// A verdict on a source. In claims a tier is a number, since names are resolved where
/// claims are read; in the configuration, on the control socket and in answers it is a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict<T = u8> {
    /// From the operator: no rates. From a feed: not blocked by what is weaker.
    Allow,
    /// Held to the rates of this tier.
    Limit(T),
    /// Dropped.
    Block,
}

impl fmt::Display for Verdict<String> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow | Self::Block => f.pad(self.name()),
            Self::Limit(tier) => f.pad(&format!("limit {tier}")),
        }
    }
}

impl<T> Verdict<T> {
    /// The same verdict with its tier by reference.
    pub const fn as_ref(&self) -> Verdict<&T> {
        match self {
            Self::Allow => Verdict::Allow,
            Self::Limit(of) => Verdict::Limit(of),
            Self::Block => Verdict::Block,
        }
    }

    /// The same verdict, its tier replaced by what `tier` makes of it.
    pub fn map<U>(self, tier: impl FnOnce(T) -> U) -> Verdict<U> {
        match self {
            Self::Allow => Verdict::Allow,
            Self::Limit(of) => Verdict::Limit(tier(of)),
            Self::Block => Verdict::Block,
        }
    }

    /// As it is spelled in claims, metrics and answers.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Limit(_) => "limit",
            Self::Block => "block",
        }
    }
}

/// A feed's verdict on a prefix: one a feed and prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The sources that it is about.
    pub prefix: Prefix,
    /// The verdict that it asks for.
    pub verdict: Verdict,
    /// The reason; shared between the claims that give the same.
    pub reason: Option<Arc<str>>,
    /// How often the feed observed it.
    pub evidence: u32,
    /// Unix time in seconds at which it ends; `None`: when it is withdrawn.
    pub expires: Option<u32>,
    /// The feed's own label.
    pub id: Option<Box<str>>,
}

/// One change of what a feed says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The feed claims this of the prefix, in place of what it claimed before.
    Claim(Claim),
    /// The feed withdraws its claim on the prefix.
    Withdraw(Prefix),
}

/// A message of a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// All claims of the feed: those that aren't in it are withdrawn. Of two claims on
    /// one prefix the later counts.
    Snapshot(Vec<Claim>),
    /// All claims of a service that may have lost its memory. Where it leaves out more
    /// than half of the standing claims, its claims are applied and its omissions are
    /// not: the omitted claims are held until they end, are withdrawn by name, or a
    /// [`Snapshot`](Self::Snapshot) is accepted.
    Resync(Vec<Claim>),
    /// Prefixes of claims that are held because a [`Resync`](Self::Resync) omitted them,
    /// as the stored copy of the stream records.
    Hold(Vec<Prefix>),
    /// Changes, in order.
    Delta(Vec<Change>),
}
