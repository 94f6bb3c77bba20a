//! Taking another configuration while the filter runs. What is wrong with it is
//! found before anything changes.

use std::path::Path;

use filter_common::settings::Mode;

use super::{Daemon, ModeFrom, attack, start};
use crate::{
    config::Config,
    control::protocol::{Refused, ReloadAnswer},
    datapath::{
        Datapath as _,
        attach::{attach, check},
    },
    host::ssh_peers,
    ledger::Rules,
    prefix::{Prefix, address},
    store::state_dir,
};

impl Daemon {
    /// Reads the configuration again and takes it. The mode is the
    /// configuration's again (or the command line's).
    pub(super) async fn reload(&mut self) -> Result<ReloadAnswer, Refused> {
        let refused = |error: anyhow::Error| Refused::new(format!("{error:#}"));
        let config = start::read(&self.options).map_err(refused)?;
        let plan = attack::plan(&config, &self.plan.tier_names, self.attack.as_ref());
        let plan = plan.map_err(refused)?;

        let mut answer = ReloadAnswer {
            changes: changes(&self.config, &config),
            notes: config.warnings.clone(),
        };
        answer.notes.extend(needs_restart(&self.config, &config));
        for interface in &config.datapath.interfaces {
            check(&self.pins, interface).await.map_err(refused)?;
        }
        let interfaces_differ = self.config.datapath.interfaces != config.datapath.interfaces
            || self.attached.len() != config.datapath.interfaces.len();
        let keep = self.config.clone();
        self.config = Config {
            // What can't change while it runs stays as it is.
            daemon: keep.daemon,
            tables: keep.tables,
            metrics: keep.metrics,
            check: keep.check,
            attestations: keep.attestations,
            ..config
        };
        self.plan = plan;
        // Ports may be protected for some sources only from now on: among them,
        // without a moment in between, whoever is logged in.
        if let Ok(peers) = ssh_peers(Path::new("/"), &self.config.ssh_ports()) {
            self.peers = self.config.ssh_peers(&peers);
        }
        // What the tables refuse is noted, and mended with the next look around.
        let configured = self.kernel.configure(&self.whole_plan());
        self.note_tables(configured.err().map(|error| format!("{error:#}")));

        let generation = self.settings.generation;
        let was = self.mode();
        self.settings = self.plan.settings;
        self.settings.generation = generation;
        let mode = self.mode();
        if was == Mode::Observe {
            // Not before everything that is to be protected is.
            self.settings.mode = Mode::Observe as u8;
        }
        self.mode_from = if self.options.mode.is_some() {
            ModeFrom::CommandLine
        } else {
            ModeFrom::Configuration
        };
        if let Err(error) = state_dir::remove(&self.config.daemon.state_dir, start::MODE) {
            answer
                .notes
                .push(format!("the kept mode can't be forgotten: {error}"));
        }
        if mode != was {
            answer
                .changes
                .push(format!("mode: {}, was {}", mode.name(), was.name()));
        }
        self.put_settings();

        self.configure_policy();
        self.feeds.configure(&self.config, &self.plan.tier_names);
        let rules = self.rules();
        let applied = self.ledger.configure(rules, super::now());
        for refusal in &applied.refused.first {
            answer.notes.push(refusal.to_string());
        }
        self.carry_out(&applied.patch);
        self.settings.mode = mode as u8;
        self.put_settings();
        self.feeds.refresh();
        self.protect_peers();
        if interfaces_differ {
            self.attach_again(&mut answer.changes)
                .await
                .map_err(refused)?;
        }
        tracing::info!(
            changes = answer.changes.join("; "),
            "took the configuration"
        );
        Ok(answer)
    }

    /// What the ledger settles claims by, as it is now.
    fn rules(&self) -> Rules {
        let mut protected = start::protected(&self.config);
        protected.extend(self.feeds.peers().map(|peer| Prefix::of(address(peer))));
        start::rules(self.feeds.rules(), protected, &self.plan)
    }

    /// Protects where the feeds come from, as far as that isn't so yet.
    pub(super) fn protect_sources(&mut self) {
        let rules = self.rules();
        let applied = self.ledger.configure(rules, super::now());
        self.carry_out(&applied.patch);
    }

    /// Attaches where the configuration says and the filter isn't yet, and lets
    /// the other interfaces go.
    async fn attach_again(&mut self, changes: &mut Vec<String>) -> anyhow::Result<()> {
        let wanted = self.config.datapath.interfaces.clone();
        let (stay, go): (Vec<_>, Vec<_>) = std::mem::take(&mut self.attached)
            .into_iter()
            .partition(|attached| wanted.contains(&attached.interface));
        self.attached = stay;
        for attached in go {
            self.pins.detach(&attached.interface)?;
            tracing::info!(interface = attached.interface, "the filter is off");
            changes.push(format!("the filter is off {}", attached.interface));
        }
        for interface in &wanted {
            if !self.attached.iter().any(|one| one.interface == *interface) {
                let wish = self.config.datapath.attach;
                let attached = attach(&mut self.kernel, &self.pins, interface, wish).await?;
                tracing::info!(
                    interface,
                    attach = attached.attach.name(),
                    "the filter is attached"
                );
                let how = attached.attach.name();
                changes.push(format!("the filter is on {interface} ({how})"));
                self.attached.push(attached);
            }
        }
        Ok(())
    }
}

/// What is different, table by table.
fn changes(old: &Config, new: &Config) -> Vec<String> {
    let mut changes = Vec::new();
    for (table, differs) in [
        ("datapath", old.datapath != new.datapath),
        ("protect", old.protect != new.protect),
        ("events", old.events != new.events),
        ("services", old.services != new.services),
        ("tiers", old.tiers != new.tiers),
        ("under_attack", old.under_attack != new.under_attack),
    ] {
        if differs {
            changes.push(format!("{table} changed"));
        }
    }
    for feed in &new.feeds {
        match old.feeds.iter().find(|known| known.name == feed.name) {
            None => changes.push(format!("feed {} is new", feed.name)),
            Some(known) if known != feed => changes.push(format!("feed {} changed", feed.name)),
            Some(_) => {}
        }
    }
    for feed in &old.feeds {
        if !new.feeds.iter().any(|known| known.name == feed.name) {
            changes.push(format!(
                "feed {} is gone, and its claims with it",
                feed.name
            ));
        }
    }
    changes
}

fn needs_restart(old: &Config, new: &Config) -> Vec<String> {
    let mut notes = Vec::new();
    if old.datapath.attach != new.datapath.attach {
        notes.push(
            "attach changed: where the filter is on, it stays as it is until weir detach and \
             another weir reload"
                .to_owned(),
        );
    }
    for (table, differs) in [
        ("[daemon]", old.daemon != new.daemon),
        ("[tables]", old.tables != new.tables),
        ("[metrics]", old.metrics != new.metrics),
        ("[check]", old.check != new.check),
        ("[[attestation]]", old.attestations != new.attestations),
    ] {
        if differs {
            notes.push(format!(
                "{table} changed: that takes a restart of weir (the filter goes on meanwhile)"
            ));
        }
    }
    notes
}
