//! A host with a real network stack behind the filter, and everybody else on the
//! other end of a wire: what a way round has to be shown on. No daemon: the
//! configuration's plan goes into the tables as the daemon would write it.
//!
//! The host answers everybody, since it sends whatever isn't its own to a
//! neighbour whose hardware address it knows.

use aya::programs::XdpMode;
use filter_common::{
    cause::Cause,
    event::Counter,
    settings::Mode,
    verdict::{NEVER, Stage, Verdict},
};
use weir::{
    config::{Config, tier::Tiers},
    datapath::{
        Datapath as _,
        kernel::{Kernel, Sizes},
    },
    patch::Patch,
    plan::Plan,
};

use crate::{
    bed::{Namespace, Wire, pair},
    frame::{Frame, frame},
    world,
};

mod traffic;

/// The host's address.
pub const SERVER: &str = "192.0.2.1";
/// The same over IPv6.
pub const SERVER6: &str = "2001:db8::2";
/// The source of packets that aren't part of a test.
const OTHER_END: &str = "192.0.2.2";
const OTHER_END6: &str = "2001:db8::1";

/// The host's hardware address.
pub const HOST: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// The hardware address of everybody else.
pub const NET: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// A host, the wire to it, and the filter on its `eth0` if there is one.
pub struct Host {
    /// Its namespace.
    pub inside: Namespace,
    /// Everybody else's.
    pub outside: Namespace,
    /// The other end of the wire.
    pub wire: Wire,
    filter: Option<Filter>,
}

struct Filter {
    kernel: Kernel,
    plan: Plan,
}

impl Host {
    /// A host without a filter.
    ///
    /// # Panics
    /// If it can't be made.
    #[must_use]
    pub fn new() -> Self {
        let (outside, inside) = pair();
        for (namespace, own, addresses) in [
            (&outside, NET, ["192.0.2.2/24", "2001:db8::1/64"]),
            (&inside, HOST, ["192.0.2.1/24", "2001:db8::2/64"]),
        ] {
            namespace.ip(&["link", "set", "eth0", "address", &spelled(own)]);
            for address in addresses {
                namespace.add_address("eth0", address);
            }
        }
        let others = [
            (&inside, NET, [OTHER_END, OTHER_END6]),
            (&outside, HOST, [SERVER, SERVER6]),
        ];
        for (namespace, hardware, addresses) in others {
            let hardware = spelled(hardware);
            for address in addresses {
                let permanent = ["lladdr", &hardware, "dev", "eth0", "nud", "permanent"];
                namespace.ip(&[&["neighbour", "replace", address], &permanent[..]].concat());
            }
        }
        for (family, gateway) in [("-4", OTHER_END), ("-6", OTHER_END6)] {
            inside.ip(&[family, "route", "add", "default", "via", gateway]);
        }
        // Each connection is answered, however many there are: without state.
        inside.set("net/ipv4/tcp_syncookies", "2");
        // Fragments that wait for others don't keep new ones out.
        inside.set("net/ipv4/ipfrag_high_thresh", "268435456");
        inside.set("net/ipv6/ip6frag_high_thresh", "268435456");
        let wire = Wire::open(&outside, "eth0");
        Self {
            inside,
            outside,
            wire,
            filter: None,
        }
    }

    /// The same with the filter of a configuration on its interface, and claims:
    /// prefixes, and "block", "allow" or the tier that they are limited to.
    ///
    /// # Panics
    /// If the kernel doesn't take it.
    #[must_use]
    pub fn behind(mode: XdpMode, configuration: &str, claims: &[(&str, &str)]) -> Self {
        Self::behind_plan(mode, configuration, claims, |plan, _config| plan)
    }

    /// The same with another plan made of the configuration's.
    ///
    /// # Panics
    /// If the kernel doesn't take it.
    #[must_use]
    pub fn behind_plan(
        mode: XdpMode,
        configuration: &str,
        claims: &[(&str, &str)],
        change: impl FnOnce(Plan, &Config) -> Plan,
    ) -> Self {
        let mut host = Self::new();
        let config = Config::parse(configuration).expect("the host can be configured");
        let plan = config.plan(&Tiers::default()).expect("it has few tiers");
        let plan = change(plan, &config);
        let mut kernel = Kernel::load(&SIZES, None).expect("the kernel takes the object");
        kernel.configure(&plan).expect("the plan fits");
        kernel.set(&plan.settings).expect("settings fit");
        let mut patch = Patch::default();
        for (number, (prefix, verdict)) in (1..).zip(claims) {
            let stage = Stage::new(verdict_of(&plan, verdict), number, NEVER);
            patch.push(world::prefix_of(prefix), &[stage], &[]);
        }
        assert_eq!(kernel.apply(&patch), [], "every claim fits");
        let index = host.inside.index("eth0");
        let merges = matches!(mode, XdpMode::Skb);
        kernel.set_merging(index, merges).expect("there is room");
        host.inside.enter(|| {
            let filter = kernel.filter().expect("the object has it");
            let attached = filter.attach_to_if_index(index, mode);
            attached.expect("the interface takes it");
        });
        host.filter = Some(Filter { kernel, plan });
        host
    }

    /// Goes over to a mode.
    ///
    /// # Panics
    /// If there is no filter.
    pub fn set_mode(&mut self, mode: Mode) {
        let Filter { kernel, plan } = self.filter.as_mut().expect("there is a filter");
        plan.settings.mode = mode as u8;
        plan.settings.generation += 1;
        kernel.set(&plan.settings).expect("settings fit");
    }

    /// The counters of a cause.
    ///
    /// # Panics
    /// If there is no filter.
    #[must_use]
    pub fn counted(&self, cause: Cause) -> Counter {
        let filter = self.filter.as_ref().expect("there is a filter");
        let counts = filter.kernel.counts().expect("the counters can be read");
        counts.causes[usize::from(cause as u8)]
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

/// Tests that take an `XdpMode`: each in the driver, and in generic mode.
#[macro_export]
macro_rules! in_both_modes {
    ($($name:ident: $body:path;)*) => {
        mod in_the_driver {
            $(
                #[test]
                #[ignore = "needs root: cargo xtask test"]
                fn $name() {
                    $body(aya::programs::XdpMode::Driver);
                }
            )*
        }
        mod in_generic_mode {
            $(
                #[test]
                #[ignore = "needs root: cargo xtask test"]
                fn $name() {
                    $body(aya::programs::XdpMode::Skb);
                }
            )*
        }
    };
}

/// A frame from a source to the host, by its family.
#[must_use]
pub fn to_host(source: &str) -> Frame {
    let server = if source.contains(':') {
        SERVER6
    } else {
        SERVER
    };
    frame().ethernet(NET, HOST).ip(source, server)
}

fn verdict_of(plan: &Plan, text: &str) -> Verdict {
    match text {
        "block" => Verdict::BLOCK,
        "allow" => Verdict::ALLOW,
        tier => {
            let number = plan.tier_names.number(tier);
            Verdict::limit(number.expect("a tier of the configuration"))
        }
    }
}

fn spelled(address: [u8; 6]) -> String {
    address.map(|byte| format!("{byte:02x}")).join(":")
}

/// Room for a bucket of each source that a test has.
const SIZES: Sizes = Sizes {
    ipv4: 1_000,
    ipv6: 1_000,
    buckets: 1 << 20,
};
