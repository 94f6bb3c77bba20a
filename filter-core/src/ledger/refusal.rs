//! Refusals of claims, and their reasons.

use filter_common::source::Family;

use super::{FeedId, quarantine::QUARANTINE_SECONDS};
use crate::prefix::Prefix;

/// The shortest IPv4 prefix a claim may have: no address plan gives a wider
/// one to one hand, so it is a mistake that would cost everybody.
pub const WIDEST_IPV4: u8 = 8;

/// The shortest IPv6 prefix a claim may have, for the same reason.
pub const WIDEST_IPV6: u8 = 16;

/// The reason why a claim is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No claim may touch what is protected.
    #[error(
        "it is inside {0}, which is protected (by protect.sources, or as this host's resolver or gateway)"
    )]
    Protected(Prefix),
    /// It would hit too many at once.
    #[error("it is too wide: a claim's prefix has a length of at least {0}")]
    TooWide(u8),
    /// There is no room for another prefix of its family.
    #[error("the table is full with {0} prefixes: raise tables.ipv4 or tables.ipv6")]
    Full(u32),
    /// Every claim number is in use.
    #[error("there are as many claims as can be numbered: let feeds overlap less")]
    NoNumber,
    /// Every claim number is in use or rests.
    #[error(
        "too many claims went at once: the number of each rests for some {QUARANTINE_SECONDS} seconds, since an event may still carry it; let the feed say this one again then (weir feed refresh)"
    )]
    NumbersQuarantined,
    /// The feed isn't configured, or not any more.
    #[error("there is no feed {0}: add it to the configuration")]
    NoFeed(FeedId),
}

/// A refused claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the claim on {prefix} is refused: {fault}")]
pub struct Refusal {
    /// Whom it was about.
    pub prefix: Prefix,
    /// The reason.
    pub fault: Fault,
}

/// The refused claims of one update.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// How many.
    pub count: u32,
    /// The first few of them.
    pub first: Vec<Refusal>,
}

impl Refused {
    pub(super) fn push(&mut self, prefix: Prefix, fault: Fault) {
        self.count += 1;
        if self.first.len() < SHOWN {
            self.first.push(Refusal { prefix, fault });
        }
    }
}

/// The reason why every claim on a prefix is refused, where these prefixes are protected.
#[must_use]
pub fn never_taken(prefix: &Prefix, protected: &[Prefix]) -> Option<Fault> {
    let covering = protected.iter().find(|one| one.covers(prefix));
    covering
        .map(|one| Fault::Protected(*one))
        .or_else(|| too_wide(prefix))
}

/// The fault of a prefix that is wider than any claim may be.
pub(super) const fn too_wide(prefix: &Prefix) -> Option<Fault> {
    let least = match prefix.family() {
        Family::V4 => WIDEST_IPV4,
        Family::V6 => WIDEST_IPV6,
    };
    if prefix.length() < least {
        return Some(Fault::TooWide(least));
    }
    None
}

/// So many refusals are reported one by one.
const SHOWN: usize = 10;
