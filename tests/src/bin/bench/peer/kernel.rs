//! A program on the kernel's own maps, as a user would write it
//! (`tests/ebpf/src/peer.rs`).

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use aya::maps::{Array, HashMap, LpmTrie, lpm_trie::Key};
use filter_common::source::Family;
use weir::prefix::Prefix;

use crate::{filled::prefix, programs::Programs};

/// Fills its maps with a list, and gives the time it took.
pub(crate) fn fill(programs: &mut Programs, family: u32, list: u32) -> Result<Duration> {
    let prefixes: Vec<_> = (0..list).map(|number| prefix(family, number)).collect();
    let start = Instant::now();
    let (exact, wide): (Vec<Prefix>, Vec<Prefix>) =
        prefixes.into_iter().partition(|prefix| prefix.is_address());
    // As the headers have them.
    let v4 = |low: u64| (low as u32).to_be();
    if family == 4 {
        let mut map: HashMap<_, u32, u64> = programs.map("PEER_V4")?.try_into()?;
        for prefix in &exact {
            map.insert(v4(prefix.address().low), 1, 0)
                .context("filling the hash")?;
        }
        let mut map: LpmTrie<_, u32, u64> = programs.map("PEER_V4_WIDE")?.try_into()?;
        for prefix in &wide {
            let key = Key::new(u32::from(prefix.length()), v4(prefix.address().low));
            map.insert(&key, 1, 0).context("filling the trie")?;
        }
    } else {
        let words = |address: filter_common::source::Address| {
            debug_assert_eq!(address.family, Family::V6);
            [address.high.to_be(), address.low.to_be()]
        };
        let mut map: HashMap<_, [u64; 2], u64> = programs.map("PEER_V6")?.try_into()?;
        for prefix in &exact {
            map.insert(words(prefix.address()), 1, 0)
                .context("filling the hash")?;
        }
        let mut map: LpmTrie<_, [u64; 2], u64> = programs.map("PEER_V6_WIDE")?.try_into()?;
        for prefix in &wide {
            let key = Key::new(u32::from(prefix.length()), words(prefix.address()));
            map.insert(&key, 1, 0).context("filling the trie")?;
        }
    }
    Ok(start.elapsed())
}

/// Holds every source to a hundred packets a second, a hundred at once.
pub(crate) fn limit(programs: &mut Programs) -> Result<()> {
    let mut map: Array<_, [u64; 2]> = programs.map("PEER_RATE")?.try_into()?;
    map.set(0, [10_000_000, 1_000_000_000], 0)?;
    Ok(())
}
