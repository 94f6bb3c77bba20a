//! Reading the configuration and what it needs of the host, in threads that nobody waits
//! for: a file that hangs holds up no command.

use std::{io, path::Path};

use anyhow::{Context as _, Result};
use filter_common::settings::Mode;
use filter_core::engine::{Input, Loaded, Ticket};
use tokio::sync::mpsc;

use super::root;
use crate::{
    cli,
    config::{self, Config},
    config_file, host,
    prefix::Prefix,
    store::reader::detached,
};

/// Reads beside the loop; what comes of it is an input.
pub(super) struct Loads {
    options: cli::Run,
    inputs: mpsc::UnboundedSender<Input>,
}

impl Loads {
    pub(super) const fn new(options: cli::Run, inputs: mpsc::UnboundedSender<Input>) -> Self {
        Self { options, inputs }
    }

    /// Does something in a thread of its own, and hands over what comes of it.
    pub(super) fn run(
        &self,
        name: &str,
        work: impl FnOnce() -> Option<Input> + Send + 'static,
    ) -> io::Result<()> {
        let inputs = self.inputs.clone();
        detached(name, move || {
            if let Some(input) = work() {
                // The daemon may have ended.
                let _gone = inputs.send(input);
            }
        })
        .map(drop)
    }

    /// Reads the configuration again.
    pub(super) fn configuration(&self, ticket: Ticket) {
        let options = self.options.clone();
        let started = self.run("reload", move || {
            let result = load(&options)
                .map(Box::new)
                .map_err(|error| format!("{error:#}"));
            Some(Input::Loaded { ticket, result })
        });
        if let Err(error) = started {
            let result = Err(format!("no thread can be started to read it: {error}"));
            let _gone = self.inputs.send(Input::Loaded { ticket, result });
        }
    }

    /// Looks who is logged in by SSH.
    pub(super) fn look_at_peers(&self, config: &Config) {
        let ports = config.ssh_ports();
        let started = self.run("peers", move || match host::ssh_peers(root(), &ports) {
            Ok(peers) => Some(Input::Peers(peers)),
            Err(error) => {
                tracing::warn!(%error, "can't see the SSH sessions");
                None
            }
        });
        if let Err(error) = started {
            tracing::warn!(%error, "can't look at the SSH sessions");
        }
    }
}

/// The configuration with what the command line says, and what it needs of the host.
pub(super) fn load(options: &cli::Run) -> Result<Loaded> {
    let config = read(options)?;
    let present = host::interface::interfaces(root()).context("listing the interfaces")?;
    for interface in &config.datapath.interfaces {
        host::interface::exists(interface, &present)?;
    }
    let peers = host::ssh_peers(root(), &config.ssh_ports())
        .inspect_err(|error| tracing::warn!(%error, "can't see the SSH sessions"))
        .ok();
    Ok(Loaded {
        essential: essential(),
        mode_given: options.mode,
        peers,
        config,
    })
}

fn read(options: &cli::Run) -> Result<Config> {
    let path = &options.config;
    let read = match config_file::read(path) {
        Err(config::Error::Unreadable { error, .. })
            if error.kind() == io::ErrorKind::NotFound
                && path == Path::new(cli::DEFAULT_CONFIG)
                && !options.interfaces.is_empty() =>
        {
            tracing::info!("there is no {}: the built-in defaults hold", path.display());
            Config::embedded()
        }
        // It names its file itself.
        Err(error @ config::Error::Unreadable { .. }) => return Err(error.into()),
        read => read.with_context(|| format!("in {}", path.display()))?,
    };
    let mode: Option<Mode> = options.mode;
    read.with(options.interfaces.clone(), mode)
        .with_context(|| format!("in {}", path.display()))
}

/// The resolvers and gateways of this host.
fn essential() -> Vec<Prefix> {
    let mut essential = Vec::new();
    for (what, found) in [
        ("resolvers", host::route::resolvers(root())),
        ("gateways", host::route::gateways(root())),
    ] {
        match found {
            Ok(addresses) => essential.extend(addresses.into_iter().map(Prefix::of)),
            Err(error) => {
                tracing::warn!(%error, "can't see the host's {what}, so they aren't protected");
            }
        }
    }
    essential
}
