//! `weir version`.

use serde_json::json;

use super::{Outcome, human::plain, output::Output};
use crate::control::{client::Client, protocol::VersionQuery};

/// Prints this program's version.
pub(super) fn version(output: &mut Output) -> anyhow::Result<Outcome> {
    if output.json() {
        output.object(&json!({ "version": OWN }))?;
    } else {
        output.line(format_args!("weir {OWN}"))?;
    }
    Ok(Outcome::Done)
}

/// Prints this program's version and the daemon's.
pub(super) async fn both(client: &Client, output: &mut Output) -> anyhow::Result<Outcome> {
    let daemon = client.call(&VersionQuery {}).await?.version;
    if output.json() {
        output.object(&json!({ "version": OWN, "daemon": daemon }))?;
        return Ok(Outcome::Done);
    }
    output.line(format_args!("weir {OWN}"))?;
    output.line(format_args!("daemon {}", plain(&daemon)))?;
    if daemon != OWN {
        output.note("the daemon runs another version than this command: restart it");
    }
    Ok(Outcome::Done)
}

const OWN: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        command::output::tests::kept,
        control::{
            Request,
            protocol::{Answer, Query, VersionAnswer},
            server::fake_daemon::running,
        },
    };

    #[tokio::test]
    async fn a_daemon_of_another_version_is_noticed() {
        for (runs, noted) in [
            (OWN, ""),
            (
                "0.0.1",
                "the daemon runs another version than this command: restart it\n",
            ),
        ] {
            let daemon = running(move |request| match request {
                Request::Query {
                    query: Query::Version(_),
                    reply,
                } => drop(reply.send(Ok(Answer::Version(VersionAnswer {
                    version: runs.to_owned(),
                })))),
                other => panic!("{other:?} wasn't asked"),
            });
            let (mut output, shown, notes) = kept(false);
            let outcome = both(&daemon.client, &mut output).await;
            assert_eq!(outcome.expect("answered"), Outcome::Done);
            assert_eq!(shown.text(), format!("weir {OWN}\ndaemon {runs}\n"));
            assert_eq!(notes.text(), noted);
            let (mut output, shown, _) = kept(true);
            both(&daemon.client, &mut output).await.expect("answered");
            assert_eq!(
                shown.text(),
                format!("{{\"daemon\":\"{runs}\",\"version\":\"{OWN}\"}}\n")
            );
        }
    }
}
