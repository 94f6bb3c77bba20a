//! What travels between the daemon and its clients, as JSON. Types only: no
//! I/O, and no meaning beyond what is spelled here.

use std::net::IpAddr;

use clap::ValueEnum;
use filter_common::settings::Mode;
use serde::{Deserialize, Serialize};

mod check;
mod claims;
mod event;
mod feeds;
mod policy;
mod spelled;
mod status;
mod under_attack;

pub use check::{AnswerCount, CheckKeys, CheckStatus, ObservationsStatus};
pub use claims::{ClaimLine, Explanation, ListLine, LosingClaim, RateRoom, ShadowOutcome};
pub use event::{EventLine, Missed};
pub use feeds::{FeedAnswer, FeedDetails, FeedOrder, FeedRequest, FeedsQuery};
pub use policy::{PolicyStatus, PolicyVerdicts, ShadowLine};
pub use status::{
    BucketsStatus, CauseCount, Causes, EventsStatus, FeedStatus, InterfaceStatus, ServiceStatus,
    ShadowVerdicts, Status, TableStatus, TablesStatus, VerdictsStatus,
};
pub use under_attack::{UnderAttackAnswer, UnderAttackRequest, UnderAttackStatus};

/// Why something wasn't done: one sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{error}")]
pub struct Refused {
    /// The sentence.
    pub error: String,
}

impl Refused {
    /// With this sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self {
            error: sentence.into(),
        }
    }
}

/// A claim's verdict, with its tier by name.
pub type Verdict = crate::claim::Verdict<String>;

/// What the operator asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// No rates, whatever a feed says.
    Allow,
    /// Hold to the rates of this tier.
    Limit(String),
    /// Drop.
    Block,
    /// Forget what the operator said.
    Clear,
}

/// The operator's verdict on some prefixes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerdictRequest {
    /// Addresses and prefixes, as they were written.
    pub prefixes: Vec<String>,
    /// What is asked for.
    pub verdict: Order,
    /// Seconds until it ends; `None`: until it is cleared.
    #[serde(default)]
    pub for_s: Option<u64>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What became of a [`VerdictRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictAnswer {
    /// When the verdicts end (RFC 3339); `None`: when they are cleared.
    pub until: Option<String>,
    /// What became of each prefix, in the order of the request.
    pub prefixes: Vec<PrefixAnswer>,
}

/// What became of one prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixAnswer {
    /// As it was written.
    pub written: String,
    /// What it was taken as; `None`: it is no prefix.
    pub prefix: Option<String>,
    /// It had host bits, which were masked.
    pub masked: bool,
    /// The verdict stands (or is cleared).
    pub done: bool,
    /// Something is different now: the operator's claim is new, another, or gone.
    #[serde(default)]
    pub changed: bool,
    /// Claims of others on it that stand after it was cleared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_by: Vec<Holder>,
    /// Why not.
    pub error: Option<String>,
    /// What else the operator should know.
    pub note: Option<String>,
}

impl PrefixAnswer {
    /// The verdict stands.
    pub fn done(text: impl Into<String>, written: &crate::prefix::Written) -> Self {
        Self {
            written: text.into(),
            prefix: Some(written.prefix.to_string()),
            masked: written.masked,
            done: true,
            changed: true,
            held_by: Vec::new(),
            error: None,
            note: None,
        }
    }

    /// The verdict was refused, and why: one sentence.
    pub fn refused(text: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            written: text.into(),
            prefix: None,
            masked: false,
            done: false,
            changed: false,
            held_by: Vec::new(),
            error: Some(why.into()),
            note: None,
        }
    }
}

/// A claim that stands on a prefix, and the command that lifts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Whose claim it is: `operator`, or a feed's name.
    pub feed: String,
    /// On which prefix: the cleared one, or a wider one.
    pub prefix: String,
    /// What it asks for.
    pub verdict: Verdict,
    /// The command that lifts it, as `weir forgive 192.0.2.7`.
    pub lifted_by: String,
}

impl Holder {
    /// A claim of the operator on a wider prefix.
    #[must_use]
    pub fn operator(prefix: impl Into<String>, verdict: Verdict) -> Self {
        let prefix = prefix.into();
        Self {
            feed: "operator".to_owned(),
            lifted_by: format!("weir clear {prefix}"),
            prefix,
            verdict,
        }
    }

    /// A claim of the policy, in one of its feeds.
    #[must_use]
    pub fn policy(feed: impl Into<String>, prefix: impl Into<String>, verdict: Verdict) -> Self {
        let prefix = prefix.into();
        Self {
            feed: feed.into(),
            lifted_by: format!("weir forgive {prefix}"),
            prefix,
            verdict,
        }
    }

    /// A claim of any other feed: only the operator's word beats it.
    #[must_use]
    pub fn feed(feed: impl Into<String>, prefix: impl Into<String>, verdict: Verdict) -> Self {
        let prefix = prefix.into();
        Self {
            feed: feed.into(),
            lifted_by: format!("weir allow {prefix}"),
            prefix,
            verdict,
        }
    }
}

/// What an operator can have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The operator's verdict on prefixes.
    Verdict(VerdictRequest),
    /// Another mode.
    Mode(ModeRequest),
    /// The host is under attack, or isn't any more.
    UnderAttack(UnderAttackRequest),
    /// Do something about a feed.
    Feed(FeedRequest),
    /// Read the configuration again.
    Reload,
    /// Take the filter off.
    Detach(DetachRequest),
    /// Lift what the policy holds against a source.
    Forgive(ForgiveRequest),
}

/// What became of a [`Command`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Of [`Command::Verdict`].
    Verdict(VerdictAnswer),
    /// Of [`Command::Mode`].
    Mode(ModeAnswer),
    /// Of [`Command::UnderAttack`].
    UnderAttack(UnderAttackAnswer),
    /// Of [`Command::Feed`].
    Feed(FeedAnswer),
    /// Of [`Command::Reload`].
    Reload(ReloadAnswer),
    /// Of [`Command::Detach`].
    Detach(DetachAnswer),
    /// Of [`Command::Forgive`].
    Forgive(ForgiveAnswer),
}

/// Which claims are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// Only this feed's.
    pub feed: Option<String>,
    /// Only those on prefixes that overlap this one: wider, narrower, or it.
    pub prefix: Option<String>,
}

/// Which packet is explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainQuery {
    /// Its source.
    pub address: IpAddr,
    /// Its destination port; `None`: the first service's.
    pub port: Option<u16>,
    /// Its protocol; `None`: the first service's, or TCP if a port is given.
    pub proto: Option<Protocol>,
}

/// A protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// As it is spelled.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// Which events are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    /// Also those to come, until the client goes.
    #[serde(default)]
    pub follow: bool,
    /// An empty line now and then where there is nothing to tell, so that a client
    /// knows a quiet daemon from a dead one.
    #[serde(default)]
    pub keepalive: bool,
}

/// Another mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModeRequest {
    /// Which.
    #[serde(with = "spelled")]
    pub mode: Mode,
    /// Even where few sources carry most of the traffic.
    #[serde(default)]
    pub force: bool,
    /// For so many seconds, then as before; `None`: until it is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_s: Option<u64>,
}

/// The mode is another, or was so before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeAnswer {
    /// What it is now.
    #[serde(with = "spelled")]
    pub mode: Mode,
    /// What it was.
    #[serde(with = "spelled")]
    pub was: Mode,
    /// When the mode goes back by itself (RFC 3339); `None`: it doesn't.
    #[serde(default)]
    pub until: Option<String>,
    /// What else the operator should know: a sentence each.
    pub notes: Vec<String>,
}

/// Lift what the policy holds against a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForgiveRequest {
    /// The source's address, or its prefix: an IPv4 /32 or an IPv6 /64.
    pub address: String,
}

/// What the policy held against a source is lifted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgiveAnswer {
    /// The source: an IPv4 /32 or an IPv6 /64.
    pub source: String,
    /// What was withdrawn.
    pub lifted: Vec<LiftedVerdict>,
    /// What else the operator should know: a sentence each.
    pub notes: Vec<String>,
}

/// A verdict of the policy that was withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiftedVerdict {
    /// The policy's feed that held it.
    pub feed: String,
    /// What it asked for.
    pub verdict: Verdict,
    /// Why.
    pub reason: Option<String>,
}

/// The configuration was read again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadAnswer {
    /// What is different now: a sentence each.
    pub changes: Vec<String>,
    /// What else the operator should know: a sentence each.
    pub notes: Vec<String>,
}

/// Take the filter off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetachRequest {
    /// This interface; `None`: all.
    #[serde(default)]
    pub interface: Option<String>,
}

/// The filter is off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetachAnswer {
    /// The interfaces that it was taken off.
    pub interfaces: Vec<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::{from_str, json, to_value};

    use super::*;

    #[test]
    fn verdicts_and_orders_are_spelled_as_in_the_stream() {
        for (order, spelled) in [
            (Order::Allow, json!("allow")),
            (Order::Block, json!("block")),
            (Order::Clear, json!("clear")),
            (Order::Limit("suspect".into()), json!({"limit": "suspect"})),
        ] {
            assert_eq!(to_value(&order).expect("json"), spelled);
            assert_eq!(
                from_str::<Order>(&spelled.to_string()).expect("an order"),
                order
            );
        }
        let limit = Verdict::Limit("suspect".into());
        assert_eq!(to_value(&limit).expect("json"), json!({"limit": "suspect"}));
        assert_eq!(format!("{limit:15}|"), "limit suspect  |");
        assert!(from_str::<Verdict>("\"clear\"").is_err());
    }

    #[test]
    fn a_verdict_request_needs_only_prefixes_and_verdict() {
        let short: VerdictRequest =
            from_str(r#"{"prefixes": ["192.0.2.7"], "verdict": "block"}"#).expect("a request");
        assert_eq!((short.for_s, &short.reason), (None, &None));
        let whole = VerdictRequest {
            for_s: Some(90),
            reason: Some("seen".into()),
            ..short
        };
        let text = serde_json::to_string(&whole).expect("json");
        assert_eq!(from_str::<VerdictRequest>(&text).expect("a request"), whole);
    }

    #[test]
    fn an_unknown_key_in_a_request_is_an_error_that_names_it() {
        let error = from_str::<VerdictRequest>(r#"{"prefixes": [], "verdict": "block", "for": 9}"#)
            .expect_err("`for` isn't a key");
        assert!(error.to_string().contains("`for`"), "{error}");
        let error = from_str::<ModeRequest>(r#"{"mode": "on"}"#).expect_err("no mode");
        assert!(error.to_string().contains("\"on\" is no mode"), "{error}");
        assert!(error.to_string().contains("observe, enforce"), "{error}");
    }

    #[test]
    fn modes_protocols_and_refusals_are_spelled_in_lower_case() {
        let request = ModeRequest {
            mode: Mode::Enforce,
            force: true,
            for_s: None,
        };
        assert_eq!(
            to_value(request).expect("json"),
            json!({"mode": "enforce", "force": true})
        );
        assert_eq!(to_value(Protocol::Udp).expect("json"), json!("udp"));
        assert_eq!(
            to_value(Refused::new("it can't be")).expect("json"),
            json!({"error": "it can't be"})
        );
    }
}
