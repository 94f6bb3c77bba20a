//! From what was kept to a running engine.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use filter_common::settings::Mode;

use super::{
    AfterConfigure, Effect, Engine, File, Loaded, ModeFrom, Pending, attack,
    feeds::Feeds,
    mode::KeptMode,
    policing::{self, Policing},
    tables::Troubles,
};
use crate::{
    claim::{Change, Claim, Update},
    clock::{Now, Steps},
    config::tier::{Tiers, TooManyTiers},
    ledger::{Capacity, Ledger, OPERATOR},
    policy::Truth,
    under_attack::UnderAttack,
};

/// What an engine begins with.
#[derive(Debug)]
pub struct Start {
    /// The configuration, and what it needs of the host.
    pub loaded: Loaded,
    /// The small files, as they were kept.
    pub files: BTreeMap<File, Recalled>,
    /// The operator's claims, as they were kept.
    pub operator: Vec<Claim>,
    /// Sentences about what was wrong so far.
    pub troubles: Vec<String>,
    /// Mixed into hashes; callers must not know it.
    pub seed: u64,
}

/// A small file as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recalled {
    /// Its content.
    Content(String),
    /// It is there and can't be read: why.
    Damaged(String),
}

impl Engine {
    /// An engine with everything that was kept. Its first effects bring the tables in
    /// line with that, and start the feeds.
    ///
    /// # Errors
    /// If the configuration can't be planned.
    pub fn new(start: Start, now: Now) -> Result<Self, TooManyTiers> {
        let Start {
            loaded,
            mut files,
            operator,
            mut troubles,
            seed,
        } = start;
        let Loaded {
            config,
            mode_given,
            essential,
            peers,
        } = loaded;
        let attack = recall_attack(files.remove(&File::UnderAttack), now, &mut troubles);
        let plan = attack::plan(&config, &Tiers::default(), attack.is_some())?;
        let disabled = match files.remove(&File::DisabledFeeds) {
            None => Vec::new(),
            Some(Recalled::Content(text)) => {
                text.split_whitespace().map(ToOwned::to_owned).collect()
            }
            Some(Recalled::Damaged(why)) => {
                troubles.push(format!(
                    "which feeds are disabled can't be read, so all are enabled: {why}"
                ));
                Vec::new()
            }
        };
        let policing = policing::rules(&config, &plan).map(|rules| {
            let kept = match files.remove(&File::Policy) {
                None => None,
                Some(Recalled::Content(text)) => Some(text),
                Some(Recalled::Damaged(why)) => {
                    troubles.push(format!(
                        "what the policy knew before can't be read, and it begins anew: {why}"
                    ));
                    None
                }
            };
            let (policing, trouble) = Policing::start(rules, kept.as_deref(), seed, now);
            troubles.extend(trouble);
            policing
        });
        let capacity = Capacity {
            ipv4: config.tables.ipv4,
            ipv6: config.tables.ipv6,
        };
        let settings = plan.settings;
        let peers = peers.map_or_else(Vec::new, |peers| config.ssh_peers(&peers));
        let mut engine = Self {
            plan,
            essential,
            peers,
            attack,
            ledger: Ledger::new(capacity),
            settings,
            mode_from: match mode_given {
                Some(_) => ModeFrom::CommandLine,
                None => ModeFrom::Configuration,
            },
            mode_ends: None,
            feeds: Feeds::new(disabled),
            unjournaled: BTreeSet::new(),
            timed: BTreeMap::new(),
            policing,
            truth: Truth::new(SOURCES, seed, now),
            seed,
            attached: Vec::new(),
            troubles: Troubles::default(),
            steps: Steps::new(now),
            retry_at: now.boot_ms + super::RETRY_EVERY_MS,
            reading_events: false,
            next_ticket: 0,
            writing: BTreeMap::new(),
            pending: BTreeMap::new(),
            reload: None,
            reload_again: false,
            waiting: Vec::new(),
            applying: VecDeque::new(),
            configuring: VecDeque::new(),
            setting: VecDeque::new(),
            effects: VecDeque::new(),
            config,
        };
        engine.begin(
            mode_given,
            files.remove(&File::Mode),
            &operator,
            troubles,
            now,
        );
        Ok(engine)
    }

    fn begin(
        &mut self,
        mode_given: Option<Mode>,
        kept_mode: Option<Recalled>,
        operator: &[Claim],
        mut troubles: Vec<String>,
        now: Now,
    ) {
        // The command line of this start counts, else `weir mode`, which is kept, else
        // the configuration.
        if mode_given.is_none() {
            match kept_mode {
                None => {}
                Some(Recalled::Content(text)) => match KeptMode::read(&text) {
                    Some(kept) => self.recall_mode(kept, now),
                    None => self.damaged_mode(format!("it says {text:?}")),
                },
                Some(Recalled::Damaged(why)) => self.damaged_mode(why),
            }
        }
        self.configure(AfterConfigure::Nothing);
        self.put_settings();
        let effects = self.feeds.configure(&self.config, &self.plan.tier_names);
        let rules = self.ledger_rules();
        let begun = self.ledger.configure(rules, now);
        self.apply(begun.patch, None, now);
        self.remember_recalled(operator);
        let changes = operator.iter().cloned().map(Change::Claim).collect();
        let kept = self.ledger.apply(OPERATOR, Update::Delta(changes), now);
        for refusal in &kept.refused.first {
            troubles.push(format!("of the operator's claims of before, {refusal}"));
        }
        self.apply(kept.patch, None, now);
        self.effects.extend(effects);
        self.troubles.start.extend(troubles);
    }

    /// An emergency `observe` must not be forgotten for a file that is damaged.
    fn damaged_mode(&mut self, why: String) {
        self.mode_from = ModeFrom::Damaged;
        self.settings.mode = Mode::Observe as u8;
        self.troubles.mode = Some(format!(
            "the file that keeps the mode is damaged, so the mode is observe until weir mode says another: {why}"
        ));
    }

    /// Has the filter put on every interface of the configuration, and off all others
    /// that it was left on.
    pub fn attach(&mut self) {
        let ticket = self.ticket();
        self.pending.insert(ticket, Pending::AttachFirst);
        self.effects.push_back(Effect::Attach {
            ticket,
            interfaces: self.config.datapath.interfaces.clone(),
            wish: self.config.datapath.attach,
        });
    }

    /// Why the filter couldn't be put on the interfaces at the start.
    #[must_use]
    pub fn attach_failure(&self) -> Option<&str> {
        self.troubles.attach.as_deref()
    }
}

/// An attack of before, if it isn't over. What is wrong with it is reported, and left.
fn recall_attack(
    kept: Option<Recalled>,
    now: Now,
    troubles: &mut Vec<String>,
) -> Option<UnderAttack> {
    let why = match kept? {
        Recalled::Content(text) => match UnderAttack::recall(&text, now) {
            Ok(attack) => return attack,
            Err(error) => error.to_string(),
        },
        Recalled::Damaged(why) => why,
    };
    troubles.push(format!(
        "whether the host is under attack was forgotten, say it again: {why}"
    ));
    None
}

/// Sources of which is known, for an hour, what feeds in observe would have done.
const SOURCES: usize = 65_536;
