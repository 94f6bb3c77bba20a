//! The generator: frames by `BPF_PROG_TEST_RUN`, live, from one CPU.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use aya::{
    Ebpf, EbpfLoader,
    maps::Array,
    programs::{TestRun as _, TestRunAttrs, TestRunOptions, Xdp},
};
use bench_ebpf::Draw;
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::{
    edge::End,
    lane::{Lane, SENDER},
};

pub(crate) struct Flood {
    ebpf: Ebpf,
}

impl Flood {
    /// From the bench's object.
    pub(crate) fn load(object: &Path) -> Result<Self> {
        let mut ebpf = EbpfLoader::new()
            .load_file(object)
            .context("loading the generator")?;
        let program: &mut Xdp = ebpf
            .program_mut("generator")
            .context("no generator in the object")?
            .try_into()?;
        program.load().context("loading the generator")?;
        Ok(Self { ebpf })
    }

    /// Sends so many packets down a lane, and gives the time it took. Some find
    /// no room there: a filter that is slower than the generator never rests.
    pub(crate) fn send(&mut self, lane: &Lane, draw: &Draw, packets: u32) -> Result<Duration> {
        let draw = Draw {
            interface: lane.sender,
            ..with_checksum(*draw)
        };
        let map = self.ebpf.map_mut("DRAW").context("no map DRAW")?;
        let mut map: Array<_, [u32; Draw::WORDS]> = map.try_into()?;
        map.set(0, draw.words(), 0)?;
        let program: &Xdp = self
            .ebpf
            .program("generator")
            .context("no generator")?
            .try_into()?;
        let frame = frame(draw.family, lane.address);
        End::Net.enter(|| {
            pin(SENDER)?;
            let start = Instant::now();
            program
                .test_run(TestRunOptions {
                    data_in: Some(&frame),
                    repeat: packets,
                    attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
                    ..TestRunOptions::default()
                })
                .context("sending packets")?;
            Ok(start.elapsed())
        })
    }
}

/// Puts this thread on a CPU.
pub(crate) fn pin(cpu: usize) -> Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu);
    sched_setaffinity(None, &cpus).context("pinning a thread")
}

/// The same with what an IPv4 header sums up to without its source.
pub(crate) fn with_checksum(draw: Draw) -> Draw {
    let frame = frame(4, [0; 6]);
    let words = frame[14..34].chunks_exact(2);
    let sum: u32 = words
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum();
    Draw {
        checksum: sum,
        ..draw
    }
}

/// A frame of 64 bytes to the guarded port; its source is still to be drawn.
pub(crate) fn frame(family: u32, to: [u8; 6]) -> [u8; 64] {
    let mut frame = [0; 64];
    frame[..6].copy_from_slice(&to);
    frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    let udp = if family == 4 {
        frame[12..14].copy_from_slice(&[0x08, 0x00]);
        frame[14..24].copy_from_slice(&[0x45, 0, 0, 50, 0, 0, 0, 0, 64, 17]);
        frame[30..34].copy_from_slice(&[192, 0, 2, 1]);
        34
    } else {
        frame[12..14].copy_from_slice(&[0x86, 0xdd]);
        frame[14..22].copy_from_slice(&[0x60, 0, 0, 0, 0, 10, 17, 64]);
        frame[38..42].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        frame[53] = 1;
        40 + 14
    };
    let length = (64 - udp) as u8;
    frame[udp..udp + 8].copy_from_slice(&[0x9c, 0x40, 0x01, 0xbb, 0, length, 0, 0]);
    // The first byte of QUIC's short header: it opens no connection.
    frame[udp + 8] = 0x40;
    frame
}

/// All addresses of a family.
pub(crate) fn random(family: u32) -> Draw {
    Draw {
        family,
        ..Draw::default()
    }
}

/// Only addresses of listed prefixes.
pub(crate) fn listed(family: u32, list: u32) -> Draw {
    Draw {
        listed: ALL,
        list,
        ..random(family)
    }
}

/// So many sources.
pub(crate) fn among(family: u32, others: u32) -> Draw {
    Draw {
        others,
        ..random(family)
    }
}

/// A quarter from a thousand heavy sources, the others from anywhere.
pub(crate) fn heavy(family: u32) -> Draw {
    Draw {
        heavy: ALL / 4,
        heavy_sources: 1_000,
        ..random(family)
    }
}

/// A quarter heavy, a quarter listed, half from anywhere.
pub(crate) fn mixed(family: u32, list: u32) -> Draw {
    Draw {
        listed: ALL / 4,
        list,
        ..heavy(family)
    }
}

/// Of so many packets the shares of a draw are.
pub(crate) const ALL: u32 = 65_536;
const BATCH: u32 = 64;
