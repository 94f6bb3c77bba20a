//! The ledger against the [`model`](super::model): whatever is said, in
//! whatever order, and whatever time passes.

use std::collections::BTreeSet;

use filter_common::{decide::Clock, source::Address, verdict::Verdict as Settled};
use proptest::{collection::vec, prelude::*};

use super::{
    generate::{FEEDS, START, Step, address, rules, step, update},
    model::{Model, Name, Table, fits, look_up, patch_into},
    *,
};
use crate::claim::{Claim, Verdict};

/// The ledger, the model and the kernel's table side by side.
struct World {
    ledger: Ledger,
    model: Model,
    table: Table,
    now: Now,
    offset: i64,
}

impl World {
    fn new(rules: Rules) -> Self {
        let room = Capacity {
            ipv4: 1_000,
            ipv6: 1_000,
        };
        let now = Now::at(START, 500);
        let mut world = Self {
            ledger: Ledger::new(room),
            model: Model::default(),
            table: Table::new(),
            now,
            offset: -500,
        };
        world.take(&Step::Configure(rules));
        world
    }

    /// Some more claims, far from all others: among many keys the ledger looks
    /// for those that cover a change, among few it goes through all.
    fn with_many_more(mut self) -> Self {
        let claims = (0..100).map(|low| Claim {
            prefix: Prefix::of(Address::v4([172, 16, 0, low])),
            verdict: Verdict::Block,
            reason: None,
            evidence: 1,
            expires: None,
            id: None,
        });
        self.take(&Step::Say(OPERATOR, Update::Snapshot(claims.collect())));
        self
    }

    fn of(rules: Rules, steps: &[Step]) -> Self {
        let mut world = Self::new(rules);
        for step in steps {
            world.take(step);
        }
        world
    }

    fn take(&mut self, step: &Step) {
        let now = self.now;
        let patch = match step {
            Step::Say(feed, update) => {
                self.model.apply(*feed, update, now.unix);
                self.ledger.apply(*feed, update.clone(), now).patch
            }
            Step::Configure(rules) => {
                self.model.configure(rules);
                self.ledger.configure(rules.clone(), now).patch
            }
            Step::Drop(feed) => {
                self.model.apply(*feed, &Update::Snapshot(vec![]), now.unix);
                self.ledger.drop_feed(*feed, now)
            }
            Step::Pass(seconds) => {
                self.now.unix += seconds;
                self.now.boot_ms += u64::from(*seconds) * 1_000;
                self.model.expire(self.now.unix);
                self.ledger.expire(self.now)
            }
            Step::SetClock(seconds) => {
                self.now.unix = self.now.unix.saturating_add_signed(*seconds);
                let offset = -self.now.ahead();
                if (offset - self.offset).abs() >= 2 {
                    self.offset = offset;
                }
                self.model.expire(self.now.unix);
                self.ledger.expire(self.now)
            }
        };
        assert!(is_sorted(&patch), "{patch:?}");
        patch_into(&mut self.table, &patch);
    }

    fn expected_table(&self) -> Table {
        self.model.table(&self.ledger, self.now.unix, self.offset)
    }

    /// The claim that holds at `boot`, as the kernel finds it: enforced, and shadow.
    fn kernel(&self, source: Address, boot: u32) -> (Holder, Holder) {
        let entry = look_up(&self.table, source);
        let holder = |stage: filter_common::verdict::Stage| {
            if stage.verdict() == Settled::PROTECT {
                return Holder::Protected;
            }
            let view = self.ledger.claim(stage.claim());
            view.map_or(Holder::Nobody, |view| {
                Holder::Claim((view.feed, view.prefix))
            })
        };
        let enforced = holder(entry.current(&At(boot)));
        if entry.shadow[0].is_none() {
            return (enforced, enforced);
        }
        (enforced, holder(entry.current_shadow(&At(boot))))
    }

    fn expected(&self, source: Address, unix: u32) -> (Holder, Holder) {
        let source = Prefix::of(source);
        if self.model.is_protected(&source) {
            return (Holder::Protected, Holder::Protected);
        }
        let holder = |shadow| {
            let name = self.model.holder(&source, unix, shadow);
            name.map_or(Holder::Nobody, Holder::Claim)
        };
        (holder(false), holder(true))
    }

    fn fits(&self, source: Address) -> bool {
        let holders = |shadow| {
            let source = Prefix::of(source);
            self.model.holders(&source, self.now.unix, shadow).len()
        };
        fits(holders(false), holders(true))
    }
}

/// The order that the tables' builder relies on.
fn is_sorted(patch: &Patch) -> bool {
    let prefixes = patch.iter().map(|(prefix, _entry)| prefix);
    prefixes.is_sorted_by(|one, next| one < next)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    Nobody,
    Protected,
    Claim(Name),
}

struct At(u32);

impl Clock for At {
    fn nanoseconds(&self) -> u64 {
        panic!("a timeline is in seconds since boot")
    }

    fn boot_seconds(&self) -> u32 {
        self.0
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn patches_add_up_to_what_resolving_expected_table_gives(
        rules in rules(),
        steps in vec(step(), 1..14),
        many in prop::bool::weighted(0.3),
    ) {
        let mut world = World::new(rules);
        if many {
            world = world.with_many_more();
        }
        for step in &steps {
            world.take(step);
            prop_assert_eq!(&world.table, &world.expected_table(), "after {:?}", step);
        }
        let mut whole = Table::new();
        prop_assert!(is_sorted(&world.ledger.table()));
        patch_into(&mut whole, &world.ledger.table());
        prop_assert_eq!(&world.table, &whole);
        let named = world.ledger.claims(None, None, None).map(|view| (view.feed, view.prefix));
        prop_assert_eq!(world.model.names(), named.collect());
        let held = world.ledger.claims(None, None, None).filter(|view| view.held);
        let held: BTreeSet<_> = held.map(|view| (view.feed, view.prefix)).collect();
        prop_assert_eq!(world.ledger.counts().held as usize, held.len());
        prop_assert_eq!(world.model.held(), &held);
    }

    #[test]
    fn the_same_update_twice_changes_nothing(
        rules in rules(),
        steps in vec(step(), 0..8),
        feed in 0..FEEDS,
        update in update(),
    ) {
        let mut world = World::of(rules, &steps);
        let now = world.now;
        world.ledger.apply(feed, update.clone(), now);
        let again = world.ledger.apply(feed, update.clone(), now);
        prop_assert!(again.patch.is_empty(), "{:?}", again);
        prop_assert_eq!((again.added, again.changed, again.withdrawn), (0, 0, 0));
    }

    #[test]
    fn the_right_claim_holds_at_every_moment_without_a_daemon(
        rules in rules(),
        steps in vec(step(), 1..10),
        sources in vec(address(), 1..12),
    ) {
        let world = World::of(rules, &steps);
        let ends: Vec<_> = world.ledger.claims(None, None, None).filter_map(|one| one.expires).collect();
        let moments = ends.iter().flat_map(|end| [end - 1, *end]);
        let moments = moments.filter(|unix| *unix >= world.now.unix).chain([world.now.unix]);
        for unix in moments {
            let boot = i64::from(unix) + world.offset;
            for source in sources.iter().filter(|source| world.fits(**source)) {
                let answers = world.kernel(*source, boot.max(0) as u32);
                prop_assert_eq!(answers, world.expected(*source, unix), "{:?} at {}", source, unix);
            }
        }
    }

    #[test]
    fn expiring_along_the_way_changes_no_answer(
        rules in rules(),
        steps in vec(step(), 1..10),
        sources in vec(address(), 1..12),
    ) {
        let mut living = World::of(rules, &steps);
        let frozen = living.table.clone();
        let within: Vec<_> = sources.iter().filter(|one| living.fits(**one)).collect();
        while let Some(unix) = living.ledger.next_expiry() {
            let dead = within.iter().map(|one| look_up(&frozen, **one));
            let boot = (i64::from(unix) + living.offset).max(0) as u32;
            let dead: Vec<_> = dead.map(|one| (one.current(&At(boot)), one)).collect();
            living.take(&Step::Pass(unix - living.now.unix));
            prop_assert_eq!(living.now.unix, unix);
            for (source, (stage, entry)) in within.iter().zip(dead) {
                let now = look_up(&living.table, **source);
                prop_assert_eq!(now.current(&At(boot)), stage, "{:?} at {}", source, unix);
                if !now.shadow[0].is_none() {
                    prop_assert_eq!(now.current_shadow(&At(boot)), entry.current_shadow(&At(boot)));
                }
            }
        }
    }

    #[test]
    fn a_shadow_feed_never_changes_what_is_enforced(
        rules in rules(),
        steps in vec(step(), 1..10),
        update in update(),
        sources in vec(address(), 1..12),
    ) {
        let mut rules = rules;
        rules.feeds[3] = Some(FeedRules { rank: 1, shadow: true });
        let steps: Vec<_> = steps.into_iter().filter(|step| !matches!(step, Step::Configure(_))).collect();
        let mut world = World::of(rules, &steps);
        let before = world.table.clone();
        world.take(&Step::Say(3, update));
        for source in sources {
            let (before, after) = (look_up(&before, source), look_up(&world.table, source));
            prop_assert_eq!(before.stages, after.stages);
        }
    }

    #[test]
    fn covering_claims_come_strongest_first(
        rules in rules(),
        steps in vec(step(), 1..10),
        source in address(),
    ) {
        let world = World::of(rules, &steps);
        let views = world.ledger.covering(source);
        let enforced = views.iter().find(|view| !view.shadow);
        let name = |view: &View<'_>| (view.feed, view.prefix);
        let source = Prefix::of(source);
        let unix = world.now.unix;
        prop_assert_eq!(views.first().map(name), world.model.holder(&source, unix, true));
        prop_assert_eq!(enforced.map(name), world.model.holder(&source, unix, false));
        let covering = world.model.names().into_iter().filter(|(_feed, one)| one.covers(&source));
        prop_assert_eq!(views.len(), covering.count());
    }
}
