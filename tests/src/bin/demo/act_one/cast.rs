//! The cast: who takes part, at which addresses, and how much each can do.

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
    /// Its name on the command line and in a line of the account.
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

    /// The number of requests that it sends in a second, all together.
    pub(crate) const fn requests(self) -> u32 {
        match self {
            Self::Genuine => 36,
            Self::Abusers => 1200,
        }
    }
}

/// The demo's result, in two sentences with their figures.
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

/// The source reported to the verification service: an IPv6 caller owns its /64.
pub(crate) fn source(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("{address}/32"),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// The API's own addresses; its interface reaches all others without a route.
pub(crate) const EDGE: [(IpAddr, u8); 2] = [
    (IpAddr::V4(Ipv4Addr::new(198, 18, 0, 1)), 15),
    (
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
        32,
    ),
];

/// The address of the verification service, on the edge host itself.
pub(crate) const SERVICE: &str = "127.0.0.1:8440";
/// The API's port.
pub(crate) const PORT: u16 = 8080;
/// The number of requests that the API works on at once.
pub(crate) const WORKERS: usize = 4;
/// The time that one request takes a worker.
pub(crate) const WORK: Duration = Duration::from_millis(20);
/// The number of connections that the API has open at once; the rest waits in the kernel.
pub(crate) const SEATS: usize = 64;
/// The number of connections that wait in the kernel; later ones are not answered.
pub(crate) const BACKLOG: u32 = 64;
/// When a client gives up on a request.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// The number of genuine clients.
const GENUINE: u8 = 12;
/// The number of abusers: IPv4 addresses and IPv6 /64s.
pub(crate) const ABUSERS: u8 = 16;
/// The number of addresses that an IPv6 abuser uses in turn.
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
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_abuser_is_one_source_however_often_it_hops_and_no_genuine_client_is_among_them() {
        let sources = |population: Population| -> BTreeSet<String> {
            population.sources().into_iter().map(source).collect()
        };
        let abusers = sources(Population::Abusers);
        assert_eq!(abusers.len(), usize::from(ABUSERS));
        assert!(abusers.contains("2001:db8:2:1::/64") && abusers.contains("198.18.2.1/32"));
        assert!(abusers.is_disjoint(&sources(Population::Genuine)));
    }
}
