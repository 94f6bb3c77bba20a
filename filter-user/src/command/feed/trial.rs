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
        human::{count, counted, plain},
        output::Output,
    },
    control::{
        client::Client,
        protocol::{ClaimLine, ListQuery, Verdict},
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
    let outcome = if trial.refused_percent() > f64::from(test.refused_ok) {
        Outcome::Failed
    } else {
        Outcome::Done
    };
    if output.json() {
        output.object(&trial)?;
        return Ok(outcome);
    }
    output.notes(&trial.notes);
    for refusal in &trial.refusals {
        output.line(format_args!("refused: {}", plain(refusal)))?;
    }
    output.line(trial.sentence(test.refused_ok))?;
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
    Ok(outcome)
}

impl Trial {
    /// The share of what was read that can't be taken.
    fn refused_percent(&self) -> f64 {
        if self.claims == 0 {
            return 0.0;
        }
        self.refused as f64 * 100.0 / self.claims as f64
    }

    /// How good it is, if so much may be refused.
    fn sentence(&self, refused_ok: u8) -> String {
        let taken = counted(self.claims - self.refused, "claim");
        let percent = self.refused_percent();
        let refused = format!(
            "{} of {} refused ({percent:.1} %)",
            count(self.refused),
            count(self.claims)
        );
        match (self.claims, self.refused) {
            (0, _) => "there are no claims in it: as a feed it would say nothing".to_owned(),
            (_, 0) => format!("it is good: {taken}, none refused"),
            _ if percent > f64::from(refused_ok) => {
                format!("it is not good: {taken}, {refused}, and at most {refused_ok} % may be")
            }
            _ => format!("it is good but for what is refused: {taken}, {refused}"),
        }
    }
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
    let query = ListQuery {
        feed: Some(feed.clone()),
        prefix: None,
    };
    let mut lines = match client.lines(&query).await {
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

    #[test]
    fn the_share_that_is_refused_decides() {
        for (claims, refused, ok, good, words) in [
            (0, 0, 10, true, "there are no claims in it"),
            (1, 0, 10, true, "it is good: 1 claim, none refused"),
            (1_000, 0, 0, true, "it is good: 1,000 claims, none refused"),
            (
                10,
                1,
                10,
                true,
                "it is good but for what is refused: 9 claims, 1 of 10 refused (10.0 %)",
            ),
            (
                1_000,
                1,
                0,
                false,
                "it is not good: 999 claims, 1 of 1,000 refused (0.1 %), and at most 0 % may be",
            ),
            (9, 1, 10, false, "it is not good"),
            (
                3,
                2,
                10,
                false,
                "it is not good: 1 claim, 2 of 3 refused (66.7 %)",
            ),
            (3, 2, 100, true, "it is good but for"),
            (
                3,
                3,
                99,
                false,
                "it is not good: 0 claims, 3 of 3 refused (100.0 %)",
            ),
        ] {
            let trial = Trial {
                claims,
                refused,
                ..Trial::default()
            };
            let sentence = trial.sentence(ok);
            assert!(sentence.contains(words), "{sentence}");
            assert_eq!(trial.refused_percent() <= f64::from(ok), good, "{sentence}");
        }
    }
}
