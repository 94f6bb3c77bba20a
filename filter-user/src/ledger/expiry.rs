//! When claims end.

use std::{cmp::Reverse, collections::BinaryHeap};

use filter_common::verdict::NEVER;

use super::records::Records;

/// The ends of all claims that expire, the next first. A claim that was
/// withdrawn or prolonged leaves its old end behind; it is passed over.
#[derive(Debug, Default)]
pub(super) struct Expiries(BinaryHeap<Reverse<(u32, u32)>>);

impl Expiries {
    /// A claim has got this end (Unix seconds, or [`NEVER`]).
    pub(super) fn push(&mut self, expires: u32, number: u32) {
        if expires != NEVER {
            self.0.push(Reverse((expires, number)));
        }
    }

    /// The next claim that has ended at `unix` seconds.
    pub(super) fn pop(&mut self, unix: u32, records: &Records) -> Option<u32> {
        while let Some(&Reverse((expires, number))) = self.0.peek() {
            if expires > unix {
                return None;
            }
            self.0.pop();
            if holds(expires, number, records) {
                return Some(number);
            }
        }
        None
    }

    /// The next end; to be asked after [`tidy`](Self::tidy).
    pub(super) fn next(&self) -> Option<u32> {
        self.0.peek().map(|Reverse((expires, _number))| *expires)
    }

    /// Makes the first end a true one, and keeps the old ones from piling up.
    pub(super) fn tidy(&mut self, records: &Records) {
        if self.0.len() > 2 * records.expiring() + SPARE {
            self.0 = records
                .iter()
                .filter(|(_number, record)| record.expires != NEVER)
                .map(|(number, record)| Reverse((record.expires, number)))
                .collect();
        }
        while let Some(&Reverse((expires, number))) = self.0.peek()
            && !holds(expires, number, records)
        {
            self.0.pop();
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

fn holds(expires: u32, number: u32, records: &Records) -> bool {
    records
        .get(number)
        .is_some_and(|record| record.expires == expires)
}

/// Old ends that are not worth a clearing.
const SPARE: usize = 1024;
