//! The order of prefixes, for what a feed says in its own.

use filter_common::source::Family;

use crate::prefix::Prefix;

/// Gives changes in the order of the prefixes, and of the same prefix only
/// the last one. They are large: not they are sorted but numbers, and
/// each thing is then moved once, to where it is needed.
pub(super) fn last_by_prefix<T>(
    mut all: Vec<T>,
    about: impl Fn(&T) -> Prefix,
    take: impl Fn(&mut T) -> T,
) -> impl Iterator<Item = T> {
    let order = order(&all, &about);
    let mut done = 0;
    let near = std::iter::from_fn(move || {
        let places = &order[done..order.len().min(done + NEAR)];
        done += places.len();
        // The processor waits for many places in memory as long as for one, if it
        // can ask for all of them at once.
        let asked = places
            .iter()
            .map(|place| about(&all[*place as usize]).upper());
        std::hint::black_box(asked.fold(0, std::ops::BitXor::bitxor));
        let near = places.iter().map(|place| take(&mut all[*place as usize]));
        (!places.is_empty()).then(|| near.collect::<Vec<T>>())
    });
    near.flatten()
}

/// The places in that order.
fn order<T>(all: &[T], about: impl Fn(&T) -> Prefix) -> Vec<u32> {
    assert!(all.len() < INDEX as usize, "so many don't fit into memory");
    if all.is_sorted_by(|one, next| about(one) < about(next)) {
        return (0..all.len() as u32).collect();
    }
    // What the address begins with, and the place: for IPv4, whose addresses end
    // there, half as much does.
    let (mut ipv4, mut ipv6) = (Vec::with_capacity(all.len()), Vec::new());
    for (place, one) in (0..).zip(all) {
        let prefix = about(one);
        match prefix.family() {
            Family::V4 => ipv4.push(prefix.upper() & !(INDEX as u64) | place),
            Family::V6 => ipv6.push(prefix.bits() & !INDEX | u128::from(place)),
        }
    }
    ipv4.sort_unstable();
    ipv6.sort_unstable();
    let mut order = Vec::with_capacity(all.len());
    for alike in ipv4.chunk_by(|one, next| one >> 32 == next >> 32) {
        add_last(&mut order, alike.iter().map(|one| *one as u32), all, &about);
    }
    for alike in ipv6.chunk_by(|one, next| one >> 32 == next >> 32) {
        add_last(&mut order, alike.iter().map(|one| *one as u32), all, &about);
    }
    order
}

/// Adds places where it begins alike: in their order, and of one prefix the last.
fn add_last<T>(
    order: &mut Vec<u32>,
    alike: impl ExactSizeIterator<Item = u32>,
    all: &[T],
    about: impl Fn(&T) -> Prefix,
) {
    let one = alike.len() == 1;
    let start = order.len();
    order.extend(alike);
    if one {
        return;
    }
    let exact = |place: u32| about(&all[place as usize]);
    order[start..].sort_unstable_by_key(|place| (exact(*place), *place));
    let mut end = start;
    for at in start..order.len() {
        let next = order.get(at + 1);
        if next.is_none_or(|next| exact(*next) != exact(order[at])) {
            order[end] = order[at];
            end += 1;
        }
    }
    order.truncate(end);
}

/// So many are moved at once.
const NEAR: usize = 64;

/// The lower bits, for a place.
const INDEX: u128 = u32::MAX as u128;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::ledger::generate::prefix;

    proptest! {
        #[test]
        fn what_was_said_last_of_each_prefix_is_left_in_order(prefixes in vec(prefix(), 0..200)) {
            let all: Vec<_> = prefixes.into_iter().zip(0..).collect();
            let expected: BTreeMap<_, _> = all.iter().copied().collect();
            let last = last_by_prefix(all, |(prefix, _place)| *prefix, |one| *one);
            prop_assert!(last.eq(expected));
        }
    }
}
