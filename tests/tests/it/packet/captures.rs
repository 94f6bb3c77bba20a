//! The host and the kernel say the same of every frame of public captures, and of
//! mutants of each: those that the crate pcap-parser brings for its tests, and those
//! of the Debian package golang-github-google-gopacket-dev.

use std::{
    collections::{BTreeMap, HashSet},
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use filter_common::{abi::Preamble, cause::Cause};
use pcap_parser::{
    Block, Linktype, PcapBlockOwned, PcapError, create_reader, traits::PcapNGPacketBlock as _,
};
use serde_json::Value;
use weir_tests::{
    bed::gateway::tools,
    both::Both,
    case::CASES,
    mutant::{LONGEST, Mutants, Random},
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_kernel_judges_every_captured_frame_and_its_mutants_as_the_host_does() {
    let frames = frames();
    let distinct: HashSet<_> = frames.iter().collect();
    assert!(frames.len() >= 6_100, "only {} frames", frames.len());
    assert!(
        distinct.len() >= 2_800,
        "only {} of them distinct",
        distinct.len()
    );

    let mut both = Both::new();
    let mut random = Random::new(SEED);
    let mut mutants = Mutants::new(&CASES, Random::new(SEED ^ 1));
    let mut now = Preamble::default();
    let mut hits = BTreeMap::<_, u32>::new();
    let mut count = |cause| *hits.entry(cause_of(cause)).or_default() += 1;
    for frame in &frames {
        now.nanoseconds += random.next() % 2_000_000;
        if random.once_in(500) {
            both.change_settings(&mut random);
        }
        if random.once_in(200) {
            both.change_entry(&mut random);
        }
        count(both.judge(&now, frame).cause);
        for _ in 0..MUTANTS {
            let mutant = mutants.of(frame.clone());
            count(both.judge(&now, &mutant).cause);
        }
    }
    eprintln!(
        "{} frames, {} distinct, each with {MUTANTS} mutants; of each cause {hits:?}",
        frames.len(),
        distinct.len()
    );
    assert!(hits.len() >= 8, "too few causes: {hits:?}");
}

/// Every Ethernet frame of the captures, as much of it as a test run takes.
fn frames() -> Vec<Vec<u8>> {
    let gopacket = tools().join("golang-github-google-gopacket-dev");
    assert!(
        gopacket.is_dir(),
        "there is no {}: run cargo xtask test",
        gopacket.display()
    );
    let mut files = captures(&gopacket);
    files.extend(captures(&pcap_parser()));
    let mut frames: Vec<_> = files.iter().flat_map(|file| ethernet(file)).collect();
    for frame in &mut frames {
        frame.truncate(LONGEST);
    }
    frames
}

/// The captures in a folder and below it, in order.
fn captures(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(captures(&path));
        } else if path
            .extension()
            .is_some_and(|end| end == "pcap" || end == "pcapng")
        {
            files.push(path);
        }
    }
    files
}

/// The folder in which cargo has the sources of the crate.
fn pcap_parser() -> PathBuf {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // Of other systems' packages cargo hasn't the sources.
    let system = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .args(["--filter-platform", &system])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let said: Value = serde_json::from_slice(&output.stdout).expect("cargo knows the packages");
    let packages = said["packages"].as_array().expect("packages");
    let found = packages
        .iter()
        .find(|package| package["name"] == "pcap-parser");
    let manifest = found.expect("it is a dependency")["manifest_path"].as_str();
    let manifest = Path::new(manifest.expect("a path"));
    manifest.parent().expect("a folder").join("assets")
}

/// The Ethernet frames of a capture, up to where it is broken on purpose.
fn ethernet(path: &Path) -> Vec<Vec<u8>> {
    let file = File::open(path).expect("it is there");
    let Ok(mut reader) = create_reader(1 << 20, file) else {
        return Vec::new();
    };
    let mut frames = Vec::new();
    // Of each interface, whether it is Ethernet.
    let mut interfaces = Vec::new();
    loop {
        match reader.next() {
            Ok((length, block)) => {
                match block {
                    PcapBlockOwned::LegacyHeader(header) => {
                        interfaces = vec![header.network == Linktype::ETHERNET];
                    }
                    PcapBlockOwned::Legacy(block) if interfaces[0] => {
                        frames.push(block.data.to_vec());
                    }
                    PcapBlockOwned::NG(Block::SectionHeader(_)) => interfaces.clear(),
                    PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                        interfaces.push(interface.linktype == Linktype::ETHERNET);
                    }
                    PcapBlockOwned::NG(Block::EnhancedPacket(packet))
                        if interfaces.get(packet.if_id as usize) == Some(&true) =>
                    {
                        frames.push(packet.packet_data().to_vec());
                    }
                    PcapBlockOwned::NG(Block::SimplePacket(packet))
                        if interfaces.first() == Some(&true) =>
                    {
                        frames.push(packet.packet_data().to_vec());
                    }
                    _ => {}
                }
                reader.consume(length);
            }
            Err(PcapError::Incomplete(_)) => reader.refill().expect("it can be read"),
            Err(_) => return frames,
        }
    }
}

fn cause_of(code: u8) -> &'static str {
    Cause::from_code(code)
        .expect("a decision has a cause")
        .name()
}

const SEED: u64 = 0x7765_6972;
/// The number of mutants of each frame.
const MUTANTS: u32 = 9;
