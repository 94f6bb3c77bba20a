//! The bench's programs on weir's maps.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result, bail, ensure};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, Map, MapData, PerCpuArray},
    programs::{ProgramError, TestRun as _, TestRunOptions, Xdp, XdpMode},
};
use bench_ebpf::Draw;
use weir::datapath::{kernel::Kernel, pins::Pins};

use crate::{
    edge::{self, End},
    flood::{frame, with_checksum},
    lane::Lane,
};

pub(crate) struct Programs {
    ebpf: Ebpf,
    loaded: HashSet<String>,
    folder: PathBuf,
}

/// How much the peer's maps hold.
#[derive(Clone, Copy, Default)]
pub(crate) struct PeerSizes {
    pub(crate) ipv4: u32,
    pub(crate) ipv6: u32,
}

impl Programs {
    /// Loads the object with weir's maps in place of its own. If `draws`, each
    /// program draws its sources itself.
    pub(crate) fn load(
        object: &Path,
        kernel: &mut Kernel,
        peer: PeerSizes,
        draws: bool,
    ) -> Result<Self> {
        static LOADED: AtomicU32 = AtomicU32::new(0);
        let number = LOADED.fetch_add(1, Ordering::Relaxed);
        // By pins: it is how an object is given maps that are there already.
        let _mounted = Pins::open(&edge::pins())?;
        let folder = edge::pins().join(format!("programs{number}"));
        fs::create_dir(&folder).context("making a folder for pins")?;
        let names = pin(kernel, &folder)?;
        let mut loader = EbpfLoader::new();
        for name in &names {
            loader.map_pin_path(name, folder.join(name));
        }
        let draws = u32::from(draws);
        let ebpf = loader
            .override_global("DRAWS", &draws, true)
            .map_max_entries("PEER_V4", peer.ipv4.max(1))
            .map_max_entries("PEER_V4_WIDE", peer.ipv4.max(1))
            .map_max_entries("PEER_V6", peer.ipv6.max(1))
            .map_max_entries("PEER_V6_WIDE", peer.ipv6.max(1))
            .map_max_entries("PEER_BUCKETS", crate::filled::BUCKETS)
            .load_file(object)
            .context("creating the maps of the bench's programs")?;
        Ok(Self {
            ebpf,
            loaded: HashSet::new(),
            folder,
        })
    }

    /// Puts a program at a lane's end.
    pub(crate) fn attach(&mut self, name: &str, lane: &Lane) -> Result<()> {
        let program = self.program(name)?;
        End::Host
            .enter(|| Ok(program.attach(&lane.name, XdpMode::Driver)?))
            .with_context(|| format!("attaching {name}"))?;
        lane.pin()
    }

    /// Runs a program so often on sources that it draws itself, and gives the
    /// nanoseconds of one run.
    pub(crate) fn run(&mut self, name: &str, draw: &Draw, times: u32) -> Result<f64> {
        self.array("DRAW")?
            .set(0, with_checksum(*draw).words(), 0)?;
        let frame = frame(draw.family, [0; 6]);
        let result = self
            .program(name)?
            .test_run(TestRunOptions {
                data_in: Some(&frame),
                repeat: times,
                ..TestRunOptions::default()
            })
            .with_context(|| format!("running {name}"))?;
        Ok(result.duration.as_nanos() as f64)
    }

    /// What a map of two numbers a CPU has come to, over all CPUs.
    pub(crate) fn pair(&self, map: &str, index: u32) -> Result<[u64; 2]> {
        let map = self
            .ebpf
            .map(map)
            .with_context(|| format!("no map {map}"))?;
        let pairs = PerCpuArray::<_, [u64; 2]>::try_from(map)?;
        let values = pairs.get(&index, 0)?;
        Ok(values
            .iter()
            .fold([0, 0], |sum, pair| [sum[0] + pair[0], sum[1] + pair[1]]))
    }

    /// A map, to be filled.
    pub(crate) fn map(&mut self, name: &str) -> Result<&mut Map> {
        self.ebpf
            .map_mut(name)
            .with_context(|| format!("no map {name}"))
    }

    fn array(&mut self, name: &str) -> Result<Array<&mut MapData, [u32; Draw::WORDS]>> {
        Ok(self.map(name)?.try_into()?)
    }

    fn program(&mut self, name: &str) -> Result<&mut Xdp> {
        let program: &mut Xdp = self
            .ebpf
            .program_mut(name)
            .with_context(|| format!("no program {name}"))?
            .try_into()?;
        if self.loaded.insert(name.to_owned()) {
            match program.load() {
                Err(ProgramError::LoadError {
                    io_error,
                    verifier_log,
                }) => bail!(
                    "the kernel refused {name}: {io_error}; its last words: {}",
                    last_words(&verifier_log.to_string())
                ),
                other => other.with_context(|| format!("loading {name}"))?,
            }
        }
        Ok(program)
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("bench: {} stays: {error}", self.folder.display());
        }
    }
}

/// Pins the maps that the filter uses, whatever they are, under their names.
fn pin(kernel: &mut Kernel, folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for id in map_ids(kernel)? {
        let map = MapData::from_id(id).context("opening a map")?;
        let info = map.info().context("asking for a map's name")?;
        let name = info.name_as_str().unwrap_or_default().to_owned();
        // Constants belong to the object.
        if name.is_empty() || name.contains('.') {
            continue;
        }
        if name.len() >= NAME {
            bail!("the name of the map {name}… is too long to be told from others");
        }
        ensure!(!names.contains(&name), "there are two maps {name}");
        map.pin(folder.join(&name))
            .with_context(|| format!("pinning {name}"))?;
        names.push(name);
    }
    Ok(names)
}

/// The numbers of the maps that the filter uses.
pub(crate) fn map_ids(kernel: &mut Kernel) -> Result<Vec<u32>> {
    kernel
        .filter()?
        .info()?
        .map_ids()?
        .context("the kernel tells no maps")
}

fn last_words(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

/// The kernel keeps so much of a name.
const NAME: usize = 15;
