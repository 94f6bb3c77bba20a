//! `weir mode`.

use filter_common::settings::Mode;

use super::{Outcome, output::Output};
use crate::control::{
    client::Client,
    protocol::{ModeAnswer, ModeRequest},
};

/// Sets the mode.
pub(super) async fn mode(
    mode: Mode,
    force: bool,
    client: &Client,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let request = ModeRequest { mode, force };
    let answer: ModeAnswer = client.put("/v1/mode", &request).await?;
    if output.json() {
        output.object(&answer)?;
        return Ok(Outcome::Done);
    }
    output.notes(&answer.notes);
    output.line(sentence(&answer))?;
    Ok(Outcome::Done)
}

fn sentence(answer: &ModeAnswer) -> String {
    let what = match answer.mode {
        Mode::Enforce => "packets are dropped",
        Mode::Observe => "packets are only counted",
    };
    if answer.mode == answer.was {
        return format!("the mode was {} already: {what}", answer.mode.name());
    }
    format!(
        "the mode is {} now (it was {}): {what}",
        answer.mode.name(),
        answer.was.name()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_says_what_the_mode_means() {
        let mut answer = ModeAnswer {
            mode: Mode::Enforce,
            was: Mode::Observe,
            notes: Vec::new(),
        };
        assert_eq!(
            sentence(&answer),
            "the mode is enforce now (it was observe): packets are dropped"
        );
        answer.mode = Mode::Observe;
        assert_eq!(
            sentence(&answer),
            "the mode was observe already: packets are only counted"
        );
    }
}
