//! The difference between two configurations, key by key, and when each key takes effect.
//!
//! A section of the configuration says by its type whether a reload brings it in force
//! (`Section::EFFECT`). Each is taken apart field by field here: a new section or key
//! doesn't compile until it has a name and its place.

mod policy;
mod sections;
mod services;
mod shown;
mod sources;

use std::fmt;

use super::Config;

/// A key that is different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key with its table, and the name where there are several of them:
    /// `policy.mode`, `feed.local.rank`.
    pub key: String,
    /// The value before, as it would be written.
    pub old: String,
    /// The value now.
    pub new: String,
    /// When it takes effect.
    pub effect: Effect,
}

/// When a change of the configuration takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// With the reload.
    Live,
    /// Where the filter is attached anew: after `weir detach` and another reload.
    Attach,
    /// With the next start of the daemon.
    Restart,
}

/// A part of the configuration that takes effect as a whole.
trait Section {
    /// When a change of it does.
    const EFFECT: Effect;

    /// Reports each key that is different.
    fn compare(old: &Self, new: &Self, changes: &mut Changes);
}

/// Every key that is different, in the order of the sections.
#[must_use]
pub fn between(old: &Config, new: &Config) -> Vec<Change> {
    let Config {
        daemon,
        datapath,
        protect,
        tables,
        events,
        metrics,
        services,
        tiers,
        under_attack,
        feeds,
        check,
        attestations,
        policy,
        // Doubts about keys that are compared themselves.
        warnings: _,
    } = old;
    let mut changes = Changes::default();
    changes.section("daemon", daemon, &new.daemon);
    changes.section("datapath", datapath, &new.datapath);
    changes.section("protect", protect, &new.protect);
    changes.section("tables", tables, &new.tables);
    changes.section("events", events, &new.events);
    changes.section("metrics", metrics, &new.metrics);
    changes.section("service", services, &new.services);
    changes.section("tier", tiers, &new.tiers);
    changes.section("under_attack", under_attack, &new.under_attack);
    changes.section("policy", policy, &new.policy);
    changes.section("feed", feeds, &new.feeds);
    changes.section("check", check, &new.check);
    changes.section("attestation", attestations, &new.attestations);
    changes.all
}

impl Config {
    /// The configuration in force after a reload of this running one: sections that
    /// take effect live are `new`'s, those that need a restart stay.
    #[must_use]
    pub fn taking(self, new: Self) -> Self {
        let Self {
            daemon,
            datapath,
            protect,
            tables,
            events,
            metrics,
            services,
            tiers,
            under_attack,
            feeds,
            check,
            attestations,
            policy,
            warnings: _,
        } = self;
        Self {
            daemon: in_force(daemon, new.daemon),
            datapath: in_force(datapath, new.datapath),
            protect: in_force(protect, new.protect),
            tables: in_force(tables, new.tables),
            events: in_force(events, new.events),
            metrics: in_force(metrics, new.metrics),
            services: in_force(services, new.services),
            tiers: in_force(tiers, new.tiers),
            under_attack: in_force(under_attack, new.under_attack),
            feeds: in_force(feeds, new.feeds),
            check: in_force(check, new.check),
            attestations: in_force(attestations, new.attestations),
            policy: in_force(policy, new.policy),
            warnings: new.warnings,
        }
    }
}

fn in_force<S: Section>(running: S, new: S) -> S {
    match S::EFFECT {
        Effect::Live | Effect::Attach => new,
        Effect::Restart => running,
    }
}

/// The changes so far, and where the comparison stands.
#[derive(Default)]
struct Changes {
    all: Vec<Change>,
    path: String,
    effect: Option<Effect>,
}

impl Changes {
    fn section<S: Section>(&mut self, name: &str, old: &S, new: &S) {
        self.effect = Some(S::EFFECT);
        self.below(name, |changes| S::compare(old, new, changes));
    }

    /// Compares keys of a table below this one.
    fn below(&mut self, name: &str, compare: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        compare(self);
        self.path.truncate(length);
    }

    fn key<T: PartialEq>(&mut self, key: &str, old: &T, new: &T, shown: impl Fn(&T) -> String) {
        if old != new {
            self.push(Some(key), shown(old), shown(new), None);
        }
    }

    /// A key that takes effect otherwise than its section.
    fn key_with<T: PartialEq>(
        &mut self,
        (key, effect): (&str, Effect),
        old: &T,
        new: &T,
        shown: impl Fn(&T) -> String,
    ) {
        if old != new {
            self.push(Some(key), shown(old), shown(new), Some(effect));
        }
    }

    /// Tables of which there are several, by their names: those that are new or gone, the keys
    /// of the others, and the order of these.
    fn named<T>(
        &mut self,
        old: &[T],
        new: &[T],
        name: impl Fn(&T) -> &str,
        compare: impl Fn(&T, &T, &mut Self),
    ) {
        let in_both = |list: &[T], other: &[T]| -> Vec<String> {
            let names = list.iter().map(|one| name(one).to_owned());
            names
                .filter(|known| other.iter().any(|one| name(one) == known))
                .collect()
        };
        for one in old {
            match new.iter().find(|other| name(other) == name(one)) {
                Some(other) => self.below(name(one), |changes| compare(one, other, changes)),
                None => self.push(Some(name(one)), THERE.to_owned(), GONE.to_owned(), None),
            }
        }
        for one in new {
            if !old.iter().any(|known| name(known) == name(one)) {
                self.push(Some(name(one)), GONE.to_owned(), THERE.to_owned(), None);
            }
        }
        let (before, now) = (in_both(old, new), in_both(new, old));
        if before != now {
            self.push(None, before.join(", "), now.join(", "), None);
        }
    }

    fn push(&mut self, key: Option<&str>, old: String, new: String, effect: Option<Effect>) {
        self.all.push(Change {
            key: match key {
                Some(key) => format!("{}.{key}", self.path),
                None => self.path.clone(),
            },
            old,
            new,
            effect: effect.or(self.effect).unwrap_or(Effect::Live),
        });
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            old,
            new,
            effect,
        } = self;
        write!(f, "{key}: {new}, was {old}")?;
        f.write_str(match effect {
            Effect::Live => "",
            Effect::Attach => " (where the filter is attached anew)",
            Effect::Restart => " (with the next start of weir)",
        })
    }
}

/// The value of a table of which there are several, where it is in the file.
pub const THERE: &str = "there";

/// And where it isn't.
pub const GONE: &str = "not there";

/// Compares the fields of two values of a type, all of them: the pattern has no `..`.
macro_rules! keys {
    ($changes:ident, $old:expr, $new:expr, $Type:ident { $($field:ident: $shown:expr),* $(,)? }) => {
        let (old, new) = ($old, $new);
        let $Type { $($field),* } = old;
        $($changes.key(stringify!($field), $field, &new.$field, $shown);)*
    };
}

use keys;
