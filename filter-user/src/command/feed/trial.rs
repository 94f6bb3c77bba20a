//! `weir feed test`: what a file or a service says is fetched, read and compared
//! with what stands, all of it in this process. The daemon is only asked for
//! the claims that there are.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    claim::Claim,
    cli,
    command::{
        Outcome,
        hooks::{self, Tried},
        human::{counted, plain},
        output::Output,
    },
    control::{
        client::{self, Client},
        protocol::{ClaimLine, Verdict},
    },
    prefix::{Prefix, Written},
};

/// What a feed would do.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Trial {
    /// The feed that it was compared with; `None`: it would be new.
    feed: Option<String>,
    /// Lines that were read.
    claims: u64,
    /// Lines that can't be taken.
    refused: u64,
    /// Why, for the first of them.
    refusals: Vec<String>,
    /// Claims that would be new.
    added: u64,
    /// Claims that would say another verdict.
    changed: u64,
    /// Claims that would be gone.
    withdrawn: u64,
    /// Claims that would stay as they are.
    same: u64,
    /// The first of the changes.
    first: Vec<String>,
    /// What else there is to know.
    notes: Vec<String>,
}

pub(super) async fn test(
    test: cli::FeedTest,
    client: &Client,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let tried = hooks::try_feed(&test).await?;
    let mut trial = compare(&tried, standing(&tried, client, output).await?);
    if trial.withdrawn * 2 > trial.withdrawn + trial.changed + trial.same && tried.is_stream {
        trial.notes.push(format!(
            "it leaves out more than half of what stands: those {} would be held until weir feed accept",
            trial.withdrawn
        ));
    }
    if output.json() {
        output.object(&trial)?;
        return Ok(Outcome::Done);
    }
    output.notes(&trial.notes);
    for refusal in &trial.refusals {
        output.line(format_args!("refused: {}", plain(refusal)))?;
    }
    output.line(format_args!(
        "it is good: {}, {} refused",
        counted(trial.claims - trial.refused, "claim"),
        trial.refused
    ))?;
    let beside = match &trial.feed {
        Some(feed) => format!("in place of what {} says now", plain(feed)),
        None => "as a new feed".to_owned(),
    };
    output.line(format_args!(
        "{beside}, {} would be added, {} changed, {} withdrawn, {} stay",
        trial.added, trial.changed, trial.withdrawn, trial.same
    ))?;
    for first in &trial.first {
        output.line(format_args!("  {}", plain(first)))?;
    }
    Ok(Outcome::Done)
}

/// What the feed says now, as far as a daemon runs.
async fn standing(
    tried: &Tried,
    client: &Client,
    output: &mut Output,
) -> anyhow::Result<BTreeMap<Prefix, Verdict>> {
    let mut standing = BTreeMap::new();
    let Some(feed) = &tried.feed else {
        return Ok(standing);
    };
    let path = client::path("/v1/claims", &[("feed", Some(feed.clone()))]);
    let mut lines = match client.lines(&path).await {
        Ok(lines) => lines,
        Err(error) => {
            output.note(format_args!("it is compared with nothing: {error}"));
            return Ok(standing);
        }
    };
    while let Some(line) = lines.next().await? {
        let claim: ClaimLine = serde_json::from_slice(&line)?;
        let written: Written = claim.prefix.parse()?;
        standing.insert(written.prefix, claim.verdict);
    }
    Ok(standing)
}

fn compare(tried: &Tried, mut standing: BTreeMap<Prefix, Verdict>) -> Trial {
    let mut trial = Trial {
        feed: tried.feed.clone(),
        claims: tried.claims.len() as u64 + tried.refused.count,
        refused: tried.refused.count,
        refusals: tried.refused.first.clone(),
        notes: tried.notes.clone(),
        ..Trial::default()
    };
    // Of two claims on one prefix the later counts.
    let new: BTreeMap<Prefix, &Claim> = tried.claims.iter().map(|one| (one.prefix, one)).collect();
    let mut tell = |what: String| {
        if trial.first.len() < TOLD {
            trial.first.push(what);
        }
    };
    for (prefix, claim) in &new {
        if let Some(why) = tried.not_taken(prefix) {
            trial.refused += 1;
            if trial.refusals.len() < TOLD {
                trial.refusals.push(why);
            }
            continue;
        }
        let verdict = tried.spelled(claim.verdict);
        match standing.remove(prefix) {
            None => {
                trial.added += 1;
                tell(format!("+ {prefix} {verdict}"));
            }
            Some(before) if before != verdict => {
                trial.changed += 1;
                tell(format!("~ {prefix} {verdict}, was {before}"));
            }
            Some(_) => trial.same += 1,
        }
    }
    for (prefix, verdict) in &standing {
        trial.withdrawn += 1;
        tell(format!("- {prefix} {verdict}"));
    }
    trial
}

/// Changes and refusals that are told one by one.
const TOLD: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{claim, feed::tests::prefix};

    #[test]
    fn a_trial_says_what_would_be_different() {
        let claim = |text| Claim {
            prefix: prefix(text),
            verdict: claim::Verdict::Block,
            reason: None,
            evidence: 0,
            expires: None,
            id: None,
        };
        let tried = Tried {
            feed: Some("verifier".into()),
            claims: [
                "192.0.2.1",
                "192.0.2.2",
                "192.0.2.3",
                "10.0.0.7",
                "0.0.0.0/1",
            ]
            .map(claim)
            .into(),
            protected: vec![prefix("10.0.0.0/8")],
            ..Tried::default()
        };
        let standing = [
            ("192.0.2.2", Verdict::Block),
            ("192.0.2.3", Verdict::Limit("suspect".into())),
            ("192.0.2.4", Verdict::Allow),
        ];
        let standing = standing.map(|(text, verdict)| (prefix(text), verdict));
        let trial = compare(&tried, standing.into());
        assert_eq!((trial.claims, trial.refused), (5, 2));
        assert_eq!(
            (trial.added, trial.changed, trial.withdrawn, trial.same),
            (1, 1, 1, 1)
        );
        assert_eq!(
            trial.first,
            [
                "+ 192.0.2.1/32 block",
                "~ 192.0.2.3/32 block, was limit suspect",
                "- 192.0.2.4/32 allow"
            ]
        );
        assert!(
            trial.refusals[0].contains("0.0.0.0/1"),
            "{:?}",
            trial.refusals
        );
    }
}
