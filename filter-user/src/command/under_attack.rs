//! `weir under-attack`.

use super::{Outcome, human::plain, output::Output};
use crate::{
    cli::UnderAttack,
    control::{
        client::Client,
        protocol::{UnderAttackAnswer, UnderAttackRequest, UnderAttackStatus},
    },
};

/// Says that the host is under attack, or isn't any more.
pub(super) async fn under_attack(
    what: UnderAttack,
    client: &Client,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let request = match what {
        UnderAttack::On { lasts } => UnderAttackRequest {
            on: true,
            for_s: lasts.map(|lasts| lasts.as_secs()),
        },
        UnderAttack::Off => UnderAttackRequest {
            on: false,
            for_s: None,
        },
    };
    let answer = client.call(&request).await?;
    if output.json() {
        output.object(&answer)?;
        return Ok(Outcome::Done);
    }
    output.notes(&answer.notes);
    output.line(sentence(&answer))?;
    Ok(Outcome::Done)
}

/// Until when, for people.
pub(super) fn until(status: &UnderAttackStatus) -> String {
    status.until.as_ref().map_or_else(
        || "until weir under-attack off".to_owned(),
        |until| format!("until {}", plain(until)),
    )
}

fn sentence(answer: &UnderAttackAnswer) -> String {
    match (&answer.under_attack, answer.was) {
        (Some(status), was) => format!(
            "under attack{}, {}: unknown sources are held to tier bootstrap, and all unattested ones share a ceiling of new connections for each service",
            if was { " as before" } else { "" },
            until(status)
        ),
        (None, true) => "no longer under attack: every source has its usual tier again".to_owned(),
        (None, false) => "not under attack, and wasn't before".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_says_what_it_means_and_when_it_ends() {
        let mut answer = UnderAttackAnswer {
            on: true,
            was: false,
            under_attack: Some(UnderAttackStatus {
                since: "2026-11-25T20:00:00Z".into(),
                until: Some("2026-11-25T21:00:00Z".into()),
            }),
            notes: Vec::new(),
        };
        let first = sentence(&answer);
        assert!(
            first.starts_with("under attack, until 2026-11-25T21:00:00Z: "),
            "{first}"
        );
        answer.was = true;
        let again = sentence(&answer);
        assert!(
            again.starts_with("under attack as before, until"),
            "{again}"
        );
        answer.under_attack.as_mut().expect("it is on").until = None;
        assert!(sentence(&answer).contains("until weir under-attack off"));
        answer.under_attack = None;
        assert!(sentence(&answer).starts_with("no longer under attack"));
        answer.was = false;
        assert!(sentence(&answer).contains("wasn't before"));
    }
}
