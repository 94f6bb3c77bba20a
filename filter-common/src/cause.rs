//! Why a packet was passed or dropped.

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Action {
    /// It goes on into the network stack.
    Pass = 0,
    /// It ends here.
    Drop = 1,
}

impl Action {
    /// As it is spelled in events, metrics and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Drop => "drop",
        }
    }
}

/// Why a packet was passed or dropped: a closed set, each with its own
/// counters. The order of the variants is wire format, the names are too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Cause {
    /// Neither IPv4 nor IPv6.
    NotIp = 0,
    /// No source can be read.
    Unreadable = 1,
    /// DHCP reply or IPv6 neighbour discovery.
    Essential = 2,
    /// A source or port that no feed and no mistake can touch.
    Protected = 3,
    /// The operator's allow.
    Allowed = 4,
    /// A verdict on the source.
    Blocked = 5,
    /// The destination port isn't guarded.
    Unguarded = 6,
    /// Within every rate.
    Conforming = 7,
    /// Over the packets a second.
    OverPackets = 8,
    /// Over the bytes a second.
    OverBytes = 9,
    /// Over the new connections a second.
    OverConnections = 10,
    /// Over a rate of the neighbourhood.
    OverNeighbourhood = 11,
    /// No rate is set, or the table of buckets is saturated.
    Unlimited = 12,
    /// No genuine stack sends it: see
    /// [`Packet::MALFORMED`](crate::packet::Packet::MALFORMED).
    Malformed = 13,
}

impl Cause {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Every cause, in the order of their codes.
    pub const ALL: [Self; 14] = [
        Self::NotIp,
        Self::Unreadable,
        Self::Essential,
        Self::Protected,
        Self::Allowed,
        Self::Blocked,
        Self::Unguarded,
        Self::Conforming,
        Self::OverPackets,
        Self::OverBytes,
        Self::OverConnections,
        Self::OverNeighbourhood,
        Self::Unlimited,
        Self::Malformed,
    ];

    /// As it is spelled in events, metrics and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotIp => "not_ip",
            Self::Unreadable => "unreadable",
            Self::Essential => "essential",
            Self::Protected => "protected",
            Self::Allowed => "allowed",
            Self::Blocked => "blocked",
            Self::Unguarded => "unguarded",
            Self::Conforming => "conforming",
            Self::OverPackets => "over_packets",
            Self::OverBytes => "over_bytes",
            Self::OverConnections => "over_connections",
            Self::OverNeighbourhood => "over_neighbourhood",
            Self::Unlimited => "unlimited",
            Self::Malformed => "malformed",
        }
    }

    /// The cause with this code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Whether a packet with this cause is dropped where the mode is enforce.
    /// (`unreadable` too, but only if the settings are strict.)
    #[inline(always)]
    #[must_use]
    pub const fn drops(self) -> bool {
        matches!(self, Self::Blocked | Self::Malformed) || self.is_over()
    }

    /// Whether a rate was exceeded.
    #[inline(always)]
    #[must_use]
    pub const fn is_over(self) -> bool {
        self as u8 >= Self::OverPackets as u8 && self as u8 <= Self::OverNeighbourhood as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_the_list_of_all_agree() {
        for (code, cause) in (0..).zip(Cause::ALL) {
            assert_eq!(cause as u8, code);
            assert_eq!(Cause::from_code(code), Some(cause));
        }
        assert_eq!(Cause::from_code(Cause::COUNT as u8), None);
    }

    #[test]
    fn only_blocked_malformed_and_over_drop() {
        for cause in Cause::ALL {
            let name = cause.name();
            let spelled = matches!(name, "blocked" | "malformed") || name.starts_with("over_");
            assert_eq!(cause.drops(), spelled, "{}", cause.name());
        }
    }
}
