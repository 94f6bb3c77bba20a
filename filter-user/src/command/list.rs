//! `weir list`.

use std::{cmp::Reverse, collections::BTreeSet};

use bytes::Bytes;
use serde::Deserialize;

use super::{
    Outcome,
    human::{count, hits, plain, seconds},
    output::{Output, Tone},
    table::{Align, Table},
};
use crate::{
    cli::ListOrder,
    control::{
        client::Client,
        protocol::{ListLine, ListQuery, Verdict},
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
    let mut lines = client.lines(&ListQuery { feed, prefix }).await?;
    let mut listing = Listing::new(output.width());
    match sort {
        ListOrder::Prefix => {
            while let Some(line) = lines.next().await? {
                listing.show(&line, output)?;
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
                listing.show(line, output)?;
            }
        }
    }
    listing.end(output)?;
    Ok(Outcome::Done)
}

/// A list as it is shown: in columns of fixed widths, since the widest isn't known
/// before the last has come; on a terminal in parts, each as wide as it needs to be.
struct Listing {
    /// Lines so far.
    number: u64,
    /// The part that is to be shown next; `None`: it isn't shown in parts.
    part: Option<Table<9>>,
    /// The head that stands above what was shown last.
    head: String,
    /// Heads of columns that weren't shown everywhere.
    left_out: BTreeSet<&'static str>,
}

impl Listing {
    fn new(width: Option<usize>) -> Self {
        Self {
            number: 0,
            part: width.map(|_| Table::new(HEADS).always(2)),
            head: String::new(),
            left_out: BTreeSet::new(),
        }
    }

    fn show(&mut self, line: &Bytes, output: &mut Output) -> anyhow::Result<()> {
        self.number += 1;
        if output.json() {
            return Ok(output.raw(line)?);
        }
        let cells = cells(&serde_json::from_slice(line)?);
        if let Some(part) = &mut self.part {
            part.push(cells);
            if part.len() >= PART {
                self.show_part(output)?;
            }
            return Ok(());
        }
        if self.number == 1 {
            output.line(output.toned(Tone::Head, &head()))?;
        }
        Ok(output.line(columns(&cells))?)
    }

    /// Shows what has come, under a head of its own if its columns are others.
    fn show_part(&mut self, output: &mut Output) -> anyhow::Result<()> {
        let Some(part) = &mut self.part else {
            return Ok(());
        };
        let fitted = part.fitted(output.width());
        part.clear();
        self.left_out.extend(fitted.left_out);
        let Some((head, rows)) = fitted.lines.split_first() else {
            return Ok(());
        };
        if *head != self.head {
            output.line(output.toned(Tone::Head, head))?;
            self.head.clone_from(head);
        }
        for row in rows {
            output.line(row)?;
        }
        Ok(output.flush()?)
    }

    fn end(mut self, output: &mut Output) -> anyhow::Result<()> {
        if output.json() {
            return Ok(());
        }
        if self.number == 0 {
            output.note("there are no such claims");
        }
        self.show_part(output)?;
        if !self.left_out.is_empty() {
            let left_out: Vec<_> = self.left_out.into_iter().collect();
            output.note(format_args!(
                "left out (empty, equal, or no room): {}",
                left_out.join(", ")
            ));
        }
        Ok(())
    }
}

/// As much of a line as it is sorted by.
#[derive(Deserialize)]
struct Counted {
    #[serde(default)]
    hits: Option<u64>,
}

fn head() -> String {
    columns(&HEADS.map(|(head, _)| head.to_owned()))
}

fn cells(line: &ListLine) -> [String; 9] {
    let claim = &line.claim;
    let verdict = |verdict: &Option<Verdict>| {
        let verdict = verdict.as_ref().map(ToString::to_string);
        verdict.map_or_else(|| "-".into(), |verdict| plain(&verdict))
    };
    [
        plain(&claim.prefix),
        plain(&claim.verdict.to_string()),
        plain(&claim.feed),
        verdict(&line.enforced),
        verdict(&line.shadow),
        count(claim.evidence.into()),
        hits(claim.hits),
        claim.expires_in_s.map_or_else(|| "-".into(), seconds),
        claim.reason.as_deref().map(plain).unwrap_or_default(),
    ]
}

/// Of fixed widths.
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
    ]: &[String; 9],
) -> String {
    let line = format!(
        "{prefix:<18}  {verdict:<13}  {feed:<10}  {enforced:<13}  {shadow:<13}  {evidence:>8}  {hits:>11}  {ends:>7}  {reason}"
    );
    line.trim_end().to_owned()
}

const HEADS: [(&str, Align); 9] = [
    ("PREFIX", Align::Left),
    ("VERDICT", Align::Left),
    ("FEED", Align::Left),
    ("ENFORCED", Align::Left),
    ("SHADOW", Align::Left),
    ("EVIDENCE", Align::Right),
    ("HITS", Align::Right),
    ("ENDS IN", Align::Right),
    ("REASON", Align::Left),
];

/// Rows of a part on a terminal.
const PART: usize = 1_000;

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::{
        command::output::tests::{kept, kept_within},
        control::{
            protocol::ClaimLine,
            server::fake_daemon::{answer, running},
        },
    };

    #[tokio::test]
    async fn every_claim_is_a_line_below_one_head() {
        let daemon = running(answer);
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
                expires: Some("2026-11-22T20:00:00Z".into()),
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
            columns(&cells(&line)),
            "203.0.113.0/24      block          local       -              block             1,200       64,000   3m 20s  feed_listed"
        );
        line.claim.expires_in_s = None;
        line.claim.reason = None;
        line.claim.hits = None;
        line.enforced = Some(Verdict::Limit("suspect".into()));
        assert_eq!(
            columns(&cells(&line)),
            "203.0.113.0/24      block          local       limit suspect  block             1,200            -        -"
        );
    }

    fn line(prefix: &str, hits: u64, reason: Option<&str>) -> Bytes {
        let line = ListLine {
            claim: ClaimLine {
                prefix: prefix.into(),
                verdict: Verdict::Block,
                feed: "local".into(),
                reason: reason.map(ToOwned::to_owned),
                evidence: 0,
                expires: None,
                expires_in_s: None,
                id: None,
                hits: Some(hits),
            },
            mode: "inherit".into(),
            enforced: Some(Verdict::Block),
            shadow: Some(Verdict::Block),
        };
        serde_json::to_vec(&line).expect("JSON").into()
    }

    fn listed(width: Option<usize>, lines: &[Bytes]) -> (String, String) {
        let (mut output, answer, notes) = kept_within(width, false);
        let mut listing = Listing::new(width);
        for line in lines {
            listing.show(line, &mut output).expect("kept");
        }
        listing.end(&mut output).expect("kept");
        (answer.text(), notes.text())
    }

    #[test]
    fn on_a_terminal_only_what_tells_something_is_shown() {
        let lines = [
            line("192.0.2.1/32", 0, Some("seen")),
            line("192.0.2.2/32", 64, None),
        ];
        let (shown, notes) = listed(Some(80), &lines);
        assert_eq!(
            shown,
            "PREFIX        VERDICT  HITS  REASON\n\
             192.0.2.1/32  block     <64  seen\n\
             192.0.2.2/32  block      64\n"
        );
        assert_eq!(
            notes,
            "left out (empty, equal, or no room): ENDS IN, ENFORCED, EVIDENCE, FEED, SHADOW\n"
        );
        // A column that tells something only later has a head there.
        let mut lines: Vec<_> = (0..PART).map(|_| lines[1].clone()).collect();
        lines.push(line(
            "2001:db8:1111:2222:3333:4444:5555:6666/128",
            0,
            Some("other"),
        ));
        let (shown, _) = listed(Some(80), &lines);
        let heads: Vec<_> = shown
            .lines()
            .filter(|line| line.starts_with("PREFIX"))
            .collect();
        assert_eq!(heads.len(), 2, "{heads:?}");
        let (wide, notes) = listed(None, &lines);
        assert_eq!((wide.lines().count(), notes.as_str()), (PART + 2, ""));
    }

    proptest! {
        #[test]
        fn no_line_is_longer_than_the_terminal(
            claims in vec((any::<std::net::IpAddr>(), 0..=128_u8, any::<u64>(), ".{0,128}"), 1..40),
            width in 80_usize..160,
        ) {
            let lines: Vec<_> = claims.iter().map(|(address, length, hits, reason)| {
                line(&format!("{address}/{length}"), *hits, Some(reason))
            }).collect();
            let (shown, _) = listed(Some(width), &lines);
            for (row, (address, ..)) in shown.lines().skip(1).zip(&claims) {
                prop_assert!(row.chars().count() <= width, "{row:?}");
                prop_assert!(row.starts_with(&address.to_string()), "{row:?}");
            }
        }
    }
}
