//! How much there may be, and how much there is.

use std::ops::AddAssign;

use filter_common::source::Family;

use crate::claim::Verdict;

/// How many prefixes of each family the tables hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// IPv4 prefixes.
    pub ipv4: u32,
    /// IPv6 prefixes.
    pub ipv6: u32,
}

/// Claims by family, and the same claims by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// On IPv4 prefixes.
    pub ipv4: u32,
    /// On IPv6 prefixes.
    pub ipv6: u32,
    /// That block.
    pub blocked: u32,
    /// That limit.
    pub limited: u32,
    /// That allow.
    pub allowed: u32,
    /// That the feed's whole word left out, without being believed.
    pub held: u32,
}

impl Counts {
    /// All claims.
    #[must_use]
    pub const fn claims(&self) -> u32 {
        self.ipv4 + self.ipv6
    }

    pub(super) const fn family(&mut self, family: Family) -> &mut u32 {
        match family {
            Family::V4 => &mut self.ipv4,
            Family::V6 => &mut self.ipv6,
        }
    }

    pub(super) const fn verdict(&mut self, verdict: Verdict) -> &mut u32 {
        match verdict {
            Verdict::Allow => &mut self.allowed,
            Verdict::Limit(_) => &mut self.limited,
            Verdict::Block => &mut self.blocked,
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.ipv4 += other.ipv4;
        self.ipv6 += other.ipv6;
        self.blocked += other.blocked;
        self.limited += other.limited;
        self.allowed += other.allowed;
        self.held += other.held;
    }
}
