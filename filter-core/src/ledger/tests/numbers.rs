//! Numbers of claims: an event names the claim that judged, however late it
//! comes and whatever was said since.

use std::collections::VecDeque;

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::ledger::{page::PAGE, quarantine::QUARANTINE_SECONDS};

#[test]
fn a_number_rests_until_no_event_can_carry_it() {
    let mut ledger = ledger();
    let number = |ledger: &Ledger| entry(ledger, "192.0.2.7").stages[0].claim();
    let anew = |ledger: &mut Ledger| {
        ledger.apply(FEED, blocks("192.0.2.7"), NOW);
        let number = number(ledger);
        ledger.drop_feed(FEED, NOW);
        assert_eq!(ledger.claim(number), None);
        let judged = ledger.judged(number).expect("it rests");
        assert_eq!((judged.feed, judged.prefix), (FEED, prefix("192.0.2.7")));
        number
    };
    assert_eq!(anew(&mut ledger), 1);
    // The tables may still hold it, however long that takes.
    ledger.told(NOW.boot() + 1_000, drop);
    assert_eq!((ledger.awaits_force(), ledger.next_free()), (true, None));
    assert_eq!(anew(&mut ledger), 2);
    ledger.in_force(NOW.boot() + 1_000);
    let free = NOW.boot() + 1_000 + QUARANTINE_SECONDS;
    assert_eq!(
        (ledger.awaits_force(), ledger.next_free()),
        (false, Some(free))
    );
    // A program may still judge by it, and an event wait in the ring.
    ledger.told(free - 1, drop);
    assert_eq!(anew(&mut ledger), 3);
    ledger.told(free, drop);
    assert_eq!((ledger.judged(1), ledger.judged(2)), (None, None));
    assert!(ledger.judged(3).is_some());
    assert!(anew(&mut ledger) < 3);
    assert_eq!((ledger.claim(0), ledger.judged(0)), (None, None));
}

#[test]
fn numbers_that_all_rest_refuse_a_claim_and_are_free_again() {
    let mut ledger = with_room(1 << 20, 10);
    ledger.store.records.bound(1);
    let word = |from: u32, many: u32| {
        let claims = (from..from + many).map(|one| claim(host(one), Verdict::Block));
        Update::Snapshot(claims.collect())
    };
    let all = PAGE as u32 - 1;
    let full = ledger.apply(FEED, word(0, all + 3), NOW);
    assert_eq!((full.added, full.refused.count), (all, 3));
    assert_eq!(full.refused.first[0].fault, Fault::NoNumber);

    let other = ledger.apply(FEED, word(all, 10), NOW);
    assert_eq!((other.withdrawn, other.refused.count), (all, 10));
    assert_eq!(other.refused.first[0].fault, Fault::NumbersQuarantined);
    ledger.in_force(NOW.boot());
    let number = ledger.store.records.quarantine().due().expect("they rest");
    ledger.told(number, drop);
    let again = ledger.apply(FEED, word(all, 10), NOW);
    assert_eq!((again.added, again.refused.count), (10, 0));
}

#[test]
fn a_replaced_snapshot_leaves_no_memory_behind() {
    let mut ledger = with_room(1 << 21, 10);
    let word = |from: u32, many: u32| {
        let claims = (from..from + many).map(|one| claim(host(one), Verdict::Block));
        Update::Snapshot(claims.collect())
    };
    let many = 3 * PAGE as u32;
    ledger.apply(FEED, word(0, many), NOW);
    let pages = ledger.store.records.pages_in_memory();
    for round in 1..4 {
        ledger.apply(FEED, word(round * many, many), NOW);
        assert!(ledger.store.records.pages_in_memory() <= 2 * pages);
        ledger.in_force(at(10 * round).boot());
        ledger.told(at(10 * round + QUARANTINE_SECONDS).boot(), drop);
        assert!(ledger.store.records.pages_in_memory() <= pages + 1);
    }
}

/// A daemon with its tables, programs that run and a ring, in milliseconds.
struct World {
    ledger: Ledger,
    table: Table,
    /// The tables have refused a patch since they last were right.
    behind: bool,
    now: u64,
    /// Programs that have judged and end at that time.
    running: Vec<(u64, Judged)>,
    ring: VecDeque<Judged>,
}

/// The result of a program's look-up: a number, and whose it was.
#[derive(Clone, Debug)]
struct Judged {
    number: u32,
    prefix: Prefix,
    feed: FeedId,
}

#[derive(Clone, Debug)]
enum Step {
    /// So many claims of a feed, from this one on; the tables take the patch,
    /// or refuse it, so many milliseconds later.
    Say {
        feed: FeedId,
        from: u32,
        many: u32,
        whole: bool,
        after: u64,
        refuse: bool,
    },
    Withdraw {
        feed: FeedId,
        from: u32,
        many: u32,
        again: bool,
    },
    /// Packets of these sources; the programs run so long.
    Packets(Vec<(u32, u64)>),
    Pass(u64),
    /// The daemon reads so many events.
    Read(usize),
}

impl World {
    fn new() -> Self {
        Self {
            ledger: with_room(1 << 20, 10),
            table: Table::new(),
            behind: false,
            now: 0,
            running: Vec::new(),
            ring: VecDeque::new(),
        }
    }

    fn now(&self) -> Now {
        at((self.now / 1000) as u32)
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        self.running.sort_by_key(|(end, _judged)| *end);
        let ended = self.running.partition_point(|(end, _)| *end <= self.now);
        let ended = self.running.drain(..ended);
        self.ring.extend(ended.map(|(_end, judged)| judged));
    }

    fn carry_out(&mut self, patch: &Patch, after: u64, refuse: bool) {
        self.pass(after);
        if refuse {
            self.behind = true;
            return;
        }
        if std::mem::take(&mut self.behind) {
            self.table = table(&self.ledger);
        } else {
            patch_into(&mut self.table, patch);
        }
        self.ledger.in_force(self.now().boot());
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Say {
                feed,
                from,
                many,
                whole,
                after,
                refuse,
            } => {
                let claims = (*from..from + many).map(|one| claim(host(one), Verdict::Block));
                let update = if *whole {
                    Update::Snapshot(claims.collect())
                } else {
                    Update::Delta(claims.map(Change::Claim).collect())
                };
                let patch = self.ledger.apply(*feed, update, self.now()).patch;
                self.carry_out(&patch, *after, *refuse);
            }
            Step::Withdraw {
                feed,
                from,
                many,
                again,
            } => {
                let gone = (*from..from + many).map(|one| Change::Withdraw(host(one)));
                let patch = self
                    .ledger
                    .apply(*feed, Update::Delta(gone.collect()), self.now());
                self.carry_out(&patch.patch, 3, false);
                if *again {
                    let step = Step::Say {
                        feed: *feed,
                        from: *from,
                        many: *many,
                        whole: false,
                        after: 3,
                        refuse: false,
                    };
                    self.take(&step);
                }
            }
            Step::Packets(packets) => {
                for (source, runs) in packets {
                    let stage = look_up(&self.table, host(*source).address()).stages[0];
                    let Some(known) = self.ledger.judged(stage.claim()) else {
                        assert!(stage.is_none(), "the tables name nobody's number");
                        continue;
                    };
                    assert_eq!(known.prefix, host(*source), "the tables name another claim");
                    let judged = Judged {
                        number: stage.claim(),
                        prefix: known.prefix,
                        feed: known.feed,
                    };
                    self.running.push((self.now + runs, judged));
                }
            }
            Step::Pass(milliseconds) => self.pass(*milliseconds),
            Step::Read(many) => self.read(*many),
        }
    }

    fn read(&mut self, many: usize) {
        let begun = self.now().boot();
        for _ in 0..many {
            let Some(event) = self.ring.pop_front() else {
                break;
            };
            let told = self.ledger.judged(event.number).expect("somebody judged");
            assert_eq!((told.feed, told.prefix), (event.feed, event.prefix));
        }
        if self.ring.is_empty() {
            self.ledger.told(begun, drop);
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let many = || prop_oneof![8 => 1..40_u32, 1 => 1..20_000_u32];
    let from = || select(vec![0, 1, 10, 1_000, 30_000]);
    let feed = || select(vec![FEED, OTHER]);
    let say = (
        feed(),
        from(),
        many(),
        any::<bool>(),
        0..3_000_u64,
        prop::bool::weighted(0.1),
    );
    let packet = (
        from(),
        0..50_u32,
        0..u64::from(QUARANTINE_SECONDS - 1) * 1000,
    );
    let packet = packet.prop_map(|(from, more, runs)| (from + more, runs));
    prop_oneof![
        5 => say.prop_map(|(feed, from, many, whole, after, refuse)| Step::Say {
            feed, from, many, whole, after, refuse,
        }),
        4 => (feed(), from(), many(), any::<bool>()).prop_map(|(feed, from, many, again)| {
            Step::Withdraw { feed, from, many, again }
        }),
        6 => vec(packet, 1..20).prop_map(Step::Packets),
        4 => prop_oneof![0..50_u64, 0..12_000_u64].prop_map(Step::Pass),
        5 => prop_oneof![Just(usize::MAX), 0..20_usize].prop_map(Step::Read),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_event_names_the_claim_that_judged(steps in vec(step(), 1..60)) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        world.carry_out(&Patch::default(), 0, false);
        world.pass(60_000);
        world.read(usize::MAX);
        prop_assert!(world.ledger.next_free().is_none());
    }
}
