//! `weir config`.

use std::path::Path;

use serde_json::json;

use super::{Outcome, hooks, human::causes, output::Output};

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
            "error": error.as_ref().map(causes),
            "notes": notes,
            "not_looked_at": NOT_LOOKED_AT,
        }))?;
        return Ok(outcome);
    }
    output.notes(&notes);
    match error {
        Some(error) => output.error(&error),
        None => {
            output.line(format_args!("{} is good", file.display()))?;
            output.note(format_args!("not looked at: {}", NOT_LOOKED_AT.join("; ")));
        }
    }
    Ok(outcome)
}

/// What a good configuration may still fail at. The check touches nothing but the file.
const NOT_LOOKED_AT: [&str; 4] = [
    "whether this host has the interfaces, and takes the filter on them",
    "the files that it names: feeds, tokens, keys and certificates",
    "whether an address answers",
    "the running daemon, and what a reload of it would change",
];

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
        let notes = notes.text();
        let mut lines = notes.lines();
        assert_eq!(lines.next(), Some("eth9 isn't there now"));
        let rest = lines.next().expect("what it left aside");
        for words in [
            "not looked at: ",
            "interfaces",
            "files",
            "address",
            "running daemon",
        ] {
            assert!(rest.contains(words), "{rest}");
        }
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
        let answer: serde_json::Value = serde_json::from_str(&answer.text()).expect("JSON");
        assert_eq!(
            (&answer["error"], &answer["file"], &answer["ok"]),
            (
                &json!("unknown key `prots`"),
                &json!("weir.toml"),
                &json!(false)
            )
        );
        assert_eq!(answer["not_looked_at"], json!(NOT_LOOKED_AT));
    }
}
