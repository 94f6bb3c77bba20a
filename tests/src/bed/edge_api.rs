//! A real API on an edge host, and who calls it: Debian's nginx, which asks weir
//! about each call, before a small HTTP server; genuine clients and abusers with
//! addresses of their own; and some of both behind a carrier's NAT. All of it is
//! gone on drop. Needs root and nftables.
//!
//! ```text
//!   phones ── carrier ──┐
//!   10.64.1.N   (NAT)   │  net ── host: weir, nginx ── the API
//!           198.18.3.1 ─┘  198.18.1.N  genuine
//!                          198.18.2.N  abusers
//! ```
//!
//! [`api`] is the server, [`client`] a caller, [`token`] the tokens that callers
//! show, [`proof`] the assertions.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::net::UnixStream,
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
};

use serde_json::Value;
use tokio::runtime::Builder;

use crate::{
    bed::{
        Configuration, Daemon, Edge, Gateway, Namespace,
        gateway::{PORT, documented},
        until, veth,
    },
    issuer::Issuer,
    world::{SERVER, SERVER6},
};

pub mod api;
pub mod client;
pub mod proof;
pub mod token;

pub use api::Api;
pub use client::{Answer, Client};
pub use token::Shown;

/// The edge host, the net before it, and a carrier in that net.
#[derive(Debug)]
pub struct EdgeApi {
    /// The host and the net.
    pub edge: Edge,
    /// The issuer of the app's tokens.
    pub issuer: Issuer,
    /// The API behind nginx.
    pub api: Api,
    phones: Namespace,
    _carrier: Namespace,
}

impl EdgeApi {
    /// Without a daemon and a gateway yet. `policy` is what the configuration
    /// says besides the attestation, such as `[policy]`.
    ///
    /// # Panics
    /// If it can't be made.
    #[must_use]
    pub fn new(policy: &str) -> Self {
        let edge = Edge::new();
        let net = &edge.net;
        for sources in ["198.18.1.0/24", "198.18.2.0/24"] {
            // Every one of them is the net's own: it may send from any.
            net.ip(&["route", "add", "local", sources, "dev", "lo"]);
        }
        for hop in 1..=HOPS {
            net.add_address("eth0", &format!("{}/128", abuser6(hop)));
        }
        let (carrier, phones) = carrier(&edge);
        let api = Api::start(&edge.host);
        let this = Self {
            issuer: Issuer::es256("k1"),
            api,
            phones,
            _carrier: carrier,
            edge,
        };
        this.publish(&this.issuer);
        this.configure(policy);
        this
    }

    /// Has weir believe this issuer from its next look on.
    ///
    /// # Panics
    /// If its keys can't be written.
    pub fn publish(&self, issuer: &Issuer) {
        let new = self.edge.path("keys.new");
        fs::write(&new, issuer.key_set()).expect("the keys are written");
        fs::rename(new, self.edge.path("keys.json")).expect("they are put in place");
    }

    /// Writes the daemon's configuration.
    ///
    /// # Panics
    /// If it can't be written.
    pub fn configure(&self, policy: &str) {
        let more = format!(
            "[[service]]\nname = \"gateway\"\nports = [\"tcp/{PORT}\"]\n\n\
             [check]\nsocket = {socket:?}\n\n\
             [[attestation]]\nname = \"app\"\nkeys_file = {keys:?}\nbind = [\"Authorization\"]\n\n\
             {policy}",
            socket = self.edge.path(SOCKET),
            keys = self.edge.path("keys.json"),
        );
        self.edge.list(&[""]);
        self.edge.configure(&Configuration {
            more: &more,
            ..Configuration::default()
        });
    }

    /// Starts the daemon, and waits until it can tell who is genuine.
    ///
    /// # Panics
    /// If it doesn't come to that.
    #[must_use]
    pub fn start(&self) -> Daemon {
        let daemon = self.edge.start();
        until("there are keys", || {
            self.edge.status()["check"]["keys"][0]["keys"] == 1
        });
        daemon
    }

    /// nginx in front of the API, as its page has it.
    ///
    /// # Panics
    /// If it doesn't start.
    #[must_use]
    pub fn gateway(&self) -> Gateway<'_> {
        let socket = self.edge.path(SOCKET).display().to_string();
        let both = format!("listen {PORT}; listen [::]:{PORT};");
        let text = documented("nginx.md", "nginx", 0)
            .replace("/run/weir-check/check.sock", &socket)
            .replace("listen 443;", &both);
        assert!(text.contains(&socket) && text.contains(&both), "{text}");
        Gateway::nginx(&self.edge, &text)
    }

    /// A caller at this address in the net, or behind the carrier where it is one
    /// of [`phone`].
    #[must_use]
    pub fn client(&self, name: &str, from: impl Into<IpAddr>, shown: Shown) -> Client {
        let from = from.into();
        let to = if from.is_ipv4() { SERVER } else { SERVER6 };
        let to = SocketAddr::new(to.parse().expect("an address"), PORT);
        Client::new(name, from, to, shown)
    }

    /// Runs what a client at this address does, where it does it: what is awaited
    /// in `body` opens its connections there.
    ///
    /// # Panics
    /// If `body` panics.
    pub fn at<T: Send>(&self, from: impl Into<IpAddr>, body: impl AsyncFnOnce() -> T + Send) -> T {
        let phones = matches!(from.into(), IpAddr::V4(ip) if ip.octets()[0] == 10);
        let namespace = if phones { &self.phones } else { &self.edge.net };
        namespace.enter(|| {
            let runtime = Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(body())
        })
    }

    /// Sends what another verifier saw, a line each.
    ///
    /// # Panics
    /// If weir doesn't take all of it.
    pub fn report(&self, lines: &[Value]) {
        let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let mut stream = UnixStream::connect(self.edge.path(SOCKET)).expect("weir listens");
        let request = format!(
            "POST /v1/observations HTTP/1.1\r\nHost: weir\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
        let body: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(body["taken"], lines.len(), "{answer}");
    }

    /// The claims of a feed, as `weir list` has them; the feed's claims
    /// are read anew.
    ///
    /// # Panics
    /// If it can't be asked.
    #[must_use]
    pub fn claims(&self, feed: &str) -> Vec<Value> {
        let listed = self.edge.weir(&["list", "--feed", feed, "--json"]).done();
        listed.json_lines()
    }
}

/// Sets what others wait for when it is dropped, also where a panic does that.
#[derive(Debug)]
pub struct SetOnDrop<'a>(pub &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// A carrier with phones behind it, all of them with one address in the net.
fn carrier(edge: &Edge) -> (Namespace, Namespace) {
    let (carrier, phones) = (Namespace::new(), Namespace::new());
    veth((&edge.net, "carrier0"), (&carrier, "eth0"));
    veth((&carrier, "phones0"), (&phones, "eth0"));
    edge.net.add_address("carrier0", "198.18.3.254/24");
    carrier.add_address("eth0", &format!("{CARRIER}/24"));
    carrier.ip(&["route", "add", "default", "via", "198.18.3.254"]);
    carrier.add_address("phones0", "10.64.0.1/24");
    carrier.ip(&["route", "add", "10.64.1.0/24", "dev", "phones0"]);
    phones.add_address("eth0", "10.64.0.2/24");
    phones.ip(&["route", "add", "default", "via", "10.64.0.1"]);
    phones.ip(&["route", "add", "local", "10.64.1.0/24", "dev", "lo"]);
    for router in [&edge.net, &carrier] {
        router.enter(|| {
            fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("root may route");
        });
    }
    // The host has no route by the net: a gateway would be protected.
    let bytes = edge.net.hardware_address("eth0");
    let hardware = bytes.map(|byte| format!("{byte:02x}")).join(":");
    edge.host.ip(&[
        "neighbour",
        "add",
        &CARRIER.to_string(),
        "lladdr",
        &hardware,
        "dev",
        "eth0",
    ]);
    let mut nft = carrier.command("nft");
    let mut nft = nft
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("nsenter is installed");
    let mut rules = nft.stdin.take().expect("it was asked for");
    rules.write_all(MASQUERADE.as_bytes()).expect("nft reads");
    drop(rules);
    assert!(nft.wait().expect("it ends").success(), "nft refuses");
    (carrier, phones)
}

/// The address of a genuine client of its own.
#[must_use]
pub const fn genuine(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, 1, number)
}

/// The address of an abuser of its own.
#[must_use]
pub const fn abuser(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, 2, number)
}

/// One of the addresses of an abuser who owns an IPv6 /64; there are [`HOPS`].
#[must_use]
pub const fn abuser6(hop: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0xbad2, 1, 0, 0, 0, hop)
}

/// The address of somebody behind the carrier.
#[must_use]
pub const fn phone(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 64, 1, number)
}

/// The address that the host sees of all who are behind the carrier.
pub const CARRIER: Ipv4Addr = Ipv4Addr::new(198, 18, 3, 1);

/// Addresses of the abuser with a /64.
pub const HOPS: u16 = 8;

const SOCKET: &str = "check/check.sock";

const MASQUERADE: &str = "table ip carrier {\n\
    chain out {\n\
    type nat hook postrouting priority srcnat;\n\
    oifname \"eth0\" masquerade\n\
    }\n}\n";
