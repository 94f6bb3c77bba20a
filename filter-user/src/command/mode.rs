//! `weir mode`.

use std::time::Duration;

use filter_common::settings::Mode;
use serde_json::json;

use super::{
    Outcome,
    human::{plain, seconds},
    output::Output,
};
use crate::control::{
    client::Client,
    protocol::{ModeAnswer, ModeRequest, Status, StatusQuery},
};

/// Says which mode it is, and where that comes from.
pub(super) async fn show(client: &Client, output: &mut Output) -> anyhow::Result<Outcome> {
    let status = client.call(&StatusQuery {}).await?;
    if output.json() {
        output.object(&json!({
            "mode": status.mode.name(),
            "from": status.mode_from,
            "until": status.mode_until,
        }))?;
    } else {
        output.line(shown(&status))?;
    }
    Ok(Outcome::Done)
}

fn shown(status: &Status) -> String {
    let until = until(status.mode_until.as_deref());
    format!(
        "{}{until}: {} (from: {})",
        status.mode.name(),
        means(status.mode),
        plain(&status.mode_from)
    )
}

/// Sets the mode.
pub(super) async fn mode(
    mode: Mode,
    lasts: Option<Duration>,
    force: bool,
    client: &Client,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let request = ModeRequest {
        mode,
        force,
        for_s: lasts.map(|lasts| lasts.as_secs()),
    };
    let answer = client.call(&request).await?;
    let stays = request.for_s.is_some() && answer.until.is_none();
    if output.json() {
        output.object(&answer)?;
    } else {
        output.notes(&answer.notes);
        output.line(sentence(&answer, request.for_s))?;
    }
    if stays {
        output.note("the daemon doesn't know --for: the mode stays until it is changed");
        return Ok(Outcome::Failed);
    }
    Ok(Outcome::Done)
}

fn sentence(answer: &ModeAnswer, for_s: Option<u64>) -> String {
    let what = means(answer.mode);
    let until = match (for_s, &answer.until) {
        (Some(for_s), Some(_)) => {
            format!(" for {}{}", seconds(for_s), until(answer.until.as_deref()))
        }
        (None, Some(_)) => until(answer.until.as_deref()),
        (_, None) => String::new(),
    };
    if answer.mode == answer.was {
        return format!("the mode was {} already{until}: {what}", answer.mode.name());
    }
    format!(
        "the mode is {} now{until} (it was {}): {what}",
        answer.mode.name(),
        answer.was.name()
    )
}

fn until(until: Option<&str>) -> String {
    until.map_or_else(String::new, |until| format!(", until {}", plain(until)))
}

const fn means(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "packets are dropped",
        Mode::Observe => "packets are only counted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        command::output::tests::kept,
        control::{
            Request,
            protocol::{Answer, Command},
            server::fake_daemon::{answer, running},
        },
    };

    #[test]
    fn the_answer_says_what_the_mode_means() {
        let mut answered = ModeAnswer {
            mode: Mode::Enforce,
            was: Mode::Observe,
            until: None,
            notes: Vec::new(),
        };
        assert_eq!(
            sentence(&answered, None),
            "the mode is enforce now (it was observe): packets are dropped"
        );
        answered.mode = Mode::Observe;
        assert_eq!(
            sentence(&answered, None),
            "the mode was observe already: packets are only counted"
        );
    }
    #[test]
    fn a_mode_for_a_while_says_when_it_goes_back() {
        let answer = ModeAnswer {
            mode: Mode::Enforce,
            was: Mode::Observe,
            until: Some("2026-11-22T20:00:00Z".into()),
            notes: Vec::new(),
        };
        assert_eq!(
            sentence(&answer, Some(600)),
            "the mode is enforce now for 10m, until 2026-11-22T20:00:00Z (it was observe): \
             packets are dropped"
        );
    }

    #[tokio::test]
    async fn a_daemon_that_leaves_the_duration_out_is_no_success() {
        let daemon = running(|request| match request {
            Request::Command {
                command: Command::Mode(request),
                reply,
            } => drop(reply.send(Ok(Answer::Mode(ModeAnswer {
                mode: request.mode,
                was: Mode::Observe,
                until: None,
                notes: Vec::new(),
            })))),
            other => panic!("{other:?} wasn't asked"),
        });
        let (mut output, _, notes) = kept(false);
        let lasts = Some(Duration::from_secs(600));
        let outcome = mode(Mode::Enforce, lasts, false, &daemon.client, &mut output).await;
        assert_eq!(outcome.expect("answered"), Outcome::Failed);
        assert!(
            notes.text().contains("doesn't know --for"),
            "{}",
            notes.text()
        );
    }

    #[tokio::test]
    async fn the_mode_alone_is_printed_with_where_it_comes_from() {
        let daemon = running(answer);
        let (mut output, shown, _) = kept(false);
        show(&daemon.client, &mut output).await.expect("answered");
        assert_eq!(
            shown.text(),
            "enforce: packets are dropped (from: configuration)\n"
        );
        let (mut output, shown, _) = kept(true);
        show(&daemon.client, &mut output).await.expect("answered");
        assert_eq!(
            shown.text(),
            "{\"from\":\"configuration\",\"mode\":\"enforce\",\"until\":null}\n"
        );
    }
}
