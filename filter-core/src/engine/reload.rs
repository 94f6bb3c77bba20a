//! Another configuration, taken while the filter runs: as a whole, or not at all.
//!
//! Whatever can fail comes first: the file is read and validated, and the filter is put
//! on the interfaces that are new. Only then anything else changes.

use filter_common::{settings::Mode, source::Address};

use super::{AfterConfigure, Engine, File, ModeFrom, Pending, RequestId, Ticket, attack::plan};
use crate::{
    clock::Now,
    config::{
        Config,
        changes::{self, Change, Effect},
    },
    datapath::Attached,
    feed::FeedId,
    ledger::Rules,
    plan::Plan,
    prefix::{Prefix, address},
    protocol::{Answer, Refused, ReloadAnswer},
};

/// A configuration as it was read, with what it needs of the host.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration, with the options of the command line.
    pub config: Config,
    /// The mode that the command line gives.
    pub mode_given: Option<Mode>,
    /// Prefixes that this host can't do without: its resolvers and gateways.
    pub essential: Vec<Prefix>,
    /// The peers of the operator's SSH sessions; `None`: they can't be seen.
    pub peers: Option<Vec<Address>>,
}

/// A reload under way.
#[derive(Debug)]
pub(super) struct ReloadPending {
    /// `None`: a signal asked for it.
    id: Option<RequestId>,
    loaded: Box<Loaded>,
    plan: Box<Plan>,
    answer: ReloadAnswer,
    /// What didn't succeed, though the rest is in force.
    failed: Vec<String>,
}

impl ReloadPending {
    pub(super) fn fail(&mut self, why: &str) {
        self.failed.push(why.to_owned());
    }
}

impl Engine {
    /// Has the configuration read.
    pub(super) fn load(&mut self, id: Option<RequestId>) {
        if self.is_reloading() {
            match id {
                None => self.reload_again = true,
                Some(id) => {
                    let sentence = "another reload is under way: ask again when it is done";
                    self.answer(id, Err(Refused::new(sentence)));
                }
            }
            return;
        }
        let ticket = self.ticket();
        self.pending.insert(ticket, Pending::Load(id));
        self.effects.push_back(super::Effect::Load { ticket });
    }

    fn is_reloading(&self) -> bool {
        let mut pending = self.pending.values();
        self.reload.is_some() || pending.any(|one| matches!(one, Pending::Load(_)))
    }

    /// The configuration was read, or can't be.
    pub(super) fn loaded(&mut self, ticket: Ticket, result: Result<Box<Loaded>, String>, now: Now) {
        let Some(Pending::Load(id)) = self.pending.remove(&ticket) else {
            return;
        };
        let planned = result.and_then(|loaded| {
            let plan = plan(&loaded.config, &self.plan.tier_names, self.attack.is_some());
            let plan = plan.map_err(|error| error.to_string())?;
            Ok((loaded, Box::new(plan)))
        });
        let (loaded, plan) = match planned {
            Ok(planned) => planned,
            Err(why) => return self.refuse_reload(id, why, now),
        };
        let answer = differences(&self.config, &loaded.config);
        let fresh: Vec<_> = loaded
            .config
            .datapath
            .interfaces
            .iter()
            .filter(|name| !self.attached.iter().any(|one| one.interface == **name))
            .cloned()
            .collect();
        let wish = loaded.config.datapath.attach;
        self.reload = Some(ReloadPending {
            id,
            loaded,
            plan,
            answer,
            failed: Vec::new(),
        });
        if fresh.is_empty() {
            return self.take_configuration(now);
        }
        let ticket = self.ticket();
        self.pending.insert(ticket, Pending::AttachNew);
        self.effects.push_back(super::Effect::Attach {
            ticket,
            interfaces: fresh,
            wish,
        });
    }

    fn refuse_reload(&mut self, id: Option<RequestId>, why: String, now: Now) {
        tracing::error!(
            why,
            "the configuration is refused; the last one stays in force"
        );
        if let Some(id) = id {
            self.answer(id, Err(Refused::new(why.clone())));
        }
        let since = self.troubles.config.as_ref().map(|(_, since)| *since);
        self.troubles.config = Some((why, since.unwrap_or(now.unix)));
        self.reload_if_asked();
    }

    /// The filter is on interfaces, or on none of those that were asked for.
    pub(super) fn attached(
        &mut self,
        ticket: Ticket,
        result: Result<Vec<Attached>, String>,
        now: Now,
    ) {
        match self.pending.remove(&ticket) {
            Some(Pending::AttachFirst) => match result {
                Ok(attached) => {
                    self.note_attached(&attached);
                    self.attached = attached;
                }
                Err(why) => self.troubles.attach = Some(why),
            },
            Some(Pending::AttachNew) => match result {
                Ok(attached) => {
                    self.note_attached(&attached);
                    if let Some(reload) = &mut self.reload {
                        for one in &attached {
                            let how = one.attach.name();
                            let name = &one.interface;
                            let change = format!("the filter is on {name} ({how})");
                            reload.answer.changes.push(change);
                        }
                    }
                    self.attached.extend(attached);
                    self.take_configuration(now);
                }
                Err(why) => {
                    let id = self.reload.take().and_then(|reload| reload.id);
                    self.refuse_reload(
                        id,
                        format!("{why}; nothing else of the configuration was taken"),
                        now,
                    );
                }
            },
            other => drop(other),
        }
    }

    fn note_attached(&self, attached: &[Attached]) {
        let wish = self.config.datapath.attach;
        for one in attached {
            tracing::info!(
                interface = one.interface,
                attach = one.attach.name(),
                program = one.program,
                as_wished = one.attach.fulfils(wish),
                "the filter is attached"
            );
        }
    }

    /// Takes the configuration, from here on without anything that may be refused but by
    /// the kernel's tables, which are tried again until they take it.
    fn take_configuration(&mut self, now: Now) {
        let Some(reload) = &mut self.reload else {
            return;
        };
        let before = self.config.clone();
        let taken = before.clone().taking(reload.loaded.config.clone());
        let mode_given = reload.loaded.mode_given;
        // Made again: the attack may have begun or ended since it was validated.
        let plan = plan(&taken, &self.plan.tier_names, self.attack.is_some());
        self.plan = plan.unwrap_or_else(|_| (*reload.plan).clone());
        self.essential = reload.loaded.essential.clone();
        self.troubles.config = None;
        // Ports may be protected for some sources only from now on: among them, without
        // a moment in between, whoever is logged in.
        if let Some(peers) = &reload.loaded.peers {
            self.peers = taken.ssh_peers(peers);
        }
        let file_changed = before.datapath.mode != taken.datapath.mode;
        let configured = taken.datapath.mode;
        self.config = taken;
        self.configure(AfterConfigure::Reload);

        let was = self.mode();
        let generation = self.settings.generation;
        self.settings = self.plan.settings;
        self.settings.generation = generation;
        let mode = self.reloaded_mode(was, configured, mode_given, file_changed, now);
        // Not before everything that is to be protected is.
        let first = if was == Mode::Observe { was } else { mode };
        self.settings.mode = first as u8;
        self.put_settings();

        self.configure_policy(now);
        let effects = self.feeds.configure(&self.config, &self.plan.tier_names);
        self.effects.extend(effects);
        let rules = self.ledger_rules();
        let applied = self.ledger.configure(rules, now);
        if let Some(reload) = &mut self.reload {
            for refusal in &applied.refused.first {
                reload.answer.notes.push(refusal.to_string());
            }
        }
        self.apply(applied.patch, None, now);
        if first != mode {
            self.settings.mode = mode as u8;
            self.put_settings();
        }
        for feed in self.feeds.enabled() {
            self.effects.push_back(super::Effect::Fetch {
                feed,
                accept: false,
            });
        }
        self.detach_old();
    }

    /// The mode after a reload: what `weir mode` gave stays, unless the file's was
    /// changed.
    fn reloaded_mode(
        &mut self,
        was: Mode,
        configured: Mode,
        mode_given: Option<Mode>,
        file_changed: bool,
        now: Now,
    ) -> Mode {
        let kept = matches!(self.mode_from, ModeFrom::WeirMode | ModeFrom::Damaged);
        let mut note = None;
        let mode = if kept && !file_changed {
            note = Some(match self.mode_from {
                ModeFrom::Damaged => {
                    "the mode stays observe: the file that keeps it is damaged; weir mode sets it"
                        .to_owned()
                }
                _ => format!("the mode stays {}, as weir mode said", was.name()),
            });
            was
        } else {
            if kept {
                self.mode_from = ModeFrom::Configuration;
                self.mode_ends = None;
                self.persist(File::Mode, None, None, now);
                note = Some(
                    "the file's mode was changed, so it holds in place of what weir mode said"
                        .to_owned(),
                );
            } else {
                self.mode_from = match mode_given {
                    Some(_) => ModeFrom::CommandLine,
                    None => ModeFrom::Configuration,
                };
            }
            configured
        };
        if let Some(reload) = &mut self.reload {
            reload.answer.notes.extend(note);
            if mode != was {
                let change = format!("mode: {}, was {}", mode.name(), was.name());
                reload.answer.changes.push(change);
            }
        }
        mode
    }

    /// Takes the filter off the interfaces that the configuration doesn't name any more.
    fn detach_old(&mut self) {
        let wanted = &self.config.datapath.interfaces;
        let old: Vec<_> = self
            .attached
            .iter()
            .filter(|one| !wanted.contains(&one.interface))
            .cloned()
            .collect();
        let ticket = self.ticket();
        self.pending.insert(ticket, Pending::DetachOld);
        // Also where there are none: the answer comes when all before it is done.
        self.effects.push_back(super::Effect::Detach {
            ticket,
            attached: old,
        });
    }

    /// The filter is off interfaces, or some of them.
    pub(super) fn detached(&mut self, ticket: Ticket, off: &[String], failed: Option<String>) {
        self.attached.retain(|one| !off.contains(&one.interface));
        match self.pending.remove(&ticket) {
            Some(Pending::Detach(id)) => self.operator_detached(id, off.to_vec(), failed),
            Some(Pending::DetachOld) => self.reloaded(off, failed),
            other => drop(other),
        }
    }

    fn reloaded(&mut self, off: &[String], failed: Option<String>) {
        let Some(mut reload) = self.reload.take() else {
            return;
        };
        for interface in off {
            let change = format!("the filter is off {interface}");
            reload.answer.changes.push(change);
        }
        reload.failed.extend(failed);
        tracing::info!(
            changes = reload.answer.changes.join("; "),
            "the configuration is taken"
        );
        if let Some(id) = reload.id {
            let answer = match &reload.failed[..] {
                [] => Ok(Answer::Reload(reload.answer)),
                failed => Err(Refused::new(format!(
                    "the configuration is taken, but for this, which is tried again: {}",
                    failed.join("; ")
                ))),
            };
            self.answer(id, answer);
        }
        self.reload_if_asked();
    }

    fn reload_if_asked(&mut self) {
        if std::mem::take(&mut self.reload_again) {
            self.load(None);
        }
    }

    /// What the ledger settles claims by, as it is now.
    pub(super) fn ledger_rules(&self) -> Rules {
        let mut protected = self.config.protect.sources.clone();
        protected.extend(&self.essential);
        protected.extend(self.feeds.peers().map(|peer| Prefix::of(address(peer))));
        protected.sort();
        protected.dedup();
        Rules {
            feeds: self.feeds.rules(),
            protected,
            strictness: self.plan.strictness(),
        }
    }

    /// Protects the peers of the operator's SSH sessions, as they are now.
    pub(super) fn protect_peers(&mut self, peers: &[Address]) {
        let scopes = self.config.ssh_peers(peers);
        if scopes != self.peers {
            tracing::info!(peers = peers.len(), "other SSH sessions are protected now");
            self.peers = scopes;
            self.configure(AfterConfigure::Nothing);
        }
    }

    /// The number of a feed that is configured.
    #[must_use]
    pub fn feed_number(&self, name: &str) -> Option<FeedId> {
        self.feeds.number(name)
    }
}

/// What is different, key by key, and what of it waits for something.
fn differences(old: &Config, new: &Config) -> ReloadAnswer {
    let mut answer = ReloadAnswer {
        changes: Vec::new(),
        notes: new.warnings.clone(),
    };
    for Change {
        key,
        old,
        new,
        effect,
    } in changes::between(old, new)
    {
        // The mode has a sentence of its own: the file's may not be the one in force.
        if key == "datapath.mode" {
            continue;
        }
        let change = format!("{key}: {new}, was {old}");
        match effect {
            Effect::Live => answer.changes.push(change),
            Effect::Restart => answer.notes.push(format!(
                "{change}: that takes a restart of weir (the filter goes on meanwhile)"
            )),
            Effect::Attach => answer.notes.push(format!(
                "{change}: where the filter is on, it stays as it is until weir detach and \
                 another weir reload"
            )),
        }
    }
    answer
}
