//! The configuration: one file, read into types that can't be wrong.
//!
//! `docs/weir.toml` is the page about it. A refusal names the line, the table, and what
//! to write instead; doubts are in [`Config::warnings`]. When a change of a key takes
//! effect is in [`changes`].

pub mod attestation;
pub mod changes;
pub mod endpoint;
mod error;
mod example;
pub mod feed;
mod file;
mod gather;
mod lacks;
pub mod policy;
pub mod port;
pub mod quic;
pub mod tick;
pub mod tier;
pub mod unit;
mod validate;
mod value;
mod words;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use filter_common::{
    packet::TCP,
    rate::{Rate, Tier},
    settings::Mode,
};
use serde::Deserialize;
use url::Url;

use self::port::Ports;
pub use self::{
    attestation::{Attestation, KeySource},
    endpoint::Check,
    error::{Error, Place},
    feed::NoStream,
};
use crate::{claim, prefix::Prefix};

/// All that the operator may set. It is whole once [`with`](Self::with) was
/// called, which asks for an interface.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The daemon's folders and its socket.
    pub daemon: Daemon,
    /// The filter and where it is attached.
    pub datapath: Datapath,
    /// Sources and ports that no feed and no mistake can touch.
    pub protect: Protect,
    /// Room in the kernel's tables.
    pub tables: Tables,
    /// Events that report drops.
    pub events: Events,
    /// The address of metrics besides the control socket.
    pub metrics: Metrics,
    /// Guarded ports, in the order of the file.
    pub services: Vec<Service>,
    /// Every tier as it was written, the built-in ones among them: a rate that
    /// isn't set is to be inherited.
    pub tiers: BTreeMap<String, Tier>,
    /// Limits in force while the operator declares that the host is under attack.
    pub under_attack: UnderAttack,
    /// Sources of claims, in the order of the file.
    pub feeds: Vec<Feed>,
    /// The endpoint at which a gateway asks about calls.
    pub check: Check,
    /// Requirements on the tokens of calls, in the order of the file.
    pub attestations: Vec<Attestation>,
    /// Consequences of observations.
    pub policy: policy::Policy,
    /// Allowed values that are likely mistakes, a sentence each.
    pub warnings: Vec<String>,
}

/// `[daemon]`: the daemon's folders and its socket.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Daemon {
    /// The folder of everything that must outlive a restart.
    #[serde(deserialize_with = "value::path")]
    pub state_dir: PathBuf,
    /// The socket of the command line.
    #[serde(deserialize_with = "value::socket")]
    pub control: PathBuf,
    /// The folder in the BPF file system that keeps the filter alive.
    #[serde(deserialize_with = "value::path")]
    pub pins: PathBuf,
}

/// `[datapath]`: the filter and where it is attached.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Datapath {
    /// Names of the interfaces whose packets are filtered.
    #[serde(deserialize_with = "value::interfaces")]
    pub interfaces: Vec<String>,
    /// Whether drops are carried out.
    #[serde(deserialize_with = "value::mode")]
    pub mode: Mode,
    /// How the filter is attached.
    #[serde(deserialize_with = "value::attach")]
    pub attach: Attach,
    /// Drop what no source can be read from.
    pub strict: bool,
    /// The filter's fate when the daemon stops.
    #[serde(deserialize_with = "value::on_stop")]
    pub on_stop: OnStop,
}

/// How the filter is attached to an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// In the driver, or else in the stack.
    Auto,
    /// In the driver, or not at all.
    Native,
    /// In the stack.
    Generic,
}

/// The filter's fate when the daemon stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStop {
    /// It goes on.
    Keep,
    /// It is taken off the interfaces.
    Detach,
}

/// `[protect]`: sources and ports that no feed and no mistake can touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protect {
    /// Sources that are, at every port.
    pub sources: Vec<Prefix>,
    /// Ports that are.
    pub ports: Vec<ProtectedPorts>,
    /// So are the peers of the operator's authenticated SSH sessions, at the
    /// ports that are protected for some sources only.
    pub ssh_peers: bool,
}

/// Ports that no verdict and no rate holds for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectedPorts {
    /// The ports.
    pub ports: Ports,
    /// For these sources; `None`: for every source.
    pub from: Option<Vec<Prefix>>,
}

/// `[tables]`: room in the kernel's tables.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Tables {
    /// IPv4 prefixes with a verdict.
    #[serde(deserialize_with = "value::room")]
    pub ipv4: u32,
    /// IPv6 prefixes with a verdict.
    #[serde(deserialize_with = "value::room")]
    pub ipv6: u32,
    /// Words of buckets: one for each rate of a source or a neighbourhood. In
    /// lines of eight, the last one whole.
    #[serde(deserialize_with = "value::room")]
    pub buckets: u32,
}

/// `[events]`: how drops are reported.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Events {
    /// Events a CPU may send.
    #[serde(deserialize_with = "value::budget")]
    pub budget_per_cpu: Rate,
    /// After the first drop of a source: one event in so many. 0: none.
    pub sample: u32,
}

/// `[metrics]`: the address of metrics besides the control socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Metrics {
    /// A loopback address and its port; `None`: nowhere.
    #[serde(deserialize_with = "value::loopback")]
    pub listen: Option<SocketAddr>,
}

/// `[[service]]`: guarded ports with a default tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name, the only one of it.
    pub name: String,
    /// Its ports.
    pub ports: Vec<Ports>,
    /// Only at these destinations; empty: at all.
    pub addresses: Vec<Prefix>,
    /// The tier of a source that no claim speaks of.
    pub default_tier: String,
    /// Its rates are only counted, whatever the mode.
    pub observe: bool,
    /// The versions of QUIC that it speaks; empty: nothing of its UDP is QUIC. `None`:
    /// it doesn't say, and `udp/443` is QUIC of the usual ones.
    pub quic: Option<Vec<quic::Version>>,
}

/// `[under_attack]`: limits in force while the operator declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnderAttack {
    /// New connections of all unattested sources together, at each service: a
    /// tier of nothing else.
    pub together: Tier,
}

/// `[[feed]]`: a source of claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// Its name, the only one of it.
    pub name: String,
    /// How it is read.
    pub kind: Kind,
    /// Lower is stronger; never 0, which is the operator's.
    pub rank: u8,
    /// A shadow feed: its claims are only counted, whatever the mode.
    pub observe: bool,
    /// 64: its claim on an IPv6 address means the /64 around it. Else 128.
    pub widen_ipv6: u8,
}

/// How a feed is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file of prefixes or claims.
    File {
        /// Its path.
        path: PathBuf,
        /// The verdict of a bare prefix.
        verdict: Verdict,
    },
    /// The stream of a verification service.
    Verdicts(Stream),
    /// The policy's verdicts from observations. Not in the file: it comes with
    /// `[policy]`.
    Policy,
}

/// A verification service's stream, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its address: https, or http.
    pub url: Url,
    /// The file that has the bearer token; only for https or loopback.
    pub token_file: Option<PathBuf>,
    /// A file with the certificates of the authorities that are trusted in
    /// place of the system's.
    pub ca_file: Option<PathBuf>,
}

impl Stream {
    /// The address as it may be shown: without its query, which may be secret.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.to_string()
    }
}

impl Kind {
    /// As it is spelled in the file and in answers.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::File { .. } => "file",
            Self::Verdicts(_) => "verdicts",
            Self::Policy => "policy",
        }
    }
}

/// A verdict that names its tier, one of [`Config::tiers`].
pub type Verdict = claim::Verdict<String>;

impl Config {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// If it isn't TOML, or says what can't be.
    pub fn parse(text: &str) -> Result<Self, Error> {
        gather::read(text)
    }

    /// The configuration without a file: one service on `tcp/443` and `udp/443`, in
    /// observe, without feeds, and on no interface yet.
    #[must_use]
    pub fn embedded() -> Self {
        Self::parse(EMBEDDED).expect("the built-in configuration was tested")
    }

    /// The same with what the command line says: other interfaces unless there
    /// are none, another mode if there is one.
    ///
    /// # Errors
    /// If there is no interface then, or one that can't be.
    pub fn with(mut self, interfaces: Vec<String>, mode: Option<Mode>) -> Result<Self, Error> {
        if !interfaces.is_empty() {
            self.datapath.interfaces = value::each_once(interfaces).map_err(Error::Interface)?;
        }
        if self.datapath.interfaces.is_empty() {
            return Err(Error::NoInterface);
        }
        if let Some(mode) = mode {
            self.datapath.mode = mode;
        }
        Ok(self)
    }

    /// The TCP ports at which the peers of the operator's SSH sessions are
    /// protected: those that are for some sources only. None if that is off.
    #[must_use]
    pub fn ssh_ports(&self) -> Vec<u16> {
        let some = |one: &&ProtectedPorts| one.from.is_some() && one.ports.protocol() == TCP;
        let mut ports: Vec<_> = self
            .protect
            .ports
            .iter()
            .filter(|_| self.protect.ssh_peers)
            .filter(some)
            .flat_map(|one| one.ports.iter().map(|(_protocol, port)| port))
            .collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }
}

impl Default for Daemon {
    fn default() -> Self {
        Self {
            state_dir: "/var/lib/weir".into(),
            control: "/run/weir/control.sock".into(),
            pins: "/sys/fs/bpf/weir".into(),
        }
    }
}

impl Default for Datapath {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            mode: Mode::Observe,
            attach: Attach::Auto,
            strict: false,
            on_stop: OnStop::Keep,
        }
    }
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            ipv4: 1_000_000,
            ipv6: 1_000_000,
            buckets: 1_048_576,
        }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self {
            budget_per_cpu: Rate::new(100, 1_000_000_000, 100).expect("a rate that can be held"),
            sample: 100,
        }
    }
}

const EMBEDDED: &str = r#"
[[service]]
name = "api"
ports = ["tcp/443", "udp/443"]
"#;

#[cfg(test)]
mod tests;
