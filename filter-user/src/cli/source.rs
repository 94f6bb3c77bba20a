//! Sources and ports, as people write them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use filter_common::source::Family;

use crate::prefix::Written;

/// One address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The address.
    pub address: IpAddr,
    /// What of the written text doesn't count.
    pub note: Option<String>,
}

/// Reads a source: an address; of a prefix the address that is written in it.
pub(super) fn source(text: &str) -> Result<Source, String> {
    if let Some(inside) = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
    {
        return source(inside);
    }
    if let Ok(address) = text.parse() {
        return Ok(Source {
            address,
            note: None,
        });
    }
    if let Ok(socket) = text.parse::<SocketAddr>() {
        let (address, port) = (socket.ip(), socket.port());
        return Err(format!(
            "an address and a port are told apart: {address} --port {port}"
        ));
    }
    if let Some((address, zone)) = text.split_once('%')
        && let Ok(address) = address.parse::<Ipv6Addr>()
    {
        return Ok(Source {
            address: address.into(),
            note: Some(format!(
                "the zone {zone} isn't looked at: a verdict holds on every interface"
            )),
        });
    }
    if let Some((address, _)) = text.split_once('/')
        && let Ok(written) = text.parse::<Written>()
        && let Ok(address) = address.parse()
    {
        let note = (!written.prefix.is_address()).then(|| {
            format!(
                "{} is a prefix: explained is {address}, and another address in it may come to \
                 something else",
                written.prefix
            )
        });
        return Ok(Source { address, note });
    }
    Err(no_address(text))
}

/// Reads a source that the policy may hold something against.
pub(super) fn single(text: &str) -> Result<String, String> {
    let written: Written = text.parse().map_err(|_not_a_prefix| no_address(text))?;
    let prefix = written.prefix;
    let is_source = match prefix.family() {
        Family::V4 => prefix.is_address(),
        Family::V6 => prefix.length() >= 64,
    };
    if !is_source {
        return Err(
            "the policy holds single sources only: write one address, or an IPv6 /64".to_owned(),
        );
    }
    Ok(text.to_owned())
}

fn no_address(text: &str) -> String {
    let is_name = text.contains(|letter: char| letter.is_ascii_alphabetic())
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "-._".contains(letter));
    if is_name {
        return format!(
            "it is a name, and weir judges addresses: getent ahosts {text} says which it has"
        );
    }
    "it is no address: write 192.0.2.7 or 2001:db8::7".to_owned()
}

/// Reads a port: a number, or a name that everybody has for it.
pub(super) fn port(text: &str) -> Result<u16, String> {
    if let Some((protocol @ ("tcp" | "udp"), number)) = text.split_once('/') {
        return Err(format!(
            "a port and a protocol are told apart: --port {number} --proto {protocol}"
        ));
    }
    if let Ok(number) = text.parse::<u64>() {
        return u16::try_from(number)
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(|| "a port is a number from 1 to 65535".to_owned());
    }
    let name = text.to_ascii_lowercase();
    let known = PORTS.iter().find(|(known, _)| *known == name);
    known.map(|(_, number)| *number).ok_or_else(|| {
        let names: Vec<_> = PORTS.iter().map(|(name, _)| *name).collect();
        format!(
            "it is no port that weir knows by name: write its number, or one of {}",
            names.join(", ")
        )
    })
}

/// Names of ports that an edge host may guard.
const PORTS: [(&str, u16); 12] = [
    ("ssh", 22),
    ("smtp", 25),
    ("domain", 53),
    ("dns", 53),
    ("http", 80),
    ("ntp", 123),
    ("https", 443),
    ("submission", 587),
    ("imaps", 993),
    ("mqtt", 1883),
    ("http-alt", 8080),
    ("mqtts", 8883),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_however_people_write_it() {
        for (text, address, note) in [
            ("203.0.113.7", "203.0.113.7", None),
            ("2001:db8::7", "2001:db8::7", None),
            ("[2001:db8::7]", "2001:db8::7", None),
            ("203.0.113.7/32", "203.0.113.7", None),
            ("2001:db8::7/128", "2001:db8::7", None),
            (
                "203.0.113.0/24",
                "203.0.113.0",
                Some("203.0.113.0/24 is a prefix: explained is 203.0.113.0,"),
            ),
            (
                "203.0.113.7/24",
                "203.0.113.7",
                Some("203.0.113.0/24 is a prefix: explained is 203.0.113.7,"),
            ),
            (
                "2001:db8::/64",
                "2001:db8::",
                Some("2001:db8::/64 is a prefix"),
            ),
            (
                "fe80::1%eth0",
                "fe80::1",
                Some("the zone eth0 isn't looked at"),
            ),
        ] {
            let found = source(text).expect(text);
            assert_eq!(found.address.to_string(), address, "{text}");
            match note {
                None => assert_eq!(found.note, None, "{text}"),
                Some(words) => {
                    let note = found.note.expect(text);
                    assert!(note.contains(words), "{text}: {note}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_to_write() {
        for (text, words) in [
            (
                "api.example.com",
                "it is a name, and weir judges addresses: getent ahosts api.example.com",
            ),
            ("localhost", "getent ahosts localhost"),
            ("me", "getent ahosts me"),
            ("203.0.113.7:443", "203.0.113.7 --port 443"),
            ("[2001:db8::7]:443", "2001:db8::7 --port 443"),
            ("203.0.113.256", "it is no address: write 192.0.2.7"),
            ("203.0.113.0/33", "it is no address"),
            ("192.0.2.7%eth0", "it is no address"),
            ("2001:db8:::7", "it is no address"),
            ("", "it is no address"),
            ("https://example.com/", "it is no address"),
        ] {
            let error = source(text).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn only_a_single_source_can_be_forgiven() {
        for text in ["192.0.2.7", "192.0.2.7/32", "2001:db8::7", "2001:db8::/64"] {
            assert_eq!(single(text).as_deref(), Ok(text));
        }
        for (text, words) in [
            ("192.0.2.0/24", "single sources"),
            ("2001:db8::/48", "single sources"),
            ("example.com", "it is a name"),
            ("192.0.2", "it is no address"),
        ] {
            let error = single(text).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn ports_have_numbers_and_names() {
        for (text, number) in [
            ("443", 443),
            ("https", 443),
            ("HTTP", 80),
            ("1", 1),
            ("65535", 65_535),
        ] {
            assert_eq!(port(text), Ok(number), "{text}");
        }
        for (text, words) in [
            ("0", "1 to 65535"),
            ("65536", "1 to 65535"),
            ("99999999999", "1 to 65535"),
            ("tcp/443", "--port 443 --proto tcp"),
            ("htps", "write its number"),
            ("-1", "write its number"),
            ("", "write its number"),
        ] {
            let error = port(text).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
