//! The file as it is written.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, value::MapAccessDeserializer},
};
use toml::Spanned;

use super::{
    Check, Daemon, Datapath, Events, Metrics, Tables, attestation,
    port::Ports,
    quic::Version,
    unit::{Amount, PerTime},
    value::{self, Absolute, Name, Text},
};
use crate::prefix::Written;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct File {
    #[serde(default)]
    pub(super) daemon: Daemon,
    #[serde(default)]
    pub(super) datapath: Datapath,
    #[serde(default)]
    pub(super) protect: Protect,
    #[serde(default)]
    pub(super) tables: Tables,
    #[serde(default)]
    pub(super) events: Events,
    #[serde(default)]
    pub(super) metrics: Metrics,
    #[serde(default)]
    pub(super) service: Vec<Service>,
    #[serde(default)]
    pub(super) tier: BTreeMap<Spanned<Text<Name>>, Tier>,
    #[serde(default)]
    pub(super) under_attack: UnderAttack,
    #[serde(default)]
    pub(super) feed: Vec<Feed>,
    #[serde(default)]
    pub(super) check: Check,
    #[serde(default)]
    pub(super) attestation: Vec<attestation::Written>,
    #[serde(default)]
    pub(super) policy: super::policy::Written,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Protect {
    pub(super) sources: Vec<Spanned<Text<Written>>>,
    pub(super) ports: Vec<Spanned<ProtectedPorts>>,
    pub(super) ssh_peers: bool,
}

impl Default for Protect {
    fn default() -> Self {
        let ssh = ProtectedPorts {
            port: Text("tcp/22".parse().expect("a port")),
            from: None,
        };
        Self {
            sources: Vec::new(),
            ports: vec![Spanned::new(0..0, ssh)],
            ssh_peers: true,
        }
    }
}

pub(super) struct ProtectedPorts {
    pub(super) port: Text<Ports>,
    pub(super) from: Option<Vec<Spanned<Text<Written>>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Service {
    pub(super) name: Spanned<Text<Name>>,
    pub(super) ports: Spanned<Vec<Spanned<Text<Ports>>>>,
    #[serde(default)]
    pub(super) addresses: Vec<Spanned<Text<Written>>>,
    pub(super) default_tier: Option<Spanned<String>>,
    #[serde(default, deserialize_with = "value::observe")]
    pub(super) mode: bool,
    pub(super) quic: Option<Spanned<Vec<Spanned<Text<Version>>>>>,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
#[derive(Default)]
pub(super) struct Tier {
    pub(super) packets: Option<Spanned<Pair>>,
    pub(super) bytes: Option<Spanned<Pair>>,
    pub(super) connections: Option<Spanned<Pair>>,
    pub(super) neighbourhood: Neighbourhood,
}

/// Rates for both families, and those of IPv6 that replace them there.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Neighbourhood {
    pub(super) packets: Option<Spanned<Pair>>,
    pub(super) bytes: Option<Spanned<Pair>>,
    pub(super) connections: Option<Spanned<Pair>>,
    pub(super) ipv6: Level,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Level {
    pub(super) packets: Option<Spanned<Pair>>,
    pub(super) bytes: Option<Spanned<Pair>>,
    pub(super) connections: Option<Spanned<Pair>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct UnderAttack {
    pub(super) connections: Option<Spanned<Pair>>,
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a rate and its burst, such as { rate = \"200/s\", burst = 1000 }"
)]
pub(super) struct Pair {
    pub(super) rate: Spanned<PerTime>,
    pub(super) burst: Spanned<Amount>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Feed {
    pub(super) name: Spanned<Text<Name>>,
    pub(super) kind: Spanned<Kind>,
    pub(super) path: Option<Spanned<Text<Absolute>>>,
    pub(super) verdict: Option<Spanned<Verdict>>,
    pub(super) url: Option<Spanned<String>>,
    pub(super) token_file: Option<Spanned<Text<Absolute>>>,
    pub(super) ca_file: Option<Spanned<Text<Absolute>>>,
    pub(super) rank: Option<Spanned<i64>>,
    #[serde(default, deserialize_with = "value::observe")]
    pub(super) mode: bool,
    pub(super) widen_ipv6: Option<Spanned<i64>>,
}

pub(super) enum Kind {
    File,
    Verdicts,
}

impl Kind {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Verdicts => "verdicts",
        }
    }
}

pub(super) enum Verdict {
    Block,
    Allow,
    Limit(Spanned<String>),
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "file" => Ok(Self::File),
            "verdicts" => Ok(Self::Verdicts),
            other => Err(de::Error::custom(format!(
                "this version doesn't know feeds of the kind {other:?}: write \"file\" or \"verdicts\""
            ))),
        }
    }
}

impl<'de> Deserialize<'de> for ProtectedPorts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Scoped {
            port: Text<Ports>,
            from: Vec<Spanned<Text<Written>>>,
        }
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = ProtectedPorts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"tcp/22\" or { port = \"tcp/22\", from = [\"192.0.2.0/24\"] }")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ProtectedPorts, E> {
                Ok(ProtectedPorts {
                    port: Text(text.parse().map_err(E::custom)?),
                    from: None,
                })
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<ProtectedPorts, A::Error> {
                let Scoped { port, from } = Scoped::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ProtectedPorts {
                    port,
                    from: Some(from),
                })
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl<'de> Deserialize<'de> for Verdict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Limit {
            limit: Spanned<String>,
        }
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Verdict;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"block\", \"allow\" or { limit = \"suspect\" }")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Verdict, E> {
                match text {
                    "block" => Ok(Verdict::Block),
                    "allow" => Ok(Verdict::Allow),
                    _ => Err(E::custom(format!(
                        "{text:?} is no verdict: write \"block\", \"allow\" or {{ limit = \"suspect\" }}"
                    ))),
                }
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Verdict, A::Error> {
                let Limit { limit } = Limit::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Verdict::Limit(limit))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}
