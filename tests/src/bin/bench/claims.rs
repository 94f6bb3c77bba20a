//! The addresses that claims are about.

use std::net::Ipv4Addr;

/// So many different addresses of 10.0.0.0/8, well mixed, one a line. Lists with
/// different `first` have none in common as long as they don't overlap.
pub(crate) fn list(first: u32, many: u32) -> String {
    let mut list = String::with_capacity(many as usize * 15);
    for number in first..first + many {
        list += &listed(number).to_string();
        list.push('\n');
    }
    list
}

/// The address of this number in lists.
pub(crate) const fn listed(number: u32) -> Ipv4Addr {
    // By an odd factor: no two of 2^24 are alike.
    let mixed = number.wrapping_mul(0x9e37_79b1) & 0x00ff_ffff;
    Ipv4Addr::from_bits(0x0a00_0000 | mixed)
}

/// An address that no list has: one of 131,072 of 198.18.0.0/15.
pub(crate) const fn unlisted(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0xc612_0000 | number & 0x0001_ffff)
}
