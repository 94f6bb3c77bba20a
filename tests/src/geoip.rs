//! Real prefixes: what Debian's `tor-geoipdb` says where the addresses of the
//! world are, its ranges split into prefixes. (CC BY-SA 4.0; nothing of it is
//! kept here.)

use std::{env, fs, net::Ipv6Addr, path::Path};

use filter_common::source::{Address, Family};
use weir::prefix::Prefix;

/// Every prefix of both families, IPv4 first, as they stand in the files.
///
/// # Panics
/// If the package isn't there, or says what it never said.
#[must_use]
pub fn prefixes() -> Vec<Prefix> {
    let mut prefixes = Vec::new();
    let built = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/tor-geoipdb");
    let folder = env::var_os("WEIR_GEOIP").unwrap_or_else(|| built.into());
    for (file, family) in [("geoip", Family::V4), ("geoip6", Family::V6)] {
        let path = Path::new(&folder).join("usr/share/tor").join(file);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!("{}: {error}: cargo xtask test brings it", path.display())
        });
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let mut fields = line.split(',');
            let mut number = || {
                let field = fields.next().expect("a line has two ends");
                match family {
                    Family::V4 => u128::from(field.parse::<u32>().expect("a number")),
                    Family::V6 => field.parse::<Ipv6Addr>().expect("an address").into(),
                }
            };
            split(family, number(), number(), &mut prefixes);
        }
    }
    prefixes
}

/// The fewest prefixes that are this range.
fn split(family: Family, mut first: u128, last: u128, prefixes: &mut Vec<Prefix>) {
    let bits = weir::prefix::bits(family);
    loop {
        let left = last - first;
        let fits = if left == u128::MAX {
            128
        } else {
            (left + 1).ilog2()
        };
        let open = first.trailing_zeros().min(fits).min(u32::from(bits)) as u8;
        let address = Address {
            family,
            high: (first >> 64) as u64,
            low: first as u64,
        };
        prefixes.push(Prefix::new(address, bits - open));
        let end = first | ((1 << open) - 1);
        if end >= last {
            return;
        }
        first = end + 1;
    }
}
