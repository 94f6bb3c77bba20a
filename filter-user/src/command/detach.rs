//! `weir detach`: the way out that must work, with a daemon or without.

use std::path::Path;

use anyhow::Context as _;
use serde_json::json;

use super::{Outcome, hooks, output::Output};
use crate::control::{
    client::{self, Client},
    protocol::DetachRequest,
};

/// Takes the filter off: the daemon does, or, where that fails in any way within the
/// client's limit, this does. The exit is 0 only if the filter is off.
pub(super) async fn detach(
    interface: Option<String>,
    config: &Path,
    client: &Client,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let request = DetachRequest { interface };
    let interfaces = match client.call(&request).await {
        Ok(answer) => answer.interfaces,
        // It knows where the filter is, and other pins may be another daemon's.
        Err(error @ client::Error::Refused(_)) if request.interface.is_some() => {
            return Err(error.into());
        }
        Err(error) => {
            let interfaces = hooks::detach_offline(config, request.interface.as_deref())
                .with_context(|| format!("without the daemon ({error})"))?;
            output.note(format_args!("{error}"));
            output.note("so the filter was taken off by its pins, without the daemon");
            interfaces
        }
    };
    if output.json() {
        output.object(&json!({ "interfaces": interfaces }))?;
    } else {
        output.line(sentence(&interfaces))?;
    }
    Ok(Outcome::Done)
}

fn sentence(interfaces: &[String]) -> String {
    if interfaces.is_empty() {
        return "the filter was attached nowhere".into();
    }
    format!("the filter is off {}", interfaces.join(", "))
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;
    use crate::{
        command::output::tests::kept,
        control::{
            Request,
            protocol::{Command, Refused},
            server::fake_daemon::running,
        },
    };

    #[test]
    fn the_answer_names_the_interfaces() {
        assert_eq!(sentence(&[]), "the filter was attached nowhere");
        let two = ["eth0".into(), "eth1".into()];
        assert_eq!(sentence(&two), "the filter is off eth0, eth1");
    }

    /// A configuration whose pins are in a folder with one on `eth0`.
    fn pinned(folder: &Path) -> std::path::PathBuf {
        let links = folder.join("weir/v0/links");
        fs::create_dir_all(&links).expect("a folder");
        fs::write(links.join("eth0"), "").expect("a pin");
        let config = folder.join("weir.toml");
        let text = format!("[daemon]\npins = \"{}\"\n", folder.join("weir").display());
        fs::write(&config, text).expect("a configuration");
        config
    }

    #[tokio::test]
    async fn whatever_is_wrong_with_the_daemon_the_filter_goes_off() {
        type Daemon = fn(Request);
        let cases: [(&str, Option<Daemon>); 4] = [
            ("no daemon", None),
            ("it is stuck", Some(std::mem::forget)),
            ("it is going", Some(drop)),
            (
                "it refuses",
                Some(|request| match request {
                    Request::Command {
                        command: Command::Detach(_),
                        reply,
                    } => {
                        drop(reply.send(Err(Refused::new("the pin can't be removed"))));
                    }
                    other => panic!("{other:?} wasn't asked"),
                }),
            ),
        ];
        for (what, daemon) in cases {
            let folder = tempfile::tempdir().expect("a folder");
            let config = pinned(folder.path());
            let running = daemon.map(running);
            let client = running.as_ref().map_or_else(
                || Client::new(folder.path().join("no.sock")),
                |running| running.client.clone(),
            );
            let client = client.with_limit(Duration::from_millis(200));
            let (mut output, answer, notes) = kept(false);
            let outcome = detach(None, &config, &client, &mut output)
                .await
                .expect(what);
            assert_eq!(outcome, Outcome::Done, "{what}");
            assert_eq!(answer.text(), "the filter is off eth0\n", "{what}");
            let notes = notes.text();
            assert!(
                notes.contains("by its pins, without the daemon"),
                "{what}: {notes}"
            );
            assert!(!folder.path().join("weir/v0/links/eth0").exists(), "{what}");
        }
    }

    #[tokio::test]
    async fn a_daemon_that_rightly_says_no_is_believed() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = pinned(folder.path());
        let daemon = running(|request| match request {
            Request::Command {
                command: Command::Detach(_),
                reply,
            } => {
                drop(reply.send(Err(Refused::new("the filter isn't on eth9"))));
            }
            other => panic!("{other:?} wasn't asked"),
        });
        let (mut output, ..) = kept(false);
        let refused = detach(Some("eth9".into()), &config, &daemon.client, &mut output).await;
        let refused = refused.expect_err("it isn't there");
        assert_eq!(refused.to_string(), "the filter isn't on eth9");
    }

    /// The exit must not hang on its configuration.
    #[test]
    fn a_configuration_that_cant_be_read_doesnt_stop_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let fifo = folder.path().join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .expect("a pipe");
        for config in [
            fifo,
            folder.path().join("missing"),
            folder.path().to_owned(),
        ] {
            let pins = hooks::pins_of(&config);
            assert_eq!(
                pins,
                hooks::pins_of(Path::new("/dev/null")),
                "{}",
                config.display()
            );
        }
    }
}
