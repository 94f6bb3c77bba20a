//! `weir feed`.

mod trial;

use super::{
    Outcome,
    human::{count, plain, seconds},
    output::{Output, Tone},
    table::{Align::Left, Align::Right, Table},
};
use crate::{
    cli,
    control::{
        client::Client,
        protocol::{FeedDetails, FeedOrder, FeedRequest, FeedsQuery},
    },
};

/// Shows feeds, or does something about one.
pub(super) async fn feed(
    what: cli::Feed,
    client: &Client,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let (feed, order) = match what {
        cli::Feed::List => return list(client, output).await,
        cli::Feed::Show { feed } => return show(feed, client, output).await,
        cli::Feed::Test(test) => return trial::test(test, client, output).await,
        cli::Feed::Refresh { feed } => (feed, FeedOrder::Refresh),
        cli::Feed::Accept { feed } => (feed, FeedOrder::Accept),
        cli::Feed::Disable { feed } => (feed, FeedOrder::Disable),
        cli::Feed::Enable { feed } => (feed, FeedOrder::Enable),
    };
    let request = FeedRequest { feed, order };
    let answer = client.call(&request).await?;
    if output.json() {
        output.object(&answer)?;
    } else {
        if let Some(note) = &answer.note {
            output.note(plain(note));
        }
        if !answer.heard {
            output.note("it was asked, and hasn't answered yet");
        }
        output.line(line(&answer.feed))?;
    }
    let failed = answer.feed.status.last_error.is_some() && answer.heard;
    Ok(if failed {
        Outcome::Failed
    } else {
        Outcome::Done
    })
}

async fn list(client: &Client, output: &mut Output) -> anyhow::Result<Outcome> {
    let feeds = client.call(&FeedsQuery { feed: None }).await?;
    if output.json() {
        for feed in &feeds {
            output.object(feed)?;
        }
        return Ok(Outcome::Done);
    }
    if feeds.is_empty() {
        output.note("no feed is configured");
    }
    let mut table = Table::new([
        ("FEED", Left),
        ("KIND", Left),
        ("STATE", Left),
        ("MODE", Left),
        ("RANK", Right),
        ("CLAIMS", Right),
        ("REFUSED", Right),
        ("AGE", Right),
        ("SOURCE", Left),
    ])
    .always(3);
    for feed in &feeds {
        let status = &feed.status;
        table.push([
            plain(&status.name),
            status.kind.clone(),
            status.state.clone(),
            status.mode.clone(),
            feed.rank.to_string(),
            count(status.claims),
            count(status.refused),
            status.age_s.map_or_else(|| "-".into(), seconds),
            plain(&feed.source),
        ]);
    }
    output.table(&table)?;
    for feed in feeds.iter().filter(|feed| feed.status.state != "ok") {
        output.sentence(Some(Tone::Bad), &line(feed), 2)?;
    }
    Ok(Outcome::Done)
}

async fn show(feed: String, client: &Client, output: &mut Output) -> anyhow::Result<Outcome> {
    let mut feeds = client.call(&FeedsQuery { feed: Some(feed) }).await?;
    let feed = feeds.pop().unwrap_or_default();
    if output.json() {
        output.object(&feed)?;
        return Ok(Outcome::Done);
    }
    let tone = match feed.status.state.as_str() {
        "ok" => Tone::Good,
        "starting" | "disabled" => Tone::Head,
        _ => Tone::Bad,
    };
    output.line(output.toned(tone, &line(&feed)))?;
    for (name, value) in fields(&feed) {
        output.line(format_args!("{name:<9} {value}"))?;
    }
    for note in &feed.notes {
        output.line(output.toned(Tone::Bad, &format!("but       {}", plain(note))))?;
    }
    for refusal in &feed.status.refusals {
        output.line(format_args!("refused   {}", plain(refusal)))?;
    }
    Ok(Outcome::Done)
}

fn line(feed: &FeedDetails) -> String {
    let (name, state) = (&feed.status.name, &feed.status.state);
    format!("{}: {state}: {}", plain(name), plain(&feed.sentence))
}

fn fields(feed: &FeedDetails) -> Vec<(&'static str, String)> {
    let status = &feed.status;
    let mode = match status.mode.as_str() {
        "observe" => "observe: its claims are only counted, in the shadow",
        _ => "inherit: its claims hold in the mode of weir",
    };
    let held = match feed.held {
        0 => String::new(),
        held => format!(", {} held", count(held)),
    };
    let refused = match status.refused {
        0 => String::new(),
        refused => format!(", {} more refused", count(refused)),
    };
    let mut fields = vec![
        ("kind", status.kind.clone()),
        ("from", plain(&feed.source)),
        ("mode", mode.to_owned()),
        ("rank", format!("{} (lower is stronger)", feed.rank)),
        (
            "claims",
            format!(
                "{}: {} block, {} limit, {} allow{held}{refused}",
                count(status.claims),
                count(feed.blocked),
                count(feed.limited),
                count(feed.allowed)
            ),
        ),
        (
            "heard",
            format!(
                "{}; {} whole, {} changes since weir runs",
                status
                    .age_s
                    .map_or_else(|| "never".into(), |age| format!("{} ago", seconds(age))),
                count(feed.snapshots),
                count(feed.deltas)
            ),
        ),
    ];
    if feed.widen_ipv6 == 64 {
        fields.push(("IPv6", "a claim on an address means its /64".to_owned()));
    }
    if !feed.peers.is_empty() {
        fields.push(("protects", feed.peers.join(", ")));
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        command::output::tests::kept,
        control::server::fake_daemon::{answer, running},
    };

    async fn said(what: cli::Feed, json: bool) -> (Outcome, String, String) {
        let daemon = running(answer);
        let (mut output, answer, notes) = kept(json);
        let outcome = feed(what, &daemon.client, &mut output)
            .await
            .expect("answered");
        (outcome, answer.text(), notes.text())
    }

    #[tokio::test]
    async fn a_feed_is_shown_with_its_state_and_its_sentence() {
        let show = || cli::Feed::Show {
            feed: "verifier".into(),
        };
        let (_, text, _) = said(show(), false).await;
        assert!(
            text.starts_with("verifier: untrusted: whoever answers isn't believed\n"),
            "{text}"
        );
        assert!(
            text.contains("claims    12,000: 11,000 block, 1,000 limit, 0 allow\n"),
            "{text}"
        );
        assert!(text.contains("heard     3m 20s ago;"), "{text}");
        assert!(text.contains("but       everyone on this host"), "{text}");
        let (_, json, _) = said(show(), true).await;
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(
            (&json["state"], &json["rank"]),
            (&"untrusted".into(), &10.into())
        );
    }

    #[tokio::test]
    async fn feeds_are_listed_and_what_is_wrong_is_said_below() {
        let (outcome, text, _) = said(cli::Feed::List, false).await;
        assert_eq!((outcome, text.lines().count()), (Outcome::Done, 3));
        assert!(
            text.lines()
                .nth(1)
                .expect("a row")
                .starts_with("verifier  verdicts  untrusted")
        );
    }

    #[tokio::test]
    async fn a_refresh_that_fails_is_a_failure_and_one_that_lasts_is_not() {
        let (outcome, _, notes) = said(
            cli::Feed::Refresh {
                feed: "verifier".into(),
            },
            false,
        )
        .await;
        assert_eq!(
            (outcome, notes.as_str()),
            (Outcome::Done, "it was asked, and hasn't answered yet\n")
        );
        let (outcome, text, _) = said(
            cli::Feed::Enable {
                feed: "verifier".into(),
            },
            false,
        )
        .await;
        assert_eq!(outcome, Outcome::Failed);
        assert_eq!(
            text,
            "verifier: untrusted: whoever answers isn't believed\n"
        );
    }
}
