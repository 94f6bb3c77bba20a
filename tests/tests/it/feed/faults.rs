//! The service misbehaves in every way it knows, in random order, and what is
//! in force stays what a model says. No sockets and no clock: the answers' bytes
//! go straight into weir's own codec, follower and ledger, and the times are
//! numbers: the host's clock and the service's are set now and then.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Value, json};
use weir::{
    claim::{Update, Verdict},
    feed::{
        Rules,
        codec::stream::{Asked, Reader},
        verdicts::{Follower, Said, Trouble},
    },
    ledger::{self, Capacity, FeedRules, Ledger, Now},
    prefix::{Prefix, Written},
};
use weir_tests::{
    mutant::Random,
    service::{
        mischief::{Ending, Mischief, Reply},
        state::{State, written},
    },
};

mod model;

use self::model::{Model, meaning};

const FEED: u16 = 1;
const STEPS: u32 = 10_000;
/// The daemon's time limit for a piece of an answer, in milliseconds.
const PATIENCE: u64 = 45_000;
const PROTECTED: &str = "203.0.113.0/24";

#[test]
fn whatever_the_service_does_nothing_is_lost_and_nothing_is_made_up() {
    for seed in 1..=3 {
        let mut world = World::new(seed);
        for step in 0..STEPS {
            world.step();
            assert_eq!(
                world.in_force(),
                world.model.in_force(world.unix),
                "seed {seed}, after step {step}: {}",
                world.last
            );
        }
        world.proves_that_it_was_hard();
    }
}

struct World {
    dice: Random,
    /// The host's clock on the wall, which is set now and then.
    unix: u64,
    /// Seconds since it booted, which only pass.
    boot: u64,
    /// Seconds that the service's clock is ahead of the host's.
    ahead: i64,
    service: State,
    /// An older state of it, to fall back to.
    backup: State,
    follower: Follower,
    ledger: Ledger,
    rules: Rules,
    model: Model,
    last: String,
    seen: BTreeMap<&'static str, u32>,
}

impl World {
    fn new(seed: u64) -> Self {
        let tiers = [("unknown", 0), ("suspect", 1)].map(|(name, tier)| (name.to_owned(), tier));
        let mut world = Self {
            dice: Random::new(seed),
            unix: 1_800_000_000,
            boot: 1_000_000,
            ahead: 0,
            service: State::new(1).forgetful(40),
            backup: State::new(1).forgetful(40),
            follower: Follower::default(),
            ledger: Ledger::new(Capacity {
                ipv4: 10_000,
                ipv6: 10_000,
            }),
            rules: Rules {
                verdict: Verdict::Block,
                tiers: Arc::new(tiers.into()),
                widen_ipv6: 128,
                max_claims: 5_000,
            },
            model: Model::default(),
            last: String::new(),
            seen: BTreeMap::new(),
        };
        let rules = |rank| {
            Some(FeedRules {
                rank,
                shadow: false,
            })
        };
        let protected = prefix(PROTECTED);
        world.ledger.configure(
            ledger::Rules {
                feeds: vec![rules(0), rules(10)],
                protected: vec![protected],
                strictness: vec![0, 5],
            },
            world.now(),
        );
        world
    }

    /// Something happens at the service; time passes; the daemon asks.
    fn step(&mut self) {
        self.service_lives();
        let passed = self.dice.below(20) as u64;
        self.pass(passed);
        self.clocks_step();
        let mischief = (self.dice.below(3) > 0).then(|| Mischief::random(|| self.dice.next()));
        let asked = self.follower.asks();
        let after = match &asked {
            Asked::Snapshot => None,
            Asked::After(cursor) => Some(cursor.as_str().to_owned()),
        };
        let theirs = self.unix.saturating_add_signed(self.ahead);
        let honest = self.service.answer(after.as_deref(), theirs);
        let reply = match &mischief {
            None => Reply::of(honest.as_ref()),
            Some(mischief) => {
                mischief.twist(honest.clone(), &self.service, after.as_deref(), theirs)
            }
        };
        self.last = format!("{mischief:?} to {asked:?}");
        let took = reply.delay;
        let heard = self.hear(&asked, &reply);
        let pause = match heard {
            Ok((said, update)) => {
                *self.seen.entry("ok").or_default() += 1;
                self.model
                    .take(meaning(&reply, after.as_deref()), self.unix);
                self.ledger.apply(FEED, guarded(update), self.now());
                self.follower.said(said, took, self.dice.next())
            }
            Err(trouble) => {
                let lied = mischief.is_some() || honest.is_none();
                assert!(lied, "an honest answer wasn't taken: {trouble}");
                *self.seen.entry(trouble.state()).or_default() += 1;
                self.follower.failed(&trouble, self.dice.next())
            }
        };
        assert!(pause <= Duration::from_secs(300), "{pause:?}");
        self.pass(pause.as_secs());
    }

    fn pass(&mut self, seconds: u64) {
        self.unix += seconds;
        self.boot += seconds;
        self.expire();
    }

    fn expire(&mut self) {
        self.ledger.expire(self.now());
        self.model.end(self.unix);
    }

    /// Somebody sets a clock by up to half an hour: the host's or the service's.
    fn clocks_step(&mut self) {
        let step = self.dice.below(3_600) as i64 - 1_800;
        match self.dice.below(60) {
            0 => self.ahead = step,
            1 => {
                self.unix = self.unix.saturating_add_signed(step);
                self.expire();
                if step < 0 {
                    *self.seen.entry("set back").or_default() += 1;
                    // As the daemon has it: a claim that ended too early is received again.
                    self.follower.begin_anew();
                }
            }
            _ => {}
        }
    }

    /// As the daemon's transport does, with the bytes at hand.
    fn hear(&mut self, asked: &Asked, reply: &Reply) -> Result<(Said, Update), Trouble> {
        if reply.status == 0 {
            return Err(Trouble::Unreachable("it hung up".to_owned()));
        }
        if reply.delay.as_millis() as u64 > PATIENCE {
            return Err(Trouble::Slow("the service's answer", reply.delay));
        }
        Trouble::of_status(reply.status, reply.location.as_deref(), None, asked)?;
        let mut reader = Reader::new(&self.rules, asked.clone());
        let mut rest = &reply.body[..];
        while !rest.is_empty() {
            let length = 1 + self.dice.below(rest.len().min(900));
            let (piece, more) = rest.split_at(length);
            reader.bytes(piece)?;
            rest = more;
        }
        match reply.ending {
            Ending::Whole => {}
            Ending::Broken => return Err(Trouble::Unreachable("it broke off".to_owned())),
            Ending::Stalled => {
                return Err(Trouble::Slow(
                    "a piece of the service's answer",
                    reply.delay,
                ));
            }
            Ending::Endless(piece) => {
                let mut taken = 0;
                loop {
                    reader.bytes(piece)?;
                    taken += piece.len();
                    assert!(taken < 8 << 20, "{taken} bytes of nothing were read");
                }
            }
        }
        let answer = reader.finish()?;
        let said = Said {
            cursor: answer.cursor,
            whole: matches!(answer.update, Update::Snapshot(_)),
            lines: answer.claims,
        };
        Ok((said, answer.update))
    }

    /// It learns, withdraws, restarts empty, or falls back to a backup.
    fn service_lives(&mut self) {
        match self.dice.below(40) {
            0 => self.service.forget_all(),
            1 => self.service = self.backup.clone(),
            2 => self.backup = self.service.clone(),
            3..8 => {
                let lines: Vec<_> = (0..self.dice.below(60)).map(|_| self.line()).collect();
                self.service.say(&lines).expect("it can be said");
            }
            _ => {
                let line = self.line();
                self.service.say(&[line]).expect("it can be said");
            }
        }
    }

    fn line(&mut self) -> Value {
        let prefix = match self.dice.below(6) {
            0 => format!("2001:db8:{:x}::/48", self.dice.below(30)),
            1 => format!("192.0.{}.0/24", self.dice.below(20)),
            _ => format!("198.51.100.{}/32", self.dice.below(60)),
        };
        let expires = match self.dice.below(3) {
            0 => Value::Null,
            _ => written(self.unix + 1 + self.dice.below(2_000) as u64).into(),
        };
        match self.dice.below(5) {
            0 => json!({"prefix": prefix, "withdrawn": true}),
            1 => json!({"prefix": prefix, "verdict": {"limit": "suspect"}, "expires": expires}),
            2 => json!({"prefix": "203.0.113.9", "verdict": "block", "expires": expires}),
            _ => {
                json!({"prefix": prefix, "verdict": "block", "expires": expires, "reason": "replay"})
            }
        }
    }

    fn in_force(&self) -> BTreeMap<Prefix, &'static str> {
        let claims = self.ledger.claims(Some(FEED), None, None);
        claims
            .map(|claim| (claim.prefix, claim.verdict.name()))
            .collect()
    }

    const fn now(&self) -> Now {
        Now {
            unix: self.unix as u32,
            boot_ms: self.boot * 1_000,
        }
    }

    fn proves_that_it_was_hard(&self) {
        for state in [
            "ok",
            "unreachable",
            "slow",
            "failing",
            "unauthorized",
            "redirected",
            "broken",
            "resync",
            "set back",
        ] {
            let times = self.seen.get(state).copied().unwrap_or_default();
            assert!(
                times > 50,
                "{state} happened {times} times only: {:?}",
                self.seen
            );
        }
    }
}

/// A whole word of a service isn't believed in what it leaves out, if that is
/// too much.
fn guarded(update: Update) -> Update {
    match update {
        Update::Snapshot(claims) => Update::Resync(claims),
        update => update,
    }
}

fn prefix(text: &str) -> Prefix {
    text.parse::<Written>().expect("a prefix").prefix
}
