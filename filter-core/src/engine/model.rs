//! The engine against a plain reference, in virtual time.
//!
//! A seeded run gives the engine commands, feeds' words, observations, reloads, steps of
//! the wall clock, suspends, crashes and restarts, over tables that refuse by chance and a
//! disk that fails and stalls by chance. The reference is maps and loops: what a command
//! that was answered with success must have left behind.
//!
//! Unfinished: behind the feature `model`, and not among the tests yet, since some seeds
//! still fail that haven't been looked into, and no mutation was tried. It has found two
//! bugs. `cargo test -p filter-core --features model engine::model`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use filter_common::{packet::TCP, settings::Mode, source::Address, verdict::Entry};

use super::{
    Effect, Engine, File, Input, Loaded, RETRY_EVERY_MS, Recalled, RequestId, Start, explain::frame,
};
use crate::{
    claim::{Change, Claim, Update, Verdict},
    clock::Now,
    config::Config,
    datapath::{Attach, Attached, Datapath as _, Sizes, memory::Memory},
    feed::{FeedId, News, Refused},
    ledger::OPERATOR,
    prefix::{Prefix, Written},
    protocol::{
        Answer, Command, DetachRequest, FeedOrder, FeedRequest, ModeRequest, Order, ReloadRequest,
        UnderAttackRequest, VerdictRequest,
    },
};

/// A generator that needs no library: `SplitMix64` (Steele, Lea and Flood, 2014).
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, sides: u64) -> u64 {
        self.throw() % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.below(sides) == 0
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

/// What the answers so far promise.
#[derive(Clone, Debug, Default)]
struct Promised {
    /// The operator's claims: the verdict, and the end in milliseconds since boot.
    claims: BTreeMap<Prefix, (Verdict, Option<u64>)>,
    /// Orders that were answered as not done because the disk was too slow: what a crash
    /// leaves of them is what the disk had.
    unknown: BTreeSet<Prefix>,
    /// The mode that `weir mode` gave, and its end; `None`: none is promised.
    mode: Option<(Mode, Option<u64>)>,
    attack: Option<bool>,
    disabled: Option<bool>,
}

/// An outcome on its way to the engine.
struct Outcome {
    at: u64,
    input: Input,
}

struct World {
    dice: Dice,
    /// Whether tables and disk may refuse.
    chaos: bool,
    now: Now,
    engine: Engine,
    tables: Memory,
    /// The disk: small files, the journal, and writes that aren't done yet, in order.
    files: BTreeMap<File, String>,
    journal: BTreeMap<Prefix, Claim>,
    outcomes: VecDeque<Outcome>,
    asked: BTreeMap<RequestId, (Command, u64)>,
    next_id: RequestId,
    promised: Promised,
    running: BTreeSet<FeedId>,
    generation: u64,
    other_config: bool,
    /// Claims that end and come from before a crash: they end by the wall clock.
    recalled: BTreeSet<Prefix>,
}

fn config(other: bool) -> Config {
    let text = format!(
        r#"
        [datapath]
        interfaces = ["eth0"{}]
        mode = "observe"
        [protect]
        sources = ["192.0.2.9"{}]
        [[service]]
        name = "api"
        ports = ["tcp/443"]
        [[feed]]
        name = "local"
        kind = "file"
        path = "/list.txt"
        [policy]
        mode = "enforce"
        "#,
        if other { r#", "eth1""# } else { "" },
        if other { r#", "198.51.100.0/24""# } else { "" },
    );
    Config::parse(&text).expect("a configuration")
}

fn loaded(other: bool) -> Loaded {
    Loaded {
        config: config(other),
        mode_given: None,
        essential: vec![prefix("192.0.2.1")],
        peers: Some(Vec::new()),
    }
}

fn prefix(text: &str) -> Prefix {
    text.parse::<Written>().expect(text).prefix
}

const PREFIXES: [&str; 8] = [
    "192.0.2.7",
    "192.0.2.8",
    "192.0.2.0/24",
    "198.51.100.7",
    "198.51.100.0/24",
    "203.0.113.0/25",
    "2001:db8::/64",
    "2001:db8::7",
];

const SIZES: Sizes = Sizes {
    ipv4: 64,
    ipv6: 64,
    buckets: 64,
};

impl World {
    fn new(seed: u64) -> Self {
        let now = Now::at(1_800_000_000, 1_000);
        let mut world = Self {
            dice: Dice(seed),
            chaos: true,
            now,
            engine: engine(&BTreeMap::new(), &BTreeMap::new(), false, now),
            tables: Memory::new(&SIZES),
            files: BTreeMap::new(),
            journal: BTreeMap::new(),
            outcomes: VecDeque::new(),
            asked: BTreeMap::new(),
            next_id: 0,
            promised: Promised::default(),
            running: BTreeSet::new(),
            generation: 0,
            other_config: false,
            recalled: BTreeSet::new(),
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        self.carry_out();
        self.engine.attach();
        self.carry_out();
    }

    fn handle(&mut self, input: Input) {
        self.engine.handle(input, self.now);
    }

    fn refuses(&mut self) -> bool {
        self.chaos && self.dice.one_in(40)
    }

    /// An outcome that comes later: at once, soon, or far too late.
    fn later(&mut self, input: Input) {
        let delay = match self.dice.below(if self.chaos { 30 } else { 2 }) {
            0 => 20_000,
            1..4 => 50,
            _ => 0,
        };
        let delay = if self.chaos { delay } else { 0 };
        // A disk writes in order.
        let before = self.outcomes.back().map_or(0, |last| last.at);
        let at = (self.now.boot_ms + delay).max(before);
        self.outcomes.push_back(Outcome { at, input });
    }

    fn carry_out(&mut self) {
        let mut effects = 0;
        while let Some(effect) = self.engine.poll_effect() {
            effects += 1;
            assert!(effects < 10_000, "effects without an end");
            self.carry_out_one(effect);
        }
    }

    fn carry_out_one(&mut self, effect: Effect) {
        match effect {
            Effect::Apply(patch) => {
                let refused = if self.refuses() {
                    let all = patch
                        .iter()
                        .map(|(prefix, _)| (prefix, "chance".to_owned()));
                    all.collect()
                } else {
                    self.tables.apply(&patch)
                };
                self.handle(Input::Applied(refused));
            }
            Effect::Configure(plan) => {
                let result = if self.refuses() {
                    Err("chance".to_owned())
                } else {
                    self.tables
                        .configure(&plan)
                        .map_err(|error| error.to_string())
                };
                self.handle(Input::Configured(result));
            }
            Effect::Set(settings) => {
                assert!(settings.generation >= self.generation, "it went back");
                self.generation = settings.generation;
                let result = if self.refuses() {
                    Err("chance".to_owned())
                } else {
                    self.tables
                        .set(&settings)
                        .map_err(|error| error.to_string())
                };
                self.handle(Input::SettingsPut(result));
            }
            Effect::Journal {
                ticket, changes, ..
            } => {
                let result = if self.refuses() {
                    Err("full".to_owned())
                } else {
                    for change in changes {
                        match change {
                            Change::Claim(claim) => {
                                self.journal.insert(claim.prefix, claim);
                            }
                            Change::Withdraw(prefix) => {
                                self.journal.remove(&prefix);
                            }
                        }
                    }
                    Ok(())
                };
                self.later(Input::Kept { ticket, result });
            }
            Effect::Persist {
                ticket,
                file,
                content,
            } => {
                let result = if self.refuses() {
                    Err("full".to_owned())
                } else {
                    match content {
                        Some(content) => self.files.insert(file, content),
                        None => self.files.remove(&file),
                    };
                    Ok(())
                };
                self.later(Input::Kept { ticket, result });
            }
            Effect::Load { ticket } => {
                let result = if self.dice.one_in(4) {
                    Err("line 3: nonsense".to_owned())
                } else {
                    self.other_config = self.dice.one_in(2);
                    Ok(Box::new(loaded(self.other_config)))
                };
                self.later(Input::Loaded { ticket, result });
            }
            Effect::Start { feed, .. } => {
                self.running.insert(feed);
            }
            Effect::Stop { feed } => {
                self.running.remove(&feed);
            }
            Effect::Recall { feed } => self.handle(Input::News {
                feed,
                news: News::Recalled(None),
            }),
            Effect::Attach {
                ticket, interfaces, ..
            } => {
                let result = if self.refuses() {
                    Err("eth1 takes no XDP program".to_owned())
                } else {
                    let attached = interfaces.iter().zip(1..).map(|(name, index)| Attached {
                        interface: name.clone(),
                        index,
                        attach: Attach::Native,
                        program: 1,
                    });
                    Ok(attached.collect())
                };
                self.handle(Input::Attached { ticket, result });
            }
            Effect::Detach { ticket, attached } => self.handle(Input::Detached {
                ticket,
                off: attached.into_iter().map(|one| one.interface).collect(),
                failed: None,
            }),
            Effect::ReadEvents => {
                let boot = self.now.boot();
                self.handle(Input::EventsRead { boot });
            }
            Effect::Answer { id, answer } => {
                let (command, since) = self.asked.remove(&id).expect("asked, and not answered");
                let waited = self.now.boot_ms - since;
                // Nobody looks at the engine between two steps of the virtual clock.
                assert!(waited <= 90_000_000, "{command:?} waited {waited} ms");
                self.promise(&command, since, *answer);
            }
            Effect::Fetch { .. }
            | Effect::KeepCopy { .. }
            | Effect::Applied { .. }
            | Effect::ForgetHits(_) => {}
        }
    }

    /// What an answer promises.
    fn promise(
        &mut self,
        command: &Command,
        since: u64,
        answer: Result<Answer, crate::protocol::Refused>,
    ) {
        match (command, answer) {
            (Command::Verdict(request), Ok(Answer::Verdict(answer))) => {
                let ends = request.for_s.map(|seconds| since + seconds * 1_000);
                let verdict = match request.verdict {
                    Order::Block => Some(Verdict::Block),
                    Order::Allow => Some(Verdict::Allow),
                    Order::Limit(_) | Order::Clear => None,
                };
                for one in answer.prefixes {
                    let kept = one
                        .error
                        .as_ref()
                        .is_some_and(|why| why.starts_with("it is kept"));
                    let prefix = prefix(&one.written);
                    if one.done || kept {
                        match verdict {
                            Some(verdict) => self.promised.claims.insert(prefix, (verdict, ends)),
                            None => self.promised.claims.remove(&prefix),
                        };
                        self.promised.unknown.remove(&prefix);
                    } else if one.error.is_some_and(|why| why.contains("three seconds")) {
                        self.promised.unknown.insert(prefix);
                    }
                }
            }
            (Command::Mode(request), Ok(Answer::Mode(answer))) => {
                assert_eq!(answer.mode, request.mode);
                assert_eq!(self.tables.settings_in_force().mode, request.mode as u8);
                let ends = request.for_s.map(|seconds| since + seconds * 1_000);
                let kept = answer.notes.iter().all(|note| !note.contains("forget it"));
                self.promised.mode = (kept && ends.is_none()).then_some((request.mode, ends));
            }
            (Command::UnderAttack(request), Ok(Answer::UnderAttack(answer))) => {
                assert_eq!(answer.on, request.on);
                let kept = answer.notes.iter().all(|note| !note.contains("forget it"));
                self.promised.attack = (kept && request.for_s.is_none()).then_some(request.on);
            }
            (Command::Feed(request), Ok(Answer::Feed(answer))) => {
                let disabled = match request.order {
                    FeedOrder::Disable => Some(true),
                    FeedOrder::Enable => Some(false),
                    _ => return,
                };
                self.promised.disabled = disabled.filter(|_| answer.note.is_none());
            }
            (Command::Reload(_), Ok(_)) => self.forget_modes(),
            (Command::Mode(_) | Command::UnderAttack(_) | Command::Feed(_), Err(_)) => {
                // The one before may have been overtaken on the disk.
                self.forget_modes();
            }
            (_, Ok(_) | Err(_)) => {}
        }
    }

    fn forget_modes(&mut self) {
        self.promised.mode = None;
        self.promised.attack = None;
        self.promised.disabled = None;
    }

    fn ask(&mut self, command: Command) {
        self.next_id += 1;
        let id = self.next_id;
        match &command {
            // Until it is answered nothing of the kind is promised.
            Command::Mode(_) => self.promised.mode = None,
            Command::UnderAttack(_) => self.promised.attack = None,
            Command::Feed(_) => self.promised.disabled = None,
            _ => {}
        }
        self.asked.insert(id, (command.clone(), self.now.boot_ms));
        self.handle(Input::Command {
            id,
            command,
            traffic: None,
        });
    }

    fn step(&mut self) {
        match self.dice.below(24) {
            0..6 => self.order(),
            6 => {
                let mode = self.dice.of(&[Mode::Observe, Mode::Enforce]);
                let for_s = self.dice.of(&[None, Some(5), Some(600)]);
                self.ask(Command::Mode(ModeRequest {
                    mode,
                    force: true,
                    for_s,
                }));
            }
            7 => {
                let on = self.dice.one_in(2);
                let for_s = if on {
                    self.dice.of(&[None, Some(30)])
                } else {
                    None
                };
                self.ask(Command::UnderAttack(UnderAttackRequest { on, for_s }));
            }
            8 => {
                let order = self.dice.of(&[
                    FeedOrder::Refresh,
                    FeedOrder::Accept,
                    FeedOrder::Disable,
                    FeedOrder::Enable,
                ]);
                let feed = "local".to_owned();
                self.ask(Command::Feed(FeedRequest { feed, order }));
            }
            9 => {
                if self.dice.one_in(2) {
                    self.handle(Input::HangUp);
                } else {
                    self.ask(Command::Reload(ReloadRequest {}));
                }
            }
            10 if self.dice.one_in(4) => self.ask(Command::Detach(DetachRequest::default())),
            11..14 => self.say(),
            14 => {
                // The wall clock is set, to anywhere.
                self.stepped();
                let by = self.dice.of(&[-3_600, -12, 12, 3_600, 2_000_000_000]);
                self.now.unix = self.now.unix.saturating_add_signed(by);
                if self.dice.one_in(3) {
                    self.now.unix = self.right();
                }
            }
            15 => self.pass(60_000 + self.now.boot_ms % 1_000),
            16 if self.dice.one_in(10) => self.pass(86_400_000),
            17 if self.dice.one_in(4) => self.crash(),
            _ => {
                let milliseconds = self.dice.of(&[0, 1, 40, 900, 1_000, 4_000]);
                self.pass(milliseconds);
            }
        }
        self.deliver();
        self.carry_out();
        self.check_always();
    }

    /// Claims of before a crash are dated by a clock that nobody can trust now.
    fn stepped(&mut self) {
        self.promised
            .unknown
            .extend(std::mem::take(&mut self.recalled));
    }

    fn right(&self) -> u32 {
        Now::at(1_800_000_000, 0).unix + self.now.boot()
    }

    fn order(&mut self) {
        let verdict = self.dice.of(&[0, 0, 1, 2]);
        let count = 1 + self.dice.below(3);
        let mut prefixes: Vec<String> = Vec::new();
        for _ in 0..count {
            let one = self.dice.of(&PREFIXES).to_owned();
            if !prefixes.contains(&one) {
                prefixes.push(one);
            }
        }
        if self.dice.one_in(5) {
            prefixes.push(
                self.dice
                    .of(&["192.0.2.9", "192.0.2.1", "0.0.0.0/0"])
                    .to_owned(),
            );
        }
        let reason = self.dice.one_in(8).then(|| "x".repeat(300));
        let request = VerdictRequest {
            prefixes,
            verdict: match verdict {
                0 => Order::Block,
                1 => Order::Allow,
                _ => Order::Clear,
            },
            for_s: if verdict < 2 {
                self.dice.of(&[None, Some(10), Some(90)])
            } else {
                None
            },
            reason: reason.filter(|_| verdict < 2),
        };
        self.ask(Command::Verdict(request));
    }

    fn say(&mut self) {
        let feed = self.dice.below(3) as FeedId + 1;
        let claims: Vec<_> = PREFIXES
            .iter()
            .filter(|_| self.dice.0 & 1 == 0 || self.dice.one_in(2))
            .map(|text| prefix(text))
            .collect();
        let claims = claims.into_iter().map(|prefix| Claim {
            prefix,
            verdict: self
                .dice
                .of(&[Verdict::Block, Verdict::Allow, Verdict::Limit(1)]),
            reason: None,
            evidence: 1,
            expires: self
                .dice
                .of(&[None, Some(20)])
                .map(|left: u32| self.now.unix.saturating_add(left)),
            id: None,
        });
        let claims: Vec<_> = claims.collect();
        let news = match self.dice.below(5) {
            0 => News::Failed {
                state: "failed",
                error: "it can't be read".to_owned(),
            },
            1 => News::Update {
                update: Update::Resync(claims),
                refused: Refused::default(),
            },
            2 => News::Update {
                update: Update::Delta(claims.into_iter().map(Change::Claim).collect()),
                refused: Refused::default(),
            },
            3 => News::Peers(vec![[203, 0, 113, 99].into()]),
            _ => News::Update {
                update: Update::Snapshot(claims),
                refused: Refused::default(),
            },
        };
        self.handle(Input::News { feed, news });
    }

    /// Lets the time pass, ticking when the engine wants to.
    fn pass(&mut self, milliseconds: u64) {
        let end = self.now.boot_ms + milliseconds;
        let mut ticks = 0;
        loop {
            self.carry_out();
            let due = self.engine.poll_timeout(self.now).max(self.now.boot_ms + 1);
            let due = self.outcomes.front().map_or(due, |next| due.min(next.at));
            if due > end {
                break;
            }
            self.advance(due.max(self.now.boot_ms));
            ticks += 1;
            assert!(ticks < 200_000, "it never sleeps");
            self.deliver();
            self.handle(Input::Tick);
            self.carry_out();
        }
        self.advance(end);
        self.handle(Input::Tick);
    }

    fn advance(&mut self, to: u64) {
        let before = self.now.boot();
        self.now.boot_ms = to;
        let passed = self.now.boot() - before;
        self.now.unix = self.now.unix.saturating_add(passed);
        self.tables.set_time(to * 1_000_000, self.now.boot());
    }

    fn deliver(&mut self) {
        while self
            .outcomes
            .front()
            .is_some_and(|next| next.at <= self.now.boot_ms)
        {
            let outcome = self.outcomes.pop_front().expect("there is one");
            self.handle(outcome.input);
            self.carry_out();
        }
    }

    /// Whatever isn't on the disk is gone.
    fn crash(&mut self) {
        self.outcomes.clear();
        // What couldn't be written yet is a problem until it is, and lost until then.
        self.promised.unknown.extend(&self.engine.unjournaled);
        for pending in self.engine.pending.values() {
            if let super::Pending::Undo(prefixes) = pending {
                self.promised.unknown.extend(prefixes);
            }
        }
        // Of an order without an answer the disk may have everything or nothing.
        for (command, _) in std::mem::take(&mut self.asked).into_values() {
            if let Command::Verdict(request) = command {
                let written = request.prefixes.iter().map(|text| prefix(text));
                self.promised.unknown.extend(written);
            }
        }
        let timed = self
            .promised
            .claims
            .iter()
            .filter(|(_, (_, ends))| ends.is_some());
        self.recalled = timed.map(|(prefix, _)| *prefix).collect();
        if self.now.unix.abs_diff(self.right()) > 1 {
            self.stepped();
        }
        self.running.clear();
        self.generation = 0;
        self.tables = Memory::new(&SIZES);
        self.tables
            .set_time(self.now.boot_ms * 1_000_000, self.now.boot());
        self.engine = engine(&self.files, &self.journal, self.other_config, self.now);
        self.begin();
    }

    /// What holds at any moment.
    fn check_always(&mut self) {
        let engine = &self.engine;
        assert!(engine.pending.len() <= self.asked.len() + self.outcomes.len() + 4);
        assert!(engine.writing.len() <= File::ALL.len());
        assert!(engine.timed.len() <= PREFIXES.len());
        assert!(engine.waiting.len() <= self.asked.len());
        assert!(engine.applying.is_empty() && engine.setting.is_empty());
        // A protected source is never hit, whatever anybody says.
        for protected in ["192.0.2.9", "192.0.2.1"] {
            let source = prefix(protected).address();
            let frame = frame(source, Address::v4([203, 0, 113, 200]), TCP, 443);
            let decision = self.tables.explain(&frame).expect("it decides");
            assert!(!decision.would_drop(), "{protected} is hit: {decision:?}");
        }
    }

    /// What holds once chance is over and everything had its time.
    fn check_settled(&mut self) {
        self.chaos = false;
        if self.now.unix.abs_diff(self.right()) > 1 {
            self.stepped();
            self.now.unix = self.right();
        }
        self.pass(2 * RETRY_EVERY_MS + 25_000);
        self.pass(2 * RETRY_EVERY_MS);
        self.deliver();
        self.carry_out();
        assert!(self.asked.is_empty(), "never answered: {:?}", self.asked);
        assert!(self.engine.reload.is_none(), "a reload has no end");
        // The tables hold what the ledger says.
        let wanted: BTreeMap<Prefix, Entry> = {
            let table = self.engine.ledger.table();
            let entries = table.iter();
            entries
                .filter_map(|(prefix, entry)| Some((prefix, entry?)))
                .collect()
        };
        let held: BTreeMap<Prefix, Entry> = self
            .tables
            .entries()
            .map(|(prefix, entry)| (*prefix, *entry))
            .collect();
        assert_eq!(
            held.keys().collect::<Vec<_>>(),
            wanted.keys().collect::<Vec<_>>()
        );
        assert_eq!(held, wanted, "the tables aren't what the ledger says");
        assert_eq!(*self.tables.settings_in_force(), self.engine.settings);
        self.check_promises();
        // And nothing of it is lost in a crash.
        self.crash();
        self.pass(1);
        self.check_promises();
    }

    fn check_promises(&self) {
        let claims: BTreeMap<_, _> = self
            .engine
            .ledger
            .claims(Some(OPERATOR), None, None)
            .map(|claim| (claim.prefix, claim.verdict))
            .collect();
        for (prefix, (verdict, ends)) in &self.promised.claims {
            if self.promised.unknown.contains(prefix)
                || self.engine.ledger.protection(prefix.address()).is_some()
            {
                continue;
            }
            let over = ends.is_some_and(|ends| ends <= self.now.boot_ms + 2_000);
            if !over {
                assert_eq!(claims.get(prefix), Some(verdict), "{prefix} is lost");
            }
        }
        for prefix in claims.keys() {
            let promised = self.promised.claims.get(prefix);
            let known = promised
                .is_some_and(|(_, ends)| ends.is_none_or(|ends| ends + 2_000 > self.now.boot_ms));
            assert!(
                known || self.promised.unknown.contains(prefix),
                "{prefix} was never promised, or has ended: {promised:?} at {:?}, {:?}",
                self.now,
                self.engine.timed.get(prefix)
            );
        }
        if let Some((mode, None)) = self.promised.mode {
            assert_eq!(self.engine.mode(), mode, "the mode is another");
        }
        if let Some(attack) = self.promised.attack {
            assert_eq!(
                self.engine.attack.is_some(),
                attack,
                "the attack is another"
            );
        }
        if let Some(disabled) = self.promised.disabled {
            let feed = self.engine.feeds.number("local").expect("it is configured");
            let enabled = self
                .engine
                .feed(feed)
                .is_some_and(super::FeedState::is_enabled);
            assert_eq!(enabled, !disabled, "the feed is otherwise");
        }
    }
}

fn engine(
    files: &BTreeMap<File, String>,
    journal: &BTreeMap<Prefix, Claim>,
    other: bool,
    now: Now,
) -> Engine {
    let start = Start {
        loaded: loaded(other),
        files: files
            .iter()
            .map(|(file, content)| (*file, Recalled::Content(content.clone())))
            .collect(),
        operator: journal.values().cloned().collect(),
        troubles: Vec::new(),
        seed: 7,
    };
    Engine::new(start, now).expect("it can be planned")
}

fn run(seed: u64, steps: u64) {
    let mut world = World::new(seed);
    for _ in 0..steps {
        world.step();
    }
    world.check_settled();
}

#[test]
fn the_engine_is_what_it_says_whatever_happens() {
    let steps = std::env::var("WEIR_ENGINE_STEPS").ok();
    let steps: u64 = steps.map_or(STEPS, |steps| steps.parse().expect("a number"));
    let first: u64 =
        std::env::var("WEIR_ENGINE_SEED").map_or(0, |seed| seed.parse().expect("a number"));
    for seed in first..first + steps / RUN {
        let outcome = std::panic::catch_unwind(|| run(seed, RUN));
        assert!(
            outcome.is_ok(),
            "seed {seed}: WEIR_ENGINE_SEED={seed} WEIR_ENGINE_STEPS={RUN}"
        );
    }
}

/// Steps of all runs together.
const STEPS: u64 = 1_000_000;

/// Steps of one run.
const RUN: u64 = 250;
