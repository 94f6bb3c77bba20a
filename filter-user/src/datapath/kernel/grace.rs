//! The wait for the programs that run now.

use std::time::Duration;

use rustix::thread::{MembarrierCommand, membarrier};

/// Waits until every program that runs now has ended: the kernel's own grace
/// period (`membarrier(2)`). It is 8 ms or so.
pub fn grace() {
    // Where a CPU is without ticks (nohz_full) the kernel refuses. Then so long
    // that no program which runs for microseconds in an interrupt can last.
    if membarrier(MembarrierCommand::Global).is_err() {
        std::thread::sleep(WITHOUT_BARRIER);
    }
}

const WITHOUT_BARRIER: Duration = Duration::from_secs(1);
