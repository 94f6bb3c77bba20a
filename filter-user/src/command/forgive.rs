//! `weir forgive`.

use super::{Outcome, human::plain, output::Output};
use crate::control::{
    client::Client,
    protocol::{ForgiveAnswer, ForgiveRequest},
};

/// Lifts what the policy holds against a source.
pub(super) async fn forgive(
    address: String,
    client: &Client,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let request = ForgiveRequest { address };
    let answer = client.call(&request).await?;
    if output.json() {
        output.object(&answer)?;
        return Ok(Outcome::Done);
    }
    output.notes(&answer.notes);
    for line in sentences(&answer) {
        output.line(line)?;
    }
    Ok(Outcome::Done)
}

fn sentences(answer: &ForgiveAnswer) -> Vec<String> {
    let source = plain(&answer.source);
    if answer.lifted.is_empty() {
        return vec![format!(
            "the policy held nothing against {source}: its counts begin anew"
        )];
    }
    let lifted = answer.lifted.iter().map(|one| {
        let reason = one.reason.as_deref().map(plain);
        let reason = reason.map_or_else(String::new, |reason| format!(", reason {reason}"));
        format!(
            "{source} is forgiven: {} by {}{reason} is withdrawn",
            plain(&one.verdict.to_string()),
            plain(&one.feed)
        )
    });
    lifted.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        command::output::tests::kept,
        control::{
            Request,
            protocol::{Answer, Command, LiftedVerdict, Refused, Verdict},
            server::fake_daemon::running,
        },
    };

    /// Answers as a daemon whose policy blocks every source but one.
    fn answer(request: Request) {
        let Request::Command {
            command: Command::Forgive(request),
            reply,
        } = request
        else {
            panic!("{request:?} wasn't asked")
        };
        drop(reply.send(if request.address == "192.0.2.9" {
            Err(Refused::new("there is no policy"))
        } else {
            Ok(Answer::Forgive(ForgiveAnswer {
                source: request.address + "/32",
                lifted: vec![LiftedVerdict {
                    feed: "attestation".into(),
                    verdict: Verdict::Block,
                    reason: Some("tok_badsig".into()),
                }],
                notes: Vec::new(),
            }))
        }));
    }

    #[tokio::test]
    async fn what_was_lifted_is_named() {
        let daemon = running(answer);
        let (mut output, shown, _) = kept(false);
        let outcome = forgive("192.0.2.7".into(), &daemon.client, &mut output).await;
        assert_eq!(outcome.expect("answered"), Outcome::Done);
        assert_eq!(
            shown.text(),
            "192.0.2.7/32 is forgiven: block by attestation, reason tok_badsig is withdrawn\n"
        );
        let (mut output, ..) = kept(false);
        let refused = forgive("192.0.2.9".into(), &daemon.client, &mut output).await;
        let refused = refused.expect_err("it is refused");
        assert_eq!(refused.to_string(), "there is no policy");
    }

    #[test]
    fn nothing_to_lift_is_told() {
        let answer = ForgiveAnswer {
            source: "192.0.2.7/32".into(),
            ..ForgiveAnswer::default()
        };
        assert_eq!(
            sentences(&answer),
            ["the policy held nothing against 192.0.2.7/32: its counts begin anew"]
        );
    }
}
