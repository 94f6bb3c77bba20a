//! Claims as they are listed, and what explains a packet: how to ask for both, and what
//! comes back.

use std::net::IpAddr;

use clap::ValueEnum;
use filter_common::{
    cause::{Action, Cause},
    settings::Mode,
};
use serde::{Deserialize, Serialize};

use super::{Verdict, spelled};

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

/// A claim: one line of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimLine {
    /// Whom it is about.
    pub prefix: String,
    /// What it asks for.
    pub verdict: Verdict,
    /// Whose it is.
    pub feed: String,
    /// Why.
    pub reason: Option<String>,
    /// How often it was seen.
    pub evidence: u32,
    /// When it ends (RFC 3339); `None`: when it is withdrawn.
    #[serde(default)]
    pub expires: Option<String>,
    /// Seconds until it ends; `None`: when it is withdrawn.
    pub expires_in_s: Option<u64>,
    /// The feed's own label.
    pub id: Option<String>,
    /// About how many packets it has judged since its feed first said it, or since
    /// the daemon started; `None` if that isn't counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hits: Option<u64>,
}

/// A claim in a list, and what holds on its prefix now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListLine {
    /// The claim.
    #[serde(flatten)]
    pub claim: ClaimLine,
    /// The feed's: `inherit`, or `observe`: the claim is in the shadow.
    #[serde(default)]
    pub mode: String,
    /// The verdict that is enforced on all of the prefix, whoever says it.
    #[serde(default)]
    pub enforced: Option<Verdict>,
    /// The verdict if the feeds in observe counted too.
    #[serde(default)]
    pub shadow: Option<Verdict>,
}

/// What would happen to a packet now, and why. The decision is the kernel's,
/// the claims are the ledger's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The source.
    pub address: IpAddr,
    /// The protocol.
    pub protocol: Protocol,
    /// The destination port.
    pub port: u16,
    /// Whether drops are carried out.
    #[serde(with = "spelled")]
    pub mode: Mode,
    /// Why it is passed or dropped.
    #[serde(with = "spelled")]
    pub cause: Cause,
    /// What happens to it.
    #[serde(with = "spelled")]
    pub action: Action,
    /// What the claim that judged asks for; `None`: no claim judged.
    pub verdict: Option<Verdict>,
    /// On which prefix it is (or the protected one).
    pub prefix: Option<String>,
    /// Whose it is.
    pub feed: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// How often it was seen.
    pub evidence: Option<u32>,
    /// Seconds until it ends; `None`: when it is withdrawn.
    pub expires_in_s: Option<u64>,
    /// The tier whose rates judge, if it comes as far.
    pub tier: Option<String>,
    /// The service, if it comes as far.
    pub service: Option<String>,
    /// What is left in the source's buckets.
    pub bucket: Vec<RateRoom>,
    /// What the shadow says; `None`: nothing else.
    pub shadow: Option<ShadowOutcome>,
    /// Claims on the source that didn't judge.
    pub losing: Vec<LosingClaim>,
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

/// What is left of one rate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateRoom {
    /// `source`, `neighbourhood` or `together`.
    pub level: String,
    /// `packets`, `bytes` or `connections`.
    pub rate: String,
    /// How many would be admitted now.
    pub left: u64,
    /// How many are at most.
    pub burst: u64,
}

/// What would happen if what is in the shadow were enforced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowOutcome {
    /// Why it would be passed or dropped.
    #[serde(with = "spelled")]
    pub cause: Cause,
    /// The tier, if it comes as far.
    pub tier: Option<String>,
    /// The claim that would judge.
    pub claim: Option<ClaimLine>,
}

/// A claim that didn't judge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LosingClaim {
    /// The claim.
    #[serde(flatten)]
    pub claim: ClaimLine,
    /// To what it lost: half a sentence, as `a narrower prefix of its rank`.
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_losing_claim_is_a_claim_with_a_why() {
        let losing = LosingClaim {
            claim: ClaimLine {
                prefix: "192.0.2.0/24".into(),
                verdict: Verdict::Limit("suspect".into()),
                feed: "local".into(),
                reason: None,
                evidence: 1,
                expires: Some("2026-11-22T20:00:00Z".into()),
                expires_in_s: Some(9),
                id: None,
                hits: None,
            },
            why: "a stronger feed".into(),
        };
        let text = serde_json::to_string(&losing).expect("json");
        assert_eq!(
            text,
            r#"{"prefix":"192.0.2.0/24","verdict":{"limit":"suspect"},"feed":"local","reason":null,"evidence":1,"expires":"2026-11-22T20:00:00Z","expires_in_s":9,"id":null,"why":"a stronger feed"}"#
        );
        assert_eq!(
            serde_json::from_str::<LosingClaim>(&text).expect("a claim"),
            losing
        );
    }
}
