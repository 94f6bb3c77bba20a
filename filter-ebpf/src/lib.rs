//! What the programs of the kernel side are made of: frames, maps and the time,
//! as the law asks for them, and the counting and telling of what it decided.
//!
//! A library, so that the bench's programs (`tests/ebpf`) stand on the same maps.
//! The programs that weir loads are in `main.rs` and `explain.rs`.

#![no_std]
#![feature(asm_experimental_arch, core_intrinsics)]
#![expect(
    internal_features,
    reason = "compare-and-swap for BPF exists only as an intrinsic"
)]

pub mod buckets;
pub mod cell;
pub mod frame;
pub mod maps;
pub mod report;
mod verdicts;
