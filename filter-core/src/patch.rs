//! Patches: changes of the kernel's tables.

use std::borrow::Cow;

use filter_common::{
    source::Family,
    verdict::{Entry, SHADOW_STAGES, STAGES, Stage},
};

use crate::prefix::Prefix;

/// Changes to the tables, each prefix at most once, in the order of the prefixes:
/// the ledger makes every patch so, and writers of tables may rely on it. Kept
/// small, because a snapshot of a million claims is one patch: the stages of all
/// changes stand in one list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    changes: Vec<Change>,
    stages: Vec<Stage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    prefix: Prefix,
    start: u32,
    enforced: u8,
    shadow: u8,
}

impl Patch {
    /// An empty patch with room for so many changes; it takes memory as they come.
    #[must_use]
    pub fn with_capacity(changes: usize) -> Self {
        Self {
            changes: Vec::with_capacity(changes),
            stages: Vec::with_capacity(changes),
        }
    }

    /// Adds a change: the prefix gets this timeline, and this one in the shadow. Without
    /// any stage the prefix leaves the tables.
    ///
    /// # Panics
    /// If there are more stages than an [`Entry`] holds.
    pub fn push(&mut self, prefix: Prefix, enforced: &[Stage], shadow: &[Stage]) {
        assert!(enforced.len() <= STAGES && shadow.len() <= SHADOW_STAGES);
        self.changes.push(Change {
            prefix,
            start: self.stages.len() as u32,
            enforced: enforced.len() as u8,
            shadow: shadow.len() as u8,
        });
        self.stages.extend_from_slice(enforced);
        self.stages.extend_from_slice(shadow);
    }

    /// Whether nothing changes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many prefixes change.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.changes.len()
    }

    /// The changes of one family, in the order of their prefixes.
    #[must_use]
    pub fn part(&self, family: Family) -> Part<'_> {
        let is_sorted = self.changes.is_sorted_by_key(|change| change.prefix);
        let mut changes = Cow::Borrowed(&self.changes[..]);
        if !is_sorted {
            changes.to_mut().sort_by_key(|change| change.prefix);
        }
        let middle = changes.partition_point(|change| change.prefix.family() == Family::V4);
        let range = match family {
            Family::V4 => 0..middle,
            Family::V6 => middle..changes.len(),
        };
        let changes = match changes {
            Cow::Borrowed(changes) => Cow::Borrowed(&changes[range]),
            Cow::Owned(mut changes) => {
                changes.truncate(range.end);
                Cow::Owned(changes.split_off(range.start))
            }
        };
        Part {
            changes,
            stages: &self.stages,
        }
    }

    /// Every change: the prefix, and its entry or `None` where it leaves.
    pub fn iter(&self) -> impl Iterator<Item = (Prefix, Option<Entry>)> {
        self.changes.iter().map(|change| {
            let start = change.start as usize;
            let middle = start + usize::from(change.enforced);
            let end = middle + usize::from(change.shadow);
            if start == end {
                return (change.prefix, None);
            }
            let mut entry = Entry::EMPTY;
            entry.stages[..middle - start].copy_from_slice(&self.stages[start..middle]);
            entry.shadow[..end - middle].copy_from_slice(&self.stages[middle..end]);
            (change.prefix, Some(entry))
        })
    }
}

/// The changes of one family, in the order of their prefixes.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    changes: Cow<'a, [Change]>,
    stages: &'a [Stage],
}

impl Part<'_> {
    /// How many prefixes change.
    #[must_use]
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Every change: the prefix, its enforced stages and those of its shadow.
    /// Without any it leaves.
    pub fn iter(&self) -> impl Iterator<Item = (Prefix, &[Stage], &[Stage])> {
        self.changes.iter().map(|change| {
            let start = change.start as usize;
            let middle = start + usize::from(change.enforced);
            let end = middle + usize::from(change.shadow);
            (
                change.prefix,
                &self.stages[start..middle],
                &self.stages[middle..end],
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use filter_common::verdict::{NEVER, Verdict};

    use super::*;

    #[test]
    fn a_patch_gives_back_what_was_pushed() {
        let one = "192.0.2.0/24"
            .parse::<crate::prefix::Written>()
            .expect("a prefix")
            .prefix;
        let stage = Stage::new(Verdict::BLOCK, 7, NEVER);
        let shadow = Stage::new(Verdict::limit(1), 8, 9);
        let mut patch = Patch::default();
        patch.push(one, &[stage, shadow], &[shadow]);
        patch.push(one, &[], &[]);
        patch.push(one, &[], &[shadow]);
        let all: Vec<_> = patch.iter().collect();
        let first = all[0].1.expect("an entry");
        assert_eq!(first.stages[..3], [stage, shadow, Stage::NONE]);
        assert_eq!(first.shadow[..2], [shadow, Stage::NONE]);
        assert_eq!(all[1], (one, None));
        assert_eq!(all[2].1.expect("an entry").shadow[0], shadow);
        assert_eq!((patch.len(), patch.is_empty()), (3, false));
    }
}
