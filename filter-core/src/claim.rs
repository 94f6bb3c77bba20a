//! Claims: what a feed says of a prefix.

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
    /// Whom it is about.
    pub prefix: Prefix,
    /// What it asks for.
    pub verdict: Verdict,
    /// Why; shared between the claims that give the same.
    pub reason: Option<Arc<str>>,
    /// How often it was seen.
    pub evidence: u32,
    /// Unix time in seconds at which it ends; `None`: when it is withdrawn.
    pub expires: Option<u32>,
    /// The feed's own label.
    pub id: Option<Box<str>>,
}

/// One change of what a feed says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It says this of the prefix, whatever it said before.
    Claim(Claim),
    /// It says nothing of the prefix any more.
    Withdraw(Prefix),
}

/// What a feed says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// Its whole word: what isn't in it is withdrawn. Of two claims on one
    /// prefix the later counts.
    Snapshot(Vec<Claim>),
    /// Its whole word, from a service that may have lost its memory. Where it
    /// leaves out more than half of what stands, it is believed in what it says
    /// and not in what it leaves out: those claims are held until they end, are
    /// withdrawn by name, or a [`Snapshot`](Self::Snapshot) is accepted.
    Resync(Vec<Claim>),
    /// Prefixes that it left out of a whole word without being believed, as a
    /// copy of what it said tells.
    Hold(Vec<Prefix>),
    /// Changes, in order.
    Delta(Vec<Change>),
}
