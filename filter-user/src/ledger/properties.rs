//! The ledger against the [`model`](super::model): whatever is said, in
//! whatever order, and whatever time passes.

use filter_common::{
    decide::Clock,
    source::Address,
    verdict::{MAX_TIER, Verdict as Settled},
};
use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    model::{Model, Name, Table, fits, look_up, patch_into},
    *,
};
use crate::claim::{Change, Claim, Verdict};

const START: u32 = 1_000;
const FEEDS: FeedId = 4;

#[derive(Clone, Debug)]
enum Step {
    Say(FeedId, Update),
    Pass(u32),
    SetClock(i32),
    Configure(Rules),
    Drop(FeedId),
}

fn address() -> impl Strategy<Value = Address> {
    let low = select(vec![0u8, 1, 2, 3, 7, 64, 128, 255]);
    (any::<bool>(), low).prop_map(|(v4, low)| {
        if v4 {
            Address::v4([10, 0, 0, low])
        } else {
            Address::v6(
                [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0],
                [0, 0, 0, 0, 0, 0, 0, low],
            )
        }
    })
}

fn prefix() -> impl Strategy<Value = Prefix> {
    let length = select(vec![8u8, 23, 24, 25, 28, 30, 31, 32, 48, 64, 120, 127, 128]);
    (address(), length).prop_map(|(address, length)| Prefix::new(address, length))
}

fn verdict() -> impl Strategy<Value = Verdict> {
    let tier = select(vec![0, 1, 2, 3, MAX_TIER]);
    prop_oneof![
        2 => Just(Verdict::Block),
        2 => Just(Verdict::Allow),
        3 => tier.prop_map(Verdict::Limit),
    ]
}

fn claim() -> impl Strategy<Value = Claim> {
    let expires = prop_oneof![
        1 => Just(None),
        3 => (START..START + 90).prop_map(Some),
    ];
    // IPv6 prefixes below /16 are too wide; the model knows nothing of that.
    let prefix = prefix().prop_filter("not too wide", |one| refusal::too_wide(one).is_none());
    (prefix, verdict(), expires, 0u32..2).prop_map(|(prefix, verdict, expires, evidence)| Claim {
        prefix,
        verdict,
        reason: Some("tok_badsig".into()),
        evidence,
        expires,
        id: None,
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    let feed =
        (select(vec![10, 50]), any::<bool>()).prop_map(|(rank, shadow)| FeedRules { rank, shadow });
    let others = vec(prop::option::weighted(0.85, feed), usize::from(FEEDS) - 1);
    let narrow = prefix().prop_filter("narrow", |prefix| prefix.length() > 25);
    let protected = prop_oneof![2 => Just(vec![]), 1 => vec(narrow, 1..3)];
    let strictness = prop_oneof![Just(vec![]), Just(vec![0, 5, 5]), Just(vec![9, 1, 4, 7])];
    (others, protected, strictness).prop_map(|(others, protected, strictness)| {
        let operator = Some(FeedRules {
            rank: 0,
            shadow: false,
        });
        Rules {
            feeds: [operator].into_iter().chain(others).collect(),
            protected,
            strictness,
        }
    })
}

fn update() -> impl Strategy<Value = Update> {
    let change = prop_oneof![
        4 => claim().prop_map(Change::Claim),
        1 => prefix().prop_map(Change::Withdraw),
    ];
    prop_oneof![
        2 => vec(change, 0..12).prop_map(Update::Delta),
        1 => vec(claim(), 0..12).prop_map(Update::Snapshot),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..FEEDS, update()).prop_map(|(feed, update)| Step::Say(feed, update)),
        3 => (0u32..25).prop_map(Step::Pass),
        1 => (-40i32..40).prop_map(Step::SetClock),
        1 => rules().prop_map(Step::Configure),
        1 => (1..FEEDS).prop_map(Step::Drop),
    ]
}

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
        let now = Now {
            unix: START,
            boot: 500,
        };
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
                self.now.boot += seconds;
                self.model.expire(self.now.unix);
                self.ledger.expire(self.now)
            }
            Step::SetClock(seconds) => {
                self.now.unix = self.now.unix.saturating_add_signed(*seconds);
                let offset = i64::from(self.now.boot) - i64::from(self.now.unix);
                if (offset - self.offset).abs() >= 2 {
                    self.offset = offset;
                }
                self.model.expire(self.now.unix);
                self.ledger.expire(self.now)
            }
        };
        patch_into(&mut self.table, &patch);
    }

    fn from_scratch(&self) -> Table {
        self.model.table(&self.ledger, self.now.unix, self.offset)
    }

    /// Who holds at `boot`, as the kernel finds it: enforced, and shadow.
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
    fn patches_add_up_to_what_resolving_from_scratch_gives(
        rules in rules(),
        steps in vec(step(), 1..14),
    ) {
        let mut world = World::new(rules);
        for step in &steps {
            world.take(step);
            prop_assert_eq!(&world.table, &world.from_scratch(), "after {:?}", step);
        }
        let mut whole = Table::new();
        patch_into(&mut whole, &world.ledger.table());
        prop_assert_eq!(&world.table, &whole);
        let named = world.ledger.claims(None, None).map(|view| (view.feed, view.prefix));
        prop_assert_eq!(world.model.names(), named.collect());
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
        let ends: Vec<_> = world.ledger.claims(None, None).filter_map(|one| one.expires).collect();
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
        while let Some(unix) = living.ledger.next_expiry() {
            let within: Vec<_> = sources.iter().filter(|one| living.fits(**one)).collect();
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
