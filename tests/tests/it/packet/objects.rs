//! The object that a binary carries: its programs, its maps, its atomics. Needs
//! no root: nothing is loaded.

use std::{collections::BTreeSet, hint::black_box, sync::LazyLock};

use aya_obj::{Object, ProgramSection};
use filter_common::{
    abi,
    bucket::{Line, Seed, Usage},
    decide::Decision,
    event::{Counter, Sampler},
    rate::Tier,
    settings::{MAX_SERVICES, Port, Service, Settings},
    table::{QUAD, active, ipv4::LINE, ipv6::NODE},
};
use weir::datapath::kernel::{Kernel, PINNED};

#[test]
fn it_has_one_program_for_each_purpose() {
    let names: BTreeSet<_> = OBJECT.programs.keys().map(String::as_str).collect();
    assert_eq!(names, ["explain", "filter", "trial"].into());
    for (name, program) in &OBJECT.programs {
        let section = &program.section;
        assert!(
            matches!(section, ProgramSection::Xdp { frags: false, .. }),
            "{name} is {section:?}"
        );
    }
}

#[test]
fn the_kernel_lends_it_its_helpers() {
    assert_eq!(OBJECT.license.as_c_str(), c"Dual MIT/GPL");
}

#[test]
fn what_is_pinned_is_there() {
    for name in PINNED {
        assert!(OBJECT.maps.contains_key(name), "there is no map {name}");
    }
}

#[test]
fn its_maps_hold_what_the_law_says() {
    let wide = |bytes| 4 + bytes;
    let cause = abi::COUNTERS;
    for (name, key, value, entries) in [
        ("SETTINGS", 4, size_of::<Settings>(), Some(1)),
        ("PORTS", 4, size_of::<Port>(), Some(abi::PORTS)),
        ("SCOPES", wide(size_of::<abi::ScopeKey>()), 4, None),
        (
            "SERVICES",
            4,
            size_of::<Service>(),
            Some(MAX_SERVICES as u32),
        ),
        ("TIERS", 4, size_of::<Tier>(), Some(abi::TIERS)),
        ("FORCE", 4, 8 * active::WORDS, Some(1)),
        ("V4_GROUPS", 4, 8, None),
        ("V4_LINES", 4, 8 * LINE, None),
        ("V6_SIEVES", 4, 8, None),
        ("V6_NODES", 4, 8 * NODE, None),
        ("TIMELINES", 4, 8 * QUAD, None),
        ("SEEDS", 4, size_of::<Seed>(), Some(abi::SEEDS)),
        ("BUCKETS", 4, size_of::<Line<u64>>(), None),
        (
            "TRIAL_BUCKETS",
            4,
            size_of::<Line<u64>>(),
            Some(abi::TRIAL_LINES),
        ),
        ("USAGE", 4, size_of::<Usage>(), Some(1)),
        ("COUNTERS", 4, size_of::<Counter>(), Some(cause)),
        ("SAMPLERS", 4, size_of::<Sampler>(), Some(1)),
    ] {
        let map = &OBJECT.maps[name];
        assert_eq!(map.key_size() as usize, key, "the key of {name}");
        assert_eq!(map.value_size() as usize, value, "the value of {name}");
        if let Some(entries) = entries {
            assert_eq!(map.max_entries(), entries, "the length of {name}");
        }
    }
    assert!(size_of::<Decision>() <= size_of::<abi::Preamble>());
}

/// Others are miscompiled for BPF where their result is used
/// (llvm-project issue 210280).
#[test]
fn its_only_atomic_is_compare_and_swap() {
    let mut atomics = 0;
    for function in OBJECT.functions.values() {
        let mut instructions = function.instructions.iter();
        while let Some(instruction) = instructions.next() {
            match instruction.code {
                // The second half of a 64-bit constant is no instruction.
                LOAD_CONSTANT => drop(instructions.next()),
                ATOMIC_32 | ATOMIC_64 => {
                    assert_eq!(instruction.imm, COMPARE_AND_SWAP, "in {}", function.name);
                    atomics += 1;
                }
                _ => {}
            }
        }
    }
    assert!(atomics > 0, "buckets are charged by compare-and-swap");
}

/// The object, extracted from this very executable: what is tested is what a
/// binary carries.
static OBJECT: LazyLock<Object> = LazyLock::new(|| {
    // So that the linker keeps it.
    black_box(Kernel::load as fn(&_, _) -> _);
    let executable = std::env::current_exe().expect("this runs");
    let bytes = std::fs::read(executable).expect("it can be read");
    let object = (1..bytes.len()).find_map(|at| elf_of_bpf(&bytes[at..]));
    let object = object.expect("the kernel side is in it (was AYA_BUILD_SKIP set?)");
    // The parser asks for aligned bytes, which a copy is.
    let object = object.to_vec();
    Object::parse(&object).expect("it is an object of BPF")
});

/// The ELF file for BPF that begins here, up to the end of its table of
/// sections, which is its last part.
fn elf_of_bpf(bytes: &[u8]) -> Option<&[u8]> {
    if !bytes.starts_with(b"\x7fELF\x02\x01\x01") {
        return None;
    }
    let half = |at: usize| Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    if half(18)? != MACHINE_BPF {
        return None;
    }
    let sections = u64::from_le_bytes(*bytes.get(40..)?.first_chunk()?);
    let length = usize::from(half(58)?) * usize::from(half(60)?);
    bytes.get(..usize::try_from(sections).ok()? + length)
}

/// `EM_BPF`
const MACHINE_BPF: u16 = 247;

/// `BPF_LD | BPF_DW | BPF_IMM`
const LOAD_CONSTANT: u8 = 0x18;
/// `BPF_STX | BPF_W | BPF_ATOMIC`
const ATOMIC_32: u8 = 0xc3;
/// `BPF_STX | BPF_DW | BPF_ATOMIC`
const ATOMIC_64: u8 = 0xdb;
/// `BPF_CMPXCHG`
const COMPARE_AND_SWAP: i32 = 0xf1;
