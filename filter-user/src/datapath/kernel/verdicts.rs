//! What is asked of the verdict tables for tests.

use filter_common::{decide::Clock, source::Address, table::Standing};

use super::Kernel;

impl Kernel {
    /// The verdict that holds for a source, read on the host from the memory that the
    /// programs read.
    #[must_use]
    pub fn standing(&self, source: &Address, clock: &impl Clock) -> Standing {
        self.tables.verdicts.standing(source, clock)
    }
}
