//! From a verdict to the service's tier and its rates.

use super::{Clock, Tables};
use crate::{
    bucket::{ADMITTED, Ask, BucketKey, Home, Line, Notes, Place, Seed, charge, conforms},
    cause::Cause,
    packet::{Packet, quic::LONGEST},
    rate::{Cell, MAX_UNITS, Rate, Rates, TOGETHER, Tier},
    verdict::{Stage, Verdict},
};

/// The destination of a packet, as far as the law cares.
pub(super) struct Judged {
    pub(super) service: u8,
    pub(super) guarded: bool,
    /// Of the source, as [`BucketKey`] has them.
    pub(super) family: u8,
    pub(super) neighbourhood: u64,
    /// 1: it opens a connection.
    pub(super) opens: u8,
    /// The place of the source's buckets, if the port is guarded.
    pub(super) home: Home,
}

impl Judged {
    #[inline(always)]
    pub(super) fn forgotten<T: Tables>(&self, tables: &T) -> Self {
        let flags = tables.forget(
            u64::from(self.service)
                | u64::from(self.family) << 8
                | u64::from(self.guarded) << 16
                | u64::from(self.opens) << 24,
        );
        Self {
            service: flags as u8,
            guarded: (flags >> 16) as u8 != 0,
            opens: (flags >> 24) as u8,
            family: (flags >> 8) as u8,
            neighbourhood: tables.forget(self.neighbourhood),
            home: Home {
                line: tables.forget(u64::from(self.home.line)) as u32,
                rest: tables.forget(u64::from(self.home.rest)) as u32,
            },
        }
    }
}

/// The outcome of a verdict.
pub(super) struct Outcome {
    pub(super) cause: u8,
    pub(super) tier: u8,
    pub(super) level: u8,
    /// By a service that is in observe.
    pub(super) observed: bool,
}

impl Outcome {
    const fn new(cause: Cause) -> Self {
        Self {
            cause: cause as u8,
            tier: 0,
            level: 0,
            observed: false,
        }
    }

    #[inline(always)]
    pub(super) fn forgotten<T: Tables>(self, tables: &T) -> Self {
        let word = tables.forget(
            self.cause as u64
                | (self.tier as u64) << 8
                | (self.level as u64) << 16
                | (self.observed as u64) << 24,
        );
        Self {
            cause: word as u8,
            tier: (word >> 8) as u8,
            level: (word >> 16) as u8,
            observed: word >> 24 != 0,
        }
    }
}

/// The outcome of one verdict on the source.
#[inline(always)]
pub(super) fn settle<T: Tables, C: Clock>(
    packet: &Packet,
    tables: &T,
    clock: &C,
    judged: &Judged,
    stage: Stage,
    shadow: u8,
) -> Outcome {
    let verdict = stage.verdict();
    if verdict.code() == Verdict::BLOCK.code() {
        return Outcome::new(Cause::Blocked);
    }
    if verdict.code() == Verdict::ALLOW.code() || verdict.code() == Verdict::PROTECT.code() {
        return Outcome::new(Cause::Allowed);
    }
    if packet.is(Packet::MALFORMED) {
        return Outcome::new(Cause::Malformed);
    }
    if !judged.guarded {
        return Outcome::new(Cause::Unguarded);
    }
    let mut outcome = Outcome::new(Cause::Unlimited);
    let Some(service) = tables.service(judged.service) else {
        return outcome;
    };
    outcome.observed = service.observe != 0;
    outcome.tier = verdict.tier_or(service.default_tier);
    let Some(tier) = tables.tier(judged.service, outcome.tier) else {
        return outcome;
    };
    let family = (judged.family >> 1) as usize & 1;
    let set = tables.forget(u64::from(tier.set(family)));
    if set == 0 {
        return outcome;
    }
    // What it uses up of the rates that are set.
    let opens = u64::from(judged.opens);
    let asked = tables.forget(set & (EVERY_PACKETS | opens.wrapping_neg()));
    let near = asked >> (RATES / 2) & ((1 << (RATES / 2)) - 1) != 0;

    let saturated = if tables.forget(tables.settings().refuse_saturated as u64) != 0 {
        Cause::OverPackets
    } else {
        Cause::Unlimited
    };
    outcome.cause = tables.forget(saturated as u64) as u8;
    let Some(seed) = tables.seed() else {
        return outcome;
    };
    let source = judged.home.place(outcome.tier, shadow);
    let Some(source_line) = tables.line(source.line) else {
        return outcome;
    };
    let mut near_place = source;
    if near {
        near_place = seed.place(&BucketKey {
            prefix: judged.neighbourhood,
            family: judged.family,
            level: BucketKey::NEIGHBOURHOOD,
            service: judged.service,
            tier: outcome.tier,
            shadow,
        });
    }
    let near_place = Place {
        line: tables.forget(u64::from(near_place.line)) as u32,
        tag: tables.forget(u64::from(near_place.tag)) as u32,
    };
    // Also where there is none: a line looked up twice is two lines to the
    // verifier, and then it is the same in both cases.
    let Some(near_line) = tables.line(near_place.line) else {
        return outcome;
    };
    let mut levels = Levels {
        tier,
        family,
        seed,
        together: BucketKey::together(judged.service, shadow),
        now: 0,
        weight: Weight::by(packet, judged.opens, tables),
        source,
        source_line,
        near: near_place,
        near_line,
    };

    // All are tested, then all charged: a packet that one rate refuses must
    // not use up the others.
    levels.now = if tables.forget(asked & u64::from(tier.hasty(family))) == 0 {
        clock.coarse()
    } else {
        clock.nanoseconds()
    };
    let mut over = levels.test(tables, tables.forget(all_but_the_highest(asked)));
    if over == 0 {
        let (late, notes) = levels.charge(tables, tables.forget(asked));
        over = late;
        if notes.0 != 0 {
            tables.note(notes);
        }
        if notes.of(Notes::NONE) == 0 {
            outcome.cause = Cause::Conforming as u8;
        }
    }
    if over != 0 {
        outcome.cause = over as u8;
        outcome.level = (over >> 8) as u8;
    }
    outcome
}

/// The rates of all levels, and what is asked of them. The first three are the
/// source's, the next three the neighbourhood's, the last is that of all sources
/// together.
struct Levels<'a, C> {
    tier: &'a Tier,
    /// [`Family::index`](crate::source::Family::index) of the source.
    family: usize,
    seed: &'a Seed,
    together: BucketKey,
    now: u64,
    weight: Weight,
    source: Place,
    source_line: &'a Line<C>,
    near: Place,
    near_line: &'a Line<C>,
}

impl<C: Cell> Levels<'_, C> {
    /// The [refusal] of the first rate that is over, or 0. The last rate isn't
    /// tested: it is the first to be charged, and then nothing else has been. (So
    /// that of all sources together never is.)
    #[inline(always)]
    fn test<T: Tables<Cell = C>>(&self, tables: &T, mut tested: u64) -> u64 {
        let mut over = 0;
        let mut number = 0;
        while number < RATES {
            if tested == 0 {
                break;
            }
            if tested & 1 != 0 {
                let (rate, line, tag, units) = self.rate(tables, number);
                let ask = Ask::new(tag, number, rate, self.now, units);
                let fine = conforms(line, &ask, rate, |word| tables.forget(word));
                over = tables.forget(u64::from(!fine)) * u64::from(refusal(number));
                if over != 0 {
                    break;
                }
            }
            tested >>= 1;
            number += 1;
        }
        over
    }

    /// Charges all, the source's last; the [refusal] of the first rate that is
    /// over after all, or 0, and what is to be counted.
    #[inline(always)]
    fn charge<T: Tables<Cell = C>>(&self, tables: &T, asked: u64) -> (u64, Notes) {
        let mut over = 0;
        let mut notes = tables.forget(0);
        let mut left = TOGETHER + 1;
        if asked >> (RATES / 2) == 0 {
            left = RATES / 2;
        }
        while left > 0 {
            left -= 1;
            if asked >> (left & 7) & 1 != 0 {
                let (mut rate, mut line, mut tag, mut units) = self.rate(tables, left);
                if left == TOGETHER {
                    // Looked up only here: nearly never is there such a rate.
                    let place = self.seed.place(&self.together);
                    let Some(shared) = tables.line(place.line) else {
                        notes += Notes::NONE;
                        continue;
                    };
                    (rate, line, tag, units) = (&self.tier.together, shared, place.tag, 1);
                }
                let ask = Ask::new(tag, left, rate, self.now, units);
                let noted = charge(line, &ask, rate, self.now, self.seed, |word| {
                    tables.forget(word)
                });
                let noted = tables.forget(noted);
                if noted == 0 {
                    over = u64::from(refusal(left));
                    break;
                }
                notes += noted - ADMITTED;
            }
        }
        (over, Notes(notes))
    }

    #[inline(always)]
    const fn rates(&self, number: u32) -> (&Rates, u32) {
        if number < RATES / 2 {
            (&self.tier.source, number)
        } else {
            (
                &self.tier.neighbourhoods[self.family & 1],
                number - RATES / 2,
            )
        }
    }

    #[inline(always)]
    fn rate<T: Tables>(&self, tables: &T, number: u32) -> (&Rate, &Line<C>, u32, u32) {
        let (rates, kind) = self.rates(number);
        let (line, place) = if number < RATES / 2 {
            (self.source_line, &self.source)
        } else {
            (self.near_line, &self.near)
        };
        let units = tables.forget(u64::from(self.weight.of(kind))) as u32;
        (rates.of(kind), line, place.tag, units)
    }
}

/// The rates that a packet uses up something of even if it opens no connection, by
/// their numbers. Not that of all sources together.
const EVERY_PACKETS: u64 = 0b011_011;

/// Of eight bits.
#[inline(always)]
const fn all_but_the_highest(bits: u64) -> u64 {
    let mut below = bits >> 1;
    below |= below >> 1;
    below |= below >> 2;
    below |= below >> 4;
    bits & below
}

/// Of the source and the neighbourhood.
const RATES: u32 = TOGETHER;

/// The code of the cause of a rate that is over, and its level in the byte above.
#[inline(always)]
const fn refusal(number: u32) -> u32 {
    if number < RATES / 2 {
        Cause::OverPackets as u32 + number
    } else if number < TOGETHER {
        Cause::OverNeighbourhood as u32 | (BucketKey::NEIGHBOURHOOD as u32) << 8
    } else {
        Cause::OverConnections as u32 | (BucketKey::TOGETHER as u32) << 8
    }
}

/// The units that a packet uses up of each rate.
struct Weight {
    packets: u32,
    bytes: u32,
    connections: u32,
}

impl Weight {
    /// The units that it uses up of a rate of this kind.
    #[inline(always)]
    const fn of(&self, kind: u32) -> u32 {
        match kind {
            0 => self.packets,
            1 => self.bytes,
            _ => self.connections,
        }
    }

    #[inline(always)]
    fn by<T: Tables>(packet: &Packet, opens: u8, tables: &T) -> Self {
        let length = tables.forget(u64::from(packet.length)) as u32;
        let bytes = length.min(MAX_UNITS);
        let mut packets = 1;
        if is_merged(packet, tables) {
            packets = bytes.div_ceil(1500);
        }
        Self {
            packets: tables.forget(packets as u64) as u32,
            bytes: tables.forget(bytes as u64) as u32,
            connections: tables.forget(u64::from(opens) * packets as u64) as u32,
        }
    }
}

/// Whether a frame is several packets: in generic mode the stack's merged frames reach the
/// filter whole.
#[inline(always)]
fn is_merged<T: Tables>(packet: &Packet, tables: &T) -> bool {
    packet.length > LONGEST && tables.merges()
}
