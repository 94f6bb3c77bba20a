//! What `cargo xtask verify` asks of the kernel: loads every program with no
//! more than the daemon's capabilities, and tells as JSON what it cost. With
//! `--every-capability` it keeps those that it has.
//!
//! A program of its own, because xtask must build where the kernel side can't
//! (it is xtask that installs the linker).

use std::{
    env,
    io::{Write as _, stdout},
};

use anyhow::{Context as _, Result, ensure};
use rustix::{
    process::{Gid, Uid},
    thread::{
        CapabilitySet, CapabilitySets, capabilities, remove_capability_from_bounding_set,
        set_capabilities, set_keep_capabilities, set_no_new_privs, set_thread_groups,
        set_thread_res_gid, set_thread_res_uid,
    },
};
use serde_json::{Value, json};
use weir::datapath::kernel::{Kernel, OBJECT, Sizes};

mod object;

fn main() -> Result<()> {
    let atomics = object::atomics(OBJECT).context("reading the object")?;
    if env::args().nth(1).as_deref() != Some("--every-capability") {
        keep_only(ALLOWED).context("giving up capabilities")?;
    }
    let mut kernel = Kernel::load(&SIZES, None)?;
    kernel.load_trial()?;
    let programs = kernel
        .object()
        .programs()
        .map(|(name, program)| {
            let info = program.info()?;
            let bytes = info.size_translated().context("the kernel tells no size")?;
            let verified = info
                .verified_instruction_count()
                .context("the kernel doesn't tell what it verified")?;
            Ok(json!({
                "name": name,
                "instructions": bytes / INSTRUCTION,
                "verified": verified,
            }))
        })
        .collect::<Result<Vec<Value>>>()?;
    let answer = json!({
        "programs": programs,
        "atomics": {
            "compare_and_swap": atomics.compare_and_swap,
            "other": atomics.other,
        },
    });
    writeln!(stdout(), "{answer}").context("answering")
}

/// Turns this process into a user's, with these capabilities and no way back.
fn keep_only(allowed: CapabilitySet) -> Result<()> {
    for bit in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << bit);
        // Those that this kernel doesn't know can't be had either.
        if !allowed.contains(one) && remove_capability_from_bounding_set(one).is_err() {
            break;
        }
    }
    set_keep_capabilities(true)?;
    set_thread_groups(&[])?;
    let (group, user) = (Gid::from_raw(NOBODY), Uid::from_raw(NOBODY));
    set_thread_res_gid(group, group, group)?;
    set_thread_res_uid(user, user, user)?;
    let sets = CapabilitySets {
        effective: allowed,
        permitted: allowed,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets)?;
    set_no_new_privs(true)?;
    ensure!(
        capabilities(None)? == sets,
        "the kernel left other capabilities"
    );
    Ok(())
}

/// What weir's unit gives to the daemon.
const ALLOWED: CapabilitySet = CapabilitySet::BPF
    .union(CapabilitySet::NET_ADMIN)
    .union(CapabilitySet::PERFMON);

/// A user without anything of its own.
const NOBODY: u32 = 65_534;

/// The tables' room doesn't change what is verified.
const SIZES: Sizes = Sizes {
    ipv4: 1024,
    ipv6: 1024,
    buckets: 1024,
};

/// Bytes of an instruction.
const INSTRUCTION: u32 = 8;
