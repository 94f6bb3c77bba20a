//! `weir explain`.

use filter_common::cause::{Action, Cause};

use super::{
    Outcome,
    human::{bytes, count, counted, hits, plain, seconds},
    output::{Output, Tone},
};
use crate::{
    cli::Source,
    control::{
        client::Client,
        protocol::{ClaimLine, ExplainQuery, Explanation, Protocol, RateRoom},
    },
};

/// Says what happens to packets of an address, and why.
pub(super) async fn explain(
    source: Source,
    port: Option<u16>,
    proto: Option<Protocol>,
    client: &Client,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    if let Some(note) = &source.note {
        output.note(plain(note));
    }
    let query = ExplainQuery {
        address: source.address,
        port,
        proto,
    };
    let explanation = client.call(&query).await?;
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
    let cause = cause(explanation.cause, explanation.tier.as_deref(), explanation);
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

fn cause(cause: Cause, tier: Option<&str>, explanation: &Explanation) -> String {
    let rates = || {
        let tier = tier.map(|tier| format!(" of tier {}", plain(tier)));
        let service = explanation.service.as_deref();
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
        Cause::OverNeighbourhood => {
            let near = neighbourhood(explanation);
            format!("the {near} around it is over a rate{}", rates())
        }
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
        expires: None,
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
    if claim.hits.is_some() {
        of.push(format!("{} hits", hits(claim.hits)));
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
        lines.push(format!("  left    {}", left(room, explanation)));
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
            cause(shadow.cause, shadow.tier.as_deref(), explanation),
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

fn left(room: &RateRoom, explanation: &Explanation) -> String {
    let (left, burst) = match room.rate.as_str() {
        "bytes" => (bytes(room.left), bytes(room.burst)),
        _ => (
            count(room.left),
            counted(room.burst, room.rate.trim_end_matches('s')),
        ),
    };
    let level = match room.level.as_str() {
        "neighbourhood" => format!("neighbourhood, {}", neighbourhood(explanation)),
        level => plain(level),
    };
    format!("{left} of {burst} ({level})")
}

/// How wide the neighbourhood of a source is.
const fn neighbourhood(explanation: &Explanation) -> &'static str {
    if explanation.address.is_ipv4() {
        "/24"
    } else {
        "/48"
    }
}

/// The operator's feed.
const OPERATOR: &str = "operator";

#[cfg(test)]
mod tests;
