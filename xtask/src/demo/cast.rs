//! Who is on the stage, at which addresses, and how much each can do.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use clap::ValueEnum;

/// Whose requests a process of clients sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Population {
    /// The users of the API: they are named in no configuration.
    Genuine,
    /// Those who ask for more than the API can give.
    Abusers,
}

impl Population {
    /// How it is spelled on the command line and in a line of the account.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Genuine => "genuine",
            Self::Abusers => "abusers",
        }
    }

    /// The addresses it sends from, in the order of its requests.
    pub(crate) fn sources(self) -> Vec<IpAddr> {
        match self {
            Self::Genuine => (1..=GENUINE / 2)
                .flat_map(|n| [ipv4(1, n), ipv6(1, n, 1)])
                .collect(),
            // An IPv6 abuser owns its /64, and changes address within it.
            Self::Abusers => (1..=HOPS)
                .flat_map(|hop| (1..=ABUSERS / 2).flat_map(move |n| [ipv4(2, n), ipv6(2, n, hop)]))
                .collect(),
        }
    }

    /// How many requests it sends in a second, all together.
    pub(crate) const fn requests(self) -> u32 {
        match self {
            Self::Genuine => 36,
            Self::Abusers => 1200,
        }
    }
}

/// What the demo shows, in two sentences with their figures.
pub(crate) fn introduction() -> String {
    format!(
        "An API that answers {} requests a second ({WORKERS} workers, {} ms a request, {SEATS} connections open, {BACKLOG} waiting).\n\
         {GENUINE} genuine clients ask {} times a second, {ABUSERS} abusers {} times; half of each over IPv4, half over IPv6.\n\
         A genuine client gives up after {} s.\n",
        WORKERS as u128 * 1000 / WORK.as_millis(),
        WORK.as_millis(),
        Population::Genuine.requests(),
        Population::Abusers.requests(),
        PATIENCE.as_secs(),
    )
}

/// What the verification service would say of the abusers: whom to block.
pub(crate) fn abuser_prefixes() -> Vec<String> {
    (1..=ABUSERS / 2)
        .flat_map(|n| {
            [
                format!("{}/32", ipv4(2, n)),
                format!("2001:db8:2:{n:x}::/64"),
            ]
        })
        .collect()
}

/// The API's own addresses; its interface reaches all others without a route.
pub(crate) const EDGE: [(IpAddr, u8); 2] = [
    (IpAddr::V4(Ipv4Addr::new(198, 18, 0, 1)), 15),
    (
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
        32,
    ),
];

/// The API's port.
pub(crate) const PORT: u16 = 8080;
/// How many requests the API works on at once.
pub(crate) const WORKERS: usize = 4;
/// What one request takes a worker.
pub(crate) const WORK: Duration = Duration::from_millis(20);
/// How many connections the API has open at once; the rest waits in the kernel.
pub(crate) const SEATS: usize = 64;
/// How many connections wait in the kernel; what comes then is not answered.
pub(crate) const BACKLOG: u32 = 64;
/// When a client gives up on a request.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// How many genuine clients there are.
const GENUINE: u8 = 12;
/// How many abusers there are: IPv4 addresses and IPv6 /64s.
pub(crate) const ABUSERS: u8 = 16;
/// How many addresses an IPv6 abuser uses in turn.
const HOPS: u8 = 4;

/// From the range for benchmarks, RFC 2544.
const fn ipv4(group: u8, n: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(198, 18, group, n))
}

/// From the range for documentation, RFC 3849; each client in a /64 of its own.
const fn ipv6(group: u16, n: u8, host: u8) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(
        0x2001,
        0xdb8,
        group,
        n as u16,
        0,
        0,
        0,
        host as u16,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_abuser_is_in_the_feed_and_no_genuine_client_is() {
        let prefixes = abuser_prefixes();
        assert_eq!(prefixes.len(), usize::from(ABUSERS));
        let listed = |source: &IpAddr| match source {
            IpAddr::V4(_) => prefixes.contains(&format!("{source}/32")),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                prefixes.contains(&format!("{a:x}:{b:x}:{c:x}:{d:x}::/64"))
            }
        };
        assert!(Population::Abusers.sources().iter().all(listed));
        assert!(!Population::Genuine.sources().iter().any(listed));
    }
}
