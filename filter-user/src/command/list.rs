//! `weir list`.

use std::cmp::Reverse;

use bytes::Bytes;
use serde::Deserialize;

use super::{
    Outcome,
    human::{count, plain, seconds},
    output::{Output, Tone},
};
use crate::{
    cli::ListOrder,
    control::{
        client::{self, Client},
        protocol::{ListLine, Verdict},
    },
    prefix::Written,
};

/// Lists claims as they come: there may be millions. Only by their hits they are
/// shown when all have come.
pub(super) async fn list(
    feed: Option<String>,
    sort: ListOrder,
    prefix: Option<Written>,
    client: &Client,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    if let Some(Written {
        prefix,
        masked: true,
    }) = prefix
    {
        output.note(format_args!("the prefix has host bits: taken as {prefix}"));
    }
    let prefix = prefix.map(|written| written.prefix.to_string());
    let path = client::path("/v1/claims", &[("feed", feed), ("prefix", prefix)]);
    let mut lines = client.lines(&path).await?;
    let mut number = 0;
    let mut show = |line: &Bytes, output: &mut Output| {
        number += 1;
        if output.json() {
            return output.raw(line);
        }
        if number == 1 {
            output.line(output.toned(Tone::Head, &head()))?;
        }
        output.line(row(&serde_json::from_slice(line)?))
    };
    match sort {
        ListOrder::Prefix => {
            while let Some(line) = lines.next().await? {
                show(&line, output)?;
            }
        }
        ListOrder::Hits => {
            let mut all = Vec::new();
            while let Some(line) = lines.next().await? {
                let Counted { hits } = serde_json::from_slice(&line)?;
                all.push((Reverse(hits), line));
            }
            // Stable: those with as many hits stay in the order of their prefixes.
            all.sort_by_key(|(hits, _line)| *hits);
            for (_hits, line) in &all {
                show(line, output)?;
            }
        }
    }
    if number == 0 && !output.json() {
        output.note("there are no such claims");
    }
    Ok(Outcome::Done)
}

/// As much of a line as it is sorted by.
#[derive(Deserialize)]
struct Counted {
    #[serde(default)]
    hits: Option<u64>,
}

fn head() -> String {
    columns([
        "PREFIX", "VERDICT", "FEED", "ENFORCED", "SHADOW", "EVIDENCE", "HITS", "ENDS IN", "REASON",
    ])
}

fn row(line: &ListLine) -> String {
    let claim = &line.claim;
    let verdict = |verdict: &Option<Verdict>| {
        let verdict = verdict.as_ref().map(ToString::to_string);
        verdict.map_or_else(|| "-".into(), |verdict| plain(&verdict))
    };
    let ends = claim.expires_in_s.map_or_else(|| "-".into(), seconds);
    columns([
        &claim.prefix,
        &plain(&claim.verdict.to_string()),
        &plain(&claim.feed),
        &verdict(&line.enforced),
        &verdict(&line.shadow),
        &count(claim.evidence.into()),
        &claim.hits.map_or_else(|| "-".into(), count),
        &ends,
        &claim.reason.as_deref().map(plain).unwrap_or_default(),
    ])
}

/// Of fixed widths, since the widest isn't known before the last has come.
fn columns(
    [
        prefix,
        verdict,
        feed,
        enforced,
        shadow,
        evidence,
        hits,
        ends,
        reason,
    ]: [&str; 9],
) -> String {
    let line = format!(
        "{prefix:<18}  {verdict:<13}  {feed:<10}  {enforced:<13}  {shadow:<13}  {evidence:>8}  {hits:>11}  {ends:>7}  {reason}"
    );
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        command::output::tests::kept,
        control::{
            protocol::ClaimLine,
            server::by_heart::{by_heart, running},
        },
    };

    #[tokio::test]
    async fn every_claim_is_a_line_below_one_head() {
        let daemon = running(by_heart);
        let feed = || Some("local".into());
        let (mut output, answer, notes) = kept(false);
        let prefix = "10.0.0.1/8".parse().ok();
        list(
            feed(),
            ListOrder::Prefix,
            prefix,
            &daemon.client,
            &mut output,
        )
        .await
        .expect("listed");
        assert_eq!(answer.text().lines().count(), 100_001);
        assert_eq!(answer.text().lines().next(), Some(head().as_str()));
        assert_eq!(
            notes.text(),
            "the prefix has host bits: taken as 10.0.0.0/8\n"
        );
        let (mut output, answer, _) = kept(true);
        list(feed(), ListOrder::Hits, None, &daemon.client, &mut output)
            .await
            .expect("listed");
        assert_eq!(answer.text().lines().count(), 100_000);
        let (mut output, answer, notes) = kept(false);
        list(None, ListOrder::Prefix, None, &daemon.client, &mut output)
            .await
            .expect("listed");
        assert_eq!(
            (answer.text().as_str(), notes.text().as_str()),
            ("", "there are no such claims\n")
        );
    }

    #[test]
    fn a_list_shows_what_is_enforced_and_the_shadow_side_by_side() {
        let mut line = ListLine {
            claim: ClaimLine {
                prefix: "203.0.113.0/24".into(),
                verdict: Verdict::Block,
                feed: "local".into(),
                reason: Some("feed_listed".into()),
                evidence: 1200,
                expires_in_s: Some(200),
                id: None,
                hits: Some(64_000),
            },
            mode: "observe".into(),
            enforced: None,
            shadow: Some(Verdict::Block),
        };
        assert_eq!(
            head(),
            "PREFIX              VERDICT        FEED        ENFORCED       SHADOW         EVIDENCE         HITS  ENDS IN  REASON"
        );
        assert_eq!(
            row(&line),
            "203.0.113.0/24      block          local       -              block             1,200       64,000   3m 20s  feed_listed"
        );
        line.claim.expires_in_s = None;
        line.claim.reason = None;
        line.claim.hits = None;
        line.enforced = Some(Verdict::Limit("suspect".into()));
        assert_eq!(
            row(&line),
            "203.0.113.0/24      block          local       limit suspect  block             1,200            -        -"
        );
    }
}
