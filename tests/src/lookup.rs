//! Sources as numbers, and a packet of each: what looks a verdict up.

use filter_common::source::{Address, Family};

use crate::frame::frame;

/// The address as a number of its family.
#[must_use]
pub const fn word(address: Address) -> u128 {
    (address.high as u128) << 64 | address.low as u128
}

/// The address with this number.
#[must_use]
pub const fn address(family: Family, word: u128) -> Address {
    match family {
        Family::V4 => Address::v4((word as u32).to_be_bytes()),
        Family::V6 => Address::v6(
            ((word >> 64) as u64).to_be_bytes(),
            (word as u64).to_be_bytes(),
        ),
    }
}

/// A datagram of a source, to a port that nobody guards.
#[must_use]
pub fn packet(source: &Address) -> Vec<u8> {
    let from = weir::prefix::ip(*source).to_string();
    let to = match source.family {
        Family::V4 => "192.0.2.1",
        Family::V6 => "2001:db8:1::1",
    };
    frame().ip(&from, to).udp(40_000, 9).build()
}
