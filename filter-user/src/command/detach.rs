//! `weir detach`: the way out that must work, with a daemon or without.

use std::path::Path;

use anyhow::Context as _;
use serde_json::json;

use super::{Outcome, hooks, output::Output};
use crate::control::{
    client::{self, Client},
    protocol::{DetachAnswer, DetachRequest},
};

/// Takes the filter off: the daemon does, or, where there is none, this does.
pub(super) async fn detach(
    interface: Option<String>,
    config: &Path,
    client: &Client,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let request = DetachRequest { interface };
    let interfaces = match client.post::<DetachAnswer>("/v1/detach", &request).await {
        Ok(answer) => answer.interfaces,
        Err(client::Error::NoDaemon(socket)) => {
            output.note(format_args!(
                "no daemon answers on {}: what it left attached is taken off",
                socket.display()
            ));
            hooks::detach_offline(config, request.interface.as_deref())
                .context("the filter can't be taken off without the daemon")?
        }
        Err(error) => return Err(error.into()),
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
    use super::*;

    #[test]
    fn the_answer_names_the_interfaces() {
        assert_eq!(sentence(&[]), "the filter was attached nowhere");
        let two = ["eth0".into(), "eth1".into()];
        assert_eq!(sentence(&two), "the filter is off eth0, eth1");
    }
}
