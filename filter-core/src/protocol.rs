//! What travels between the daemon and its clients, as JSON: the list of all calls, and
//! their types. No I/O, and no meaning beyond what is spelled here.

use filter_common::settings::Mode;
use serde::{Deserialize, Serialize};

mod call;
mod check;
mod claims;
mod event;
mod feeds;
mod policy;
mod spelled;
mod status;
mod under_attack;
mod verdict;

pub use call::{Ask, Call, Lines, Method, Question, Visitor};
pub use check::{AnswerCount, CheckKeys, CheckStatus, ObservationsStatus};
pub use claims::{
    ClaimLine, ExplainQuery, Explanation, ListLine, ListQuery, LosingClaim, Protocol, RateRoom,
    ShadowOutcome,
};
pub use event::{EventLine, EventsQuery, Missed};
pub use feeds::{FeedAnswer, FeedDetails, FeedOrder, FeedRequest, FeedsQuery};
pub use policy::{PolicyStatus, PolicyVerdicts, ShadowLine, ShadowQuery};
pub use status::{
    BucketsStatus, CauseCount, Causes, EventsStatus, FeedStatus, InterfaceStatus, ServiceStatus,
    ShadowVerdicts, Status, StatusQuery, TableStatus, TablesStatus, VerdictsStatus,
};
pub use under_attack::{UnderAttackAnswer, UnderAttackRequest, UnderAttackStatus};
pub use verdict::{Holder, Order, PrefixAnswer, VerdictAnswer, VerdictRequest};

// Every call that the daemon answers; `/metrics` is a text, and no call.
call::calls! {
    commands {
        /// The operator's verdict on prefixes.
        Verdict(VerdictRequest) -> VerdictAnswer, Post "/v1/verdicts";
        /// Another mode.
        Mode(ModeRequest) -> ModeAnswer, Put "/v1/mode";
        /// The host is under attack, or isn't any more.
        UnderAttack(UnderAttackRequest) -> UnderAttackAnswer, Put "/v1/under-attack";
        /// Do something about a feed.
        Feed(FeedRequest) -> FeedAnswer, Post "/v1/feeds";
        /// Read the configuration again.
        Reload(ReloadRequest) -> ReloadAnswer, Post "/v1/reload";
        /// Take the filter off.
        Detach(DetachRequest) -> DetachAnswer, Post "/v1/detach";
        /// Lift what the policy holds against a source.
        Forgive(ForgiveRequest) -> ForgiveAnswer, Post "/v1/forgive";
    }
    queries {
        /// How the daemon is doing.
        Status(StatusQuery) -> Status, Get "/v1/status";
        /// What would happen to a packet now, and why.
        Explain(ExplainQuery) -> Explanation, Get "/v1/explain";
        /// What is known of the configured feeds.
        Feeds(FeedsQuery) -> Vec<FeedDetails>, Get "/v1/feeds";
        /// What feeds, reasons and steps in observe would have hit.
        Shadow(ShadowQuery) -> Vec<ShadowLine>, Get "/v1/shadow";
        /// Which version runs.
        Version(VersionQuery) -> VersionAnswer, Get "/v1/version";
    }
    lines {
        ListQuery => ListLine, Get "/v1/claims";
        EventsQuery => EventLine, Get "/v1/events";
    }
}

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

/// Read the configuration again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadRequest {}

/// The configuration was read again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadAnswer {
    /// What is different now: a sentence each.
    pub changes: Vec<String>,
    /// What else the operator should know: a sentence each.
    pub notes: Vec<String>,
}

/// Asks which version runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionQuery {}

/// The version that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionAnswer {
    /// The daemon's, which may be older than the command's.
    pub version: String,
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
    use std::collections::BTreeSet;

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
    #[test]
    fn no_two_calls_go_by_one_method_and_path() {
        let ways: BTreeSet<_> = CALLS.iter().collect();
        assert_eq!(ways.len(), CALLS.len(), "{CALLS:?}");
        for (_, path) in CALLS {
            assert!(path.starts_with("/v1/"), "{path}");
        }
    }

    #[test]
    fn the_visitor_sees_each_call_but_those_of_lines_in_the_order_of_the_list() {
        struct Seen(Vec<(Method, &'static str)>);
        impl Visitor for Seen {
            fn visit<C: Ask>(&mut self) {
                self.0.push((C::METHOD, C::PATH));
            }
        }
        let mut seen = Seen(Vec::new());
        visit_each(&mut seen);
        seen.0.extend([
            (ListQuery::METHOD, ListQuery::PATH),
            (EventsQuery::METHOD, EventsQuery::PATH),
        ]);
        assert_eq!(seen.0, CALLS);
    }

    #[test]
    fn only_its_own_answer_is_a_calls_answer() {
        let reload = || Answer::Reload(ReloadAnswer::default());
        assert_eq!(ReloadRequest::own(reload()), Some(ReloadAnswer::default()));
        assert_eq!(DetachRequest::own(reload()), None);
        assert_eq!(ShadowQuery::own(reload()), None);
        assert_eq!(
            DetachRequest::default().question(),
            Question::Command(Command::Detach(DetachRequest::default()))
        );
        assert_eq!(
            StatusQuery {}.question(),
            Question::Query(Query::Status(StatusQuery {}))
        );
    }
}
