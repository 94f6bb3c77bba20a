//! IPv6: a prefilter, and behind it a tree.
//!
//! The prefilter says of most sources that nothing is: one bit for each /16 that a
//! prefix shorter than /32 touches, and behind these a hashed bit for each /32
//! that a longer one lies in. A bit too many costs a walk, nothing else.
//!
//! A node of the tree: a word with the number of its cells (lowest byte) and
//! whether it is a leaf (next byte), a word whose bytes are the lengths of the first
//! eight cells, and the cells in order: the upper halves of their addresses, all
//! ones where there is no cell, behind these the lower halves, and behind these a
//! value each (in a leaf) or the number of a node. The lengths of the last two cells
//! stand in the upper bytes of the first word. The first cell of an inner node
//! begins wherever the node does.

use super::{Row, Storage, active};

/// Words of a node.
pub const NODE: usize = 32;
/// Most cells of a node.
pub const CELLS: usize = 10;
/// Most levels of the tree. A node that was split is half full, so this is
/// beyond what any memory holds.
pub const DEPTH: usize = 12;
/// Words of a prefilter before its hashed part.
pub const WIDE: u32 = 1 << 10;

/// The value for an address; 0: none.
#[inline(always)]
pub fn find<S: Storage>(storage: &S, high: u64, low: u64) -> u64 {
    let in_force = storage.active(active::IN_FORCE);
    let behind = storage.active(active::IPV6);
    let prefilter = active::first(in_force, active::IPV6_SECOND, behind);
    let wide = storage.prefilter(prefilter.wrapping_add((high >> 54) as u32));
    if wide >> (high >> 48 & 63) & 1 == 0 {
        let words = storage.active(active::PREFILTER);
        let (word, bit) = prefilter_bit(high, words);
        if storage.prefilter(prefilter.wrapping_add(word)) >> bit & 1 == 0 {
            return 0;
        }
    }
    walk(storage, in_force as u32, high, low)
}

#[inline(always)]
fn walk<S: Storage>(storage: &S, root: u32, high: u64, low: u64) -> u64 {
    let mut number = root;
    for _ in 0..DEPTH {
        let Some(node) = storage.node(number) else {
            return 0;
        };
        let header = node.fixed(0);
        // The lines of what is read next, while the upper halves are compared.
        for line in 2..NODE / 8 {
            let _expected = node.fixed(line * 8);
        }
        let at = storage.forget(search::<S>(node, header & 0xff, high, low));
        if at == 0 {
            return 0;
        }
        let value = node.word::<NODE>(word(at as usize, VALUE));
        if header & LEAF != 0 {
            let length = length(node, header, at);
            let covers = agrees(
                node.word::<NODE>(word(at as usize, UPPER)) ^ high,
                node.word::<NODE>(word(at as usize, LOWER)) ^ low,
                length,
            );
            return if covers { value } else { 0 };
        }
        number = value as u32;
    }
    0
}

/// How many of the cells aren't behind the address.
///
/// All are compared, none waits for another: by 63 bits, whose difference has a
/// sign. What is equal in these and yet behind stands last.
#[inline(always)]
fn search<S: Storage>(node: S::Row, cells: u64, high: u64, low: u64) -> u64 {
    let mut count = CELLS as u64;
    for number in 1..=CELLS {
        let begins = node.fixed(word(number, UPPER)) >> 1;
        count = count.wrapping_add(S::sign((high >> 1).wrapping_sub(begins)));
    }
    // At the last address of all also what isn't there.
    let beyond = count.wrapping_sub(cells);
    count -= beyond & !S::sign(beyond);
    for _ in 0..CELLS {
        let begins = node.word::<NODE>(word(count as usize, UPPER));
        let differ = begins ^ high;
        if count == 0 || differ > 1 {
            break;
        }
        let is_behind = if differ == 1 {
            begins & 1 != 0
        } else {
            node.word::<NODE>(word(count as usize, LOWER)) > low
        };
        if !is_behind {
            break;
        }
        count -= 1;
    }
    count
}

/// Where a cell's upper half stands; cells are numbered from 1. Its
/// [lower half](LOWER) and its [value](VALUE) stand at the same place among theirs.
#[inline(always)]
#[must_use]
pub const fn word(number: usize, part: usize) -> usize {
    1 + part * CELLS + number
}

/// The part of a cell that is the upper half of its address.
pub const UPPER: usize = 0;
/// The part that is the lower half.
pub const LOWER: usize = 1;
/// The part that is its value, or the number of a node.
pub const VALUE: usize = 2;

#[inline(always)]
fn length<R: Row>(node: R, header: u64, at: u64) -> u64 {
    if at > 8 {
        return header >> (((at - 9) & 1) * 8 + 48) & 0xff;
    }
    node.fixed(1) >> (((at - 1) & 7) * 8) & 0xff
}

/// Whether two addresses whose difference this is agree in so many bits.
#[inline(always)]
const fn agrees(high: u64, low: u64, length: u64) -> bool {
    if length <= 64 {
        // A shift by 64 isn't one.
        return length == 0 || high >> ((64 - length) & 63) == 0;
    }
    high == 0 && low >> ((128 - length) & 63) == 0
}

/// The word (behind the prefilter's first) and the bit of a /32, by an address's
/// upper half and one less than the words of the hashed part.
#[inline(always)]
#[must_use]
pub const fn prefilter_bit(high: u64, words: u64) -> (u32, u32) {
    let mixed = (high >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let word = mixed >> 24 & words;
    (WIDE + word as u32, (mixed >> 58) as u32)
}

/// The bit of a header that says that the node is a leaf.
pub const LEAF: u64 = 1 << 8;

/// The two words before a node's cells.
#[must_use]
pub fn headers(leaf: bool, lengths: &[u8]) -> [u64; 2] {
    let mut headers = [lengths.len() as u64 | if leaf { LEAF } else { 0 }, 0];
    for (at, length) in lengths.iter().enumerate() {
        let (word, shift) = if at < 8 {
            (1, at * 8)
        } else {
            (0, at * 8 - 16)
        };
        headers[word] |= u64::from(*length) << shift;
    }
    headers
}
