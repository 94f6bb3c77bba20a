//! `weir shadow`.

use super::{
    Outcome,
    human::{count, plain},
    output::Output,
    table::{Align::Left, Align::Right, Table},
};
use crate::control::{
    client::Client,
    protocol::{ShadowLine, ShadowQuery},
};

/// Shows what feeds, reasons and steps in observe would have hit.
pub(super) async fn shadow(client: &Client, output: &mut Output) -> anyhow::Result<Outcome> {
    let lines = client.call(&ShadowQuery {}).await?;
    if output.json() {
        for line in &lines {
            output.object(line)?;
        }
        return Ok(Outcome::Done);
    }
    if lines.is_empty() {
        output.note(
            "nothing was hit within the last day: of sources is known what the check endpoint and other verifiers saw",
        );
    }
    output.table(&table(&lines))?;
    Ok(Outcome::Done)
}

fn table(lines: &[ShadowLine]) -> Table<10> {
    let mut table = Table::new([
        ("FEED", Left),
        ("STEP", Left),
        ("VERDICT", Left),
        ("REASON", Left),
        ("MODE", Left),
        ("SOURCES", Right),
        ("GENUINE", Right),
        ("SPARED", Right),
        ("CALLS", Right),
        ("ATTESTED", Right),
    ]);
    for line in lines {
        let step = match (&line.rule, line.step) {
            (Some(rule), Some(step)) => format!("{} {step}", plain(rule)),
            _ => "-".to_owned(),
        };
        table.push([
            plain(&line.feed),
            step,
            plain(&line.verdict),
            plain(&line.reason),
            plain(&line.mode),
            count(line.sources),
            share(line.attested_sources, line.sources),
            count(line.spared_sources),
            count(line.calls),
            share(line.attested_calls, line.calls),
        ]);
    }
    table
}

/// How many of all, and as a share.
fn share(some: u64, all: u64) -> String {
    if all == 0 {
        return "0".to_owned();
    }
    format!(
        "{} ({:.2} %)",
        count(some),
        some as f64 * 100.0 / all as f64
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_much_of_what_it_would_have_hit_was_genuine() {
        let line = ShadowLine {
            feed: "attestation-shadow".into(),
            rule: Some("credential".into()),
            step: Some(2),
            verdict: "block".into(),
            reason: "tok_badsig".into(),
            mode: "observe".into(),
            sources: 1_200,
            attested_sources: 3,
            spared_sources: 2,
            calls: 90_000,
            attested_calls: 9,
        };
        let shown = table(&[line]).lines();
        let words: Vec<_> = shown[1].split_whitespace().collect();
        assert_eq!(
            words.join(" "),
            "attestation-shadow credential 2 block tok_badsig observe 1,200 3 (0.25 %) 2 90,000 9 (0.01 %)"
        );
    }
}
