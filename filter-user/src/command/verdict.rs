//! `weir block`, `allow`, `limit` and `clear`.

use std::io::{self, BufRead};

use anyhow::Context as _;

use super::{
    Outcome,
    human::{count, plain, seconds},
    output::Output,
};
use crate::{
    cli::{STDIN, Said},
    control::{
        client::Client,
        protocol::{Order, PrefixAnswer, VerdictAnswer, VerdictRequest},
    },
};

/// Says it to the daemon, in parts where there is much, and shows what became
/// of each prefix.
pub(super) async fn say(
    order: Order,
    said: Said,
    stdin: impl BufRead,
    client: &Client,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let for_s = said.lasts.map(|lasts| lasts.as_secs());
    let mut prefixes = every(said.prefixes.prefixes, stdin);
    let (mut outcome, mut number, mut whole) = (Outcome::Done, 0, VerdictAnswer::default());
    loop {
        let part = prefixes.by_ref().take(PART).collect::<io::Result<Vec<_>>>();
        let before = || format!("after {} prefixes were answered", count(number));
        let part = part
            .context("standard input can't be read")
            .with_context(before)?;
        if part.is_empty() {
            break;
        }
        let request = VerdictRequest {
            prefixes: part,
            verdict: order.clone(),
            for_s,
            reason: said.reason.clone(),
        };
        let answer = match client.call(&request).await {
            Err(error) if number > 0 => return Err(error).with_context(before),
            answer => answer?,
        };
        let failed = |one: &PrefixAnswer| !one.done || (order == Order::Clear && !one.changed);
        if answer.prefixes.iter().any(failed) {
            outcome = Outcome::Failed;
        }
        number += answer.prefixes.len() as u64;
        if output.json() {
            whole.until = answer.until;
            whole.prefixes.extend(answer.prefixes);
        } else {
            show(&order, for_s, &answer, output)?;
        }
    }
    if output.json() {
        output.object(&whole)?;
    } else if number == 0 {
        output.note("there were no prefixes on standard input: nothing was done");
    }
    Ok(outcome)
}

/// The prefixes of the command line, with those of standard input where `-`
/// stands: one a line, `#` begins a comment.
fn every(written: Vec<String>, stdin: impl BufRead) -> impl Iterator<Item = io::Result<String>> {
    let mut stdin = Some(stdin);
    written.into_iter().flat_map(move |text| {
        let (one, lines) = if text == STDIN {
            (None, stdin.take().map(BufRead::lines))
        } else {
            (Some(Ok(text)), None)
        };
        let lines = lines.into_iter().flatten().filter_map(|line| {
            line.and_then(|line| {
                if line.trim_start().starts_with('{') {
                    return Err(io::Error::other(JSON));
                }
                let prefix = line.split('#').next().unwrap_or_default().trim();
                Ok((!prefix.is_empty()).then(|| prefix.to_owned()))
            })
            .transpose()
        });
        one.into_iter().chain(lines)
    })
}

fn show(
    order: &Order,
    for_s: Option<u64>,
    answer: &VerdictAnswer,
    output: &mut Output,
) -> io::Result<()> {
    let is = match order {
        Order::Allow => "is allowed",
        Order::Block => "is blocked",
        Order::Limit(tier) => &format!("is held to tier {tier}"),
        Order::Clear => "",
    };
    let until = match (order, for_s, &answer.until) {
        (Order::Clear, ..) => String::new(),
        (_, Some(for_s), Some(until)) => format!(" for {}, until {until}", seconds(for_s)),
        (_, Some(for_s), None) => format!(" for {}", seconds(for_s)),
        (_, None, _) => " until cleared".into(),
    };
    for one in &answer.prefixes {
        if let Some(error) = &one.error {
            output.note(format_args!(
                "weir: {}: {}",
                plain(&one.written),
                plain(error)
            ));
            continue;
        }
        let prefix = one.prefix.as_deref().unwrap_or(&one.written);
        if one.masked {
            output.note(format_args!(
                "{} has host bits: taken as {prefix}",
                plain(&one.written)
            ));
        }
        if matches!(order, Order::Clear) {
            for line in cleared(prefix, one) {
                if one.changed {
                    output.line(line)?;
                } else {
                    output.note(line);
                }
            }
        } else {
            output.line(format_args!("{prefix} {is}{until}"))?;
        }
        if let Some(note) = &one.note {
            output.note(format_args!("{prefix}: {}", plain(note)));
        }
    }
    Ok(())
}

/// What became of a prefix that was to be cleared: whether anything of the operator's
/// was there, who still holds it, and what lifts that.
fn cleared(prefix: &str, one: &PrefixAnswer) -> Vec<String> {
    let mut lines = vec![if one.changed {
        format!("{prefix} is cleared")
    } else if one.held_by.is_empty() {
        format!("weir: {prefix}: there was nothing of yours to clear")
    } else {
        format!("weir: {prefix}: there was nothing of yours to clear, and it is still held")
    }];
    for holder in &one.held_by {
        let on = if holder.prefix == prefix {
            String::new()
        } else {
            format!(" on {}", plain(&holder.prefix))
        };
        lines.push(format!(
            "  {} by {}{on}: {}",
            plain(&holder.verdict.to_string()),
            match holder.feed.as_str() {
                "operator" => "the operator".to_owned(),
                feed => format!("feed {}", plain(feed)),
            },
            plain(&holder.lifted_by)
        ));
    }
    lines
}

/// A claim's line isn't a prefix: its end and its verdict would be lost.
const JSON: &str = "it holds JSON, as weir list --json writes it, with verdicts and ends of its \
                    own: give it to a file feed, or take its prefixes alone (jq -r .prefix)";

/// Prefixes of one request: so many don't hold the daemon up.
const PART: usize = 50_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        command::output::tests::kept,
        control::{
            Request,
            protocol::{Answer, Command, Holder, Verdict},
            server::fake_daemon::{answer, running},
        },
    };

    #[test]
    fn standard_input_stands_where_the_dash_stands() {
        let stdin: &[u8] = b"# bad ones\n192.0.2.1\n\n  192.0.2.2/31 # why\r\n";
        let written = ["192.0.2.0", "-", "192.0.2.9", "-"].map(String::from);
        let all: io::Result<Vec<_>> = every(written.to_vec(), stdin).collect();
        assert_eq!(
            all.expect("text"),
            ["192.0.2.0", "192.0.2.1", "192.0.2.2/31", "192.0.2.9"]
        );
        let bad: &[u8] = b"\xff\n";
        assert!(every(vec!["-".into()], bad).any(|line| line.is_err()));
        let json: &[u8] = b"192.0.2.1\n {\"prefix\":\"192.0.2.2/32\",\"verdict\":\"block\"}\n";
        let read: io::Result<Vec<_>> = every(vec!["-".into()], json).collect();
        assert!(
            read.expect_err("no prefix")
                .to_string()
                .contains("jq -r .prefix")
        );
    }

    fn said(prefixes: &[&str]) -> Said {
        Said {
            prefixes: crate::cli::Prefixes {
                prefixes: prefixes.iter().map(|text| (*text).to_owned()).collect(),
            },
            lasts: None,
            reason: None,
        }
    }

    #[tokio::test]
    async fn many_prefixes_go_in_parts_and_each_is_answered_in_order() {
        let daemon = running(answer);
        let number = PART * 2 + 1;
        let stdin: String = (0..number as u32)
            .map(|number| format!("{}\n", std::net::Ipv4Addr::from(number)))
            .collect();
        let (mut output, answer, notes) = kept(false);
        let outcome = say(
            Order::Block,
            said(&["-"]),
            stdin.as_bytes(),
            &daemon.client,
            &mut output,
        );
        assert_eq!(outcome.await.expect("answered"), Outcome::Done);
        assert_eq!(
            (answer.text().lines().count(), notes.text()),
            (number, String::new())
        );
        for (line, prefix) in answer.text().lines().zip(stdin.lines()) {
            assert_eq!(line, format!("{prefix}/32 is blocked until cleared"));
        }
    }

    #[tokio::test]
    async fn what_is_refused_fails_and_the_rest_is_done() {
        let daemon = running(answer);
        let prefixes = said(&["203.0.113.7", "0.0.0.0/0"]);
        let (mut output, answer, notes) = kept(false);
        let outcome = say(
            Order::Block,
            prefixes.clone(),
            &b""[..],
            &daemon.client,
            &mut output,
        );
        assert_eq!(outcome.await.expect("answered"), Outcome::Failed);
        assert_eq!(answer.text(), "203.0.113.7/32 is blocked until cleared\n");
        assert_eq!(notes.text(), "weir: 0.0.0.0/0: too wide\n");
        let (mut output, answer, _) = kept(true);
        let outcome = say(
            Order::Block,
            prefixes,
            &b""[..],
            &daemon.client,
            &mut output,
        );
        assert_eq!(outcome.await.expect("answered"), Outcome::Failed);
        let answer: VerdictAnswer = serde_json::from_str(&answer.text()).expect("one object");
        assert_eq!(
            answer
                .prefixes
                .iter()
                .map(|one| one.done)
                .collect::<Vec<_>>(),
            [true, false]
        );
    }

    fn shown(order: &Order, for_s: Option<u64>, answer: &VerdictAnswer) -> (String, String) {
        let (mut output, answered, notes) = kept(false);
        show(order, for_s, answer, &mut output).expect("kept");
        (answered.text(), notes.text())
    }

    #[test]
    fn each_prefix_is_answered_with_what_it_was_taken_as_and_how_long() {
        let written = "203.0.113.7/24".parse().expect("a prefix");
        let mut answer = VerdictAnswer {
            until: None,
            prefixes: vec![
                PrefixAnswer::done("203.0.113.7/24", &written),
                PrefixAnswer::refused("0.0.0.0/0", "it is too wide: at most a /8"),
            ],
        };
        assert_eq!(
            shown(&Order::Block, None, &answer),
            (
                "203.0.113.0/24 is blocked until cleared\n".into(),
                "203.0.113.7/24 has host bits: taken as 203.0.113.0/24\n\
                 weir: 0.0.0.0/0: it is too wide: at most a /8\n"
                    .into()
            )
        );
        answer.until = Some("2026-11-22T20:00:00Z".into());
        answer.prefixes.truncate(1);
        answer.prefixes[0].masked = false;
        answer.prefixes[0].note = Some("feed verifier says so too".into());
        assert_eq!(
            shown(&Order::Limit("suspect".into()), Some(900), &answer),
            (
                "203.0.113.0/24 is held to tier suspect for 15m, until 2026-11-22T20:00:00Z\n"
                    .into(),
                "203.0.113.0/24: feed verifier says so too\n".into()
            )
        );
        answer.prefixes[0].note = None;
        let cleared = "203.0.113.0/24 is cleared\n".to_owned();
        assert_eq!(
            shown(&Order::Clear, None, &answer),
            (cleared, String::new())
        );
    }

    #[test]
    fn who_still_holds_a_prefix_is_named_with_what_lifts_it() {
        let written = "203.0.113.7".parse().expect("a prefix");
        let of = |changed, held_by| VerdictAnswer {
            until: None,
            prefixes: vec![PrefixAnswer {
                changed,
                held_by,
                ..PrefixAnswer::done("203.0.113.7", &written)
            }],
        };
        let shown = |answer: &VerdictAnswer| {
            let (answer, notes) = shown(&Order::Clear, None, answer);
            // What failed is told on standard error.
            answer + &notes
        };
        assert_eq!(
            shown(&of(false, Vec::new())),
            "weir: 203.0.113.7/32: there was nothing of yours to clear\n"
        );
        let holders = || {
            vec![
                Holder::operator("203.0.113.0/24", Verdict::Block),
                Holder::policy(
                    "attestation",
                    "203.0.113.7/32",
                    Verdict::Limit("suspect".into()),
                ),
                Holder::feed("local", "203.0.113.7/32", Verdict::Block),
            ]
        };
        let held = "  block by the operator on 203.0.113.0/24: weir clear 203.0.113.0/24\n  \
                    limit suspect by feed attestation: weir forgive 203.0.113.7/32\n  \
                    block by feed local: weir allow 203.0.113.7/32\n";
        assert_eq!(
            shown(&of(false, holders())),
            format!(
                "weir: 203.0.113.7/32: there was nothing of yours to clear, and it is still held\n{held}"
            )
        );
        assert_eq!(
            shown(&of(true, holders())),
            format!("203.0.113.7/32 is cleared\n{held}")
        );
    }

    #[tokio::test]
    async fn clearing_what_wasnt_there_fails() {
        for (order, changed, expected) in [
            (Order::Clear, true, Outcome::Done),
            (Order::Clear, false, Outcome::Failed),
            // What was blocked already is as it should be.
            (Order::Block, false, Outcome::Done),
        ] {
            let daemon = running(move |request| match request {
                Request::Command {
                    command: Command::Verdict(request),
                    reply,
                } => {
                    let text = &request.prefixes[0];
                    let written = text.parse().expect("a prefix");
                    let one = PrefixAnswer {
                        changed,
                        ..PrefixAnswer::done(text, &written)
                    };
                    drop(reply.send(Ok(Answer::Verdict(VerdictAnswer {
                        until: None,
                        prefixes: vec![one],
                    }))));
                }
                other => panic!("{other:?} wasn't asked"),
            });
            for json in [false, true] {
                let (mut output, ..) = kept(json);
                let prefixes = said(&["203.0.113.7"]);
                let outcome = say(
                    order.clone(),
                    prefixes,
                    &b""[..],
                    &daemon.client,
                    &mut output,
                );
                assert_eq!(
                    outcome.await.expect("answered"),
                    expected,
                    "{order:?}, {changed}"
                );
            }
        }
    }
}
