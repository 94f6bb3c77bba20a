//! `weir explain`.

use std::net::IpAddr;

use filter_common::cause::{Action, Cause};

use super::{
    Outcome,
    human::{bytes, count, counted, plain, seconds},
    output::{Output, Tone},
};
use crate::control::{
    client::{self, Client},
    protocol::{ClaimLine, Explanation, Protocol, RateRoom},
};

/// Says what happens to packets of an address, and why.
pub(super) async fn explain(
    address: IpAddr,
    port: Option<u16>,
    proto: Option<Protocol>,
    client: &Client,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let pairs = [
        ("address", Some(address.to_string())),
        ("port", port.map(|port| port.to_string())),
        ("proto", proto.map(|proto| proto.name().to_owned())),
    ];
    let explanation: Explanation = client.get(&client::path("/v1/explain", &pairs)).await?;
    if output.json() {
        output.object(&explanation)?;
        return Ok(Outcome::Done);
    }
    let tone = match explanation.action {
        Action::Drop => Tone::Bad,
        Action::Pass => Tone::Good,
    };
    output.line(output.toned(tone, &sentence(&explanation)))?;
    for line in details(&explanation) {
        output.line(line)?;
    }
    Ok(Outcome::Done)
}

fn sentence(explanation: &Explanation) -> String {
    let outcome = match explanation.action {
        Action::Drop => "would be dropped",
        Action::Pass if explanation.cause.drops() => {
            "would pass in observe, and be dropped in enforce"
        }
        Action::Pass => "would pass",
    };
    format!("{} {outcome}: {}", explanation.address, why(explanation))
}

fn why(explanation: &Explanation) -> String {
    let by = judged(explanation).map(|claim| claimed(&claim));
    if let (Cause::Protected, None, Some(prefix)) = (explanation.cause, &by, &explanation.prefix) {
        return format!("protected, as all of {prefix}");
    }
    let cause = cause(
        explanation.cause,
        explanation.service.as_deref(),
        explanation.tier.as_deref(),
    );
    let cause = if explanation.cause == Cause::OverConnections && crowded(explanation) {
        format!("{cause}, which all unattested sources share while the host is under attack")
    } else {
        cause
    };
    match (explanation.cause, by) {
        (Cause::Blocked | Cause::Allowed, Some(by)) => format!("{cause} by {by}"),
        (_, Some(by)) => format!("{cause}, by {by}"),
        (_, None) => cause,
    }
}

/// Whether what all sources have together is used up, and the source's own isn't.
fn crowded(explanation: &Explanation) -> bool {
    let mut rates = explanation.bucket.iter();
    rates.all(|room| (room.level == "together") == (room.left == 0))
        && explanation
            .bucket
            .iter()
            .any(|room| room.level == "together")
}

fn cause(cause: Cause, service: Option<&str>, tier: Option<&str>) -> String {
    let rates = || {
        let tier = tier.map(|tier| format!(" of tier {}", plain(tier)));
        let service = service.map(|service| format!(" of service {}", plain(service)));
        tier.unwrap_or_default() + &service.unwrap_or_default()
    };
    match cause {
        Cause::NotIp => "it is neither IPv4 nor IPv6".into(),
        Cause::Unreadable => "no source can be read".into(),
        Cause::Essential => "the network itself needs it".into(),
        Cause::Protected => "the source or the port is protected".into(),
        Cause::Allowed => "allowed".into(),
        Cause::Blocked => "blocked".into(),
        Cause::Unguarded => "no service guards the port".into(),
        Cause::Conforming => format!("within the rates{}", rates()),
        Cause::OverPackets => format!("over the packets a second{}", rates()),
        Cause::OverBytes => format!("over the bytes a second{}", rates()),
        Cause::OverConnections => format!("over the new connections a second{}", rates()),
        Cause::OverNeighbourhood => format!("its neighbourhood is over a rate{}", rates()),
        Cause::Malformed => "no genuine stack sends it".into(),
        Cause::Unlimited => "no rate is set, or the table of buckets is saturated".into(),
    }
}

/// The claim that judged.
fn judged(explanation: &Explanation) -> Option<ClaimLine> {
    Some(ClaimLine {
        prefix: explanation.prefix.clone()?,
        verdict: explanation.verdict.clone()?,
        feed: explanation.feed.clone()?,
        reason: explanation.reason.clone(),
        evidence: explanation.evidence.unwrap_or_default(),
        expires_in_s: explanation.expires_in_s,
        id: None,
        hits: None,
    })
}

/// `feed local (203.0.113.0/24, reason feed_listed, 12 pieces of evidence), for
/// another 3m 20s`.
fn claimed(claim: &ClaimLine) -> String {
    let operator = claim.feed == OPERATOR;
    let mut of = vec![claim.prefix.clone()];
    of.extend(
        claim
            .reason
            .as_deref()
            .map(|reason| format!("reason {}", plain(reason))),
    );
    of.push(match claim.evidence {
        1 => "1 piece of evidence".into(),
        many => format!("{} pieces of evidence", count(many.into())),
    });
    if operator || claim.evidence == 0 {
        of.pop();
    }
    let who = if operator {
        "the operator".to_owned()
    } else {
        format!("feed {}", plain(&claim.feed))
    };
    let until = match claim.expires_in_s {
        Some(left) => format!("for another {}", seconds(left)),
        None if operator => "until cleared".into(),
        None => "until withdrawn".into(),
    };
    format!("{who} ({}), {until}", of.join(", "))
}

fn details(explanation: &Explanation) -> Vec<String> {
    let mut packet = format!("{}/{}", explanation.protocol.name(), explanation.port);
    for (what, name) in [
        ("service", &explanation.service),
        ("tier", &explanation.tier),
    ] {
        if let Some(name) = name {
            packet += &format!(", {what} {}", plain(name));
        }
    }
    let mut lines = vec![
        format!("  packet  {packet}"),
        format!("  mode    {}", explanation.mode.name()),
    ];
    for room in &explanation.bucket {
        lines.push(format!("  left    {}", left(room)));
    }
    if let Some(shadow) = &explanation.shadow {
        let would = if shadow.cause.drops() {
            "would be dropped"
        } else {
            "would pass"
        };
        let by = shadow
            .claim
            .as_ref()
            .map(|claim| format!(", by {}", claimed(claim)));
        lines.push(format!(
            "  shadow  {would}: {}{}",
            cause(
                shadow.cause,
                explanation.service.as_deref(),
                shadow.tier.as_deref()
            ),
            by.unwrap_or_default()
        ));
    }
    for losing in &explanation.losing {
        lines.push(format!(
            "  losing  {} by {}: {}",
            plain(&losing.claim.verdict.to_string()),
            claimed(&losing.claim),
            plain(&losing.why)
        ));
    }
    lines
}

fn left(room: &RateRoom) -> String {
    let (left, burst) = match room.rate.as_str() {
        "bytes" => (bytes(room.left), bytes(room.burst)),
        _ => (
            count(room.left),
            counted(room.burst, room.rate.trim_end_matches('s')),
        ),
    };
    format!("{left} of {burst} ({})", plain(&room.level))
}

/// The operator's feed.
const OPERATOR: &str = "operator";

#[cfg(test)]
mod tests {
    use filter_common::settings::Mode;

    use super::*;
    use crate::control::protocol::{LosingClaim, ShadowOutcome, Verdict};

    fn blocked() -> Explanation {
        Explanation {
            address: [203, 0, 113, 7].into(),
            protocol: Protocol::Tcp,
            port: 443,
            mode: Mode::Enforce,
            cause: Cause::Blocked,
            action: Action::Drop,
            verdict: Some(Verdict::Block),
            prefix: Some("203.0.113.0/24".into()),
            feed: Some("local".into()),
            reason: Some("feed_listed".into()),
            evidence: Some(12),
            expires_in_s: Some(200),
            tier: None,
            service: Some("api".into()),
            bucket: Vec::new(),
            shadow: None,
            losing: Vec::new(),
        }
    }

    #[test]
    fn a_blocked_source_is_one_sentence() {
        let mut explanation = blocked();
        assert_eq!(
            sentence(&explanation),
            "203.0.113.7 would be dropped: blocked by feed local (203.0.113.0/24, reason \
             feed_listed, 12 pieces of evidence), for another 3m 20s"
        );
        explanation.action = Action::Pass;
        explanation.mode = Mode::Observe;
        explanation.feed = Some("operator".into());
        explanation.reason = None;
        explanation.expires_in_s = None;
        assert_eq!(
            sentence(&explanation),
            "203.0.113.7 would pass in observe, and be dropped in enforce: blocked by the operator \
             (203.0.113.0/24), until cleared"
        );
    }

    #[test]
    fn a_source_that_nothing_is_said_of_is_explained_by_its_rates() {
        let explanation = Explanation {
            cause: Cause::Conforming,
            action: Action::Pass,
            verdict: None,
            prefix: None,
            feed: None,
            reason: None,
            evidence: None,
            expires_in_s: None,
            tier: Some("unknown".into()),
            bucket: vec![
                RateRoom {
                    level: "source".into(),
                    rate: "packets".into(),
                    left: 39_997,
                    burst: 40_000,
                },
                RateRoom {
                    level: "source".into(),
                    rate: "bytes".into(),
                    left: 3 << 19,
                    burst: 64 << 20,
                },
            ],
            ..blocked()
        };
        assert_eq!(
            sentence(&explanation),
            "203.0.113.7 would pass: within the rates of tier unknown of service api"
        );
        assert_eq!(
            details(&explanation),
            [
                "  packet  tcp/443, service api, tier unknown",
                "  mode    enforce",
                "  left    39,997 of 40,000 packets (source)",
                "  left    1.5 MiB of 64.0 MiB (source)",
            ]
        );
    }

    #[test]
    fn a_protected_source_is_told_from_a_protected_port() {
        let mut explanation = Explanation {
            cause: Cause::Protected,
            action: Action::Pass,
            verdict: None,
            feed: None,
            reason: None,
            ..blocked()
        };
        assert_eq!(
            sentence(&explanation),
            "203.0.113.7 would pass: protected, as all of 203.0.113.0/24"
        );
        explanation.prefix = None;
        assert_eq!(
            sentence(&explanation),
            "203.0.113.7 would pass: the source or the port is protected"
        );
    }

    #[test]
    fn what_lost_and_what_the_shadow_says_follows() {
        let claim = ClaimLine {
            prefix: "203.0.0.0/16".into(),
            verdict: Verdict::Limit("suspect".into()),
            feed: "wide".into(),
            reason: None,
            evidence: 1,
            expires_in_s: None,
            id: None,
            hits: None,
        };
        let explanation = Explanation {
            shadow: Some(ShadowOutcome {
                cause: Cause::OverConnections,
                tier: Some("suspect".into()),
                claim: Some(claim.clone()),
            }),
            losing: vec![LosingClaim {
                claim,
                why: "a narrower prefix of its rank".into(),
            }],
            ..blocked()
        };
        assert_eq!(
            details(&explanation)[2..],
            [
                "  shadow  would be dropped: over the new connections a second of tier suspect of \
                 service api, by feed wide (203.0.0.0/16, 1 piece of evidence), until withdrawn",
                "  losing  limit suspect by feed wide (203.0.0.0/16, 1 piece of evidence), until \
                 withdrawn: a narrower prefix of its rank",
            ]
        );
    }
}
