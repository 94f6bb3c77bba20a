//! The datapath in memory: the same law on the host, over collections.
//!
//! The model that the kernel is compared with, and the datapath of the daemon's
//! tests without root.

use std::{
    cell::Cell as Value,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::{Context as _, Result, ensure};
use filter_common::{
    abi::ScopeKey,
    bucket::{BucketKey, CLASSES, Line, Notes, Place, Seed, Usage},
    cause::Cause,
    decide::{Clock, Decision, Tables, judge},
    event::{Event, Sampler, Sketch},
    handshake::{self, Handshake},
    packet::Packet,
    rate::{Cell, Still, Tier},
    settings::{MAX_SERVICES, Port, Service, Settings},
    source::{Address, Family},
    table::Standing,
    verdict::Entry,
};

use self::peek::Peek;
use super::{Attach, Attached, Counts, Datapath, Sizes, sources};
use crate::{
    config,
    patch::Patch,
    plan::{Plan, Scope},
    prefix::Prefix,
    table::Fill,
};

mod peek;

/// Tables in memory, and a clock that is set by hand.
pub struct Memory {
    settings: Settings,
    ports: BTreeMap<(u8, u16), Port>,
    scopes: Vec<Scope>,
    services: [Service; MAX_SERVICES],
    tiers: BTreeMap<(u8, u8), Tier>,
    entries: BTreeMap<Prefix, Entry>,
    /// Addresses and wider prefixes have tables of their own, as in the kernel.
    used: HashMap<(Family, bool), u32>,
    sizes: Sizes,
    seed: Seed,
    lines: Vec<Line<Word>>,
    handshakes: Vec<Word>,
    laid: Value<Handshake>,
    usage: Value<Usage>,
    merges: bool,
    now: Now,
    counts: Counts,
    sketches: [Sketch; Cause::COUNT],
    shadow_sketches: [Sketch; Cause::COUNT],
    sampler: Sampler,
    events: Vec<Event>,
    interfaces: Interfaces,
}

/// The interfaces of a host in memory.
#[derive(Debug, Default)]
struct Interfaces {
    on: BTreeSet<String>,
    /// Those that take no program.
    refusing: BTreeSet<String>,
}

impl Interfaces {
    fn check(&self, interface: &str) -> Result<()> {
        ensure!(
            !self.refusing.contains(interface),
            "{interface} takes no XDP program"
        );
        Ok(())
    }

    fn attach(&mut self, interfaces: &[String]) -> Result<Vec<Attached>> {
        for interface in interfaces {
            self.check(interface)?;
        }
        self.on.extend(interfaces.iter().cloned());
        let attached = interfaces
            .iter()
            .zip(1..)
            .map(|(interface, index)| Attached {
                interface: interface.clone(),
                index,
                attach: Attach::Native,
                program: 1,
            });
        Ok(attached.collect())
    }

    fn detach(&mut self, interface: &str) {
        self.on.remove(interface);
    }
}

impl Memory {
    /// Empty tables of these sizes, at the moment 0, in observe.
    #[must_use]
    pub fn new(sizes: &Sizes) -> Self {
        let mut lines = Vec::new();
        lines.resize_with(sizes.lines() as usize, Line::default);
        let mut handshakes = Vec::new();
        handshakes.resize_with(handshake::WORDS as usize, Word::default);
        Self {
            settings: Settings::default(),
            ports: BTreeMap::new(),
            scopes: Vec::new(),
            services: [Service::default(); MAX_SERVICES],
            tiers: BTreeMap::new(),
            entries: BTreeMap::new(),
            used: HashMap::new(),
            sizes: *sizes,
            seed: Seed {
                key: [0; 4],
                reach: [0; CLASSES],
                shifts: [0; CLASSES],
                lines: sizes.lines(),
            },
            lines,
            handshakes,
            laid: Value::default(),
            usage: Value::default(),
            merges: false,
            now: Now::default(),
            counts: Counts::default(),
            sketches: [Sketch::NEW; Cause::COUNT],
            shadow_sketches: [Sketch::NEW; Cause::COUNT],
            sampler: Sampler::NEW,
            events: Vec::new(),
            interfaces: Interfaces::default(),
        }
    }

    /// Says which interfaces take no program.
    pub fn set_refusing(&mut self, interfaces: impl IntoIterator<Item = String>) {
        self.interfaces.refusing = interfaces.into_iter().collect();
    }

    /// The interfaces that the filter is on.
    pub fn interfaces(&self) -> impl Iterator<Item = &str> {
        self.interfaces.on.iter().map(String::as_str)
    }

    /// Every entry of the verdict tables.
    pub fn entries(&self) -> impl Iterator<Item = (&Prefix, &Entry)> {
        self.entries.iter()
    }

    /// The settings in force.
    #[must_use]
    pub const fn settings_in_force(&self) -> &Settings {
        &self.settings
    }

    /// Sets the clocks: monotonic nanoseconds, and seconds since boot.
    pub const fn set_time(&mut self, nanoseconds: u64, boot_seconds: u32) {
        self.now = Now {
            nanoseconds,
            boot_seconds,
        };
    }

    /// Sets the key that buckets are found by.
    pub const fn set_key(&mut self, key: [u64; 4]) {
        self.seed.key = key;
    }

    /// Says whether frames may be many packets merged into one.
    pub const fn set_merging(&mut self, merges: bool) {
        self.merges = merges;
    }

    /// Judges a frame and charges its buckets, as the program `trial` does.
    pub fn trial(&self, frame: &[u8]) -> Decision {
        judge(frame, self, &self.now).1
    }

    /// What the attached program does with a frame: judges, charges, counts and
    /// tells.
    pub fn filter(&mut self, frame: &[u8]) -> Decision {
        let (packet, decision) = judge(frame, self, &self.now);
        let would_drop = decision.would_drop();
        let cause = usize::from(decision.cause);
        self.counts.causes[cause].add(&packet, would_drop, decision.drops());
        if would_drop {
            self.sketches[cause].add(&packet.source);
            self.tell(&packet, &decision);
        }
        if decision.shadow != Decision::NO_SHADOW {
            let drops = decision.shadow_drops();
            let cause = usize::from(decision.shadow);
            self.counts.shadow[cause].add(&packet, drops, drops);
            if drops {
                self.shadow_sketches[cause].add(&packet.source);
            }
        }
        decision
    }

    /// The events since they were last taken.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    fn tell(&mut self, packet: &Packet, decision: &Decision) {
        let telling = self.sampler.tell(&packet.source, &self.settings, &self.now);
        if telling.send {
            let event = Event::new(packet, decision, &self.settings, 0, &telling);
            self.events.push(event);
            self.sampler.sent(&telling);
        }
    }

    fn write(&mut self, prefix: Prefix, entry: Option<Entry>) -> Result<(), String> {
        let table = (prefix.family(), prefix.is_address());
        let used = self.used.entry(table).or_default();
        let Some(entry) = entry else {
            if self.entries.remove(&prefix).is_some() {
                *used -= 1;
            }
            return Ok(());
        };
        let room = match prefix.family() {
            Family::V4 => self.sizes.ipv4,
            Family::V6 => self.sizes.ipv6,
        };
        let known = self.entries.contains_key(&prefix);
        if !known && *used == room {
            return Err(format!("the table holds {room} and is full"));
        }
        *used += u32::from(!known);
        self.entries.insert(prefix, entry);
        Ok(())
    }

    fn scope(&self, kind: u8, protocol: u8, port: u16, address: &Address) -> u8 {
        let asked = Prefix::of(*address);
        let fits = |scope: &&Scope| {
            scope.key.kind == kind
                && scope.key.protocol == protocol
                && scope.key.port == port.to_be_bytes()
                && scope.key.family[0] == address.family as u8
                && scope.key.address == asked.widened((scope.bits - ScopeKey::BITS) as u8).octets()
        };
        self.scopes
            .iter()
            .filter(fits)
            .max_by_key(|scope| scope.bits)
            .map_or(0, |scope| scope.value)
    }
}

impl Datapath for Memory {
    fn configure(&mut self, plan: &Plan) -> Result<()> {
        let ports = plan.ports.iter();
        self.ports = ports
            .map(|(protocol, port, meaning)| ((*protocol, *port), *meaning))
            .collect();
        self.scopes.clone_from(&plan.scopes);
        self.services = [Service::default(); MAX_SERVICES];
        for (number, service) in &plan.services {
            self.services[usize::from(*number)] = *service;
        }
        self.seed.shifts = plan.shifts;
        self.seed.reach = plan.reach;
        for (service, tier, rates) in plan.tiers_in_ticks() {
            self.tiers.insert((service, tier), rates);
        }
        Ok(())
    }

    fn set(&mut self, settings: &Settings) -> Result<()> {
        self.settings = *settings;
        Ok(())
    }

    fn apply(&mut self, patch: &Patch) -> Vec<(Prefix, String)> {
        patch
            .iter()
            .filter_map(|(prefix, entry)| Some((prefix, self.write(prefix, entry).err()?)))
            .collect()
    }

    fn seal(&mut self) -> bool {
        false
    }

    fn release(&mut self) {}

    fn explain(&mut self, frame: &[u8]) -> Result<Decision> {
        Ok(judge(frame, &Peek::at(self), &self.now).1)
    }

    fn counts(&self) -> Result<Counts> {
        Ok(Counts {
            sources: self.sketches.map(|sketch| sources([&sketch])),
            shadow_sources: self.shadow_sketches.map(|sketch| sources([&sketch])),
            sent: self.sampler.sent,
            suppressed: self.sampler.suppressed,
            lost: self.sampler.lost,
            untold: self.sampler.untold,
            buckets: self.usage.get(),
            ..self.counts.clone()
        })
    }

    fn hits(&self, _claim: u32) -> Option<u64> {
        None
    }

    fn forget_hits(&self, _claim: u32) {}

    fn fill(&self, family: Family) -> Fill {
        let prefixes = |addresses| self.used.get(&(family, addresses)).copied().unwrap_or(0);
        let capacity = match family {
            Family::V4 => self.sizes.ipv4,
            Family::V6 => self.sizes.ipv6,
        };
        Fill {
            prefixes: u64::from(prefixes(false)) + u64::from(prefixes(true)),
            capacity: u64::from(capacity),
            used: 0,
            room: 0,
        }
    }

    fn bucket(&self, key: &BucketKey) -> Result<(Place, Line<Still>)> {
        let place = self.seed.place(key);
        let line = self.line(place.line).context("there is no such line")?;
        Ok((
            place,
            Line(std::array::from_fn(|word| Still(line.0[word].load()))),
        ))
    }

    async fn check(&self, interface: &str) -> Result<()> {
        self.interfaces.check(interface)
    }

    async fn attach(
        &mut self,
        interfaces: &[String],
        _wish: config::Attach,
    ) -> Result<Vec<Attached>> {
        self.interfaces.attach(interfaces)
    }

    async fn detach(&mut self, attached: &Attached) -> Result<()> {
        self.interfaces.detach(&attached.interface);
        Ok(())
    }

    async fn holds(&self, attached: &Attached) -> Result<bool> {
        Ok(self.interfaces.on.contains(&attached.interface))
    }
}

impl Tables for Memory {
    type Cell = Word;

    fn settings(&self) -> Settings {
        self.settings
    }

    fn port(&self, protocol: u8, port: u16) -> Port {
        let known = self.ports.get(&(protocol, port));
        known.copied().unwrap_or_default()
    }

    fn protects(&self, protocol: u8, port: u16, source: &Address) -> bool {
        self.scope(ScopeKey::SOURCES, protocol, port, source) != 0
    }

    fn service_at(&self, protocol: u8, port: u16, destination: &Address) -> u8 {
        self.scope(ScopeKey::DESTINATIONS, protocol, port, destination)
    }

    fn standing<C: Clock>(&self, source: &Address, clock: &C) -> Standing {
        let address = Prefix::of(*source);
        (0..=address.length())
            .rev()
            .find_map(|length| self.entries.get(&address.widened(length)))
            .map_or(Standing::NONE, |entry| entry.standing(clock))
    }

    fn service(&self, service: u8) -> Option<&Service> {
        self.services.get(usize::from(service))
    }

    fn tier(&self, service: u8, tier: u8) -> Option<&Tier> {
        // A table of the kernel has an element for every tier that can be.
        Some(self.tiers.get(&(service, tier)).unwrap_or(&Tier::NONE))
    }

    fn seed(&self) -> Option<&Seed> {
        Some(&self.seed)
    }

    fn line(&self, line: u32) -> Option<&Line<Word>> {
        self.lines.get(line as usize)
    }

    fn lay(&self, handshake: Handshake) {
        self.laid.set(handshake);
    }

    fn laid(&self) -> Handshake {
        self.laid.get()
    }

    fn handshake(&self, at: u32) -> Option<&Word> {
        self.handshakes.get(at as usize)
    }

    fn note(&self, notes: Notes) {
        let mut usage = self.usage.get();
        usage.add(notes);
        self.usage.set(usage);
    }

    fn merges(&self) -> bool {
        self.merges
    }
}

/// A word of a bucket.
#[derive(Debug, Default)]
pub struct Word(AtomicU64);

impl Cell for Word {
    fn load(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn replace(&self, old: u64, new: u64) -> bool {
        self.0
            .compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }
}

/// A moment.
#[derive(Clone, Copy, Default)]
struct Now {
    nanoseconds: u64,
    boot_seconds: u32,
}

impl Clock for Now {
    fn nanoseconds(&self) -> u64 {
        self.nanoseconds
    }

    fn boot_seconds(&self) -> u32 {
        self.boot_seconds
    }
}

#[cfg(test)]
mod tests;
