//! The maps of the kernel's datapath, each with its type.

use anyhow::{Context as _, Result};
use aya::{
    Ebpf,
    maps::{Array, HashMap, LpmTrie, Map, MapData, MapError, PerCpuArray},
};
use filter_common::{
    abi::ScopeKey,
    bucket::{Seed, Usage, WAYS},
    event::{Counter, Sampler, Sketch},
    rate::Tier,
    settings::{Port, Service, Settings},
    table::{QUAD, active, ipv4::LINE, ipv6::NODE},
};

use super::{Mapping, grace::grace};
use crate::datapath::table::{Shape, Storage, Table};

/// Every map that the daemon reads and writes.
pub(super) struct Tables {
    pub(super) settings: Array<MapData, Settings>,
    pub(super) ports: Array<MapData, Port>,
    pub(super) scopes: LpmTrie<MapData, ScopeKey, u32>,
    pub(super) services: Array<MapData, Service>,
    pub(super) tiers: Array<MapData, Tier>,
    pub(super) merging: HashMap<MapData, u32, u32>,
    pub(super) verdicts: Table<Mapping>,
    /// Two claims' hits to a word.
    pub(super) hits: Mapping,
    pub(super) seeds: Array<MapData, Seed>,
    pub(super) buckets: Array<MapData, [u64; WAYS]>,
    pub(super) counters: PerCpuArray<MapData, Counter>,
    pub(super) samplers: PerCpuArray<MapData, Sampler>,
    pub(super) sketches: PerCpuArray<MapData, Sketch>,
    pub(super) usage: PerCpuArray<MapData, Usage>,
}

impl Tables {
    /// Takes them out of the loaded object.
    pub(super) fn take(ebpf: &mut Ebpf, shape: &Shape) -> Result<Self> {
        Ok(Self {
            settings: take(ebpf, "SETTINGS")?,
            ports: take(ebpf, "PORTS")?,
            scopes: take(ebpf, "SCOPES")?,
            services: take(ebpf, "SERVICES")?,
            tiers: take(ebpf, "TIERS")?,
            merging: take(ebpf, "MERGING")?,
            hits: mapping(ebpf, "HITS", shape.hits() as usize)?,
            verdicts: verdicts(ebpf, shape)?,
            seeds: take(ebpf, "SEEDS")?,
            buckets: take(ebpf, "BUCKETS")?,
            counters: take(ebpf, "COUNTERS")?,
            samplers: take(ebpf, "SAMPLERS")?,
            sketches: take(ebpf, "SKETCHES")?,
            usage: take(ebpf, "USAGE")?,
        })
    }
}

/// The verdict tables, in the memory of their maps.
fn verdicts(ebpf: &mut Ebpf, shape: &Shape) -> Result<Table<Mapping>> {
    let mut map = |name, words| mapping(ebpf, name, words);
    let storage = Storage::of([
        map("FORCE", active::WORDS)?,
        map("V4_GROUPS", shape.groups() as usize)?,
        map("V4_LINES", 2 * shape.lines() as usize * LINE)?,
        map("V6_SIEVES", 2 * shape.prefilter() as usize)?,
        map("V6_NODES", 2 * shape.nodes() as usize * NODE)?,
        map("TIMELINES", shape.quads() as usize * QUAD)?,
    ]);
    Ok(Table::new(storage, shape, grace))
}

/// Maps an array into memory.
fn mapping(ebpf: &mut Ebpf, name: &str, words: usize) -> Result<Mapping> {
    let map: MapData = match ebpf.take_map(name) {
        Some(Map::Array(map)) => map,
        _ => anyhow::bail!("the object has no array {name}"),
    };
    Mapping::of(map, words).with_context(|| format!("the map {name}"))
}

/// Takes one map of a kind.
pub(super) fn take<M>(ebpf: &mut Ebpf, name: &str) -> Result<M>
where
    M: TryFrom<Map, Error = MapError>,
{
    let map = ebpf
        .take_map(name)
        .with_context(|| format!("the object has no map {name}"))?;
    M::try_from(map).with_context(|| format!("the map {name} is of another kind"))
}
