//! Pages of records, so that the memory of many claims that are gone is given
//! back: a page without any record has none.

use super::records::Record;

/// Some records, each at its place.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Grows by and by, within the room of a whole page.
    slots: Vec<Option<Record>>,
    /// Places that are free again.
    free: Vec<u32>,
}

impl Page {
    pub(super) fn get(&self, place: usize) -> Option<&Record> {
        self.slots.get(place)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut Record> {
        self.slots.get_mut(place)?.as_mut()
    }

    /// The records with their places.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Record)> {
        (0..)
            .zip(&self.slots)
            .filter_map(|(place, slot)| Some((place, slot.as_ref()?)))
    }

    pub(super) const fn has_room(&self) -> bool {
        !self.free.is_empty() || self.slots.len() < PAGE
    }

    #[cfg(test)]
    pub(super) const fn takes_memory(&self) -> bool {
        self.slots.capacity() > 0
    }

    /// Puts a record where there is room. The first place of the first page is
    /// nobody's.
    pub(super) fn insert(&mut self, record: Record, is_first: bool) -> u32 {
        if let Some(place) = self.free.pop() {
            self.slots[place as usize] = Some(record);
            return place;
        }
        if self.slots.is_empty() {
            // At once: to grow would copy, and leave holes behind.
            self.slots.reserve_exact(PAGE);
            if is_first {
                self.slots.push(None);
            }
        }
        self.slots.push(Some(record));
        self.slots.len() as u32 - 1
    }

    /// Frees a place, and the page with the last of them.
    pub(super) fn free(&mut self, place: usize, is_first: bool) {
        self.slots[place] = None;
        self.free.push(place as u32);
        if self.free.len() + usize::from(is_first) == self.slots.len() {
            *self = Self::default();
        }
    }
}

/// Records of a page: 9 MiB, more than the allocator keeps when it is freed.
pub(super) const PAGE: usize = 1 << 17;
