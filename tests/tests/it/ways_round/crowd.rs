//! A flood from all over an IPv6 /48, each /64 well within its own rates.

use std::time::Instant;

use aya::programs::XdpMode;
use filter_common::{cause::Cause, settings::Mode};
use weir_tests::{
    bed::{
        Host,
        host::{HOST, NET},
        to_host,
    },
    frame::{Frame, frame},
};

weir_tests::in_both_modes! {
    a_whole_48_gets_what_no_carriers_customers_reach_and_attested_sources_more: super::enforced;
}

fn enforced(mode: XdpMode) {
    let mut host = Host::behind(mode, CONFIGURATION, &[(ATTESTED, "attested")]);
    flood(&mut host, Mode::Enforce);

    // Whoever is attested isn't held by what the neighbours did.
    let before = host.counted(Cause::Conforming);
    for port in 0..300 {
        let syn = to_host(ATTESTED).tcp(port, 443).syn().build();
        host.send_one_of_many(u32::from(port), &syn);
    }
    host.settle(|_| {});
    let after = host.counted(Cause::Conforming);
    assert_eq!(after.packets() - before.packets(), 300);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn in_observe_it_is_counted_as_it_would_be_in_enforce() {
    let mut host = Host::behind(XdpMode::Driver, CONFIGURATION, &[]);
    flood(&mut host, Mode::Observe);
}

/// Sends more SYNs than there is room for, each /64 very few.
fn flood(host: &mut Host, mode: Mode) {
    host.set_mode(mode);
    let mut syn = to(NEIGHBOUR6, "2001:db8:48::1").build();
    let begun = Instant::now();
    for number in 0..FLOOD {
        // Nobody looks at the checksum of what goes to somebody else.
        let subnet = (number % SUBNETS) as u16;
        syn[28..30].copy_from_slice(&subnet.to_be_bytes());
        host.send_one_of_many(number, &syn);
    }
    host.settle(|_| {});
    let seconds = begun.elapsed().as_secs_f64();
    let over = host.counted(Cause::OverNeighbourhood);
    // A source whose bucket others have replaced passes without a limit.
    let unheld = host.counted(Cause::Unlimited).packets();
    let within = host.counted(Cause::Conforming).packets() + unheld;
    let sent = u64::from(FLOOD);
    eprintln!(
        "{mode:?}: of {sent} SYNs in {seconds:.2} s, {within} within the rates ({unheld} unheld), {} over",
        over.packets()
    );
    assert_eq!(within + over.packets(), sent);
    let most = BURST + (RATE * seconds) as u64 + 1;
    assert!(
        (BURST..=most + unheld).contains(&within),
        "{most} are allowed"
    );
    assert!(unheld < 100, "{unheld} unheld");
    let dropped = if matches!(mode, Mode::Enforce) {
        over.packets()
    } else {
        0
    };
    assert_eq!(over.dropped_packets, dropped, "{mode:?}");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_ipv4_24_has_no_such_rate_unless_it_is_configured() {
    let host = Host::behind(XdpMode::Driver, CONFIGURATION, &[]);
    let sent: u32 = 300 * 256;
    let mut syn = to(NEIGHBOUR, "198.18.7.0").build();
    for number in 0..sent {
        syn[29] = number as u8;
        host.send_one_of_many(number, &syn);
    }
    host.settle(|_| {});
    let conforming = host.counted(Cause::Conforming).packets();
    assert_eq!(conforming, u64::from(sent));
}

/// A SYN to a host beside the server: no stack has to answer so many.
fn to(destination: &str, source: &str) -> Frame {
    let frame = frame().ethernet(NET, HOST).ip(source, destination);
    frame.tcp(40_000, 443).syn()
}

const NEIGHBOUR: &str = "192.0.2.77";
const NEIGHBOUR6: &str = "2001:db8::77";
/// In the /48 of the flood.
const ATTESTED: &str = "2001:db8:48:fff1::1";

/// SYNs, some from each /64.
const FLOOD: u32 = 150_000;
/// The /64s that send: few enough that nearly each finds room in the buckets.
const SUBNETS: u32 = 20_000;
const BURST: u64 = 50_000;
const RATE: f64 = 10_000.0;

const CONFIGURATION: &str = r#"
[datapath]
interfaces = ["eth0"]
mode = "enforce"

[[service]]
name = "api"
ports = ["tcp/443"]
"#;
