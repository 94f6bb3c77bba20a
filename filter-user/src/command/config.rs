//! `weir config`.

use std::path::Path;

use serde_json::json;

use super::{Outcome, hooks, output::Output};

/// `weir config check`: exit 1 and why, or 0.
pub(super) fn check(file: &Path, output: &mut Output) -> anyhow::Result<Outcome> {
    report(file, hooks::check(file), output)
}

fn report(
    file: &Path,
    checked: anyhow::Result<Vec<String>>,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let (outcome, error, notes) = match checked {
        Ok(notes) => (Outcome::Done, None, notes),
        Err(error) => (Outcome::Failed, Some(error), Vec::new()),
    };
    if output.json() {
        output.object(&json!({
            "file": file,
            "ok": error.is_none(),
            "error": error.as_ref().map(|error| format!("{error:#}")),
            "notes": notes,
        }))?;
        return Ok(outcome);
    }
    output.notes(&notes);
    match error {
        Some(error) => output.error(&error),
        None => output.line(format_args!("{} is good", file.display()))?,
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::output::tests::kept;

    #[test]
    fn a_good_configuration_is_said_to_be_good() {
        let (mut output, answer, notes) = kept(false);
        let checked = Ok(vec!["eth9 isn't there now".into()]);
        let outcome = report(Path::new("weir.toml"), checked, &mut output).expect("kept");
        assert_eq!(outcome, Outcome::Done);
        assert_eq!(answer.text(), "weir.toml is good\n");
        assert_eq!(notes.text(), "eth9 isn't there now\n");
    }

    #[test]
    fn what_is_wrong_is_said_and_fails() {
        let checked = || Err(anyhow::anyhow!("unknown key `prots`"));
        let (mut output, answer, notes) = kept(false);
        let outcome = report(Path::new("weir.toml"), checked(), &mut output).expect("kept");
        assert_eq!((outcome, answer.text().as_str()), (Outcome::Failed, ""));
        assert_eq!(notes.text(), "weir: unknown key `prots`\n");
        let (mut output, answer, _) = kept(true);
        report(Path::new("weir.toml"), checked(), &mut output).expect("kept");
        assert_eq!(
            answer.text(),
            "{\"error\":\"unknown key `prots`\",\"file\":\"weir.toml\",\"notes\":[],\"ok\":false}\n"
        );
    }
}
