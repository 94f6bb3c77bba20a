//! What travels between the daemon and its clients, as JSON. Types only: no
//! I/O, and no meaning beyond what is spelled here.

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
mod verdict;

pub use check::{AnswerCount, CheckKeys, CheckStatus, ObservationsStatus};
pub use claims::{
    ClaimLine, ExplainQuery, Explanation, ListLine, ListQuery, LosingClaim, Protocol, RateRoom,
    ShadowOutcome,
};
pub use event::{EventLine, EventsQuery, Missed};
pub use feeds::{FeedAnswer, FeedDetails, FeedOrder, FeedRequest, FeedsQuery};
pub use policy::{PolicyStatus, PolicyVerdicts, ShadowLine};
pub use status::{
    BucketsStatus, CauseCount, Causes, EventsStatus, FeedStatus, InterfaceStatus, ServiceStatus,
    ShadowVerdicts, Status, TableStatus, TablesStatus, VerdictsStatus,
};
pub use under_attack::{UnderAttackAnswer, UnderAttackRequest, UnderAttackStatus};
pub use verdict::{Holder, Order, PrefixAnswer, VerdictAnswer, VerdictRequest};

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
