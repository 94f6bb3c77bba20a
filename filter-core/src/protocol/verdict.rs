//! The operator's verdicts, and what became of them.

use serde::{Deserialize, Serialize};

use super::Verdict;

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
}
