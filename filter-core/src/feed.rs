//! Feeds: where claims come from, and the news that a feed's task sends.
//!
//! [`codec`] makes claims of bytes; [`verdicts`] decides how a verification service
//! is followed. Feeds don't know the ledger: they send [`News`].

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use filter_common::source::Family;

use crate::{
    claim::{Claim, Update, Verdict},
    prefix::Prefix,
};

pub mod codec;
pub mod verdicts;

/// The number of a feed; the operator is feed 0.
pub type FeedId = u16;

/// Names of tiers, and their numbers.
pub type Tiers = Arc<BTreeMap<String, u8>>;

/// What a feed's task tells the daemon.
#[derive(Debug)]
pub enum News {
    /// The feed is well, and says this.
    Update {
        /// What it says.
        update: Update,
        /// What of its whole word wasn't taken.
        refused: Refused,
    },
    /// The feed can't be read; what it said last goes on.
    Failed {
        /// The feed's state, in a word.
        state: &'static str,
        /// One sentence: what is wrong, where, and what to do.
        error: String,
    },
    /// The policy is to say its whole word, which the daemon has.
    Whole,
    /// What the feed said before a restart, as far as was kept.
    Restored {
        /// What it says.
        claims: Vec<Claim>,
        /// What of that its whole word left out without being believed.
        held: Vec<Prefix>,
    },
    /// The last good copy of the feed's file, which can't be read itself; `None`: there
    /// is none that can be read.
    Recalled(Option<(Update, Refused)>),
    /// What is doubtful about the feed though it works: a sentence each, in
    /// place of those before.
    Notes(Vec<String>),
    /// Where the feed comes from, to be protected; in place of those before.
    Peers(Vec<IpAddr>),
}

/// What wasn't taken as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Lines that were refused.
    pub count: u64,
    /// A sentence for each of the first ten, with its line number.
    pub first: Vec<String>,
    /// Prefixes that had host bits: taken, and masked.
    pub masked: u64,
}

/// How a feed's claims are read.
#[derive(Clone, Debug)]
pub struct Rules {
    /// What a bare prefix means.
    pub verdict: Verdict,
    /// The tiers that a claim may name.
    pub tiers: Tiers,
    /// Bits of the prefix that a claim on one IPv6 address is about: 128 or 64.
    pub widen_ipv6: u8,
    /// More claims than this are no list but a mistake.
    pub max_claims: usize,
}

impl Rules {
    /// What a claim on this prefix is about.
    #[must_use]
    pub fn widen(&self, prefix: Prefix) -> Prefix {
        match prefix.family() {
            Family::V6 if prefix.is_address() => prefix.widened(self.widen_ipv6),
            _ => prefix,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::prefix::Written;

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

    #[test]
    fn only_a_single_ipv6_address_is_widened() {
        let rules = Rules {
            widen_ipv6: 64,
            ..rules()
        };
        for (written, meant) in [
            ("2001:db8::7", "2001:db8::/64"),
            ("2001:db8::/96", "2001:db8::/96"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("192.0.2.7", "192.0.2.7"),
        ] {
            assert_eq!(rules.widen(prefix(written)), prefix(meant), "{written}");
        }
    }
}
