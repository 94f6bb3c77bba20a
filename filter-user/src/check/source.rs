//! Where a call came from, by the header that the gateway sets. Pure.

use std::net::{IpAddr, SocketAddr};

use hyper::{HeaderMap, header::HeaderName};

use crate::prefix::{self, Prefix, address};
use filter_common::source::Family;

/// The header in which the gateway says where a call comes from.
#[derive(Clone, Debug)]
pub struct SourceHeader {
    name: Option<HeaderName>,
    /// 1 is the last of a list.
    position: usize,
}

/// Why it can't be told where a call came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSource {
    /// The gateway doesn't set the header.
    #[error("the header isn't there")]
    Missing,
    /// It doesn't overwrite what clients send.
    #[error("the header is there more than once")]
    Several,
    /// It isn't a list that long.
    #[error("the header has no address at that position")]
    Short,
    /// It isn't an address.
    #[error("the header has no address")]
    NoAddress,
    /// It is an address that no call comes from.
    #[error("no call comes from that address")]
    NoSource,
}

impl SourceHeader {
    /// A header by its name, and a position in it.
    #[must_use]
    pub fn new(name: &str, position: usize) -> Self {
        Self {
            name: name.parse().ok(),
            position,
        }
    }

    /// Where the call came from.
    ///
    /// # Errors
    /// If that can't be told.
    pub fn of(&self, headers: &HeaderMap) -> Result<IpAddr, NoSource> {
        let name = self.name.as_ref().ok_or(NoSource::Missing)?;
        let mut values = headers.get_all(name).iter();
        let value = values.next().ok_or(NoSource::Missing)?;
        // Lists may come in parts; but of one that the client began and another
        // that the gateway added, nobody can say which is which.
        if values.next().is_some() {
            return Err(NoSource::Several);
        }
        let value = value.to_str().map_err(|_error| NoSource::NoAddress)?;
        let text = value
            .rsplit(',')
            .nth(self.position - 1)
            .ok_or(NoSource::Short)?;
        // More before the last one may be the client's; it isn't believed, only
        // where a single address is meant it must be the only one.
        let ip = read(text.trim()).ok_or(NoSource::NoAddress)?;
        if is_source(ip) {
            Ok(ip)
        } else {
            Err(NoSource::NoSource)
        }
    }
}

/// An address, also with a port, as some gateways write it.
fn read(text: &str) -> Option<IpAddr> {
    let ip = text
        .parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|it| it.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())?;
    Some(prefix::ip(address(ip)))
}

/// Whether a call can come from there.
pub(super) const fn is_source(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || broadcast)
}

/// The source that an address belongs to: an IPv4 /32 or an IPv6 /64.
#[must_use]
pub fn prefix(ip: IpAddr) -> Prefix {
    let address = address(ip);
    let length = match address.family {
        Family::V4 => 32,
        Family::V6 => 64,
    };
    Prefix::new(address, length)
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn of(position: usize, values: &[&str]) -> Result<String, NoSource> {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect(value);
            headers.append("x-forwarded-for", value);
        }
        let header = SourceHeader::new("X-Forwarded-For", position);
        header.of(&headers).map(|ip| prefix(ip).to_string())
    }

    #[test]
    fn a_source_is_an_ipv4_address_or_an_ipv6_64() {
        for (value, source) in [
            ("203.0.113.7", "203.0.113.7/32"),
            (" 203.0.113.7 ", "203.0.113.7/32"),
            ("203.0.113.7:4711", "203.0.113.7/32"),
            ("2001:db8::7", "2001:db8::/64"),
            ("[2001:db8::7]:443", "2001:db8::/64"),
            ("[2001:db8::7]", "2001:db8::/64"),
            ("::ffff:203.0.113.7", "203.0.113.7/32"),
            ("10.0.0.1", "10.0.0.1/32"),
        ] {
            assert_eq!(of(1, &[value]).as_deref(), Ok(source), "{value}");
        }
    }

    #[test]
    fn of_a_list_the_position_counts_from_the_end() {
        let forged = "1.1.1.1, 203.0.113.7, 198.51.100.1";
        assert_eq!(of(1, &[forged]).as_deref(), Ok("198.51.100.1/32"));
        assert_eq!(of(2, &[forged]).as_deref(), Ok("203.0.113.7/32"));
        assert_eq!(of(4, &[forged]), Err(NoSource::Short));
    }

    #[test]
    fn what_doesnt_tell_a_source_is_told_apart() {
        assert_eq!(of(1, &[]), Err(NoSource::Missing));
        assert_eq!(of(1, &["1.1.1.1", "2.2.2.2"]), Err(NoSource::Several));
        for value in ["", "unknown", "unix:", "1.1.1", "1.1.1.1/32", "é", ","] {
            assert_eq!(of(1, &[value]), Err(NoSource::NoAddress), "{value}");
        }
        for value in [
            "0.0.0.0",
            "127.0.0.1",
            "::1",
            "::",
            "224.0.0.1",
            "ff02::1",
            "::ffff:127.0.0.1",
        ] {
            assert_eq!(of(1, &[value]), Err(NoSource::NoSource), "{value}");
        }
    }
}
