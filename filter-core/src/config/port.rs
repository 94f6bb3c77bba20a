//! Ports, as the operator writes them: `tcp/443`, `udp/8000-8010`.

use std::{fmt, str::FromStr};

use filter_common::packet::{TCP, UDP};

/// Ports of one protocol that follow each other; at least one, never port 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    protocol: u8,
    first: u16,
    last: u16,
}

/// A text that names no ports.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no port: write \"tcp/443\", \"udp/443\", or a range such as \"tcp/8000-8010\"")]
pub struct NotAPort(String);

impl Ports {
    /// IP protocol number, of TCP or UDP.
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// Each of them, with the protocol.
    pub fn iter(&self) -> impl Iterator<Item = (u8, u16)> + use<> {
        let protocol = self.protocol;
        (self.first..=self.last).map(move |port| (protocol, port))
    }

    /// Whether they are of UDP.
    #[must_use]
    pub const fn is_udp(&self) -> bool {
        self.protocol == UDP
    }

    /// Whether they are of UDP, and others than this one alone.
    #[must_use]
    pub const fn is_udp_beside(&self, port: u16) -> bool {
        self.is_udp() && (self.first != port || self.last != port)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        usize::from(self.last - self.first) + 1
    }

    /// Whether a port is one of both.
    #[must_use]
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.protocol == other.protocol && self.first <= other.last && other.first <= self.last
    }
}

impl FromStr for Ports {
    type Err = NotAPort;

    fn from_str(text: &str) -> Result<Self, NotAPort> {
        let read = || {
            let (protocol, ports) = text.split_once('/')?;
            let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
            let protocol = match protocol {
                "tcp" => TCP,
                "udp" => UDP,
                _ => return None,
            };
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Self {
                protocol,
                first,
                last,
            })
        };
        read().ok_or_else(|| NotAPort(text.chars().take(64).collect()))
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = if self.is_udp() { "udp" } else { "tcp" };
        write!(f, "{protocol}/{}", self.first)?;
        if self.first != self.last {
            write!(f, "-{}", self.last)?;
        }
        Ok(())
    }
}

/// The UDP port that is QUIC's by default (RFC 9114 section 3.1).
pub const HTTP_3: u16 = 443;

/// Reads digits alone: `parse` would accept `+443` too.
fn number(text: &str) -> Option<u16> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok().filter(|port| *port != 0))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_and_written() {
        for (text, protocol, first, count) in [
            ("tcp/443", TCP, 443, 1),
            ("udp/443", UDP, 443, 1),
            ("tcp/8000-8010", TCP, 8000, 11),
            ("udp/1-65535", UDP, 1, 65_535),
        ] {
            let ports: Ports = text.parse().expect(text);
            assert_eq!(ports.to_string(), text);
            assert_eq!((ports.protocol(), ports.count()), (protocol, count));
            assert_eq!(ports.iter().next(), Some((protocol, first)));
            assert_eq!(ports.iter().count(), count);
        }
        for text in [
            "",
            "443",
            "tcp",
            "tcp/",
            "tcp/0",
            "tcp/65536",
            "sctp/5",
            "tcp/9-8",
            "tcp/1-",
            "tcp/-1",
            "tcp/1-2-3",
            "TCP/443",
            "tcp/+443",
            "tcp 443",
        ] {
            assert!(text.parse::<Ports>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn ranges_overlap_within_a_protocol() {
        let ports = |text: &str| text.parse::<Ports>().expect(text);
        assert!(ports("tcp/1-10").overlaps(&ports("tcp/10-20")));
        assert!(ports("tcp/5").overlaps(&ports("tcp/1-10")));
        assert!(!ports("tcp/1-9").overlaps(&ports("tcp/10-20")));
        assert!(!ports("udp/5").overlaps(&ports("tcp/5")));
    }
}
