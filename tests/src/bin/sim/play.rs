//! Makes a scenario's calls, in the order of their time.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

use weir::observation::Reason;
use weir_tests::mutant::Random;

use crate::{
    guard::{Call, Guard},
    scenario::{Abuse, Place, Scenario},
    tally::Tally,
};

/// Plays a scenario against a guard.
pub(crate) fn play(scenario: &Scenario, guard: &mut dyn Guard) -> Tally {
    let mut play = Play::new(scenario, guard);
    play.begin();
    while let Some(Reverse(event)) = play.events.pop() {
        play.happens(event);
    }
    play.end()
}

struct Play<'a> {
    scenario: &'a Scenario,
    guard: &'a mut dyn Guard,
    tally: Tally,
    events: BinaryHeap<Reverse<Event>>,
    /// Genuine devices of each address.
    devices: Vec<u32>,
    abusers: Vec<Abuser<'a>>,
    honest: Reason,
    end: u64,
    /// Where equal times are told apart, so that a run is the same each time.
    order: u32,
}

struct Abuser<'a> {
    source: u32,
    /// Milliseconds between two calls, on average.
    every: f64,
    first: u64,
    ends: u64,
    stopped: Option<u64>,
    passed: u64,
    abuse: &'a Abuse,
    reason: Reason,
    random: Random,
}

#[derive(PartialEq, Eq)]
struct Event {
    ms: u64,
    order: u32,
    what: What,
}

#[derive(PartialEq, Eq)]
enum What {
    /// A device at an address begins to call; `seed`: of the address's next.
    Begins { source: u32, seed: u64 },
    /// A device calls, and will so many times more.
    Calls { genuine: Genuine, left: u32 },
    /// Its connection was dropped; it sends once more.
    Tries { genuine: Genuine, tries: u8 },
    /// An abuser calls.
    Abuses(u32),
}

/// A genuine call.
#[derive(Clone, PartialEq, Eq)]
struct Genuine {
    source: u32,
    device: u64,
    /// It fails although it is genuine.
    fails: bool,
    seed: u64,
}

impl<'a> Play<'a> {
    fn new(scenario: &'a Scenario, guard: &'a mut dyn Guard) -> Self {
        Self {
            scenario,
            guard,
            tally: Tally::default(),
            events: BinaryHeap::new(),
            devices: Vec::new(),
            abusers: Vec::new(),
            honest: Reason::new("tok_missing"),
            end: u64::from(scenario.hours) * HOUR,
            order: 0,
        }
    }

    fn begin(&mut self) {
        let scenario = self.scenario;
        let mut random = Random::new(scenario.seed);
        let nats = (f64::from(scenario.sources) * scenario.nats).round() as u32;
        for source in 0..scenario.sources {
            let devices = if source < nats {
                between(&mut random, scenario.nat_devices.map(f64::from)).round() as u32
            } else {
                let [from, to] = scenario.home_devices;
                from + random.below((to - from + 1) as usize) as u32
            };
            self.devices.push(devices);
        }
        // Each kind of abusers has its own addresses, from the last one on.
        let (mut homes, mut carriers) = (scenario.sources, nats);
        for abuse in &scenario.abuse {
            for number in 0..abuse.sources {
                let source = match abuse.place {
                    Place::Homes => {
                        homes -= 1;
                        if f64::from(number) >= f64::from(abuse.sources) * abuse.shared {
                            self.devices[homes as usize] = 0;
                        }
                        homes
                    }
                    Place::Nats => {
                        carriers -= 1;
                        carriers
                    }
                };
                let begin = abuse.begin[0] + unit(&mut random) * (abuse.begin[1] - abuse.begin[0]);
                let first = (begin * HOUR as f64) as u64;
                let abuser = self.abusers.len() as u32;
                self.abusers.push(Abuser {
                    source,
                    every: 1e3 / between(&mut random, abuse.calls),
                    first,
                    ends: first + (abuse.hours * HOUR as f64) as u64,
                    stopped: None,
                    passed: 0,
                    abuse,
                    reason: Reason::new(&abuse.reason),
                    random: Random::new(random.next()),
                });
                self.at(first, What::Abuses(abuser));
            }
        }
        for source in 0..scenario.sources {
            if self.devices[source as usize] > 0 {
                let seed = random.next();
                self.next_begins(source, 0, seed);
            }
        }
    }

    fn at(&mut self, ms: u64, what: What) {
        if ms < self.end {
            self.order = self.order.wrapping_add(1);
            let order = self.order;
            self.events.push(Reverse(Event { ms, order, what }));
        }
    }

    fn happens(&mut self, event: Event) {
        let ms = event.ms;
        match event.what {
            What::Begins { source, seed } => self.begins(source, seed, ms),
            What::Calls { genuine, left } => {
                self.tally.genuine += 1;
                self.tally.span(ms).genuine += 1;
                let mut random = Random::new(genuine.seed);
                let alone = Genuine {
                    fails: genuine.fails || unit(&mut random) < self.scenario.honest_failures / 2.0,
                    ..genuine
                };
                if left > 0 {
                    let pause = exponential(&mut random, PAUSE);
                    let next = Genuine {
                        seed: random.next(),
                        ..genuine
                    };
                    let left = left - 1;
                    self.at(
                        ms + pause,
                        What::Calls {
                            genuine: next,
                            left,
                        },
                    );
                }
                self.tries(alone, 0, ms);
            }
            What::Tries { genuine, tries } => self.tries(genuine, tries, ms),
            What::Abuses(abuser) => self.abuses(abuser, ms),
        }
    }

    /// A device begins to call, unless fewer do at this time of the day.
    fn begins(&mut self, source: u32, seed: u64, ms: u64) {
        let mut random = Random::new(seed);
        let hour = ms as f64 / HOUR as f64;
        let night = self.scenario.night;
        let wave = (((hour - 15.0) / 12.0 * std::f64::consts::PI).cos() + 1.0) / 2.0;
        if unit(&mut random) < night + (1.0 - night) * wave {
            let device = self.device(source, &mut random);
            let fails = unit(&mut random) < self.scenario.honest_failures / 2.0;
            let mut left = 0;
            while unit(&mut random) > 1.0 / TOGETHER {
                left += 1;
            }
            let genuine = Genuine {
                source,
                device,
                fails,
                seed: random.next(),
            };
            self.at(ms, What::Calls { genuine, left });
        }
        let next = random.next();
        self.next_begins(source, ms, next);
    }

    fn next_begins(&mut self, source: u32, ms: u64, seed: u64) {
        let mut random = Random::new(seed);
        // As often as in the afternoon.
        let mean = (1.0 + self.scenario.night) / 2.0;
        let a_day = self.scenario.calls_a_day / TOGETHER / mean;
        let every = 24.0 * HOUR as f64 / (a_day * f64::from(self.devices[source as usize]));
        let pause = exponential(&mut random, every);
        let seed = random.next();
        self.at(ms + pause, What::Begins { source, seed });
    }

    /// One of the devices that come from this address.
    fn device(&self, source: u32, random: &mut Random) -> u64 {
        let pool = self.scenario.nat_pool;
        let nats = (f64::from(self.scenario.sources) * self.scenario.nats).round() as u32;
        let mut home = source;
        if source < nats && pool > 1 {
            let first = source / pool * pool;
            home = (first + random.below(pool as usize) as u32).min(nats - 1);
        }
        let device = random.below(self.devices[home as usize] as usize);
        Random::new(u64::from(home) << 32 | device as u64).next()
    }

    /// A genuine device asks for a connection, as its system does: again after
    /// one second, two and four more.
    fn tries(&mut self, genuine: Genuine, tries: u8, ms: u64) {
        if self.guard.admits(genuine.source, ms) {
            let failed = self.failure(&genuine, ms);
            let lasts = u64::from(self.scenario.token_minutes) * 60_000;
            let phase = genuine.device % lasts;
            let age = (ms + phase) % lasts;
            let call = Call {
                source: genuine.source,
                failed,
                device: genuine.device,
                token: Random::new(genuine.device ^ (ms - ms.min(age))).next(),
                ends: ms - age.min(ms) + lasts,
            };
            self.guard.sees(&call, ms);
        } else if tries < TRIES {
            let next = ms + (1_000 << tries);
            let tries = tries + 1;
            if next < self.end {
                self.at(next, What::Tries { genuine, tries });
            }
        } else {
            self.tally.lost += 1;
            self.tally.span(ms).lost += 1;
        }
    }

    fn failure(&self, genuine: &Genuine, ms: u64) -> Option<Reason> {
        let trouble = self.scenario.trouble.iter().find(|trouble| {
            let from = (trouble.from * HOUR as f64) as u64;
            let to = from + (trouble.minutes * 60_000.0) as u64;
            (from..to).contains(&ms) && unit(&mut Random::new(genuine.device)) < trouble.share
        });
        match trouble {
            Some(trouble) => Some(Reason::new(&trouble.reason)),
            None => genuine.fails.then(|| self.honest.clone()),
        }
    }

    fn abuses(&mut self, number: u32, ms: u64) {
        let abuser = &mut self.abusers[number as usize];
        let source = abuser.source;
        let shared = self.devices[source as usize] > 0;
        if ms >= abuser.ends {
            if shared {
                let of = abuser.passed as f64 / self.guard.allowance(source, ms);
                self.tally.of_tier = self.tally.of_tier.max(of);
            }
            return;
        }
        if ms == abuser.first {
            self.guard.count_from(source, ms);
        }
        let next = ms + exponential(&mut abuser.random, abuser.every);
        let passes = self.guard.admits(source, ms);
        let group = if shared {
            &mut self.tally.shared
        } else {
            &mut self.tally.alone
        };
        group.add(passes);
        let span = self.tally.span(ms);
        span.abusive += 1;
        if passes {
            span.passed += 1;
            abuser.passed += 1;
            let tokens = abuser.abuse.tokens as usize;
            let token = Random::new(abuser.random.below(tokens) as u64 ^ 0xabad).next();
            let call = Call {
                source,
                failed: (tokens == 0).then(|| abuser.reason.clone()),
                device: token,
                token: !token,
                ends: ms + 3_600_000,
            };
            self.guard.sees(&call, ms);
        } else if abuser.stopped.is_none() {
            abuser.stopped = Some(ms);
        }
        self.at(next, What::Abuses(number));
    }

    fn end(mut self) -> Tally {
        for abuser in &self.abusers {
            let shared = self.devices[abuser.source as usize] > 0;
            match abuser.stopped {
                _ if shared => {}
                Some(ms) => self.tally.times.push(ms - abuser.first),
                None => self.tally.never += 1,
            }
        }
        self.tally
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.ms, self.order).cmp(&(other.ms, other.order))
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// From 0 up to 1.
fn unit(random: &mut Random) -> f64 {
    (random.next() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Between two numbers: as many below their geometric mean as above it.
fn between(random: &mut Random, [from, to]: [f64; 2]) -> f64 {
    from * (to / from).powf(unit(random))
}

/// A pause before what comes at any time alike, in milliseconds; at least one.
fn exponential(random: &mut Random, mean: f64) -> u64 {
    (-(1.0 - unit(random)).ln() * mean).clamp(1.0, 1e12) as u64
}

/// Calls that come together, on average.
const TOGETHER: f64 = 6.0;

/// Milliseconds between them, on average.
const PAUSE: f64 = 4_000.0;

/// How often a connection is asked for again.
const TRIES: u8 = 3;

/// In milliseconds.
const HOUR: u64 = 3_600_000;
