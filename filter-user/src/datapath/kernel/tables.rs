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
    verdict::Entry,
};

/// Every map that the daemon reads and writes.
pub(super) struct Tables {
    pub(super) settings: Array<MapData, Settings>,
    pub(super) ports: Array<MapData, Port>,
    pub(super) scopes: LpmTrie<MapData, ScopeKey, u32>,
    pub(super) services: Array<MapData, Service>,
    pub(super) tiers: Array<MapData, Tier>,
    pub(super) merging: HashMap<MapData, u32, u32>,
    pub(super) v4_exact: HashMap<MapData, u32, Entry>,
    pub(super) v4_wide: LpmTrie<MapData, [u8; 4], Entry>,
    pub(super) v6_exact: HashMap<MapData, [u64; 2], Entry>,
    pub(super) v6_wide: LpmTrie<MapData, [u8; 16], Entry>,
    pub(super) seeds: Array<MapData, Seed>,
    pub(super) buckets: Array<MapData, [u64; WAYS]>,
    pub(super) counters: PerCpuArray<MapData, Counter>,
    pub(super) samplers: PerCpuArray<MapData, Sampler>,
    pub(super) sketches: PerCpuArray<MapData, Sketch>,
    pub(super) usage: PerCpuArray<MapData, Usage>,
}

impl Tables {
    /// Takes them out of the loaded object.
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self> {
        Ok(Self {
            settings: take(ebpf, "SETTINGS")?,
            ports: take(ebpf, "PORTS")?,
            scopes: take(ebpf, "SCOPES")?,
            services: take(ebpf, "SERVICES")?,
            tiers: take(ebpf, "TIERS")?,
            merging: take(ebpf, "MERGING")?,
            v4_exact: take(ebpf, "V4_EXACT")?,
            v4_wide: take(ebpf, "V4_WIDE")?,
            v6_exact: take(ebpf, "V6_EXACT")?,
            v6_wide: take(ebpf, "V6_WIDE")?,
            seeds: take(ebpf, "SEEDS")?,
            buckets: take(ebpf, "BUCKETS")?,
            counters: take(ebpf, "COUNTERS")?,
            samplers: take(ebpf, "SAMPLERS")?,
            sketches: take(ebpf, "SKETCHES")?,
            usage: take(ebpf, "USAGE")?,
        })
    }
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
