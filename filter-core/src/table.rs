//! The verdict tables, from the side that writes them.
//!
//! A [`Table`] remembers every prefix with its value (`mirror`), and keeps the
//! memory that the kernel reads (`storage`) true to that. A change makes a block
//! or leaf anew in free memory and puts it in force by one store; a large patch
//! makes everything anew in the other half and switches. Memory that a reader may
//! still hold waits, retired, until every program that runs now has ended: see
//! [`Table::seal`]. How it is read: `filter_common::table`.
//!
//! No I/O and no clock here; the one wait is given by the caller.

use filter_common::{
    decide::Clock,
    source::{Address, Family},
    table::{self, QUAD, Standing, Value, active, ipv4::LINE, ipv6::NODE},
    verdict::Stage,
};

use self::{
    free_list::Halves,
    ipv4::Ipv4,
    ipv6::Ipv6,
    mirror::{Key, Mirror},
    timelines::Timelines,
};
use crate::{
    patch::{Part, Patch},
    prefix::Prefix,
};

mod cells;
mod free_list;
mod ipv4;
mod ipv6;
mod mirror;
mod storage;
mod timelines;

#[cfg(test)]
mod tests;

pub use storage::{Plain, Row, Shape, Storage, Words};

/// All verdicts, as the kernel reads them.
pub struct Table<W: Words> {
    ipv4: Side<Ipv4<W>>,
    ipv6: Side<Ipv6<W>>,
    common: Common<W>,
}

/// The parts that both families share.
struct Common<W> {
    active: Active<W>,
    timelines: Timelines<W>,
    /// Waits until every program that runs now has ended.
    grace: Box<dyn FnMut() + Send>,
}

/// The prefixes of a family that differ now, in order, with the values before.
type Before<M> = Vec<(<M as Memory>::Key, Option<u64>)>;

/// The word in force (the root pointer of the tables), of both families.
struct Active<W>(W);

impl<W: Words> Active<W> {
    /// Puts something in force: from one store on.
    fn publish(&self, word: u64) {
        self.0.publish(active::IN_FORCE, word);
    }

    /// Another root of the IPv6 tree, and all else as it is.
    fn publish_root(&self, root: u32) {
        let rest = self.0.get(active::IN_FORCE) & !u64::from(u32::MAX);
        self.publish(rest | u64::from(root));
    }
}

/// The table of a family.
struct Side<M: Memory> {
    mirror: Mirror<M::Key>,
    memory: M,
    capacity: usize,
    /// With so many prefixes the memory was full: to try more would be to make
    /// everything anew, again and again.
    full: Option<usize>,
}

/// The memory of a family's table.
trait Memory {
    type Key: Key;
    type Words: Words;

    /// Its part of the word in force.
    fn active_bits(&self) -> u64;

    /// Whether so little changes that it is put in force piece by piece.
    fn is_small(
        &self,
        mirror: &Mirror<Self::Key>,
        touched: impl Iterator<Item = Self::Key>,
    ) -> bool;

    /// Puts what the mirror says of these prefixes in force, piece by piece, and
    /// says for how many of them there was room.
    fn in_place(
        &mut self,
        mirror: &Mirror<Self::Key>,
        touched: &[Self::Key],
        active: &Active<Self::Words>,
    ) -> usize;

    /// Makes everything anew in the other half, which is then to be put in force;
    /// `false` if there is no room.
    fn anew(&mut self, mirror: &Mirror<Self::Key>) -> bool;

    fn halves(&mut self) -> &mut Halves;

    /// Bytes in use, and bytes of a half.
    fn bytes(&self) -> (u64, u64);
}

/// How full the table of a family is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fill {
    /// Prefixes.
    pub prefixes: u64,
    /// Prefixes that there is room for.
    pub capacity: u64,
    /// Bytes of the half in force that are in use.
    pub used: u64,
    /// Bytes that a half has.
    pub room: u64,
}

impl<W: Words> Table<W> {
    /// Empty tables in fresh memory, all of it zero. `grace` waits until every
    /// program that runs when it is called has ended.
    #[must_use]
    pub fn new(storage: Storage<W>, shape: &Shape, grace: impl FnMut() + Send + 'static) -> Self {
        let ipv4 = Ipv4::new(storage.groups, storage.lines, shape);
        let ipv6 = Ipv6::new(storage.prefilter, storage.nodes, shape);
        let active = Active(storage.active);
        for (at, word) in [
            (active::IPV4, table::ipv4::made(shape.open())),
            (active::IPV6, u64::from(shape.prefilter())),
            (active::PREFILTER, u64::from(shape.prefilter_words()) - 1),
        ] {
            active.0.put(at, word);
        }
        active.publish(ipv4.active_bits() | ipv6.active_bits());
        Self {
            ipv4: Side::new(ipv4, shape.ipv4),
            ipv6: Side::new(ipv6, shape.ipv6),
            common: Common {
                active,
                timelines: Timelines::new(storage.quads),
                grace: Box::new(grace),
            },
        }
    }

    /// Carries out a patch. Prefixes that don't fit come back with the reason;
    /// what was in force for them stays.
    ///
    /// A small patch is put in force piece by piece, a large one by one store, for
    /// both families: whoever dies meanwhile leaves the state before or the one after.
    pub fn apply(&mut self, patch: &Patch) -> Vec<(Prefix, String)> {
        let (ipv4, ipv6, common) = (&mut self.ipv4, &mut self.ipv6, &mut self.common);
        let mut refused = Vec::new();
        let before4 = ipv4.remember(&patch.part(Family::V4), common, &mut refused);
        let before6 = ipv6.remember(&patch.part(Family::V6), common, &mut refused);
        let is_small = ipv4.is_small(&before4) && ipv6.is_small(&before6);
        let mut gone = ipv4.carry_out(before4, is_small, common, &mut refused);
        gone.extend(ipv6.carry_out(before6, is_small, common, &mut refused));
        common
            .active
            .publish(ipv4.memory.active_bits() | ipv6.memory.active_bits());
        for value in gone {
            common.timelines.give_up(Value(value));
        }
        refused
    }

    /// Looks up the stages that hold for a source, as the kernel does.
    #[must_use]
    pub fn standing(&self, source: &Address, clock: &impl Clock) -> Standing {
        table::standing(&self, source, clock)
    }

    /// Whether something waits for the programs that run from now on to end.
    /// Then a grace period is to be waited for, [`release`](Self::release) to be
    /// called, and nothing to be sealed before.
    pub fn seal(&mut self) -> bool {
        let ipv4 = self.ipv4.memory.halves().seal();
        let ipv6 = self.ipv6.memory.halves().seal();
        let timelines = self.common.timelines.seal();
        ipv4 || ipv6 || timelines
    }

    /// The programs that ran when it was sealed have ended.
    pub fn release(&mut self) {
        self.ipv4.memory.halves().release();
        self.ipv6.memory.halves().release();
        self.common.timelines.release();
    }

    /// How full the table of a family is.
    #[must_use]
    pub fn fill(&self, family: Family) -> Fill {
        match family {
            Family::V4 => self.ipv4.fill(),
            Family::V6 => self.ipv6.fill(),
        }
    }
}

impl<M: Memory> Side<M> {
    fn new(memory: M, capacity: u32) -> Self {
        Self {
            mirror: Mirror::default(),
            memory,
            capacity: capacity as usize,
            full: None,
        }
    }

    fn is_small(&self, before: &Before<M>) -> bool {
        let touched = before.iter().map(|(key, _)| *key);
        self.memory.is_small(&self.mirror, touched)
    }

    /// Carries out what was [remembered](Self::remember); what was made anew is still
    /// to be put in force. Gives the values that nobody needs from then on.
    fn carry_out(
        &mut self,
        mut before: Before<M>,
        is_small: bool,
        common: &mut Common<M::Words>,
        refused: &mut Vec<(Prefix, String)>,
    ) -> Vec<u64> {
        let mut gone = Vec::new();
        if !(before.is_empty() || is_small && self.in_place(&before, common)) {
            gone = self.anew(&mut before, common, refused);
        }
        gone.extend(before.into_iter().filter_map(|(_, value)| value));
        gone
    }

    /// Takes changes into the mirror. Gives back what was there of all that is
    /// different now, in order.
    fn remember(
        &mut self,
        changes: &Part<'_>,
        common: &mut Common<M::Words>,
        refused: &mut Vec<(Prefix, String)>,
    ) -> Before<M> {
        let keys: Vec<_> = changes.iter().map(|change| M::Key::of(&change.0)).collect();
        let known = self.mirror.known(&keys);
        // What leaves makes room for what comes.
        let mut prefixes = self.mirror.len();
        for ((_, enforced, shadow), known) in changes.iter().zip(&known) {
            let leaves = known.is_some() && enforced.is_empty() && shadow.is_empty();
            prefixes -= usize::from(leaves);
        }
        let mut writes = Vec::with_capacity(keys.len());
        let mut before = Vec::with_capacity(keys.len());
        for (change, (key, known)) in changes.iter().zip(keys.into_iter().zip(known)) {
            let (prefix, enforced, shadow) = change;
            let value = if enforced.is_empty() && shadow.is_empty() {
                None
            } else {
                let says = |known| common.timelines.says(Value(known), enforced, shadow);
                if known.is_some_and(says) {
                    continue;
                }
                if known.is_none() && prefixes >= self.capacity {
                    let why = format!("the table holds {} prefixes and is full", self.capacity);
                    refused.push((prefix, why));
                    continue;
                }
                if known.is_none() && self.full.is_some_and(|full| prefixes >= full) {
                    refused.push((prefix, FULL.to_owned()));
                    continue;
                }
                let Some(value) = self.value(enforced, shadow, common) else {
                    let why = "the table has no room for another entry of several stages";
                    refused.push((prefix, why.to_owned()));
                    continue;
                };
                prefixes += usize::from(known.is_none());
                Some(value.0)
            };
            if known != value {
                writes.push((key, value));
                before.push((key, known));
            }
        }
        self.mirror.write(writes.into_iter());
        before
    }

    fn value(
        &mut self,
        enforced: &[Stage],
        shadow: &[Stage],
        common: &mut Common<M::Words>,
    ) -> Option<Value> {
        common.timelines.value(enforced, shadow).or_else(|| {
            self.wait(common);
            common.timelines.value(enforced, shadow)
        })
    }

    /// Puts changes in force piece by piece; `false` if there is no room.
    fn in_place(&mut self, before: &Before<M>, common: &mut Common<M::Words>) -> bool {
        let touched: Vec<_> = before.iter().map(|(key, _)| *key).collect();
        let mut rest = &touched[..];
        loop {
            let done = self.memory.in_place(&self.mirror, rest, &common.active);
            rest = &rest[done..];
            if rest.is_empty() {
                return true;
            }
            if !self.wait(common) {
                return false;
            }
        }
    }

    /// Makes everything anew. Where there isn't room for all, prefixes that are
    /// new are given up, the last first; gives their values.
    fn anew(
        &mut self,
        before: &mut Before<M>,
        common: &mut Common<M::Words>,
        refused: &mut Vec<(Prefix, String)>,
    ) -> Vec<u64> {
        let mut gone = Vec::new();
        loop {
            if self.memory.halves().other().is_none() {
                self.wait(common);
            }
            if self.memory.anew(&self.mirror) {
                let (used, room) = self.memory.bytes();
                if gone.is_empty() && used < room / 8 * 7 {
                    self.full = None;
                }
                break;
            }
            let is_new = |(key, value): &(M::Key, Option<u64>)| value.is_none().then_some(*key);
            let new: Vec<_> = before.iter().filter_map(is_new).collect();
            if new.is_empty() {
                // Less than what was in force before always fits. If it doesn't, the
                // caller says it all again; till then nothing of it is given up.
                let why = "the verdict table can't be made anew";
                let all = std::mem::take(before).into_iter();
                refused.extend(all.map(|(key, _)| (key.prefix(), why.to_owned())));
                break;
            }
            let given_up = &new[new.len() / 2..];
            let is_kept = |key: &M::Key| given_up.binary_search(key).is_err();
            before.retain(|(key, _)| is_kept(key));
            gone.extend(given_up.iter().filter_map(|key| self.mirror.value(key)));
            refused.extend(given_up.iter().map(|key| (key.prefix(), FULL.to_owned())));
            self.mirror.write(given_up.iter().map(|key| (*key, None)));
            self.full = Some(self.mirror.len());
        }
        // Some may have been in force for a moment.
        gone
    }

    /// Waits until what is retired is free; `false` if nothing is.
    fn wait(&mut self, common: &mut Common<M::Words>) -> bool {
        if self.memory.halves().is_settled() && common.timelines.is_settled() {
            return false;
        }
        (common.grace)();
        let rows = self.memory.halves().empty();
        let quads = common.timelines.empty();
        rows || quads
    }

    fn fill(&self) -> Fill {
        let (used, room) = self.memory.bytes();
        Fill {
            prefixes: self.mirror.len() as u64,
            capacity: self.capacity as u64,
            used,
            room,
        }
    }
}

/// Why a prefix is refused that there is no memory for.
const FULL: &str = "the memory of the table is full";

/// Fewer changes are put in force piece by piece: a piece costs some
/// microseconds, and making everything anew 0.1 µs a prefix.
const fn few(prefixes: usize) -> u64 {
    let few = prefixes as u64 / 64;
    if few < 1024 { 1024 } else { few }
}

/// Reading as the kernel does.
impl<'a, W: Words> table::Storage for &'a Table<W> {
    type Row = Row<'a, W>;

    fn active(&self, at: usize) -> u64 {
        self.common.active.0.get(at)
    }

    fn group(&self, at: u32) -> u64 {
        self.ipv4.memory.groups.get(at as usize)
    }

    fn line(&self, at: u32) -> Option<Row<'a, W>> {
        self.ipv4.memory.lines.row(at, LINE)
    }

    fn prefilter(&self, at: u32) -> u64 {
        self.ipv6.memory.prefilter.get(at as usize)
    }

    fn node(&self, at: u32) -> Option<Row<'a, W>> {
        self.ipv6.memory.nodes.row(at, NODE)
    }

    fn quad(&self, at: u32) -> Option<Row<'a, W>> {
        self.common.timelines.quads.row(at, QUAD)
    }
}
