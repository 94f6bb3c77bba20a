//! What `weir status` says of the check endpoint.

use super::{
    super::{
        human::{count, plain, seconds},
        output::{Output, Tone},
        table::{Align::Left, Align::Right, Table},
    },
    table,
};
use crate::control::protocol::CheckStatus;

pub(super) fn show(check: &CheckStatus, output: &mut Output) -> anyhow::Result<()> {
    table(&keys(check), output)?;
    for one in &check.keys {
        let name = plain(&one.attestation);
        for what in one.error.iter().chain(&one.left_out) {
            let line = format!("  {name}: {}", plain(what));
            output.line(output.toned(Tone::Bad, &line))?;
        }
    }
    table(&answers(check), output)
}

fn keys(check: &CheckStatus) -> Table<4> {
    let mut table = Table::new([
        ("ATTESTATION", Left),
        ("MODE", Left),
        ("KEYS", Right),
        ("AGE", Right),
    ]);
    for one in &check.keys {
        table.push([
            plain(&one.attestation),
            one.mode.clone(),
            count(one.keys),
            match one.age_s {
                Some(age) => seconds(age),
                None if one.kept => "kept".to_owned(),
                None => "-".to_owned(),
            },
        ]);
    }
    table
}

fn answers(check: &CheckStatus) -> Table<3> {
    let mut table = Table::new([("CALLS", Left), ("TOLD", Left), ("COUNT", Right)]);
    for one in check.answers.iter().filter(|one| one.count > 0) {
        table.push([plain(&one.reason), one.outcome.clone(), count(one.count)]);
    }
    table
}
