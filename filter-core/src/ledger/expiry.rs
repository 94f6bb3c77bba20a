//! When claims end.

use std::{cmp::Reverse, collections::BinaryHeap};

use filter_common::verdict::NEVER;

use super::records::Records;

/// The ends of all claims that expire, the next first. A claim that was
/// withdrawn or prolonged leaves its old end behind; it is passed over.
#[derive(Debug, Default)]
pub(super) struct Expiries {
    heap: BinaryHeap<Reverse<(u32, u32)>>,
    /// Those of the update at hand, which may be a million.
    fresh: Vec<Reverse<(u32, u32)>>,
}

impl Expiries {
    /// A claim has got this end (Unix seconds, or [`NEVER`]).
    pub(super) fn push(&mut self, expires: u32, number: u32) {
        if expires != NEVER {
            self.fresh.push(Reverse((expires, number)));
        }
    }

    /// The claims that have ended at `unix` seconds, in the order of their numbers.
    pub(super) fn ended(&mut self, unix: u32, records: &Records) -> Vec<u32> {
        let mut ended = Vec::new();
        while let Some(&Reverse((expires, number))) = self.heap.peek()
            && expires <= unix
        {
            if ended.len() > self.heap.len() / FEW {
                // So many that one way through all is less than taking each out.
                self.heap.retain(|Reverse((expires, number))| {
                    if *expires <= unix {
                        ended.push((*expires, *number));
                    }
                    *expires > unix
                });
                break;
            }
            self.heap.pop();
            ended.push((expires, number));
        }
        ended.retain(|(expires, number)| holds(*expires, *number, records));
        let mut numbers: Vec<_> = ended.into_iter().map(|(_expires, number)| number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// The next end; to be asked after [`tidy`](Self::tidy).
    pub(super) fn next(&self) -> Option<u32> {
        self.heap.peek().map(|Reverse((expires, _number))| *expires)
    }

    /// Takes in the new ends, makes the first a true one, and keeps the old ones
    /// from piling up.
    pub(super) fn tidy(&mut self, records: &Records) {
        let live = records.expiring();
        if self.heap.len() + self.fresh.len() > live + live / 2 + SPARE {
            self.fresh = Vec::new();
            self.heap = records
                .iter()
                .filter(|(_number, record)| record.expires != NEVER)
                .map(|(number, record)| Reverse((record.expires, number)))
                .collect();
        } else if self.fresh.len() > SPARE {
            self.heap.extend(std::mem::take(&mut self.fresh));
        } else {
            self.heap.extend(self.fresh.drain(..));
        }
        while let Some(&Reverse((expires, number))) = self.heap.peek()
            && !holds(expires, number, records)
        {
            self.heap.pop();
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}

fn holds(expires: u32, number: u32, records: &Records) -> bool {
    records
        .get(number)
        .is_some_and(|record| record.expires == expires)
}

/// Fewer than one in so many are removed singly.
const FEW: usize = 64;

/// Old ends that are not worth a clearing.
const SPARE: usize = 1024;
