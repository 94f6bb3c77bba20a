//! The kernel's datapath: the object loaded, its maps taken once and typed.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf, EbpfLoader, include_bytes_aligned,
    maps::{MapData, MapError, RingBuf, lpm_trie::Key},
    programs::{ProgramError, TestRun as _, TestRunOptions, Xdp},
};
use filter_common::{
    abi::{self, Preamble, ScopeKey},
    bucket::{BucketKey, CLASSES, Line, Place, Seed},
    cause::Cause,
    decide::Decision,
    event::HITS,
    rate::Still,
    settings::{MAX_SERVICES, Port, Service, Settings},
    source::Family,
};

use rustix::rand::{GetRandomFlags, getrandom};

use self::tables::{Tables, take};
use std::sync::atomic::Ordering::Relaxed;

use filter_core::{
    datapath::{Attached, sources, sum},
    table::{Fill, Shape},
};

use super::{Counts, Datapath, attach, pins::Pins};

pub use super::Sizes;
use crate::{
    config,
    patch::Patch,
    plan::{Plan, Scope},
    prefix::Prefix,
};

mod grace;
mod mapping;
mod tables;
mod verdicts;

pub use grace::grace;
use mapping::Mapping;

/// The loaded programs and their maps.
pub struct Kernel {
    ebpf: Ebpf,
    tables: Tables,
    seed: Seed,
    /// The plan in force, so that what left it can be removed.
    ports: BTreeSet<u32>,
    scopes: BTreeSet<(ScopeKey, u32)>,
    /// Where links are pinned; `None`: nothing is attached by this one.
    pins: Option<Pins>,
}

impl Kernel {
    /// Loads the object with fresh maps. Nothing is attached, nothing pinned.
    ///
    /// # Errors
    /// If the kernel refuses a map or a program. What the verifier said then
    /// goes to `verifier_log`, if one is given, and its path into the message.
    pub fn load(sizes: &Sizes, verifier_log: Option<&Path>) -> Result<Self> {
        Self::load_pinned(sizes, verifier_log, None)
    }

    /// The same, with the maps pinned in a folder of the BPF file system.
    ///
    /// # Errors
    /// As [`load`](Self::load), and if the folder doesn't take them.
    pub fn load_pinned(
        sizes: &Sizes,
        verifier_log: Option<&Path>,
        pins: Option<&Path>,
    ) -> Result<Self> {
        ensure!(
            !OBJECT.is_empty(),
            "this build has no kernel side (AYA_BUILD_SKIP was set): build it again without"
        );
        let shape = Shape {
            ipv4: sizes.ipv4,
            ipv6: sizes.ipv6,
        };
        let mut ebpf = EbpfLoader::new()
            .map_max_entries("V4_GROUPS", shape.groups())
            .map_max_entries("V4_LINES", 2 * shape.lines())
            .map_max_entries("V6_SIEVES", 2 * shape.prefilter())
            .map_max_entries("V6_NODES", 2 * shape.nodes())
            .map_max_entries("TIMELINES", shape.quads())
            .map_max_entries("HITS", shape.hits())
            .map_max_entries("BUCKETS", sizes.lines())
            .load(OBJECT)
            .context("creating the maps")?;
        for name in ["filter", "explain"] {
            load_program(&mut ebpf, name, verifier_log)?;
        }
        for name in pins.iter().flat_map(|_| PINNED) {
            let map = ebpf
                .map(name)
                .with_context(|| format!("the object has no map {name}"))?;
            let path = pins
                .expect("there is one to be here")
                .join(name.to_ascii_lowercase());
            map.pin(&path)
                .with_context(|| format!("pinning the map {name}"))?;
        }
        let tables = Tables::take(&mut ebpf, &shape)?;
        let mut kernel = Self {
            ebpf,
            tables,
            seed: Seed {
                key: random()?,
                reach: [0; CLASSES],
                shifts: [0; CLASSES],
                lines: sizes.lines(),
            },
            ports: BTreeSet::new(),
            scopes: BTreeSet::new(),
            pins: None,
        };
        kernel.sow()?;
        Ok(kernel)
    }

    /// Loads the test entry too.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_trial(&mut self) -> Result<()> {
        load_program(&mut self.ebpf, "trial", None)
    }

    /// Attaches by links that are pinned here.
    pub fn hold(&mut self, pins: Pins) {
        self.pins = Some(pins);
    }

    /// Takes the filter off every interface but these, and pins what is in force under
    /// its name, in the place of an earlier daemon's.
    ///
    /// # Errors
    /// If the BPF file system refuses. The filter is in force all the same.
    pub fn settle(&mut self, interfaces: &[String]) -> Result<()> {
        let pins = self.pins.take().context("nothing is pinned")?;
        let settled = settle(&pins, self, interfaces);
        self.pins = Some(pins);
        settled
    }

    /// The program that is attached to interfaces.
    ///
    /// # Errors
    /// If the object has none.
    pub fn filter(&mut self) -> Result<&mut Xdp> {
        program(&mut self.ebpf, "filter")
    }

    /// Pins the programs in a folder of the BPF file system.
    ///
    /// # Errors
    /// If the folder doesn't take them.
    pub fn pin_programs(&mut self, folder: &Path) -> Result<()> {
        for name in ["filter", "explain"] {
            program(&mut self.ebpf, name)?
                .pin(folder.join(name))
                .with_context(|| format!("pinning the program {name}"))?;
        }
        Ok(())
    }

    /// The key that the buckets are found by: for a model of these tables.
    #[must_use]
    pub const fn key(&self) -> [u64; 4] {
        self.seed.key
    }

    /// Writes what the buckets are found by.
    fn sow(&mut self) -> Result<()> {
        let trial = Seed {
            lines: abi::TRIAL_LINES,
            ..self.seed
        };
        for (index, seed) in [(abi::LIVE_SEED, self.seed), (abi::TRIAL_SEED, trial)] {
            let written = self.tables.seeds.set(index, seed, 0);
            written.context("writing what buckets are found by")?;
        }
        Ok(())
    }

    /// The loaded object, for what isn't a table: the programs and the log.
    pub const fn object(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// The events, once: whoever takes them reads them.
    ///
    /// # Errors
    /// If they were taken before.
    pub fn take_events(&mut self) -> Result<RingBuf<MapData>> {
        take(&mut self.ebpf, "EVENTS")
    }

    /// Tells the filter whether frames of an interface may be many packets
    /// merged into one: so it is in generic mode.
    ///
    /// # Errors
    /// If the table is full.
    pub fn set_merging(&mut self, interface: u32, merges: bool) -> Result<()> {
        if merges {
            self.tables.merging.insert(interface, 1, 0)?;
        } else {
            absent_is_fine(self.tables.merging.remove(&interface))?;
        }
        Ok(())
    }

    /// Judges a frame by a program that is run by `BPF_PROG_TEST_RUN`:
    /// `explain`, or `trial` at the time of the preamble.
    ///
    /// # Errors
    /// If the program isn't loaded or can't be run.
    pub fn run(&mut self, name: &str, preamble: &Preamble, frame: &[u8]) -> Result<Decision> {
        let mut input = Vec::with_capacity(size_of::<Preamble>() + frame.len());
        input.extend_from_slice(&preamble.nanoseconds.to_ne_bytes());
        input.extend_from_slice(&preamble.boot_seconds.to_ne_bytes());
        input.extend_from_slice(&preamble.merges.to_ne_bytes());
        input.resize(size_of::<Preamble>(), 0);
        input.extend_from_slice(frame);
        let mut output = vec![0; input.len()];
        let result = program(&mut self.ebpf, name)?
            .test_run(TestRunOptions {
                data_in: Some(&input),
                data_out: Some(&mut output),
                ..TestRunOptions::default()
            })
            .with_context(|| format!("running the program {name}"))?;
        let decision = decision(&output)?;
        ensure!(
            result.return_value == u32::from(decision.cause),
            "the program {name} returned {} and wrote cause {}",
            result.return_value,
            decision.cause
        );
        Ok(decision)
    }

    /// Runs the attached program itself on a frame, counters and events
    /// included, and gives back its action as XDP numbers it.
    ///
    /// # Errors
    /// If the program can't be run.
    pub fn run_filter(&mut self, frame: &[u8]) -> Result<u32> {
        let result = self
            .filter()?
            .test_run(TestRunOptions {
                data_in: Some(frame),
                ..TestRunOptions::default()
            })
            .context("running the program filter")?;
        Ok(result.return_value)
    }
}

impl Datapath for Kernel {
    fn configure(&mut self, plan: &Plan) -> Result<()> {
        // Ticks, tiers and services first, so that no port leads to one that
        // isn't there.
        self.seed.shifts = plan.shifts;
        self.seed.reach = plan.reach;
        self.sow()?;
        for (service, tier, rates) in plan.tiers_in_ticks() {
            self.tables
                .tiers
                .set(abi::tier_index(service, tier), rates, 0)?;
        }
        for number in 0..MAX_SERVICES as u8 {
            let service = plan.services.iter().find(|(known, _)| *known == number);
            let service = service.map_or_else(Service::default, |(_, service)| *service);
            self.tables.services.set(u32::from(number), service, 0)?;
        }
        // What may be there is remembered before it is written, so that a write
        // that fails leaves nothing behind that nobody knows of.
        let scope = |scope: &Scope| (scope.key, scope.bits);
        let scopes: BTreeSet<_> = plan.scopes.iter().map(scope).collect();
        self.scopes.extend(&scopes);
        for scope in &plan.scopes {
            let key = Key::new(scope.bits, scope.key);
            self.tables
                .scopes
                .insert(&key, u32::from(scope.value), 0)
                .context("the table of ports by address is full")?;
        }
        let index = |(protocol, port, _): &(u8, u16, Port)| abi::port_index(*protocol, *port);
        let ports: BTreeSet<_> = plan.ports.iter().map(index).collect();
        self.ports.extend(&ports);
        for port in &plan.ports {
            self.tables.ports.set(index(port), port.2, 0)?;
        }
        for index in self.ports.difference(&ports) {
            self.tables.ports.set(*index, Port::default(), 0)?;
        }
        for (key, bits) in self.scopes.difference(&scopes) {
            absent_is_fine(self.tables.scopes.remove(&Key::new(*bits, *key)))?;
        }
        self.ports = ports;
        self.scopes = scopes;
        Ok(())
    }

    fn set(&mut self, settings: &Settings) -> Result<()> {
        self.tables
            .settings
            .set(0, settings, 0)
            .context("writing the settings")
    }

    fn apply(&mut self, patch: &Patch) -> Vec<(Prefix, String)> {
        self.tables.verdicts.apply(patch)
    }

    fn seal(&mut self) -> bool {
        self.tables.verdicts.seal()
    }

    fn release(&mut self) {
        self.tables.verdicts.release();
    }

    fn explain(&mut self, frame: &[u8]) -> Result<Decision> {
        self.run("explain", &Preamble::default(), frame)
    }

    fn counts(&self) -> Result<Counts> {
        let mut counts = Counts::default();
        for cause in Cause::ALL {
            let code = cause as u8;
            let enforced = self.tables.counters.get(&abi::counter(code), 0)?;
            counts.causes[usize::from(code)] = sum(enforced.iter());
            let shadow = self.tables.counters.get(&abi::shadow_counter(code), 0)?;
            counts.shadow[usize::from(code)] = sum(shadow.iter());
            let enforced = self.tables.sketches.get(&abi::counter(code), 0)?;
            counts.sources[usize::from(code)] = sources(enforced.iter());
            let shadow = self.tables.sketches.get(&abi::shadow_counter(code), 0)?;
            counts.shadow_sources[usize::from(code)] = sources(shadow.iter());
        }
        for sampler in self.tables.samplers.get(&0, 0)?.iter() {
            counts.sent += sampler.sent;
            counts.suppressed += sampler.suppressed;
            counts.lost += sampler.lost;
            counts.untold += sampler.untold;
        }
        for usage in self.tables.usage.get(&0, 0)?.iter() {
            counts.buckets += *usage;
        }
        Ok(counts)
    }

    fn hits(&self, claim: u32) -> Option<u64> {
        let pair = self.tables.hits.get(claim as usize / 2)?.load(Relaxed);
        let counted = (pair >> (claim % 2 * 32)) as u32;
        Some(u64::from(counted) * HITS)
    }

    fn forget_hits(&self, claim: u32) {
        if let Some(pair) = self.tables.hits.get(claim as usize / 2) {
            pair.fetch_and(u64::from(u32::MAX) << ((claim + 1) % 2 * 32), Relaxed);
        }
    }

    fn fill(&self, family: Family) -> Fill {
        self.tables.verdicts.fill(family)
    }

    fn bucket(&self, key: &BucketKey) -> Result<(Place, Line<Still>)> {
        let place = self.seed.place(key);
        let words = self.tables.buckets.get(&place.line, 0);
        let words = words.context("reading a bucket")?;
        Ok((place, Line(words.map(Still))))
    }

    async fn check(&self, interface: &str) -> Result<()> {
        let pins = self.pins.as_ref().context("nothing is pinned")?;
        attach::check(pins, interface).await.map(drop)
    }

    async fn attach(
        &mut self,
        interfaces: &[String],
        wish: config::Attach,
    ) -> Result<Vec<Attached>> {
        let pins = self.pins.take().context("nothing is pinned")?;
        let attached = attach::attach_all(self, &pins, interfaces, wish).await;
        self.pins = Some(pins);
        attached
    }

    async fn detach(&mut self, attached: &Attached) -> Result<()> {
        let pins = self.pins.as_ref().context("nothing is pinned")?;
        pins.detach(&attached.interface)?;
        attach::off(&attached.interface, attached.program).await
    }

    async fn holds(&self, attached: &Attached) -> Result<bool> {
        let seen = attach::see(&attached.interface).await?;
        Ok(seen
            .program
            .is_some_and(|(program, _)| program == attached.program))
    }
}

fn settle(pins: &Pins, kernel: &mut Kernel, interfaces: &[String]) -> Result<()> {
    for layout in pins.other_layouts()? {
        tracing::info!(
            layout,
            "another version of weir left its filter: it is gone now"
        );
    }
    for interface in pins.interfaces()? {
        if !interfaces.contains(&interface) {
            pins.detach(&interface)?;
            tracing::info!(
                interface,
                "the filter is off: the configuration doesn't name it"
            );
        }
    }
    pins.settle(kernel)
}

/// The maps that are pinned, by name. (Events, log and scratch aren't: they
/// mean nothing to another process.)
pub const PINNED: [&str; 21] = [
    "SETTINGS",
    "PORTS",
    "SCOPES",
    "SERVICES",
    "TIERS",
    "MERGING",
    "FORCE",
    "V4_GROUPS",
    "V4_LINES",
    "V6_SIEVES",
    "V6_NODES",
    "TIMELINES",
    "HITS",
    "BUCKETS",
    "HANDSHAKES",
    "SEEDS",
    "USAGE",
    "COUNTERS",
    "SAMPLERS",
    "SKETCHES",
    "EVENTS",
];

/// Numbers that nobody can guess.
fn random() -> Result<[u64; 4]> {
    let mut bytes = [0; 32];
    let filled = getrandom(&mut bytes, GetRandomFlags::empty()).context("asking for randomness")?;
    ensure!(
        filled == bytes.len(),
        "the kernel gave too little randomness"
    );
    let (words, _rest) = bytes.as_chunks();
    Ok(std::array::from_fn(|word| u64::from_ne_bytes(words[word])))
}

fn load_program(ebpf: &mut Ebpf, name: &str, verifier_log: Option<&Path>) -> Result<()> {
    let mut loaded = program(ebpf, name)?.load();
    // A signal makes the verifier give up: then it is asked again.
    for _ in 1..LOADS {
        if !loaded.as_ref().is_err_and(is_interrupted) {
            break;
        }
        loaded = program(ebpf, name)?.load();
    }
    let Err(error) = loaded else {
        return Ok(());
    };
    if let ProgramError::LoadError {
        io_error,
        verifier_log: said,
    } = &error
        && let Some(path) = verifier_log
    {
        std::fs::write(path, said.to_string())
            .with_context(|| format!("keeping the verifier's log in {}", path.display()))?;
        anyhow::bail!(
            "the kernel refused the program {name}: {io_error} (what its verifier said is in {})",
            path.display()
        );
    }
    Err(error).with_context(|| format!("the kernel refused the program {name}"))
}

fn is_interrupted(error: &ProgramError) -> bool {
    matches!(error, ProgramError::LoadError { io_error, .. }
        if io_error.kind() == std::io::ErrorKind::WouldBlock)
}

/// How often a program is loaded that signals interrupt, as libbpf does it.
const LOADS: u32 = 5;

fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Xdp> {
    ebpf.program_mut(name)
        .with_context(|| format!("the object has no program {name}"))?
        .try_into()
        .with_context(|| format!("the program {name} isn't an XDP program"))
}

fn absent_is_fine(removed: Result<(), MapError>) -> Result<(), MapError> {
    match removed {
        Err(MapError::KeyNotFound) => Ok(()),
        Err(MapError::SyscallError(error))
            if error.io_error.kind() == std::io::ErrorKind::NotFound =>
        {
            Ok(())
        }
        other => other,
    }
}

/// The decision at the beginning of the output of a test run.
///
/// # Errors
/// If the output is shorter.
pub fn decision(output: &[u8]) -> Result<Decision> {
    let bytes = output
        .first_chunk::<{ size_of::<Decision>() }>()
        .context("the program gave back less than a decision")?;
    let word =
        |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    Ok(Decision {
        claim: word(0),
        shadow_claim: word(4),
        cause: bytes[8],
        action: bytes[9],
        verdict: bytes[10],
        service: bytes[11],
        tier: bytes[12],
        level: bytes[13],
        shadow: bytes[14],
        shadow_tier: bytes[15],
    })
}

/// The kernel side as it was built: a BPF object file. Empty in a build without
/// one (`AYA_BUILD_SKIP`).
pub static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/weir-ebpf"));
