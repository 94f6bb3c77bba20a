//! `weir reload`.

use super::{Outcome, human::plain, output::Output};
use crate::control::{client::Client, protocol::ReloadRequest};

/// Has the configuration read again.
pub(super) async fn reload(client: &Client, output: &mut Output) -> anyhow::Result<Outcome> {
    let answer = client.call(&ReloadRequest {}).await?;
    if output.json() {
        output.object(&answer)?;
        return Ok(Outcome::Done);
    }
    output.notes(&answer.notes);
    if answer.changes.is_empty() {
        output.line("the configuration was read again: nothing is different")?;
    }
    for change in &answer.changes {
        output.line(plain(change))?;
    }
    Ok(Outcome::Done)
}
